"""What each neuron does: the three stages of [E11] for one input, and how the weights of each layer are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import BLUE, INK, LINES, MUTED, clean, footnote, new_figure, styled
from perceptory.insight.dense_layers import Shown, shown
from perceptory.insight.derivatives import activate, activation_name
from perceptory.layers.arrays import arrays_of
from perceptory.models.model import Model
from perceptory.networks.base import Network, layout
from perceptory.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LINES = 24  # neurons drawn as lines
PANELS = 12  # arrays of weights that are drawn


@dataclass(frozen=True, eq=False)
class NeuronResponses:
    """The stages of y = Σ_j w_j σ(w_jʰ x + b_jʰ) + b over x [E11].

    terms: w_j v_j in the output's units; they and `offset` sum to y.
    """

    x: np.ndarray  # [point] in the input's own units
    z: np.ndarray  # [point, neuron] weighted sums
    v: np.ndarray  # [point, neuron] σ of each
    terms: np.ndarray  # [point, neuron]
    offset: float
    y: np.ndarray  # [point]
    activation: str
    names: tuple[str, str]  # of the input and the output

    def figure(self) -> Figure:
        """Three panels: the weighted sums, σ of each, the weighted terms with their sum (thick)."""
        return _stages(self)


def neuron_responses(
    network: Any, x: Any = (-3.0, 3.0), *, points: int = 201, output: int = 0, member: int = 0, key: Any = None
) -> NeuronResponses:
    """The three stages of [E11] for a network of one input and one hidden layer: weighted sums z_j = w_jʰ x + b_jʰ,
    v_j = σ(z_j), and their weighted sum.

    network: a module of dense layers, a `Model`, or a spec.
    x: (from, to) in the input's own units, or the values [point] themselves if there are more than two.
    points: how many values to take between two ends.
    output: which of several outputs.
    member: which network of a `Model`.
    key: random key that a spec starts from.

    Raises `InputError` for more inputs or another number of hidden layers.
    """
    view = shown(network, 1, 1, member=member, key=key)
    if len(view.steps) != 2 or len(view.steps[0].weight) != 1 or any(step.skip for step in view.steps):
        raise InputError(
            "neuron_responses needs one input and one hidden layer, got "
            f"{len(view.steps[0].weight)} inputs and {len(view.steps) - 1} hidden layers. Example: MLP((5,))"
        )
    given = np.asarray(x, float).ravel()
    if len(given) < 2 or not np.isfinite(given).all():
        raise InputError(f"x needs finite numbers (from, to), or more of them, got {x!r}. Example: x=(-3, 3)")
    over = np.linspace(given[0], given[1], points) if len(given) == 2 else given
    hidden, last = view.steps
    if not 0 <= output < len(last.bias):
        raise InputError(f"output needs a number from 0 to {len(last.bias) - 1}, got {output!r}.")
    z = view.scaled(over[:, None]) @ hidden.weight + hidden.bias
    v = activate(hidden.activation, z)
    scale, center = _output_scale(view, output)
    terms = scale * hidden.keep * v * last.weight[:, output]
    offset = float(center + scale * last.bias[output])
    names = (view.inputs[0], view.outputs[min(output, len(view.outputs) - 1)])
    sigma = activation_name(hidden.activation)
    return NeuronResponses(over, z, v, terms, offset, terms.sum(axis=1) + offset, sigma, names)


def _output_scale(network: Shown, output: int) -> tuple[float, float]:
    """(scale, center) to the target's units, where the output is the target; else it is shown as it is."""
    if network.model is None or network.model.task != "regression" or not network.cost.outputs_are_targets:
        return 1.0, 0.0
    model, member = network.model, network.member
    return float(model.out_scale[member, output]), float(model.out_center[member, output])


