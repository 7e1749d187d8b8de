"""What a study of autoencoders keeps for its report: best and worst rows, codes, samples, scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from perceptory.data.own_targets import given_back
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.reconstruction import column_targets
from perceptory.models import anomalies
from perceptory.models.autoencoding import View, row_errors, sample, view_of
from perceptory.models.model import Model
from perceptory.results.data_facts import CHANNELS, PIXELS, STEPS
from perceptory.results.predictions import Predictions
from perceptory.results.reconstructions import Reconstructions
from perceptory.studies.groups import Who
from perceptory.studies.prepare import Prepared
from perceptory.studies.record import Record

SHOWN = {"table": 3, "series": 3, "image": 8, "array": 0}  # best rows, and as many of the worst
COLUMNS = 40  # of a table, those with the largest errors
CODES, TRAINED = 1024, 200  # rows whose codes are kept; training rows of each fold
COLORS, CLASSES = 24, 12  # columns that codes can be colored by; categories that are told apart
SAMPLES = {"table": 8, "series": 6, "image": 16, "array": 0}


def reconstructions_of(
    prepared: Prepared, sound: dict[Who, Record], model_of_member: Any, model: Model, predictions: Predictions
) -> Reconstructions:
    """See `Reconstructions`. sound: the chosen candidate's members. model_of_member: makes a model of one of them.

    predictions: of the held-out rows.
    """
    study = _Study(prepared, {who[1]: who for who in reversed(sound)}, model_of_member)
    data: Any = prepared.data
    encoder: Any = prepared.encoder
    place = {int(row): k for k, row in enumerate(data.row_numbers.tolist())}
    held = np.array([place[int(row)] for row in predictions.row])
    errors = row_errors(predictions.output)
    usual = _usual(model, predictions.output.shape[1])
    order = np.argsort(errors, kind="stable")
    most = min(SHOWN[data.kind], len(order) // 2)
    chosen = [*order[:most], *order[len(order) - most :]]
    shown = [int(held[k]) for k in chosen]
    worst_columns = np.argsort(-np.nan_to_num(np.nanmean(predictions.output, axis=0)), kind="stable")
    columns = np.sort(worst_columns[:COLUMNS])
    outputs = study.held_out(shown)
    best = min(sound, key=lambda who: sound[who].score)
    code_places = np.unique(np.linspace(0, data.rows - 1, min(CODES, data.rows)).round().astype(int))
    codes, spread = _principal(study.view(best, code_places).codes)
    table = isinstance(encoder, Encoder)
    names = [prepared.target_names[k] for k in columns]
    given = given_back(encoder, outputs) if len(shown) else None
    new = _samples(model, data.kind)
    return Reconstructions(
        row=np.asarray(data.row_numbers[shown], np.int64),
        error=errors[chosen],
        columns=tuple(names),
        errors=predictions.output[chosen][:, columns],
        cells=_cells(data, encoder, shown, names) if table else (),
        given_back=_words(given, names) if table and given is not None else (),
        inputs=None if table or given is None else _thinned(data.kind, data.inputs[shown]),
        outputs=None if table or given is None else _thinned(data.kind, np.asarray(given)),
        usual=usual,
        train_scores=study.train_scores(usual),
        codes=codes,
        spread=spread,
        code_row=np.asarray(data.row_numbers[code_places], np.int64),
        colors=_colors(data, code_places),
        color=None if data.labels is None else data.labels.name,
        samples=None if table or new is None else _thinned(data.kind, np.asarray(new)),
        sampled=_words(new, names) if table and new is not None else (),
    )


class _Study:
    """The chosen candidate's networks, one of each fold, and the rows that they have and have not seen."""

    def __init__(self, prepared: Prepared, by_fold: dict[int, Who], model_of_member: Any):
        self.prepared, self.by_fold, self.model_of_member = prepared, by_fold, model_of_member
        self.models: dict[Who, Model] = {}

    def view(self, who: Who, places: Any) -> View:
        encoded = self.prepared.encoded
        if who not in self.models:
            self.models[who] = self.model_of_member(who)
        lengths = None if encoded.lengths is None else encoded.lengths[places]
        return view_of(
            self.models[who], 0, encoded.inputs[places], encoded.targets[places], encoded.weights[places], lengths
        )

    def held_out(self, places: list[int]) -> np.ndarray:
        """What is given back of these rows, each by a network that did not train on it."""
        given: dict[int, np.ndarray] = {}
        for fold, who in self.by_fold.items():
            rows = set(self.prepared.folds[fold][1].tolist())
            mine = [k for k in places if k in rows and k not in given]
            if mine:
                given |= dict(zip(mine, self.view(who, np.array(mine)).outputs, strict=True))
        return np.stack([given[k] for k in places]) if places else np.zeros((0, 0))

    def train_scores(self, usual: np.ndarray) -> np.ndarray:
        """Anomaly scores of some rows of each fold by a network that was trained on them."""
        scores = []
        for fold, who in self.by_fold.items():
            rows = np.asarray(self.prepared.folds[fold][0])
            some = np.unique(rows[np.linspace(0, len(rows) - 1, min(TRAINED, len(rows))).round().astype(int)])
            scores.append(anomalies.row_scores(self.view(who, some).errors, usual))
        return np.concatenate(scores) if scores else np.zeros(0)


