"""One target at several horizons: its metrics as one number, in a line, and by horizon."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.results.result_data import ResultData
from perceptory.wording import metric_name, number

AHEAD = re.compile(r"^(.*)\(t\+(\d+)\)$", re.DOTALL)
SHOWN = 4  # horizons in a line: the first, the last and two between them


def horizons_of(targets: Sequence[str]) -> tuple[str, list[int]] | None:
    """(target, its horizons) where all targets are one column at several horizons, as `read_series` names them."""
    found = [AHEAD.match(target) for target in targets]
    parts = [match.groups() for match in found if match]
    if len(parts) < max(2, len(targets)) or len({name for name, _ in parts}) > 1:
        return None
    return parts[0][0], [int(h) for _, h in parts]


def over_horizons(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics of all horizons as one number each: their mean, of RMSE the root of the mean square."""
    means: dict[str, Any] = {}
    for name, value in metrics.items():
        each = np.asarray(value, float)
        means[name] = float(np.sqrt(np.mean(each**2)) if name == "rmse" else np.mean(each))
    return means


def by_horizon(result: ResultData) -> tuple[str, list[int], list[float]] | None:
    """(metric, horizons, its value at each) on the test rows, or in validation: of MASE, or of RMSE where there is
    none. None where there are no several horizons."""
    ahead, metrics = horizons_of(result.targets), result.validation if result.tested is None else result.tested
    name = next((n for n in ("mase", "rmse") if n in metrics), None)
    if ahead is None or name is None:
        return None
    order = np.argsort(ahead[1])
    return name, [ahead[1][k] for k in order], [float(metrics[name][k]) for k in order]


def horizon_words(result: ResultData) -> str:
    """By horizon in one line; "" where there is one horizon."""
    found = by_horizon(result)
    if found is None:
        return ""
    name, horizons, values = found
    places = sorted({round(k * (len(horizons) - 1) / (SHOWN - 1)) for k in range(SHOWN)})
    each = ", ".join(f"{number(values[k])} (t+{horizons[k]})" for k in places)
    return f"{metric_name(name)} by horizon{'' if result.tested is None else ' on the test'}: {each}"
