"""Parts of an example hidden in training, so that they have to be told from the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.augmentation.base import About, Augmentation
from perceptory.errors import InputError
from perceptory.specs import below_one, checked, count, flag, is_on, traced


@dataclass(frozen=True)
class Masking(Augmentation):
    """Columns of a table, patches of images or stretches of series become the training mean in each step anew.

    For autoencoders it is what makes them denoising (Vincent et al. 2010) or masked (Devlin et al. 2019; He et al.
    2022): the hidden part is to be given back. For other networks it is dropout of inputs by columns or patches.

    share: the probability that a column, patch or stretch is hidden.
    patch: the side of a square of pixels, or the steps of a stretch, that are hidden together.
    only: whether the cost counts what is hidden alone; for autoencoders.
    """

    kinds: ClassVar[tuple[str, ...]] = ("table", "series", "image", "array")
    share: float = traced(0.3, off=0.0, check=below_one)
    patch: int = checked(1, check=count)
    only: bool = checked(False, check=flag)

    def apply(self, x: jax.Array, t: jax.Array, lengths: Any, about: About, key: jax.Array) -> tuple[Any, Any]:
        if not is_on(self.share):
            return x, t
        if x.ndim == 2:
            columns = np.asarray(about.columns or range(x.shape[1]))
            drawn = self._drawn(key, len(x), 1 + int(columns.max()))
            hidden = drawn[:, columns]
            back = drawn[:, np.asarray(about.target_columns)] if about.target_columns else hidden
        else:
            places = x.shape[1:-1]
            blocks = [-(-n // self.patch) for n in places]
            hidden = self._drawn(key, len(x), *blocks)
            for axis, n in enumerate(places, start=1):
                hidden = jnp.take(hidden, np.arange(n) // self.patch, axis=axis)
            hidden = jnp.broadcast_to(hidden[..., None], x.shape)
            back = hidden
        t = jnp.where(back.reshape(t.shape), t, jnp.nan) if self.only else t
        return jnp.where(hidden, 0, x), t

    def _drawn(self, key: jax.Array, *shape: int) -> jax.Array:
        return jax.random.uniform(key, shape) < self.share

    def check(self, kind: str, task: str) -> None:
        super().check(kind, task)
        if self.only and task != "autoencode":
            raise InputError(
                f"only=True counts the reconstruction of what is hidden alone, and the task is {task}. Use only=False."
            )

    @property
    def label(self) -> str:
        patch = f" by {self.patch}" if self.patch > 1 else ""
        return f"mask {self.share:.3g}{patch}" + (", hidden part alone" if self.only else "")
