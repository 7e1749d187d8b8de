"""Error over the amount of data, over the size of the network, and of the ensemble of a result."""

from dataclasses import replace

import numpy as np
import pytest

import perceptory as pt
from perceptory.errors import InputError
from perceptory.insight import error_decomposition, learning_curve, size_curve
from perceptory.insight.curves import LearningCurve
from perceptory.reports.page import render


@pytest.fixture(scope="module")
def curve(small_table):
    study = pt.Study(pt.MLP((4,)), epochs=4, validation=pt.KFold(2), seeds=2, patience=0, test=0.2, batch_size=16)
    return learning_curve(study, small_table, sizes=(96, 24))


def test_every_size_is_trained_on_every_fold(curve, read):
    assert curve.sizes.tolist() == [24, 96]
    assert curve.train.shape == curve.validation.shape == (2, 4)
    assert np.isfinite(curve.validation).all()
    assert curve.validation[1].mean() < curve.validation[0].mean()
    figure = read.drawn(curve.figure())
    for name, values in (("training", curve.train), ("validation", curve.validation)):
        (line,) = read.lines(figure, name)
        np.testing.assert_allclose(line.get_ydata(), values.mean(axis=1))
        assert len(read.lines(figure, f"{name} runs")[0].get_ydata()) == 8
    assert {line.get_marker() for line in figure.axes[0].lines} >= {"o", "s"}
    assert "24" in curve.table()


def test_what_it_says():
    def of(train, validation):
        score = {"name": "rmse", "direction": "min"}
        return LearningCurve(np.array([10, 100]), np.array(train), np.array(validation), score, "MLP").statement()

    assert "More rows would help: from 10 to 100" in of([[1.0, 1.0]] * 2, [[3.0, 3.1], [2.0, 2.1]])
    assert "learns rows by heart" in of([[1.0, 1.0]] * 2, [[2.0, 2.1], [2.0, 2.1]])
    assert "nearly come together" in of([[2.0, 2.0]] * 2, [[2.0, 2.1], [2.0, 2.1]])


def test_refused_curves(small_table):
    with pytest.raises(InputError, match="of one candidate, got 2"):
        learning_curve(pt.Study([pt.MLP((2,)), pt.MLP((3,))]), small_table)
    with pytest.raises(InputError, match="sizes needs at least two numbers of rows, of at most"):
        learning_curve(pt.MLP((2,)), small_table, sizes=(10, 10_000))
    with pytest.raises(InputError, match="needs a result, or a study with data"):
        size_curve(3)


def with_sizes(result, sizes):
    """The result as if its candidates had these numbers of weights, two a size, the second worse."""
    kinds = [
        replace(result.candidates[0], id=f"c{i}", weights=w, mean=2.0 + i, train=1.0 / (i + 1), spread=0.5)
        for i, w in enumerate([w for w in sizes for _ in range(2)])
    ]
    return replace(result, candidates=kinds, best="c2")


def test_size_curve_marks_the_chosen(small_result, read):
    figure = read.drawn(size_curve(with_sizes(small_result, (40, 10, 100))))
    (line,) = read.lines(figure, "validation")
    np.testing.assert_allclose(line.get_xydata(), [[10, 4.0], [40, 2.0], [100, 6.0]])
    np.testing.assert_allclose(read.lines(figure, "train")[0].get_ydata(), [1 / 3, 1.0, 1 / 5])
    np.testing.assert_allclose(read.lines(figure, "others")[0].get_xydata(), [[40, 3.0], [10, 5.0], [100, 7.0]])
    np.testing.assert_allclose(read.lines(figure, "chosen")[0].get_xydata(), [[10, 4.0]])
    with pytest.raises(InputError, match="at least 3 numbers of weights, got 2"):
        size_curve(with_sizes(small_result, (10, 40)))


def test_the_ensemble_of_a_result(small_result, small_table, tmp_path):
    result = replace(small_result)
    with pytest.raises(InputError, match=r"call result.test\(\) first"):
        error_decomposition(result)
    result.test()
    found = error_decomposition(result)
    assert found.k == len(result.model)
    assert found.rows == 48
    assert found.predicted == pytest.approx(found.observed, rel=1e-9)
    assert found.observed == pytest.approx(result.tested["rmse"] ** 2, rel=1e-9)
    assert error_decomposition(result, target="y") == found
    direct = error_decomposition(result.model, small_table)
    errors = result.model.members(small_table)[..., 0] - small_table.targets[:, 0]
    assert direct.members == pytest.approx(tuple((errors**2).mean(axis=1)))
    with pytest.raises(InputError, match="target needs one of y"):
        error_decomposition(result, target="z")
    with pytest.raises(InputError, match="needs a model and a dataset"):
        error_decomposition(result.model)
    result.save(tmp_path / "run")
    assert error_decomposition(pt.load_result(tmp_path / "run")) == found
    page = (tmp_path / "run" / "report.html").read_text()
    assert "v/k + (k - 1) c/k" in page
    assert "right the gap grows" not in page
    assert "right the gap grows" in render(with_sizes(result, (3, 10, 40)))
