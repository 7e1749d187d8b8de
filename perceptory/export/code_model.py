"""What a source file says of a model, whatever its language: networks as steps, scaling, links, columns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import expm1, log
from statistics import NormalDist
from typing import Any

import numpy as np

from perceptory.data.tables.encoder import Encoder
from perceptory.errors import InputError
from perceptory.export.code_steps import Step, sigmas_of, steps_of
from perceptory.export.convert import stacked_module
from perceptory.export.links import units
from perceptory.export.pipeline import check_network
from perceptory.objectives.base import Cost
from perceptory.objectives.distribution import HALF_BELOW
from perceptory.objectives.regression import MOST_LOG

LINKS = {  # of a cost, by its class
    "GammaLikelihood": "exp",
    "GaussianLikelihood": "gaussian",
    "LabelCrossEntropy": "sigmoid",
    "PoissonLikelihood": "exp",
    "Quantile": "quantile",
    "SigmoidCrossEntropy": "two classes",
    "SigmoidSquaredError": "two classes",
    "SoftmaxCrossEntropy": "softmax",
}
OWN_LINKS = {"identity": "identity", "exp": "plain exp", "sigmoid": "two classes", "softmax": "softmax"}


@dataclass(frozen=True)
class Sources:
    """A model whose networks are layers of neurons.

    steps: of one network, their arrays [member, ...]. center, factor: [member, in]. link: from linear outputs to
    predictions on the trained scale, with its `numbers`. scale, offset: [member, prediction], then mean over members.
    outputs: names of what comes out. features: names of the network's inputs.
    """

    model: Any
    steps: tuple[Step, ...]
    center: np.ndarray
    factor: np.ndarray
    link: str
    numbers: tuple[float, ...]
    heads: int
    middle: int
    linear: int
    scale: np.ndarray
    offset: np.ndarray
    outputs: tuple[str, ...]
    features: tuple[str, ...]

    @property
    def members(self) -> int:
        return len(self.center)

    @property
    def double(self) -> bool:
        return bool(self.model.precision == "double")

    @property
    def sigmas(self) -> list[tuple[str, float | None]]:
        return sorted(sigmas_of(self.steps), key=str)

    @property
    def temperature(self) -> float:
        """What probabilities are tempered by, 1 where they are as they come (`models.temperature`)."""
        return float(self.model.facts.get("temperature", 1.0)) if self.model.classes is not None else 1.0

    @property
    def mixture(self) -> bool:
        """Whether the outputs are means and deviations, whose ensemble is a mixture."""
        return self.link == "gaussian"

    def description(self) -> list[str]:
        """Lines that say what the file is of."""
        network = self.model.network.label
        return [
            f"{self.model.task} of {', '.join(self.model.targets)}: the mean of {self.members} x {network}",
            "written by perceptory",
        ]


def sources_of(model: Any) -> Sources:
    """What source code of a model is written from. `InputError` for one that is more than layers of neurons."""
    if len(model.parts) > 1:
        raise InputError(
            "source code is written for networks of one structure, and this model weighs those of several candidates."
            " Export it to ONNX instead, or one of its parts: model.parts[0]."
        )
    if model.task == "autoencode":
        raise InputError("source code is written for models that predict a target. Export this one to ONNX instead.")
    check_network(model.network)
    module = stacked_module(model.network, model.encoder.shape, model.outputs, model.weights, model.precision)
    steps = steps_of(module, model.encoder.shape)
    link, numbers, linear = _link(model.cost, model.outputs)
    count = 2 if link == "two classes" else linear if link != "identity" else linear // model.cost.heads
    factor, offset = np.ones((len(model), count)), np.zeros((len(model), count))
    if model.task == "regression":
        factor, offset = units(model.cost, model.out_center, model.out_scale, count)
    shape = model.encoder.shape
    repeat = int(np.prod(shape[:-1]))
    return Sources(
        model, steps, np.tile(model.in_center, (1, repeat)), np.tile(model.in_factor, (1, repeat)), link, numbers,
        model.cost.heads, getattr(model.cost, "middle", 0), linear, factor, offset, _names(model, count),
        _features(model),
    )  # fmt: skip


def _link(cost: Any, outputs: tuple[int, ...]) -> tuple[str, tuple[float, ...], int]:
    """(link, its numbers, linear outputs) of a cost."""
    kind = type(cost).__name__
    if len(outputs) != 1:
        raise InputError("source code is written for one prediction an example. Export series to ONNX instead.")
    link = OWN_LINKS[cost.prediction] if kind in ("SavedCost", "CustomCost") else LINKS.get(kind, "")
    if not link and type(cost).inverse_link is Cost.inverse_link:
        link = "identity"
    if not link:
        raise InputError(f"the cost {cost.label} has no source code. Export the model to ONNX instead.")
    numbers: tuple[float, ...] = ()
    if link == "exp":
        numbers = (MOST_LOG,)
    if link == "gaussian":
        numbers = (HALF_BELOW, float(cost.floor))
    if link == "quantile":
        normal = [NormalDist().inv_cdf(level) for level in cost.levels]
        numbers = tuple(log(expm1(b - a)) for a, b in pairwise(normal))
    return link, numbers, outputs[-1]


def _names(model: Any, count: int) -> tuple[str, ...]:
    if model.classes is not None:
        return tuple(f"probability of {c}" for c in model.classes.tolist())
    targets = list(model.targets)
    kind = type(model.cost).__name__
    if kind == "GaussianLikelihood":
        return (*targets, *(f"deviation of {t}" for t in targets))
    if kind == "Quantile":
        return tuple(f"quantile {level:g} of {t}" for level in model.cost.levels for t in targets)
    return tuple(targets[:count])


def _features(model: Any) -> tuple[str, ...]:
    if isinstance(model.encoder, Encoder):
        return model.encoder.feature_names
    places = np.ndindex(*model.encoder.shape[:-1])
    names = model.encoder.feature_names
    if len(model.encoder.shape) == 1:
        return tuple(names)
    return tuple(f"{name} at {', '.join(map(str, place))}" for place in places for name in names)
