"""A member's weights as a state holds them, and which of them are what.

They are a tuple of arrays: one flat vector [weight], or, where a network is large (`ProgramPlan.flat`), its arrays. A
mask has their structure, so that it meets them in `jax.tree.map`: vectors of 0 and 1, or a number an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from perceptory.layers.arrays import Layout, arrays_of, pack, split, unpack, with_arrays
from perceptory.networks.base import layout
from perceptory.training.plan import ProgramPlan

LONG = 1 << 16  # bytes of a flat vector that XLA does not take as a whole
SHARES = 840  # which up to eight threads divide

Weights = tuple[Array, ...]
Mask = tuple[Any, ...]


def weights_of(module: Any, plan: ProgramPlan) -> Weights:
    """The trainable arrays of a module."""
    return (pack(module),) if plan.flat else arrays_of(module)


def with_weights(module: Any, weights: Weights, plan: ProgramPlan, room: int = 0) -> Any:
    """The module with these as its trainable arrays; the inverse of `weights_of`. room: of `widened` weights."""
    return unpack(module, weights[0], room) if plan.flat else with_arrays(module, weights)


def room_of(plan: ProgramPlan, dtype: Any) -> int:
    """Numbers that a long flat vector is `widened` by: XLA gives equal shares of it to its threads, and where the last
    one is smaller all of them go number by number, four times as slow."""
    size = layout_of(plan).size
    return -size % SHARES if plan.flat and size * np.dtype(dtype).itemsize >= LONG else 0


def widened(tree: Any, plan: ProgramPlan, room: int) -> Any:
    """What has a number a weight, such as weights, moments and masks, with `room` zeros behind each flat vector."""
    size = layout_of(plan).size if room else 0
    return jax.tree.map(lambda a: jnp.pad(a, (0, room)) if room and a.shape == (size,) else a, tree)


def narrowed(tree: Any, plan: ProgramPlan, room: int) -> Any:
    """The inverse of `widened`."""
    size = layout_of(plan).size if room else 0
    return jax.tree.map(lambda a: a[:size] if room and a.shape == (size + room,) else a, tree)


def arrays_in(weights: Weights, plan: ProgramPlan, room: int = 0) -> Sequence[Array]:
    """The arrays of a module that has these weights, or `widened` ones."""
    return split(weights[0], layout_of(plan).shapes, room) if plan.flat else weights


def layout_of(plan: ProgramPlan) -> Layout:
    return layout(plan.network, plan.inputs, plan.outputs)


def _mask(marks: Sequence[bool], plan: ProgramPlan, dtype: Any) -> Mask:
    if plan.flat:
        return (jnp.asarray(layout_of(plan).vector(marks), dtype),)
    return tuple(float(mark) for mark in marks)


def weight_mask(plan: ProgramPlan, dtype: Any) -> Mask:
    """1 for weights, 0 for biases."""
    return _mask(layout_of(plan).weights, plan, dtype)


def moved_mask(plan: ProgramPlan, dtype: Any) -> Mask | None:
    """1 for what the optimizer moves, 0 for what it leaves alone; None where it moves everything."""
    moved = _moved(plan)
    return None if all(moved) else _mask(moved, plan, dtype)


def _moved(plan: ProgramPlan) -> list[bool]:
    """For each array whether the optimizer moves it."""
    names = layout_of(plan).names
    still = (False,) * len(names) if plan.start is None else plan.start.still
    return [plan.network.trains(name) and not rests for name, rests in zip(names, still, strict=True)]


# --- as second-order optimizers see them: one vector of what they move -----------------------------------------------


def free_places(plan: ProgramPlan) -> np.ndarray | None:
    """Places in the flat weight vector of what the optimizer moves; None where that is all."""
    marks = layout_of(plan).vector(_moved(plan))
    return None if marks.all() else np.flatnonzero(marks)


def _flat(weights: Weights, plan: ProgramPlan) -> Float[Array, " weight"]:
    return weights[0] if plan.flat else jnp.concatenate([jnp.ravel(a) for a in weights])


def vector_of(weights: Weights, plan: ProgramPlan) -> Float[Array, " n"]:
    """What the optimizer moves."""
    places = free_places(plan)
    return _flat(weights, plan) if places is None else _flat(weights, plan)[places]


def with_vector(weights: Weights, vector: Float[Array, " n"], plan: ProgramPlan) -> Weights:
    """The weights with `vector` in place of what the optimizer moves."""
    places = free_places(plan)
    every = vector if places is None else _flat(weights, plan).at[places].set(vector)
    if plan.flat:
        return (every,)
    ends = np.cumsum([a.size for a in weights])[:-1].tolist()
    return tuple(part.reshape(a.shape) for part, a in zip(jnp.split(every, ends), weights, strict=True))
