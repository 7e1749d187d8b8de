"""What polars raises of a file that is damaged, as one sentence, without what its threads say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from perceptory.errors import InputError
from perceptory.quiet import without_panics


@contextlib.contextmanager
def damaged(what: str, remedy: str = "Write it anew.") -> Iterator[None]:
    """Reading with polars in this block; `InputError` that says "`what` (the reason). `remedy`" where it fails."""
    import polars as pl

    try:
        with without_panics():
            yield
    except InputError:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"{what} ({reason}). {remedy}") from None
