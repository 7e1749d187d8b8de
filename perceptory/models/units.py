"""From outputs on the trained scale back to the target's own units, where windows have levels of their own too."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.ops.relative import Units, absolute, relative


def window_units(network: Any, inputs: np.ndarray) -> tuple[np.ndarray, Units]:
    """What a `Windowed` network sees of windows [n, time, channel] in double precision, but for the factors, and what
    its numbers stand for. Raises `InputError` for values that have no logarithm."""
    windows = network.windows
    past, others = windows.arranged(np, inputs.astype(float))
    if windows.log and not np.nanmin(past, initial=1.0) > 0:
        raise InputError("the network takes logarithms of the target's past, which has to be above 0, and is not.")
    numbers, units = relative(np, windows.how, past)
    return np.asarray(windows.joined(np, numbers, others)), units


def in_own_units(network: Any, cost: Any, output: Any, scaling: tuple[Any, Any], inputs: Any) -> Any:
    """Predictions [..., n, heads · target] in the target's own units. output: what `cost.inverse_link` gave; scaling:
    center and scale of the targets, as `cost.unscale` takes them; inputs: the examples [n, ...] as encoded, which only
    networks with a `Windowed` look at. No forecast of what is never below 0 is below it."""
    if network.windows is None:
        return cost.unscale(output, *scaling)
    found, least = _of_windows(network, cost, output, scaling, inputs), network.windows.least
    return found if least is None else np.maximum(found, np.tile(least.ravel(), cost.heads))


def _of_windows(network: Any, cost: Any, output: Any, scaling: tuple[Any, Any], inputs: Any) -> Any:
    how, (_, units) = network.windows.how, window_units(network, inputs)
    center, scale = scaling
    if not how.bends:  # a center and a scale for each row, which every cost knows how to put back
        n, targets = len(inputs), scale.shape[-1]
        whole = np.broadcast_to(units.last + units.low + units.base, (n, len(how.horizons), units.last.shape[2]))
        by_row = np.broadcast_to(units.scale, whole.shape).reshape(n, targets)
        return cost.unscale(output, whole.reshape(n, targets) + by_row * center, by_row * scale)
    numbers = cost.unscale(output, center, scale)
    each = (*numbers.shape[:-1], cost.heads, len(how.horizons), units.last.shape[2])
    heads = np.moveaxis(numbers.reshape(each), -3, 0)  # [head, ..., n, horizon, target]
    return np.moveaxis(absolute(how, heads, units), 0, -3).reshape(numbers.shape)
