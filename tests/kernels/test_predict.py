"""The kernel of predictions against NumPy and against the program: values, layouts of inputs, missing numbers."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory.kernels import predict
from perceptory.kernels.stack import KINDS, Stack, unit
from perceptory.models.averages import mean_of
from perceptory.models.by_kernel import ByKernel
from perceptory.models.weighted import WeightedModel

KERNEL = "predict"
pytestmark = pytest.mark.usefixtures("kernel")
SIGMAS = {
    "linear": lambda z: z,
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "steep_sigmoid": lambda z: 1 / (1 + np.exp(-2 * z)),
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu(0.2)": lambda z: np.where(z > 0, z, 0.2 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z)),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
}


class Case:
    """Three networks of given widths, their scaling, and rows."""

    def __init__(self, widths, activation="tanh", rows=9, layout=()):
        random = np.random.default_rng(0)
        self.stack = Stack(widths, (unit(activation),) * (len(widths) - 2))
        self.sigma, self.layout = SIGMAS[activation], layout
        self.weights = 0.5 * random.normal(size=(3, self.stack.weights))
        self.common, *scaling = random.normal(size=(7, widths[0]))
        self.shift, self.factor = np.array(scaling[:3]), np.array(scaling[3:])
        self.x = random.normal(size=(rows, widths[0]))
        self.codes = [random.integers(-1, -run, rows).astype(np.int8) for run in layout if run < 0]

    def by_kernel(self, numbers, dtype):
        networks = predict.Networks(self.stack, self.weights, self.common, self.shift, self.factor, self.layout, dtype)
        codes = np.array(self.codes, np.int8).reshape(-1, len(numbers))
        out = np.full((3, len(numbers), self.stack.widths[-1]), np.nan, dtype)
        networks(predict.Rows(numbers.astype(dtype), codes), out)
        return out

    def by_numpy(self, x):
        found = []
        for weights, shift, factor in zip(self.weights, self.shift, self.factor, strict=True):
            v, at = np.nan_to_num((x - self.common + shift) * factor), 0
            for place, (n, wide) in enumerate(pairwise(self.stack.widths)):
                z = v @ weights[at : at + n * wide].reshape(n, wide) + weights[at + n * wide :][:wide]
                at += (n + 1) * wide
                v = z if place + 2 == len(self.stack.widths) else self.sigma(z)
            found.append(v)
        return np.array(found)


def test_every_kind_of_unit_is_tested():
    assert {name.partition("(")[0] for name in SIGMAS} == set(KINDS)


@pytest.mark.parametrize("activation", SIGMAS)
def test_activations(activation):
    case = Case((3, 18, 7, 2), activation)
    expected = case.by_numpy(case.x)
    assert np.allclose(case.by_kernel(case.x - case.common, np.float64), expected, rtol=1e-12, atol=1e-12)
    assert np.allclose(case.by_kernel(case.x - case.common, np.float32), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("widths", [(1, 1), (5, 4), (2, 16, 1), (4, 33, 3), (4, 5, 4), (3, 70, 65, 17)])
@pytest.mark.parametrize("rows", [1, 300])
def test_widths_and_rows(widths, rows):
    case = Case(widths, rows=rows)
    assert np.allclose(case.by_kernel(case.x - case.common, np.float64), case.by_numpy(case.x), atol=1e-12)


def test_a_missing_number_is_the_mean():
    case = Case((3, 8, 1))
    case.x[2, 1] = np.nan
    assert np.allclose(case.by_kernel(case.x - case.common, np.float64), case.by_numpy(case.x), atol=1e-12)


@pytest.mark.parametrize("layout", [(1, 0, -3, 1, 0, -2), (-4, -1), (2, -2, 1)])
def test_categories_and_flags_are_features_of_0_and_1(layout):
    """A category looked up gives what its features of 0 and 1 give."""
    case = Case((sum(abs(run) or 1 for run in layout), 20, 2), rows=200, layout=layout)
    x, numbers, codes, place = case.x, [], iter(case.codes), 0
    for run in layout:
        if run > 0:
            x[::7, place] = np.nan
            numbers += [x[:, k] - case.common[k] for k in range(place, place + run)]
        elif run == 0:
            x[:, place] = np.isnan(x[:, place - 1])
        else:
            x[:, place : place - run] = next(codes)[:, None] == np.arange(-run)
        place += abs(run) or 1
    given = np.array(numbers).reshape(-1, len(x)).T
    assert np.allclose(case.by_kernel(given, np.float64), case.by_numpy(x), atol=1e-12)


def test_arrays_that_do_not_fit_are_refused():
    case = Case((2, 4, 1), layout=(1, -1))
    for numbers, codes in ((np.zeros((9, 2)), case.codes), (np.zeros((9, 1)), [np.full(9, 1, np.int8)])):
        case.codes = codes
        with pytest.raises(ValueError, match="do not fit"):
            case.by_kernel(numbers, np.float64)


def test_a_model_says_the_same_by_its_program_and_without_jax(untrained, monkeypatch, tmp_path):
    networks = pt.MLP((6,)), pt.Linear(), pt.KernelRidge(9), pt.TabularMLP((6,), "selu", inputs="quantiles", bins=4)
    parts = [untrained(network) for network in networks]
    (_, frame), encoder = parts[0], parts[0][0].encoder
    for part, _ in parts:
        part.encoder = encoder
    model = WeightedModel([part for part, _ in parts], [0.4, 0.3, 0.2, 0.1])
    by_kernel = model.distributions(frame), model.distributions_of(model.encoder.transform(frame)[:3])
    model.save(tmp_path / "model")
    frame.write_csv(tmp_path / "rows.csv")
    code = """if True:
        import sys
        from perceptory.__main__ import main
        main()
        assert "jax" not in sys.modules
    """
    run = [sys.executable, "-c", code, "predict", str(tmp_path / "model"), str(tmp_path / "rows.csv")]
    printed = subprocess.run(run, capture_output=True, check=True).stdout
    assert np.allclose(pl.read_csv(printed)["predicted y"], mean_of(model, by_kernel[0])[:, 0], atol=1e-6)
    monkeypatch.setattr(ByKernel, "of_model", lambda model: None)
    expected = model.distributions(frame)
    assert np.allclose(by_kernel[0], expected, rtol=1e-4, atol=1e-5)
    assert np.allclose(by_kernel[1], expected[:, :3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "network",
    [
        pt.TabularMLP((6, 5), bins=4, width=3),
        pt.TabularMLP((6,), "relu", numbers="none", parametric=False, clip=0.0, feature_scale=0.0),
        pt.TabularMLP((6,), "selu", inputs="quantiles", numbers="periodic", frequencies=5, width=4, one_hot=200),
        pt.TabularMLP((6,), clip=0.0, feature_scale=0.0, categories=3, one_hot=1),
        pt.TabularMLP((), inputs="quantiles", bins=4, width=3),
        pt.Linear(),
    ],
)
def test_networks_for_tables(untrained, monkeypatch, network):
    model, frame = untrained(network)
    by_kernel = model.distributions(frame), model.distributions_of(model.encoder.transform(frame)[:3])
    assert ByKernel.of_model(model) is not None
    monkeypatch.setattr(ByKernel, "of_model", lambda model: None)
    expected = model.distributions(frame)
    assert np.ptp(expected) > 0.1
    assert np.allclose(by_kernel[0], expected, rtol=1e-4, atol=1e-5)
    assert np.allclose(by_kernel[1], expected[:, :3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cost", [pt.SigmoidCrossEntropy(), pt.SigmoidSquaredError(), pt.SoftmaxCrossEntropy()])
def test_links_of_the_host(cost):
    z = np.array([[-300.0, -20.0], [0.0, 1.0], [3.0, 1e3]]) if "Softmax" in cost.label else np.array([[-300.0], [2.0]])
    assert np.allclose(cost.host_link(z), cost.inverse_link(z), rtol=1e-5)
