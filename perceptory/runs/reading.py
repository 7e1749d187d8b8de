"""A complete run folder read back: only what its digests say is whole and belongs together."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from perceptory import files
from perceptory.errors import InputError, Setting
from perceptory.models.ensemble import ErrorDecomposition
from perceptory.models.importance import Importance
from perceptory.quiet import without_panics
from perceptory.results.data_facts import DataFacts
from perceptory.results.mixture import MixtureResult
from perceptory.results.nested import NestedResult
from perceptory.results.predictions import Predictions
from perceptory.results.reconstructions import Reconstructions
from perceptory.results.result_data import CandidateResult, MemberResult
from perceptory.results.shown_forecasts import ShownForecasts
from perceptory.runs.contents import COSTS, FORMAT, HISTORY, MARK, MODEL, PREDICTIONS, RESULT, opened
from perceptory.runs.schema import STUDY_FORM, check, check_result
from perceptory.runs.spreadsheet import guarded


def read_run(path: Path) -> dict[str, Any]:
    """The fields of a `ResultData` from a complete run folder. Raises `InputError` for another or a damaged one."""
    import polars as pl

    if not (path / MARK).is_file():
        raise InputError(f"{path} is not a run folder: it has no {MARK}. Give the folder of an earlier fit.")
    if not (path / RESULT).is_file():
        raise InputError(
            f"the run in {path} is not complete. Ask for it again with ", Setting("resume", True), ", which goes on."
        )
    try:
        with without_panics():
            return _fields(path)
    except InputError:
        raise
    except (
        ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RecursionError, TypeError, ValueError,
        pl.exceptions.PolarsError, pl.exceptions.PanicException,
    ) as error:  # fmt: skip
        what = " ".join(str(error).split())[:200]
        raise InputError(
            f"the run folder {path} is damaged, or is being written ({what}). Ask for the run again with ",
            Setting("resume", True),
            ", which makes anew what is missing.",
        ) from None


def read_mark(path: Path) -> dict[str, Any]:
    """study.json: "fingerprint", "environment" and "study". Raises `ValueError` or `OSError` for a damaged one."""
    mark = opened((path / MARK).read_bytes())
    check(mark, STUDY_FORM, "study")
    return mark


def _fields(path: Path) -> dict[str, Any]:
    data, mark = _result(path), read_mark(path)
    if mark["fingerprint"] != data["fingerprint"]:
        raise ValueError(f"{RESULT} and {MARK} are of two runs")
    contents = {name: _content(path, name, data["files"][name]) for name in (HISTORY, PREDICTIONS)}
    if MODEL in data["files"]:
        _content(path, MODEL, data["files"][MODEL])
    plain = ("task", "targets", "classes", "score", "best", "rule", "environment", "seconds", "fingerprint")
    return {name: data[name] for name in plain} | {
        "study": mark["study"],
        "candidates": [CandidateResult(**_numbers(c)) for c in data["candidates"]],
        "members": _members(contents[HISTORY], data["members"]),
        "predictions": predictions_from(contents[PREDICTIONS], data),
        "data": DataFacts.from_json(data["data"]),
        "ensemble": tuple(ErrorDecomposition.from_json(d) for d in data["ensemble"]),
        "importance": None if data["importance"] is None else Importance.from_json(data["importance"]),
        "reconstructions": None
        if data["reconstructions"] is None
        else Reconstructions.from_json(data["reconstructions"]),
        "forecasts": None if data["forecasts"] is None else ShownForecasts.from_json(data["forecasts"]),
        "mixture": None if data["mixture"] is None else MixtureResult.from_json(data["mixture"]),
        "nested": None if data["nested"] is None else NestedResult.from_json(data["nested"]),
        "folder": str(path),
        "train": _metrics(data["train"]),
        "validation": _metrics(data["validation"]),
        "tested": _metrics(data["test"]),
    }


def _result(path: Path) -> dict[str, Any]:
    """result.json. Raises `InputError` for another format, `ValueError` for a damaged one."""
    content = (path / RESULT).read_bytes()
    found = json.loads(content)
    number = found.get("format") if isinstance(found, dict) else None
    if type(number) is int and number != FORMAT:
        remedy = "Update perceptory" if number > FORMAT else "Run fit again"
        raise InputError(f"{path} has format {str(number)[:20]}, and this version reads {FORMAT}. {remedy}.")
    data = opened(content)
    check_result(data)
    return data


def _content(path: Path, name: str, digest: str) -> bytes:
    """A file of the run, if it is the one that result.json speaks of."""
    content = (path / name).read_bytes()
    if files.digest(content) != digest:
        raise ValueError(f"{name} is not the one of this run")
    return content


def _members(content: bytes, members: list[dict[str, Any]]) -> list[MemberResult]:
    """Members with their costs by epoch, which stand in a file of their own."""
    import polars as pl

    by_member = pl.read_parquet(content).partition_by("candidate", "fold", "seed", as_dict=True, maintain_order=True)
    read = []
    for m in members:
        frame = by_member.get((m["candidate"], m["fold"], m["seed"]))
        train, validation = (np.zeros(0) if frame is None else frame[name].to_numpy() for name in COSTS)
        if len(train) != m["epochs"]:
            raise ValueError(f"{HISTORY} has {len(train)} epochs of a network that was trained for {m['epochs']}")
        auxiliary = {} if frame is None else _auxiliary(frame)
        read.append(MemberResult(**_numbers(m), train_cost=train, validation_cost=validation, auxiliary=auxiliary))
    return read


def _auxiliary(frame: Any) -> dict[str, np.ndarray]:
    """The costs [2, epoch] of a member's auxiliary objectives."""
    first = f"{COSTS[0]}: "
    names = [name.removeprefix(first) for name in frame.columns if name.startswith(first)]
    names = [name for name in names if frame[first + name].null_count() < len(frame)]
    return {name: np.stack([frame[f"{cost}: {name}"].to_numpy() for cost in COSTS]) for name in names}


