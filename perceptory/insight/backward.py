"""Back-propagation of one sample, term by term [E16 to E20]."""

from __future__ import annotations

from typing import Any

import numpy as np

from perceptory.data import Encoder
from perceptory.errors import InputError
from perceptory.insight.backward_pass import Backpropagation, LayerGradients
from perceptory.insight.dense_layers import Shown, numbers, shown
from perceptory.insight.derivatives import activate, activation_name, behind, output_side
from perceptory.models.model import Model
from perceptory.networks.base import Network
from perceptory.objectives.table import COSTS


def backpropagation(
    network: Any, x: Any, t: Any, *, cost: Any = None, member: int = 0, key: Any = None
) -> Backpropagation:
    """Forward and backward pass of one sample, each term as [E16 to E20] write it; no automatic differentiation.

    Output layer: ∂J/∂z = ∂J/∂y σ'(z) (= y - t = -e for squared error and for both cross entropies). Then, layer by
    layer backwards, ∂J/∂w_ij = a_i ∂J/∂z_j, ∂J/∂b_j = ∂J/∂z_j, and for the layer before ∂J/∂v_i = Σ_j w_ij ∂J/∂z_j,
    ∂J/∂z_i = σ'(z_i) ∂J/∂v_i: the sums over all paths. Computed in double precision.

    network: an Equinox module of `Dense` layers, as MLP builds it (dropout as in use, residual connections; no
        normalization), a `Model`, or a spec.
    x: one sample [in]; for a model in its own units (numbers in the order of the columns, or a table of one row), which
        are then scaled as the network's inputs are.
    t: its target [out]: numbers, or for a classifier the class.
    cost: a cost or its name; None takes the model's, or else squared error.
    member: which network of a `Model`.
    key: random key that a spec starts from.

    Raises `InputError` for other networks and shapes.
    """
    if isinstance(cost, str):
        cost = COSTS[cost]()
    view, a, goal = _sample(network, x, t, cost, member, key)
    return _explained(view, a, goal)


def _sample(network: Any, x: Any, t: Any, cost: Any, member: int, key: Any) -> tuple[Shown, np.ndarray, np.ndarray]:
    """(the network, the sample, its target), both as the network sees them."""
    if isinstance(network, Model):
        view = shown(network, 0, network.outputs[-1], cost=cost, member=member)
        if isinstance(network.encoder, Encoder):
            plain = isinstance(x, list | tuple | np.ndarray) and np.ndim(x) == 1
            row = network.encoder.transform(np.asarray(x)[None] if plain else x)
        else:
            row = np.asarray(x, float).reshape(1, -1, network.in_center.shape[1])
        if len(row) != 1:
            raise InputError(f"backpropagation explains one sample, got {len(row)} rows. Give one of them.")
        return view, view.scaled(row).ravel(), _target(view, t)
    if isinstance(network, Network):
        outputs = np.size(t) if cost is None else cost.outputs(np.size(t))
        view = shown(network, np.size(x), outputs, cost=cost, key=key)
    else:
        view = shown(network, 0, 0, cost=cost)
    return view, numbers("x", x, len(view.inputs)), numbers("t", t, view.targets)


def _target(network: Shown, t: Any) -> np.ndarray:
    model = network.model
    if model is None or model.classes is None:
        scale = (0, 1) if model is None else (model.out_center[network.member], model.out_scale[network.member])
        return (numbers("t", t, network.targets) - scale[0]) / scale[1]
    given = np.asarray(t).ravel()
    known = [str(c) for c in model.classes]
    if len(given) != 1 or str(given[0]) not in known:
        raise InputError(f"t needs one of the classes {', '.join(known)}, got {t!r}.")
    code = known.index(str(given[0]))
    return np.array([float(code)]) if len(known) == 2 and model.outputs[-1] == 1 else np.eye(len(known))[code]


def _explained(network: Shown, x: np.ndarray, t: np.ndarray) -> Backpropagation:
    a = [x]  # what comes into each layer
    z, v = [], []
    for step in network.steps:
        z.append(a[-1] @ step.weight + step.bias)
        v.append(activate(step.activation, z[-1]))
        a.append(step.keep * v[-1] + (a[-1] if step.skip else 0))
    end = output_side(network.cost, a[-1], t)
    last, gradients = len(network.steps) - 1, []
    back = end.dz  # ∂J by what the layer gives
    for i in range(last, -1, -1):
        step = network.steps[i]
        dv = step.keep * back
        dz = behind(step.activation, z[i], v[i], dv)
        sigma = activation_name(step.activation)
        if i == last and sigma == "linear" and step.keep == 1 and not step.skip:
            sigma, v[i], dv = end.link or sigma, end.y, end.dy  # the link is the layer's σ, as it is written by hand
        sources = network.inputs if i == 0 else _counted(len(a[i]))
        units = network.outputs if i == last else _counted(len(dz))
        gradients.append(
            LayerGradients(
                "output layer" if i == last else f"layer {i + 1}", sigma, sources, units, a[i], step.weight, step.bias,
                z[i], v[i], dv, dz, np.outer(a[i], dz), dz, step.keep, step.skip,
            )
        )  # fmt: skip
        back = step.weight @ dz + (back if step.skip else 0)
    return Backpropagation(tuple(gradients[::-1]), x, t, end.y, end.cost, end.formula, network.inputs, network.outputs)


def _counted(n: int) -> tuple[str, ...]:
    return tuple(str(i + 1) for i in range(n))