def _usual(model: Model, columns: int) -> np.ndarray:
    """[column] mean over the groups of held-out rows; 1, which is that of a column's mean, where none was held out."""
    if not model.facts.get("held_out"):
        return np.ones(columns)
    return np.asarray(np.mean([group.usual for group in anomalies.known_of(model, columns)], axis=0))


def _principal(codes: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]]:
    """The codes on their principal axes, at most two, and the share of their variance along each."""
    codes = np.nan_to_num(codes)
    centered = codes - codes.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centered, full_matrices=False)
    total = float(np.sum(sizes**2)) or 1.0
    return centered @ axes[:2].T, tuple(float(v) for v in sizes[:2] ** 2 / total)


def _samples(model: Model, kind: str) -> Any:
    if not getattr(model.network, "variational", 0) or not SAMPLES[kind]:
        return None
    return given_back(model.encoder, sample(model, SAMPLES[kind], 0, None))


def _thinned(kind: str, examples: np.ndarray) -> np.ndarray:
    """At most PIXELS along each side of a picture, STEPS steps and CHANNELS channels of a series."""
    if kind == "image":
        step = -(-max(examples.shape[1:3]) // PIXELS)
        examples = examples[:, ::step, ::step]
    elif kind == "series":
        examples = examples[:, :STEPS, :CHANNELS]
    return np.ascontiguousarray(examples, np.float32)


# --- cells of a table ---------------------------------------------------------------------------------------------


def _cells(data: Any, encoder: Encoder, places: list[int], names: list[str]) -> tuple[tuple[str, ...], ...]:
    """[shown][column] the cells as they came, in words."""
    plans = {column.name: column.plan for column in column_targets(encoder)}
    columns = {column.name: column for column in data.columns}
    by_column = [
        [_cell(value, plans[name].kind) for value in columns[name].values[np.array(places, int)].tolist()]
        for name in names
    ]
    return tuple(zip(*by_column, strict=True))


def _words(frame: pl.DataFrame, names: list[str]) -> tuple[tuple[str, ...], ...]:
    """[row][column] the cells of a frame in words."""
    return tuple(tuple(_cell(value, "") for value in row) for row in frame.select(names).iter_rows())


def _cell(value: Any, kind: str) -> str:
    from perceptory.wording import number

    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if kind == "boolean" or isinstance(value, bool):
        return "true" if value else "false"
    if kind == "date":
        date = pl.Series([round(float(value) * 86_400_000)]).cast(pl.Datetime("ms"))[0]
        return f"{date:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    if hasattr(value, "strftime"):
        return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    return number(value) if isinstance(value, int | float) else str(value)


def _colors(data: Any, places: np.ndarray) -> dict[str, tuple[float | str | None, ...]]:
    """What the rows can be colored by: the labels that were given, and the columns of a table."""
    given = {} if data.labels is None else {data.labels.name: data.labels.values[places]}
    columns = data.columns if data.kind == "table" else ()
    given |= {c.name: c.values[places] for c in columns[: COLORS + 1] if c.name not in given}
    colors = {name: tuple(_color(v) for v in np.asarray(values).tolist()) for name, values in given.items()}
    return {name: _few_classes(values) for name, values in list(colors.items())[:COLORS]}


def _color(value: Any) -> float | str | None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return float(value) if isinstance(value, int | float) else str(value)


def _few_classes(values: tuple[float | str | None, ...]) -> tuple[float | str | None, ...]:
    """Texts with all but the most frequent as one."""
    texts = [v for v in values if isinstance(v, str)]
    if len(set(texts)) <= CLASSES:
        return values
    counts = {text: texts.count(text) for text in set(texts)}
    frequent = sorted(counts, key=lambda text: (-counts[text], text))[: CLASSES - 1]
    return tuple(v if v is None or v in frequent else "(other)" for v in values)
