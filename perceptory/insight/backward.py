"""Back-propagation of one sample, term by term [E16 to E20]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from perceptory.data import Encoder
from perceptory.errors import InputError
from perceptory.insight.dense_layers import Shown, numbers, shown
from perceptory.insight.derivatives import activate, activation_name, behind, output_side
from perceptory.models.model import Model
from perceptory.networks.base import Network
from perceptory.objectives.table import COSTS
from perceptory.wording import number

LINES = 60  # of a layer's weights in the printed table


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """One layer: z = a W + b, v = σ(z). Arrays in double precision; ∂J/∂w_ij = a_i ∂J/∂z_j."""

    name: str  # "layer 1", ..., "output layer"
    activation: str
    sources: tuple[str, ...]  # names of what comes in: the inputs, or numbers of units from 1
    units: tuple[str, ...]
    inputs: np.ndarray  # a [in]: the sample, or what the layer before gives
    weight: np.ndarray  # [in, out]
    bias: np.ndarray  # [out]
    z: np.ndarray  # [out]
    v: np.ndarray  # [out]
    dv: np.ndarray  # [out] ∂J/∂v
    dz: np.ndarray  # [out] ∂J/∂z
    dw: np.ndarray  # [in, out] ∂J/∂w
    db: np.ndarray  # [out] ∂J/∂b
    keep: float = 1.0  # in use, dropout multiplies v by it
    skip: bool = False  # a is added to v


@dataclass(frozen=True, eq=False)
class Backpropagation:
    """Every number of one sample's forward and backward pass. x, t: as the network sees them (scaled)."""

    layers: tuple[LayerGradients, ...]
    x: np.ndarray  # [in]
    t: np.ndarray  # [out]
    y: np.ndarray  # [out]
    cost: float  # J
    formula: str  # of J
    inputs: tuple[str, ...]  # names
    outputs: tuple[str, ...]

    def gradient(self) -> np.ndarray:
        """[weight] all ∂J/∂w and ∂J/∂b in the order of the network's flat weight vector."""
        return np.concatenate([part.ravel() for layer in self.layers for part in (layer.dw, layer.db)])

    def table(self) -> str:
        """All numbers as aligned text."""
        lines = [self._heading()]
        for layer in self.layers:
            lines += ["", _layer_heading(layer)]
            lines += _aligned(_unit_rows(layer))
            lines += ["", *_aligned(_weight_rows(layer))]
            missing = layer.weight.size + layer.bias.size - LINES
            lines += [f"  ... and {missing} more weights in layers[...].dw"] if missing > 0 else []
        return "\n".join(lines)

    __str__ = table

    def _heading(self) -> str:
        t = [f" (target {number(v)})" for v in self.t] + [""] * (len(self.y) - len(self.t))
        told = ", ".join(f"{name} = {number(y)}{goal}" for name, y, goal in zip(self.outputs, self.y, t, strict=True))
        return f"{told};  J = {self.formula} = {number(self.cost)}"

    def _repr_html_(self) -> str:
        parts = [f"<p>{escape(self._heading())}</p>"]
        for layer in self.layers:
            parts += [f"<h4>{escape(_layer_heading(layer))}</h4>", _html(_unit_rows(layer))]
            parts.append(_html(_weight_rows(layer)))
        return "".join(parts)

    def figure(self) -> Any:
        """The network's graph with these numbers on it (see `plots_backward.network_graph`)."""
        from perceptory.insight.figure_backward import network_graph

        return network_graph(self)


def backpropagation(
    network: Any, x: Any, t: Any, *, cost: Any = None, member: int = 0, key: Any = None
) -> Backpropagation:
    """Forward and backward pass of one sample, each term as [E16 to E20] write it; no automatic differentiation.

    Output layer: ∂J/∂z = ∂J/∂y σ'(z) (= y - t = -e for squared error and for both cross entropies). Then, layer by
    layer backwards, ∂J/∂w_ij = a_i ∂J/∂z_j, ∂J/∂b_j = ∂J/∂z_j, and for the layer before ∂J/∂v_i = Σ_j w_ij ∂J/∂z_j,
    ∂J/∂z_i = σ'(z_i) ∂J/∂v_i: the sums over all paths. Computed in double precision.

    network: an Equinox module of `Dense` layers, as MLP builds it (dropout in use, residual connections; no
    normalization); a `Model`, of which network `member` is shown; or a spec, started with `key`.
    x: one sample [in]; of a model in its own units (numbers in the order of the columns, or a table of one row), which
    are then scaled as the network has it. t: its target [out]: numbers, or for a classifying model the class.
    cost: a cost or its name; None takes the model's, else squared error. Raises `InputError` for other networks and
    shapes.
    """
    if isinstance(cost, str):
        cost = COSTS[cost]()
    seen, a, goal = _sample(network, x, t, cost, member, key)
    return _explained(seen, a, goal)


