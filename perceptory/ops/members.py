"""How members share a loop or a large matrix where a function is mapped over them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax import lax
from jax.custom_batching import custom_vmap

from perceptory import backend


def members_in_turn(f: Callable[..., Any], everywhere: bool = False) -> Callable[..., Any]:
    """f, which under `vmap` runs for one member after the other: a member's arrays then stay in cache during its loop,
    and a step is a plain matrix product. Off the CPU the members are batched, unless `everywhere`: where each of them
    holds a matrix of all rows for a while."""
    mapped = custom_vmap(f)

    @mapped.def_vmap
    def rule(size: int, batched: Any, *args: Any) -> tuple[Any, Any]:
        leaves, tree = jax.tree.flatten(args)
        marks = jax.tree.leaves(batched)

        def one(own: list[Any], run: Callable[..., Any]) -> Any:
            own = list(own)
            return run(*jax.tree.unflatten(tree, [own.pop(0) if m else v for v, m in zip(leaves, marks, strict=True)]))

        own = [v for v, m in zip(leaves, marks, strict=True) if m]
        together = backend.native() and not everywhere
        # `vmap` of `mapped` would come back here.
        out = jax.vmap(partial(one, run=f))(own) if together else lax.map(partial(one, run=mapped), own)
        return out, jax.tree.map(lambda _: True, out)

    return mapped
