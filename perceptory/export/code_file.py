"""`Model.to_code`: the networks of a model as a source file in Python or C."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from perceptory import files
from perceptory.errors import InputError
from perceptory.export.code_c import c_source
from perceptory.export.code_model import Sources, sources_of
from perceptory.export.code_numpy import numpy_source

LANGUAGES: dict[str, Callable[[Sources], str]] = {".py": numpy_source, ".c": c_source}


def to_code(model: Any, path: str | Path) -> Path:
    """Write the file; see `Model.to_code`."""
    path = Path(path)
    if path.suffix not in LANGUAGES:
        raise InputError(f"source code is written in {', '.join(LANGUAGES)} files, got {path.name!r}. Example: model.c")
    text = LANGUAGES[path.suffix](sources_of(model))
    try:
        files.replace(path, text.encode())
    except OSError as error:
        raise files.not_written(path, error) from None
    return path
