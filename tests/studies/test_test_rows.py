"""Test rows are no training rows: one class or one value is fine to test on, and what that means is said."""

import numpy as np
import pytest

from perceptory import KFold, RollingOrigin, Study, notes, read_table
from perceptory.app.door import command_line
from perceptory.errors import InputError
from perceptory.studies.sealing import seal_off

X = np.random.default_rng(0).normal(size=60)
THREE = ["p", "q", "r"] * 20


def table(labels, **given):
    return read_table({"x": X[: len(labels)], "y": labels}, "y", **given)


@pytest.mark.parametrize("held", [["p", "q"], ["q", "p"], ["q", "r"], ["p", "r"], ["p", "q", "r"]])
@pytest.mark.parametrize("task", [None, "classification", "multiclass"])
def test_some_of_the_classes(held, task):
    """Read by themselves they look like two classes, or like others in another order."""
    data, test = table(THREE), table(held * 5, task=task)
    sealed = seal_off(Study(), data, test)
    assert sealed.test.task == data.task
    assert sealed.test.classes == data.classes
    assert [sealed.test.classes[k] for k in sealed.test.targets] == held * 5
    assert sealed.notes == ()


def test_numbers_as_classes():
    data = table([0, 1, 2] * 20)
    test = table([0, 1] * 10)
    sealed = seal_off(Study(), data, test)
    assert (data.task, test.task, sealed.test.task) == ("multiclass", "binary", "multiclass")
    assert sealed.test.targets.tolist() == [0, 1] * 10


@pytest.mark.parametrize("unknown", ["s", "P", " "])
def test_a_class_that_the_study_has_not_is_refused_by_name(unknown):
    test = table(["p", "q", "z" if unknown == " " else unknown] * 5)
    with pytest.raises(InputError, match="classes that the study has not: "):
        seal_off(Study(), table(THREE), test)


def test_another_task_is_refused():
    with pytest.raises(InputError, match="same target and task"):
        seal_off(Study(), table(THREE), read_table({"x": X, "y": X}, "y"))
    with pytest.raises(InputError, match="same target and task"):
        seal_off(Study(), read_table({"x": X, "y": X}, "y"), table(THREE))


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_one_class(rows):
    data = table(THREE)
    sealed = seal_off(Study(), data, data.take(np.flatnonzero(data.targets == 1)[:rows]))
    assert sealed.notes == (notes.tested_on_one_class("q"),)
    assert "AUC cannot be computed" in str(sealed.notes[0])


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_one_value(rows):
    data = read_table({"x": X, "y": np.repeat([1.5, 2.5], 30)}, "y", task="regression")
    sealed = seal_off(Study(), data, data.take(np.arange(rows)))
    assert sealed.notes == (notes.tested_on_constant("y"),)
    assert seal_off(Study(), data, data.take(np.arange(20, 40))).notes == ()


def test_one_of_several_targets_has_one_value():
    data = read_table({"x": X, "a": X**2, "b": np.repeat([1.0, 2.0], 30)}, ["a", "b"])
    assert seal_off(Study(), data, data.take(np.arange(5))).notes == (notes.tested_on_constant("b"),)


def test_a_class_that_only_sealed_rows_hold_is_named():
    """Whole groups are sealed, and the group may be the only one with its class."""
    groups = np.repeat(np.arange(6), 10)
    labels = np.where(groups == 0, "odd", np.where(groups % 2 == 1, "ill", "well"))
    data = read_table({"x": X, "g": groups, "y": labels}, "y", groups="g")
    odd, sealed_alone = data.classes.index("odd"), []
    for seed in range(12):
        sealed = seal_off(Study(test=0.2, seed=seed), data)
        sealed_alone.append(odd in sealed.test.targets)
        named = [note.facts["classes"] for note in sealed.notes if notes.classes_only_tested.describes(note)]
        assert named == ([("odd",)] if sealed_alone[-1] else [])
    assert 0 < sum(sealed_alone) < 12


def test_a_study_tells_what_was_not_tested():
    labels = np.array(THREE)
    data = read_table({"x": X + (labels == "q"), "y": labels}, "y")
    test = data.take(np.flatnonzero(data.targets == 1))
    result = Study(epochs=2, validation=None).run(data, test=test, open_test=True)
    assert notes.tested_on_one_class("q") in result.data.notes
    assert np.isfinite(result.tested["accuracy"])
    assert "all of the class 'q'" in " ".join(result.summary().split())


DAYS = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]").astype("datetime64[us]")


@pytest.mark.parametrize(
    ("days", "upwards"),
    [
        (DAYS, True),
        (DAYS[::-1], False),
        (np.tile(DAYS[:30], 2), False),
        (np.roll(DAYS, 7).reshape(4, 15).T.ravel(), None),
    ],
    ids=["up", "down", "two series", "no order"],
)
def test_rows_that_follow_dates_are_noticed_where_nobody_said_how_to_judge(days, upwards):
    data = read_table({"x": X, "day": days, "y": X + 1}, "y")
    found = [note for note in seal_off(Study(), data).notes if notes.in_order_of_dates.describes(note)]
    assert found == ([] if upwards is None else [notes.in_order_of_dates("day", upwards)])
    if upwards:
        assert "judge it by the last rows, which may be harder: validation=RollingOrigin()." in str(found[0])
        assert found[0].said(command_line).endswith("--validation rolling.")
    assert seal_off(Study(validation=KFold(5)), data).notes == ()
    assert seal_off(Study(validation=RollingOrigin(3)), data).notes == ()
