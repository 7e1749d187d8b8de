"""How the filters of a convolutional network respond to one example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from perceptory import backend
from perceptory.errors import InputError
from perceptory.figures.style import BLUE, MUTED, clean, footnote, new_figure, styled
from perceptory.insight.dense_layers import module_of
from perceptory.layers.convolution import Convolution, ConvolutionalNetwork
from perceptory.models.model import Model
from perceptory.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 16  # filters of a stage that are drawn
ACROSS = 8


def responses(model: Model, example: Any, *, member: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """(the example as the network sees it [*space, channel], the output of each stage [*position, filter]).

    A stage is convolution, σ and pooling.

    example: [*space, channel] in the units of training (gray images may leave the channel out).
    member: which network of the model.

    Raises `InputError` for a model without convolutions.
    """
    module = module_of(model, member)
    if not isinstance(module, ConvolutionalNetwork):
        raise InputError(
            f"feature_maps needs a convolutional network, got {model.network.label}. Example: CNN((8, 16))"
        )
    given = np.asarray(example)
    if given.ndim == len(model.encoder.shape) - 1 and model.encoder.shape[-1] == 1:
        given = given[..., None]
    x = model.encoder.transform(given[None]).astype(float)
    with backend.precision(model.precision) as dtype:
        v = jnp.asarray((x - model.in_center[member]) * model.in_factor[member], dtype)
        scaled, outputs = np.asarray(v)[0], []
        for stage in module.stages:
            v = stage(v)  # type: ignore[operator]
            if isinstance(stage, Convolution):
                outputs.append(np.asarray(v)[0])
    return scaled, outputs


def feature_maps(model: Model, example: Any, *, member: int = 0) -> Figure:
    """The responses of the filters to one example, stage by stage: the input on top, then up to 16 filters per stage
    (convolution, σ, pooling), each titled with its number and its strongest response. Images are drawn as gray maps,
    dark where the response is large, with one scale per stage; series as lines over the time steps.

    example: [height, width, channel] or [time, feature] in the units of training.
    member: which network of the model.

    Raises `InputError` for a model without convolutions, and for examples of another shape.
    """
    scaled, stages = responses(model, example, member=member)
    return _drawn(scaled, stages, model.encoder.feature_names)


@styled
def _drawn(example: np.ndarray, stages: list[np.ndarray], names: Any) -> Figure:
    groups = [example, *stages]
    counts = [min(MOST, g.shape[-1]) for g in groups]
    across = min(ACROSS, max(counts))
    rows = [-(-n // across) for n in counts]
    figure = new_figure((1.15 * across + 0.8, 1.3 * sum(rows) + 0.5))
    grid = figure.subplots(sum(rows), across, squeeze=False)
    top = 0
    for s, (group, count, own) in enumerate(zip(groups, counts, rows, strict=True)):
        low, high = float(group.min()), float(group.max())
        for i in range(own * across):
            ax = grid[top + i // across, i % across]
            if i >= count:
                ax.axis("off")
                continue
            one = group[..., i]
            words = clean(names[i], 12) if s == 0 else f"{i + 1}: {number(float(one.max()))}"
            ax.set_title(words, loc="left", fontsize=7, pad=2, fontweight="normal")
            if one.ndim == 2:
                ax.imshow(one, cmap="Greys", vmin=low, vmax=high if high > low else low + 1, interpolation="nearest")
            else:
                ax.plot(one, color=BLUE, lw=1.0)
                ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) or 1)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(True)
            ax.spines[:].set_color(MUTED)
        grid[top, 0].set_ylabel("input" if s == 0 else f"stage {s}", fontsize=8)
        top += own
    left = [f"{g.shape[-1] - n} more filters in stage {s}" for s, (g, n) in enumerate(zip(groups, counts, strict=True))
            if g.shape[-1] > n]  # fmt: skip
    notes = ["Beside a filter's number its strongest answer", *([f"Not drawn: {', '.join(left)}"] if left else [])]
    footnote(grid[0, 0], notes)
    return figure
