"""What stacks of layers of neurons give for rows of a table, by a kernel that Python calls itself: `predict.cc`.

Neither JAX nor a compiled program is needed, categories are looked up instead of multiplied, and several threads may
call it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
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


class _Networks(Structure):
    _fields_ = (
        ("members", c_int64), ("layers", c_int64), ("numbers", c_int64), ("inputs", c_int64), ("groups", c_int64),
        ("n", c_void_p), ("sizes", c_void_p), ("of", c_void_p), ("kind", c_void_p), ("parameter", c_void_p),
        ("scaling", c_void_p), ("weights", c_void_p), ("each", c_int64),
    )  # fmt: skip


def accepts(dtype: Any) -> bool:
    """Whether the kernel is there and computes in this type."""
    return build.loads("predict", np.dtype(dtype).name)


class Networks:
    """k networks as the kernel takes them, made once.

    weights: [k, weight] in the order of `Stack`. common, shift, factor: inputs [in] less `common` are scaled by (x +
    shift) · factor with shift and factor [k, in], and 0 where they are missing then; numbers come without `common`.
    layout: of the inputs, as `Features.layout`.
    """

    def __init__(
        self, stack: Stack, weights: np.ndarray, common: np.ndarray, shift: np.ndarray, factor: np.ndarray,
        layout: Sequence[int], dtype: Any,
    ):  # fmt: skip
        self.dtype, self.outputs = np.dtype(dtype), stack.widths[-1]
        runs = list(layout) if layout else [stack.widths[0]]
        ends = np.cumsum([abs(run) or 1 for run in runs])
        spans = [(run, np.arange(end - (abs(run) or 1), end)) for run, end in zip(runs, ends, strict=True)]
        multiplied = [places for run, places in spans if run >= 0]
        self._of = _numbers_of([run for run, _ in spans])
        apart = factor * (np.array([[[0.0]], [[1.0]]]) - common + shift)  # an input of 0 and one of 1, scaled
        none, one = apart.astype(self.dtype)
        scaling = [np.stack([none, one] if run == 0 else [shift, factor], -1)[:, at] for run, at in spans if run >= 0]
        parts, at = [], 0
        for place, (n, wide) in enumerate(pairwise(stack.widths)):
            w, b = weights[:, at : at + n * wide].reshape(-1, n, wide), weights[:, at + n * wide :][:, :wide]
            at += (n + 1) * wide
            if place == 0:
                parts += [_table(w[:, places], none[:, places], one[:, places]) for run, places in spans if run < 0]
                w = w[:, np.concatenate(multiplied)] if multiplied else w[:, :0]
            if place and place + 2 == len(stack.widths) and wide <= NARROW:
                parts += [_filled(w.swapaxes(1, 2)), b[:, None]]
            else:
                parts += [_filled(w), _filled(b[:, None])]
        all_parts = np.concatenate([part.reshape(len(weights), -1) for part in parts], axis=1)
        self._weights = np.ascontiguousarray(all_parts, self.dtype)
        scaled = np.concatenate(scaling or [np.zeros((len(weights), 0, 2))], axis=1)
        self._scaling = np.ascontiguousarray(scaled, self.dtype)
        self._widths = np.array(stack.widths, np.int64)
        self._sizes = np.array([-run for run in runs if run < 0], np.int64)
        self._kinds = np.array([KINDS[name] for name, _ in stack.activations], np.int32)
        self._parameters = np.array([parameter for _, parameter in stack.activations], np.float64)
        self.members, self.numbers = len(weights), sum(run for run in runs if run > 0)
        arrays = (self._widths, self._sizes, self._of, self._kinds, self._parameters, self._scaling, self._weights)
        self._described = _Networks(
            self.members, len(stack.widths) - 1, self.numbers, len(self._of), len(self._sizes),
            *(array.ctypes.data for array in arrays), self._weights.shape[1],
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


def _table(w: np.ndarray, none: np.ndarray, one: np.ndarray) -> np.ndarray:
    """[k, 1 + feature, unit] what features of which one is 1, or none, add to weighted sums. w: [k, feature, unit];
    none, one: [k, feature] as scaled."""
    without = np.einsum("kf,kfu->ku", none.astype(float), w.astype(float))[:, None]
    return _filled(np.concatenate([without, without + (one - none).astype(float)[:, :, None] * w], axis=1))


def _filled(w: np.ndarray) -> np.ndarray:
    """[..., unit] with zeros up to whole lanes."""
    more = filled(w.shape[-1]) - w.shape[-1]
    return np.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, more)]) if more else w
