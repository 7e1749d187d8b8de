"""What a person can see of a network and its training: each function returns numbers that print, and a figure of them.

They stand above the studies and change nothing: a model, a study or a module goes in as it is.
"""

from __future__ import annotations

from perceptory.catalog import INSIGHT_NAMES
from perceptory.registry import exports

__getattr__, __dir__, __all__ = exports("perceptory.insight", (INSIGHT_NAMES,))
