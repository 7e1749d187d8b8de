"""Examples from arrays: NumPy and JAX arrays, `.npy` and `.npz` files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from perceptory import files
from perceptory.data.arrays.checks import (
    KINDS,
    ExampleKind,
    as_inputs,
    check_beside,
    check_lengths,
    check_names,
    one_place,
    padded,
)
from perceptory.data.arrays.dataset import ArrayDataset, ArrayEncoder, fits
from perceptory.data.arrays.files import arrays_by_use, load_numpy
from perceptory.data.arrays.targets import group_index, read_targets, read_weights, without_targets
from perceptory.data.labels import Labels
from perceptory.data.tables.labels import labels_of
from perceptory.data.tables.reader import check_no_target
from perceptory.data.tables.sources import as_array
from perceptory.errors import InputError, Setting
from perceptory.notes import Note, target_in_inputs
from perceptory.registry import Registry as Names

NO_TARGETS = (
    "the targets are missing: give an array of one value an example, read_arrays(x, y). Without them, ",
    Setting("task", "autoencode"),
    " learns a code of few numbers from which the examples are given back.",
)
EXAMPLE_KINDS: Names[ExampleKind] = Names("kind of inputs", {k: k for k in KINDS})
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
    like: ArrayDataset | None = None,
    color: Any = None,
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
    channels, target: names of the last axis of inputs and targets. task: as in `read_table`; with "autoencode" there
    are no targets, and a file needs none.
    color: with "autoencode", values [n], such as classes that are known of the examples: figures of the codes are
    colored by them. Those of a file, [n] of its targets, are where nothing else is given.

    like: the data of a study that these examples are to test: read with its kind, task, classes and names, so that one
    example or one class is enough. Neither `task`, `kind`, `channels` nor `target` goes with it.

    Examples without a target are left out, with a note. Raises `InputError` for everything that cannot be read.
    """
    if like is not None:
        if any(value is not None for value in (task, kind, channels, target)):
            raise InputError(Setting("like"), " says task, kind, channels and target already. Leave them out.")
        task, kind, target = like.task, like.kind, like.target_names or None
    unlabeled = check_no_target(task, targets)
    given = _given(_Arrays(inputs, targets, lengths, weights, groups), part, unlabeled)
    if given.targets is None and not unlabeled:
        raise InputError(*NO_TARGETS)
    x, what = shaped(as_inputs(given.inputs), kind, channels)
    if like is not None and x.shape[-1] == len(like.channels):
        channels = like.channels
    if color is not None and not unlabeled:
        raise InputError(Setting("color"), " is for ", Setting("task", "autoencode"), ", which has no target.")
    x, steps = _with_lengths(x, what, given.lengths)
    if unlabeled:
        keep, of_target, target_names, notes = without_targets(len(x))
    else:
        keep, of_target, target_names, notes = read_targets(given.targets, x, what, task, target, steps, like)
    dataset = ArrayDataset(
        inputs=x if keep.all() else x[keep],
        channels=tuple(channels) if channels is not None else channel_names(x, what),
        target_names=target_names,
        task=of_target.task,
        targets=of_target.targets,
        classes=of_target.classes,
        class_values=of_target.class_values,
        weights=read_weights(given.weights, keep, of_target.targets, None if steps is None else steps[keep]),
        lengths=None if steps is None else steps[keep],
        groups=None if given.groups is None else group_index(given.groups, keep, "examples"),
        notes=(*given.notes, *notes, *of_target.notes),
        row_numbers=np.flatnonzero(keep).astype(np.int64),
        kind=what,
        labels=_labels(given.targets if color is None else color, len(x)) if unlabeled else None,
    )
    if like is None:
        return _checked(dataset, given, keep)
    fits(dataset, like)
    return dataset


