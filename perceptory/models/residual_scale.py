"""How far a prediction may err, row by row: the scale of residuals, learned from rows that no network trained on.

    ln s(x) = b_0 + Σ_j b_j φ_j(x, m),    b = argmin Σ_i w_i (ln s_i + |r_i| / s_i) / Σ w + (λ / 2) Σ_{j>0} b_j²

m is the prediction, r the residual; the sum is the negative log-likelihood of Laplace distributions of scale s, which
is convex in b, so Newton's method finds the one minimum. Features φ, on inputs and predictions scaled by mean and
deviation and clipped at 4: the prediction (m, max(m, 0), m², |m|); of tables the inputs; and of many rows a layer of
fixed random units, max(w·z + c, 0) and cos(w·z + c) with z = (x, m) (Rahimi & Recht 2008). λ, and whether features are
used at all, is chosen by cross-validation over the groups that the residuals come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

CLIP = 4.0  # of scaled inputs and predictions: beyond, a new row counts as at the edge
UNITS = 40  # of each kind in the random layer
MOST_INPUTS = 64  # up to which each is a feature of its own
MOST_NUMBERS = 1 << 22  # inputs of so many rows at a time
ROWS_A_FEATURE = 7  # rows of residuals that a feature needs
LEAST_ROWS = 60  # of residuals from which the scale may depend on the row
MOST_ROWS = 8000  # of residuals that the scale is learned from
PARTS = 5  # of the cross-validation
STRENGTHS = (1.0, 0.1, 0.01, 0.001)  # λ
LEAST_SCALE = 1e-3  # in mean residuals
LEAST_GAIN = 1e-3  # of the cost a row, for which scales by row are worth having


@dataclass(frozen=True)
class Inputs:
    """What scales are told of rows. inputs: [row, in] scaled, 0 where missing, or None where examples are no rows of
    numbers; prediction: [row] scaled by the target's mean and deviation."""

    inputs: np.ndarray | None
    prediction: np.ndarray

    def features(self, level: int) -> np.ndarray:
        """[row, feature] φ. level: 1 of the prediction, 2 with the inputs, 3 with the random units."""
        m = np.clip(self.prediction, -CLIP, CLIP)
        columns = [m, np.maximum(m, 0), m * m, np.abs(m)]
        if level == 1 or self.inputs is None:
            return np.stack(columns, axis=1)
        parts = [np.stack(columns, axis=1)]
        if self.inputs.shape[1] <= MOST_INPUTS:
            parts.append(np.clip(self.inputs, -CLIP, CLIP))
        if level == 3:
            rows = max(1, MOST_NUMBERS // (self.inputs.shape[1] + 1))
            parts.append(np.concatenate([self._units(slice(k, k + rows), m) for k in range(0, len(m), rows)]))
        return np.concatenate(parts, axis=1)

    def _units(self, rows: slice, m: np.ndarray) -> np.ndarray:
        """[row, 2 · unit] of some rows: their inputs are copied twice."""
        z = np.concatenate([np.clip(self.inputs[rows], -CLIP, CLIP), m[rows, None]], axis=1)  # type: ignore[index]
        ramps, ramp_offsets, waves, wave_offsets = _random_units(z.shape[1])
        return np.concatenate([np.maximum(z @ ramps + ramp_offsets, 0), np.cos(z @ waves + wave_offsets)], axis=1)

    def levels(self) -> list[int]:
        """Those that so many rows allow, the simplest first."""
        rows, width = len(self.prediction), 0 if self.inputs is None else self.inputs.shape[1]
        known = (1,) if not width else (1, 2, 3) if width <= MOST_INPUTS else (1, 3)
        return [level for level in known if rows >= max(LEAST_ROWS, ROWS_A_FEATURE * _count(level, width))]


def _count(level: int, width: int) -> int:
    """Features of a level, of rows with so many inputs."""
    of_inputs = width if width <= MOST_INPUTS else 0
    return (0, 4, 4 + of_inputs, 4 + of_inputs + 2 * UNITS)[level]


@dataclass(frozen=True)
class Scale:
    """ln s of a row, in the target's units: offset + clip(intercept + coefficients · φ, low, high)."""

    offset: float
    level: int  # 0: one scale for all rows
    intercept: float
    coefficients: tuple[float, ...]
    low: float
    high: float

    def of(self, rows: Inputs) -> np.ndarray:
        """[row] s > 0."""
        log = np.full(len(rows.prediction), self.intercept)
        if self.level:
            log = log + rows.features(self.level) @ np.asarray(self.coefficients)
        return np.exp(self.offset + np.clip(log, self.low, self.high))

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"coefficients": list(self.coefficients)}

    def parts(self, width: int) -> dict[str, np.ndarray]:
        """What the coefficients multiply, of rows with so many inputs: "prediction" [4], and where the level has them
        "inputs" [in], "ramps" and "waves" [unit], with the units' "ramp weights" and "wave weights" [in + 1, unit] and
        "ramp offsets" and "wave offsets" [unit]."""
        c = np.asarray(self.coefficients, float)
        parts = {"prediction": c[:4]} if self.level else {}
        if self.level > 1 and width <= MOST_INPUTS:
            parts["inputs"] = c[4 : 4 + width]
        if self.level > 2:
            names = "ramp weights", "ramp offsets", "wave weights", "wave offsets"
            parts |= dict(zip(names, _random_units(width + 1), strict=True))
            parts |= {"ramps": c[-2 * UNITS : -UNITS], "waves": c[-UNITS:]}
        return parts

    def fits(self, width: int) -> bool:
        """Whether this is a sound scale of rows with so many inputs, 0 where it looks at none."""
        numbers = (self.offset, self.intercept, *self.coefficients, self.low, self.high)
        count = _count(self.level, width)
        return (
            self.level in range(4) and (self.level < 2 or width > 0) and len(self.coefficients) == count
            and bool(np.isfinite(numbers).all()) and self.low <= self.high and abs(self.offset) < 700
        )  # fmt: skip


