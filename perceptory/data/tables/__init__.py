"""Tables: from a source to columns with a meaning, and from there to inputs."""
