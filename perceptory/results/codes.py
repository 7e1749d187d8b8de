"""What a study of autoencoders says of the widths of codes: each width's best candidate and PCA beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from perceptory.results.result_data import CandidateResult, ResultData

AUTOENCODE = "autoencode"


class Width(NamedTuple):
    """The candidates of one width of code: the best autoencoder and PCA, None where there is none that was sound."""

    width: int
    network: CandidateResult | None
    pca: CandidateResult | None


def code_width(candidate: CandidateResult) -> int:
    """How many numbers a candidate's code has; 0 of a network without one."""
    width = candidate.spec.get("network", {}).get("code", 0)
    return width if isinstance(width, int) else 0


def is_pca(candidate: CandidateResult) -> bool:
    """Whether a candidate is principal component analysis."""
    return bool(candidate.spec.get("network", {}).get("kind") == "PCA")


def by_width(result: ResultData) -> list[Width]:
    """Every width that was compared, the narrowest first."""
    best: dict[tuple[int, bool], CandidateResult] = {}
    for c in result.candidates:  # best first
        if math.isfinite(c.mean):
            best.setdefault((code_width(c), is_pca(c)), c)
    return [Width(w, best.get((w, False)), best.get((w, True))) for w in sorted({w for w, _ in best})]


def pca_beside(result: ResultData) -> CandidateResult | None:
    """PCA of the chosen width, where that was compared; the chosen candidate itself, where it is PCA."""
    chosen = code_width(result.candidate(result.best))
    return next((w.pca for w in by_width(result) if w.width == chosen), None)


class ColumnErrors(NamedTuple):
    """Of one column or channel, the share of its variance that is lost; None where it is not known."""

    name: str
    train: float | None
    validation: float | None
    test: float | None


def errors_by_column(result: ResultData) -> list[ColumnErrors]:
    """Of every column, the worst in validation first."""
    parts = [_errors(part, len(result.targets)) for part in (result.train, result.validation, result.tested)]
    rows = [ColumnErrors(name, *(p[k] for p in parts)) for k, name in enumerate(result.targets)]
    return sorted(rows, key=lambda row: -math.inf if row.validation is None else -row.validation)


def _errors(metrics: dict[str, object] | None, count: int) -> Sequence[float | None]:
    given = (metrics or {}).get("reconstruction_error")
    if given is None:
        return [None] * count
    values = np.asarray(given, float).reshape(-1)
    return [float(v) if math.isfinite(v) else None for v in values]


def lost(metrics: dict[str, object] | None) -> float:
    """The share of the variance that is lost, mean over the columns; nan where it is not known."""
    values = np.asarray([v for v in _errors(metrics, 0) if v is not None], float)
    return float(values.mean()) if len(values) else math.nan
