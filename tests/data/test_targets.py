"""Which task a target makes."""

import numpy as np
import pandas as pd
import pytest

from perceptory.app.door import command_line
from perceptory.data import read_table
from perceptory.errors import InputError


def read(y, task=None):
    y = y if hasattr(y, "dtype") else np.array(y)
    return read_table(np.arange(float(len(y)))[:, None] ** 2, y, task=task)


@pytest.mark.parametrize(
    ("values", "task", "classes", "labels", "index"),
    [
        (["no", "yes", "no"], "binary", ("no", "yes"), ["no", "yes"], [0, 1, 0]),
        ([True, False, True], "binary", ("False", "True"), [False, True], [1, 0, 1]),
        ([1, 0, 1], "binary", ("0", "1"), [0, 1], [1, 0, 1]),
        ([1.0, 0.0, 1.0], "binary", ("0", "1"), [0.0, 1.0], [1, 0, 1]),
        ([-1, 1, 1], "binary", ("-1", "1"), [-1, 1], [0, 1, 1]),
        ([2, 1, 1], "binary", ("1", "2"), [1, 2], [1, 0, 0]),
        ([2, 0, 1, 1, 0, 2], "multiclass", ("0", "1", "2"), [0, 1, 2], [2, 0, 1, 1, 0, 2]),
        (["b", "c", "a", "a", "b", "c"], "multiclass", ("a", "b", "c"), ["a", "b", "c"], [1, 2, 0, 0, 1, 2]),
    ],
)
def test_classes(values, task, classes, labels, index):
    data = read(values)
    assert (data.task, data.classes) == (task, classes)
    assert data.class_values.tolist() == labels
    assert data.class_values.dtype.kind == np.array(values).dtype.kind
    assert data.targets.tolist() == index
    assert data.targets.dtype == np.int64
    assert data.class_values[data.targets].tolist() == list(values)


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 1.0, 2.0] * 3,  # stored as fractions
        [3, 4, 5] * 3,  # does not start at 0 or 1
        [0, 1, 3] * 3,  # a gap
        [0, 2] * 3,  # not one of the three pairs
        list(range(21)) * 3,  # too many
        [1, 2, 3, 4, 5],  # one row each
        [0.5, 1.5] * 3,
    ],
)
def test_numbers(values):
    data = read(values)
    assert data.task == "regression"
    np.testing.assert_array_equal(data.targets[:, 0], values)


def test_notes_tell_the_other_reading():
    (as_classes,), (as_number,) = read([0, 1, 2] * 3).notes, read([3, 4, 5] * 3).notes
    assert 'task="regression" reads it as a number' in str(as_classes)
    assert 'task="classification" reads them as classes' in str(as_number)
    assert "--task regression reads" in as_classes.said(command_line)
    assert "--task classification reads" in as_number.said(command_line)


def test_the_task_can_be_set():
    assert read([0, 1, 2] * 3, "regression").targets.tolist() == [[0.0], [1.0], [2.0]] * 3
    wine = read([5, 3, 10] * 3, "classification")
    assert (wine.task, wine.classes) == ("multiclass", ("3", "5", "10"))
    assert read([0, 1] * 3, "multiclass").outputs == 2
    assert read([True, False, True], "regression").targets[:, 0].tolist() == [1, 0, 1]
    for values, task, message in [
        ([0, 1, 2] * 3, "binary", "two classes"),
        (["u", "v"] * 3, "regression", "holds texts such as 'u', 'v'"),
        (np.linspace(0, 1, 50), "classification", "too many"),
    ]:
        with pytest.raises(InputError, match=message):
            read(values, task)


def test_text_targets_in_files(tmp_path):
    path = tmp_path / "data.csv"

    def task(cells):
        path.write_text("a,y\n" + "".join(f"{k * k},{c}\n" for k, c in enumerate(cells)))
        return read_table(path, "y")

    assert task(["1", "2", "3"] * 3).class_values.tolist() == [1, 2, 3]
    assert task(["1.0", "2.0", "3.0"] * 3).task == "regression"
    assert task(["True", "false"] * 3).class_values.tolist() == [False, True]
    assert task(["a b", " a b ", "c"]).classes == ("a b", "c")


def test_categories_of_whole_numbers_are_sorted_as_numbers():
    y = pd.Categorical([10, 9, 10, 9, 100, 100])
    for target in (y, pd.Series(y, name="k"), pd.DataFrame({"k": y})):
        assert read_table(np.arange(12.0).reshape(6, 2), target).classes == ("9", "10", "100")


def test_several_targets():
    x = np.arange(4.0)[:, None]
    data = read_table({"x": x[:, 0], "u": [1, 2, 1, 2], "v": [1.5, np.nan, 3, 4]}, ["u", "v"])
    assert data.task == "regression"
    assert data.targets.tolist() == [[1, 1.5], [1, 3], [2, 4]]
    assert data.row_numbers.tolist() == [0, 2, 3]
    with pytest.raises(InputError, match="Name one target"):
        read_table({"x": x[:, 0], "u": [1, 2, 1, 2], "v": [1.5, 2, 3, 4]}, ["u", "v"], task="classification")
    with pytest.raises(InputError, match="'u' holds texts"):
        read_table({"x": x[:, 0], "u": ["a", "b"] * 2, "v": [1.5, 2, 3, 4]}, ["u", "v"])
