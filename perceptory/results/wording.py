"""What the parts of a result are called."""

from __future__ import annotations

from collections.abc import Sequence

from perceptory.results.result_data import MemberResult, ResultData
from perceptory.wording import count_of


def thing(result: ResultData) -> str:
    """What one example of the data is called: a row of a table, else an example."""
    return "row" if result.data.example_kind == "table" else "example"


def judged(result: ResultData) -> str:
    """What one prediction is for: a step of a series, or what `thing` says."""
    return thing(result) if result.predictions.step is None else "step"


def plan_words(members: Sequence[MemberResult]) -> str:
    """'10 folds × 3 seeds' of some members."""
    folds, seeds = len({m.fold for m in members}), len({m.seed for m in members})
    return count_of(folds, "fold") + (f" × {count_of(seeds, 'seed')}" if seeds > 1 else "")
