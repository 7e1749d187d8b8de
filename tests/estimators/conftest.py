"""Small data, and what is compiled, counted."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def numbers():
    """X [60, 3], y [60]: a smooth function with noise."""
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 3))
    return X, 10 + np.sin(X[:, 0]) + 0.5 * X[:, 1] + 0.1 * random.normal(size=60)


@pytest.fixture(scope="session")
def classes(numbers):
    """X [60, 3], y [60] of two classes named "no" and "yes"."""
    X, y = numbers
    return X, np.where(y > np.median(y), "yes", "no")


@pytest.fixture
def compilations():
    """A function that counts the programs compiled since the fixture was made."""
    import jax.monitoring

    found: list[str] = []

    def listen(event: str, seconds: float, **more: object) -> None:
        if event.endswith("backend_compile_duration"):
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield lambda: len(found)
    jax.monitoring.unregister_event_duration_listener(listen)
