"""When to give up a candidate: all of its folds advance together, so its mean over them is known before the end.

Successive halving (Karnin, Koren & Somekh 2013; Jamieson & Talwalkar 2016, AISTATS) with factor η and C candidates:
after E η^(r - R) of E epochs, r = 0 ... R - 1, the best ⌈C / η^(r + 1)⌉ go on, so that each rung costs about the same.
Whoever is best only late is lost; the share of the epochs before the first rung is what guards against that.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import ceil, floor, log
from typing import Any, NamedTuple

import numpy as np

from perceptory.errors import InputError
from perceptory.selection.ranking import rank
from perceptory.specs import Name, Spec, checked


class Rung(NamedTuple):
    """After so many epochs so many candidates go on."""

    epochs: int
    keep: int


class Discarding(Spec):
    """Base of the ways to discard candidates."""

    @abstractmethod
    def rungs(self, epochs: int, candidates: int) -> list[Rung]:
        """In the order of their epochs, each before the last epoch; none where there is nothing to discard."""


def _share(name: Name, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InputError(name, f" needs a share above 0 and below 1, got {value!r}. Example: 0.25")


def _factor(name: Name, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 < value < float("inf"):
        raise InputError(name, f" needs a number above 1, got {value!r}. Example: factor=2")


@dataclass(frozen=True)
class Halving(Discarding):
    """Successive halving: at each rung the best 1 / factor of the candidates go on, for factor times as many epochs.

    factor: η. least: the share of the epochs before which nobody is discarded. Both by measurement.
    """

    factor: float = checked(2.0, check=_factor)
    least: float = checked(0.05, check=_share)

    def rungs(self, epochs: int, candidates: int) -> list[Rung]:
        deepest = floor(min(log(candidates), log(1 / self.least)) / log(self.factor) + 1e-9)
        keeps = [ceil(candidates / self.factor ** (r + 1) - 1e-9) for r in range(deepest)]
        ends = [max(1, round(epochs * self.factor ** (r - deepest))) for r in range(deepest)]
        return _sound([Rung(*pair) for pair in zip(ends, keeps, strict=True)], epochs, candidates)


@dataclass(frozen=True)
class DiscardAfter(Discarding):
    """Once: after a share of the epochs the best ones go on, a share of the candidates."""

    share: float = checked(0.25, check=_share)
    keep: float = checked(0.25, check=_share)

    def rungs(self, epochs: int, candidates: int) -> list[Rung]:
        rung = Rung(max(1, round(epochs * self.share)), ceil(candidates * self.keep - 1e-9))
        return _sound([rung], epochs, candidates)


def _sound(rungs: list[Rung], epochs: int, candidates: int) -> list[Rung]:
    """Those before the end, each of more epochs than the one before, that keep fewer."""
    out: list[Rung] = []
    for rung in rungs:
        before = out[-1] if out else Rung(0, candidates)
        if before.epochs < rung.epochs < epochs and rung.keep < before.keep:
            out.append(rung)
    return out


def going_on(scores: np.ndarray, direction: str, complexity: np.ndarray, standing: set[int], keep: int) -> set[int]:
    """Of the candidates that are standing the best so many by their mean score, those with diverged members last, as
    they are ranked in the end. scores: [candidate, fold, seed]."""
    order = rank(scores, direction, complexity).order
    return set([int(c) for c in order if int(c) in standing][:keep])
