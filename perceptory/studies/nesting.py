"""Within each outer fold of nested validation: choose and assemble as the study does, and judge by rows held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from perceptory.errors import InputError
from perceptory.models.model import Model
from perceptory.results.nested import NestedResult, OuterFold
from perceptory.selection.metrics import OWN_COST, score_for
from perceptory.selection.ranking import Chosen, Ranking, rank
from perceptory.studies.assemble import final_model, mean_metrics
from perceptory.studies.autoencoding import only_compared, widths_of_codes
from perceptory.studies.mixtures import Mixture, mixture_of
from perceptory.studies.records import Records
from perceptory.studies.sealing import SealedRows


class Choice(NamedTuple):
    """What a procedure came to, and the model that it gives."""

    ranking: Ranking
    chosen: Chosen
    mixture: Mixture | None
    model: Model

    @property
    def shares(self) -> dict[int, float]:
        """Of candidates in the model, by place."""
        if self.mixture is None:
            return {self.chosen.index: 1.0}
        return dict(zip(self.mixture.candidates, self.mixture.shares, strict=True))

    @property
    def promised(self) -> float:
        return float(self.ranking.mean[self.chosen.index]) if self.mixture is None else self.mixture.mean


def choose(records: Records, ids: Sequence[str]) -> Choice:
    """The procedure of a study once all its members, or those of a part, are trained: rank, choose, assemble."""
    prepared = records.prepared
    codes = widths_of_codes(prepared.candidates)
    discarded = records.discarded()
    ranking = rank(records.scores(), prepared.score.direction, prepared.complexity, codes, discarded)
    compared = only_compared(prepared.candidates)
    chosen = ranking.choose(prepared.study.rule, prepared.score.name, ids, compared)
    mixture = None
    if prepared.study.final.startswith("weighted"):
        order = [int(c) for c in ranking.order if np.isfinite(ranking.mean[c]) and int(c) not in discarded]
        mixture = mixture_of(records, order, chosen.index)
    return Choice(ranking, chosen, mixture, final_model(records, chosen.index, mixture))


def judged_outside(
    records: Records, ids: Sequence[str], chosen: Callable[[Records, Sequence[str]], Choice] = choose
) -> NestedResult | None:
    """Of each outer fold the model that the procedure gives on its training rows, judged by the rows that it held out.
    None where the validation is not nested. Raises `InputError` where nothing could be chosen in an outer fold."""
    prepared = records.prepared
    if len(prepared.parts) < 2:
        return None
    task = prepared.encoded.task
    name = score_for(task, None).name if prepared.score.name == OWN_COST else prepared.score.name
    folds, metrics = [], []
    for k, part in enumerate(prepared.parts[1:], start=1):
        try:
            found = chosen(records.of_part(k), ids)
        except InputError as error:
            raise InputError(f"in outer fold {k} of {len(prepared.parts) - 1}: ", error) from None
        metrics.append(SealedRows(prepared.data.take(part.held)).open(found.model).metrics)
        shares = {ids[c]: share for c, share in found.shares.items()}
        folds.append(OuterFold(len(part.held), shares, float(np.mean(metrics[-1][name])), found.promised))
    networks = sum(1 for _, fold, _ in records.members if fold >= prepared.parts[0].end)
    return NestedResult(tuple(folds), name, mean_metrics(metrics), networks)
