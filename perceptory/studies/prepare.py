"""From a study and its data to everything that is decided before the first training step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from perceptory import backend
from perceptory.data.examples import ExampleEncoder, Examples, check_examples, encoder_for, taken_over
from perceptory.data.own_targets import own_names
from perceptory.data.series.rolled import target_columns
from perceptory.data.tables.encoder import Encoder
from perceptory.errors import InputError
from perceptory.notes import Note, training_scores_of_some
from perceptory.objectives.auxiliary import Auxiliary
from perceptory.objectives.table import DEFAULT_COST
from perceptory.selection.metrics import Score, score_for
from perceptory.selection.plans import plan_json
from perceptory.specs import to_json
from perceptory.studies.autoencoding import check_rule, for_reconstruction, notes_on_codes
from perceptory.studies.auxiliary import Aims, given_by_inputs, objectives_of, taken_out, without
from perceptory.studies.checks import check_candidates, check_data, check_final, check_groups
from perceptory.studies.design import Candidate, StudyDesign, with_numbers
from perceptory.studies.encoded_examples import EncodedExamples, check_spans, encode
from perceptory.studies.extremes import check_weights, hints, values_far_off
from perceptory.studies.forecasts import for_forecasts
from perceptory.studies.groups import Group, Who, groups_of
from perceptory.studies.keys import fingerprint
from perceptory.studies.memory import arrays_of, notes_on_memory, resident_bytes
from perceptory.studies.parts import Fold, Part, folds_and_parts
from perceptory.studies.pretexts import Pretexts, Unlabeled, pretexts_of
from perceptory.studies.pretraining import EXAMPLE, Pretraining
from perceptory.studies.sealing import Sealed, seal_off
from perceptory.studies.split import Split, Splitting, split_of, validation_plan
from perceptory.training.scaling import Scaling


@dataclass(frozen=True)
class Prepared:
    """A study on the eve of training."""

    study: StudyDesign  # with its precision filled in
    sealed: Sealed  # its examples, and those that it must not see
    encoder: ExampleEncoder
    candidates: list[Candidate]
    validation: Any  # the plan that the folds are of, as JSON data; None where the caller gave them
    split: Split
    score: Score
    groups: list[Group]
    padded: bool = False  # sizes rounded up, so that data of nearly the same size share programs
    unlabeled: Unlabeled | None = None
    pretexts: Pretexts | None = None  # what networks learn before
    parts: tuple[Part, ...] = ()  # the study's own folds, and those within each outer fold where validation is nested

    @property
    def data(self) -> Examples:
        """The study's examples; no sealed one is among them."""
        return self.sealed.study

    @property
    def encoded(self) -> EncodedExamples:
        return self.split.encoded

    @property
    def folds(self) -> list[Fold]:
        return self.split.folds

    @property
    def scalings(self) -> list[Scaling]:
        return self.split.scalings

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of what is predicted; of autoencoders those of what errors are told apart by."""
        return own_names(self.encoder) if self.data.task == "autoencode" else tuple(self.data.target_names)

    @property
    def asked(self) -> dict[str, Any]:
        """The study as JSON data."""
        plan = self.study.validation
        fields: dict[str, Any] = to_json(self.study, strict=False)
        return fields | {"validation": None if plan is None else plan_json(plan)}

    @cached_property
    def fingerprint(self) -> str:
        """See `keys.fingerprint`."""
        lessons = () if self.pretexts is None else self.pretexts.lessons
        more = [array for lesson in lessons for array in (lesson.split.encoded.inputs, lesson.split.encoded.targets)]
        return fingerprint(self.study, self.split, self.encoder, self.sealed, more)

    @property
    def raw(self) -> Any:
        """The study's examples as the program takes them (`EncodedExamples.raw`)."""
        return self.encoded.as_taken(np.float64 if self.study.arithmetic == "double" else np.float32, self.padded)

    @property
    def row_counts(self) -> tuple[int, int]:
        """Examples of the study, and sealed ones."""
        test = self.sealed.test
        return self.data.rows, 0 if test is None else test.rows

    @property
    def complexity(self) -> np.ndarray:
        """[candidate] weights of one network."""
        weights = np.zeros(len(self.candidates))
        for group in self.groups:
            for c, _, _ in group.who:
                weights[c] = group.weights
        return weights

    def scaling_of(self, who: Who) -> Scaling:
        """The scaling of a member: its fold's, or that of the model whose layers it begins with."""
        return next(g.scalings[g.who.index(who)] for g in self.groups if who in g.who)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is to be said of what the members begin with, and of codes that leave nothing out."""
        begun = dict.fromkeys(note for group in self.groups for note in group.notes)
        learned = () if self.pretexts is None else self.pretexts.notes
        train = max((fold[0] for fold in self.folds), key=len, default=np.empty(0, np.int64))
        shown = len(self.encoded.shown(train))
        some = (training_scores_of_some(shown, len(train)),) if shown < len(train) else ()
        return (*learned, *begun, *some, *notes_on_codes(self.candidates, self.encoded))

    def of_part(self, number: int) -> Prepared:
        """The study of one part: its folds, numbered from 0, and their members."""
        part = self.parts[number]
        groups = []
        for group in self.groups:
            here = [i for i, (_, f, _) in enumerate(group.who) if part.begin <= f < part.end]
            who = [(c, f - part.begin, s) for c, f, s in (group.who[i] for i in here)]
            members = jax.tree.map(lambda a, here=here: a[here], group.members)
            scalings = [group.scalings[i] for i in here]
            groups.append(dataclasses.replace(group, who=who, members=members, scalings=scalings))
        folds, scalings = self.folds[part.begin : part.end], self.scalings[part.begin : part.end]
        own = dataclasses.replace(part, begin=0, end=len(folds))
        # Rows of an outer fold differ by one: rounded up, refits share their programs.
        return dataclasses.replace(
            self, split=Split(self.encoded, folds, scalings), groups=groups, parts=(own,),
            padded=self.padded or number > 0,
        )  # fmt: skip

    def group_of(self, candidate: int, split: Split, epochs: int) -> tuple[Group, Pretexts | None]:
        """The group that trains one candidate on another split of the same examples, for so many epochs, and what it
        learns before."""
        own = [self.candidates[candidate]]
        pretexts = pretexts_of(self.study, own, self.data, self.encoded, split.folds, self.unlabeled)
        learned = None if pretexts is None else pretexts.begins
        (group,) = groups_of(self.study, own, split, epochs, self.padded, learned)
        return group, pretexts


@dataclass(frozen=True)
class Start:
    """What training that goes on keeps of the training before it."""

    encoder: ExampleEncoder
    scaling: Scaling


def prepare(
    study: StudyDesign,
    data: Any,
    *,
    test: Any = None,
    splitting: Splitting | None = None,
    start: Start | None = None,
    epochs: int | None = None,
    padded: bool = False,
    constant: bool = False,
) -> Prepared:
    """Seal, encode, fill in the candidates, check, split, scale, and sort into groups; the one way in for everybody.

    data: `Examples`. test: examples to seal instead of a share of the data. splitting: gives the folds in place of a
    validation plan. start: encoder and scaling that there are already. epochs: of every member, without early stopping,
    in place of the study's. padded: sizes rounded up, so that data of nearly the same size share compiled programs.
    constant: whether the target may be constant, as in a batch of a stream.

    Raises `InputError` for everything that a study refuses.
    """
    study = study.with_precision()
    held = arrays_of(data) if isinstance(data, Examples) else []  # that the caller goes on holding
    sealed = seal_off(study, check_examples(taken_over(data)), test)
    candidates = [with_numbers(c) for c in study.candidates(DEFAULT_COST[sealed.study.task])]
    objectives = objectives_of(candidates)
    aims = taken_out(objectives, sealed.study)
    sealed = _without(sealed, objectives) if objectives else sealed
    known = sealed.study
    if not constant:
        check_data(known)
    candidates = for_forecasts(candidates, known)
    encoder = encoder_for(known) if start is None else start.encoder
    encoded = encode(known, encoder)
    check_weights(known, encoded.weights)
    far_off = _checked_spans(known, encoded, encoder, study.arithmetic)
    sealed = dataclasses.replace(sealed, notes=(*sealed.notes, *far_off))
    if known.task == "autoencode":
        candidates = for_reconstruction(candidates, encoder, encoded, beside_pca=splitting is None)
    if objectives:
        encoded.auxiliary = Aims(aims | given_by_inputs(objectives, known, encoder, encoded.inputs))
    candidates = for_table(candidates, encoder, known.rows)
    score = score_for(known.task, study.score, encoded.units is not None)
    check_candidates(candidates, known, encoded, score.name)
    candidates = for_targets(candidates, encoded)
    check_rule(study.rule, known.task)
    check_final(study.final, known.task, candidates)
    unlabeled = _unlabeled_of(study, candidates, sealed, encoder, encoded)
    plan, folds = None, [] if splitting is None else splitting(encoded)
    parts: tuple[Part, ...] = ()
    if splitting is None:
        plan = validation_plan(study, known)
        folds, parts = folds_and_parts(plan, known, study.seed)
    split = split_of(encoded, folds) if start is None else _as_before(encoded, folds, start)
    held += [array for part in (known, sealed.test) if part is not None for array in arrays_of(part)]
    encoded.resident = resident_bytes(encoded, held, study.arithmetic)
    with backend.precision(study.arithmetic):
        pretexts = pretexts_of(study, candidates, known, encoded, folds, unlabeled)
        groups = groups_of(study, candidates, split, epochs, padded, None if pretexts is None else pretexts.begins)
        check_groups(groups, study.memory)
        sealed = dataclasses.replace(sealed, notes=(*sealed.notes, *notes_on_memory(groups, encoded, study.memory)))
    validation = None if plan is None else plan_json(plan)
    return Prepared(
        study, sealed, encoder, candidates, validation, split, score, groups, padded, unlabeled, pretexts, parts
    )  # fmt: skip


def _checked_spans(
    known: Examples, encoded: EncodedExamples, encoder: ExampleEncoder, arithmetic: str
) -> tuple[Note, ...]:
    """Notes on values far off all others; refuses what the arithmetic cannot tell apart, with these as hints."""
    far_off = values_far_off(known, encoded, encoder)
    try:
        check_spans(encoded.columns(), encoder.feature_names, arithmetic, "input")
        if known.task == "regression":
            check_spans(enumerate(target_columns(encoded.aims)), known.target_names, arithmetic, "target")
    except InputError as error:
        raise InputError(error, *hints(far_off)) from None
    return far_off


def _unlabeled_of(
    study: StudyDesign, candidates: list[Candidate], sealed: Sealed, encoder: ExampleEncoder, encoded: EncodedExamples
) -> Unlabeled | None:
    """The study's rows without targets, encoded, none of them a row that has one."""
    if study.unlabeled is None:
        return None
    if not any(isinstance(c.start, Pretraining) for c in candidates):
        raise InputError(f"unlabeled rows are for pretraining, and there is none. Leave them out, or add {EXAMPLE}")
    tested = [] if sealed.test is None else [encoder.transform(sealed.test)]
    return Unlabeled.of(study.unlabeled, encoder, [encoded.inputs, *tested])


