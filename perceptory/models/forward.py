"""A model's networks applied to encoded inputs: scaled, mapped over the networks, compiled once for each shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from perceptory.specs import has_code


def forward(
    network: Any, cost: Any, inputs: tuple[int, ...], outputs: tuple[int, ...], own_code: bool
) -> Callable[..., Any]:
    """(weights [k, weight], shift [k, in], factor [k, in], x [row, *inputs], lengths [row] or None) -> predictions
    [k, row, *outputs] on the trained scale. Inputs are scaled by (x + shift) · factor; what is NaN then is 0.

    own_code: whether there is code of the user's, which is traced anew: what it reads from outside may have changed."""
    if not own_code:
        return _kept(network, cost, inputs, outputs)
    from perceptory.ops.traced import compiled

    def run(*arguments: Any) -> Any:
        return compiled(_mapped(network, cost, inputs, outputs), *arguments)(*arguments)

    return run


class Placed(NamedTuple):
    """A model's arrays as its program takes them: on the device, in the model's precision.

    of: what they were made of. common: [in] what the centers of all networks have in common.
    """

    of: tuple[Any, ...]
    common: np.ndarray
    weights: Any
    shift: Any
    factor: Any
    own_code: bool

    @classmethod
    def of_model(cls, model: Any, dtype: Any) -> Placed:
        """Made once for the arrays that a model holds, which cannot be written to from then on: give it others."""
        of = (model.weights, model.in_center, model.in_factor, model.network, model.cost, dtype)
        kept: Placed | None = model.__dict__.get("placed")
        if kept is not None and all(a is b for a, b in zip(kept.of, of, strict=True)):
            return kept
        import jax

        shift, factor, network = model.in_center, model.in_factor, model.network
        if network.windows is not None:
            order = network.windows.order(shift.shape[1])
            shift, factor, network = shift[:, order], factor[:, order], network.sight
        common = shift.mean(axis=0)
        weights, moved, factor = (jax.device_put(a.astype(dtype)) for a in (model.weights, common - shift, factor))
        for array in of[:3]:
            array.flags.writeable = False
        own_code = has_code((network, model.cost.without_code()))
        model.__dict__["placed"] = kept = cls(of, common, weights, moved, factor, own_code)
        return kept


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
