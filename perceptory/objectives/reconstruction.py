"""The cost of autoencoders: how far what the network gives back is from its own inputs, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from perceptory.errors import InputError
from perceptory.later import later
from perceptory.objectives.base import Cost, diagonal, on_diagonal
from perceptory.objectives.classification import SoftmaxCrossEntropy
from perceptory.specs import checked

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax, jnp = later("jax", "jax.numpy")


class Part(NamedTuple):
    """The targets of one column: `places` of the target axis that hold it."""

    kind: str  # "number" or "class"
    places: slice


def _kinds(name: Any, value: Any) -> None:
    if not isinstance(value, tuple) or not set(value) <= {"number", "class"}:
        raise InputError(name, f' needs a tuple of "number" and "class", got {value!r}. A study fills it in.')


@dataclass(frozen=True)
class Reconstruction(Cost):
    """Σ over columns of a cost that is ½ for the best constant: squared error of numbers, cross-entropy of classes.

    A number is at mean 0 and deviation 1, so a constant costs ½ on average: ½ (y - t)², the mean over its features
    where it has several (a date). A category with the shares p costs its cross-entropy divided by twice the entropy of
    p, so that a wide one weighs as much as any other. What is missing costs nothing. Twice the cost of a column, its
    mean over rows, is thus the share of its variance (or entropy) that is not reconstructed: the score of a study.

    kinds, widths: of each column of a table, "number" or "class" and how many targets it has; a study fills them in
    from its data. channels: of series, images and arrays, whose targets are all numbers, channels last.

    A network has one output for each target, those of a class being logits.
    """

    tasks: ClassVar[tuple[str, ...]] = ("autoencode",)
    masks: ClassVar[bool] = True
    kinds: tuple[str, ...] = checked((), check=_kinds)
    widths: tuple[int, ...] = ()
    channels: int = 1

    @property
    def columns(self) -> int:
        """How many errors `errors` gives a row."""
        return len(self.kinds) or self.channels

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        if not self.kinds:
            there = ~jnp.isnan(target)
            return 0.5 * jnp.sum(jnp.where(there, output - jnp.where(there, target, 0), 0) ** 2, axis=-1)
        return jnp.sum(self._by_column(output, target), axis=-1)

    def errors(self, output: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        """[row, column] the share of each column's variance or entropy that a row adds, NaN where it is missing; of
        series the mean over the steps of weight [row, time] above 0, of images over all places.

        output, target: [row, target], or [row, time, target].
        """
        if self.kinds:
            known = jnp.stack([~jnp.isnan(target[..., part.places.start]) for part in self._parts()], axis=-1)
            return jnp.where(known, 2 * self._by_column(output, target), jnp.nan)
        squared = (output - target) ** 2
        if output.ndim == 3:
            counts = (weight > 0)[..., None] & ~jnp.isnan(squared)
            return jnp.sum(jnp.where(counts, squared, 0), axis=1) / jnp.sum(counts, axis=1)
        return jnp.nanmean(squared.reshape(len(squared), -1, self.channels), axis=1)

    def working_response(self, target: jax.Array) -> jax.Array:
        """Numbers as they are, 0 where missing; of a class k t - 1, t being 0 or 1 and k the number of classes."""
        pieces = []
        for part in self._parts(target.shape[-1]):
            t = target[..., part.places]
            if part.kind == "class":
                total = jnp.sum(t, axis=-1, keepdims=True)
                t = t.shape[-1] * t / jnp.where(total > 0, total, 1) - 1
            pieces.append(jnp.where(jnp.isnan(t), 0, t))
        return jnp.concatenate(pieces, axis=-1)

    def curvature(self, output: jax.Array, target: jax.Array) -> jax.Array:
        blocks = []
        for part in self._parts(target.shape[-1]):
            z, t = output[..., part.places], target[..., part.places]
            there = ~jnp.isnan(t)
            if part.kind == "class":
                scale = jnp.sum(jnp.where(there, t, 0), axis=-1)
                blocks.append(scale[..., None, None] * SoftmaxCrossEntropy().curvature(z, t))
            else:
                blocks.append(diagonal(there.astype(output.dtype)))
        return on_diagonal(blocks)

    def inverse_link(self, output: jax.Array) -> jax.Array:
        parts = [
            jax.nn.softmax(output[..., part.places]) if part.kind == "class" else output[..., part.places]
            for part in self._parts(output.shape[-1])
        ]
        return jnp.concatenate(parts, axis=-1)

    def scale_targets(self, center: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A number is divided so that the squares of its features add up to 1 on average. A class is divided by twice
        its entropy, which follows from its shares, the centers; its sum over the classes then is the weight of its
        cross-entropy."""
        center, scale = np.array(center, float), np.array(scale, float)
        for part in self._parts(len(center)) if self.kinds else ():
            here = part.places
            if part.kind == "class":
                shares = center[here][center[here] > 0]
                entropy = -float(np.sum(shares * np.log(shares)))
                center[here], scale[here] = 0.0, 2 * entropy if entropy > 0 else 1.0
            else:
                scale[here] *= (here.stop - here.start) ** 0.5
        return center, scale

    def unscale(self, prediction: Any, center: Any, scale: Any) -> Any:
        """Numbers in their own units; probabilities as they are."""
        numbers = np.concatenate(
            [np.full(p.places.stop - p.places.start, p.kind == "number") for p in self._parts(prediction.shape[-1])]
        )
        return np.where(numbers, prediction * scale + center, prediction)

    def _by_column(self, output: jax.Array, target: jax.Array) -> jax.Array:
        """[..., column] costs, 0 where missing."""
        costs = []
        for part in self._parts():
            z, t = output[..., part.places], target[..., part.places]
            missing = jnp.isnan(t)
            t = jnp.where(missing, 0, t)
            if part.kind == "class":
                costs.append(-jnp.sum(t * jax.nn.log_softmax(z, axis=-1), axis=-1))
            else:
                costs.append(0.5 * jnp.sum(jnp.where(missing, 0, z - t) ** 2, axis=-1))
        return jnp.stack(costs, axis=-1)

    def _parts(self, targets: int = 0) -> Iterator[Part]:
        """The columns' places among the targets, in their order; without `kinds` all are one."""
        if not self.kinds:
            yield Part("number", slice(0, targets))
            return
        start = 0
        for kind, width in zip(self.kinds, self.widths, strict=True):
            yield Part(kind, slice(start, start + width))
            start += width
