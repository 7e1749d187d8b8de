"""What stacks of layers of neurons give for rows of a table, by a kernel that Python calls itself: `predict.cc`.

Neither JAX nor a compiled program is needed, categories are looked up instead of multiplied, and several threads may
call it at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import Structure, byref, c_int64, c_void_p
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from perceptory.kernels import build
from perceptory.kernels.stack import KINDS, Stack, filled

NARROW = 3  # as in layers.h


class Rows(NamedTuple):
    """Rows of a table. numbers: [row, number] of the kernel's type, with any strides, NaN where missing; codes: [group,
    row] int8, which of a column's features is 1, -1 for none."""

    numbers: np.ndarray
    codes: np.ndarray


class _Rows(Structure):
    _fields_ = (
        ("rows", c_int64), ("from_row", c_int64), ("from_number", c_int64), ("x", c_void_p),
        ("from_group", c_int64), ("codes", c_void_p),
    )  # fmt: skip


SIZES = ("members", "layers", "numbers", "inputs", "groups")
LAYERS = ("n", "sizes", "of", "kind", "parameter", "scaling", "weights")
COLUMN_SIZES = ("each", "embedded", "width", "bins", "parametric", "placed", "steps")
COLUMNS = ("column", "most", "place_edges", "below", "edges", "sums", "turns", "waves", "bias")


class _Networks(Structure):
    _fields_ = tuple(
        (name, kind)
        for names, kind in ((SIZES, c_int64), (LAYERS, c_void_p), (COLUMN_SIZES, c_int64), (COLUMNS, c_void_p))
        for name in names
    )


def accepts(dtype: Any) -> bool:
    """Whether the kernel is there and computes in this type."""
    return build.loads("predict", np.dtype(dtype).name)


class Columns(NamedTuple):
    """What k networks for tables make of their scaled inputs, as `layers.tabular.Tabular` does.

    numbers: places of the inputs that are numbers; the others are flags. center, factor: [k, in]. places: [k, number,
    step + 1] edges of bins among which a number becomes its place, or None. most: [k] of the smooth clip, 0 for none.
    scale: [k, feature] of the numbers, what stands beside them, and the flags. beside: of what stands beside numbers
    the arrays by name: "edges" [k, number, bins + 1] and "weight" [k, number, bins, width], or "frequency" and "phase"
    [k, number, bins], "weight" and "bias" [k, number, width]; {} for nothing.
    """

    numbers: tuple[int, ...]
    center: np.ndarray
    factor: np.ndarray
    places: np.ndarray | None
    most: np.ndarray
    scale: np.ndarray
    beside: Mapping[str, np.ndarray]


