"""NumPy's files: which of their arrays are inputs, targets, lengths, weights and groups."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.data.tables.table import listed, nothing_at
from perceptory.errors import InputError
from perceptory.notes import Note, other_part
from perceptory.registry import Registry as Names

PARTS: Names[str] = Names("part", {"train": "train", "test": "test"})
INPUTS = ("x", "inputs", "images", "data", "features")
TARGETS = ("y", "targets", "target", "labels", "label")
LABELED = (
    "arrays x and y (or inputs and targets, images and labels)",
    "Write it with numpy.savez(path, x=..., y=...), or x_train, y_train, x_test, y_test for two parts.",
)
UNLABELED = (
    "an array x (or inputs, or images)",
    "Write it with numpy.savez(path, x=...), or x_train, x_test for two parts.",
)


def load_numpy(path: Path) -> Any:
    """The array of a `.npy` file, or a dict of the arrays of a `.npz` file. Pickled objects are refused."""
    if path.suffix.lower() not in (".npy", ".npz"):
        raise InputError(f"the file name {path.name!r} has to end in .npy or .npz. Write it with numpy.savez.")
    if not path.is_file():
        raise nothing_at(path)
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            loaded = np.load(file, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except Exception as error:  # what NumPy and zipfile raise for strange bytes is no closed list
        if "pickle" in str(error):
            raise InputError(
                f"{path.name} holds pickled objects or is no NumPy file; pickles may run code and are not read. Write "
                "arrays of numbers or texts with numpy.savez."
            ) from None
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise InputError(f"{path.name} is not a readable NumPy file ({reason}). Write it with numpy.savez.") from None


def arrays_by_use(
    named: Mapping[str, Any], part: str | None, where: str, unlabeled: bool = False
) -> tuple[dict[str, Any], list[Note]]:
    """One part's arrays by what they are: "inputs", "targets", and, where present, "lengths", "weights", "groups".

    unlabeled: inputs need no targets beside them.
    """
    part = None if part is None else PARTS[part]
    find = partial(_named, named)

    def whole(part: str) -> bool:
        return find(INPUTS, part) is not None and (unlabeled or find(TARGETS, part) is not None)

    parts, plain = [p for p in ("train", "test") if whole(p)], whole("")
    chosen = part or ("" if plain else "train")
    if not (plain and chosen == "") and chosen not in parts:
        some = f" of the part {part!r}" if part else ""
        wanted, remedy = UNLABELED if unlabeled else LABELED
        raise InputError(
            f"{where} needs {wanted}{some}, but holds {listed(sorted(map(str, named))) or 'nothing'}. {remedy}"
        )
    by_use = {"inputs": find(INPUTS, chosen), "targets": find(TARGETS, chosen)}
    by_use |= {name: find((name,), chosen) for name in ("lengths", "weights", "groups")}
    notes: list[Note] = []
    if part is None and "test" in parts:
        notes.append(other_part(where, "test", "examples"))
    return by_use, notes


def _named(named: Mapping[str, Any], words: Sequence[str], part: str) -> Any:
    """The first array that is called one of `words`, with the part before or after it; None where there is none."""
    by_name = {re.sub(r"\W", "_", str(name).lower()): name for name in named}
    for word in words:
        for name in (f"{word}_{part}".strip("_"), f"{part}_{word}".strip("_")):
            if name in by_name:
                return named[by_name[name]]
    return None


def load_inputs(path: Path) -> Any:
    """The inputs to predict in a `.npy` file, or in a `.npz` file, where they are called x, or else x_test."""
    loaded = load_numpy(path)
    if not isinstance(loaded, Mapping):
        return loaded
    for part in ("", "test"):
        if (array := _named(loaded, INPUTS, part)) is not None:
            return array
    raise InputError(
        f"{path.name} needs an array x (or inputs, or images) to predict, but holds {listed(loaded) or 'nothing'}. "
        "Write it with numpy.savez(path, x=...)."
    )
