"""A model's networks applied to encoded inputs: scaled, mapped over the networks, compiled once for each shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from perceptory.specs import has_code


def forward(network: Any, cost: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Callable[..., Any]:
    """(weights [k, weight], shift [k, in], factor [k, in], x [row, *inputs], lengths [row] or None) -> predictions
    [k, row, *outputs] on the trained scale. Inputs are scaled by (x + shift) · factor; what is NaN then is 0.

    Code of the user's is traced anew: what it reads from outside may have changed."""
    if not has_code((network, cost)):
        return _kept(network, cost, inputs, outputs)
    from perceptory.ops.traced import compiled

    def run(*arguments: Any) -> Any:
        return compiled(_mapped(network, cost, inputs, outputs), *arguments)(*arguments)

    return run


@lru_cache(maxsize=64)
def _kept(network: Any, cost: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Any:
    import jax

    return jax.jit(_mapped(network, cost, inputs, outputs))


def _mapped(network: Any, cost: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Any:
    import jax
    import jax.numpy as jnp

    from perceptory.layers.arrays import unpack
    from perceptory.layers.base import call

    def one(weights: Any, shift: Any, factor: Any, x: Any, lengths: Any) -> Any:
        x = (x + shift) * factor
        net = unpack(network.build(inputs, outputs, key=jax.random.key(0)), weights)
        return cost.inverse_link(call(net, jnp.where(jnp.isnan(x), 0, x), None, lengths=lengths))

    return jax.vmap(one, in_axes=(0, 0, 0, None, None))
