"""The tasks that networks learn before a study's own: from rows that are allowed, as groups of the same program."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from perceptory.augmentation.base import parts
from perceptory.augmentation.masking import Masking
from perceptory.data.examples import ExampleEncoder, Examples
from perceptory.data.own_targets import kinds_and_widths, own_targets
from perceptory.errors import InputError
from perceptory.networks.autoencoder import Autoencoder
from perceptory.notes import Note, unlabeled_rows
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.objectives.table import DEFAULT_COST
from perceptory.studies.cluster import Cluster
from perceptory.studies.design import Candidate, StudyDesign
from perceptory.studies.encoded_examples import EncodedExamples, encode
from perceptory.studies.groups import Group, groups_of
from perceptory.studies.keeping import Keeping
from perceptory.studies.parts import Fold
from perceptory.studies.pretraining import Masked, Pretraining, Supervised
from perceptory.studies.record import Place
from perceptory.studies.split import Split, split_of
from perceptory.studies.starts import FromLesson, from_lesson
from perceptory.training.driver import Outcome, train_group


@dataclass(frozen=True)
class Unlabeled:
    """Rows without the study's targets: their inputs, and their own targets where they are to be learned."""

    source: Any
    inputs: np.ndarray
    lengths: np.ndarray | None
    targets: np.ndarray  # the inputs as their own targets
    left_out: int = 0  # rows that are among the study's or the sealed ones

    @classmethod
    def of(cls, source: Any, encoder: ExampleEncoder, known: Sequence[np.ndarray]) -> Unlabeled:
        """known: encoded inputs of the study and of the sealed rows. A row that is among them is left out: in some fold
        it would be a validation row. `InputError` where they lack what the study's rows have."""
        try:
            found = encoder.examples(source)
        except InputError as error:
            raise InputError("unlabeled rows: ", error) from None
        if not len(found.inputs):
            raise InputError("there is no unlabeled row. Give some, or leave unlabeled out.")
        if found.inputs.shape[1:] != encoder.shape:
            raise InputError(
                f"unlabeled examples have the shape {found.inputs.shape[1:]}, and those of the study {encoder.shape}."
                " Give examples of one shape."
            )
        kind = np.result_type(found.inputs, *known)
        taken = {row.tobytes() for inputs in known for row in inputs.astype(kind)}
        new = np.array([row.tobytes() not in taken for row in found.inputs.astype(kind)], bool)
        if not new.any():
            raise InputError("every unlabeled row is a row of the study as well. Give others, or leave unlabeled out.")
        targets = own_targets(encoder, source, found.inputs)[new]
        lengths = None if found.lengths is None else found.lengths[new]
        return cls(source, found.inputs[new], lengths, targets, int((~new).sum()))


@dataclass
class Lesson:
    """What is learned for so many epochs by some networks: candidates of its own, on rows and folds of its own."""

    split: Split
    candidates: list[Candidate]
    groups: list[Group]
    dtype: Any
    shared: bool  # whether all folds learn the same

    @cached_property
    def raw(self) -> Any:
        return self.split.encoded.raw(self.dtype)


@dataclass
class Pretexts:
    """Everything that is learned first. of: (lesson, candidate of the lesson) of each candidate of the study that
    learns something first. begins: what the members of these begin with."""

    lessons: list[Lesson]
    of: dict[int, tuple[int, int]]
    begins: dict[int, FromLesson]
    notes: tuple[Note, ...] = ()

    def place(self, candidate: int, fold: int, seed: int) -> Place:
        """Which network it is whose layers a member begins with."""
        lesson, own = self.of[candidate]
        return lesson, own, 0 if self.lessons[lesson].shared else fold, seed


def pretexts_of(
    study: StudyDesign,
    candidates: Sequence[Candidate],
    data: Examples,
    encoded: EncodedExamples,
    folds: Sequence[Fold],
    unlabeled: Unlabeled | None,
) -> Pretexts | None:
    """What the candidates learn before the study; None where they learn nothing.

    data, encoded, folds: of the study. Each fold learns from its own training rows and the unlabeled ones.
    """
    asked: dict[int, Any] = {c: one for c, one in enumerate(candidates) if isinstance(one.start, Pretraining)}
    if not asked:
        return None
    kinds: dict[tuple[bool, int], list[int]] = {}
    for c, candidate in asked.items():
        kinds.setdefault((isinstance(candidate.start.task, Supervised), candidate.start.epochs), []).append(c)
    splits: dict[bool, Split] = {}
    lessons: list[Lesson] = []
    of = {}
    for (supervised, epochs), places in kinds.items():
        if supervised not in splits:
            make = _split_of_other_targets if supervised else _split_of_inputs
            splits[supervised] = make(data, encoded, folds, unlabeled)
        split, own = splits[supervised], []
        for c in places:
            new = _candidate(asked[c], split.encoded)
            own += [new] if new not in own else []
            of[c] = len(lessons), own.index(new)
        dtype = np.float64 if study.arithmetic == "double" else np.float32
        lessons.append(Lesson(split, own, groups_of(study, own, split, epochs), dtype, supervised))
    begins = {}
    for c, (number, own_place) in of.items():
        lesson = lessons[number]
        pupil = lesson.candidates[own_place], lesson.split.encoded
        begins[c] = from_lesson(asked[c], encoded, pupil, lesson.split.scalings)
    notes = () if unlabeled is None else (unlabeled_rows(len(unlabeled.inputs), unlabeled.left_out),)
    return Pretexts(lessons, of, begins, notes)


