"""The law of scaled residuals z = (t - m) / s: its quantiles for intervals, a Student distribution for a density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError

MOST_SCORES = 1024  # that a model keeps of a target: of more, quantiles, rounded outwards
MOST_IN_ALL = 8192  # of all targets together
LEAST_SCORES = 64
TAIL = 50  # rows beyond each end, from which each end is a quantile of its own
FREEDOMS = (3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0, math.inf)  # ν: below 3 a deviation says little


@dataclass(frozen=True)
class Law:
    """scores: quantiles of z at (1, 2, ...) / len, of all rows where they are few enough. rows: how many rows they are
    of. freedom, scale: ν and τ of τ · Student(ν)."""

    scores: np.ndarray
    rows: int
    freedom: float
    scale: float

    def ends(self, coverage: float) -> tuple[float, float]:
        """(low, high), how far an interval reaches from the prediction to either side, in scales of the row.

        `InputError` for a coverage beyond what so many rows can tell.
        """
        alpha = 1 - coverage
        share = coverage * (self.rows + 1) / self.rows
        if share > 1 + 1e-9:
            least = math.ceil(coverage / alpha - 1e-9)
            raise InputError(
                f"a coverage of {coverage:g} needs at least {least} validation rows, and the model has {self.rows}."
                " Ask for less."
            )
        if alpha * self.rows / 2 < TAIL:
            q = _upper(np.sort(np.abs(self.scores)), share)
            return -q, q
        tail = (1 - alpha / 2) * (self.rows + 1) / self.rows
        return -_upper(-self.scores[::-1], tail), _upper(self.scores, tail)

    @property
    def deviation(self) -> float:
        """Standard deviation of z."""
        return self.scale * (1.0 if math.isinf(self.freedom) else math.sqrt(self.freedom / (self.freedom - 2)))

    def cost(self, z: np.ndarray) -> np.ndarray:
        """-ln of the density at z; inf where the density is one point and z another."""
        if self.scale == 0:
            return np.where(z == 0, -np.inf, np.inf)
        return student_cost(z / self.scale, self.freedom) + math.log(self.scale)

    def to_json(self) -> dict[str, Any]:
        freedom = None if math.isinf(self.freedom) else self.freedom
        return {"scores": [float(f"{z:.6g}") for z in self.scores], "rows": self.rows, "freedom": freedom,
                "scale": float(f"{self.scale:.9g}")}  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> Law:
        """Raises `ValueError`, `KeyError` or `TypeError` for what is no law."""
        law = cls(
            np.asarray(data["scores"], float), int(data["rows"]),
            math.inf if data["freedom"] is None else float(data["freedom"]), float(data["scale"]),
        )  # fmt: skip
        z = law.scores
        sound = z.ndim == 1 and 0 < len(z) <= law.rows and np.isfinite(z).all() and np.all(np.diff(z) >= 0)
        if not sound or not law.freedom > 2 or not 0 <= law.scale < math.inf:
            raise ValueError("no law")
        return law


def _upper(rising: np.ndarray, share: float) -> float:
    """The quantile of that share among sorted numbers of equal mass, the next one up."""
    return float(rising[min(len(rising), math.ceil(share * len(rising) - 1e-9)) - 1])


def law_of(z: np.ndarray, weights: np.ndarray, most: int) -> Law:
    """The law of scores z [row] with weights above 0; most: how many of them are kept."""
    order = np.argsort(z)
    freedom, scale = _student(z, weights)
    if len(z) <= most and np.all(weights == weights[0]):
        return Law(z[order], len(z), freedom, scale)
    keep = min(len(z), most)
    mass = np.cumsum(weights[order])
    mass /= mass[-1]
    # Outwards: of a share of the rows that share one place the end farther from 0 stands for all.
    upper = z[order][np.searchsorted(mass, np.arange(1, keep + 1) / keep - 1e-12)]
    lower = z[order][np.searchsorted(mass, np.arange(keep) / keep + 1e-12, side="right").clip(0, len(z) - 1)]
    return Law(np.where(upper + lower > 0, upper, lower), len(z), freedom, scale)


def student_cost(z: np.ndarray, freedom: float) -> np.ndarray:
    """-ln of Student's density with ν = freedom at z; of the standard normal one where ν is infinite."""
    if math.isinf(freedom):
        return 0.5 * z**2 + 0.5 * math.log(2 * math.pi)
    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    return 0.5 * (freedom + 1) * np.log1p(z**2 / freedom) - constant


def _student(z: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """(ν, τ) of the greatest likelihood, ν among `FREEDOMS`; τ by the iterations of Dempster, Laird & Rubin (1980)."""
    w = weights / weights.sum()
    start = float(w @ z**2)
    if start <= 0:
        return math.inf, 0.0
    best = (math.inf, math.inf, 0.0)
    for freedom in FREEDOMS:
        square = start
        if not math.isinf(freedom):
            for _ in range(25):
                square = float(w @ ((freedom + 1) * z**2 / (freedom + z**2 / square)))
        scale = math.sqrt(square)
        cost = float(w @ student_cost(z / scale, freedom)) + math.log(scale)
        if cost < best[0]:
            best = (cost, freedom, scale)
    return best[1], best[2]
