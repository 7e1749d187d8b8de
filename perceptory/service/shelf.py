"""The models that a service has, each from its file, and made anew when the file changes."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.table import label
from perceptory.errors import InputError
from perceptory.models.averages import mean_of
from perceptory.models.model import Model
from perceptory.models.model_file import load
from perceptory.runs.contents import MODEL
from perceptory.service.tensors import datatype_of
from perceptory.wording import count_of

log = logging.getLogger("perceptory")


@dataclass(frozen=True)
class Served:
    """A model in use, which never changes: a new file makes a new one."""

    name: str
    path: Path  # of the model file
    model: Model
    version: str  # a digest of the file

    @property
    def is_table(self) -> bool:
        """Whether it takes columns; others take arrays, and series with their columns of time."""
        return isinstance(self.model.encoder, Encoder)

    @property
    def label(self) -> str:
        model = self.model
        what = f"predicts {', '.join(model.targets)}" if model.targets else "tells how unusual a row is"
        among = "" if model.classes is None else f" among {len(model.classes)} classes"
        return f"{what}{among}, {count_of(len(model), 'network')}"

    @property
    def report(self) -> Path | None:
        """The run's report, where the file is in a run folder."""
        path = self.path.parent / "report.html"
        return path if path.is_file() else None

    def columns(self) -> list[dict[str, Any]]:
        """Of each column that is used: "name", "kind", "categories", "datatype"."""
        encoder: Any = self.model.encoder
        if not self.is_table:
            return [{"name": "inputs", "kind": encoder.kind, "categories": [], "datatype": "FP64"}]
        kinds = {"numeric": "FP64", "boolean": "BOOL"}
        return [
            {"name": c.name, "kind": c.kind, "categories": list(c.categories), "datatype": kinds.get(c.kind, "BYTES")}
            for c in encoder.columns
            if c.used
        ]

    def outputs(self) -> list[dict[str, Any]]:
        """Of each answer: "name", "datatype", "shape" of a row, and "classes" of probabilities."""
        model = self.model
        if model.task == "autoencode":
            return [{"name": name, "datatype": "FP64", "shape": []} for name in ("anomaly_score", "p_value")]
        if model.classes is None:
            return [{"name": name, "datatype": "FP64", "shape": []} for name in model.targets]
        classes = [label(c) for c in model.classes]
        return [
            {"name": model.targets[0], "datatype": datatype_of(model.classes), "shape": []},
            {"name": "probability", "datatype": "FP64", "shape": [len(classes)], "classes": classes},
        ]

    @property
    def middle(self) -> np.ndarray:
        """[in] the middle of training: of the networks of one structure, where there are several."""
        return np.asarray(self.model.parts[0].in_center.mean(axis=0))

    # --- predictions ---------------------------------------------------------------------------------------------

    def encoded(self, rows: Any) -> np.ndarray:
        """Inputs [row, in] of a table's rows. Raises `InputError` for what the model cannot take."""
        inputs: np.ndarray = self.model.encoder.transform(_together(rows))
        return inputs

    def answers(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """By name, from encoded inputs."""
        return self._named(self.model.mean(inputs))

    def answers_whole(self, rows: Any) -> dict[str, np.ndarray]:
        """By name, from rows as they came, of models whose requests are not put together."""
        if self.model.task == "autoencode":
            found = self.model.anomaly_score(rows)
            return {"anomaly_score": found.score, "p_value": found.p_value}
        return self._named(mean_of(self.model, self.model.members(rows)))

    @property
    def has_intervals(self) -> bool:
        """Whether intervals can be asked for."""
        return self.model.task == "regression" and self.is_table

    def intervals(self, rows: Any, coverage: float) -> dict[str, np.ndarray]:
        """Lower and upper ends by target."""
        if self.model.classes is not None or self.model.task == "autoencode":
            raise InputError("an interval is for a model that predicts numbers. Leave it out.")
        ends = np.asarray(self.model.predict_interval(rows, coverage))
        ends = ends[:, None] if ends.ndim == 2 else ends
        named = {}
        for k, name in enumerate(self.model.targets):
            named[f"lower end of {name}"], named[f"upper end of {name}"] = ends[..., k, 0], ends[..., k, 1]
        return named

    def _named(self, mean: np.ndarray) -> dict[str, np.ndarray]:
        model = self.model
        if model.classes is None:
            return {name: mean[..., k] for k, name in enumerate(model.targets)}
        return {model.targets[0]: np.asarray(model.classes)[mean.argmax(axis=-1)], "probability": mean}

    def warm(self) -> None:
        """Compile what single rows and a few of them need, so that no request waits for it."""
        if not self.is_table:
            return
        for rows in (1, 16, 128):
            self.answers(np.tile(self.middle, (rows, 1)))


def _together(rows: Any) -> Any:
    """Columns as the encoder takes them quickest: one row as plain values, many as a frame of typed columns."""
    if not isinstance(rows, dict):
        return rows
    if all(len(values) == 1 for values in rows.values()):
        values = {name: values[0] for name, values in rows.items()}
        return {name: v.item() if isinstance(v, np.generic) else v for name, v in values.items()}
    columns = {name: _typed(values) for name, values in rows.items()}
    return rows if any(column is None for column in columns.values()) else pl.DataFrame(columns)


def _typed(values: Any) -> pl.Series | None:
    """A column of one type; None where the values are of several, which are told apart cell by cell."""
    if isinstance(values, np.ndarray):
        return pl.Series(values=values) if values.dtype.kind in "biuf" else None
    types = set(map(type, values)) - {type(None)}
    for kind, dtype in ((str, pl.String), (bool, pl.Boolean), (float, pl.Float64), (int, pl.Int64)):
        if types == {kind}:
            try:
                return pl.Series(values=values, dtype=dtype)
            except OverflowError:
                return None
    exact = types == {int, float} and all(abs(v) <= 2**53 for v in values if type(v) is int)
    return pl.Series(values=values, dtype=pl.Float64, strict=False) if exact else None


class Shelf:
    """Models by name. `refresh` looks whether files have changed; a request keeps the model that it began with."""

    def __init__(self, runs: Sequence[str]):
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._served: dict[str, Served] = {}
        self.swapped = 0  # models that were replaced by those of new files
        for run in runs:
            name, path = _named_run(run)
            if name in self._served:
                raise InputError(f"two models would be called {name!r}. Name them: one=RUN other=RUN.")
            self._seen[name] = _stamp(path)
            self._served[name] = _opened(name, path)

    def __iter__(self) -> Any:
        return iter(list(self._served.values()))

    def __len__(self) -> int:
        return len(self._served)

    def get(self, name: str) -> Served | None:
        return self._served.get(name)

    def refresh(self) -> None:
        """Take up files that have changed. One that cannot be read leaves the model that there is, and is said once."""
        with self._lock:
            for served in list(self._served.values()):
                try:
                    stamp = _stamp(served.path)
                except OSError:
                    continue  # being replaced
                if stamp == self._seen[served.name]:
                    continue
                self._seen[served.name] = stamp
                try:
                    new = _opened(served.name, served.path)
                except InputError as error:
                    log.warning(
                        "perceptory: %s goes on as it was, since its new file is refused: %s", served.name, error
                    )
                    continue
                if new.version != served.version:
                    self._served[served.name] = new
                    self.swapped += 1
                    log.warning("perceptory: %s is now version %s.", new.name, new.version)


def _named_run(run: str) -> tuple[str, Path]:
    """Name and model file of RUN or NAME=RUN; RUN is a run folder or a model file."""
    name, equals, place = run.partition("=")
    if not equals or Path(run).exists():
        name, place = "", run
    path = Path(place)
    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"there is no model in {place!r}. Give a run folder that perceptory fit has made, or a model file."
        )
    folder = path.resolve().name if path.is_dir() else path.stem
    name = name or folder.removesuffix("-run") or "model"
    if not all(c.isalnum() or c in "-_." for c in name):
        raise InputError(f"a model's name stands in addresses, and {name!r} does not fit there. Give NAME={place}.")
    return name, file


def _stamp(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _opened(name: str, path: Path) -> Served:
    version = hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()
    served = Served(name, path, load(path), version)
    served.warm()
    return served
