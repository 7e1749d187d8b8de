"""`--cluster`: the networks are trained by a Dask cluster's workers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from perceptory.errors import InputError

WAIT = 10  # seconds for a scheduler to answer


@contextlib.contextmanager
def cluster_at(address: str | None) -> Iterator[Any]:
    """What `Study.run` takes for its executor: Dask's client of that scheduler; None without an address."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise InputError('--cluster needs Dask. Install it by: pip install "perceptory[cluster]".') from None
    for name in ("distributed", "tornado"):  # what they say of lost workers, the study says itself
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=WAIT, set_as_default=False)
    except (OSError, ValueError, TimeoutError, TypeError) as error:
        raise InputError(
            f"no scheduler answers at --cluster {address!r} ({type(error).__name__}). Give the address that"
            " dask scheduler prints, such as tcp://192.168.0.1:8786."
        ) from None
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is gone cannot be taken leave of
            client.close(timeout=2)
