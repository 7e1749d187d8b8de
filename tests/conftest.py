"""Set up once, before anything imports JAX: a compilation cache of this run's own, and two devices at most."""

from __future__ import annotations

import os
import shutil
import tempfile

import hypothesis

CACHE = tempfile.mkdtemp(prefix="perceptory-test-cache-")
os.environ["PERCEPTORY_CACHE"] = CACHE  # subprocesses of the tests share it

# A busy machine must not fail a test, and a failure must come again.
hypothesis.settings.register_profile("perceptory", deadline=None, derandomize=True)
hypothesis.settings.load_profile("perceptory")


def pytest_unconfigure() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)
