"""Examples from arrays: NumPy and JAX arrays, `.npy` and `.npz` files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.data.arrays.checks import KINDS, ExampleKind, as_inputs, check_lengths, check_names, padded
from perceptory.data.arrays.dataset import ArrayDataset, ArrayEncoder
from perceptory.data.arrays.targets import group_index, read_targets, read_weights
from perceptory.data.tables.table import listed, shown_value
from perceptory.errors import InputError, Setting
from perceptory.notes import Note, other_part
from perceptory.registry import Registry as Names

EXAMPLE_KINDS: Names[ExampleKind] = Names("kind of inputs", {k: k for k in KINDS})
PARTS: Names[str] = Names("part", {"train": "train", "test": "test"})
INPUTS = ("x", "inputs", "images", "data", "features")
TARGETS = ("y", "targets", "target", "labels", "label")
COLORS = {1: ("gray",), 2: ("gray", "alpha"), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


def read_arrays(
    inputs: Any,
    targets: Any = None,
    *,
    task: str | None = None,
    lengths: Any = None,
    weights: Any = None,
    groups: Any = None,
    channels: Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    part: str | None = None,
    kind: str | None = None,
) -> ArrayDataset:
    """Read examples that stand in arrays.

    inputs: [n, *shape] numbers with the channels on the last axis, as an array of any library, the path of a `.npy`
    file, or the path of a `.npz` file (or a dict) that also holds the targets. Its arrays are called x and y, inputs
    and targets, images and labels, or data and target; lengths, weights and groups may be there too. Where they are
    called x_train, y_train, x_test, y_test, `part` says which to read: "train" (what None means) or "test".
    targets: [n] numbers or classes, [n, out] numbers, or [n, time, out] numbers for a value every step. Rows of zeros
    and a single 1 are read as classes.
    kind: "series" ([n, time, channel]), "image" ([n, height, width, channel], or [n, height, width] where gray) or
    "array" (any shape). Found where it is not given: four axes, or three of uint8, are images; three of other numbers
    are series.
    lengths: [n] steps of each series; what stands in later steps is not read. weights: [n], or [n, time] for a value
    every step, at least 0. groups: [n] values, equal for examples that must stay together.
    channels, target: names of the last axis of inputs and targets. task: as in `read_table`.

    Examples without a target are left out, with a note. Raises `InputError` for everything that cannot be read.
    """
    notes: list[Note] = []
    if isinstance(inputs, (str, Path)) and Path(inputs).suffix.lower() == ".npy":
        inputs = load_numpy(Path(inputs))
    if isinstance(targets, (str, Path)):
        targets = load_numpy(Path(targets))
    if isinstance(inputs, (str, Path, Mapping)):
        if targets is not None:
            raise InputError(
                Setting("targets"), " is for arrays; a file or dict that holds the inputs holds the targets as well."
            )
        named = inputs if isinstance(inputs, Mapping) else load_numpy(Path(inputs))
        where = "the dict" if isinstance(inputs, Mapping) else Path(inputs).name
        found, notes = _pick(named, part, where)
        inputs, targets = found["inputs"], found["targets"]
        lengths, weights, groups = (
            found.get(name) if given is None else given
            for name, given in (("lengths", lengths), ("weights", weights), ("groups", groups))
        )
    elif part is not None:
        raise InputError(
            Setting("part"), " is for a .npz file or dict that holds several parts. Give the arrays of that part."
        )
    x, what = shaped(as_inputs(inputs), kind, channels)
    if targets is None:
        raise InputError("the targets are missing: give an array of one value an example, read_arrays(x, y).")
    names = tuple(channels) if channels is not None else channel_names(x, what)
    steps = None
    if lengths is not None:
        if x.ndim != 3 or what != "series":
            raise InputError(f"lengths are for series [n, time, channel], got inputs of the shape {x.shape}.")
        steps = check_lengths(lengths, *x.shape[:2])
        x = padded(x, steps)
    keep, made, target_names, more = read_targets(targets, x, what, task, target, steps)
    dataset = ArrayDataset(
        inputs=x if keep.all() else x[keep],
        channels=names,
        target_names=target_names,
        task=made.task,
        targets=made.targets,
        classes=made.classes,
        class_values=made.class_values,
        weights=read_weights(weights, keep, made.targets, None if steps is None else steps[keep]),
        lengths=None if steps is None else steps[keep],
        groups=None if groups is None else group_index(groups, keep, "examples"),
        notes=(*notes, *more, *made.notes),
        row_numbers=np.flatnonzero(keep).astype(np.int64),
        kind=what,
    )
    ArrayEncoder.fit(dataset)  # raises for missing inputs, and where none varies
    return dataset


def load_numpy(path: Path) -> Any:
    """The array of a `.npy` file, or a dict of the arrays of a `.npz` file. Pickled objects are refused."""
    if path.suffix.lower() not in (".npy", ".npz"):
        raise InputError(f"the file name {path.name!r} has to end in .npy or .npz. Write it with numpy.savez.")
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r} (looked for it in {shown_value(str(Path.cwd()))}).")
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


def _pick(named: Mapping, part: str | None, where: str) -> tuple[dict[str, Any], list[Note]]:
    """One part's arrays by what they are: "inputs", "targets", and, where present, "lengths", "weights", "groups"."""
    part = None if part is None else PARTS[part]
    find = partial(_find, named)
    parts = [p for p in ("train", "test") if find(INPUTS, p) is not None and find(TARGETS, p) is not None]
    plain = find(INPUTS, "") is not None and find(TARGETS, "") is not None
    chosen = part or ("" if plain else "train")
    if not (plain and chosen == "") and chosen not in parts:
        some = f" of the part {part!r}" if part else ""
        raise InputError(
            f"{where} needs arrays x and y (or inputs and targets, images and labels){some}, but holds "
            f"{listed(sorted(map(str, named))) or 'nothing'}. Write it with numpy.savez(path, x=..., y=...), or "
            "x_train, y_train, x_test, y_test for two parts."
        )
    found = {"inputs": find(INPUTS, chosen), "targets": find(TARGETS, chosen)}
    found |= {name: find((name,), chosen) for name in ("lengths", "weights", "groups")}
    notes: list[Note] = []
    if part is None and "test" in parts:
        notes.append(other_part(where, "test", "examples"))
    return found, notes


