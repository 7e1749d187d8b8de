"""A function of the user's as JAX traces it at this moment, apart from the arrays that it reads from outside.

A compiled function that is kept by the function object answers for old data: the arrays of a closure, of a global name
or of an object's attributes stay as they were when it was compiled. Here a function is traced at every use, and only an
equal computation shares a compilation: `trace` takes milliseconds and makes arguments of the arrays from outside,
`compiled` is for whole programs, which hold them.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
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


def as_key(value: Any) -> Hashable:
    """The value, or what stands for it alone where it cannot be hashed, as an object that holds arrays."""
    try:
        hash(value)
    except TypeError:
        return Identity(value)
    return value


class Traced(NamedTuple):
    """A traced computation.

    computation: the closed jaxpr. key: equal for two computations that differ in no more than the values of `outside`.
    outside: the arrays that it reads from outside, as they are now.
    """

    computation: core.ClosedJaxpr
    key: Hashable
    outside: tuple[Any, ...]


RULES = frozenset({"jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd", "out_trees", "rule"})  # of derivatives and batches
MOST_COMPILED = 64
_COMPILED: OrderedDict[Hashable, Any] = OrderedDict()
_HOME = os.path.dirname(jax.__file__) + os.sep
_context = jax.make_user_context()  # a part of what JAX keeps traces by
_number = itertools.count()


def unjitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function within `jax.jit`, which keeps traces by the function object; others as they are."""
    while isinstance(function, type(jax.jit(lambda: None))):
        function = function.__wrapped__  # type: ignore[attr-defined]
    return function


def compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function` compiled for arguments of these shapes, as it is now; a compilation is shared by equal computations.

    function: made anew for each call, since JAX keeps traces by it.
    """
    traced = _as_it_is(jax.jit(function).trace, lambda traced: traced.jaxpr, arguments)
    closed: Any = traced.jaxpr
    trees = jax.tree.structure(arguments), jax.tree.structure(traced.out_info)
    key = (trees, _described(closed.jaxpr, RULES), tuple(_value(c, RULES) for c in closed.consts))
    if key not in _COMPILED:
        _COMPILED[key] = traced.lower().compile()
        while len(_COMPILED) > MOST_COMPILED:
            _COMPILED.popitem(last=False)
    _COMPILED.move_to_end(key)
    return _COMPILED[key]


def trace(function: Callable[..., jax.Array], *arguments: Any) -> Traced:
    """Trace `function` for arguments of these shapes; it must return one array."""
    computation = _as_it_is(jax.make_jaxpr(function), lambda closed: closed, arguments)
    outside = tuple(np.asarray(constant) for constant in computation.consts)
    return Traced(computation, _described(computation.jaxpr), outside)


def described(function: Callable[..., Any], *arguments: Any) -> str:
    """What `function` computes of arguments of these shapes, as it is now, in words that are the same in every process
    for the same computation of the same arrays from outside."""
    closed = _as_it_is(jax.make_jaxpr(function), lambda closed: closed, arguments)
    key = _described(closed.jaxpr, RULES), tuple(_value(c, RULES) for c in closed.consts)
    return _in_words(key)


def _in_words(value: Hashable) -> str:
    if isinstance(value, tuple):
        return f"({','.join(map(_in_words, value))})"
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    words = str(value)
    return type(value).__qualname__ if " at 0x" in words or isinstance(value, Identity) else words


def _as_it_is(make: Callable[..., Any], closed: Callable[[Any], Any], arguments: tuple[Any, ...]) -> Any:
    """`make(*arguments)`, a trace; closed: its jaxpr. Where the function calls functions of the user's under `jax.jit`,
    of which JAX keeps traces, it is traced a second time in a surrounding that JAX has not seen before."""
    found = make(*arguments)
    if any(not name.startswith(_HOME) for name in _files_of_jits(closed(found).jaxpr)):
        with _context(next(_number)):
            return make(*arguments)
    return found


def _files_of_jits(jaxpr: Any) -> Iterator[str]:
    """Where the functions stand that a jaxpr calls under `jax.jit`."""
    for equation in jaxpr.eqns:
        for inner in core.jaxprs_in_params(equation.params):
            if equation.primitive.name == "jit":
                yield inner.debug_info.func_filename or ""
            yield from _files_of_jits(inner)


def evaluate(computation: core.ClosedJaxpr, outside: tuple[Any, ...], *arguments: Any) -> Any:
    """The traced function's value with these arrays from outside; `arguments` in the structure of the trace."""
    flat = jax.tree.leaves(arguments)
    (value,) = jax.core.eval_jaxpr(computation.jaxpr, outside, *flat)
    return value


def _described(jaxpr: Any, without: frozenset[str] = frozenset()) -> Hashable:
    """A key of a jaxpr: variables by the order of their definition, literals by value, parameters as they are.

    without: names of parameters that do not count.
    """
    places: dict[Any, int] = {}

    def defined(variable: Any) -> Hashable:
        places[variable] = len(places)
        return str(variable.aval)

    def read(atom: Any) -> Hashable:
        return _value(atom.val, without) if isinstance(atom, core.Literal) else places[atom]

    given = tuple(defined(v) for v in (*jaxpr.constvars, *jaxpr.invars))
    lines = tuple(
        (
            equation.primitive.name,
            tuple(read(a) for a in equation.invars),
            tuple(defined(v) for v in equation.outvars),
            tuple((name, _value(v, without)) for name, v in sorted(equation.params.items()) if name not in without),
        )
        for equation in jaxpr.eqns
    )
    return given, lines, tuple(read(a) for a in jaxpr.outvars)


def _value(value: Any, without: frozenset[str]) -> Hashable:
    if isinstance(value, core.ClosedJaxpr):
        return _described(value.jaxpr, without), tuple(_value(c, without) for c in value.consts)
    if isinstance(value, core.Jaxpr):
        return _described(value, without)
    if isinstance(value, np.ndarray | np.generic | jax.Array | float) or type(value).__name__ == "TypedNdArray":
        array = np.asarray(value)
        return "array", array.dtype.str, array.shape, hashlib.blake2b(array.tobytes(), digest_size=20).digest()
    if type(value) in (tuple, list):
        return type(value).__name__, tuple(_value(v, without) for v in value)
    if isinstance(value, dict):
        return "dict", tuple((k, _value(v, without)) for k, v in value.items())
    return type(value), as_key(value)
