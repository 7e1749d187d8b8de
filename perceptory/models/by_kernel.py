"""A model's networks applied to rows by the kernel of `kernels.predict`, where they are nothing but layers of neurons.

No program is compiled and JAX is not imported; what comes out is that of `models.forward` up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from perceptory.data.ahead import in_threads
from perceptory.data.tables.features import Features
from perceptory.kernels import predict
from perceptory.kernels.stack import Stack

Finished = Callable[[np.ndarray], np.ndarray]
ROWS_AT_ONCE = 8192
MOST_WEIGHTS = 1 << 18  # of a network: products of larger matrices are XLA's
PLAIN = ("weights", "in_center", "in_factor", "network", "cost", "precision")  # what it is made of


class ByKernel:
    """Of a model's arrays what the kernel takes, made once for each layout of inputs."""

    def __init__(self, model: Any, stack: Stack, link: Callable[[np.ndarray], np.ndarray]):
        self.of = [getattr(model, name) for name in PLAIN]
        self._stack, self._link = stack, link
        self.dtype = np.dtype(np.float64 if model.precision == "double" else np.float32)
        self.common = model.in_center.mean(axis=0)
        self._networks: dict[tuple[int, ...], predict.Networks] = {}

    @classmethod
    def of_model(cls, model: Any) -> ByKernel | None:
        """None where the kernel does not know its networks or is not there. Made once for the arrays that a model
        holds, which cannot be written to from then on: give it others."""
        kept = model.__dict__.get("by_kernel")
        if kept is not None and all(a is getattr(model, name) for a, name in zip(kept[0], PLAIN, strict=True)):
            found: ByKernel | None = kept[1]
            return found
        found = cls._made(model)
        of = [getattr(model, name) for name in PLAIN]
        model.__dict__["by_kernel"] = of, found
        return found

    @classmethod
    def _made(cls, model: Any) -> ByKernel | None:
        link, network = model.cost.host_link, model.network
        if link is None or network.windows is not None or len(model.outputs) != 1:
            return None
        inputs = model.encoder.shape
        stack = network.stack(inputs, model.outputs) if len(inputs) == 1 else None
        if stack is None or stack.parametric or stack.dropout or stack.weights > MOST_WEIGHTS:
            return None
        if not predict.accepts(np.float64 if model.precision == "double" else np.float32):
            return None
        for array in (model.weights, model.in_center, model.in_factor):
            array.flags.writeable = False
        return cls(model, stack, link)

    def of_inputs(self, inputs: np.ndarray, finished: Finished) -> np.ndarray:
        """[k, row, out] of encoded inputs [row, in]. finished: of what `Cost.inverse_link` gives of some rows, on the
        trained scale."""
        networks = self._with((), inputs.shape[1])

        def rows(at: slice) -> predict.Rows:
            with np.errstate(over="ignore"):
                x = (inputs[at] - self.common).astype(self.dtype)
            return predict.Rows(x, np.zeros((0, len(x)), np.int8))

        return self._outputs(networks, rows, len(inputs), finished)

    def of_features(self, features: Features, finished: Finished) -> np.ndarray:
        """As `of_inputs`, of a table's features, none of which is made but the numbers."""
        networks, numbers = self._with(features.layout, features.width), features.numbers
        codes = np.stack(features.codes) if features.codes else np.zeros((0, features.rows), np.int8)
        of_numbers = self.common[_places_of_numbers(features.layout)] if features.layout else self.common

        def rows(at: slice) -> predict.Rows:
            if numbers is None:
                return predict.Rows(np.zeros((at.stop - at.start, 0), self.dtype), codes[:, at])
            with np.errstate(over="ignore"):
                x = (numbers.by_column(at) - of_numbers[:, None]).astype(self.dtype)
            return predict.Rows(x.T, codes[:, at])

        return self._outputs(networks, rows, features.rows, finished)

    def _with(self, layout: tuple[int, ...], width: int) -> predict.Networks:
        if layout not in self._networks:
            weights, center, factor = self.of[:3]
            shift = (self.common - center).astype(self.dtype)
            self._networks[layout] = predict.Networks(
                self._stack, weights, self.common, shift, factor.astype(self.dtype), layout, self.dtype
            )
        return self._networks[layout]

    def _outputs(
        self, networks: predict.Networks, rows: Callable[[slice], predict.Rows], count: int, finished: Finished
    ) -> np.ndarray:
        def part(at: slice) -> np.ndarray:
            out = np.empty((networks.members, at.stop - at.start, networks.outputs), self.dtype)
            networks(rows(at), out)
            return finished(self._link(out))

        if count <= ROWS_AT_ONCE:
            return part(slice(0, count))
        none = finished(self._link(np.empty((networks.members, 0, networks.outputs), self.dtype)))
        whole = np.empty((len(none), count, *none.shape[2:]), none.dtype)

        def kept(at: slice) -> None:
            whole[:, at] = part(at)

        for _ in in_threads(kept, [slice(i, min(i + ROWS_AT_ONCE, count)) for i in range(0, count, ROWS_AT_ONCE)]):
            pass
        return whole


def _places_of_numbers(layout: Sequence[int]) -> np.ndarray:
    """[number] places of the numbers among the inputs."""
    ends = np.cumsum([abs(run) or 1 for run in layout])
    return np.concatenate([np.arange(end - max(run, 0), end) for run, end in zip(layout, ends, strict=True)])
