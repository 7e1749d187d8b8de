"""What a module is made of, in the order in which values pass through it: so that two networks can be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from perceptory.layers.arrays import Shape
from perceptory.layers.base import Fixed
from perceptory.layers.dense import Dropout
from perceptory.layers.noise import Noise, WeightNoise
from perceptory.layers.sequential import Sequential

IN_TRAINING_ONLY = (Dropout, Noise)  # a network with one of them is used like the network without


class Part(NamedTuple):
    """A module that holds arrays itself, such as `Dense`, or a mark: another step of what is computed.

    kind: what is computed, shapes aside. layer: which layer it belongs to, from 1; 0 for a mark. A layer begins with a
    part that has weights (an array of two or more axes), and what follows without any belongs to it.
    names, shapes: of its arrays, names as in the module's `Layout`.
    """

    kind: tuple[Any, ...]
    layer: int = 0
    names: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ()
    module: Any = None


def parts_of(module: Any, prefix: str = "") -> list[Part]:
    """The parts of a module (its arrays may be mere shapes). prefix: of the names, where it is part of another."""
    parts, layer = [], 0
    for part, continues in _walk(module, prefix, False):
        if part.names:
            heavy = any(len(shape) >= 2 for shape in part.shapes)
            layer += (heavy and not continues) or layer == 0
            part = part._replace(layer=layer)
        parts.append(part)
    return parts


def _walk(value: Any, path: str, continues: bool) -> Iterator[tuple[Part, bool]]:
    """Each part, and whether it stands beside the one before it in one layer, as the two directions of a recurrent
    layer do."""
    if isinstance(value, tuple):
        for i, one in enumerate(value):
            beside = i > 0 and continues
            yield from _walk(one, _join(path, str(i)), beside if not isinstance(one, tuple) else True)
        return
    if not isinstance(value, eqx.Module) or isinstance(value, (Fixed, *IN_TRAINING_ONLY)):
        return
    if isinstance(value, WeightNoise):
        yield from _walk(value.inner, _join(path, "inner"), False)
        return
    fields = [(f.name, getattr(value, f.name), bool(f.metadata.get("static"))) for f in dataclasses.fields(value)]
    arrays = [(_join(path, name), a.shape) for name, a, static in fields if not static and _is_array(a)]
    if arrays:
        names, shapes = zip(*arrays, strict=True)
        yield Part(_kind(value, fields), 0, names, shapes, value), continues
    transparent = bool(arrays) or isinstance(value, Sequential)
    if not transparent:
        yield Part((type(value).__name__, "begins")), False
    for name, one, static in fields:
        if static and not transparent:
            yield Part((type(value).__name__, name, one)), False
        elif not static and not _is_array(one):
            yield from _walk(one, _join(path, name), False)
    if not transparent:
        yield Part((type(value).__name__, "ends")), False


def _kind(module: Any, fields: list[tuple[str, Any, bool]]) -> tuple[Any, ...]:
    """Its class and static fields, or what it says itself (`computes`) where some of them are of training only."""
    own = getattr(module, "computes", None)
    statics = tuple((name, value) for name, value, static in fields if static) if own is None else own
    return type(module).__name__, *statics


def _is_array(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return dtype is not None and hasattr(value, "shape") and jnp.issubdtype(dtype, jnp.inexact)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
