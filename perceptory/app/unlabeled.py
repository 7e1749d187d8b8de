"""What is done with a model without a target: scores, codes, and the examples that codes stand for."""

from __future__ import annotations

import io
import itertools
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.app.door import command_line
from perceptory.app.new_data import Inputs, read_new, together
from perceptory.app.output import write_bytes, write_frames
from perceptory.errors import InputError
from perceptory.notes import Note, NoteWarning
from perceptory.wording import one_line

if TYPE_CHECKING:
    import polars as pl

GAP, SIDE = 2, 64  # pixels between the pictures of a grid, and the length of a side up to which they are enlarged


def check_out(out: str | None, *read: str) -> None:
    """Refuse to write over what is read, and into a folder."""
    if out is None:
        return
    for path in read:
        if Path(path).exists() and Path(out).exists() and Path(out).samefile(path):
            raise InputError(f"--out would write over {path}, which is read here. Choose another file.")
    if Path(out).is_dir():
        raise InputError(f"--out needs a file, and {out} is a folder. Example: --out {out}/predictions.csv")


def say_notes(notes: Iterable[Note]) -> None:
    """The notes on the pieces of new data, each once, on standard error."""
    for note in together(notes):
        sys.stderr.write(f"perceptory: note: {one_line(note.said(command_line))}\n")


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """What Python would warn of within is said as notes are, each sentence once."""
    ours = (UserWarning, NoteWarning)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    sentences = (_in_its_words(one.message) for one in caught if one.category in ours)
    for sentence in dict.fromkeys(sentences):
        sys.stderr.write(f"perceptory: note: {one_line(sentence)}\n")
    for one in caught:
        if one.category not in ours:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _in_its_words(message: Warning | str) -> str:
    """A warning that holds a note names settings as the command line does."""
    return message.note.said(command_line) if isinstance(message, NoteWarning) else str(message)


def frame(columns: list[tuple[str, Any]]) -> pl.DataFrame:
    """The columns as a frame; a name that stands there already gets a `_` at its end."""
    import polars as pl

    data: dict[str, Any] = {}
    for name, values in columns:
        while name in data:
            name += "_"
        data[name] = values
    return pl.DataFrame(data)


# --- scores and codes of new data ---------------------------------------------------------------------------------


def scores(model: Any, new: Inputs, members: bool) -> list[tuple[str, Any]]:
    """(name, values) of what `predict` says of each example: score, p-value, the error of each column or channel, and
    of a table what each column is given back as. members: each network's own score as well."""
    from perceptory.data.own_targets import given_back, own_names, own_targets
    from perceptory.data.tables.encoder import Encoder
    from perceptory.models.anomalies import anomalies, known_of, row_scores
    from perceptory.models.autoencoding import errors_of, member_of

    targets = own_targets(model.encoder, new.source, new.array)
    weights = np.ones(targets.shape[:-1])
    if new.lengths is not None:
        weights = (np.arange(targets.shape[1]) < new.lengths[:, None]).astype(float)
    errors = errors_of(model, new.array, targets, weights, new.lengths)
    found = anomalies(model, errors)
    columns: list[tuple[str, Any]] = [*new.names, ("score", found.score), ("p_value", found.p_value)]
    if members:
        usual = np.mean([group.usual for group in known_of(model, errors.shape[2])], axis=0)
        columns += [(f"score (network {k})", row_scores(one, usual)) for k, one in enumerate(errors, start=1)]
    by_column = errors.mean(axis=0)
    columns += [(f"error of {name}", by_column[:, k]) for k, name in enumerate(own_names(model.encoder))]
    if isinstance(model.encoder, Encoder):
        back = given_back(model.encoder, new.distributions(model)[member_of(model, None)])
        columns += [(f"{name} given back", back[name]) for name in back.columns]
    return columns


def encode(run: str, data: str, out: str | None) -> None:
    """Write codes to a file, CSV or Parquet, or as CSV to standard output."""
    from perceptory.data.ahead import ahead
    from perceptory.models.autoencoding import check_autoencoder, codes_of, member_of
    from perceptory.models.model import Model

    check_out(out, data, run)
    model = Model.load(run)
    check_autoencoder(model)
    notes: list[Note] = []

    def encoded() -> Iterator[Any]:
        for new in ahead(read_new(model, data)):
            codes = codes_of(model, new.array, new.lengths, member_of(model, None))
            notes.extend(new.notes)
            yield frame([*new.names, *((f"code{k}", column) for k, column in enumerate(codes.T))])

    write_frames(out, encoded())
    say_notes(notes)


