"""The run folder: a contract with other programs. Every file is written to a temporary name and renamed."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.errors import InputError, Setting
from perceptory.models.ensemble import ErrorDecomposition
from perceptory.models.model_file import write_bytes
from perceptory.results.data_facts import DataFacts
from perceptory.results.predictions import Predictions
from perceptory.results.result_data import CandidateResult, MemberResult, ResultData

FORMAT = 2  # of study.json and result.json
MARK = "study.json"  # what makes a folder a run folder
CHUNKS = "chunks"
FILES = ("study.json", "result.json", "history.parquet", "model.safetensors", "predictions.csv", "report.html")


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


class RunFolder:
    """A run folder that this process writes."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def prepare(self, *, resume: bool, overwrite: bool) -> None:
        """Check, before any work, that the folder may be written; nothing is changed where it may not."""
        path = self.path
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file, and a run needs a folder. Choose another folder.")
        used = path.is_dir() and any(path.iterdir())
        if used and not (path / MARK).is_file():
            raise InputError(f"{path} is not empty and not a run folder. Choose another folder.")
        if used and not (resume or overwrite):
            raise InputError(
                f"{path} holds a run already. Choose ",
                Setting("resume", True),
                " to go on, ",
                Setting("overwrite", True),
                ", or another folder.",
            )
        if used and resume and (path / "result.json").is_file() and not (path / CHUNKS).is_dir():
            raise InputError(
                f"the run in {path} is complete, nothing to resume. See {path}/report.html, or choose ",
                Setting("overwrite", True),
                ".",
            )
        parent = path if path.is_dir() else next(p for p in path.absolute().parents if p.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise InputError(f"cannot write to {parent}. Choose a folder that you may write to.")

    def begin(self, study: dict[str, Any], fingerprint: str, *, resume: bool, overwrite: bool) -> None:
        """Write study.json; on resuming, check that the same is asked of the same data."""
        try:
            if overwrite and (self.path / MARK).is_file():
                self._clear()
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / CHUNKS).mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write to {self.path}: {error.strerror}. Choose another folder.") from None
        request = {"format": FORMAT, "fingerprint": fingerprint, "study": study}
        if resume and (self.path / MARK).is_file():
            with contextlib.suppress(ValueError):
                before = json.loads((self.path / MARK).read_bytes())
                if isinstance(before, dict) and before.get("fingerprint") == fingerprint:
                    return
            raise InputError(
                f"the run in {self.path} asked something else or of other data, so its parts cannot be used."
                " Ask for the same again with ",
                Setting("resume", True),
                ", or choose ",
                Setting("overwrite", True),
                ".",
            )
        write_bytes(self.path / MARK, dump(request))

    def _clear(self) -> None:
        """Remove what perceptory wrote, and nothing else."""
        for name in FILES:
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / CHUNKS, ignore_errors=True)

    # --- finished members, kept until the run is complete -----------------------------------------------------

    def keep(self, tensors: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Keep some finished members in a file of their own."""
        from safetensors.numpy import save

        folder = self.path / CHUNKS
        name = f"{len(list(folder.glob('*.safetensors'))):05d}.safetensors"
        tensors = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
        write_bytes(folder / name, save(tensors, metadata={"perceptory": json.dumps(facts)}))

    def kept(self) -> list[tuple[dict[str, np.ndarray], dict[str, Any]]]:
        """What `keep` has written so far; a file that cannot be read counts as not written."""
        from safetensors.numpy import load

        out = []
        for path in sorted((self.path / CHUNKS).glob("*.safetensors")):
            with contextlib.suppress(Exception):
                content = path.read_bytes()
                header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
                out.append((load(content), json.loads(header["__metadata__"]["perceptory"])))
        return out

    def complete(self, result: ResultData) -> None:
        """Write all files of a finished run; result.json comes last, so that its presence means completeness."""
        from perceptory.reports.page import render

        write_bytes(self.path / "history.parquet", history_bytes(result))
        write_bytes(self.path / "predictions.csv", predictions_bytes(result))
        if result.model is not None:
            with contextlib.suppress(InputError) if result.model.facts.get("custom") else contextlib.nullcontext():
                result.model.save(self.path / "model.safetensors")
        write_bytes(self.path / "report.html", render(result).encode(errors="replace"))
        write_bytes(self.path / "result.json", dump(result_json(result)))
        if result.tested is not None or not result.data.test_rows:
            shutil.rmtree(self.path / CHUNKS, ignore_errors=True)  # until the sealed rows are read it may be resumed


def result_json(result: ResultData) -> dict[str, Any]:
    """The contract of result.json."""
    return {
        "format": FORMAT,
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
            {k: v for k, v in vars(m).items() if k not in ("train_cost", "validation_cost")} for m in result.members
        ],
        "data": result.data.to_json(),
        "ensemble": [d.to_json() for d in result.ensemble],
        "environment": result.environment,
        "seconds": result.seconds,
    }


def history_bytes(result: ResultData) -> bytes:
    """history.parquet: a row a member and epoch: candidate, fold, seed, epoch (from 1), train_cost, validation_cost."""
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
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def prediction_columns(result: ResultData) -> tuple[list[str], list[str]]:
    """Names of the target and output columns of predictions.csv."""
    if result.classes is not None:
        return [result.targets[0]], [f"probability {c}" for c in result.classes]
    return list(result.targets), [f"predicted {t}" for t in result.targets]


def predictions_bytes(result: ResultData) -> bytes:
    """predictions.csv: row, part, step (of sequences), targets, predictions (of classes also the probabilities)."""
    import polars as pl

    p = result.predictions
    targets, outputs = prediction_columns(result)
    columns: list[tuple[str, Any]] = [("row", p.row), ("part", [str(x) for x in p.part])]
    columns += [] if p.step is None else [("step", p.step)]
    if result.classes is not None:
        names = np.asarray(result.classes, dtype=object)
        columns.append((targets[0], names[p.target].tolist()))
        columns.append((f"predicted {targets[0]}", names[p.output.argmax(axis=1)].tolist() if len(p.row) else []))
    else:
        columns += [(name, p.target[:, i]) for i, name in enumerate(targets)]
    columns += [(name, p.output[:, i]) for i, name in enumerate(outputs)]
    taken: set[str] = set()
    data = {}
    for name, values in columns:
        while name in taken:
            name += "_"
        taken.add(name)
        data[name] = values
    return pl.DataFrame(data, strict=False).write_csv().encode()


def read_run(path: Path) -> dict[str, Any]:
    """The fields of a `ResultData` from a complete run folder. Raises `InputError` for another or a damaged one."""
    import polars as pl

    if not (path / MARK).is_file():
        raise InputError(f"{path} is not a run folder: it has no {MARK}. Give the folder of an earlier fit.")
    if not (path / "result.json").is_file():
        raise InputError(
            f"the run in {path} is not complete. Ask for it again with ", Setting("resume", True), ", which goes on."
        )
    try:
        return _fields(path)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OSError, pl.exceptions.PolarsError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"the run folder {path} is damaged ({what}). Run fit again.") from None


def _fields(path: Path) -> dict[str, Any]:
    data = json.loads((path / "result.json").read_bytes())
    request = json.loads((path / MARK).read_bytes())
    if data["format"] != FORMAT:
        remedy = "Update perceptory" if data["format"] > FORMAT else "Run fit again"
        raise InputError(f"{path} has format {data['format']}, and this version reads {FORMAT}. {remedy}.")
    plain = ("task", "targets", "classes", "score", "best", "rule", "environment", "seconds")
    return {name: data[name] for name in plain} | {
        "study": request["study"],
        "fingerprint": request["fingerprint"],
        "candidates": [CandidateResult(**_numbers(c)) for c in data["candidates"]],
        "members": _read_members(path / "history.parquet", data["members"]),
        "predictions": _read_predictions(path / "predictions.csv", data),
        "data": DataFacts.from_json(data["data"]),
        "ensemble": tuple(ErrorDecomposition.from_json(d) for d in data["ensemble"]),
        "folder": str(path),
        "train": _metrics(data["train"]),
        "validation": _metrics(data["validation"]),
        "tested": _metrics(data["test"]),
    }


def _read_members(path: Path, members: list[dict[str, Any]]) -> list[MemberResult]:
    """Members with their costs by epoch, which stand in a file of their own."""
    import polars as pl

    by_member = pl.read_parquet(path).partition_by("candidate", "fold", "seed", as_dict=True, maintain_order=True)
    costs = {
        who: (frame["train_cost"].to_numpy(), frame["validation_cost"].to_numpy()) for who, frame in by_member.items()
    }
    none = (np.zeros(0), np.zeros(0))
    read = []
    for m in members:
        train, validation = costs.get((m["candidate"], m["fold"], m["seed"]), none)
        read.append(MemberResult(**_numbers(m), train_cost=train, validation_cost=validation))
    return read


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


def _read_predictions(path: Path, data: dict[str, Any]) -> Predictions:
    import polars as pl

    # As text: what a class is called ("01", "true") must not be taken for a number.
    frame = pl.read_csv(path, infer_schema=False)
    columns = frame.columns
    outputs = len(data["classes"] or data["targets"])

    def numbers(names: list[str]) -> np.ndarray:
        return frame.select(pl.col(names).cast(pl.Float64)).to_numpy()

    row = frame["row"].cast(pl.Int64).to_numpy()
    part = np.array(frame["part"].to_list(), dtype=str)
    output = numbers(columns[-outputs:])
    by_step = data["classes"] is None and len(columns) == 3 + 2 * outputs
    step = frame[columns[2]].cast(pl.Int64).to_numpy() if by_step else None
    if data["classes"] is not None:
        place = {str(c): i for i, c in enumerate(data["classes"])}
        return Predictions(row, part, np.array([place[v or ""] for v in frame[columns[2]].to_list()], int), output)
    return Predictions(row, part, numbers(columns[3 if by_step else 2 : -outputs]), output, step)