@styled
def _stages(responses: NeuronResponses) -> Figure:
    figure = new_figure((9.6, 3.2))
    panels = figure.subplots(1, 3)
    titles = ("Weighted sums", f"{responses.activation} of each", "Weighted sum of those")
    count = responses.z.shape[1]
    step = -(-count // MOST_LINES)
    for ax, values, title, what in zip(panels, (responses.z, responses.v, responses.terms), titles, "zvw", strict=True):
        for j in range(0, count, step):
            color, dashes = LINES[j % len(LINES)]
            ax.plot(responses.x, values[:, j], color=color, ls=dashes, lw=1.2, gid=f"{what}{j + 1}")
            # The neuron's number at a place of its own along its line, since colors and dashes repeat.
            at = int((0.06 + 0.88 * (j + 0.5) / count) * (len(responses.x) - 1))
            ax.annotate(
                str(j + 1), (responses.x[at], values[at, j]), fontsize=7, ha="center", va="center", zorder=5,
                bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": color, "lw": 0.6},
            )  # fmt: skip
        ax.set_title(title, loc="left")
        ax.set_xlabel(clean(responses.names[0]))
        ax.grid(axis="y")
    panels[0].set_ylabel("z")
    panels[1].set_ylabel("v")
    panels[2].plot(responses.x, responses.y, color=INK, lw=2.6, zorder=4, gid="sum", label="sum")
    panels[2].set_ylabel(clean(responses.names[1]))
    panels[2].legend(loc="best")
    words = [
        "Numbers are the neurons'; thin lines on the right are w v, the thick one their sum and "
        f"{number(responses.offset)}"
    ]
    footnote(panels[0], words + ([f"One neuron of {step} is drawn, of {count}"] if step > 1 else []))
    return figure


def weight_histograms(network: Any, *, biases: bool = False) -> Figure:
    """How the trained weights of each layer are distributed: one histogram per layer, over all members of a `Model`.

    Each shows the number of weights, their mean and standard deviation, and how many are exactly 0 (as a penalty with
    p = 1 makes them).

    network: a `Model` or an Equinox module.
    biases: draw arrays of one axis too.

    Raises `InputError` where there is no weight to draw.
    """
    if isinstance(network, Model):
        shape = tuple(getattr(network.encoder, "shape", (network.in_center.shape[1],)))
        where = layout(network.network, shape, network.outputs)
        ends = np.cumsum([int(np.prod(s)) for s in where.shapes])[:-1]
        arrays = np.split(np.asarray(network.weights, float), ends, axis=1)
        shapes, names = where.shapes, where.names
    elif isinstance(network, Network):
        raise InputError("weight_histograms needs a trained model or a module, got a spec. Example: result.model")
    else:
        module_arrays = arrays_of(network)
        arrays = [np.asarray(a, float) for a in module_arrays]
        shapes = tuple(a.shape for a in module_arrays)
        names = tuple(f"array {i + 1}" for i in range(len(module_arrays)))
    drawn = [i for i, s in enumerate(shapes) if (len(s) >= 2 or biases) and arrays[i].size]
    if not drawn:
        raise InputError("this network has no weights to draw.")
    return _histograms([(names[i], shapes[i], arrays[i].ravel()) for i in drawn])


@styled
def _histograms(layers: list[tuple[str, tuple[int, ...], np.ndarray]]) -> Figure:
    from matplotlib.ticker import MaxNLocator

    drawn = layers[:PANELS]
    columns = min(3, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = new_figure((3.2 * columns, 2.5 * rows + 0.3))
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for ax, (name, shape, values) in zip(panels, drawn, strict=False):
        values = values[np.isfinite(values)]
        bins = min(40, max(8, int(len(values) ** 0.5)))
        ax.hist(
            values, bins=bins, histtype="stepfilled", facecolor="none", hatch="////",
            edgecolor=BLUE, lw=1.0, gid="weights",
        )  # fmt: skip
        ax.axvline(0, color=MUTED, lw=0.8, ls=(0, (1, 2)))
        ax.set_title(f"{clean(name, 30)}  [{' × '.join(map(str, shape))}]", loc="left", fontsize=8.5)
        zeros = int(np.sum(values == 0))
        words = f"n {len(values)}\nmean {number(float(values.mean()))}\nsd {number(float(values.std()))}"
        words += f"\nexactly 0: {zeros}" if zeros else ""
        ax.annotate(words, (0.98, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=7, color=INK)
        ax.set_ylim(0, 1.45 * ax.get_ylim()[1])  # room above for the words
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.set_ylabel("weights")
    for ax in panels[len(drawn) :]:
        ax.axis("off")
    footnote(panels[0], [f"{len(layers) - len(drawn)} more arrays are not drawn"] if len(layers) > len(drawn) else [])
    return figure