def learn(rows: Inputs, sizes: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> tuple[Scale, np.ndarray]:
    """(scale, [row] s of each row by a scale that was learned without its group).

    sizes: [row] |r|. weights: [row] above 0. groups: [row] index; rows of one group stay together.
    """
    unit = float(np.average(sizes, weights=weights))
    if not np.isfinite(unit) or unit <= 0:
        return Scale(0.0, 0, 0.0, (), 0.0, 0.0), np.ones(len(sizes))
    a, w = sizes / unit, weights / weights.mean()
    parts = _parts(groups)
    best = _constant(a, w, parts)
    level, strength = 0, 0.0
    with _one_thread():
        for candidate in rows.levels():
            for lam, log in _validated(rows.features(candidate), a, w, parts):
                if _better(log, best, a, w, simple=level == 0):
                    best, level, strength = log, candidate, lam
        b = _fit(_Rows.of(rows.features(level), a, w), strength) if level else np.zeros(1)
    if not level:
        return Scale(float(np.log(unit)), 0, 0.0, (), 0.0, 0.0), unit * np.exp(best)
    low, high = float(best.min()), float(best.max())
    scale = Scale(float(np.log(unit)), level, float(b[0]), tuple(float(f"{x:.6g}") for x in b[1:]), low, high)
    return scale, unit * np.exp(best)


def _one_thread() -> Any:
    """Where BLAS takes no more: of such small matrices two would wait for each other most of the time."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1, user_api="blas")


def _parts(groups: np.ndarray) -> np.ndarray:
    """[row] part of the cross-validation: by groups where there are enough of them, else by place."""
    _, place = np.unique(groups, return_inverse=True)
    return place % PARTS if place.max() >= 2 else np.arange(len(groups)) % PARTS


def _cost(log: np.ndarray, a: np.ndarray) -> np.ndarray:
    return log + a * np.exp(-log)


def _better(log: np.ndarray, best: np.ndarray, a: np.ndarray, w: np.ndarray, simple: bool) -> bool:
    """Whether a cost is lower; than that of one scale for all rows, by its standard error and `LEAST_GAIN`."""
    gain = w * (_cost(best, a) - _cost(log, a))
    return bool(gain.mean() > (max(gain.std() / np.sqrt(len(gain)), LEAST_GAIN) if simple else 0.0))


def _constant(a: np.ndarray, w: np.ndarray, parts: np.ndarray) -> np.ndarray:
    log = np.zeros(len(a))
    for k in np.unique(parts):
        rest = parts != k
        if rest.any():
            log[~rest] = np.log(max(np.average(a[rest], weights=w[rest]), LEAST_SCALE))
    return log


def _validated(f: np.ndarray, a: np.ndarray, w: np.ndarray, parts: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """(λ, [row] ln s by the other parts' rows) of each λ."""
    found = [np.zeros(len(a)) for _ in STRENGTHS]
    for k in np.unique(parts):
        here = parts == k
        f_here, f_rest = f[here], f[~here]
        rows, b = _Rows.of(f_rest, a[~here], w[~here]), None
        for log, strength in zip(found, STRENGTHS, strict=True):
            b = _fit(rows, strength, b)
            own = b[0] + f_rest @ b[1:]
            log[here] = np.clip(b[0] + f_here @ b[1:], max(own.min(), np.log(LEAST_SCALE)), own.max())
    return list(zip(STRENGTHS, found, strict=True))


class _Rows(NamedTuple):
    """What is fitted: x [row, 1 + feature], 1 and features of mean 0 and deviation 1, which were (x - center) · factor,
    a [row], and weights [row] that sum to 1."""

    x: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    factor: np.ndarray
    a: np.ndarray
    w: np.ndarray

    @classmethod
    def of(cls, f: np.ndarray, a: np.ndarray, w: np.ndarray) -> _Rows:
        center, spread = f.mean(axis=0), f.std(axis=0)
        factor = np.where(spread > 1e-9, 1 / np.maximum(spread, 1e-9), 0.0)
        x = np.concatenate([np.ones((len(f), 1)), (f - center) * factor], axis=1)
        return cls(x, center, spread, factor, a, w / w.sum())


def _fit(rows: _Rows, strength: float, start: np.ndarray | None = None) -> np.ndarray:
    """[1 + feature] b of the features as they are, by damped Newton steps."""
    x, center, spread, factor, a, w = rows
    penalty = np.full(x.shape[1], strength)
    penalty[0] = 0.0
    b = np.zeros(x.shape[1])
    if start is None:
        b[0] = np.log(max(float(w @ a), LEAST_SCALE))
    else:
        b[1:] = start[1:] * spread
        b[0] = start[0] + start[1:] @ center
    log_least = np.log(LEAST_SCALE)

    def value(b: np.ndarray) -> tuple[float, np.ndarray]:
        log = np.maximum(x @ b, log_least)  # residuals that are all but 0 have no minimum
        return float(w @ _cost(log, a) + 0.5 * penalty @ b**2), a * np.exp(-log)

    cost, u = value(b)
    for _ in range(30):
        slope = x.T @ (w * (1 - u)) + penalty * b
        # Rows far within their scale say little of the curvature; without a floor steps would overshoot.
        curvature = (x * (w * np.maximum(u, 0.3))[:, None]).T @ x
        curvature[np.diag_indices_from(curvature)] += penalty + 1e-9
        step, length = np.linalg.solve(curvature, slope), 1.0
        fall = float(slope @ step)
        new, u_new = value(b - step)
        while new > cost - 1e-4 * length * fall and length > 1e-4:
            length /= 2
            new, u_new = value(b - length * step)
        if not new < cost:
            break
        b, done, cost, u = b - length * step, cost - new < 1e-7, new, u_new
        if done:
            break
    b[1:] *= factor
    b[0] -= b[1:] @ center
    return b


@lru_cache(maxsize=8)
def _random_units(width: int) -> tuple[np.ndarray, ...]:
    """Weights [width, unit] and offsets [unit] of ramps and of waves, the same ones for ever: they are not kept."""
    size = width * UNITS
    scale = np.full((width, 1), width**-0.5)
    scale[-1] = 0.7  # the prediction says most of how far it may err
    ramps = _normal(size, 1).reshape(width, UNITS) * scale
    waves = _normal(size, 2).reshape(width, UNITS) * scale * np.exp(np.log(2) * (2 * _uniform(UNITS, 3) - 1))
    return ramps, _normal(UNITS, 4), waves, 2 * np.pi * _uniform(UNITS, 5)


def _uniform(count: int, seed: int) -> np.ndarray:
    """[count] numbers in (0, 1) by SplitMix64 (Steele, Lea & Flood 2014), whose values no library may change."""
    with np.errstate(over="ignore"):
        z = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 40)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53


def _normal(count: int, seed: int) -> np.ndarray:
    """[count] standard normal numbers (Box & Muller 1958)."""
    first, second = _uniform(count, 2 * seed + 100), _uniform(count, 2 * seed + 101)
    return np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)
