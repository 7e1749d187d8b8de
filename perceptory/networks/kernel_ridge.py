"""Kernel ridge regression: a kernel neuron at every training row, solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.later import later
from perceptory.layers.arrays import Shape
from perceptory.networks.for_tables import ForTables
from perceptory.registry import Registry
from perceptory.specs import checked, count, is_plain, positive, traced

if TYPE_CHECKING:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from perceptory.layers import kernel as layers
    from perceptory.layers import tabular
    from perceptory.ops import cholesky
    from perceptory.ops import kernel_ridge as solving
else:
    eqx, jax, jnp = later("equinox", "jax", "jax.numpy")
    layers, tabular = later("perceptory.layers.kernel", "perceptory.layers.tabular")
    cholesky, solving = later("perceptory.ops.cholesky", "perceptory.ops.kernel_ridge")

KERNELS: Registry[str] = Registry(
    "kernel",
    {
        "laplacian": "exp(-Σ |x - c| / s), rough, and each column by itself",
        "exponential": "exp(-√Σ ((x - c) / s)²), rough, and alike in all directions",
        "gaussian": "exp(-½ Σ ((x - c) / s)²), smooth",
    },
)
SCALINGS: Registry[str] = Registry(
    "scaling of columns",
    {"quantiles": "the place among the training rows", "standard": "mean 0, deviation 1"},
)
EDGES = 32  # bins of columns by quantiles
IN_HAND = 512  # distances of a row at a time, as in kernel_ridge.cc
LEFT_OUT = 256  # rows by which outputs are calibrated
NEWTON, PRIOR = 15, 1e-2  # steps of the calibration, and what pulls it to leaving outputs as they are


@dataclass(frozen=True)
class KernelRidge(ForTables):
    """Kernel ridge regression for tables: y = Σ_c k(x, c) α_c + x W + b, with a kernel neuron c at every training row.

    The widths s of the kernel, one a column of the table, its share and that of the linear part, and the ridge are
    those that make training rows likeliest, some hundreds of them at each step (a Gaussian process with relevance of
    each input, Rasmussen & Williams 2006); α and W are then solved from all rows. Where the cost is that of classes,
    outputs are scaled and shifted so that rows which are left out, as far as there are any of others than these, cost
    least.

    centers: how many rows at most; of more a sample is all that it learns from. Time grows with their cube, and that of
        a prediction with their number.
    kernel: "laplacian" exp(-Σ|x - c|/s), "exponential" exp(-√Σ((x - c)/s)²) or "gaussian" exp(-½Σ((x - c)/s)²).
    inputs: how columns of numbers are scaled, by the training rows: "quantiles" or "standard".
    narrow: factor of 1/s beside what is likeliest. ridge: factor of the ridge.
    likely: how many rows each step of the likelihood is of.
    deviation: how far ln s is expected to lie from its mean over columns: the width of a Cauchy prior, without which
        hundreds of rows would find dozens of widths by chance.
    columns: of each input 0 for a number, -1 for a column of 0 and 1, n for the n-th column of categories, whose inputs
        share a width; a study fills it in from the table.
    """

    centers: int = checked(2000, check=count)
    kernel: str = checked("laplacian", check=lambda _, value: KERNELS[value])
    inputs: str = checked("quantiles", check=lambda _, value: SCALINGS[value])
    narrow: float = traced(1.0, check=positive, log=True)
    ridge: float = traced(1.0, check=positive, log=True)
    likely: int = checked(512, check=count)
    deviation: float = traced(0.5, check=positive, log=True)
    columns: tuple[int, ...] = ()

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> layers.KernelMachine:
        features, out = prod(inputs), prod(outputs)
        numbers, flags = self.parted(features)
        edges = jnp.tile(jnp.linspace(-1, 1, EDGES + 1), (len(numbers), 1)) if self.inputs == "quantiles" else None
        scaling = (
            tabular.ColumnScaling(jnp.zeros(len(numbers)), jnp.ones(len(numbers)), edges, None) if numbers else None
        )
        return layers.KernelMachine(
            scaling, jnp.ones(features) / features, jnp.zeros((self.centers, features)),
            jnp.zeros((self.centers, out)), jnp.zeros((features, out)), jnp.zeros(out), self.kernel, (numbers, flags),
            outputs,
        )  # fmt: skip

    def arrays(self, inputs: int, outputs: int) -> dict[str, Shape]:
        numbers = self.kinds(inputs).count(0)
        scaling = {"scaling.center": (numbers,), "scaling.factor": (numbers,)} if numbers else {}
        edges = {"scaling.edges": (numbers, EDGES + 1)} if numbers and self.inputs == "quantiles" else {}
        own = {"narrowness": (inputs,), "centers": (self.centers, inputs), "strengths": (self.centers, outputs)}
        return scaling | edges | own | {"weight": (inputs, outputs), "bias": (outputs,)}

    def for_rows(self, rows: int) -> KernelRidge:
        """Without centers that no row can fill: they would be computed and kept for nothing."""
        return self.replace(centers=min(self.centers, rows))

    def prime(self, module: layers.KernelMachine, rows: Any, *, key: jax.Array) -> layers.KernelMachine:
        """Scaling, widths and strengths from the training rows."""
        x, t, w = rows()
        x, t = x.reshape(len(x), -1), t.reshape(len(t), -1)
        if module.scaling is not None and module.scaling.edges is not None:
            edges = tabular.edges_of(x[:, jnp.array(module.places[0])], w, EDGES)
            module = eqx.tree_at(lambda m: m.scaling.edges, module, edges)
        one, two, three = jax.random.split(key, 3)
        kept = _some(w, self.centers, one)
        x, t, w = module.features(x[kept], judged=True), t[kept], tabular.evened(w[kept])
        mean = w @ t / jnp.sum(w)
        spread = jnp.sqrt(w @ jnp.mean((t - mean) ** 2, axis=1) / jnp.sum(w))
        spread = jnp.where(spread > 0, spread, 1)
        numbers = len(module.places[0])
        pairs = partial(layers.kernel_values, self.kernel, numbers=numbers)
        kernel = solving.Kernel(self.kernel, numbers, pairs)
        aims = getattr(rows, "aims", False)
        chosen = _some(w, LEFT_OUT, two) if aims else jnp.zeros(0, int)
        each = jax.random.split(three, solving.STEPS)
        learn = jax.vmap(lambda key: _some(w, self.likely, key, but=chosen if aims else None))(each)
        groups = self._groups(x.shape[1])
        start = _start(self.kernel, x.shape[1], groups).astype(x.dtype)
        narrow, ridge, deviation = (jnp.asarray(v, x.dtype) for v in (self.narrow, self.ridge, self.deviation))
        found = solving.kernel_ridge(
            kernel, x, (t - mean) / spread, w, learn, start, chosen, narrow, ridge, groups, deviation
        )  # fmt: skip
        size, shift = spread, mean
        if aims:
            slope, shift = _calibrated(found, mean, spread, w[chosen], lambda y: rows.cost(y, kept[chosen]))
            size = size * slope
        missing = self.centers - len(x)
        values = (
            found.narrowness, jnp.pad(x, ((0, missing), (0, 0))),
            jnp.pad(size * found.strengths, ((0, missing), (0, 0))), size * found.weight, shift,
        )  # fmt: skip
        dtype = module.bias.dtype
        return eqx.tree_at(
            lambda m: (m.narrowness, m.centers, m.strengths, m.weight, m.bias),
            module,
            [v.astype(dtype) for v in values],
        )

    def _groups(self, features: int) -> np.ndarray:
        """[feature] which of them share a width: those of one column of categories. Numbers stand first."""
        kinds = self.kinds(features)
        ordered = [kind for kind in kinds if not kind] + [kind for kind in kinds if kind]
        names = [(kind, 0 if kind > 0 else place) for place, kind in enumerate(ordered)]
        place = {name: k for k, name in enumerate(dict.fromkeys(names))}
        return np.array([place[name] for name in names])

    @property
    def kernels(self) -> tuple[str, ...]:
        return ("threefry", "columns", "kernel_ridge")

    @property
    def neurons(self) -> str:
        return self.kernel

    @property
    def solved(self) -> bool:
        return True

    @property
    def label(self) -> str:
        parts = [
            *([] if self.inputs == "quantiles" else [f"inputs {self.inputs}"]),
            *(
                f"{name} {value:g}"
                for name, value in (("narrow", self.narrow), ("ridge", self.ridge))
                if is_plain(value) and value != 1
            ),
        ]
        return ", ".join([f"kernel ridge, {self.kernel}", *parts])

    def solving(self, rows: int, members: int) -> int:
        """The matrix of all pairs of rows, with the ridge, its factor and the part in hand: of one member at a time."""
        return 4 * min(rows, self.centers) ** 2

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return min(self.centers, IN_HAND) + 2 * prod(inputs)


def _some(w: jax.Array, most: int, key: jax.Array, but: jax.Array | None = None) -> jax.Array:
    """Places of at most so many rows that count, ascending, those of `but` only where there are no others; where fewer
    count, of some that do not as well."""
    if len(w) <= most:
        return jnp.arange(len(w))
    score = jax.random.uniform(key, w.shape)
    if but is not None:
        score = 0.5 * score.at[but].add(-1.0) + 0.5
    score = score + (w > 0)
    return jnp.sort(jax.lax.top_k(score, most)[1])


def _start(kernel: str, features: int, groups: np.ndarray) -> jax.Array:
    """[group] logarithm of 1/s, of every feature alike: so that two rows have a distance of about 1."""
    power = 1.0 if kernel == "laplacian" else 0.5
    return jnp.full(groups.max() + 1, -power * jnp.log(features))


def _calibrated(
    found: solving.Solution, mean: jax.Array, spread: jax.Array, w: jax.Array, cost: Callable[[jax.Array], jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """A factor of what the function adds to the mean, and a shift [out] instead of the mean, with which rows that are
    left out cost least, by Newton's steps."""
    away = spread * found.left_out
    first = jnp.concatenate([jnp.ones(1, away.dtype), mean])

    def total(at: jax.Array) -> jax.Array:
        return w @ cost(at[0] * away + at[1:]) / jnp.sum(w) + PRIOR * jnp.sum((at - first) ** 2) / 2

    def step(_: int, at: jax.Array) -> jax.Array:
        # By XLA itself: for a few unknowns no kernel is worth compiling.
        curvature = cholesky.factorize(cholesky.shifted(jax.hessian(total)(at), 1e-4))
        move = cholesky.solve(curvature, jax.grad(total)(at)[:, None])[:, 0]
        new = at - jnp.clip(jnp.where(jnp.isfinite(move), move, 0), -1, 1)
        return jnp.where(total(new) < total(at), new, at)

    best = jax.lax.fori_loop(0, NEWTON, step, first)
    return best[0], best[1:]
