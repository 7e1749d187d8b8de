"""What the networks of folds say of rows that they did not train on, and what a model learns of its own error there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from perceptory.data.series.rolled import lowest
from perceptory.models.averages import weighted_mean
from perceptory.models.intervals import HeldOut, gain_of, with_intervals
from perceptory.models.model import Model
from perceptory.models.temperature import logits, noise_between, with_temperature
from perceptory.studies.mixtures import Mixture
from perceptory.studies.record import sampled_rows
from perceptory.studies.records import Records

MOST_HELD_OUT = 20_000  # rows whose residuals are looked at


def out_of_fold(records: Records, chosen: int, mixture: Mixture | None = None) -> dict[int, np.ndarray]:
    """By fold what is predicted for its validation rows [row, ...] by networks that did not train on them: the mean
    over the chosen candidate's, or that of a mixture with shares that were selected without these rows."""
    if mixture is not None:
        return mixture.outputs
    sound = records.sound_members(chosen)
    return {
        fold: _mean([record.output for who, record in sound.items() if who[1] == fold])
        for fold in sorted({f for _, f, _ in sound})
    }


def _mean(outputs: list[np.ndarray]) -> np.ndarray:
    return outputs[0] if len(outputs) == 1 else np.asarray(np.mean(outputs, axis=0))


def some_of(outputs: dict[int, np.ndarray], places: np.ndarray) -> np.ndarray:
    """[place, ...] of all folds' outputs one after the other; places: increasing."""
    ends = np.cumsum([0, *map(len, outputs.values())])
    cuts = np.searchsorted(places, ends)
    own = zip(outputs.values(), ends, cuts[:-1], cuts[1:], strict=False)
    return np.concatenate([output[places[a:b] - first] for output, first, a, b in own])


def add_intervals(records: Records, chosen: int, model: Model, mixture: Mixture | None = None) -> None:
    """Learn from the residuals of held-out rows how far a regression may err, for `Model.predict_interval`."""
    held = held_out(records, chosen, mixture)
    if held is not None:
        with_intervals(model, held)


def held_out(records: Records, chosen: int, mixture: Mixture | None = None) -> HeldOut | None:
    """Each fold's validation rows as the final model's networks of that fold predict them; None without any."""
    prepared, encoded = records.prepared, records.prepared.encoded
    outputs = out_of_fold(records, chosen, mixture)
    if encoded.task != "regression" or not outputs:
        return None
    rows = np.concatenate([prepared.folds[fold][1] for fold in outputs])
    groups = np.concatenate([np.full(len(output), fold) for fold, output in outputs.items()])
    some = np.linspace(0, len(rows) - 1, min(len(rows), MOST_HELD_OUT)).astype(int)
    rows, groups, prediction = rows[some], groups[some], some_of(outputs, some)
    gain = 1.0 if "refit" in prepared.study.final else _gain(records, chosen, mixture)
    known = encoded.inputs_at(rows), encoded.truth[rows], prediction, encoded.weights[rows]
    return HeldOut(*known, groups, gain, lowest(encoded.truth))


def _gain(records: Records, chosen: int, mixture: Mixture | None) -> float:
    """What the mean over all folds' networks gains over those of one fold (`intervals.gain_of`)."""
    compared = _compared(records, chosen, mixture)
    if not compared.differences:
        return 1.0
    errors = [(truth - held, weights) for truth, held, weights in compared.held]
    ratio = _mean_square(compared.differences) / np.maximum(_mean_square(errors), 1e-300)
    return gain_of(1.0, float(np.mean(ratio)), compared.folds)


def add_temperature(records: Records, chosen: int, model: Model, mixture: Mixture | None = None) -> None:
    """Calibrate the probabilities of a classifier on held-out rows (`models.temperature`)."""
    prepared, encoded = records.prepared, records.prepared.encoded
    outputs = out_of_fold(records, chosen, mixture)
    if encoded.task not in ("binary", "multiclass") or not outputs:
        return
    noise, folds = 0.0, 1
    if prepared.study.final != "refit":
        noise, folds = _scatter(records, chosen, mixture)
    rows = np.concatenate([prepared.folds[fold][1] for fold in outputs])
    probability = np.concatenate(list(outputs.values()))
    with_temperature(model, probability, encoded.truth[rows], encoded.weights[rows], noise, folds)


