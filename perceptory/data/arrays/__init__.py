"""Arrays: examples of any shape with their targets."""
