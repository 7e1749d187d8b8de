"""The study that `fit` runs on series, images and arrays where nothing is asked."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from perceptory.data import ArrayDataset
from perceptory.data.examples import Examples, classes_of
from perceptory.layers.arrays import Shape
from perceptory.networks.arx_residual import ARXResidual
from perceptory.networks.autoencoder import Autoencoder
from perceptory.networks.base import Network, layout
from perceptory.networks.beside import Telling
from perceptory.networks.cnn import CNN
from perceptory.networks.linear import Linear
from perceptory.networks.mlp import MLP
from perceptory.networks.narx import NARX
from perceptory.networks.recurrent import GRU, LSTM, Recurrent
from perceptory.networks.rollout import RollOut
from perceptory.networks.windowed import Windowed
from perceptory.selection.plans import KFold, StratifiedKFold, ValidationPlan, default_plan, in_time
from perceptory.selection.search import choice
from perceptory.studies.presets_forecasts import forecasters, forecasts_numbers

DENSE = 20_000  # inputs of an example up to which a dense hidden layer is worth its weights
RIDGES = 1e-5, 1e-3, 1e-1  # strengths of the linear model's ridge, which cost little
ORDERS = 2, 4, 8, 16  # past inputs and outputs of ARX models, the baselines of dynamic systems
TAPS = 64  # most past inputs that the linear model of a dynamic system sees
FOLDS = 5
# Arithmetic a second of a population on two cores, measured: small matrices in a loop over time are slowest.
SPEED = {"dense": 1.2e10, "recurrent": 0.8e10, "convolutional": 1.6e10}


def example_networks(data: ArrayDataset, effort: str) -> list[Network]:
    """The networks that a preset compares, simplest first; the first one is linear, the honest baseline."""
    if data.kind == "image":
        return _for_images(data, effort)
    if forecasts_numbers(data):
        return forecasters(data, effort)
    if data.kind == "series" and data.targets.ndim == 3:
        return _for_every_step(data, effort)
    if data.kind == "series":
        return _for_one_value(data, effort)
    hidden = [MLP((32, 32), "relu"), MLP((64, 64), "tanh")]
    return [
        linear_model(data),
        *(hidden if prod(data.shape) <= DENSE else []),
        *_more(effort, [MLP((128, 128), "relu")]),
    ]


def linear_model(data: Examples, taps: int = 1) -> Linear:
    """The baseline: of numbers one of three strengths of the ridge, of classes taken down until validation stops it."""
    return Linear(choice(*RIDGES) if data.task == "regression" else RIDGES[0], taps)


def _more(effort: str, networks: list[Any]) -> list[Any]:
    return networks if effort == "thorough" else []


def _for_images(data: ArrayDataset, effort: str) -> list[Network]:
    stages = min(4, int(np.log2(max(1, min(data.shape[:2]) / 4))))  # the last one leaves some 4 to 8 places an axis
    if min(data.shape[:2]) >= 8:
        stages = max(stages, 2)
    small, large = tuple(8 << k for k in range(stages)), tuple(16 << k for k in range(stages))
    dense = [MLP((128,), "relu")] if prod(data.shape) <= DENSE else []
    if not stages:
        return [linear_model(data), *dense]
    if effort == "quick":
        return [linear_model(data), *dense, CNN(small, hidden=(64,), dropout=0.1)]
    more = [CNN(large, kernel=5, hidden=(128,), dropout=0.2)]
    return [
        linear_model(data),
        *dense,
        CNN(small, hidden=(64,), dropout=0.1),
        CNN(large, hidden=(64,), dropout=0.1),
        *_more(effort, more),
    ]


def _for_every_step(data: ArrayDataset, effort: str) -> list[Network]:
    """Every one of these is causal and runs on series of any length."""
    steps = data.shape[0]
    known = 0 if data.plan is None else data.plan.known
    orders = [lags for lags in ORDERS if 4 * lags <= steps]
    arx: list[Network] = [
        NARX((), input_lags=lags, output_lags=lags, train="least squares", at_rest=known != "all") for lags in orders
    ]
    if known == "all":
        simple: list[Network] = [*arx, NARX((), increment=True), NARX((16,), increment=True)]
        lagged = [NARX((16,), input_lags=4, output_lags=4, increment=True), NARX((16, 16), increment=True)]
        return simple if effort == "quick" else [*simple, *lagged, *_more(effort, [NARX((32,), forcing=0.5)])]
    taps = int(min(TAPS, max(1, steps // 2)))
    linear = linear_model(data, taps)
    dilation = tuple(1 << k for k in range(min(5, max(2, int(np.log2(max(4, steps // 4)))))))
    temporal = CNN((16,) * len(dilation), dilation=dilation, padding="causal", hidden=())

    lags = max(orders, default=0) if data.task == "regression" else 0  # of the linear model that networks stand on

    def over(*networks: Network) -> list[Network]:
        """Each over a linear model: what that knows need not be learned from few rows. A system that bends strongly is
        learned better without it, so both are compared."""
        return [ARXResidual(network, lags) for network in networks] if lags else []

    if effort == "quick":
        return [*arx, linear, temporal, GRU((16,)), *over(GRU((16,)))]
    small, more = over(GRU((32,)), LSTM((32,))) or [GRU((16,))], [LSTM((64,)), GRU((32, 32))]
    return [*arx, linear, temporal, GRU((32,)), LSTM((32,)), *small, *_more(effort, more)]


def simulated(data: ArrayDataset) -> bool:
    """Whether examples are of a dynamic system that is simulated from its inputs alone: a record has few independent
    stretches, so which candidate validates best is partly chance."""
    steps = data.kind == "series" and data.task == "regression" and data.targets.ndim == 3
    return steps and (data.plan is None or data.plan.known == 0)


def _for_one_value(data: ArrayDataset, effort: str) -> list[Network]:
    steps, channels = data.shape
    if data.lengths is not None:  # of any length: each channel's mean, over the steps that there are
        first: list[Network] = [replace(linear_model(data), pooled=True)]
        head = "global"
    else:
        first = [linear_model(data), *([MLP((32, 32), "relu")] if steps * channels <= DENSE else [])]
        head = "flatten" if steps <= 64 else "global"
    shortest = steps if data.lengths is None else int(data.lengths.min())
    pool = 2 if shortest >= 8 else 1
    temporal = [CNN((16, 32), kernel=3, pool=pool, hidden=(32,), head=head)] if steps >= 4 else []
    if effort == "quick":
        return [*first, *temporal, GRU((16,))]
    more: list[Network] = [MLP((64, 64), "tanh")] if data.lengths is None and steps * channels <= DENSE else []
    more += [LSTM((64,)), GRU((32, 32))]
    return [*first, *temporal, GRU((16,)), LSTM((32,)), *_more(effort, more)]


def seconds_of(network: Network, inputs: Shape, outputs: Shape) -> float:
    """Time to train on one example once, on two cores: six operations a weight and place where it stands."""
    if isinstance(network, Windowed):
        return seconds_of(network.sight, network.steps(inputs), outputs)
    if isinstance(network, RollOut):
        steps = max(network.roll.horizons)
        return steps * seconds_of(network.network, network.within(inputs), (network.roll.targets,))
    if isinstance(network, Telling):
        return seconds_of(network.network, network.within(inputs), outputs)
    if isinstance(network, ARXResidual):
        return seconds_of(network.network, network.within(inputs, outputs), outputs) + 1e-7 * inputs[0]
    if isinstance(network, Autoencoder):
        return 2 * seconds_of(network.encoder, inputs, (network.code,))  # the way back costs what the way there does
    names = layout(network, inputs, outputs)
    size = float(names.size)
    if isinstance(network, Recurrent | NARX):
        return 6 * size * inputs[0] / SPEED["recurrent"] + 1e-7 * inputs[0]
    if isinstance(network, CNN):
        places, space = 0.0, [float(n) for n in inputs[:-1]]
        for name, shape in zip(names.names, names.shapes, strict=True):
            if name.startswith("stages") and len(shape) > 2:
                places += prod(space) * prod(shape)
                space = [n if len(outputs) == 2 else max(1.0, n / 2) for n in space]
            elif len(outputs) == 2 or len(shape) == 2:
                places += prod(shape) * (inputs[0] if len(outputs) == 2 else 1)
        return 6 * places / SPEED["convolutional"] + 1e-6
    return 6 * size / SPEED["dense"] + 1e-6


def batch_size(rows: int) -> int | None:
    """At least some four steps an epoch: few long series are few examples. None: by the number of rows."""
    return None if rows >= 128 else int(2 ** max(2, np.floor(np.log2(max(4, rows / 4)))))


def default_validation(data: Examples) -> ValidationPlan:
    """The plan where none is asked for: blocks of time where examples share one, groups, or folds."""
    classes = classes_of(data)
    if data.kind == "table" or data.groups is not None:
        return default_plan(data.task, data.rows, data.groups, classes)
    if data.timeline is not None:
        return in_time(data.timeline)
    return KFold(FOLDS) if classes is None else StratifiedKFold(FOLDS)
