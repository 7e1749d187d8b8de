"""The feedforward network [E8 to E13]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from perceptory.catalog import ACTIVATIONS, INITIALIZERS
from perceptory.errors import InputError
from perceptory.kernels.stack import KINDS, Stack, unit
from perceptory.networks.base import Network
from perceptory.specs import below_one, checked, count, flag, is_on, is_plain, not_negative, traced

if TYPE_CHECKING:
    import jax


def widths(name: str, value: Any) -> None:
    if not isinstance(value, tuple):
        raise InputError(f"{name} needs a tuple of widths, got {value!r}. Example: hidden=(32, 16)")
    for width in value:
        if is_plain(width):
            try:
                count(name, width)
            except InputError:
                raise InputError(f"{name} needs positive widths, got {value!r}. Example: hidden=(32, 16)") from None


def _activations(name: str, value: Any) -> None:
    for activation in value if isinstance(value, tuple) else (value,):
        if is_plain(activation) and not (isinstance(activation, str) and activation in KINDS):
            ACTIVATIONS[activation]


def _norm(_: str, value: Any) -> None:
    if value is not None:
        from perceptory.layers.norm import NORMS

        NORMS[value]


@dataclass(frozen=True)
class MLP(Network):
    """Feedforward network: hidden layers v = σ(v W + b), then a linear output layer y = v W + b [E8 to E13].

    hidden: widths of the hidden layers; () is a linear model.
    activation: name of σ in the table of activations, also "elu(0.5)"; or a tuple of names, one a hidden layer.
    dropout: probability that a hidden unit is dropped in training; 0 leaves dropout out of the program.
    initializer: name of the start of the weights; None takes the one that suits the activation.
    residual: a hidden layer as wide as its input adds that input to its output.
    norm: "layer" or "batch" normalization of the weighted sums, before the activation.
    input_noise, weight_noise, output_noise: standard deviations of the noise that training adds to the scaled inputs,
        to every weight (not to biases), and to the network's outputs, which under squared error is the same as noise
        on the scaled targets; 0 leaves it out of the program.

    Inputs of several axes, such as images, are flattened, and outputs of several axes are reshaped.
    """

    hidden: tuple[int, ...] = checked((32, 32), check=widths)
    activation: str | tuple[str, ...] = checked("tanh", check=_activations)
    dropout: float = traced(0.0, off=0.0, check=below_one)
    initializer: str | None = checked(None, check=lambda _, value: value is None or INITIALIZERS[value])
    residual: bool = checked(False, check=flag)
    norm: str | None = checked(None, check=_norm)
    input_noise: float = traced(0.0, off=0.0, check=not_negative)
    weight_noise: float = traced(0.0, off=0.0, check=not_negative)
    output_noise: float = traced(0.0, off=0.0, check=not_negative)

    def __post_init__(self) -> None:
        super().__post_init__()
        names, hidden = self.activation, self.hidden
        if isinstance(names, tuple) and isinstance(hidden, tuple) and len(names) != len(hidden):
            raise InputError(
                f"MLP.activation needs one name, or one for each of the {len(hidden)} hidden layers, got {names!r}."
                ' Example: hidden=(32, 16), activation=("tanh", "relu")'
            )

    def build(self, inputs: tuple[int, ...], outputs: tuple[int, ...], *, key: jax.Array) -> Any:
        from perceptory.networks.mlp_module import built

        return built(self, inputs, outputs, key)

    def mirror(self, inputs: tuple[int, ...]) -> MLP:
        """Hidden layers in the opposite order; noise on inputs and outputs stays where it is."""
        sigma = self.activation[::-1] if isinstance(self.activation, tuple) else self.activation
        return self.replace(hidden=self.hidden[::-1], activation=sigma, input_noise=0.0, output_noise=0.0)

    def stack(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Stack | None:
        units = [unit(name) for name in self.activations]
        known = tuple(one for one in units if one is not None)
        if not known or len(known) < len(units) or self.residual or self.norm is not None or self.stochastic:
            return None
        return Stack((prod(inputs), *self.hidden, prod(outputs)), known)

    @property
    def activations(self) -> tuple[str, ...]:
        """Of each hidden layer."""
        return self.activation if isinstance(self.activation, tuple) else (self.activation,) * len(self.hidden)

    @property
    def stochastic(self) -> bool:
        """Batch normalization draws nothing, but by the key it tells training from use."""
        return any(map(is_on, (self.dropout, *self._noises))) or self.calibrated

    @property
    def calibrated(self) -> bool:
        """Whether there are statistics to take from training rows after each epoch."""
        return self.norm == "batch" and len(self.hidden) > 0

    def calibrate(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]) -> Any:
        """The module with the statistics of its batch normalizations taken from the training rows."""
        if not self.calibrated:
            return module
        from perceptory.layers.norm import calibrate

        x, w = rows()
        return calibrate(module, x, w, max(self.hidden))

    def trains(self, name: str) -> bool:
        """Whether the optimizer moves the array of this path."""
        from perceptory.layers.norm import is_stored

        return not is_stored(name)

    @property
    def label(self) -> str:
        parts = [
            *(["residual"] if self.residual else []),
            *([f"{self.norm} norm"] if self.norm else []),
            *([f"dropout {self.dropout:.3g}"] if is_on(self.dropout) else []),
            *(
                f"{kind} noise {value:.3g}"
                for kind, value in zip(("input", "weight", "output"), self._noises, strict=True)
                if is_on(value)
            ),
        ]
        if not self.hidden:
            return " ".join(["linear model", *(word for word in parts if "noise" in word)])
        sigma = "/".join(self.activation) if isinstance(self.activation, tuple) else self.activation
        return " ".join(["MLP", "-".join(map(str, self.hidden)), sigma, *parts])

    @property
    def _noises(self) -> tuple[float, float, float]:
        return self.input_noise, self.weight_noise, self.output_noise

    def hidden_units(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
        return sum(self.hidden) * (3 if self.norm else 1)
