"""Auxiliary objectives: what a network learns beside the target, so that its layers learn more than that teaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perceptory.errors import InputError
from perceptory.objectives.base import Cost
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.specs import Spec, checked, not_negative, traced
from perceptory.wording import one_form

EXAMPLE = 'Auxiliary("another column", weight=0.1)'


class AuxiliaryTarget(Spec):
    """Base of what an auxiliary objective aims at where that is no column: something that the inputs give."""

    @property
    def label(self) -> str:
        return type(self).__name__


@dataclass(frozen=True)
class NextStep(AuxiliaryTarget):
    """The inputs of the next time step, to be predicted at every step; what follows a series' last step is missing.

    For series with a target every step. A network that sees the whole series at every step, such as a bidirectional
    one, would only copy them, and is refused.
    """

    @property
    def label(self) -> str:
        return "next step"


def _target(name: str, value: Any) -> None:
    if not isinstance(value, AuxiliaryTarget | Reconstruction) and not (isinstance(value, str) and value):
        raise InputError(
            name, f" needs the name of a column, NextStep() or Reconstruction(), got {value!r}. Example: {EXAMPLE}"
        )


def _cost(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, Cost):
        raise InputError(name, f" needs a cost, got {value!r}. Example: Auxiliary('depth', cost=Huber())")


def fading(name: str, value: Any) -> None:
    """`InputError` unless it is a share of the training, or None."""
    if value is None:
        return
    not_negative(name, value)
    if not 0 < value <= 1:
        raise InputError(name, f" needs a share of the training above 0 and at most 1, got {value!r}. Example: 0.5")


@dataclass(frozen=True)
class Auxiliary(Spec):
    """One more objective beside the target's: J = J_main + Σ λ J_auxiliary, on outputs of their own (heads) of the same
    network (Caruana 1997, "Multitask learning").

    target: the name of a column, which is then no input and need not be there in use, or of one of several targets; or
        `NextStep()`; or `Reconstruction()`, the inputs themselves with a cost for each column. What is missing in a row
        costs nothing there.
    cost: on the auxiliary target, scaled as this cost wants it; None takes squared error for numbers, the sigmoid or
        softmax likelihood for classes. `Reconstruction()` brings its own.
    weight: λ, at least 0. With 0 the heads are there and teach nothing: what others are compared with.
    fade: the share of the training, above 0 and at most 1, over which λ falls in a straight line to 0; None: never.

    Weight and fade are numbers of the program, so candidates that differ in them alone share one compilation.
    Candidates are validated, stopped, scored and ranked by the main cost alone.
    """

    target: Any = checked(check=_target)
    cost: Cost | None = checked(None, check=_cost)
    weight: float = traced(0.1, check=not_negative, log=True)
    fade: float | None = traced(None, check=fading)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.target, str):
            object.__setattr__(self, "target", one_form(self.target))
        if isinstance(self.target, Reconstruction) and self.cost is not None:
            raise InputError(f"Reconstruction is a cost of its own, so {self.cost!r} is one too many. Leave cost out.")

    @property
    def about(self) -> str:
        """What it aims at, in a word or two: the name of its column."""
        return self.target if isinstance(self.target, str) else str(self.target.label).lower()

    @property
    def strength(self) -> str:
        """Cost, weight and fade in a few words."""
        cost = "" if self.cost is None else f"{self.cost.label} "
        fade = "" if self.fade is None else f" fading over {self.fade:.3g}"
        return f"{cost}{self.weight:.3g}{fade}"

    @property
    def label(self) -> str:
        return auxiliary_label(self)


def auxiliary_parts(value: Any) -> tuple[Any, ...]:
    """One auxiliary objective, several, or None, as a tuple."""
    if value is None:
        return ()
    return tuple(one for one in value if one is not None) if isinstance(value, tuple) else (value,)


def auxiliary_label(value: Any) -> str:
    """What is aimed at and how strongly, in a few words: those of one strength together."""
    alike: dict[str, list[str]] = {}
    for one in auxiliary_parts(value):
        alike.setdefault(one.strength, []).append(one.about)
    return "auxiliary " + ", ".join(f"{' '.join(names)} {strength}" for strength, names in alike.items())
