"""The linear model: the baseline that every network has to beat, solved and not trained for some epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from perceptory.errors import InputError
from perceptory.kernels.stack import Stack
from perceptory.networks.base import Network
from perceptory.registry import Registry
from perceptory.specs import checked, count, flag, is_plain, not_negative, traced

if TYPE_CHECKING:
    import jax

WAYS: Registry[str] = Registry(
    "way to train",
    {
        "least squares": "solved from the training rows; no optimizer",
        "descent": "from that solution, the optimizer takes the cost down",
    },
)


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

    def build(self, inputs: tuple[int, ...], outputs: tuple[int, ...], *, key: jax.Array) -> Any:
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
        from perceptory.networks.linear_module import built

        return built(self, inputs, features, out, every_step, key)

    def used_stack(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Stack | None:
        plain = len(inputs) == len(outputs) == 1 and self.taps == 1 and not self.pooled
        return Stack((*inputs, *outputs), ()) if plain else None

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        """Weights by least squares from the training rows."""
        from perceptory.networks.linear_module import solved

        return solved(module, rows, self.ridge, self.pooled)

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
