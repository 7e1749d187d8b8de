"""A network over a linear model of a dynamic system: it learns what an ARX model leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from perceptory.errors import InputError, Setting
from perceptory.layers.arrays import Shape
from perceptory.layers.base import call
from perceptory.networks.base import Network
from perceptory.networks.beside import Wrapper
from perceptory.networks.narx import NARX, NARXNetwork
from perceptory.networks.recurrent import GRU
from perceptory.specs import Search, checked, count

SHARE = 0.1  # of the network's outputs at the start: training begins close to the linear model


class OverLinear(eqx.Module):
    """x [batch, time, u] -> y [batch, time, out]: a linear model's free run, and what a network adds that sees both."""

    takes: ClassVar[tuple[str, ...]] = ("lengths", "progress")
    linear: NARXNetwork
    inner: Any
    share: jax.Array  # [out]

    def run(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(The linear model's free run, what the network sees)."""
        y = jax.lax.stop_gradient(self.linear(x))
        return y, jnp.concatenate([x, y], axis=-1)

    def __call__(
        self, x: jax.Array, key: jax.Array | None = None, lengths: Any = None, progress: Any = None
    ) -> jax.Array:
        y, seen = self.run(x)
        added: jax.Array = call(self.inner, seen, key, lengths=lengths, progress=progress)
        return y + self.share * added


@dataclass(frozen=True)
class ARXResidual(Wrapper):
    """y(t) = ŷ(t) + s · f(u(1..t), ŷ(1..t)): ŷ is the free run of a linear ARX model, solved from the training rows and
    left as it is, f a network that is trained on what the linear model leaves. It begins as the linear model all but
    is, so what a linear model knows is not learned anew from few rows, and f is as much as the system bends.

    network: f, one that runs from step to step (GRU, LSTM, causal CNN), inputs and ŷ side by side. lags: past inputs
    and outputs of the linear model (`NARX`). For a value at every step of records whose outputs are not known
    (known=0).
    """

    network: Network = field(default_factory=lambda: GRU((16,)))
    lags: int = checked(8, check=count)

    def __post_init__(self) -> None:
        super().__post_init__()
        network = self.network
        if not isinstance(network, Network | Search):
            raise InputError(f"ARXResidual needs a network such as GRU((16,)), got {network!r}.")
        if isinstance(network, Network) and (
            network.unscaled or not network.takes_heads or network.windows is not None or network.fixed_steps
        ):
            raise InputError(f"{network.label} cannot be trained on what an ARX model leaves. Use GRU((16,)).")

    @property
    def arx(self) -> NARX:
        return NARX((), input_lags=self.lags, output_lags=self.lags, train="least squares", at_rest=True)

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> OverLinear:
        if len(inputs) != 2 or len(outputs) != 2:
            raise InputError(
                f"ARXResidual needs series with a target at every step, got examples of shape {inputs} and outputs of "
                f"shape {outputs}. Read them with ",
                Setting("predict", "every step"),
                ".",
            )
        inner = self.network.build(self.within(inputs, outputs), outputs, key=key)
        linear = self.arx.build(inputs, outputs, key=key)
        return OverLinear(linear, inner, jnp.full(outputs[1], SHARE, linear.layers[0].weight.dtype))

    def within(self, inputs: Shape, outputs: Shape) -> Shape:
        return inputs[0], inputs[1] + outputs[1]

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        linear = self.arx.prime(module.linear, rows, key=key)
        solved = replace(module, linear=linear)
        return replace(solved, inner=self.network.prime(module.inner, self.rows_within(solved, rows), key=key))

    def rows_within(
        self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]
    ) -> Callable[[], tuple[jax.Array, ...]]:
        """Rows as f sees them; of targets what the linear model leaves."""

        def within() -> tuple[jax.Array, ...]:
            x, *rest = rows()
            y, seen = module.run(x)
            return (seen, (rest[0] - y) / SHARE, rest[1]) if len(rest) > 1 else (seen, *rest)

        return within

    def trains(self, name: str) -> bool:
        return not name.startswith("linear.") and super().trains(name)

    @property
    def in_order(self) -> bool:
        return True

    @property
    def takes_heads(self) -> bool:
        """A linear model of outputs that come back has one of them for each target."""
        return False

    @property
    def label(self) -> str:
        return f"ARX {self.lags}+{self.lags} + {self.network.label}"

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self.network.hidden_units(self.within(inputs, outputs), outputs) + 2 * inputs[0] * outputs[1]
