"""Recurrence over time with back-propagation through time (BPTT) written by hand.

Everything is time-major, [time, batch, ·]. What can be done for all steps at once is done so: the products with the
inputs before the loops, the gradients of the weights after them. A step is a product with the recurrent weights and the
cell's few elementwise operations, forwards and backwards. Their derivatives are computed within the loop: to compute
them for all steps ahead costs more in memory traffic than it saves.

An LSTM's loops are a kernel's where there is one (`perceptory.kernels`), with the same results but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from perceptory.kernels import lstm
from perceptory.ops.cells import Cell, CellState, MemoryCell
from perceptory.ops.derivatives import differentiated_as
from perceptory.ops.members import members_in_turn


class Weights(NamedTuple):
    """input [in, gates · H], recurrent [H, gates · H], bias [gates · H], extra [H] or None (a cell's further bias)."""

    input: jax.Array
    recurrent: jax.Array
    bias: jax.Array
    extra: jax.Array | None = None


class ScanOptions(NamedTuple):
    """The static side of a recurrence. truncation: the carried state's gradient ends every so many steps, 0 never.
    average: the gradient of the weights is the average over a row's steps (the copies of the cell), not their sum."""

    cell: Cell
    truncation: int = 0
    average: bool = False


def recur(
    options: ScanOptions, weights: Weights, x: jax.Array, state: CellState, lengths: jax.Array | None = None
) -> tuple[jax.Array, CellState]:
    """Run a cell over time: (h [time, batch, H], the state after the last step).

    x: [time, batch, in]; state: arrays [batch, H]; lengths: [batch], steps of x from there on are padding: the state
    stays as it is, h is 0 there, and whatever x holds there changes no value and no gradient.
    """
    if lengths is not None:
        x = jnp.where(active_steps(x, lengths), x, 0)
    kernel = isinstance(options.cell, MemoryCell) and lstm.accepts(x, *weights[:3], *state)
    return _bptt(options, lstm.threads() if kernel else 0)(weights, x, state, lengths)


def active_steps(x: jax.Array, lengths: jax.Array) -> jax.Array:
    """[time, batch, 1] bool: whether a step is a real one."""
    return (jnp.arange(x.shape[0])[:, None] < lengths)[..., None]


@lru_cache(maxsize=256)
def _bptt(options: ScanOptions, threads: int) -> Callable[..., Any]:
    """threads: of the kernel; 0: without it."""
    if threads:
        value, run, back = _by_kernel(options, threads)
    else:
        run = members_in_turn(lambda *arrays: _forward(options, *arrays))
        back = members_in_turn(lambda *arrays: _backward(options, *arrays))
        value = lambda *arrays: run(*arrays)[0]  # noqa: E731

    @jax.custom_vjp
    def recurrence(weights: Weights, x: jax.Array, state: CellState, lengths: Any) -> tuple[jax.Array, CellState]:
        return value(weights, x, state, lengths)

    def forward(weights: Weights, x: jax.Array, state: CellState, lengths: Any) -> tuple[Any, Any]:
        out, residuals = run(weights, x, state, lengths)
        return out, (weights, x, state, lengths, residuals)

    def backward(residuals: Any, d: Any) -> Any:
        return (*back(residuals, d), None)

    recurrence.defvjp(forward, backward)
    return recurrence


def _by_kernel(options: ScanOptions, threads: int) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """(values, forward, backward) of an LSTM as `_bptt` needs them. What differentiates them once more (a product with
    the Hessian) takes `_forward` and `_backward`."""
    products = members_in_turn(lambda *arrays: _products(options, *arrays))

    def steps(x: jax.Array, lengths: Any) -> jax.Array:
        return jnp.full(x.shape[1], x.shape[0], jnp.int32) if lengths is None else lengths.astype(jnp.int32)

    def value(w: Weights, x: jax.Array, state: CellState, lengths: Any) -> tuple[jax.Array, CellState]:
        return lstm.values(threads, x, w[:3], state, steps(x, lengths))

    def run(w: Weights, x: jax.Array, state: CellState, lengths: Any) -> tuple[Any, Any]:
        out, saved = lstm.keeping(threads, x, w[:3], state, steps(x, lengths))
        return out, ((out[0], saved.c), (saved.gates,))

    def back(residuals: Any, d: Any) -> tuple[Weights, jax.Array, CellState]:
        w, x, state, lengths, ((h, c), (gates,)) = residuals
        saved, (dh, last) = lstm.SavedStates(c, gates), d
        da, first = lstm.backward(
            threads, options.truncation, w.recurrent, state[1], saved, dh, last, steps(x, lengths)
        )
        before = jnp.concatenate([state[0][None], h[:-1]])
        return (*products(w, x, before, (), lengths, da, da), first)

    return (
        differentiated_as(value, lambda *arrays: _forward(options, *arrays)[0]),
        differentiated_as(run, lambda *arrays: _forward(options, *arrays)),
        differentiated_as(back, lambda *arrays: _backward(options, *arrays)),
    )


def _scaled(cell: Cell, array: jax.Array) -> jax.Array:
    H = array.shape[-1] // cell.gates
    return array * jnp.repeat(jnp.asarray(cell.scales(), array.dtype), H, total_repeat_length=H * cell.gates)


def _forward(options: ScanOptions, weights: Weights, x: jax.Array, state: CellState, lengths: Any) -> tuple[Any, Any]:
    cell = options.cell
    U, extra = _scaled(cell, weights.recurrent), weights.extra
    z = x @ _scaled(cell, weights.input) + _scaled(cell, weights.bias)

    def step(state: CellState, z: jax.Array) -> tuple[CellState, Any]:
        state, saved = cell.advance(z, U, extra, state)
        return state, (state, saved)

    last, (states, saved) = lax.scan(step, state, z)
    if lengths is not None:
        rows, end = jnp.arange(x.shape[1]), jnp.maximum(lengths - 1, 0)
        some = (lengths > 0)[:, None]
        last = tuple(jnp.where(some, s[end, rows], start) for s, start in zip(states, state, strict=True))
        # From here on h is clean: what a padded step computed must meet no gradient, not even times 0.
        states = (jnp.where(active_steps(x, lengths), states[0], 0), *states[1:])
    return (states[0], last), (states, saved)


def _backward(options: ScanOptions, residuals: Any, d: Any) -> tuple[Weights, jax.Array, CellState]:
    """∂J/∂(weights, x, state) from ∂J/∂(h, last state)."""
    cell = options.cell
    weights, x, state, lengths, (states, saved) = residuals
    dh, last = d
    batch = x.shape[1]
    before = tuple(jnp.concatenate([start[None], s[:-1]]) for start, s in zip(state, states, strict=True))
    active: Any = None
    if lengths is not None:
        active = active_steps(x, lengths)
        dh = jnp.where(active, dh, 0)
        rows, end = jnp.arange(batch), jnp.maximum(lengths - 1, 0)
        some = (lengths > 0)[:, None]
        dh = dh.at[end, rows].add(jnp.where(some, last[0], 0))
        unused = jnp.where(some, 0, last[0])
        last = (jnp.zeros_like(last[0]), *last[1:])
    back = weights.recurrent.T

    def step(d: CellState, at: Any) -> tuple[CellState, Any]:
        dh, stacks, active, uncut = at
        factors = cell.factors(*stacks)
        if active is not None:
            factors = tuple(jnp.where(active, f, idle) for f, idle in zip(factors, cell.idle, strict=True))
        carried, da, apart = cell.retreat((d[0] + dh, *d[1:]), factors, back)
        if uncut is not None:
            carried = tuple(jnp.where(uncut, c, 0) for c in carried)
        return carried, (da, apart)

    uncut = _uncut(options, x, lengths) if options.truncation else None
    first, (da, apart) = lax.scan(step, last, (dh, (saved, before, states), active, uncut), reverse=True)
    if lengths is not None:
        first = (first[0] + unused, *first[1:])
    return (*_products(options, weights, x, before[0], saved, lengths, da, cell.inputs(da, apart)), first)


def _products(
    options: ScanOptions,
    weights: Weights,
    x: jax.Array,
    before: jax.Array,
    saved: CellState,
    lengths: Any,
    da: jax.Array,
    dz: jax.Array,
) -> tuple[Weights, jax.Array]:
    """∂J/∂(weights, x) from those by the products with h before each step (da) and with x (dz)."""
    dx = dz @ weights.input.T
    if options.average:
        copies = _copies(x, lengths)
        da, dz = da / copies, dz / copies
    one = jnp.ones((*x.shape[:2], 1), x.dtype)  # the bias' gradient comes out of the same product
    by_input = over_steps(jnp.concatenate([x, one], axis=-1), dz)
    extra = None
    if weights.extra is not None:
        extra = jnp.sum(da[..., -weights.extra.shape[0] :], axis=(0, 1))
    recurrent = [over_steps(*pair) for pair in options.cell.products(before, saved, da)]
    by_state = recurrent[0] if len(recurrent) == 1 else jnp.concatenate(recurrent, axis=1)
    return Weights(by_input[:-1], by_state, by_input[-1], extra), dx


def over_steps(a: jax.Array, b: jax.Array) -> jax.Array:
    """Σ aᵀ b over steps and rows: [time, batch, i], [time, batch, j] -> [i, j]."""
    if b.shape[-1] == 1:  # XLA's product on the CPU is ten times slower with one column than with two
        return over_steps(a, jnp.concatenate([b, b], axis=-1))[:, :1]
    rows = a.shape[0] * a.shape[1]
    return a.reshape(rows, -1).T @ b.reshape(rows, -1)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def affine(average: bool, x: jax.Array, weight: jax.Array, bias: jax.Array, lengths: Any) -> jax.Array:
    """x W + b at every step [time, batch, ·]; `average` as in `ScanOptions`, for W and b."""
    return x @ weight + bias


def _affine_forward(average: bool, x: jax.Array, weight: jax.Array, bias: jax.Array, lengths: Any) -> tuple[Any, Any]:
    return x @ weight + bias, (x, weight, lengths)


def _affine_backward(average: bool, residuals: Any, dy: jax.Array) -> Any:
    x, weight, lengths = residuals
    own = dy / _copies(x, lengths) if average else dy
    return dy @ weight.T, over_steps(x, own), jnp.sum(own, axis=(0, 1)), None


affine.defvjp(_affine_forward, _affine_backward)


def _copies(x: jax.Array, lengths: Any) -> jax.Array:
    """In how many copies of the network a row's weights stand: its real steps, [batch, 1] or a number."""
    return jnp.maximum(x.shape[0] if lengths is None else lengths[:, None], 1).astype(x.dtype)


def _uncut(options: ScanOptions, x: jax.Array, lengths: Any) -> jax.Array:
    """[time, batch or 1, 1] bool: whether the gradient passes from a step to the one before."""
    t = jnp.arange(x.shape[0])[:, None, None]
    whole = (t % options.truncation != 0) | (t == 0)
    return whole if lengths is None else whole | ~active_steps(x, lengths)


def recur_plain(
    options: ScanOptions, weights: Weights, x: jax.Array, state: CellState, lengths: Any = None, probes: Any = 0.0
) -> tuple[jax.Array, CellState]:
    """`recur` by automatic differentiation (sum of the copies' gradients). `probes` [time, batch, H] are added to h at
    every step, so that the gradient by them is ∂J/∂h_t."""
    cell = options.cell
    if lengths is not None:
        x = jnp.where(active_steps(x, lengths), x, 0)
    active = jnp.ones((*x.shape[:2], 1), bool) if lengths is None else active_steps(x, lengths)
    U = _scaled(cell, weights.recurrent)
    z = x @ _scaled(cell, weights.input) + _scaled(cell, weights.bias)
    keep = _uncut(options, x, lengths) if options.truncation else jnp.ones((x.shape[0], 1, 1), bool)

    def step(state: CellState, at: Any) -> tuple[CellState, jax.Array]:
        z, active, keep, probe = at
        state = tuple(jnp.where(keep, s, lax.stop_gradient(s)) for s in state)
        new, _ = cell.advance(z, U, weights.extra, state)
        new = (new[0] + probe, *new[1:])
        state = tuple(jnp.where(active, n, s) for n, s in zip(new, state, strict=True))
        return state, jnp.where(active, state[0], 0)

    probes = jnp.broadcast_to(probes, (*x.shape[:2], U.shape[0])).astype(x.dtype)
    last, h = lax.scan(step, state, (z, active, keep, probes))
    return h, last
