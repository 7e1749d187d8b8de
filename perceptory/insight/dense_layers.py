"""A feedforward network as plain arrays, layer by layer: what the functions that show it start from."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from perceptory import backend
from perceptory.errors import InputError
from perceptory.layers.arrays import unpack
from perceptory.layers.dense import Dense, Dropout, Reshape
from perceptory.layers.noise import Noise, WeightNoise
from perceptory.layers.sequential import Sequential, Skip
from perceptory.models.model import Model
from perceptory.networks.base import Network
from perceptory.objectives.table import DEFAULT_COST, Cost


class Step(NamedTuple):
    """A dense layer in use: z = a W + b, v = σ(z), and its output keep · v (+ a with a residual connection)."""

    weight: np.ndarray  # [in, out]
    bias: np.ndarray  # [out]
    activation: Callable[..., Any]
    keep: float = 1.0  # 1 - the dropout rate behind it
    skip: bool = False


class Shown(NamedTuple):
    """A network as it is shown: its layers, the cost that it was trained on, and the scales of inputs and outputs."""

    steps: tuple[Step, ...]
    cost: Cost
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    model: Model | None = None
    member: int = 0

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Encoded inputs [..., in] as the network sees them; a missing one is the training mean, 0."""
        if self.model is None:
            return x
        return np.nan_to_num((x - self.model.in_center[self.member]) * self.model.in_factor[self.member])

    @property
    def targets(self) -> int:
        """How many numbers a target has: a cost may take several outputs for each."""
        return len(self.outputs) // self.cost.heads


def module_of(model: Model, member: int = 0) -> Any:
    """The Equinox module of one of a model's networks, in the model's precision."""
    if not 0 <= member < len(model):
        raise InputError(f"member needs a number from 0 to {len(model) - 1}, got {member!r}.")
    shape = tuple(getattr(model.encoder, "shape", (model.in_center.shape[1],)))
    with backend.precision(model.precision) as dtype:
        module = model.network.build(shape, model.outputs, key=jax.random.key(0))
        return unpack(module, jnp.asarray(model.weights[member], dtype))


def steps_of(module: Any) -> tuple[Step, ...]:
    """The layers of a module of `Dense` layers. Raises `InputError` for anything that is not made of them."""
    steps: list[Step] = []
    for layer in _flat(module):
        if isinstance(layer, Dense):
            weight, bias = np.asarray(layer.weight, float), np.asarray(layer.bias, float)
            steps.append(Step(weight, bias, layer.activation))
        elif isinstance(layer, Dropout) and steps:
            steps[-1] = steps[-1]._replace(keep=steps[-1].keep * (1 - float(layer.rate.value)))
        elif isinstance(layer, Skip):
            inner = steps_of(layer.inner)
            if len(inner) != 1:
                raise _not_dense(f"a residual connection around {len(inner)} layers")
            steps.append(inner[0]._replace(skip=True))
        elif not isinstance(layer, Reshape | Noise):
            raise _not_dense(type(layer).__name__)
    if not steps:
        raise _not_dense(type(module).__name__)
    return tuple(steps)


def _flat(module: Any) -> list[Any]:
    if isinstance(module, WeightNoise):
        return _flat(module.inner)
    if isinstance(module, Sequential):
        return [part for layer in module.layers for part in _flat(layer)]
    return [module]


def _not_dense(what: str) -> InputError:
    return InputError(
        f"only networks of dense layers can be shown term by term, got {what}. Example: MLP((3,)) without normalization"
    )


def shown(network: Any, inputs: int, outputs: int, *, cost: Any = None, member: int = 0, key: Any = None) -> Shown:
    """A module, a `Model` (its network `member`) or a spec (started with `key`) as plain layers.

    inputs: how many numbers come in, for a spec.
    outputs: how many numbers come out, for a spec and for the names of a model's classes.
    cost: in place of the model's own, or of squared error.
    """
    if isinstance(network, Model):
        names = network.encoder.feature_names
        classes = () if network.classes is None else tuple(str(c) for c in network.classes)
        outs = _headed(network.targets, network.cost) if network.task == "regression" else classes[-outputs:]
        steps = steps_of(module_of(network, member))
        if len(names) != len(steps[0].weight):
            names = tuple(f"x{i + 1}" for i in range(len(steps[0].weight)))
        return Shown(steps, cost or network.cost, tuple(names), tuple(outs), network, member)
    if isinstance(network, Network):
        with backend.precision("double"):
            network = network.build((inputs,), (outputs,), key=jax.random.key(0) if key is None else key)
            steps = steps_of(network)
    else:
        steps = steps_of(network)
    width, out = len(steps[0].weight), len(steps[-1].bias)
    names = tuple(f"x{i + 1}" for i in range(width))
    outs = tuple("y" if out == 1 else f"y{i + 1}" for i in range(out))
    return Shown(steps, cost or DEFAULT_COST["regression"], names, outs)


def _headed(targets: tuple[str, ...], cost: Cost) -> tuple[str, ...]:
    """Names of the outputs: all targets' first head, then all targets' second."""
    if cost.heads == 1:
        return tuple(targets)
    return tuple(f"{target}, head {i + 1}" for i in range(cost.heads) for target in targets)


def numbers(name: str, values: Any, count: int) -> np.ndarray:
    """What a user gave as numbers, finite or missing, as [count] float64. Raises `InputError` for another count."""
    array = np.asarray(values, float)
    if prod(array.shape) != count or np.isinf(array).any():
        raise InputError(f"{name} needs {count} finite numbers, got the shape {array.shape}.")
    return array.ravel()
