"""Set up once, before anything imports JAX: no compilation cache outside the run, types checked, calm hypothesis."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import jaxtyping

from perceptory import backend

# A cache from an earlier run could hide a program that no longer compiles: here there is none, and the processes that
# tests start share one that lasts as long as the run.
RUN = Path(tempfile.gettempdir()) / f"perceptory-tests-{os.environ.setdefault('PERCEPTORY_TESTS', str(os.getpid()))}"
os.environ["PERCEPTORY_CACHE"] = "off"
backend.prepare()
os.environ["PERCEPTORY_CACHE"] = str(RUN)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):  # not a worker: the run is over
        shutil.rmtree(RUN, ignore_errors=True)


# Annotations are checked at run time where only perceptory calls. Not at its edges: specs, data and metrics take more
# than an annotation says (search values, NumPy's numbers) and say themselves, in an `InputError`, what is wrong.
jaxtyping.install_import_hook("perceptory.training", "beartype.beartype")

# A busy machine must not fail a test, and a failure must come again.
hypothesis.settings.register_profile("perceptory", deadline=None, derandomize=True)
hypothesis.settings.load_profile("perceptory")
