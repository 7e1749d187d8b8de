"""A remedy that a sentence names works: each setting with a value in it is applied, and the refusal is gone."""

import numpy as np
import pytest
from PIL import Image

from perceptory import StateSpace, Study, read_arrays, read_series, read_table
from perceptory.app import grammar
from perceptory.app.door import command_line
from perceptory.catalog import VALIDATION_PLANS
from perceptory.data.images.files import load_pictures
from perceptory.errors import InputError, Remedy, Setting, Written
from perceptory.networks.narx import NARX
from perceptory.selection.plans import GroupKFold, HoldOut, KFold, RollingOrigin, StratifiedKFold, default_plan

ROWS = 120
RANDOM = np.random.default_rng(0)
SERIES = {"u": RANDOM.normal(size=ROWS), "y": RANDOM.normal(size=ROWS)}
MARKS = [f"{1 + k % 9},{100 + k}" for k in range(ROWS)]
CELLS = ["#REF!", *SERIES["u"][1:].astype(str)]
WORDS = SERIES | {"w": ["x", "y"] * (ROWS // 2)}


def settings(pieces):
    """The settings with a value that a sentence holds."""
    found = []
    for piece in pieces:
        found += settings(piece.pieces) if isinstance(piece, Remedy) else [piece] if isinstance(piece, Setting) else []
    return [s for s in found if isinstance(s.value, bool | int | str | list | tuple | Written)]


def refused(call):
    with pytest.raises(InputError) as error:
        call()
    return error.value


@pytest.fixture
def pictures(tmp_path):
    for k, size in enumerate(((6, 4), (6, 4), (3, 5))):
        Image.new("L", size).save(tmp_path / f"{k}.png")
    return lambda **given: load_pictures(tmp_path, **given)


def series(table=SERIES, **given):
    return read_series(table, "y", **given)


def table(values, **given):
    return read_table({"x": SERIES["u"], "y": values}, "y", **given)


READERS = {
    "stride": (series, {"predict": "every step", "stride": 2}),
    "words among inputs": (lambda **g: series(WORDS, **g), {"predict": "every step", "window": 12}),
    "known ahead": (series, {"predict": "ahead", "window": 4, "known": 2}),
    "washout ahead": (series, {"predict": "ahead", "window": 4, "washout": 2}),
    "parted groups": (
        lambda **g: series(SERIES | {"g": [0] * ROWS}, **g),
        {"predict": "ahead", "window": 4, "groups": "g", "together": False},
    ),
    "a mark for two things": (lambda **g: read_table({"x": MARKS, "y": SERIES["y"]}, "y", **g), {}),
    "a cell that is no number": (lambda **g: read_table({"x": CELLS, "y": SERIES["y"]}, "y", **g), {}),
    "a target cell that is no number": (lambda **g: table(CELLS, **g), {}),
    "numbers with units": (
        lambda **g: read_table({"x": [f"{k} kg" for k in range(ROWS)], "z": SERIES["u"], "y": SERIES["y"]}, "y", **g),
        {},
    ),
    "a target with units": (lambda **g: table([f"{k} kg" for k in range(ROWS // 2)] * 2, **g), {}),
    "numbers as classes": (table, {"values": SERIES["y"], "task": "classification"}),
}


@pytest.mark.parametrize("name", READERS)
def test_of_readers(name):
    read, given = READERS[name]
    remedies = settings(refused(lambda: read(**given)).pieces)
    assert remedies
    for one in remedies:
        if given.get(one.name) != one.value:
            read(**{**given, one.name: one.value})


def test_of_what_has_no_target():
    for read, x in ((read_table, SERIES), (read_arrays, RANDOM.normal(size=(20, 3)))):
        (one,) = settings(refused(lambda: read(x)).pieces)  # noqa: B023
        assert read(x, **{one.name: one.value}).task == one.value


def test_of_few_windows():
    """Told with a stride that makes them more, unless there are many, a stride was asked for, or they are test rows."""
    given = {"predict": "every step", "window": 40}
    read = series(**given)
    remedies = [one for note in read.notes for one in settings(note.pieces)]
    assert [(one.name, one.value) for one in remedies] == [("stride", 10)]
    assert "3 windows are few; windows that overlap are more: stride=10." in map(str, read.notes)
    more = series(**given, stride=10)
    assert more.rows == 9
    others = series(predict="every step", window=3), series(predict="ahead", window=110), series(**given, like=read)
    for data in (more, *others):
        assert not any(settings(note.pieces) for note in data.notes)


def test_of_horizon():
    """The way of prediction that takes a horizon needs a window besides."""
    error = refused(lambda: series(predict="every step", window=6, horizon=2))
    (one,) = settings(error.pieces)
    assert series(**{"window": 6, "horizon": 2, one.name: one.value}).rows == ROWS - 7


def test_of_pictures(pictures):
    (one,) = settings(refused(pictures).pieces)
    array, _ = pictures(**{one.name: one.value})
    assert array.shape == (3, 4, 6, 1)


@pytest.mark.parametrize(("values", "task"), [([0, 1, 2] * 40, "multiclass"), ([3, 4, 5, 9] * 30, "regression")])
def test_of_notes_on_the_task(values, task):
    read = table(values)
    assert read.task == task
    ((one,),) = [settings(note.pieces) for note in read.notes]
    assert table(values, **{one.name: one.value}).task != task


@pytest.mark.parametrize("network", [NARX((3,)), StateSpace(2, (3,), lead=3)])
def test_of_networks_that_need_known_outputs(network):
    given = {"predict": "every step", "window": 12}
    study = Study(network, epochs=1, test=0)
    error = refused(lambda: study.run(series(**given)))
    remedies = {one.name: one.value for one in settings(error.pieces)}
    assert "known" in remedies
    data = series(**{**given, **remedies})
    assert data.inputs.shape[2] == 2


PLANS = {
    "folds of rows": (KFold, 10, {"rows": 7}),
    "folds in time": (RollingOrigin, 5, {"rows": 5}),
    "groups": (GroupKFold, 5, {"rows": 8, "groups": [0, 0, 1, 1, 2, 2, 3, 3]}),
    "class of four": (StratifiedKFold, 10, {"rows": 24, "targets": [0] * 20 + [1] * 4}),
    "class of one": (StratifiedKFold, 5, {"rows": 24, "targets": [0] * 23 + [1]}),
    "two rare classes": (StratifiedKFold, 3, {"rows": 24, "targets": [0] * 21 + [1] * 2 + [2]}),
}


@pytest.mark.parametrize("name", PLANS)
def test_of_plans(name):
    kind, folds, given = PLANS[name]
    remedies = settings(refused(lambda: kind(folds).split(**given, seed=0)).pieces)
    assert remedies
    for one in remedies:
        plan = kind(one.value) if one.name == "folds" else eval(one.value.python)  # our own words
        assert len(plan.split(**given, seed=0)) > 1
        said = command_line(one)
        assert said == f"--{one.name} {one.value.command_line if one.name == 'validation' else one.value}"
        if one.name == "validation":
            assert grammar.spec(one.value.command_line, VALIDATION_PLANS)[0] == plan


def test_of_a_share_that_keeps_every_class():
    given = {"rows": 24, "targets": [0] * 23 + [1]}
    (one,) = settings(refused(lambda: HoldOut(stratify=True).split(**given, seed=0)).pieces)
    plan = eval(one.value.python)
    assert len(plan.split(**given, seed=0)) == 1
    assert grammar.spec(one.value.command_line, VALIDATION_PLANS)[0] == plan


@pytest.mark.parametrize("rare", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [40, 300, 8000])
def test_a_rare_class_does_not_stop_what_nobody_asked_for(rare, rows):
    """Where no plan is named, a class of fewer rows than folds is no reason to refuse the data."""
    targets = np.array([0] * (rows - rare) + [1] * rare)
    plan = default_plan("binary", rows, targets=targets)
    assert len(plan.split(rows, targets=targets, seed=0)) == 5
    assert isinstance(default_plan("binary", rows, targets=np.arange(rows) % 2), StratifiedKFold)
