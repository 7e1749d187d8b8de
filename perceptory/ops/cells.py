"""The cells of recurrent networks: one time step, and its derivatives.

A cell has `gates` blocks of width H in its weighted sums and `states` arrays [batch, H] that it carries, the hidden
state h first. With z = x W + b and a = h_{t-1} U (all [batch, gates · H]):

advance(z, U, extra, state) -> (state, saved): one time step; `saved` is what the derivatives need later. Where the
    recurrent weights take no part but by a, it is step(z, a, extra, state).
factors(saved, before, after): elementwise factors of the derivatives, from `saved` and from the states before and
    after the step. `idle` holds each factor's value at a step that changes nothing.
backward(d, factors) -> (d, carried): from ∂J/∂state after the step to that before it, but for the part through a.
sums(d, factors) -> ∂J/∂a.
retreat(d, factors, Uᵀ) -> (∂J/∂state before the step, ∂J/∂a, what `inputs` needs besides): all of these.
inputs(da, apart) -> ∂J/∂z, from ∂J/∂a and what `apart(d, factors)` says besides, for all steps at once.
products(before, saved, da): pairs (what U's next columns multiply, ∂J/∂ the product), for all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from perceptory.ops.activations import ACTIVATIONS

CellState = tuple[jax.Array, ...]
Factors = tuple[jax.Array, ...]


class Cell:
    """Base of cells; a frozen dataclass, so that it is a static value of a program."""

    gates: ClassVar[int]
    states: ClassVar[int] = 1
    idle: ClassVar[tuple[float, ...]]

    def scales(self) -> tuple[float, ...]:
        """What each gate's weighted sum is multiplied by before `step` sees it."""
        return (1.0,) * self.gates

    def step(self, z: jax.Array, a: jax.Array, extra: Any, state: CellState) -> tuple[CellState, CellState]:
        raise NotImplementedError

    def advance(self, z: jax.Array, U: jax.Array, extra: Any, state: CellState) -> tuple[CellState, CellState]:
        return self.step(z, state[0] @ U, extra, state)

    def factors(self, saved: CellState, before: CellState, after: CellState) -> Factors:
        raise NotImplementedError

    def backward(self, d: CellState, factors: Factors) -> tuple[CellState, CellState]:
        raise NotImplementedError

    def sums(self, d: CellState, factors: Factors) -> jax.Array:
        raise NotImplementedError

    def retreat(self, d: CellState, factors: Factors, back: jax.Array) -> tuple[CellState, jax.Array, CellState]:
        d, carried = self.backward(d, factors)
        da = self.sums(d, factors)
        return (carried[0] + da @ back, *carried[1:]), da, self.apart(d, factors)

    def products(self, before: jax.Array, saved: CellState, da: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        return [(before, da)]

    def apart(self, d: CellState, factors: Factors) -> CellState:
        return ()

    def inputs(self, da: jax.Array, apart: CellState) -> jax.Array:
        return da


@dataclass(frozen=True)
class SimpleCell(Cell):
    """h = σ(x W + b + h U)."""

    activation: str = "tanh"
    gates: ClassVar[int] = 1
    idle: ClassVar[tuple[float, ...]] = (0.0,)

    def step(self, z: jax.Array, a: jax.Array, extra: Any, state: CellState) -> tuple[CellState, CellState]:
        s = z + a
        h = ACTIVATIONS[self.activation].function(s)
        return (h,), () if self.activation == "tanh" else (s,)

    def factors(self, saved: CellState, before: CellState, after: CellState) -> Factors:
        if self.activation == "tanh":
            return (1 - after[0] * after[0],)
        (s,) = saved
        return (jax.jvp(ACTIVATIONS[self.activation].function, (s,), (jnp.ones_like(s),))[1],)

    def backward(self, d: CellState, factors: Factors) -> tuple[CellState, CellState]:
        return d, (jnp.zeros_like(d[0]),)

    def sums(self, d: CellState, factors: Factors) -> jax.Array:
        return d[0] * factors[0]


@dataclass(frozen=True)
class GatedCell(Cell):
    """GRU in PyTorch's form, the reset gate after the product (Keras's reset_after, ONNX's linear_before_reset). Order
    of gates: r, u, n.

    r = sigmoid(x W_r + b_r + h U_r), u = sigmoid(x W_u + b_u + h U_u) (reset and update),
    n = tanh(x W_n + b_n + r ⊙ (h U_n + b)), h = (1 - u) ⊙ n + u ⊙ h. `extra` is the bias b [H].
    """

    gates: ClassVar[int] = 3
    idle: ClassVar[tuple[float, ...]] = (0.0, 0.0, 0.0)

    def scales(self) -> tuple[float, ...]:
        return 0.5, 0.5, 1.0

    def step(self, z: jax.Array, a: jax.Array, extra: Any, state: CellState) -> tuple[CellState, CellState]:
        H = z.shape[-1] // 3
        gates = 0.5 * jnp.tanh(z[:, : 2 * H] + a[:, : 2 * H]) + 0.5
        r, u = gates[:, :H], gates[:, H:]
        m = a[:, 2 * H :] + extra
        n = jnp.tanh(z[:, 2 * H :] + r * m)
        return (n + u * (state[0] - n),), (gates, m, n)

    def factors(self, saved: CellState, before: CellState, after: CellState) -> Factors:
        gates, m, n = saved
        H = n.shape[-1]
        r, u = gates[..., :H], gates[..., H:]
        candidate = (1 - u) * (1 - n * n)
        spread = [candidate * m * r * (1 - r), (before[0] - n) * u * (1 - u), candidate * r]
        return jnp.concatenate(spread, axis=-1), u, candidate

    def backward(self, d: CellState, factors: Factors) -> tuple[CellState, CellState]:
        return d, (d[0] * factors[1],)

    def sums(self, d: CellState, factors: Factors) -> jax.Array:
        return jnp.concatenate([d[0], d[0], d[0]], axis=-1) * factors[0]

    def apart(self, d: CellState, factors: Factors) -> CellState:
        return (d[0] * factors[2],)

    def inputs(self, da: jax.Array, apart: CellState) -> jax.Array:
        return jnp.concatenate([da[..., : -apart[0].shape[-1]], apart[0]], axis=-1)


@dataclass(frozen=True)
class ResetFirstCell(Cell):
    """GRU as it was published (Cho et al. 2014), the reset gate before the product. Order of gates: r, u, n.

    r, u = sigmoid(x W + b + h U) (reset and update), n = tanh(x W_n + b_n + (r ⊙ h) U_n), h = (1 - u) ⊙ n + u ⊙ h.
    """

    gates: ClassVar[int] = 3
    idle: ClassVar[tuple[float, ...]] = (0.0,) * 5

    def scales(self) -> tuple[float, ...]:
        return 0.5, 0.5, 1.0

    def advance(self, z: jax.Array, U: jax.Array, extra: Any, state: CellState) -> tuple[CellState, CellState]:
        H, h = z.shape[-1] // 3, state[0]
        gates = 0.5 * jnp.tanh(z[:, : 2 * H] + h @ U[:, : 2 * H]) + 0.5
        r, u = gates[:, :H], gates[:, H:]
        n = jnp.tanh(z[:, 2 * H :] + (r * h) @ U[:, 2 * H :])
        return (n + u * (h - n),), (gates, n)

    def factors(self, saved: CellState, before: CellState, after: CellState) -> Factors:
        gates, n = saved
        H, h = n.shape[-1], before[0]
        r, u = gates[..., :H], gates[..., H:]
        return (1 - u) * (1 - n * n), (h - n) * u * (1 - u), u, r, h * r * (1 - r)

    def retreat(self, d: CellState, factors: Factors, back: jax.Array) -> tuple[CellState, jax.Array, CellState]:
        by_candidate, by_update, u, r, by_reset = factors
        H, dn = u.shape[-1], d[0] * by_candidate
        seen = dn @ back[2 * H :]  # ∂J/∂(r ⊙ h)
        da = jnp.concatenate([seen * by_reset, d[0] * by_update, dn], axis=-1)
        return (d[0] * u + seen * r + da[:, : 2 * H] @ back[: 2 * H],), da, ()

    def products(self, before: jax.Array, saved: CellState, da: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        H = before.shape[-1]
        return [(before, da[..., : 2 * H]), (saved[0][..., :H] * before, da[..., 2 * H :])]


@dataclass(frozen=True)
class MemoryCell(Cell):
    """LSTM (Hochreiter & Schmidhuber 1997, Gers et al. 2000). Order of gates: i, f, o, g (PyTorch and
    Keras: i, f, g, o; ONNX: i, o, f, g).

    i, f, o = sigmoid(x W + b + h U) (input, forget, output), g = tanh(x W_g + b_g + h U_g),
    c = f ⊙ c + i ⊙ g, h = o ⊙ tanh(c).
    """

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2
    idle: ClassVar[tuple[float, ...]] = (0.0, 0.0, 1.0)

    def scales(self) -> tuple[float, ...]:
        return 0.5, 0.5, 0.5, 1.0

    def step(self, z: jax.Array, a: jax.Array, extra: Any, state: CellState) -> tuple[CellState, CellState]:
        H = z.shape[-1] // 4
        t = jnp.tanh(z + a)  # all gates in one: sigmoid(s) = (1 + tanh(s / 2)) / 2
        s = 0.5 * t[:, : 3 * H] + 0.5
        c = s[:, H : 2 * H] * state[1] + s[:, :H] * t[:, 3 * H :]
        return (s[:, 2 * H :] * jnp.tanh(c), c), (t,)

    def factors(self, saved: CellState, before: CellState, after: CellState) -> Factors:
        (t,) = saved
        H = t.shape[-1] // 4
        s, g, q = 0.5 * t[..., : 3 * H] + 0.5, t[..., 3 * H :], jnp.tanh(after[1])
        through = jnp.concatenate([0.25 * g, 0.25 * before[1], 0.25 * q, s[..., :H]], axis=-1)
        return through * (1 - t * t), s[..., 2 * H :] * (1 - q * q), s[..., H : 2 * H]

    def backward(self, d: CellState, factors: Factors) -> tuple[CellState, CellState]:
        dh, dc = d[0], d[1] + d[0] * factors[1]
        return (dh, dc), (jnp.zeros_like(dh), dc * factors[2])

    def sums(self, d: CellState, factors: Factors) -> jax.Array:
        dh, dc = d
        return jnp.concatenate([dc, dc, dh, dc], axis=-1) * factors[0]