def _numbers(record: dict[str, Any]) -> dict[str, Any]:
    """null means nan where a number stands."""
    floats = ("mean", "spread", "train", "best_epoch", "seconds", "score", "train_score")
    out: dict[str, Any] = {k: math.nan if v is None and k in floats else v for k, v in record.items()}
    if "per_fold" in out:
        out["per_fold"] = [math.nan if v is None else v for v in out["per_fold"]]
    return out


def _metrics(metrics: Any) -> Any:
    """null means nan among metrics too, in lists of several targets as well; None stays None."""
    if metrics is None:
        return None

    def number(value: Any) -> Any:
        return [number(v) for v in value] if isinstance(value, list) else math.nan if value is None else value

    return {name: number(value) for name, value in metrics.items()}


def predictions_from(content: bytes, data: dict[str, Any]) -> Predictions:
    """The predictions of predictions.csv; data: result.json."""
    import polars as pl

    # As text: what a class is called ("01", "true") must not be taken for a number.
    frame = pl.read_csv(content, infer_schema=False)
    columns = frame.columns
    outputs = len(data["classes"] or data["targets"])

    def numbers(names: list[str]) -> np.ndarray:
        return frame.select(pl.col(names).cast(pl.Float64)).to_numpy()

    row = frame["row"].cast(pl.Int64).to_numpy()
    part = np.array(frame["part"].to_list(), dtype=str)
    output = numbers(columns[-outputs:])
    # What stands between is told by the order of the columns, for a target may have any name.
    between = columns[2:-outputs]
    classes, errors = data["classes"] is not None, data["task"] == "autoencode"
    own = 1 if errors else 2 if classes else outputs
    by_step = len(between) > own and between[0] == "step" and not classes and not errors
    step = frame[between[0]].cast(pl.Int64).to_numpy() if by_step else None
    weight = numbers([between[by_step]])[:, 0] if len(between) > own + by_step else None
    first = len(between) - own
    if errors:
        return Predictions(row, part, np.zeros((len(row), 0)), output, weight=weight)
    if classes:
        place = {guarded(str(c)): i for i, c in enumerate(data["classes"])}
        target = np.array([place[v or ""] for v in frame[between[first]].to_list()], int)
        return Predictions(row, part, target, output, weight=weight)
    return Predictions(row, part, numbers(between[first:]), output, step, weight)
