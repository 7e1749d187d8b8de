"""Optimizers and schedules: specs that build Optax transformations."""