# --- examples that codes stand for --------------------------------------------------------------------------------


def sample(run: str, count: int, seed: int, out: str | None) -> None:
    """Write new examples, drawn from a variational model."""
    from perceptory.models.model import Model

    check_out(out, run)
    model = Model.load(run)
    check_form(model, out)
    write_examples(model, model.sample(count, seed), out)


def decode(run: str, codes: str, out: str | None) -> None:
    """Write the examples that a file of codes stands for."""
    from perceptory.data.tables.inference import convert
    from perceptory.data.tables.sources import as_table
    from perceptory.models.autoencoding import check_autoencoder
    from perceptory.models.model import Model

    check_out(out, codes, run)
    model = Model.load(run)
    check_autoencoder(model)
    check_form(model, out)
    table = as_table(codes)
    columns = [table.column(f"code{k}", "column of codes") for k in range(model.network.code)]
    values = [np.asarray(convert(column, "numeric"), float) for column in columns]
    write_examples(model, model.decode(np.stack(values, axis=1)), out)


def check_form(model: Any, out: str | None) -> None:
    """Refuse a kind of file that cannot hold examples of such a model, before anything is computed."""
    from perceptory.models.autoencoding import check_autoencoder

    check_autoencoder(model)
    ending = "" if out is None else Path(out).suffix.lower()
    kind = getattr(model.encoder, "kind", "table")
    if kind == "image" and ending not in (".png", ".npz"):
        raise InputError("images need a file to go to. Example: --out new.png, or new.npz for their numbers.")
    if kind == "array" and ending != ".npz":
        raise InputError("arrays need a NumPy file to go to. Example: --out new.npz")
    if kind in ("table", "series") and ending in (".png", ".npz", ".npy"):
        raise InputError(
            f"a {kind if kind == 'table' else 'table of series'} is written as CSV or Parquet, not {ending}."
        )


def write_examples(model: Any, examples: Any, out: str | None) -> None:
    """Examples as what they were: rows of a table, steps of series, a grid of pictures, or a NumPy file."""
    encoder = model.encoder
    kind = getattr(encoder, "kind", "table")
    if kind == "table":
        write_frames(out, iter([examples]))
        return
    examples = np.asarray(examples)
    if kind == "series":
        count, steps = examples.shape[:2]
        columns = [("example", np.repeat(np.arange(count), steps)), ("step", np.tile(np.arange(steps), count))]
        flat = examples.reshape(count * steps, -1)
        columns += [(name, flat[:, k]) for k, name in enumerate(encoder.feature_names)]
        write_frames(out, iter([frame(columns)]))
        return
    path = Path(str(out))
    content = _picture(examples, encoder.low, encoder.high) if path.suffix.lower() == ".png" else _arrays(examples)
    write_bytes(path, content)


def _arrays(examples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=examples.astype(np.float32))
    return buffer.getvalue()


def _picture(images: np.ndarray, low: float, high: float) -> bytes:
    """One PNG of all images side by side, numbers from low to high as black to white."""
    from PIL import Image

    count, height, width, channels = images.shape
    shown = images[..., :3] if channels in (3, 4) else images[..., :1]
    bytes_ = np.clip(255 * (shown - low) / ((high - low) or 1), 0, 255).round().astype(np.uint8)
    times = max(1, SIDE // max(height, width))
    bytes_, height, width = bytes_.repeat(times, axis=1).repeat(times, axis=2), height * times, width * times
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    grid = np.full(((height + GAP) * rows - GAP, (width + GAP) * columns - GAP, bytes_.shape[-1]), 255, np.uint8)
    for one, (i, j) in zip(bytes_, itertools.product(range(rows), range(columns)), strict=False):
        top, left = i * (height + GAP), j * (width + GAP)
        grid[top : top + height, left : left + width] = one
    buffer = io.BytesIO()
    Image.fromarray(grid[..., 0] if grid.shape[-1] == 1 else grid).save(buffer, "PNG")
    return buffer.getvalue()
