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


def the_chosen(result: ResultData) -> str:
    """Those whose networks are the final model."""
    return "the chosen candidate" if len(result.shares) == 1 else "the chosen candidates"


def share_of(result: ResultData, candidate: str) -> str:
    """What a candidate counts in the final model, as it is printed: '42 %', '-' for nothing."""
    share = result.shares.get(candidate)
    return "-" if share is None else f"{100 * share:.0f} %" if share >= 0.005 else "< 1 %"


def plan_words(members: Sequence[MemberResult]) -> str:
    """'10 folds × 3 seeds' of some members."""
    folds, seeds = len({m.fold for m in members}), len({m.seed for m in members})
    return count_of(folds, "fold") + (f" × {count_of(seeds, 'seed')}" if seeds > 1 else "")
