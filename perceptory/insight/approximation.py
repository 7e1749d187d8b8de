"""How the error of approximation falls with the number of neurons [E14], and of fixed basis functions [E15]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.data import read_table
from perceptory.errors import InputError
from perceptory.insight.approximation_curves import ApproximationStudy
from perceptory.layers.arrays import Shape
from perceptory.layers.base import Fixed, fixed_number
from perceptory.networks.base import Network
from perceptory.objectives.table import DEFAULT_COST
from perceptory.optimizers.base import Optimizer
from perceptory.optimizers.first_order import Adam
from perceptory.optimizers.schedules import Cosine
from perceptory.selection.plans import Folds
from perceptory.selection.search import choice
from perceptory.specs import checked, count, positive, traced
from perceptory.studies.study import Study


def ridge_function(inputs: int, terms: int = 64, steepness: float = 6.0, seed: int = 0) -> Callable[..., Any]:
    """f(x) = Σ_m a_m tanh(s (u_m · x - c_m)) on [-1, 1]^p, with unit vectors u_m, a_m and c_m drawn at random.

    A sum of ridge functions: its first Fourier moment is finite and does not grow with p, which is what [E14] asks for.
    Returns x [row, p] -> [row].
    """
    random = np.random.default_rng([seed, inputs])
    u = random.normal(size=(inputs, terms))
    u /= np.linalg.norm(u, axis=0)
    a, c = random.normal(size=terms) / terms**0.5, random.uniform(-0.6, 0.6, terms)
    return lambda x: np.tanh(steepness * (x @ u - c)) @ a


def cosine_basis(x: np.ndarray, terms: int) -> np.ndarray:
    """[row, term] products of cosines Π_i cos(k_i π (x_i + 1)/2) on [-1, 1]^p, in order of increasing frequency."""
    p = x.shape[1]
    most = 1
    while (most + 1) ** p < terms * p + 1 and most < terms:  # enough whole numbers a side for the lowest frequencies
        most += 1
    sides = range(min(terms, max(most, 2) + 1))
    indices = sorted(product(sides, repeat=p) if len(sides) ** p <= 1 << 20 else _sparse(p), key=_frequency)[:terms]
    columns = [
        np.prod([np.cos(k * np.pi * (x[:, i] + 1) / 2) for i, k in enumerate(ks) if k], axis=0) for ks in indices
    ]
    return np.stack([np.broadcast_to(column, len(x)) for column in columns], axis=1)


def _frequency(ks: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return sum(k * k for k in ks), ks


def _sparse(p: int) -> list[tuple[int, ...]]:
    """Multi-indices of many inputs with at most two nonzero entries: no others are among the lowest frequencies."""
    indices = [(0,) * p]
    for i in range(p):
        for k in (1, 2):
            indices.append(tuple(k if n == i else 0 for n in range(p)))
        indices += [tuple(1 if n in (i, j) else 0 for n in range(p)) for j in range(i)]
    return indices


# --- the networks: one shape for every h, so that all of them are one group of one study ---------------------------


class _NeuronsModule(eqx.Module):
    hidden: jax.Array
    hidden_bias: jax.Array
    output: jax.Array
    bias: jax.Array
    used: Fixed
    takes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        v = jnp.tanh(x @ self.hidden + self.hidden_bias)
        here = jnp.arange(self.output.shape[0]) < self.used.value
        return jnp.where(here, v, 0) @ self.output + self.bias


@dataclass(frozen=True)
class _Neurons(Network):
    """One hidden layer of tanh of which the first `used` neurons count: a traced number, so that any number of neurons
    is the same program. It lives in one study here and in no file."""

    width: int = checked(32, check=count)
    used: float = traced(32.0, check=positive)

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Any:
        p, out = inputs[0], outputs[0]
        drawn = jax.random.uniform(key, ((p + 1) * self.width + self.width * out,), minval=-1, maxval=1)
        # Where neurons bend is spread over the inputs' range (as Nguyen & Widrow 1990 do it).
        hidden, bias, output = jnp.split(drawn, [p * self.width, (p + 1) * self.width])
        scale = (6 / (jnp.asarray(self.used) + out)) ** 0.5
        return _NeuronsModule(
            hidden.reshape(p, self.width), 2 * bias, scale * output.reshape(self.width, out),
            jnp.zeros(out, drawn.dtype), fixed_number(self.used),
        )  # fmt: skip

    @property
    def label(self) -> str:
        used = f"{self.used:g}" if isinstance(self.used, float) else str(self.used)
        return f"{used} of {self.width} neurons"

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self.width


def approximation_study(
    function: Callable[[int], Callable[..., Any]] = ridge_function,
    *,
    neurons: Sequence[int] = (1, 2, 4, 8, 16, 32),
    inputs: Sequence[int] = (1, 2, 4, 8),
    rows: int = 2000,
    starts: int = 3,
    epochs: int = 300,
    optimizer: Optimizer | None = None,
    seed: int = 0,
) -> ApproximationStudy:
    """[E14] against [E15], measured: J of a one-hidden-layer network of h tanh neurons, all weights trained, and of h
    fixed product cosines whose linear weights are fitted by least squares, over h and the input dimension p.

    Barron (1993): the network can reach J = O(1/h) whatever p is; a fixed basis O(1/h^(2/p)) at best, for the worst
    function of the class. J is the mean squared error as a share of the function's variance, on points that were not
    fitted (another third of `rows`); for the network, the best of `starts` counts. Slopes over few h are not yet those
    of the limit: in many dimensions the first neurons gain little. All networks are members of one study: each uses
    the first h neurons of the widest network and the first p of the inputs, and each p is a fold.

    function: takes p and returns a function x [row, p] in [-1, 1] -> [row]; by default a sum of ridge functions.
    neurons: the values of h.
    inputs: the values of p.
    rows: points to fit, for each p.
    starts: networks trained for each h and p, from different random weights.
    epochs: of every network.
    optimizer: by default Adam with a cosine schedule.
    seed: of the points and the weights.

    Raises `InputError` for numbers that make no study.
    """
    hs, ps = sorted(set(neurons)), sorted(set(inputs))
    for name, values in (("neurons", hs), ("inputs", ps)):
        if not values:
            raise InputError(f"{name} needs at least one whole number, got {values!r}. Example: {name}=(1, 2, 4)")
        for value in values:
            count(name, value)
    for name, value, least in (("rows", rows, 12), ("starts", starts, 1), ("epochs", epochs, 1)):
        count(name, value, least)
    x, y, folds = _points(function, ps, rows, seed)
    columns = {f"x{i + 1}": x[:, i] for i in range(ps[-1])} | {"y": y}
    plan = Folds(tuple((tuple(a.tolist()), tuple(b.tolist())) for a, b in folds))
    study = Study(
        _Neurons(hs[-1], choice(*map(float, hs)) if len(hs) > 1 else float(hs[0])),
        optimizer=optimizer or Adam(Cosine(2e-2)), epochs=epochs, patience=0, seeds=starts, test=0, seed=seed,
        validation=plan, batch_size=max(1, rows // 20), score="mse",
    )  # fmt: skip
    result = study.run(read_table(columns, "y"))
    networks: list[Any] = [c.network for c in study.candidates(DEFAULT_COST["regression"])]
    searched = [hs.index(int(network.used)) for network in networks]
    place = dict(zip(sorted(c.id for c in result.candidates), searched, strict=True))  # ids count the candidates
    errors = np.full((len(ps), len(hs), starts), np.nan)
    variance = np.array([y[b].var() for _, b in folds])
    for m in result.members:
        errors[m.fold, place[m.candidate], m.seed] = m.score / variance[m.fold]
    basis = np.array([_basis_errors(x[:, :p], y, fold, hs) for p, fold in zip(ps, folds, strict=True)])
    return ApproximationStudy(np.array(hs), np.array(ps), np.nanmin(errors, axis=2), basis, errors)


def _points(
    function: Callable[..., Any], ps: list[int], rows: int, seed: int
) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """(x [row, most inputs], y [row], rows to fit and to judge for each p); inputs beyond p are 0."""
    random = np.random.default_rng(seed)
    each = rows + rows // 3
    x, y, folds = np.zeros((each * len(ps), ps[-1])), np.zeros(each * len(ps)), []
    for i, p in enumerate(ps):
        here = np.arange(i * each, (i + 1) * each)
        x[here, :p] = random.uniform(-1, 1, (each, p))
        y[here] = np.asarray(function(p)(x[here, :p]), float).reshape(each)
        folds.append((here[:rows], here[rows:]))
    return x, y, folds


def _basis_errors(x: np.ndarray, y: np.ndarray, fold: Any, hs: list[int]) -> list[float]:
    """J of the first h cosines, on the rows to judge. The constant does not count, nor does the network's bias."""
    fit, judge = fold
    columns = cosine_basis(x, hs[-1] + 1)
    errors = []
    for h in hs:
        used = columns[:, : h + 1]
        weights = np.linalg.lstsq(used[fit], y[fit], rcond=None)[0]
        errors.append(float(np.mean((used[judge] @ weights - y[judge]) ** 2) / y[judge].var()))
    return errors
