"""What `perceptory predict` reads: a table for a model of tables, and whatever a model of series or images takes."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.data import Encoder, read_inputs
from perceptory.data.images.files import ENDINGS, pictures_by_part
from perceptory.data.images.idx import read_idx
from perceptory.data.series.plan import NO_TABLES
from perceptory.data.tables.features import Features
from perceptory.data.tables.folders import tables_in
from perceptory.data.tables.sources import as_table
from perceptory.data.tables.streamed import tables_of
from perceptory.errors import InputError
from perceptory.notes import Note, digits_lost, transparency_left_out, unseen_categories


@dataclass
class Inputs:
    """What a model predicts. given: arrays of inputs, or a table's `Features`. names: columns (name, values) that say
    what each line stands for. table: what the features were made of.

    lines: None, or (example, step) of each line where each step has a line of its own.
    """

    given: Any
    lengths: np.ndarray | None
    names: list[tuple[str, Any]]
    lines: tuple[np.ndarray, np.ndarray] | None
    notes: list[Note] = field(default_factory=list)
    table: Any = None

    @cached_property
    def array(self) -> np.ndarray:
        """All inputs at once."""
        return self.given.dense() if isinstance(self.given, Features) else np.asarray(self.given)

    def distributions(self, model: Any) -> np.ndarray:
        """What the model's networks give for these examples: `Model.distributions`."""
        if isinstance(self.given, Features):
            return np.asarray(model.distributions(self.given))
        return np.asarray(model.distributions_of(self.given, self.lengths))

    @property
    def source(self) -> Any:
        """What targets of an autoencoder are made of: the table, or else the array."""
        return self.array if self.table is None else self.table


def read_new(model: Any, path: str) -> Iterator[Inputs]:
    """The inputs for a model, a large table's piece by piece."""
    if not isinstance(model.encoder, Encoder):
        if model.encoder.kind == "image" and Path(path).suffix.lower() not in NO_TABLES:
            yield from _pictures(model.encoder, Path(path))
        else:
            yield _examples(model, path)
        return
    rows = 0
    for table in tables_of(Path(path), model.encoder.reading, model.encoder.texts):
        inputs = read_inputs(table)
        features = model.encoder.features(inputs)
        names: list[tuple[str, Any]] = [("row", np.arange(rows, rows + features.rows))]
        yield Inputs(features, None, names, None, [*model.encoder.notes_for(table, features)], inputs)
        rows += features.rows


def together(notes: Iterable[Note]) -> list[Note]:
    """The notes on the pieces of a table as notes on the whole."""
    merged: dict[Any, Note] = {}
    for note in notes:
        if transparency_left_out.describes(note):
            before = merged.get(note.kind)
            count = note.facts["pictures"] + (before.facts["pictures"] if before else 0)
            merged[note.kind] = transparency_left_out(count)
            continue
        if digits_lost.describes(note):  # of the first piece that has such numbers
            merged.setdefault((note.kind, note.facts["column"]), note)
            continue
        if not unseen_categories.describes(note):
            merged.setdefault(note, note)
            continue
        key = note.kind, note.facts["column"]
        facts = [n.facts for n in (merged.get(key), note) if n is not None]
        names = sorted({name for f in facts for name in f["categories"]})
        merged[key] = unseen_categories(note.facts["column"], sum(f["count"] for f in facts), names)
    return list(merged.values())


def _examples(model: Any, path: str) -> Inputs:
    encoder, numpy = model.encoder, Path(path).suffix.lower() in NO_TABLES
    if not numpy and encoder.plan is None:
        raise InputError(f"the model needs arrays, so {path} has to be a .npz or .npy file.")
    if not Path(path).exists():
        raise InputError(f"there is no file {path!r}.")
    if Path(path).is_dir() and (numpy or not tables_in(path)):
        raise InputError(f"the model needs a table or a NumPy file, and {path} is a folder.")
    examples = encoder.examples(path)
    notes = [*encoder.notes_for(examples.inputs)]
    _any_length(model, examples.inputs.shape[1])
    by_step = len(model.outputs) == 2 and model.task != "autoencode"
    if not by_step:
        names: list[tuple[str, Any]] = [("row", examples.rows)]
        if not numpy and encoder.plan.predict == "ahead":
            names = [("after row", examples.rows)]
        return Inputs(
            examples.inputs, examples.lengths, names + _series(encoder, path, numpy, examples.rows), None, notes
        )
    steps = examples.inputs.shape[1]
    lengths = np.full(len(examples.rows), steps) if examples.lengths is None else examples.lengths
    places, step = np.nonzero(np.arange(steps) < lengths[:, None])
    if numpy:
        return Inputs(
            examples.inputs, examples.lengths, [("row", examples.rows[places]), ("step", step)], (places, step), notes
        )
    rows = encoder.plan.cut(path, encoder.feature_names).clock.rows
    back = np.argsort(rows, kind="stable")  # lines in the order of the table
    names = [("row", rows[back]), *_series(encoder, path, numpy, rows[back])]
    return Inputs(examples.inputs, examples.lengths, names, (places[back], step[back]), notes)


def _series(encoder: Any, path: str, numpy: bool, rows: np.ndarray) -> list[tuple[str, Any]]:
    """The column of series, where the table has it."""
    if numpy or encoder.plan.series is None:
        return []
    table = as_table(path)
    if encoder.plan.series not in table.names:
        return []
    values = table.column(encoder.plan.series, "column of series").values
    return [(encoder.plan.series, np.asarray(values, object)[rows].tolist())]


def _any_length(model: Any, steps: int) -> None:
    """Refuse series of another length where the network's weights are tied to that of training."""
    from perceptory.networks.base import layout

    trained = model.encoder.shape
    if model.encoder.kind != "series" or steps == trained[0]:
        return
    outputs = (steps, model.outputs[1]) if len(model.outputs) == 2 else model.outputs
    for part in model.parts:
        same = False
        with contextlib.suppress(InputError):
            same = layout(part.network, (steps, *trained[1:]), outputs).size == part.weights.shape[1]
        if not same:
            raise InputError(
                f"this {part.network.label} takes series of {trained[0]} steps as in training, and here are {steps}."
                " Cut them to that length, or train a network that takes any, such as --network gru."
            )


def _pictures(encoder: Any, path: Path) -> Iterator[Inputs]:
    """A picture, a folder of pictures (its subfolders as well), some of them at a time, or an idx file of images."""
    if not path.exists():
        raise InputError(f"there is no file or folder {str(path)!r}.")
    if path.is_file() and re.search("idx[34]", path.name):
        array = encoder.transform(read_idx(path))
        yield Inputs(array, None, [("row", np.arange(len(array)))], None, [*encoder.notes_for(array)])
        return
    files = [path]
    if path.is_dir():
        files = sorted(
            Path(folder, name)
            for folder, folders, names in os.walk(path)
            for name in names
            if not folders.sort() and name.lower().endswith(ENDINGS) and not name.startswith(".")
        )
        if not files:
            raise InputError(f"the folder {str(path)!r} holds no PNG or JPEG files to predict.")
    elif path.suffix.lower() not in ENDINGS:
        raise InputError(
            f"{path.name!r} is no picture. Give a PNG or JPEG file, a folder of them, an idx file or .npz."
        )
    names = [str(f.relative_to(path)) if path.is_dir() else f.name for f in files]
    for start, array, notes in pictures_by_part(files, encoder.shape, len(files)):
        end = start + len(array)
        yield Inputs(array, None, [("row", np.arange(start, end)), ("file", names[start:end])], None, notes)
