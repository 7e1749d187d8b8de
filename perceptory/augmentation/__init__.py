"""Augmentation: what happens to a scaled batch before a training step, inside the compiled program."""
