"""Whether auxiliary objectives helped, told from a result's candidates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from perceptory.results.result_data import CandidateResult, ResultData
from perceptory.wording import listed, metric_name, number


def objectives_of(candidate: CandidateResult) -> list[dict[str, Any]]:
    """The auxiliary objectives of a candidate, as JSON data."""
    return list(candidate.spec.get("auxiliary") or ())


def without_objectives(result: ResultData) -> CandidateResult | None:
    """The best candidate that learned from no auxiliary objective: it has none, or all of them at weight 0."""
    return _best(c for c in result.candidates if not _learned(c))


def auxiliary_words(result: ResultData) -> str:
    """What the chosen candidate has of auxiliary objectives, and whether they helped; "" for a study without."""
    if not any(objectives_of(c) for c in result.candidates):
        return ""
    chosen = result.candidate(result.best)
    alike: dict[str, list[str]] = {}  # names by what is said of them
    for one in objectives_of(chosen):
        alike.setdefault(_strength(one), []).append(_about(one))
    own = "; ".join(f"{listed(names)}, {words}" for words, names in alike.items()) or "none"
    return f"Auxiliary objectives of the chosen candidate: {own}. {_comparison(result)}"


def _comparison(result: ResultData) -> str:
    score = metric_name(result.score["name"])
    having, without = _best(c for c in result.candidates if _learned(c)), without_objectives(result)
    if having is None:
        return "No candidate learned from them: every weight is 0, or it diverged."
    if without is None:
        return "No candidate goes without them: a weight of 0 beside the others shows whether they help."
    sign = 1 if result.score["direction"] == "min" else -1
    gains = np.array([sign * (b - a) for a, b in zip(having.per_fold, without.per_fold, strict=True)])
    gains = gains[np.isfinite(gains)]
    error = float(np.std(gains, ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    if sign * (without.mean - having.mean) <= 0:
        verdict = "did not help"
    else:
        verdict = "helped" if len(gains) and gains.mean() > error else "helped no more than folds differ by chance"
    return (
        f"They {verdict}: validation {score} {number(having.mean)} with them and {number(without.mean)} without (the"
        f" best candidate of each), better with them in {int(np.sum(gains > 0))} of {len(gains)} folds."
    )


def _about(one: dict[str, Any]) -> str:
    return one["target"] if isinstance(one["target"], str) else _spaced(str(one["target"].get("kind", "")))


def _strength(one: dict[str, Any]) -> str:
    fade = "" if one.get("fade") is None else f", fading over {float(one['fade']):.3g} of the training"
    return f"weight {float(one['weight']):.3g}{fade}"


def _spaced(kind: str) -> str:
    """'NextStep' -> 'next step'."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()


def _learned(candidate: CandidateResult) -> bool:
    return any(float(one["weight"]) > 0 for one in objectives_of(candidate))


def _best(candidates: Iterable[CandidateResult]) -> CandidateResult | None:
    return next((c for c in candidates if math.isfinite(c.mean)), None)  # best first
