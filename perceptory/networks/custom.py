"""Your own network: any builder of an Equinox module."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields
from math import prod
from typing import Any, ClassVar

import equinox as eqx
import jax

from perceptory.errors import InputError
from perceptory.networks.base import Network
from perceptory.ops.traced import as_key
from perceptory.specs import checked, count, flag

EXAMPLE = "Custom(lambda inputs, outputs, key: eqx.nn.MLP(inputs, outputs, 32, 2, key=key), name='my net')"


def _builder(name: str, value: Any) -> None:
    if not callable(value) or isinstance(value, eqx.Module):
        kind = type(value).__name__
        raise InputError(f"{name} needs a function of (inputs, outputs, key), got a {kind}. Example: {EXAMPLE}")


def _text(name: str, value: Any) -> None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InputError(f"{name} needs a name for this network, got {value!r}. Example: {EXAMPLE}")


# Not registered: a file cannot hold its builder, and what names it there cannot be read back as a spec.
@dataclass(frozen=True, eq=False)
class Custom(Network):
    """A network of your own, trained in studies like every other.

    builder: a function of (inputs, outputs, key) that returns an Equinox module. A shape of one axis comes as its
        number, as `eqx.nn.MLP` wants it, others as tuples: 8 for a table of 8 features, (28, 28, 1) for an image.
    name: what the network is called, the builder's own name where none is given. Random numbers go by it, so that two
        builders of one study need two names. A run goes on with `resume` if the network computes what it did.
    batched: False for a module that takes one example, as Equinox modules do: module(x), or module(x, key=key) where
        it names a key. True for one that takes module(x [batch, ...], key), where a key means training.
        For series of different lengths a module that names `lengths` beside x gets them: the example's own number of
        steps, or all [batch] of them; from there on x is padding. Of series of one length it gets None.
    random: whether training draws random numbers, so that the module gets a key. Without one, and in use,
        `eqx.nn.Dropout` is off.
    units: values an example that it keeps for the backward pass; steers how many members run at once.

    The output must be linear and of the outputs' shape; a scalar stands for one output. All arrays of floating-point
    numbers are trained. The model file holds them and the name, and is read with the builder given again.
    """

    builder: Callable[..., Any] = checked(check=_builder)
    name: str | None = checked(None, check=_text)
    batched: bool = checked(False, check=flag)
    random: bool = checked(False, check=flag)
    units: int = checked(64, check=count)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name is None:
            own = getattr(self.builder, "__name__", "<lambda>")
            if own == "<lambda>":
                raise InputError(f"Custom needs a name where its builder has none of its own. Example: {EXAMPLE}")
            object.__setattr__(self, "name", own)

    def _key(self) -> Hashable:
        return tuple(as_key(getattr(self, f.name)) for f in fields(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Custom) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def build(self, inputs: tuple[int, ...], outputs: tuple[int, ...], *, key: jax.Array) -> Any:
        module = self.builder(_natural(inputs), _natural(outputs), key)
        if not isinstance(module, eqx.Module):
            raise InputError(
                f"the builder of {self.label} needs to return an Equinox module, got a {type(module).__name__}."
                " Make it a class that subclasses eqx.Module, with its arrays as fields."
            )
        parts = jax.tree.leaves(module, is_leaf=lambda part: isinstance(part, (eqx.nn.StateIndex, eqx.nn.Dropout)))
        if any(isinstance(part, eqx.nn.StateIndex) for part in parts):
            raise InputError(
                f"{self.label} holds a layer with state, such as eqx.nn.BatchNorm, which training cannot carry."
                " Use eqx.nn.LayerNorm, or NormLayer('batch') in a Chain."
            )
        if not self.random and any(isinstance(part, eqx.nn.Dropout) for part in parts):
            raise InputError(f"{self.label} holds eqx.nn.Dropout, which needs random numbers. Add random=True.")
        if self.batched:
            return WithLengths(module) if _names(module, "lengths") and not _taken(module) else module
        return PerExample(module, outputs, _names(module, "key"), _names(module, "lengths") or _taken(module))

    @property
    def in_order(self) -> bool:
        return True

    @property
    def stochastic(self) -> bool:
        return self.random

    @property
    def label(self) -> str:
        return f"Custom {self.name}"

    def hidden_units(self, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
        return self.units


class WithLengths(eqx.Module):
    """A batch-native module that names `lengths`, called with them."""

    inner: Any
    takes: ClassVar[tuple[str, ...]] = ("lengths",)

    def __call__(self, x: jax.Array, key: jax.Array | None = None, lengths: Any = None) -> jax.Array:
        return self.inner(x, key, lengths=lengths)


class PerExample(eqx.Module):
    """A module that takes one example, for a batch. In use its `inference` flags are set (dropout off)."""

    inner: Any
    outputs: tuple[int, ...] = eqx.field(static=True)
    keyed: bool = eqx.field(static=True)
    measured: bool = eqx.field(static=True, default=False)  # whether it takes lengths

    @property
    def takes(self) -> tuple[str, ...]:
        return ("lengths",) if self.measured else ()

    def __call__(self, x: jax.Array, key: jax.Array | None = None, lengths: Any = None) -> jax.Array:
        inner = eqx.nn.inference_mode(self.inner) if key is None else self.inner
        keys = jax.random.split(key, x.shape[0]) if key is not None and self.keyed else None
        steps = lengths if self.measured else None

        def one(x: jax.Array, key: Any, steps: Any) -> jax.Array:
            more = {} if key is None else {"key": key}
            return inner(x, **more | ({"lengths": steps} if self.measured else {}))

        y = jax.vmap(one)(x, keys, steps)
        if y.shape[1:] == () and prod(self.outputs) == 1:
            y = y.reshape(x.shape[0], *self.outputs)
        if y.shape[1:] != self.outputs:
            raise InputError(
                f"a custom network needs to give {self.outputs} for one example, got {y.shape[1:]}."
                " Use the builder's outputs as the size of its last layer."
            )
        return y


def _natural(shape: tuple[int, ...]) -> int | tuple[int, ...]:
    return shape[0] if len(shape) == 1 else shape


def _names(module: Any, name: str) -> bool:
    return name in inspect.signature(type(module).__call__).parameters


def _taken(module: Any) -> bool:
    return "lengths" in getattr(module, "takes", ())
