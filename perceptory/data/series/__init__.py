"""Series: a long table of rows in the order of time, cut into examples."""
