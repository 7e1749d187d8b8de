"""A result in words: the summary of a terminal and the page."""