def _sample(network: Any, x: Any, t: Any, cost: Any, member: int, key: Any) -> tuple[Shown, np.ndarray, np.ndarray]:
    """(the network, the sample, its target), both as the network sees them."""
    if isinstance(network, Model):
        seen = shown(network, 0, network.outputs[-1], cost=cost, member=member)
        if isinstance(network.encoder, Encoder):
            plain = isinstance(x, list | tuple | np.ndarray) and np.ndim(x) == 1
            row = network.encoder.transform(np.asarray(x)[None] if plain else x)
        else:
            row = np.asarray(x, float).reshape(1, -1, network.in_center.shape[1])
        if len(row) != 1:
            raise InputError(f"backpropagation explains one sample, got {len(row)} rows. Give one of them.")
        return seen, seen.scaled(row).ravel(), _target(seen, t)
    if isinstance(network, Network):
        outputs = np.size(t) if cost is None else cost.outputs(np.size(t))
        seen = shown(network, np.size(x), outputs, cost=cost, key=key)
    else:
        seen = shown(network, 0, 0, cost=cost)
    return seen, numbers("x", x, len(seen.inputs)), numbers("t", t, seen.targets)


def _target(seen: Shown, t: Any) -> np.ndarray:
    model = seen.model
    if model is None or model.classes is None:
        scale = (0, 1) if model is None else (model.out_center[seen.member], model.out_scale[seen.member])
        return (numbers("t", t, seen.targets) - scale[0]) / scale[1]
    given = np.asarray(t).ravel()
    known = [str(c) for c in model.classes]
    if len(given) != 1 or str(given[0]) not in known:
        raise InputError(f"t needs one of the classes {', '.join(known)}, got {t!r}.")
    code = known.index(str(given[0]))
    return np.array([float(code)]) if len(known) == 2 and model.outputs[-1] == 1 else np.eye(len(known))[code]


def _explained(seen: Shown, x: np.ndarray, t: np.ndarray) -> Backpropagation:
    a = [x]  # what comes into each layer
    z, v = [], []
    for step in seen.steps:
        z.append(a[-1] @ step.weight + step.bias)
        v.append(activate(step.activation, z[-1]))
        a.append(step.keep * v[-1] + (a[-1] if step.skip else 0))
    end = output_side(seen.cost, a[-1], t)
    last, found = len(seen.steps) - 1, []
    back = end.dz  # ∂J by what the layer gives
    for i in range(last, -1, -1):
        step = seen.steps[i]
        dv = step.keep * back
        dz = behind(step.activation, z[i], v[i], dv)
        sigma = activation_name(step.activation)
        if i == last and sigma == "linear" and step.keep == 1 and not step.skip:
            sigma, v[i], dv = end.link or sigma, end.y, end.dy  # the link is the layer's σ, as it is written by hand
        sources = seen.inputs if i == 0 else _counted(len(a[i]))
        units = seen.outputs if i == last else _counted(len(dz))
        found.append(
            LayerGradients(
                "output layer" if i == last else f"layer {i + 1}", sigma, sources, units, a[i], step.weight, step.bias,
                z[i], v[i], dv, dz, np.outer(a[i], dz), dz, step.keep, step.skip,
            )
        )  # fmt: skip
        back = step.weight @ dz + (back if step.skip else 0)
    return Backpropagation(tuple(found[::-1]), x, t, end.y, end.cost, end.formula, seen.inputs, seen.outputs)


def _counted(n: int) -> tuple[str, ...]:
    return tuple(str(i + 1) for i in range(n))


# --- as text -----------------------------------------------------------------------------------------------------


def _layer_heading(layer: LayerGradients) -> str:
    said = f"{layer.name}: z = a W + b, v = {layer.activation}(z)"
    said += f", gives {layer.keep:g} v" if layer.keep != 1 else ""
    return said + (", plus its input" if layer.skip else "")


def _unit_rows(layer: LayerGradients) -> Iterator[tuple[str, ...]]:
    yield "unit", "z", "v", "dJ/dv", "dJ/dz"
    for name, *values in zip(layer.units, layer.z, layer.v, layer.dv, layer.dz, strict=True):
        yield name, *(number(value) for value in values)


def _weight_rows(layer: LayerGradients) -> Iterator[tuple[str, ...]]:
    yield "weight", "a", "w", "dJ/dw"
    told = 0
    for j, unit in enumerate(layer.units):
        rows = zip(layer.sources, layer.inputs, layer.weight[:, j], layer.dw[:, j], strict=True)
        for source, *values in (*rows, ("bias", 1.0, layer.bias[j], layer.db[j])):
            if (told := told + 1) > LINES:
                return
            yield f"{source} -> {unit}", *(number(value) for value in values)


def _aligned(rows: Iterator[tuple[str, ...]]) -> list[str]:
    table = list(rows)
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    return [
        "  "
        + row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))
        for row in table
    ]


def _html(rows: Iterator[tuple[str, ...]]) -> str:
    head, *body = list(rows)
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body]
    return f"<table>{''.join(lines)}</table>"
