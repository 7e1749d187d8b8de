"""A model for use after the test: of forecasts the chosen candidates trained anew on all rows, sealed ones included.

What is forecast begins where the series end, and the sealed rows are the last ones: a model that has not learned from
them knows nothing of what came latest. The numbers of the test are of the model before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from perceptory import backend
from perceptory.data.examples import Examples, encoder_for
from perceptory.data.series.windows import MANY
from perceptory.errors import InputError
from perceptory.models.forecasts import LEARNED_FROM
from perceptory.models.model import Model
from perceptory.models.weighted import WeightedModel
from perceptory.studies.assemble import model_of, sound_networks, trained_anew
from perceptory.studies.design import Candidate
from perceptory.studies.encoded_examples import encode
from perceptory.studies.forecasts import series_facts
from perceptory.studies.prepare import Prepared
from perceptory.studies.records import Records
from perceptory.studies.sealing import Sealed
from perceptory.studies.split import split_of


def learns_from_all(prepared: Prepared) -> bool:
    """Whether a study gives such a model: of forecasts, where training once more takes seconds."""
    whole, study = prepared.sealed.whole, prepared.study
    return (
        whole is not None
        and not study.keep_sealed
        and whole.rows < MANY
        and prepared.pretexts is None
        and prepared.encoded.auxiliary is None
        and all(candidate.start is None for candidate in prepared.candidates)
    )


def with_all_rows(records: Records, inside: Sequence[int], shares: Sequence[float], model: Model) -> Model | None:
    """The model that candidates `inside`, with these shares, give when they train on all rows: each as many networks as
    `model` has of it, for the mean best epoch. Intervals are those of `model`, from what was held out.

    None where the newest rows do not suit a candidate, as values below 0 do not suit logarithms, or training diverged.
    """
    prepared = records.prepared
    whole = prepared.sealed.whole
    if whole is None:
        return None
    encoder = encoder_for(whole)
    encoded = encode(whole, encoder)
    on_all = dataclasses.replace(
        prepared, sealed=Sealed(whole, None), encoder=encoder, groups=[], parts=(), split=split_of(encoded, [])
    )
    with backend.precision(prepared.study.arithmetic):
        try:
            parts = [_trained(records, on_all, c, len(part)) for c, part in zip(inside, model.parts, strict=True)]
        except InputError:
            return None
    facts = model.facts | {LEARNED_FROM: {"rows": whole.rows, "sealed_rows": prepared.row_counts[1]}}
    anew: Model = parts[0].with_facts(facts) if len(parts) == 1 else WeightedModel(parts, list(shares), facts)
    anew.ends = model.ends
    return anew


def _trained(records: Records, on_all: Prepared, candidate: int, networks: int) -> Model:
    own = [_told(on_all.candidates[candidate], on_all.data)]
    copies = 1 if own[0].network.solved else -(-networks // on_all.study.seeds)
    rows = np.arange(on_all.encoded.count)
    split = split_of(on_all.encoded, [(rows, rows[:0])] * copies)
    prepared = dataclasses.replace(on_all, candidates=own, split=split)
    epochs = np.mean([record.best_epoch for record in records.sound_members(candidate).values()])
    group, _ = prepared.group_of(0, split, epochs=max(1, round(float(epochs))))
    weights, scalings = sound_networks(trained_anew(group, Records(prepared, cluster=records.cluster), None), group)
    return model_of(prepared, 0, weights, scalings, {})


def _told(candidate: Candidate, whole: Examples) -> Candidate:
    """The candidate, its network told of all rows which values there are. `InputError` where they do not suit it."""
    windows, facts = candidate.network.windows, series_facts(whole)
    if windows is None or facts is None:
        return candidate
    if windows.log and not facts.positive:
        raise InputError("log needs targets above 0, and the sealed rows have others.")
    return candidate.replace(network=windows.replace(nonnegative=facts.nonnegative))
