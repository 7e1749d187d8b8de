"""What goes wrong around a run, tried: kills, writes that fail, two processes at once, altered and hostile files."""
