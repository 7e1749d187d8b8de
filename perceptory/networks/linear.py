"""The linear model: the baseline that every network has to beat, solved and not trained for some epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.layers.dense import Dense, Reshape
from perceptory.layers.sequential import Sequential
from perceptory.networks.base import Network
from perceptory.networks.chain_layers import Pooled
from perceptory.ops.activations import ACTIVATIONS
from perceptory.ops.initializers import initial_weights
from perceptory.ops.ridge import conjugate_gradients, ridge_regression
from perceptory.registry import Registry
from perceptory.specs import checked, count, flag, is_plain, not_negative, traced

MOST_BY_MATRIX = 512  # inputs up to which normal equations are formed and factored; above, conjugate gradients
WAYS: Registry[str] = Registry(
    "way to train",
    {
        "least squares": "solved from the training rows; no optimizer",
        "descent": "from that solution, the optimizer takes the cost down",
    },
)


class Past(eqx.Module):
    """The last `taps` steps of series [batch, time, channel] as features of each step [batch, time, taps · channel];
    before the first step there are zeros."""

    taps: int = eqx.field(static=True)
    takes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        padded = jnp.pad(x, ((0, 0), (self.taps - 1, 0), (0, 0)))
        return jnp.concatenate([padded[:, k : k + x.shape[1]] for k in range(self.taps)], axis=2)


@dataclass(frozen=True)
class Linear(Network):
    """y = x W + b, solved: the minimum of the mean of ½‖y - t‖² plus ridge · ‖W‖² over the training rows.

    ridge: λ, on scaled inputs and targets.
    taps: for a value at every step, how many steps of the past (the present one included) are inputs of each step, as
        in a finite impulse response.
    train: "least squares" or "descent". A study that names neither an optimizer nor a penalty for it, since it needs
        none, chooses by the cost: squared error is solved in closed form (by Cholesky; above 512 inputs by conjugate
        gradients), others are taken down from there by L-BFGS with ridge as weight penalty, and those that are no
        smooth function of one output a target by the study's own optimizer.

    pooled: of series, instead of all their steps the mean of each channel over the steps that there are, so that series
        may be of any length.

    Inputs of several axes are flattened, but for a value at every step.
    """

    ridge: float = traced(1e-5, check=not_negative, log=True)
    taps: int = checked(1, check=count)
    train: str = checked("least squares", check=lambda _, value: WAYS[value])
    pooled: bool = checked(False, check=flag, neutral=False)

    def build(self, inputs: tuple[int, ...], outputs: tuple[int, ...], *, key: jax.Array) -> Sequential:
        every_step = len(outputs) == 2
        if self.taps > 1 and not every_step:
            raise InputError(
                "Linear.taps is for series with a value at every step; otherwise it sees all of an example. Leave taps"
                " out."
            )
        if self.pooled and (every_step or len(inputs) != 2):
            raise InputError("Linear.pooled is for series with one target each. Leave it out.")
        features = self.taps * inputs[-1] if every_step else inputs[-1] if self.pooled else prod(inputs)
        out = outputs[-1] if every_step else prod(outputs)
        (weight,) = initial_weights(key, ["glorot"], [(features, out)])
        before: list[Any] = [Past(self.taps)] if every_step else [] if len(inputs) == 1 else [Reshape((features,))]
        before = [Pooled("average")] if self.pooled else before
        return Sequential((*before, Dense(weight, jnp.zeros(out, weight.dtype), ACTIVATIONS["linear"].function)))

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        """Weights by least squares from the training rows."""
        *before, dense = module.layers
        x, t, w = rows()
        if t.shape[-1] != dense.bias.shape[0]:  # a cost of several outputs a target: no least squares
            return module
        if self.pooled:  # once for all rows, whose lengths a basis does not see
            x, before = before[0](x, lengths=getattr(rows, "lengths", None)), []
        basis = Sequential(tuple(before))
        solve = ridge_regression if dense.weight.shape[0] <= MOST_BY_MATRIX else conjugate_gradients
        weight, bias = solve(basis, x, t, w, self.ridge)
        return Sequential((*module.layers[:-1], Dense(weight, bias, dense.activation)))

    @property
    def solved(self) -> bool:
        return self.train == "least squares"

    @property
    def label(self) -> str:
        parts = ["linear model of means" if self.pooled else "linear model"]
        if is_plain(self.ridge) and self.ridge != type(self)().ridge:
            parts.append(f"ridge {self.ridge:g}")
        return ", ".join([*parts, f"{self.taps} taps"] if self.taps > 1 else parts)

    def hidden_units(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
        return self.taps * prod(inputs) if len(outputs) == 2 else 0
