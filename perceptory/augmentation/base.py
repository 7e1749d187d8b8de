"""What every augmentation offers, and how several follow one another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np

from perceptory.errors import InputError
from perceptory.specs import Spec

PLURAL = {"table": "tables", "series": "series", "image": "images", "array": "arrays"}
STREAM = 0x61756720  # tells the keys of augmentation from those of dropout and noise in the same step


class About(NamedTuple):
    """What an augmentation may need to know of the inputs."""

    varies: Any  # [in] 1 for an input with more than two values; 0 for a constant, a category's or a yes-no input
    zero: Any  # [in] what 0 in the data is on the scale of training
    columns: tuple[int, ...] = ()  # [in] of a table, which column an input is of; () where every input is its own
    target_columns: tuple[int, ...] = ()  # [target] likewise, of an autoencoder's targets
    own: bool = False  # whether the targets are the inputs themselves, as they are before noise


class Augmentation(Spec):
    """Base of augmentations. Each training step sees its batch changed anew; validation and use see no change.

    Batches are scaled: an input has mean 0 and standard deviation 1 over the fold's training rows, and so has a target
    of a regression. All strengths are traced; one of 0 is left out of the program.
    """

    kinds: ClassVar[tuple[str, ...]] = ()  # of data that it suits: "table", "series", "image", "array"

    def apply(self, x: jax.Array, t: jax.Array, lengths: Any, about: About, key: jax.Array) -> tuple[Any, Any]:
        """The changed inputs x [batch, *inputs] and targets t [batch, *outputs], of the same shapes.

        lengths: [batch] int32, steps from there on are padding; None where there are none.
        """
        raise NotImplementedError

    def check(self, kind: str, task: str) -> None:
        """Raise `InputError` where the data are of another kind."""
        if kind not in self.kinds:
            fit = " and ".join(PLURAL[k] for k in self.kinds)
            raise InputError(
                f"{type(self).__name__} is for {fit}, but the data are {KIND_NAMES[kind]}. {REMEDIES[kind]}"
            )

    @property
    def label(self) -> str:
        """The strengths that are not 0: "shift 2 rotate 10"."""
        import dataclasses

        numbers = [(f.name, getattr(self, f.name)) for f in dataclasses.fields(self)]
        on = [f"{name} {value:.3g}" for name, value in numbers if isinstance(value, float | int) and value]
        return " ".join(on) or f"{type(self).__name__} of strength 0"


KIND_NAMES = PLURAL | {"table": "a table"}
REMEDIES = {
    "table": "Use TableAugmentation.",
    "series": "Use SeriesAugmentation.",
    "image": "Use ImageAugmentation.",
    "array": "Use TableAugmentation, or say what they are: read_arrays(..., kind='image').",
}


def parts(augmentation: Any) -> tuple[Augmentation, ...]:
    """One augmentation, several, or None, as a tuple."""
    if augmentation is None:
        return ()
    return augmentation if isinstance(augmentation, tuple) else (augmentation,)


def augmentation_label(augmentation: Any) -> str:
    """What is done and how strongly, in a few words."""
    return "augment " + " ".join(one.label for one in parts(augmentation))


def varying(columns: Iterable[tuple[int, np.ndarray]], inputs: int) -> tuple[bool, ...]:
    """For each input (of the last axis) whether it has more than two values: noise has no sense for the others.

    columns: (place, all its numbers) of inputs that may have. inputs: how many there are.
    """

    def several(column: np.ndarray) -> bool:
        if column.dtype.kind == "f":
            column = column[~np.isnan(column)]
        return column.size > 0 and bool(np.any((column != np.min(column)) & (column != np.max(column))))

    wide = [False] * inputs
    for k, column in columns:
        wide[k] = several(column)
    return tuple(wide)


def augmented(augmentation: Any, batch: Any, about: About, key: jax.Array) -> Any:
    """The batch (a named tuple with x, t and lengths) after one augmentation, or several in turn. key: the step's."""
    key, x, t = jax.random.fold_in(key, STREAM), batch.x, batch.t
    for i, one in enumerate(parts(augmentation)):
        x, t = one.apply(x, t, batch.lengths, about, jax.random.fold_in(key, i) if i else key)
    return batch._replace(x=x, t=t)