def _with_lengths(x: np.ndarray, kind: ExampleKind, lengths: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """The inputs with 0 beyond the end of each series, and the steps of each; None where they are whole."""
    if lengths is None:
        return x, None
    if x.ndim != 3 or kind != "series":
        raise InputError(f"lengths are for series [n, time, channel], got inputs of the shape {x.shape}.")
    steps = check_lengths(lengths, *x.shape[:2])
    return padded(x, steps), steps


def _checked(dataset: ArrayDataset, given: _Arrays, keep: np.ndarray) -> ArrayDataset:
    """The examples to learn from, with a note where their inputs hold the target at one place; `InputError` where they
    hold what is given beside them everywhere, for missing inputs, and where none varies."""
    _check_beside(dataset, given, keep)
    place = one_place(dataset.inputs, dataset.targets) if dataset.task == "regression" else None
    if place is not None:
        note = target_in_inputs(dataset.channels[place[-1]], place[:-1])
        dataset = replace(dataset, notes=(*dataset.notes, note))
    ArrayEncoder.fit(dataset)
    return dataset


def _check_beside(dataset: ArrayDataset, given: _Arrays, keep: np.ndarray) -> None:
    """Raise `InputError` where a channel of the inputs holds what is given beside them."""
    targets = dataset.targets if dataset.class_values is None else dataset.class_values[dataset.targets]
    groups = None if given.groups is None else as_array(given.groups)[keep]
    weights = None if given.weights is None else dataset.weights
    check_beside(dataset.inputs, dataset.channels, {"target": targets, "weights": weights, "groups": groups})


def _labels(values: Any, rows: int) -> Labels | None:
    """Values [n] that figures are colored by; None where the targets of a file are none."""
    return None if values is None or np.ndim(values) != 1 else labels_of("class", values, rows)


class _Arrays(NamedTuple):
    """What `read_arrays` was given, before anyone has looked into it."""

    inputs: Any
    targets: Any
    lengths: Any
    weights: Any
    groups: Any
    notes: tuple[Note, ...] = ()


def _given(arrays: _Arrays, part: str | None, unlabeled: bool) -> _Arrays:
    """The arrays, those of a file or dict where the inputs are one."""
    inputs, targets = arrays.inputs, arrays.targets
    if isinstance(inputs, (str, Path)) and Path(inputs).suffix.lower() == ".npy":
        inputs = load_numpy(files.path_of(inputs))
    if isinstance(targets, (str, Path)):
        targets = load_numpy(files.path_of(targets))
    if not isinstance(inputs, (str, Path, Mapping)):
        if part is not None:
            raise InputError(
                Setting("part"), " is for a .npz file or dict that holds several parts. Give the arrays of that part."
            )
        return arrays._replace(inputs=inputs, targets=targets)
    if targets is not None:
        raise InputError(
            Setting("targets"), " is for arrays; a file or dict that holds the inputs holds the targets as well."
        )
    named = inputs if isinstance(inputs, Mapping) else load_numpy(files.path_of(inputs))
    where = "the dict" if isinstance(inputs, Mapping) else Path(inputs).name
    by_use, notes = arrays_by_use(named, part, where, unlabeled)
    beside = {n: by_use.get(n) for n in ("lengths", "weights", "groups") if getattr(arrays, n) is None}
    return arrays._replace(inputs=by_use["inputs"], targets=by_use["targets"], notes=tuple(notes), **beside)


def shaped(x: np.ndarray, kind: str | None, channels: Sequence[str] | None) -> tuple[np.ndarray, ExampleKind]:
    """The inputs with an axis of channels, and their kind, found where it is not given."""
    if x.ndim < 2 or 0 in x.shape:
        raise InputError(
            f"inputs need numbers [n, ...] with at least one example, got an array of the shape {x.shape}."
        )
    gray = x.ndim == 3 and x.dtype == np.uint8
    by_axes: ExampleKind = "image" if x.ndim == 4 or gray else "series" if x.ndim == 3 else "array"
    what = by_axes if kind is None else EXAMPLE_KINDS[kind]
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
