"""Defaults of `Study` that the help of the command line tells too, which must not wait for JAX. Presets keep them."""

SAMPLING = "shuffle"
TEST = 0.2
RULE = "best"
FINAL = "folds"
MEMORY = 2.0
SEED = 0
