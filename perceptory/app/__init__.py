"""The command line: what is asked, how it is read, and what is said."""
