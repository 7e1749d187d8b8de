"""What stands in the files of a run folder: a contract with other programs."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from perceptory import files
from perceptory.models.autoencoding import row_errors
from perceptory.results.result_data import ResultData
from perceptory.runs.spreadsheet import guarded

FORMAT = 4  # of study.json and result.json
MARK, RESULT = "study.json", "result.json"
HISTORY, PREDICTIONS, MODEL, REPORT = "history.parquet", "predictions.csv", "model.safetensors", "report.html"
COSTS = ("train_cost", "validation_cost")  # columns of history.parquet
FILES = (MARK, RESULT, HISTORY, MODEL, PREDICTIONS, REPORT)


def dump(value: Any) -> bytes:
    """Strict JSON: numbers that are not finite become null."""

    def clean(v: Any) -> Any:
        if isinstance(v, dict):
            return {str(k): clean(x) for k, x in v.items()}
        if isinstance(v, list | tuple):
            return [clean(x) for x in v]
        if isinstance(v, np.ndarray):
            return clean(v.tolist())
        if isinstance(v, np.generic):
            v = v.item()
        return None if isinstance(v, float) and not math.isfinite(v) else v

    return (json.dumps(clean(value), indent=1, allow_nan=False) + "\n").encode()


def signed(value: Mapping[str, Any]) -> bytes:
    """`dump` of the value with a digest of it, which `opened` looks at."""
    plain = json.loads(dump(value))
    return dump(plain | {"digest": _digest(plain)})


def opened(content: bytes) -> dict[str, Any]:
    """The value of `signed`. Raises `ValueError` for other content, and where the digest does not fit."""
    try:
        value = json.loads(content)
        if isinstance(value, dict) and value.pop("digest", None) == _digest(value):
            return value
    except RecursionError:
        pass
    raise ValueError("its digest does not fit its content")


def _digest(plain: Any) -> str:
    return files.digest(json.dumps(plain, sort_keys=True, allow_nan=False).encode())


def result_json(result: ResultData, contents: Mapping[str, bytes]) -> dict[str, Any]:
    """The contract of result.json. contents: of the run's other files, whose digests it holds."""
    return {
        "format": FORMAT,
        "fingerprint": result.fingerprint,
        "task": result.task,
        "targets": result.targets,
        "target": result.targets[0] if len(result.targets) == 1 else result.targets,
        "classes": result.classes,
        "score": result.score,
        "best": result.best,
        "rule": result.rule,
        "candidates": [vars(c) for c in result.candidates],
        "train": result.train,
        "validation": result.validation,
        "test": result.tested,
        "members": [
            {k: v for k, v in vars(m).items() if k not in ("train_cost", "validation_cost", "auxiliary")}
            for m in result.members
        ],
        "data": result.data.to_json(),
        "importance": None if result.importance is None else result.importance.to_json(),
        "ensemble": [d.to_json() for d in result.ensemble],
        "reconstructions": None if result.reconstructions is None else result.reconstructions.to_json(),
        "forecasts": None if result.forecasts is None else result.forecasts.to_json(),
        "mixture": None if result.mixture is None else result.mixture.to_json(),
        "nested": None if result.nested is None else result.nested.to_json(),
        "environment": result.environment,
        "seconds": result.seconds,
        "files": {name: files.digest(content) for name, content in contents.items()},
    }


def history_bytes(result: ResultData) -> bytes:
    """history.parquet: a row a member and epoch: candidate, fold, seed, epoch (from 1), train_cost, validation_cost; of
    each auxiliary objective both costs as well, null where a candidate has it not."""
    import polars as pl

    epochs = [len(m.train_cost) for m in result.members]
    frame = pl.DataFrame(
        {
            "candidate": np.repeat([m.candidate for m in result.members], epochs).tolist(),
            "fold": np.repeat([m.fold for m in result.members], epochs).astype(np.int32),
            "seed": np.repeat([m.seed for m in result.members], epochs).astype(np.int32),
            "epoch": np.concatenate([np.arange(1, n + 1, dtype=np.int32) for n in epochs] or [np.zeros(0, np.int32)]),
            "train_cost": np.concatenate([m.train_cost for m in result.members] or [np.zeros(0)]).astype(np.float64),
            "validation_cost": np.concatenate([m.validation_cost for m in result.members] or [np.zeros(0)]).astype(
                np.float64
            ),
        }
    )
    for name in dict.fromkeys(name for m in result.members for name in m.auxiliary):
        for place, cost in enumerate(COSTS):
            curves = [
                m.auxiliary[name][place].tolist() if name in m.auxiliary else [None] * len(m.train_cost)
                for m in result.members
            ]
            column = pl.Series(f"{cost}: {name}", [v for curve in curves for v in curve], pl.Float64)
            frame = frame.with_columns(column)
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def prediction_columns(result: ResultData) -> tuple[list[str], list[str]]:
    """Names of the target and output columns of predictions.csv; without targets, the errors of what is given back."""
    if result.task == "autoencode":
        return [], [f"error of {t}" for t in result.targets]
    if result.classes is not None:
        return [result.targets[0]], [f"probability {c}" for c in result.classes]
    return list(result.targets), [f"predicted {t}" for t in result.targets]


def predictions_bytes(result: ResultData) -> bytes:
    """predictions.csv: row, part, step (of sequences), weight (where rows differ in it), targets, predictions (of
    classes also the probabilities). Of autoencoders the mean of the errors of the columns, and each of these. Texts are
    `guarded`."""
    import polars as pl

    p = result.predictions
    targets, outputs = prediction_columns(result)
    columns: list[tuple[str, Any]] = [("row", p.row), ("part", [str(x) for x in p.part])]
    columns += [] if p.step is None else [("step", p.step)]
    columns += [] if p.weight is None else [("weight", p.weight)]
    if result.task == "autoencode":
        columns.append(("error", row_errors(p.output)))
    elif result.classes is not None:
        names = np.asarray([guarded(c) for c in result.classes], dtype=object)
        columns.append((targets[0], names[p.target].tolist()))
        columns.append((f"predicted {targets[0]}", names[p.output.argmax(axis=1)].tolist() if len(p.row) else []))
    else:
        columns += [(name, p.target[:, i]) for i, name in enumerate(targets)]
    columns += [(name, p.output[:, i]) for i, name in enumerate(outputs)]
    taken: set[str] = set()
    data = {}
    for name, values in columns:
        name = guarded(name)
        while name in taken:
            name += "_"
        taken.add(name)
        data[name] = values
    frame, content = pl.DataFrame(data, strict=False), io.BytesIO()
    data.clear()
    frame.write_csv(content)  # into a buffer: a text would be held twice more
    return content.getvalue()
