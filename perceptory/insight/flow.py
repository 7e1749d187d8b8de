"""How gradients flow while a network is trained: by layer, and by time step where the network is recurrent."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from perceptory import backend
from perceptory.insight.findings import findings_of
from perceptory.insight.gradient_norms import GradientFlow
from perceptory.insight.one_member import Single, epochs_asked, moments, single, study_of
from perceptory.insight.units import flat_share, hidden_values
from perceptory.layers.recurrent import RecurrentNetwork, state_gradients
from perceptory.networks.base import layout
from perceptory.networks.recurrent import Recurrent
from perceptory.objectives.table import mean_cost
from perceptory.training.rows import output_of
from perceptory.training.run import Run

ALWAYS = 0.95  # share of rows at which a saturated unit is flat; a dead one is so at all of them


def gradient_flow(
    study: Any,
    data: Any,
    *,
    epochs: int | None = None,
    records: int = 20,
    rows: int = 256,
    candidate: int = 0,
    fold: int = 0,
    seed: int = 0,
) -> GradientFlow:
    """Train one network of a study as the study would, and record its gradients on the way.

    By layer: the root mean square of ∂J/∂w over the layer's weights and biases. By time step, where the network is
    recurrent: ‖∂J/∂h_t‖ (`state_gradients`). J is the mean cost, without penalty, of the first `rows` training rows,
    as in use (no dropout). A unit is "dead" if it is a relu that is 0 on every row, "saturated" if it is a bounded σ at
    its flat ends on 95 % of the rows.

    study: a `Study`, a network spec or a `Candidate`.
    data: a `Dataset` or `ArrayDataset`; rows that the study would seal are not used.
    epochs: without early stopping; None takes the study's, at most 50.
    records: how many records to take during training, besides the one at the start.
    rows: how many training rows the gradients are computed on.
    candidate, fold, seed: which member of the study is trained.

    Raises `InputError` for what a study would refuse.
    """
    design = study_of(study)
    total = epochs_asked(design, epochs, records, rows)
    with backend.precision(design.arithmetic):
        one = single(design, data, candidate=candidate, fold=fold, seed=seed, epochs=total)
        look, looks, at, diverged = _looker(one, rows), [], [], False
        for done, state, ended in moments(one, total, records):
            diverged = ended
            looks.append(look(state.weights))
            at.append(done)
        flow = _gathered(one, at, looks, diverged)
    return replace(flow, findings=findings_of(flow))


def _looker(one: Single, rows: int) -> Any:
    """Compiled: weights -> (J, gradients [layer], weights [layer], ‖∂J/∂h_t‖ or None, flat shares by unit)."""
    plan = one.plan
    groups = layers_of(one)
    sizes = [int(np.prod(s)) for s in layout(plan.network, plan.inputs, plan.outputs).shapes]

    def by_layer(vectors: Any) -> jax.Array:
        parts = jnp.split(vectors[0], np.cumsum(sizes)[:-1].tolist()) if plan.flat else vectors
        return jnp.stack([_root_mean_square([parts[i] for i in places]) for _, places in groups])

    def look(weights: Any, run: Run) -> tuple[Any, ...]:
        batch, judged = run.rows.first(rows), partial(mean_cost, run.cost)
        value, gradient = jax.value_and_grad(
            lambda weights: judged(output_of(run.module(weights), batch), batch.t, batch.w)
        )(weights)
        norms, own = by_layer(gradient), by_layer(weights)
        module = run.module(weights)
        times = None
        if isinstance(module, RecurrentNetwork):
            times = state_gradients(module, batch.x, batch.t, lambda o, t: judged(o, t, batch.w), batch.lengths)
        hidden = [] if batch.lengths is not None else hidden_values(module, batch.x)
        return value, norms, own, times, [flat_share(h)[1] for h in hidden]

    compiled = jax.jit(look)
    return lambda weights: jax.tree.map(np.asarray, compiled(weights, one.run))


def _root_mean_square(parts: list[jax.Array]) -> jax.Array:
    """Over all numbers of some arrays, without overflow or underflow of squares: some explode, some vanish."""
    top = jnp.max(jnp.stack([jnp.max(jnp.abs(part)) for part in parts]))
    top = jnp.where(top > 0, top, 1)
    squares = jnp.stack([jnp.sum((part / top) ** 2) for part in parts])
    return top * jnp.sqrt(jnp.sum(squares) / sum(part.size for part in parts))


def layers_of(one: Single) -> list[tuple[str, list[int]]]:
    """(name, places of its arrays) of every layer, in order."""
    names = layout(one.plan.network, one.plan.inputs, one.plan.outputs).names
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault(name.rpartition(".")[0], []).append(i)
    named, count = [], 0
    for path, places in groups.items():
        normal = any(names[i] == f"{path}.scale" for i in places)
        count += not normal
        named.append((f"norm {count}" if normal else f"layer {count}", places))
    return [*named[:-1], ("output layer", named[-1][1])]


def _gathered(one: Single, at: list[int], looks: list[Any], diverged: bool) -> GradientFlow:
    plan, network = one.plan, one.candidate.network
    kinds = _kinds(one) if looks[0][-1] else []
    flat = np.array([
        [np.mean(share >= (1.0 if kind == "dead" else ALWAYS)) if kind else 0.0
         for (kind, _, _), share in zip(kinds, shares, strict=True)]
        for *_, shares in looks
    ]).reshape(len(looks), len(kinds))  # fmt: skip
    batches = -(-int(one.member.count) // plan.batch)
    times = [look[3] for look in looks]
    return GradientFlow(
        label=network.label,
        gated=isinstance(network, Recurrent) and network.cell.gates > 1,
        steps=np.array(at) * batches,
        layers=tuple(name for name, _ in layers_of(one)),
        norms=np.array([look[1] for look in looks], float),
        weights=np.array([look[2] for look in looks], float),
        costs=np.array([look[0] for look in looks], float),
        by_time=None if times[0] is None else np.array(times, float),
        every=len(plan.outputs) == 2,
        hidden=tuple((f"layer {i + 1}", name, units) for i, (_, name, units) in enumerate(kinds)),
        flat=flat,
        diverged=diverged,
    )


def _kinds(one: Single) -> list[tuple[str, str, int]]:
    """(kind of flatness or "", activation, units) of the hidden layers whose units are looked at."""
    kinds: list[tuple[str, str, int]] = []

    def note(weights: Any, x: jax.Array) -> None:
        for hidden in hidden_values(one.run.module(weights), x):
            kinds.append((flat_share(hidden)[0], hidden.activation, hidden.v.shape[-1]))

    x = jax.ShapeDtypeStruct((2, *one.plan.inputs), one.member.factor.dtype)
    jax.eval_shape(note, one.state.weights, x)
    return kinds