class Networks:
    """k networks as the kernel takes them, made once.

    weights: [k, weight] in the order of `Stack`. common, shift, factor: inputs [in] less `common` are scaled by (x +
    shift) · factor with shift and factor [k, in], and 0 where they are missing then; numbers come without `common`.
    layout: of the inputs, as `Features.layout`. columns: of networks for tables, whose stack begins with its features.
    """

    def __init__(
        self, stack: Stack, weights: np.ndarray, common: np.ndarray, shift: np.ndarray, factor: np.ndarray,
        layout: Sequence[int], dtype: Any, columns: Columns | None = None,
    ):  # fmt: skip
        self.dtype, self.outputs, self.members = np.dtype(dtype), stack.widths[-1], len(weights)
        runs = list(layout) if layout else [len(common)]
        ends = np.cumsum([abs(run) or 1 for run in runs])
        spans = [(run, np.arange(end - (abs(run) or 1), end)) for run, end in zip(runs, ends, strict=True)]
        dense = np.concatenate([np.zeros(0, int), *(places for run, places in spans if run >= 0)])
        of = _numbers_of(runs)
        first = () if columns is None else columns.numbers
        order = np.argsort(~np.isin(dense, first), kind="stable")
        dense, of = dense[order], of[order]
        none, one = (factor * (value - common + shift) for value in (0.0, 1.0))  # an input of 0 and one of 1, scaled
        scaling = np.where(
            (of < 0)[:, None], np.stack([none, one], -1)[:, dense], np.stack([shift, factor], -1)[:, dense]
        )
        (w, bias, _), *others = _layers(stack, weights)
        beside = w[:, :0]
        if columns is not None:
            none, one = (_as_column(columns, v) for v in (none, one))
            w, beside = _by_input(columns, w)
        parts = [_table(w[:, places], none[:, places], one[:, places]) for run, places in spans if run < 0]
        parts += [_filled(np.concatenate([w[:, dense], beside], axis=1)), _filled(bias)]
        for place, (w, b, a) in enumerate(others, 1):
            parts += [] if a is None else [_filled(a)]
            narrow = place == len(others) and w.shape[2] <= NARROW
            parts += [_filled(w.swapaxes(1, 2)), b] if narrow else [_filled(w), _filled(b)]
        self.numbers = sum(run for run in runs if run > 0)
        self._sizes = np.array([-run for run in runs if run < 0], np.int64)
        weights = np.concatenate([part.reshape(self.members, -1) for part in parts], axis=1)
        whole = {
            "n": np.array(stack.widths, np.int64), "sizes": self._sizes, "of": of,
            "kind": np.array([KINDS[name] for name, _ in stack.activations], np.int32),
            "parameter": np.array([parameter for _, parameter in stack.activations], np.float64),
        }  # fmt: skip
        rounded = {"scaling": scaling, "weights": weights}
        sizes: dict[str, int] = {"each": weights.shape[1], "parametric": stack.parametric}
        if columns is not None:
            rounded["column"] = np.stack([columns.center, columns.factor], -1)[:, dense]
            rounded |= _of_columns(columns)
            sizes |= _sizes_of(columns)
        self._arrays = whole | {name: np.ascontiguousarray(a, self.dtype) for name, a in rounded.items()}
        self._described = _Networks(
            self.members, len(stack.widths) - 1, self.numbers, len(of), len(self._sizes), **sizes,
            **{name: array.ctypes.data for name, array in self._arrays.items()},
        )  # fmt: skip
        self._run = build.library("predict", self.dtype.name).predict_outputs

    def __call__(self, rows: Rows, out: np.ndarray) -> None:
        """Write what the networks give for these rows into out [k, row, out], whose rows and outputs lie together."""
        x, codes = rows
        count, size = len(x), self.dtype.itemsize
        fits = out.shape == (self.members, count, self.outputs) and codes.shape == (len(self._sizes), count)
        fits = fits and x.shape == (count, self.numbers) and x.dtype == out.dtype == self.dtype
        fits = fits and out[0].flags.c_contiguous and (codes.size < 2 or codes.strides[1] == 1)
        if not fits or codes.dtype != np.int8 or ((codes < -1) | (codes >= self._sizes[:, None])).any():
            raise ValueError("the arrays of a prediction do not fit together")
        table = _Rows(
            count, x.strides[0] // size, x.strides[1] // size, x.ctypes.data, codes.strides[0], codes.ctypes.data
        )
        if self._run(byref(self._described), byref(table), c_void_p(out.ctypes.data), c_int64(out.strides[0] // size)):
            raise MemoryError


def _numbers_of(runs: Sequence[int]) -> np.ndarray:
    """[input] of what is multiplied: the place of its number, of a flag -1 less the place of the number before it."""
    found: list[int] = []
    number = 0
    for run in runs:
        if run > 0:
            found += range(number, number + run)
            number += run
        elif run == 0:
            found.append(-number)  # -1 - (number - 1)
    return np.array(found, np.int32)


def _layers(stack: Stack, weights: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Of each layer W [k, in, out], b [k, 1, out], and a [k, 1, in] of the hidden layer before it, or None."""
    layers: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []
    strength: np.ndarray | None = None
    at = 0
    for place, (n, wide) in enumerate(pairwise(stack.widths)):
        w, b = weights[:, at : at + n * wide].reshape(-1, n, wide), weights[:, None, at + n * wide :][..., :wide]
        at += (n + 1) * wide
        layers.append((w, b, strength))
        if stack.parametric and place + 2 < len(stack.widths):
            strength, at = weights[:, None, at : at + wide], at + wide
    return layers


def _as_column(columns: Columns, v: np.ndarray) -> np.ndarray:
    """[k, in] what becomes of scaled inputs."""
    u, most = (v - columns.center) * columns.factor, columns.most[:, None]
    return u / np.sqrt(1 + (u / np.where(most > 0, most, np.inf)) ** 2)


def _by_input(columns: Columns, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first layer's weights times the features' scale: those of the inputs [k, in, unit], and of what stands beside
    the numbers."""
    w = w * columns.scale[:, :, None]
    inputs, numbers = columns.center.shape[1], list(columns.numbers)
    end = w.shape[1] - (inputs - len(numbers))
    found = np.zeros((len(w), inputs, w.shape[2]))
    found[:, numbers] = w[:, : len(numbers)]
    found[:, [place for place in range(inputs) if place not in columns.numbers]] = w[:, end:]
    return found, w[:, len(numbers) : end]


def _sizes_of(columns: Columns) -> dict[str, int]:
    """Of what `_of_columns` gives."""
    found: dict[str, int] = {}
    if columns.places is not None:
        found |= {"placed": columns.places.shape[1], "steps": columns.places.shape[2] - 1}
    if columns.beside:
        found |= dict(zip(("embedded", "bins", "width"), columns.beside["weight"].shape[1:], strict=True))
    return found


def _of_columns(columns: Columns) -> dict[str, np.ndarray]:
    """Arrays as the kernel takes them. sums: [k, number, bins, 2, width] of the vectors of the bins below less half of
    all, and beside them the bin's own vector, 0 where it has no width."""
    found = {"most": columns.most}
    if columns.places is not None:
        found |= {"place_edges": columns.places, "below": below(columns.places)}
    if "edges" in columns.beside:
        edges, vectors = columns.beside["edges"], columns.beside["weight"].astype(float)
        own = vectors * (np.diff(edges, axis=2) > 0)[..., None]
        lower = np.cumsum(own, axis=2) - own - 0.5 * vectors.sum(axis=2, keepdims=True)
        found |= {"edges": edges, "sums": np.stack([lower, own], axis=3)}
    elif columns.beside:
        frequency, phase, weight, bias = (columns.beside[name] for name in ("frequency", "phase", "weight", "bias"))
        turns = np.stack([frequency, phase.astype(float) / (2 * np.pi)], axis=3)
        found |= {"turns": turns, "waves": weight, "bias": bias}
    return found


def below(edges: np.ndarray) -> np.ndarray:
    """[..., bins + 1] how many bins that have a width lie below each, and how many there are; edges: the same shape."""
    width = (np.diff(edges, axis=-1) > 0).astype(float)
    return np.cumsum(np.pad(width, [(0, 0)] * (edges.ndim - 1) + [(1, 0)]), axis=-1)


def _table(w: np.ndarray, none: np.ndarray, one: np.ndarray) -> np.ndarray:
    """[k, 1 + feature, unit] what features of which one is 1, or none, add to weighted sums. w: [k, feature, unit];
    none, one: [k, feature] as scaled."""
    without = np.einsum("kf,kfu->ku", none.astype(float), w.astype(float))[:, None]
    return _filled(np.concatenate([without, without + (one - none).astype(float)[:, :, None] * w], axis=1))


def _filled(w: np.ndarray) -> np.ndarray:
    """[..., unit] with zeros up to whole lanes."""
    more = filled(w.shape[-1]) - w.shape[-1]
    return np.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, more)]) if more else w
