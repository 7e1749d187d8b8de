"""v, c and k on made-up errors, and what is drawn of them."""

import io

import numpy as np
import pytest

from perceptory import figures as plots
from perceptory.errors import InputError
from perceptory.models.ensemble import ErrorDecomposition, decompose, decompositions, ensemble_gains


def test_made_up_errors():
    found = decompose([[1.0, -1.0], [3.0, 1.0]])
    # v = (1 + 1 + 9 + 1) / 4, c = (1 · 3 - 1 · 1) / 2, the mean's errors are 2 and 0
    assert (found.v, found.c, found.observed) == (3.0, 1.0, 2.0)
    assert (found.k, found.predicted, found.correlation) == (2, 2.0, pytest.approx(1 / 3))
    assert found.members == (1.0, 5.0)
    assert "v/k + (k - 1) c/k = 2.000, and it has 2.000: 33 % less" in found.statement()


@pytest.mark.parametrize(("k", "rho"), [(2, 0.0), (5, 0.5), (10, 0.9)])
def test_the_formula_is_exact_on_the_same_rows(k, rho):
    random = np.random.default_rng(k)
    common = random.normal(size=400) * rho**0.5
    errors = common + random.normal(size=(k, 400)) * (1 - rho) ** 0.5 + 0.1
    weights = random.uniform(0.5, 2, 400)
    found = decompose(errors, weights=weights)
    assert found.predicted == pytest.approx(found.observed, rel=1e-12)
    assert found.correlation == pytest.approx(rho, abs=0.12)
    assert found.observed == pytest.approx(np.average(errors.mean(axis=0) ** 2, weights=weights))


def test_extremes():
    same = decompose(np.tile(np.arange(5.0), (3, 1)))
    assert same.predicted == same.v == same.c == 6.0
    opposite = decompose([[1.0, 2.0], [-1.0, -2.0]])
    assert opposite.observed == 0
    assert "bring it down to 0, and no further" in opposite.statement()


def test_by_task():
    truth = np.array([0, 1, 1])
    outputs = np.array([[[0.8, 0.2], [0.4, 0.6], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]])
    (one,) = decompositions("binary", ("sick",), truth, outputs)
    assert one.members == pytest.approx((2 * (0.04 + 0.16 + 0.25) / 3, 2 * 0.25 / 3))
    steps = np.zeros((2, 1, 3, 2))
    steps[1] = 1.0
    both = decompositions("regression", ("a", "b"), np.zeros((1, 3, 2)), steps, np.array([[1.0, 1.0, 0.0]]))
    assert [(d.target, d.rows, d.v, d.c) for d in both] == [("a", 2, 0.5, 0.0), ("b", 2, 0.5, 0.0)]
    assert ensemble_gains("regression", ("a",), np.zeros((3, 1)), np.zeros((1, 3, 1))) == ()
    assert ensemble_gains("regression", ("a",), np.zeros((3, 1)), np.zeros((2, 3, 2))) == ()
    (one,) = ensemble_gains("regression", ("a",), np.zeros((3, 1)), np.ones((2, 3, 1)))
    assert ErrorDecomposition.from_json(one.to_json()) == one == decompose(np.ones((2, 3)), target="a")


def test_the_figure():
    found = decompose(np.random.default_rng(0).normal(size=(4, 50)) + np.linspace(-1, 1, 50), target="load")
    figure = plots.ensemble_error(found)
    figure.savefig(io.BytesIO(), dpi=40)
    by_name = {line.get_gid(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(by_name["expected"].get_ydata(), found.of(np.arange(1, 11)))
    assert by_name["observed"].get_xydata()[0] == pytest.approx([4, found.observed])
    np.testing.assert_allclose(by_name["members"].get_ydata(), found.members)
    assert by_name["limit"].get_ydata()[0] == found.c
    assert "load" in figure.axes[0].get_ylabel()


@pytest.mark.parametrize("errors", [[[1.0, 2.0]], [1.0, 2.0], [[np.nan, 1.0], [0.0, 1.0]], np.zeros((2, 0))])
def test_refusals(errors):
    with pytest.raises(InputError, match="at least two networks"):
        decompose(errors)
