"""What networks of kernel neurons give for rows of a table, by a kernel that Python calls itself: `neurons.cc`."""

from __future__ import annotations

from ctypes import Structure, byref, c_int, c_int64, c_void_p
from typing import Any, NamedTuple

import numpy as np

from perceptory.kernels import build
from perceptory.kernels.predict import below
from perceptory.kernels.stack import LANES

KINDS = {"laplacian": 0, "exponential": 1, "gaussian": 2}


class Centers(NamedTuple):
    """k networks, as `layers.kernel.KernelMachine` has one, in which center, factor and edges are those of its scaling:
    center, factor [k, number]; edges [k, number, bins + 1] or None; narrowness [k, feature]; centers [k, center,
    feature]; strengths [k, center, out]; weight [k, feature, out]; bias [k, out]. Features are the numbers, then the
    flags, from these places among the inputs."""

    kernel: str
    numbers: tuple[int, ...]
    flags: tuple[int, ...]
    center: np.ndarray
    factor: np.ndarray
    edges: np.ndarray | None
    narrowness: np.ndarray
    centers: np.ndarray
    strengths: np.ndarray
    weight: np.ndarray
    bias: np.ndarray


ARRAYS = ("places", "shift", "factor", "center", "scale", "edges", "below", "narrow", "b", "g", "base", "alpha",
          "weight", "bias")  # fmt: skip


class _Machines(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("members", "inputs", "numbers", "flags", "outputs", "bins", "count")),
        *((name, c_void_p) for name in ARRAYS),
    )


def accepts(dtype: Any) -> bool:
    """Whether the kernel is there and computes in this type."""
    return build.loads("neurons", np.dtype(dtype).name)


class Machines:
    """k networks as the kernel takes them, made once.

    shift, factor: [k, in]; inputs are scaled by (x + shift) · factor, and 0 where they are missing then.
    """

    def __init__(self, of: Centers, shift: np.ndarray, factor: np.ndarray, dtype: Any):
        self.dtype, self._kind = np.dtype(dtype), KINDS[of.kernel]
        self.members, self.inputs = factor.shape
        self.outputs, numbers = of.bias.shape[1], len(of.numbers)
        strong = np.flatnonzero(np.any(of.strengths != 0, axis=(0, 2)))  # folds have fewer rows than the study
        count = -(-max(1, len(strong)) // (2 * LANES)) * 2 * LANES
        room = (0, 0), (0, count - len(strong)), (0, 0)
        c, alpha = (np.pad(a[:, strong].astype(float), room) for a in (of.centers, of.strengths))
        narrow = of.narrowness[:, None].astype(float)  # products in double precision are rounded once, as the rows' are
        apart, flags = c[..., :numbers] * narrow[..., :numbers], c[..., numbers:]
        if of.kernel == "laplacian":
            base, g = (flags * narrow[..., numbers:]).sum(axis=2), 2 * flags
        else:
            g = flags * narrow[..., numbers:]
            base, g = (g * g).sum(axis=2), 2 * g
        edges = np.zeros((self.members, numbers, 1)) if of.edges is None else of.edges
        arrays = {
            "shift": shift, "factor": factor, "center": of.center, "scale": of.factor,
            "edges": edges, "below": below(edges), "narrow": of.narrowness,
            "b": apart.swapaxes(1, 2), "g": g.swapaxes(1, 2), "base": base, "alpha": alpha.swapaxes(1, 2),
            "weight": of.weight.swapaxes(1, 2), "bias": of.bias,
        }  # fmt: skip
        self._arrays = {name: np.ascontiguousarray(array, self.dtype) for name, array in arrays.items()}
        self._arrays["places"] = np.array([*of.numbers, *of.flags], np.int64)
        bins = 0 if of.edges is None else of.edges.shape[2] - 1
        self._described = _Machines(
            self.members, self.inputs, numbers, len(of.flags), self.outputs, bins, count,
            *(self._arrays[name].ctypes.data for name in ARRAYS),
        )  # fmt: skip
        self._run = build.library("neurons", self.dtype.name).neurons_outputs

    def __call__(self, x: np.ndarray, out: np.ndarray) -> None:
        """Write what the networks give for rows x [row, in] into out [k, row, out]."""
        fits = out.shape == (self.members, len(x), self.outputs) and x.shape[1:] == (self.inputs,)
        if not fits or not (x.dtype == out.dtype == self.dtype and x.flags.c_contiguous and out.flags.c_contiguous):
            raise ValueError("the arrays of a prediction do not fit together")
        count, from_member = c_int64(len(x)), c_int64(len(x) * self.outputs)
        data, to = c_void_p(x.ctypes.data), c_void_p(out.ctypes.data)
        if self._run(byref(self._described), c_int(self._kind), count, data, c_int64(self.inputs), to, from_member):
            raise MemoryError
