"""Quantiles and deviations of an ensemble, by hand."""

import io

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from perceptory import MLP, Model
from perceptory.app.predict import beside
from perceptory.data import Encoder, read_table
from perceptory.errors import InputError
from perceptory.figures import fan
from perceptory.models.distribution import deviation, mixture_quantile, quantiles
from perceptory.objectives.table import GaussianLikelihood, Quantile, SquaredError


def linear(cost, weights, outputs):
    """Linear networks of one column a, targets 100 + 10 times the output."""
    members = len(weights)
    return Model(
        task="regression", targets=("y",), classes=None,
        encoder=Encoder.fit(read_table({"a": [1.0, 2.0, 4.0], "y": [0.0, 1.0, 2.0]}, "y")), network=MLP(()), cost=cost,
        outputs=(outputs,), weights=np.array(weights), in_center=np.full((members, 1), 2.0),
        in_factor=np.full((members, 1), 0.5), out_center=np.full((members, 1), 100.0),
        out_scale=np.full((members, 1), 10.0),
    )  # fmt: skip


def raw(deviation, floor):
    """The output that stands for this deviation."""
    return np.log(np.expm1(deviation - floor)) - np.log(np.expm1(1))


def test_the_mixture_of_gaussian_members_by_hand():
    # At a = 2 outputs are the biases: means 0 and 1, deviations 0.5 and 2; at a = 4 the first mean is 3.
    rows = [[3.0, 0.0, 0.0, raw(0.5, 0.1)], [0.0, 0.0, 1.0, raw(2.0, 0.1)]]
    model = linear(GaussianLikelihood(floor=0.1), rows, 2)
    data = {"a": [2.0, 4.0]}
    np.testing.assert_allclose(model.members(data)[..., 0], [[100, 130], [110, 110]], rtol=1e-5)
    np.testing.assert_allclose(model.predict(data), [105, 120], rtol=1e-5)
    # variance = mean of variances (½ (5² + 20²)) + variance of means
    expected = np.sqrt([(25 + 400) / 2 + 25, (25 + 400) / 2 + 100])
    np.testing.assert_allclose(model.predict_deviation(data), expected, rtol=1e-5)
    found = model.predict_quantiles(data, (0.05, 0.5, 0.99))
    for k, level in enumerate(found.levels):
        own = [brentq(lambda q, b=b, level=level: (norm.cdf(q, b, 5) + norm.cdf(q, 110, 20)) / 2 - level, -999, 999)
               for b in (100, 130)]  # fmt: skip
        np.testing.assert_allclose(found.values[:, 0, k], own, rtol=1e-5)
    assert model.predict_quantiles(data).levels == (0.1, 0.5, 0.9)


def test_the_quantiles_of_members_are_averaged():
    # Outputs of 0 are the normal distribution's quantiles about the middle one.
    model = linear(Quantile((0.1, 0.5)), [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 3.0]], 2)
    levels, values = model.predict_quantiles({"a": [2.0]})
    assert levels == (0.1, 0.5)
    np.testing.assert_allclose(values, [[[120 - 12.815516, 120]]], rtol=1e-6)
    np.testing.assert_allclose(model.predict({"a": [2.0]}), [120])
    np.testing.assert_allclose(
        model.distributions({"a": [2.0]})[:, 0], [[97.184484, 110], [117.184484, 130]], rtol=1e-6
    )


def test_units_of_members_with_a_time_axis():
    """[member, row, time, quantile · target], each member with a scaling of its own."""
    cost, z = Quantile((0.1, 0.5, 0.9)), np.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    center, scale = (np.array(a).reshape(2, 1, 1, 2) for a in ([1, 2, 3, 4], [1, 10, 100, 1000]))
    found = cost.unscale(z, center, scale)
    for k, target, head in np.ndindex(2, 2, 3):
        own = z[k, ..., 2 * head + target] * scale[k, 0, 0, target] + center[k, 0, 0, target]
        np.testing.assert_array_equal(found[k, ..., 2 * head + target], own)
    values = quantiles(cost, found).values
    assert values.shape == (3, 4, 2, 3)
    np.testing.assert_allclose(values[1, 2, 1], found[:, 1, 2, 1::2].mean(axis=0))