def _scatter(records: Records, chosen: int, mixture: Mixture | None) -> tuple[float, int]:
    """n of `models.temperature` and how many folds there are, from rows that two folds' networks both trained on. Held
    beside trained would take what networks know by heart for scatter: all of it, of kernels."""
    prepared, by_fold = records.prepared, _sampled(records, chosen, mixture)
    rows = sampled_rows(prepared.encoded.count)
    differences = [np.zeros(0)]
    for (one, a), (other, b) in pairwise(by_fold.items()):
        both = np.isin(rows, prepared.folds[one][0]) & np.isin(rows, prepared.folds[other][0])
        difference = logits(a[both]) - logits(b[both])
        differences.append(difference[np.isfinite(difference)])
    return noise_between(np.concatenate(differences)), max(1, len(by_fold))


class Compared(NamedTuple):
    """Networks of folds on the sampled rows. folds: how many there are. held: (truth, prediction, weights) [row, ...,
    out] of rows that a fold held out. differences: (difference, weights) [row, ..., out] between these predictions and
    those of another fold's networks that trained on the rows."""

    folds: int
    held: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    differences: list[tuple[np.ndarray, np.ndarray]]


def _compared(records: Records, chosen: int, mixture: Mixture | None) -> Compared:
    prepared, encoded = records.prepared, records.prepared.encoded
    by_fold = _sampled(records, chosen, mixture)
    compared = Compared(len(by_fold), [], [])
    if len(by_fold) < 2:
        return compared
    rows = sampled_rows(encoded.count)
    truth, weights = encoded.truth[rows], encoded.weights[rows]
    for fold, held in by_fold.items():
        own = np.isin(rows, prepared.folds[fold][1]) & np.isfinite(held).reshape(len(rows), -1).all(axis=1)
        if not own.any():
            continue
        each = weights.reshape(weights.shape + (1,) * (held.ndim - weights.ndim))
        each = np.broadcast_to(each, held.shape)
        compared.held.append((truth[own], held[own], each[own]))
        for other, known in by_fold.items():
            trained = own & np.isin(rows, prepared.folds[other][0])
            if other != fold and trained.any():
                compared.differences.append((held[trained] - known[trained], each[trained]))
    return compared


def _mean_square(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """[out] weighted mean over the rows of the squares of (values, weights) [row, ..., out]; nan without a weight."""
    values, weights = (np.concatenate([p.reshape(-1, p.shape[-1]) for p in each]) for each in zip(*parts, strict=True))
    sums = weights.sum(axis=0)
    return np.where(sums > 0, (values**2 * weights).sum(axis=0) / np.maximum(sums, 1e-300), np.nan)


def _sampled(records: Records, chosen: int, mixture: Mixture | None) -> dict[int, np.ndarray]:
    """By fold what its networks together, of the chosen candidate or of a mixture, say of the sampled rows [row, ...];
    NaN of rows that they neither trained on nor held out. Folds that lack a candidate are left out."""
    inside, shares = ((chosen,), None) if mixture is None else (mixture.candidates, mixture.shares)
    by_fold: dict[int, list[np.ndarray]] = {}
    for candidate in inside:
        sound = records.sound_members(candidate)
        for fold in {f for _, f, _ in sound}:
            own = [record.sampled.astype(float) for who, record in sound.items() if who[1] == fold]
            by_fold.setdefault(fold, []).append(np.mean(own, axis=0))
    return {
        fold: weighted_mean(np.stack(each), None if shares is None else np.asarray(shares))
        for fold, each in sorted(by_fold.items())
        if len(each) == len(inside) and each[0].size
    }
