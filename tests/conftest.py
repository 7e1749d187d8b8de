"""Set up once, before anything imports JAX: no compilation cache outside the run, types checked, calm hypothesis."""

from __future__ import annotations

import os

import hypothesis
import jaxtyping

# A cache from an earlier run could hide a program that no longer compiles.
os.environ["PERCEPTORY_CACHE"] = "off"

# Annotations are checked at run time where only perceptory calls. Not at its edges: specs, data and metrics take more
# than an annotation says (search values, NumPy's numbers) and say themselves, in an `InputError`, what is wrong.
jaxtyping.install_import_hook("perceptory.training", "beartype.beartype")

# A busy machine must not fail a test, and a failure must come again.
hypothesis.settings.register_profile("perceptory", deadline=None, derandomize=True)
hypothesis.settings.load_profile("perceptory")
