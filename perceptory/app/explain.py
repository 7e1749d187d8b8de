"""`perceptory explain`: which columns the model of a run rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.app.output import write_frames
from perceptory.app.rendering import fitted
from perceptory.app.unlabeled import check_out, say_notes, warnings_as_notes
from perceptory.errors import InputError
from perceptory.notes import Note, own_rows_left_out

if TYPE_CHECKING:
    from perceptory.data import Dataset
    from perceptory.models.importance import Importance
    from perceptory.models.model import Model

DRAWN_AS = (".png", ".svg", ".pdf")
NO_TABLE = (
    "explain reads tables. Of series, model.importance(read_series(...)) tells it in Python; pictures have no columns."
)


def explain(run: str, data: str | None, options: dict[str, Any], out: str | None, figure: str | None) -> None:
    """Print the importance of columns; out: a file for the numbers. figure: one for a drawing.

    options: score, rows, repeats and seed as `Model.importance` takes them, None where nothing was said.
    """
    if figure is not None and Path(figure).suffix.lower() not in DRAWN_AS:
        raise InputError(f"--figure needs a file that ends in {', '.join(DRAWN_AS)}, got {figure!r}.")
    check_out(out, data or run, run)
    asked = {name: value for name, value in options.items() if value is not None}
    found, notes = _kept(run, asked) if data is None else _measured(run, data, asked)
    print(fitted(found.lines()))
    if found.shortened and out is None:
        print("All columns: --out FILE")
    if out is not None:
        write_frames(out, iter([found.frame()]))
    if figure is not None:
        _draw(found, Path(figure))
    say_notes(notes)


def _kept(run: str, asked: dict[str, Any]) -> tuple[Importance, list[Note]]:
    from perceptory.runs.result import load_result

    for name in asked:
        raise InputError(f"--{name} needs the rows to look at. Name their file after the run.")
    if Path(run).is_file():
        raise InputError(f"{run!r} is a model file, which holds no rows. Name a table with the target after it.")
    result = load_result(run)
    if result.data.example_kind != "table":
        raise InputError(NO_TABLE)
    if result.importance is None:
        raise InputError(
            f"the run in {run} holds no importance of columns: no test row was sealed, or it would have taken longer"
            f" than fit may. Name a table with the target: perceptory explain {run} DATA"
        )
    return result.importance, []


def _measured(run: str, path: str, asked: dict[str, Any]) -> tuple[Importance, list[Note]]:
    from perceptory.data import Encoder
    from perceptory.models.exchange import with_targets
    from perceptory.models.model import Model

    if not Path(path).exists():
        raise InputError(f"there is no file {path!r}.")
    model = Model.load(run)
    if not isinstance(model.encoder, Encoder) and model.task != "autoencode":
        raise InputError(NO_TABLE)
    with warnings_as_notes():
        data = with_targets(model, path)
        sealed = _sealed(run, model, data)
        if sealed is not None:
            data = data.take(sealed)
        found = model.importance(data, **asked)
    return found, list(data.notes) if sealed is None else [own_rows_left_out(len(sealed))]  # fit told of the table


def _sealed(run: str, model: Model, data: Dataset) -> np.ndarray | None:
    """Places of the rows that the run sealed, where the data are its own table; None for other data."""
    from perceptory.runs.contents import RESULT
    from perceptory.runs.result import load_result

    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    if not (folder / RESULT).is_file():
        return None
    p = load_result(folder).predictions
    place = np.searchsorted(data.row_numbers, p.row)
    known = place < data.rows
    if p.step is not None or not known.all() or not np.array_equal(data.row_numbers[place], p.row):
        return None
    test = np.asarray(p.part) == "test"
    own = np.array_equal(data.targets[place], np.asarray(p.target)) and test.any() and not test.all()
    return np.sort(place[test]) if own else None


def _draw(found: Importance, path: Path) -> None:
    from perceptory import figures

    figures.importance(found).savefig(path, dpi=150)
    if found.effects:
        figures.effects(found).savefig(path.with_stem(f"{path.stem}-effects"), dpi=150)