def _split_of_inputs(
    data: Examples, encoded: EncodedExamples, folds: Sequence[Fold], unlabeled: Unlabeled | None
) -> Split:
    """All inputs as their own targets; each fold with its training rows and the unlabeled ones, and no others."""
    inputs, targets = encoded.inputs, own_targets(encoded.encoder, data, encoded.inputs)  # type: ignore[arg-type]
    weights, lengths = encoded.weights, encoded.lengths
    if weights.ndim == 2 and targets.ndim == 2:
        weights = weights.max(axis=1)
    more = 0
    if unlabeled is not None:
        more = len(unlabeled.inputs)
        weights = np.concatenate([weights, np.ones((more, *weights.shape[1:]))])
        if lengths is not None or unlabeled.lengths is not None:
            lengths = np.concatenate([_lengths(encoded.lengths, inputs), _lengths(unlabeled.lengths, unlabeled.inputs)])
        inputs = np.concatenate([inputs, unlabeled.inputs])
        targets = np.concatenate([targets, unlabeled.targets])
    if targets.ndim == 3:  # a step counts where it is real
        weights = weights if weights.ndim == 2 else np.broadcast_to(weights[:, None], targets.shape[:2])
        if lengths is not None:
            weights = np.where(np.arange(targets.shape[1]) < lengths[:, None], weights, 0.0)
    extra = np.arange(len(inputs) - more, len(inputs))
    own = [(np.concatenate([rows, extra]), rows[:0]) for rows, _ in folds]
    every = EncodedExamples(inputs, targets, targets, weights, "autoencode", lengths, encoded.encoder)
    return split_of(every, own)


def _lengths(lengths: np.ndarray | None, inputs: np.ndarray) -> np.ndarray:
    return np.full(len(inputs), inputs.shape[1]) if lengths is None else lengths


def _split_of_other_targets(
    data: Examples, encoded: EncodedExamples, folds: Sequence[Fold], unlabeled: Unlabeled | None
) -> Split:
    """The unlabeled rows with the targets that they have, the same for every fold."""
    source = None if unlabeled is None else unlabeled.source
    if not isinstance(source, Examples) or source.task == "autoencode":
        raise InputError(
            "Supervised learns the targets of other rows, and none are given. Give unlabeled= as they were read with"
            " their own targets, such as read_images(...)."
        )
    other = encode(source, encoded.encoder)  # type: ignore[arg-type]
    rows = np.arange(len(other.inputs))
    return split_of(other, [(rows, rows[:0])])


def _candidate(candidate: Candidate, encoded: EncodedExamples) -> Candidate:
    """The candidate that learns the task of this one's start."""
    start: Any = candidate.start
    task, network = start.task, candidate.network
    augmentation = parts(start.augmentation)
    if isinstance(task, Supervised):
        cost = task.cost or DEFAULT_COST[encoded.task]
    else:
        encoder: Any = encoded.encoder
        kinds, widths, channels = kinds_and_widths(encoder)
        cost = Reconstruction(kinds, widths, channels)
        if isinstance(task, Masked):
            augmentation = (*augmentation, Masking(task.share, task.patch, True))
            task = Autoencoder(code=task.code, decoder=task.decoder)
        network = task.replace(encoder=network)
    return Candidate(
        network, cost, start.optimizer, batch_size=start.batch_size,
        augmentation=augmentation[0] if len(augmentation) == 1 else augmentation or None,
    )  # fmt: skip


# --- learning --------------------------------------------------------------------------------------------------------


def learn(
    pretexts: Pretexts,
    wanted: Container[Place] | None = None,
    *,
    finished: Callable[[dict[Place, Outcome]], None],
    progress: Callable[[int], None] | None = None,
    keeping: Keeping | None = None,
    cluster: Cluster | None = None,
) -> None:
    """Train the networks at these places, or all of them; finished(outcomes by place) is called as in `train_group`.

    keeping: where their states are kept in the middle of training, and found again. cluster: what trains them in place
    of this process.
    """
    train = train_group if cluster is None else cluster.train_group
    for number, lesson in enumerate(pretexts.lessons):
        for group in lesson.groups:
            places: list[Place] = [(number, *who) for who in group.who]
            waiting = [k for k, place in enumerate(places) if wanted is None or place in wanted]
            if not waiting:
                continue
            running = look = None
            if keeping:
                running, look = keeping.running("learned", places), keeping.look("learned", places)
                keeping.check_kernels()

            def ended(outcomes: dict[int, Outcome], places: list[Place] = places) -> None:
                finished({places[k]: outcome for k, outcome in outcomes.items()})

            train(
                group.plan, group.members, lesson.raw, waiting=waiting, running=running, finished=ended,
                progress=progress, look=look,
            )  # fmt: skip


def hand_over(groups: Sequence[Group], pretexts: Pretexts, weights: Mapping[Place, np.ndarray]) -> None:
    """Put what was learned into the members that begin with it. weights: [weight] by place, of those that are there."""
    for group in groups:
        if not any(c in pretexts.of for c, _, _ in group.who):
            continue
        arrays: list[list[np.ndarray]] = []
        for k, (c, f, s) in enumerate(group.who):
            own = [given[k] for given in group.members.given]
            learned = weights.get(pretexts.place(c, f, s)) if c in pretexts.of else None
            arrays.append(own if learned is None else pretexts.begins[c].of(learned))
        dtype = group.members.factor.dtype
        given = tuple(np.stack(a).astype(dtype) for a in zip(*arrays, strict=True))
        group.members = group.members._replace(given=given)


def check_no_pretexts(candidates: Sequence[Candidate], what: str) -> None:
    """`InputError` where a candidate is to learn something first, which `what` does not do."""
    if any(isinstance(candidate.start, Pretraining) for candidate in candidates):
        raise InputError(f"{what} trains without pre-training. Leave pretraining out, or use Study.run.")
