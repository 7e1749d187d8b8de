"""Images: folders of pictures, idx files."""
