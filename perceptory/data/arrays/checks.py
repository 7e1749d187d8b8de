"""What arrays of examples may hold: numbers of three formats, all finite, of one shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from perceptory.data.series.rolled import values_of
from perceptory.data.tables.beside import no_chance, same_numbers
from perceptory.data.tables.delimited import counted
from perceptory.data.tables.sources import as_array, is_missing
from perceptory.data.tables.table import shown_value
from perceptory.errors import InputError, Piece, Remedy, Setting

ExampleKind = Literal["series", "image", "array"]
KINDS = get_args(ExampleKind)
DTYPES = ("uint8", "float32", "float64")


def unmasked(source: Any) -> Any:
    """Numbers with nan where they are masked, or where a list holds masked ones; everything else as it is."""
    if not isinstance(source, np.ma.MaskedArray):
        held = isinstance(source, list | tuple) and any(isinstance(part, np.ma.MaskedArray) for part in source)
        return as_array(source) if held else source
    if not np.ma.getmaskarray(source).any():
        return np.ma.getdata(source)
    if source.dtype.kind not in "biuf":
        return as_array(source)
    floating = source.dtype if source.dtype.kind == "f" else np.float64
    return np.ma.filled(source.astype(floating), np.nan)


def as_inputs(source: Any, what: str = "inputs") -> np.ndarray:
    """An array of any library as uint8, float32 or float64. Truth values become 0 and 1 in uint8, other numbers the
    smallest floating format that holds them, and what is masked or missing nan. Raises `InputError` for what is not
    numbers. what: their name."""
    _no_frame(source, what)
    array = as_array(unmasked(source))
    if array.dtype.kind == "m" and np.datetime_data(array.dtype)[0] != "generic":  # durations in seconds, as in tables
        array = np.where(np.isnat(array), np.nan, array.astype("m8[us]").astype(np.int64) / 1e6)
    if array.dtype == object:
        array = _numbers_of(array, what)
    name, kind = array.dtype.name, array.dtype.kind
    if name in DTYPES:
        return array.astype(name, copy=False)
    if kind == "b":
        return array.astype(np.uint8)
    if kind in "iu":
        return array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    if kind in "fV" and "float" in name and array.dtype.names is None:  # float16 and bfloat16; longer ones
        return array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    raise InputError(f"the {what} need numbers, got an array of {array.dtype}. Convert them first.")


def _no_frame(source: Any, what: str) -> None:
    """Raise `InputError` for a frame with columns that are no numbers, which means something in a table alone."""
    dtypes = getattr(source, "dtypes", None)
    kinds = list(dtypes) if hasattr(source, "columns") and dtypes is not None else []
    others = [name for name, kind in zip(source.columns, kinds, strict=False) if not _is_numeric(kind)] if kinds else []
    if others:
        raise InputError(
            f"the {what} need numbers, but column {shown_value(str(others[0]))} of the frame holds others. A frame "
            "with categories, dates or texts is read by read_table."
        )


def _is_numeric(kind: Any) -> bool:
    name = str(kind).lower()
    return any(word in name for word in ("int", "float", "double", "bool", "decimal")) and "interval" not in name


def _numbers_of(array: np.ndarray, what: str) -> np.ndarray:
    """Objects as float64, nan where they are missing."""
    try:
        return np.array(array.tolist(), np.float64)
    except (ValueError, TypeError, OverflowError):
        pass
    try:  # one by one, since something may be missing
        plain = np.array(array.tolist(), dtype=object)
        values = [math.nan if is_missing(value) else value for value in plain.flat]
        return np.array(values, np.float64).reshape(plain.shape)
    except (ValueError, TypeError, OverflowError):
        remedy: tuple[Piece, ...] = (
            (" Pad series with zeros to one length", Remedy(" and give ", Setting("lengths")), ".")
            if what == "inputs"
            else (" Convert them first.",)
        )
        raise InputError(
            f"the {what} need an array of numbers, but hold other values, or lists of different lengths.", *remedy
        ) from None


def check_finite(inputs: np.ndarray, kind: ExampleKind, channels: tuple[str, ...], what: str = "inputs") -> None:
    """Raise `InputError`, with the place of the first, where there are missing or infinite inputs. what: their name."""
    if inputs.dtype.kind != "f":
        return
    if np.isfinite(values_of(inputs)).all():
        return
    good = np.isfinite(inputs)
    place = np.unravel_index(int(np.argmin(good)), inputs.shape)
    first = "missing" if np.isnan(inputs[place]) else "infinite"
    axes = {"series": ("step",), "image": ("row", "column")}.get(kind, ("place",) * (inputs.ndim - 2))
    where = [f"example {place[0] + 1}"] + [f"{a} {p + 1}" for a, p in zip(axes, place[1:-1], strict=True)]
    remedy: tuple[Piece, ...] = {
        "series": (
            "Fill them in, or leave those examples out",
            Remedy("; where series end early, give their steps as ", Setting("lengths")),
            ".",
        ),
        "image": ("Fill them in, for example with 0, or leave those images out.",),
        "array": ("Fill them in, or leave those examples out.",),
    }[kind]
    raise InputError(
        f"the {what} need finite numbers, but {int((~good).sum())} are missing or infinite (the first is {first}, in "
        f"{', '.join(where)}, channel {channels[place[-1]]!r}). ",
        *remedy,
    )


def check_lengths(lengths: Any, examples: int, steps: int) -> np.ndarray:
    """[example] int64 from 1 to `steps`; `InputError` for anything else."""
    array = as_array(lengths)
    if array.dtype == object and all(isinstance(v, (int, np.integer)) for v in array.flat):
        array = array.astype(np.int64)
    if array.shape != (examples,) or array.dtype.kind not in "iu":
        raise InputError(
            f"lengths need a whole number for each of {examples} series, got {array.dtype} of the shape {array.shape}."
        )
    if array.min() < 1 or array.max() > steps:
        bad = int(np.argmax((array < 1) | (array > steps)))
        raise InputError(f"lengths need to be from 1 to {steps} steps, got {array[bad]} for example {bad + 1}.")
    return array.astype(np.int64)


def check_names(names: Any, count: int, what: str) -> tuple[str, ...]:
    """Names, each once, as a tuple; `InputError` where there are not `count` of them."""
    given = (names,) if isinstance(names, str) else tuple(names) if isinstance(names, (list, tuple)) else ()
    if len(given) != count or not all(isinstance(n, str) for n in given) or len(set(given)) != count:
        raise InputError(f"{what} needs {counted(count, 'name')}, each once, got {shown_value(names)}.")
    return given


def check_beside(inputs: np.ndarray, channels: Sequence[str], beside: Mapping[str, np.ndarray | None]) -> None:
    """Raise `InputError` where a channel holds, at every place of every example, what is given beside the inputs.

    beside: by what it is, values [n], [n, out] or [n, time, out] of numbers.
    """
    for what, values in beside.items():
        if values is None or values.dtype.kind not in "biuf":
            continue
        each = values.reshape(len(values), 1) if values.ndim == 1 else values
        for k in range(each.shape[-1]):
            one = each[..., k]
            if not no_chance(one.ravel()):
                continue
            spread = one.reshape(one.shape + (1,) * (inputs.ndim - 1 - one.ndim))
            for channel, name in enumerate(channels):
                if _holds(inputs[..., channel], spread):
                    raise InputError(
                        f"the channel {name!r} of the inputs holds the {what} of every example, which is no input. "
                        "Leave it out of them."
                    )


def one_place(inputs: np.ndarray, targets: np.ndarray) -> tuple[int, ...] | None:
    """The place [..., channel] in every example at which numbers [n] or [n, 1] stand as well, if there is one."""
    values = targets.reshape(len(targets), -1)
    if values.shape[1] != 1 or inputs.ndim < 3 or not no_chance(values[:, 0]):
        return None
    flat = inputs.reshape(len(inputs), -1)
    places = np.flatnonzero((flat[:8] == values[:8]).all(axis=0))
    for place in places[:8]:
        if same_numbers(flat[:, place].astype(np.float64), values[:, 0].astype(np.float64)):
            return tuple(int(p) for p in np.unravel_index(place, inputs.shape[1:]))
    return None


def _holds(channel: np.ndarray, values: np.ndarray) -> bool:
    """Whether a channel [n, ...] holds values that broadcast to it; most do not in their first example already."""
    pairs = (channel[:1], values[:1]), (channel, values)
    return all(same_numbers(a.astype(np.float64), np.broadcast_to(b, a.shape).astype(np.float64)) for a, b in pairs)


def padded(array: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The series [n, time, ...] with 0 in all steps from a series' length on; itself where it is so already."""
    beyond = np.arange(array.shape[1]) >= lengths[:, None]
    if not array[beyond].any():  # a missing value counts as one
        return array
    array = array.copy()
    array[beyond] = 0
    return array
