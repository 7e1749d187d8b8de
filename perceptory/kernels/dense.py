"""The kernel of a stack of layers of neurons as a function of JAX arrays; `dense.cc` has the formulas. Members that
`vmap` maps go into one call.

Shapes: weights [weight], of each layer W [in, out] and then b [out]; x [batch, in]. All are of one type, float32 or
float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

from perceptory.kernels import build

LANES = 16  # as in dense.cc
KINDS = {"linear": 0, "tanh": 1, "sigmoid": 2, "steep_sigmoid": 3, "relu": 4, "leaky_relu": 5, "elu": 6}


class Stack(NamedTuple):
    """Layers of neurons one after the other, the last one linear: a static description."""

    widths: tuple[int, ...]  # of the input, of every layer
    activations: tuple[tuple[str, float], ...]  # of the hidden layers: one of `KINDS`, its parameter (0 for none)

    @property
    def weights(self) -> int:
        return sum((i + 1) * o for i, o in pairwise(self.widths))

    @property
    def kept(self) -> int:
        """Numbers that one example's way forwards keeps, each layer's filled up to whole `LANES`."""
        return sum(-(-n // LANES) * LANES for n in self.widths[1:-1])


def accepts(dtype: Any) -> bool:
    """Whether the kernel is there and computes in this type."""
    return build.loads("dense", np.dtype(dtype).name)


@lru_cache(maxsize=256)
def outputs(stack: Stack) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(weights, x) -> y [batch, out]. Its gradient, in reverse and once, is by the weights alone."""

    @jax.custom_vjp
    def run(weights: jax.Array, x: jax.Array) -> jax.Array:
        return forward(weights, x)[0]

    def forward(weights: jax.Array, x: jax.Array) -> tuple[jax.Array, ...]:
        batch = x.shape[0]
        return _call("forward", stack, ((batch, stack.widths[-1]), (batch * stack.kept,)), weights, x)

    def there(weights: Any, x: Any) -> tuple[jax.Array, Any]:
        if x.perturbed:
            raise NotImplementedError("the kernel of layers of neurons has no gradient by its inputs")
        y, values = forward(weights.value, x.value)
        return y, (weights.value, x.value, values)

    def back(stored: Any, dy: jax.Array) -> Any:
        weights, x, values = stored
        return _call("backward", stack, (weights.shape,), weights, x, values, dy)[0], None

    run.defvjp(there, back, symbolic_zeros=True)
    return run


def _call(name: str, stack: Stack, shapes: tuple[Any, ...], *arrays: Any) -> tuple[Any, ...]:
    (dtype,) = {np.dtype(array.dtype) for array in arrays}
    out = tuple(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes)
    call = jax.ffi.ffi_call(f"perceptory_dense_{name}_{dtype.name}", out, vmap_method="expand_dims")
    return tuple(
        call(
            *arrays,
            widths=np.array(stack.widths, np.int64),
            kinds=np.array([KINDS[name] for name, _ in stack.activations], np.int32),
            parameters=np.array([parameter for _, parameter in stack.activations], np.float64),
        )
    )
