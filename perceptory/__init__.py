"""perceptory: neural networks that can be trusted.

A study trains every candidate on every fold with every seed in one compiled program, chooses by validation, measures
the choice once on sealed test rows, and gives a model with its report. Names are loaded when they are first used, so
that importing the package, and asking the command line for help, stays fast.
"""

from __future__ import annotations

from perceptory import backend as backend  # first of all: it must set up XLA before JAX is imported
from perceptory.catalog import EXPORTED
from perceptory.registry import exports

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = exports("perceptory", EXPORTED, own=("__version__", "backend"), packages=("insight",))