def _find(named: Mapping, words: Sequence[str], part: str) -> Any:
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
        if (found := _find(loaded, INPUTS, part)) is not None:
            return found
    raise InputError(
        f"{path.name} needs an array x (or inputs, or images) to predict, but holds {listed(loaded) or 'nothing'}. "
        "Write it with numpy.savez(path, x=...)."
    )


def shaped(x: np.ndarray, kind: str | None, channels: Sequence[str] | None) -> tuple[np.ndarray, ExampleKind]:
    """The inputs with an axis of channels, and their kind, found where it is not given."""
    if x.ndim < 2 or 0 in x.shape:
        raise InputError(
            f"inputs need numbers [n, ...] with at least one example, got an array of the shape {x.shape}."
        )
    gray = x.ndim == 3 and x.dtype == np.uint8
    found: ExampleKind = "image" if x.ndim == 4 or gray else "series" if x.ndim == 3 else "array"
    what = found if kind is None else EXAMPLE_KINDS[kind]
    if what == "image" and x.ndim == 3:
        x = x[..., None]
    if what == "series" and x.ndim == 2:
        x = x[..., None]
    wanted = {"image": ("[n, height, width, channel]", 4), "series": ("[n, time, channel]", 3)}.get(what)
    if wanted and x.ndim != wanted[1]:
        raise InputError(f"{what} inputs need the axes {wanted[0]}, got an array of the shape {x.shape}.")
    if what == "image" and channels is None and x.shape[1] in (1, 3) and x.shape[3] > 4:
        raise InputError(
            f"images need their channels on the last axis, [n, height, width, channel], but the shape {x.shape} has "
            "them second. Use numpy.moveaxis(x, 1, -1)."
        )
    if channels is not None:
        check_names(channels, x.shape[-1], "channels")
    return x, what


def channel_names(x: np.ndarray, kind: ExampleKind) -> tuple[str, ...]:
    """Names of the last axis where none are given."""
    if kind == "image" and x.shape[-1] in COLORS:
        return COLORS[x.shape[-1]]
    return tuple(f"x{k}" for k in range(x.shape[-1]))
