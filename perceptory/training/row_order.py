"""The order of rows in an epoch: a random permutation by arithmetic, since sorting random numbers costs more than a
small network's training step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

ROUNDS = 3


def _hash(x: jax.Array, salt: jax.Array) -> jax.Array:
    """A 32-bit mix (the finalizer of MurmurHash3, Appleby 2011) of x with a random word."""
    x = x ^ salt
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def _below(x: jax.Array, limit: Any) -> jax.Array:
    """Map uniform 32-bit words to 0 .. limit - 1 (limit < 2^16) without a division."""
    return ((x >> 16) * jnp.uint32(limit)) >> 16


def _wrap(x: jax.Array, limit: Any) -> jax.Array:
    """x mod limit for x < 2 · limit."""
    return jnp.where(x >= jnp.uint32(limit), x - jnp.uint32(limit), x)


def words(key: jax.Array, epoch: Any, count: int) -> jax.Array:
    """[count] random 32-bit words for an epoch, from a member's key [2] uint32.

    A hash of key, epoch and place, mixed twice. JAX's own generator is as quick here, but each call of it adds a loop
    to the program and a tenth of a second to its compilation.
    """
    place = jnp.arange(count, dtype=jnp.uint32) * jnp.uint32(0x9E3779B9)
    return _hash(_hash(place + jnp.asarray(epoch, jnp.uint32) * jnp.uint32(0x85EBCA77), key[0]), key[1])


def shuffled(salts: jax.Array, batches: Any, most: int, batch: int) -> jax.Array:
    """A random permutation of the places 0 .. batches · batch - 1 as [most, batch] uint32; salts: `words`, [6].

    `batches` may be traced; rows of the result from `batches` on are places beyond the end. The permutation is an
    unbalanced Feistel network on the grid batches x batch (Black & Rogaway 2002): in each round the row index is
    shifted by a hash of the column and the column by a hash of the row, so every place comes exactly once.
    """
    n = jnp.asarray(batches, jnp.uint32)
    row = jnp.broadcast_to(jnp.arange(most, dtype=jnp.uint32)[:, None], (most, batch))
    column = jnp.broadcast_to(jnp.arange(batch, dtype=jnp.uint32)[None, :], (most, batch))

    def one_round(places: tuple[jax.Array, jax.Array], salt: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        row, column = places
        moved = _wrap(row + _below(_hash(column, salt[0]), n), n)
        row = jnp.where(row < n, moved, row)
        column = _wrap(column + _below(_hash(row, salt[1]), batch), batch)
        return (row, column), None

    # A loop, not three copies of its body: XLA would fuse those into every reader and hash anew for each number read.
    (row, column), _ = jax.lax.scan(one_round, (row, column), salts.reshape(ROUNDS, 2))
    return row * jnp.uint32(batch) + column


def drawn(salts: jax.Array, count: Any, most: int, batch: int) -> jax.Array:
    """Places drawn independently, with replacement [E21], as [most, batch] uint32 below `count`."""
    place = jnp.arange(most * batch, dtype=jnp.uint32).reshape(most, batch) * jnp.uint32(0x9E3779B9)
    return _hash(_hash(place, salts[0]), salts[1]) % jnp.asarray(count, jnp.uint32)
