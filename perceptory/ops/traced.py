"""A function of the user's as JAX traces it at this moment, apart from the arrays that it reads from outside.

A compiled function that is kept by the function object answers for old data: the arrays of a closure, of a global name
or of an object's attributes stay as they were when it was compiled. Here a function is traced at every use, which takes
milliseconds; arrays from outside become arguments, and only an equal computation shares a compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core


class Identity:
    """Something that cannot be hashed, as part of a key: equal to itself alone."""

    def __init__(self, value: Any):
        self.value = value  # held, so that its place in memory is not given to another

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


class Traced(NamedTuple):
    """A traced computation.

    computation: the closed jaxpr. key: equal for two computations that differ in no more than the values of `outside`.
    outside: the arrays that it reads from outside, as they are now.
    """

    computation: core.ClosedJaxpr
    key: Hashable
    outside: tuple[Any, ...]


def trace(function: Callable[..., jax.Array], *arguments: Any) -> Traced:
    """Trace `function` for arguments of these shapes; it must return one array."""
    computation = jax.make_jaxpr(function)(*arguments)
    outside = tuple(np.asarray(constant) for constant in computation.consts)
    return Traced(computation, _described(computation.jaxpr), outside)


def evaluate(computation: core.ClosedJaxpr, outside: tuple[Any, ...], *arguments: Any) -> Any:
    """The traced function's value with these arrays from outside; `arguments` in the structure of the trace."""
    flat = jax.tree.leaves(arguments)
    (value,) = jax.core.eval_jaxpr(computation.jaxpr, outside, *flat)
    return value


def _described(jaxpr: Any) -> Hashable:
    """A key of a jaxpr: variables by the order of their definition, literals by value, parameters as they are."""
    places: dict[Any, int] = {}

    def defined(variable: Any) -> Hashable:
        places[variable] = len(places)
        return str(variable.aval)

    def read(atom: Any) -> Hashable:
        return _value(atom.val) if isinstance(atom, core.Literal) else places[atom]

    given = tuple(defined(v) for v in (*jaxpr.constvars, *jaxpr.invars))
    lines = tuple(
        (
            equation.primitive.name,
            tuple(read(a) for a in equation.invars),
            tuple(defined(v) for v in equation.outvars),
            tuple((name, _value(v)) for name, v in sorted(equation.params.items())),
        )
        for equation in jaxpr.eqns
    )
    return given, lines, tuple(read(a) for a in jaxpr.outvars)


def _value(value: Any) -> Hashable:
    if isinstance(value, core.ClosedJaxpr):
        return _described(value.jaxpr), tuple(_value(c) for c in value.consts)
    if isinstance(value, core.Jaxpr):
        return _described(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array | float) or type(value).__name__ == "TypedNdArray":
        array = np.asarray(value)
        return "array", array.dtype.str, array.shape, array.tobytes()
    if type(value) in (tuple, list):
        return type(value).__name__, tuple(_value(v) for v in value)
    if isinstance(value, dict):
        return "dict", tuple((k, _value(v)) for k, v in value.items())
    try:
        hash(value)
    except TypeError:
        return Identity(value)
    return type(value), value
