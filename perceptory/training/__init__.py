"""Training: one member as a pure function, mapped over a population in one compiled program."""
