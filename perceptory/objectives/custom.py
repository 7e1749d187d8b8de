"""Costs of one's own: any function of outputs and targets."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.later import later
from perceptory.objectives.base import Cost
from perceptory.registry import Registry
from perceptory.specs import checked, count

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax, jnp = later("jax", "jax.numpy")

LINKS: Registry[str] = Registry(
    "prediction",
    {"identity": "regression", "exp": "regression", "sigmoid": "binary", "softmax": "multiclass"},
)
SCALINGS: Registry[str] = Registry(
    "scaling", {"standard": "mean 0 and deviation 1", "mean": "divided by the mean", "none": "as they are"}
)
EXAMPLE = "CustomCost(lambda output, target: jnp.sum((output - target) ** 4, axis=-1), name='fourth power')"


def _function(name: str, value: Any) -> None:
    if not callable(value) or isinstance(value, type):
        raise InputError(f"{name} needs a function of (output, target), got {value!r}. Example: {EXAMPLE}")


def _text(name: str, value: Any) -> None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InputError(f"{name} needs a name for this cost, got {value!r}. Example: {EXAMPLE}")


class OwnCost(Cost):
    """What a cost of one's own is beside its function."""

    name: Any
    prediction: str
    per_target: int
    targets_scaled: str

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        return (LINKS[self.prediction],)

    @property
    def scaling(self) -> str:  # type: ignore[override]
        return self.targets_scaled if self.tasks == ("regression",) else "standard"

    @property
    def label(self) -> str:
        return f"CustomCost {self.name}"

    @property
    def heads(self) -> int:
        return self.per_target

    @property
    def outputs_are_targets(self) -> bool:
        return self.heads == 1 and self.scaling == "standard" and self.prediction == "identity"

    def working_response(self, target: jax.Array) -> jax.Array:
        rest = [jnp.zeros_like(target)] * (self.heads - 1)
        start = {"identity": target, "exp": target - 1, "sigmoid": 4 * target - 2}
        first = start.get(self.prediction, target.shape[-1] * target - 1)
        return jnp.concatenate([first, *rest], axis=-1)

    def inverse_link(self, output: jax.Array) -> jax.Array:
        if self.prediction == "exp":
            return jnp.exp(output)
        if self.prediction == "softmax":
            return jax.nn.softmax(output, axis=-1)
        if self.prediction == "sigmoid":
            p = jax.nn.sigmoid(output)
            return jnp.concatenate([1 - p, p], axis=-1)
        return output[..., : output.shape[-1] // self.heads]


# In no table of specs: a file cannot hold its function. Predictions do not need it: a model file says `SavedCost`.
@dataclass(frozen=True, eq=False)
class CustomCost(OwnCost):
    """A cost function of your own, trained in studies like every other.

    function: of (output [..., out], target [..., target]), JAX arrays, to the cost of each row [...], which JAX can
        differentiate. Targets are scaled (`targets_scaled`), classes 0/1 (one-hot for more than two). What it reads
        from outside is read anew in every study.
    name: what the cost is called, the function's own name where none is given. Random numbers go by it, so that two
        functions of one study need two names. A run goes on with `resume` if the function computes what it did.
    prediction: how the network's linear outputs become predictions: "identity" or "exp" for numbers, "sigmoid" for two
        classes, "softmax" for more.
    per_target: outputs of the network for each target, with "identity" only; they stand [head, target] in one axis, and
        the first head is the prediction.
    targets_scaled: how numbers are scaled for training: "standard" (mean 0, deviation 1), "mean" (divided by the mean,
        for targets of at least 0), "none".

    The model file holds the name and what predictions need, so it loads without the function.
    """

    function: Callable[..., Any] = checked(check=_function)
    name: str | None = checked(None, check=_text)
    prediction: str = checked("identity", check=lambda _, v: LINKS[v])
    per_target: int = checked(1, check=count)
    targets_scaled: str = checked("standard", check=lambda _, v: SCALINGS[v])

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name is None:
            own = getattr(self.function, "__name__", "<lambda>")
            if own == "<lambda>":
                raise InputError(f"CustomCost needs a name where its function has none of its own. Example: {EXAMPLE}")
            object.__setattr__(self, "name", own)
        if self.per_target > 1 and self.prediction != "identity":
            raise InputError(
                f"several outputs per target go with prediction='identity', got {self.prediction!r}. Apply the link"
                " within the function."
            )

    def _key(self) -> Hashable:
        from perceptory.ops.traced import as_key

        return tuple(as_key(getattr(self, f.name)) for f in fields(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CustomCost) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        from perceptory.ops.traced import unjitted

        cost = unjitted(self.function)(output, target)
        if np.shape(cost) != target.shape[:-1]:
            raise InputError(
                f"the function of {self.label} needs to give one number per row, shape {target.shape[:-1]}, got"
                f" {np.shape(cost)}. Sum or average over the last axis: jnp.sum(..., axis=-1)."
            )
        return cost

    def without_code(self) -> Cost:
        return SavedCost(str(self.name), self.prediction, self.per_target, self.targets_scaled)


@dataclass(frozen=True)
class SavedCost(OwnCost):
    """A `CustomCost` as a model file knows it: all that predictions need, without the function."""

    name: str = checked(check=_text)
    prediction: str = checked("identity", check=lambda _, v: LINKS[v])
    per_target: int = checked(1, check=count)
    targets_scaled: str = checked("standard", check=lambda _, v: SCALINGS[v])

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        raise InputError(
            f"a model file holds no code, so the cost {self.name!r} of your own cannot be computed from it. Predictions"
            " need none; to train, give CustomCost(function, name=...) again."
        )
