"""A few of a study's examples, kept in its result to be shown."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from perceptory.data import ArrayDataset


def examples_shown(data: Any) -> dict[str, Any]:
    """{"examples": facts and a few examples} of the study's examples, as JSON data; {} of a table.

    It is a part of `Result.data`. Test examples must have been cut off.
    """
    if not isinstance(data, ArrayDataset):
        return {}
    plan, places = data.plan, _chosen(data)
    facts: dict[str, Any] = {
        "kind": data.kind,
        "shape": list(data.shape),
        "channels": list(data.channels),
        "shortest": None if data.lengths is None else int(data.lengths.min()),
        "predict": None if plan is None else plan.predict,
        "time": None if plan is None else plan.time,
        "several": data.groups is not None or (plan is not None and plan.series is not None),
        "horizon": _horizon(data),
        "labels": [_label(data, int(i)) for i in places],
        "lengths": None if data.lengths is None else data.lengths[places].tolist(),
    }
    if data.kind == "image":
        step = -(-max(data.shape[:2]) // PIXELS)
        facts["inputs"] = packed(data.inputs[places][:, ::step, ::step])
    elif data.kind == "series":
        facts["inputs"] = packed(data.inputs[places, :STEPS, :CHANNELS].astype(np.float32))
        if data.targets.ndim == 3:
            facts["targets"] = packed(data.targets[places, :STEPS, :CHANNELS].astype(np.float32))
    return {"examples": facts}


def _chosen(data: ArrayDataset) -> np.ndarray:
    """Places of the examples to show: one of each class in turn, or spread evenly over the data."""
    most = PICTURES if data.kind == "image" else SERIES
    if data.classes is None:
        return np.unique(np.linspace(0, data.rows - 1, min(most, data.rows)).round().astype(int))
    order = np.argsort(data.targets, kind="stable")
    index = np.arange(data.rows) - np.searchsorted(data.targets[order], data.targets[order])
    turns = order[np.lexsort((data.targets[order], index))]  # the first of each class, the second of each class, ...
    return np.sort(turns[:most]) if data.kind != "image" else turns[:most]


def _label(data: ArrayDataset, i: int) -> str:
    if data.classes is not None:
        return data.classes[int(data.targets[i])]
    if data.targets.ndim == 3 or (data.plan is not None and data.plan.predict == "ahead"):
        return f"row {data.row_numbers[i]}" if data.plan is not None else f"example {data.row_numbers[i]}"
    return ", ".join(f"{v:.4g}" for v in data.targets[i][:3])


def _horizon(data: ArrayDataset) -> int | None:
    """Rows from the last known one to the one that is predicted, where that is one row of one series."""
    alone = data.plan is not None and data.plan.predict == "ahead" and data.plan.series is None
    if not alone or data.spans is None or len(data.target_names) != 1:
        return None
    return int(data.spans[0, 1] - data.spans[0, 0] - data.shape[0])


def packed(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON data."""
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return {"shape": list(array.shape), "dtype": array.dtype.name, "base64": base64.b64encode(array.tobytes()).decode()}


def unpacked(data: dict[str, Any]) -> np.ndarray:
    """The array of `packed`."""
    raw = np.frombuffer(base64.b64decode(data["base64"]), np.dtype(data["dtype"]).newbyteorder("<"))
    return raw.reshape(data["shape"])


PICTURES, SERIES = 16, 3  # examples shown


PIXELS, STEPS, CHANNELS = 64, 400, 4  # of each at most