def for_table(candidates: list[Candidate], encoder: ExampleEncoder, rows: int) -> list[Candidate]:
    """The candidates, their networks told of the study's rows and of what the columns of a table are."""
    if not isinstance(encoder, Encoder):
        return candidates
    kinds = encoder.kinds
    return [c.replace(network=c.network.for_columns(kinds).for_rows(rows)) for c in candidates]


def for_targets(candidates: list[Candidate], encoded: EncodedExamples) -> list[Candidate]:
    """The candidates, their costs told of the study's targets; of forecasts, whose targets are seen relative to their
    windows, there is nothing to tell."""
    if encoded.task != "regression" or not isinstance(encoded.truth, np.ndarray):
        return candidates
    weights = encoded.weights.ravel()
    there = weights > 0
    targets = encoded.truth.reshape(len(weights), -1)[there]
    return [c.replace(cost=c.cost.for_targets(targets, weights[there])) for c in candidates]


def _without(sealed: Sealed, objectives: list[Auxiliary]) -> Sealed:
    """The examples on both sides without the columns that are auxiliary targets."""
    names = [one.target for one in objectives if isinstance(one.target, str)]
    test = None if sealed.test is None else without(names, sealed.test)
    return dataclasses.replace(sealed, study=without(names, sealed.study), test=test)


def _as_before(encoded: EncodedExamples, folds: list[Fold], start: Start) -> Split:
    if encoded.auxiliary is not None:
        raise InputError(
            "training goes on without auxiliary objectives, since a model has no heads for them. Leave auxiliary out,"
            " or train from the start."
        )
    return Split(encoded, folds, [start.scaling] * len(folds))
