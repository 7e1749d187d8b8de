"""Numbers beyond what can be computed with are refused by row and with a remedy that works; one far off is told."""

import numpy as np
import pytest

import perceptory as pt
from perceptory.notes import value_far_off
from perceptory.studies.sealing import seal_off

X = np.random.default_rng(0).normal(size=(60, 2))
Y = X @ [1.0, 2.0]
ONES = np.ones(60)
STUDY = pt.Study(pt.MLP((2,)), validation=pt.HoldOut(0.3), epochs=1, test=0)


def changed(values, value, row=17):
    values = values.copy()
    values[row] = value
    return values


WEIGHTS = {"all": (ONES * 1e300, 1), "one": (changed(ONES, 1e300), 18), "small": (changed(ONES, 1e-300), 18)}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_that_cannot_be_computed_with_are_refused_by_row(case):
    weights, row = WEIGHTS[case]
    with pytest.raises(pt.InputError, match=rf"the weight of row {row} is 1e[+-]300.*Divide the weights by their mean"):
        STUDY.run(pt.read_table(X, Y, weights=weights))


@pytest.mark.parametrize("precision", ["single", "double"])
def test_a_value_that_makes_a_column_too_wide_is_named(precision):
    with pytest.raises(pt.InputError, match=r"spans .* column 'y' holds -1e\+200 in row 18"):
        STUDY.replace(precision=precision).run(pt.read_table({"a": X[:, 0], "y": changed(Y, -1e200)}, "y"))


def far_off(x, y=Y):
    data = pt.read_table({"a": x[:, 0], "b": x[:, 1], "y": y}, "y")
    notes = STUDY.run(data).data.notes
    return [(note.facts["column"], note.facts["row"]) for note in notes if value_far_off.describes(note)]


def test_a_value_that_is_far_off_is_told_with_its_row():
    assert far_off(X) == []
    assert far_off(X, changed(Y, 1e30)) == [("y", 18)]
    assert far_off(np.stack([changed(X[:, 0], -1e9), X[:, 1]], axis=1)) == [("a", 18)]
    assert far_off(np.stack([changed(0 * ONES, 1e9), X[:, 1]], axis=1)) == []  # two values: the other is no rule
    assert far_off(np.stack([changed(X[:, 0] + 1e9, 5), changed(X[:, 1], np.nan, 3)], axis=1)) == []


def test_a_value_that_is_far_off_is_named_where_nothing_could_be_learned():
    study = STUDY.replace(optimizer=pt.GradientDescent(1e30), epochs=30)
    with pytest.raises(pt.InputError, match=r"diverged .*another score\. column 'y' holds 1e\+30 in row 18"):
        study.run(pt.read_table({"a": X[:, 0], "y": changed(Y, 1e30)}, "y"))


@pytest.mark.parametrize("value", [1e300, -1e308, 1e9])
def test_a_sealed_value_that_is_far_off_is_told(value):
    """Its errors drown all others, and their squares may be beyond float64, which is no reason for a warning."""
    data = pt.read_table({"x": np.arange(20.0), "y": np.sin(np.arange(20.0))}, "y")
    test = pt.read_table({"x": [1.0, 2.0, 3.0], "y": [None, 0.5, value]}, like=data)
    (note,) = seal_off(pt.Study(), data, test).notes
    assert str(note).startswith(f"of the target 'y' the test rows hold {value:.3g} in row 3")
    (other,) = seal_off(pt.Study(), data, test.take(np.array([0]))).notes
    assert other.kind == "tested_on_constant"
