"""What the parts of a result are called."""

from __future__ import annotations

from collections.abc import Sequence

from perceptory.results.result import MemberResult, Result
from perceptory.wording import count_of


def thing(result: Result) -> str:
    """What one example of the data is called: a row of a table, else an example."""
    kinds = {str(c.get("kind")) for c in result.data.get("columns", ())}
    return "example" if "examples" in result.data or kinds & {"series", "image", "array"} else "row"


def judged(result: Result) -> str:
    """What one prediction is for: a step of a series, or what `thing` says."""
    return thing(result) if result.predictions.step is None else "step"


def plan_words(members: Sequence[MemberResult]) -> str:
    """'10 folds × 3 seeds' of some members."""
    folds, seeds = len({m.fold for m in members}), len({m.seed for m in members})
    return count_of(folds, "fold") + (f" × {count_of(seeds, 'seed')}" if seeds > 1 else "")