def test_mixture_quantiles_of_far_and_of_equal_members():
    mean = np.array([[0.0, 5.0], [1e6, 5.0]])
    sigma = np.array([[1.0, 2.0], [1.0, 2.0]])
    np.testing.assert_allclose(mixture_quantile(mean, sigma, 0.25), [0.0, norm.ppf(0.25, 5, 2)], atol=1e-8)
    np.testing.assert_allclose(mixture_quantile(mean, sigma, 0.75), [1e6, norm.ppf(0.75, 5, 2)], rtol=1e-12)


def test_other_costs_have_none():
    members = np.zeros((2, 3, 1))
    with pytest.raises(InputError, match="trained by SquaredError has no quantiles"):
        quantiles(SquaredError(), members)
    with pytest.raises(InputError, match="trained by SquaredError has learned no deviation"):
        deviation(SquaredError(), members)
    with pytest.raises(InputError, match="rising numbers"):
        quantiles(GaussianLikelihood(), np.ones((2, 3, 2)), (0.9, 0.1))


def test_networks_are_the_members():
    model = linear(GaussianLikelihood(floor=0.1), [[3.0, 0.0, 0.0, 0.2], [0.0, 0.5, 1.0, -1.0]], 2)
    a = np.array([2.0, 4.0, 7.0])
    for network, member in zip(model.networks(), model.distributions({"a": a}), strict=True):
        linked = np.asarray(model.cost.inverse_link(network(((a - 2) * 0.5)[:, None].astype(np.float32))))
        np.testing.assert_allclose(linked[:, 0] * 10 + 100, member[:, 0], rtol=1e-5)
        np.testing.assert_allclose(linked[:, 1] * 10, member[:, 1], rtol=1e-5)


# --- what is drawn and written -----------------------------------------------------------------------------------


def test_the_fan_draws_the_models_quantiles():
    model = linear(Quantile((0.1, 0.5, 0.75, 0.9)), [[1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]], 4)
    along = np.array([3.0, 1.0, 2.0])
    figure = fan(model, {"a": along}, along, rows=([1.0, 2.0], [100.0, 120.0]), name="a column")
    figure.savefig(io.BytesIO(), format="png", dpi=50)
    (ax,) = figure.axes
    by_name = {line.get_gid(): line for line in ax.lines}
    values = model.predict_quantiles({"a": np.sort(along)}).values[:, 0]
    for k, level in enumerate((0.1, 0.5, 0.75, 0.9)):
        np.testing.assert_allclose(by_name[f"quantile {level:g}"].get_ydata(), values[:, k])
        np.testing.assert_allclose(by_name[f"quantile {level:g}"].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(by_name["prediction"].get_ydata(), values[:, 1])
    np.testing.assert_allclose(by_name["rows"].get_ydata(), [100, 120])
    assert [text.get_text() for text in ax.texts] == ["0.1", "0.5", "0.75", "0.9"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a column", "y")
    with pytest.raises(InputError, match=r"one number along the axis for each of 3 rows, got shape \(2,\)"):
        fan(model, {"a": along}, along[:2])


def test_the_command_line_writes_what_was_learned():
    learned = np.array([[[90.0, 100.0, 110.0]], [[94.0, 104.0, 118.0]]])
    model = linear(Quantile(), np.zeros((2, 6)), 3)
    columns = [("quantile 0.1 of y", [92.0]), ("quantile 0.5 of y", [102.0]), ("quantile 0.9 of y", [114.0])]
    assert [(name, list(values)) for name, values in beside(model, learned)] == columns
    ((name, values),) = beside(linear(GaussianLikelihood(), np.zeros((2, 4)), 2), learned[..., :2] / 10)
    assert name == "deviation of y"
    np.testing.assert_allclose(values, np.sqrt((10**2 + 10.4**2) / 2 + 0.2**2))
    assert beside(linear(SquaredError(), np.zeros((2, 2)), 1), learned[..., :1]) == []
