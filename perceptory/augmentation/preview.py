"""What augmentation makes of examples, in their own units: to judge by eye whether it is realistic."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from perceptory import backend
from perceptory.augmentation.base import About, Augmentation, augmented, parts, varying
from perceptory.errors import InputError
from perceptory.specs import count, is_plain


class _Batch(tuple[Any, ...]):
    """x, t and lengths, as `augmented` takes them."""

    x = property(lambda self: self[0])
    t = property(lambda self: self[1])
    lengths = property(lambda self: self[2])

    def _replace(self, x: Any, t: Any) -> _Batch:
        return _Batch((x, t, self[2]))


def preview(augmentation: Any, inputs: Any, *, times: int = 1, lengths: Any = None, seed: int = 0) -> np.ndarray:
    """[times, n, *shape]: the inputs [n, *shape] as training steps would see them, each time anew, in their own units.

    augmentation: one or a tuple of several, without search values. Strengths in standard deviations take those of these
    inputs. lengths: [n] steps of series. Raises `InputError` for inputs that do not have the axes of the augmentation's
    kind of data: images [n, height, width, channel], series [n, time, channel], tables [n, in].
    """
    x = np.asarray(inputs, float)
    count("times", times)
    for one in parts(augmentation):
        if not isinstance(one, Augmentation):
            raise InputError(f"preview needs an augmentation, got {one!r}. Example: ImageAugmentation(shift=2)")
        for f in fields(one):
            if not is_plain(getattr(one, f.name)):
                raise InputError(f"preview needs one value of {f.name}, got {getattr(one, f.name)!r}.")
        axes = sorted({AXES[kind] for kind in one.kinds})
        if x.ndim not in axes or not x.size:
            raise InputError(f"{type(one).__name__} needs inputs of {axes[0]} axes, got the shape {x.shape}.")
    each = tuple(range(x.ndim - 1))
    center, scale = np.nanmean(x, axis=each), np.nanstd(x, axis=each)
    factor = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), 0)
    with backend.precision("single") as dtype:
        import jax
        import jax.numpy as jnp

        scaled = jnp.asarray(np.nan_to_num((x - center) * factor), dtype)
        about = About(
            jnp.asarray(varying(enumerate(np.moveaxis(x, -1, 0)), x.shape[-1]), dtype),
            jnp.asarray(-center * factor, dtype),
        )
        steps = None if lengths is None else jnp.asarray(lengths, jnp.int32)
        batch = _Batch((scaled, jnp.zeros((len(x), 1), dtype), steps))
        keys = jax.random.split(jax.random.key(seed), times)
        changed = jax.jit(jax.vmap(lambda key: augmented(augmentation, batch, about, key).x))(keys)
    return np.asarray(changed, float) * scale + center


AXES = {"table": 2, "array": 2, "series": 3, "image": 4}
