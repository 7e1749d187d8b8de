"""Values between the points of a grid, by linear interpolation, for every example at places of its own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def in_plane(x: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """[batch, row, column, channel] of images x [batch, height, width, channel] at places rows, columns [batch, row,
    column], bilinear; beyond the image it falls to 0 within a pixel.

    Where nothing turns, two products with matrices of weights would do the same in 0.7 of the time.
    """
    batch, height, width, channels = x.shape
    low_row, low_column = jnp.floor(rows), jnp.floor(columns)
    up, left = rows - low_row, columns - low_column
    flat = x.reshape(batch * height * width, channels)
    first = (jnp.arange(batch, dtype=jnp.int32) * (height * width))[:, None, None]
    total: Any = 0
    for down in (0, 1):
        for right in (0, 1):
            r, c = low_row + down, low_column + right
            weight = (up if down else 1 - up) * (left if right else 1 - left)
            weight = jnp.where((r >= 0) & (r < height) & (c >= 0) & (c < width), weight, 0)
            place = jnp.clip(r, 0, height - 1) * width + jnp.clip(c, 0, width - 1)
            values = flat.at[first + place.astype(jnp.int32)].get(mode="promise_in_bounds")
            total = total + weight[..., None] * values
    return total


def in_time(x: jax.Array, places: jax.Array) -> jax.Array:
    """[batch, step, channel] of series x [batch, time, channel] at places [batch, step] within [0, time - 1]."""
    batch, time, channels = x.shape
    low = jnp.clip(jnp.floor(places), 0, max(time - 2, 0))
    after = (places - low)[..., None]
    flat = x.reshape(batch * time, channels)
    place = low.astype(jnp.int32) + (jnp.arange(batch, dtype=jnp.int32) * time)[:, None]
    step = min(1, time - 1)
    here, there = (flat.at[place + k].get(mode="promise_in_bounds") for k in (0, step))
    return here + after * (there - here)
