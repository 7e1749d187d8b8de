"""How a network uses layers that were trained before: which of them, and how they are trained further."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perceptory.errors import InputError
from perceptory.specs import Search, Spec, below_one, checked, count, is_on, not_negative, traced

TUNED, FROZEN = "tuned", "frozen"


@dataclass(frozen=True)
class LayerRate(Spec):
    """factor: what the steps of one layer are multiplied by; `name` is its number, from "1" on, or the path of its
    arrays or the beginning of one, such as "layers.0"."""

    name: str
    factor: float = traced(1.0, off=0.0, check=not_negative, log=True)


def _layers(name: Any, value: Any) -> None:
    if value is not None:
        count(name, value)


@dataclass(frozen=True, kw_only=True)
class Reuse(Spec):
    """What the specs of a start share. Their fields:

    layers: how many of the layers, counted from the inputs; None takes all that fit.
    train: "tuned", they are trained like the others; "frozen", they stay as they are; or a factor of the learning rate
        by layer, {1: 0.1, 2: 0.5} or {"layers.0": 0.1}, others as usual.
    unfreeze_after: until this share of the epochs is done they rest, whatever `train` says of later; "frozen" layers
        are tuned then. Patience does not count before. 0 is no such phase.
    """

    layers: int | None = checked(None, check=_layers)
    train: Any = TUNED
    unfreeze_after: float = traced(0.0, off=0.0, check=below_one)

    def __post_init__(self) -> None:
        train = self.train
        if isinstance(train, Mapping):
            train = tuple(LayerRate(str(name), factor) for name, factor in train.items())
            object.__setattr__(self, "train", train)
        rates = isinstance(train, tuple) and train and all(isinstance(one, LayerRate | Search) for one in train)
        if not rates and not isinstance(train, Search) and train not in (TUNED, FROZEN):
            raise InputError(
                f"train needs 'tuned', 'frozen', or a factor of the rate by layer, got {train!r}. Example: train={{1:"
                " 0.1}"
            )
        super().__post_init__()

    @property
    def alone(self) -> Reuse:
        """What of it enters a program: whose layers they are does not."""
        return Reuse(train=self.train, unfreeze_after=self.unfreeze_after)

    @property
    def label(self) -> str:
        """Which layers and how they are trained, in a few words."""
        if isinstance(self.train, tuple):
            how = ", ".join(f"{one.name} x {one.factor:.3g}" for one in self.train)
        else:
            how = self.train
        some = "" if self.layers is None else f"{self.layers} layer{'' if self.layers == 1 else 's'} "
        until = f" until {self.unfreeze_after:.3g}" if is_on(self.unfreeze_after) else ""
        return f"{some}{FROZEN if until and how == TUNED else how}{until}"
