"""Whether the gradients of auxiliary objectives agree with the target's: their cosine by layer, along training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory import backend
from perceptory.errors import InputError
from perceptory.figures.style import INK, clean, footnote, line_style, new_figure, styled
from perceptory.insight.flow import layers_of
from perceptory.insight.gradient_norms import start_tick
from perceptory.insight.one_member import Single, epochs_asked, moments, single, study_of
from perceptory.objectives.auxiliary import auxiliary_parts
from perceptory.objectives.parts import objective_costs, parts_of
from perceptory.training.rows import output_of
from perceptory.training.run import Run
from perceptory.training.weights import layout_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEAR = 0.1  # of a cosine from 0: neither agrees nor disagrees


@dataclass(frozen=True, eq=False)
class AuxiliaryAgreement:
    """Gradients of auxiliary costs against the main cost's, on the same training rows, by layer that they share."""

    label: str  # of the network
    objectives: tuple[str, ...]
    layers: tuple[str, ...]  # those that all objectives share, then, where there are several, "all shared layers"
    steps: np.ndarray  # [record] optimizer steps done
    cosines: np.ndarray  # [record, objective, layer] from -1 to 1; nan where a gradient is 0
    ratios: np.ndarray  # [record, objective, layer] λ ‖g_auxiliary‖ / ‖g_main‖, λ the weight at that time
    diverged: bool

    def summary(self) -> str:
        """Cosines at the start, in the middle and at the end of training, and what they mean."""
        places = sorted({0, len(self.steps) // 2, len(self.steps) - 1})
        lines = [f"{self.label}: cosine of the gradients of auxiliary costs with the target's, by steps of training"]
        width = max(len(name) for name in self.layers)
        for k, objective in enumerate(self.objectives):
            at = "".join(f"{int(self.steps[p]):>8}" for p in places)
            lines.append(f"{objective}: {_meaning(self.cosines[:, k, -1])}")
            lines.append(f"  {'steps':<{width}}{at}   size against the target's, weighted")
            for i, name in enumerate(self.layers):
                cosines = "".join(f"{self.cosines[p, k, i]:>+8.2f}" for p in places)
                lines.append(f"  {name:<{width}}{cosines}   {self.ratios[0, k, i]:.2g} at the start")
        return "\n".join(lines)

    __str__ = summary

    def figure(self) -> Figure:
        """Cosines by layer over the steps of training (see `auxiliary_agreement_figure`)."""
        return auxiliary_agreement_figure(self)


def _meaning(cosines: np.ndarray) -> str:
    known = cosines[np.isfinite(cosines)]
    if not len(known):
        return "no gradient to compare."
    mean = float(np.mean(known))
    if abs(mean) < NEAR:
        return f"neither with nor against the target (mean {mean:+.2f})."
    return f"mostly {'with' if mean > 0 else 'against'} the target (mean {mean:+.2f})."


def auxiliary_agreement(
    study: Any,
    data: Any,
    *,
    epochs: int | None = None,
    records: int = 12,
    rows: int = 1024,
    candidate: int = 0,
    fold: int = 0,
    seed: int = 0,
) -> AuxiliaryAgreement:
    """Train one network of a study as the study would, and compare the gradients of its costs on the way.

    For each auxiliary objective and each layer that all of them share: cos = ⟨g, h⟩ / (‖g‖ ‖h‖), where g is the
    gradient of the mean main cost by the layer's weights and biases and h that of the mean auxiliary cost, on the first
    `rows` training rows, as in use. Above 0 a small step on the auxiliary cost lowers the main one as well, below 0 it
    raises it (Du et al. 2018, "Adapting auxiliary losses using gradient similarity").

    study: a `Study` or `Candidate` with auxiliary objectives. data: a `Dataset` or `ArrayDataset`; rows that the study
        would seal are not used.
    epochs: without early stopping; None takes the study's, at most 50.
    records: how many records to take during training, besides the one at the start.
    rows: how many training rows the gradients are computed on.
    candidate, fold, seed: which member of the study is trained. A weight of 0 trains on the target alone.

    Raises `InputError` for what a study would refuse, and for a candidate without auxiliary objectives.
    """
    design = study_of(study)
    total = epochs_asked(design, epochs, records, rows)
    with backend.precision(design.arithmetic):
        one = single(design, data, candidate=candidate, fold=fold, seed=seed, epochs=total)
        if not parts_of(one.plan.cost):
            raise InputError(f"candidate {candidate} has no auxiliary objective. Name one that has: candidate=1")
        look, looks, at, diverged = _looker(one, rows), [], [], False
        for done, state, diverged in moments(one, total, records):
            if not diverged:
                looks.append(look(state, done))
                at.append(done)
    batches = -(-int(one.member.count) // one.plan.batch)
    return AuxiliaryAgreement(
        label=one.candidate.network.label,
        objectives=tuple(a.about for a in auxiliary_parts(one.candidate.auxiliary)),
        layers=_names(one),
        steps=np.array(at) * batches,
        cosines=np.array([cosines for cosines, _ in looks], float),
        ratios=np.array([ratios for _, ratios in looks], float),
        diverged=diverged,
    )


def _names(one: Single) -> tuple[str, ...]:
    names = tuple(name for name, _ in layers_of(one)[:-1])
    return (*names, "all shared layers") if len(names) > 1 else names


def _looker(one: Single, rows: int) -> Any:
    """Compiled: (state, epochs done) -> (cosines, ratios), [objective, layer] each."""
    plan = one.plan
    groups = [places for _, places in layers_of(one)[:-1]]
    sizes = [int(np.prod(shape)) for shape in layout_of(plan).shapes]

    def by_layer(gradient: Any) -> list[jax.Array]:
        """[vector] of each shared layer and of all of them."""
        parts = jnp.split(gradient[0], np.cumsum(sizes)[:-1].tolist()) if plan.flat else gradient
        layers = [jnp.concatenate([parts[i].ravel() for i in places]) for places in groups]
        return [*layers, jnp.concatenate(layers)] if len(layers) > 1 else layers

    def look(weights: Any, progress: Any, run: Run) -> tuple[jax.Array, jax.Array]:
        batch = run.rows.first(rows)

        def cost(weights: Any, which: int) -> jax.Array:
            main, others = objective_costs(run.cost, output_of(run.module(weights), batch), batch.t, batch.w)
            return main if which == 0 else others[which - 1]

        parts = parts_of(run.cost.at(progress))
        main, *others = [by_layer(jax.grad(cost)(weights, k)) for k in range(1 + len(parts))]
        cosines = [[_cosine(g, h) for g, h in zip(main, other, strict=True)] for other in others]
        ratios = [
            [part.weight * jnp.linalg.norm(h) / jnp.linalg.norm(g) for g, h in zip(main, other, strict=True)]
            for part, other in zip(parts, others, strict=True)
        ]
        return jnp.array(cosines), jnp.array(ratios)

    compiled = jax.jit(look)

    def looked(state: Any, done: int) -> Any:
        progress = jnp.asarray(done / int(one.member.epochs), one.member.factor.dtype)
        return jax.tree.map(np.asarray, compiled(state.weights, progress, one.run))

    return looked


def _cosine(g: jax.Array, h: jax.Array) -> jax.Array:
    sizes = jnp.linalg.norm(g) * jnp.linalg.norm(h)
    return jnp.where(sizes > 0, jnp.vdot(g, h) / jnp.where(sizes > 0, sizes, 1), jnp.nan)


@styled
def auxiliary_agreement_figure(agreement: AuxiliaryAgreement) -> Figure:
    """A panel for each auxiliary objective: the cosine of its gradient with the target's over the steps of training, by
    layer. Above the line at 0 they pull the same way."""
    count = len(agreement.objectives)
    columns = min(count, 3)
    figure = new_figure((3.6 * columns + 0.6, 3.3 * -(-count // columns) + 0.2))
    axes = list(np.ravel(figure.subplots(-(-count // columns), columns, squeeze=False, sharey=True)))
    for ax in axes[count:]:
        ax.set_axis_off()
    x = np.maximum(agreement.steps, 0.5)  # the start has a place on a logarithmic axis
    for k, (ax, name) in enumerate(zip(axes, agreement.objectives, strict=False)):
        ax.axhline(0, color=INK, lw=0.8)
        for i, layer in enumerate(agreement.layers):
            ax.plot(x, agreement.cosines[:, k, i], label=layer, gid=f"{name} {layer}", lw=1.4, **line_style(i))
        ax.set_xscale("log")
        start_tick(ax, x)
        ax.set_ylim(-1, 1)
        ax.set_xlabel("steps of training")
        ax.set_title(clean(f"auxiliary: {name}", 40), loc="left", fontsize=9)
        ax.grid(axis="y")
    axes[0].set_ylabel("cosine with the target's gradient")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=8)
    footnote(axes[0], [f"{clean(agreement.label)}, the same training rows each time"])
    return figure
