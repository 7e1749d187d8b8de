"""Second-order optimizers for small networks [E22], [E23]: an iteration takes all rows, goes down or stands still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.ops.cholesky import shifted, trace_of_inverse
from perceptory.optimizers.base import Optimizer
from perceptory.optimizers.descent import (
    LARGEST,
    Landscape,
    Moved,
    backtracked,
    downhill,
    searched,
    trusted,
)
from perceptory.registry import Registry
from perceptory.specs import checked, count, not_negative, positive, traced


def above_one(name: str, value: Any) -> None:
    positive(name, value)
    if value <= 1:
        raise InputError(f"{name} needs a number above 1, got {value!r}. Example: {name}=3.0")


class SecondOrder(Optimizer):
    """Base of optimizers that see the whole cost at once: one epoch is one iteration over all training rows.

    matrix: which matrix [n, n] it takes: "gauss_newton", "hessian", or None. evidence: whether it chooses a penalty.
    """

    precision: ClassVar[str] = "double"
    matrix: ClassVar[str | None] = "gauss_newton"
    evidence: ClassVar[bool] = False

    @property
    def learning_rate(self) -> Any:
        return 1.0

    @property
    def label(self) -> str:
        return type(self).__name__

    def step_rows(self, batch: int, rows: int) -> int:
        return rows

    def begin(self, w: Any) -> Any:
        """The state before the first iteration, from w [n]."""
        raise NotImplementedError

    def iterate(self, landscape: Landscape, w: Any, state: Any) -> Moved:
        """One iteration from w [n]."""
        raise NotImplementedError


SCALES: Registry[str] = Registry(
    "scale of damping", {"identity": "Levenberg's: H + μ 1", "diagonal": "Marquardt's: H + μ diag H"}
)


class Damping(NamedTuple):
    """What Levenberg-Marquardt carries: μ, and the largest diagonal of H so far [n]."""

    mu: Any
    scale: Any


@dataclass(frozen=True)
class LevenbergMarquardt(SecondOrder):
    """[E23] with adaptive damping: w ← w - (JᵀJ + μ D)⁻¹ Jᵀr (Levenberg 1944, Marquardt 1963).

    r [row] are the residuals y - t times the square root of the row's share of the cost, and J their derivatives by the
    weights; so JᵀJ is of the order of 1 for scaled data. For other costs JᵀJ is Jᵀ C J, C being the cost's curvature by
    the outputs (generalized Gauss-Newton, Schraudolph 2002). A weight penalty is part of both.

    damping: the first μ. factor: the most by which μ falls after a step (Nielsen 1999); it rises by 2, 4, 8 ... for
    a step that would not lower the cost and is therefore not taken. trials: most values of μ in one iteration.
    scale: D, "identity" (Levenberg) or "diagonal" (Marquardt: the largest diagonal of JᵀJ so far, Moré 1978), with
    which the units of the weights do not matter.
    """

    damping: float = traced(1e-3, check=positive, log=True)
    factor: float = traced(3.0, check=above_one)
    trials: int = checked(10, check=count)
    scale: str = checked("identity", check=lambda _, value: SCALES[value])

    def begin(self, w: Any) -> Damping:
        return Damping(jnp.asarray(self.damping, w.dtype), jnp.zeros_like(w) if self.scale == "diagonal" else ())

    def iterate(self, landscape: Landscape, w: Any, state: Damping) -> Moved:
        at = landscape.gauss_newton(w)
        scale: Any = 1.0
        if self.scale == "diagonal":
            state = state._replace(scale=jnp.maximum(state.scale, jnp.diagonal(at[2])))
            scale = jnp.where(state.scale > 0, state.scale, 1)
        w, cost, mu, good = trusted(landscape, w, at, state.mu, scale, self.factor, self.trials)
        return Moved(w, cost, state._replace(mu=mu), ~good & (mu >= LARGEST))


class _LineSearched(SecondOrder):
    """A step from a matrix made positive definite, then as long as it lowers the cost enough."""

    halvings: int

    def begin(self, w: Any) -> Any:
        return jnp.zeros((), w.dtype)

    def _step(self, landscape: Landscape, w: Any, at: Any, shift: Any) -> Moved:
        cost, gradient, curvature = at
        step, shift = downhill(curvature, gradient, shift / 10, landscape.active)
        new, lowest, good = backtracked(landscape, w, cost, gradient, step, self.halvings)
        return Moved(new, lowest, shift, ~good)


@dataclass(frozen=True)
class GaussNewton(_LineSearched):
    """[E23] undamped: w ← w - s (JᵀJ)⁻¹ Jᵀr, s = 1, ½ ... by Armijo's condition, JᵀJ as in `LevenbergMarquardt`.

    Where JᵀJ is singular, which it often is for networks, the least multiple of 1 that mends it is added; but then
    `LevenbergMarquardt` is the better choice. halvings: most lengths s to try.
    """

    halvings: int = checked(30, check=count)

    def iterate(self, landscape: Landscape, w: Any, state: Any) -> Moved:
        return self._step(landscape, w, landscape.gauss_newton(w), state)


@dataclass(frozen=True)
class Newton(_LineSearched):
    """[E22] w ← w - s (H + τ)⁻¹ ∇J with the exact Hessian; τ = 0 where H is positive definite, else the first of rising
    values with which it is; s = 1, ½, ¼ ... by Armijo's condition (Nocedal & Wright 2006, 3.4).

    halvings: most lengths s to try.
    """

    halvings: int = checked(30, check=count)
    matrix: ClassVar[str | None] = "hessian"

    def iterate(self, landscape: Landscape, w: Any, state: Any) -> Moved:
        return self._step(landscape, w, landscape.hessian(w), state)


class Memory(NamedTuple):
    """What L-BFGS carries: the last steps and changes of gradient [memory, n], newest last; J and ∇J here."""

    steps: Any
    changes: Any
    cost: Any
    gradient: Any


@dataclass(frozen=True)
class LBFGS(SecondOrder):
    """Quasi-Newton with limited memory (Liu & Nocedal 1989): the inverse Hessian from the last `memory` steps, and a
    line search for Wolfe's conditions. No matrix is formed, so it goes with larger networks and in single precision.

    trials: most points that a line search looks at. The first iteration only looks at the start and does not move.
    """

    memory: int = checked(10, check=count)
    trials: int = checked(20, check=count)
    precision: ClassVar[str] = "single"
    matrix: ClassVar[str | None] = None

    def begin(self, w: Any) -> Memory:
        none = jnp.zeros((self.memory, *w.shape), w.dtype)
        return Memory(none, none, jnp.asarray(jnp.inf, w.dtype), jnp.zeros_like(w))

    def iterate(self, landscape: Landscape, w: Any, state: Memory) -> Moved:
        step = -two_loops(state)
        empty = ~jnp.any(state.changes[-1] != 0)
        norm = jnp.sqrt(jnp.sum(state.gradient**2))
        first = jnp.where(empty, 1 / jnp.maximum(norm, 1), 1).astype(w.dtype)
        new, cost, gradient, good = searched(landscape, w, state.cost, state.gradient, step, first, self.trials)
        change, moved = gradient - state.gradient, new - w
        bends = good & (moved @ change > 0)  # else it is no minimum that they tell of

        def remember(old: Any, latest: Any) -> Any:
            kept = jnp.where(bends, jnp.concatenate([old[1:], latest[None]]), old)
            return jnp.where(good, kept, 0)  # after a search in vain: from the gradient alone

        memory = Memory(remember(state.steps, moved), remember(state.changes, change), cost, gradient)
        return Moved(new, cost, memory, ~good & empty)  # in vain along the gradient: nothing is left to try


def two_loops(memory: Memory) -> Any:
    """L-BFGS's inverse Hessian times the gradient (Nocedal & Wright 2006, algorithm 7.4). Empty places do nothing."""
    s, y = memory.steps, memory.changes
    products = jnp.sum(s * y, axis=1)
    rho = jnp.where(products > 0, 1 / jnp.where(products > 0, products, 1), 0)

    def back(q: Any, pair: Any) -> tuple[Any, Any]:
        s, y, rho = pair
        share = rho * (s @ q)
        return q - share * y, share

    def on(q: Any, pair: Any) -> tuple[Any, None]:
        s, y, rho, share = pair
        return q + s * (share - rho * (y @ q)), None

    q, shares = jax.lax.scan(back, memory.gradient, (s, y, rho), reverse=True)
    size = jnp.sum(y[-1] ** 2)
    q = q * jnp.where(size > 0, products[-1] / jnp.where(size > 0, size, 1), 1)
    return jax.lax.scan(on, q, (s, y, rho, shares))[0]


class Evidence(NamedTuple):
    """What Bayesian regularization carries: μ; α / β, by which the squared weights count; γ; α; β."""

    mu: Any
    ratio: Any
    gamma: Any
    alpha: Any
    beta: Any


@dataclass(frozen=True)
class BayesianRegularization(SecondOrder):
    """Levenberg-Marquardt on ½ β Σr² + ½ α Σw², with α and β that make the data most likely (MacKay 1992, Foresee &
    Hagan 1997).

    Before each step γ = n - α tr (β JᵀJ + α)⁻¹ is the effective number of the n weights, then α = γ / Σw² and
    β = (N - γ) / Σr² of N residuals. All that is trained is penalized, biases as well. For likelihoods (cross-entropy)
    β is 1. It needs no validation rows to stop it and no other penalty; with validation rows its best epoch counts.

    damping, factor, trials: as in `LevenbergMarquardt`. alpha: to begin with, with β = 1. What the last iteration of a
    run found, γ, α and β for scaled targets, stands in `MemberResult.facts`.
    """

    damping: float = traced(1e-3, check=positive, log=True)
    factor: float = traced(3.0, check=above_one)
    trials: int = checked(10, check=count)
    alpha: float = traced(1e-2, check=not_negative)
    evidence: ClassVar[bool] = True

    def begin(self, w: Any) -> Evidence:
        alpha = jnp.asarray(self.alpha, w.dtype)
        one = jnp.ones((), w.dtype)
        return Evidence(jnp.asarray(self.damping, w.dtype), alpha, one * w.size, alpha, one)

    def diagnostics(self, state: Evidence) -> dict[str, Any]:
        return {"effective_weights": state.gamma, "alpha": state.alpha, "beta": state.beta}

    def iterate(self, landscape: Landscape, w: Any, state: Evidence) -> Moved:
        cost, gradient, curvature = landscape.gauss_newton(w)  # of the mean over rows: Σr² is 2 rows J
        rows = landscape.rows
        share = state.ratio / rows
        gamma = w.size - share * trace_of_inverse(curvature, share, landscape.active)
        gamma = jnp.where(jnp.isfinite(gamma), jnp.clip(gamma, 0, w.size), state.gamma)
        squares = jnp.sum(w**2)
        alpha = gamma / jnp.where(squares > 0, squares, 1)
        if landscape.residuals is None:
            beta = jnp.ones_like(cost)
        else:
            free = jnp.maximum(landscape.residuals - gamma, 1)
            beta = free / jnp.maximum(2 * rows * cost, jnp.finfo(w.dtype).tiny * rows)
        ratio = alpha / beta
        share = ratio / rows

        def penalized(w: Any) -> Any:
            return landscape.value(w) + 0.5 * share * jnp.sum(w**2)

        here = (cost + 0.5 * share * squares, gradient + share * w, shifted(curvature, share))
        penalized_landscape = landscape._replace(value=penalized)
        new, lowest, mu, good = trusted(penalized_landscape, w, here, state.mu, 1.0, self.factor, self.trials)
        stuck = ~good & (mu >= LARGEST)
        mu = jnp.where(stuck, jnp.asarray(self.damping, mu.dtype), mu)
        cost = lowest - 0.5 * share * jnp.sum(new**2)
        same = jnp.abs(ratio - state.ratio) <= 1e-12 * ratio
        evidence = Evidence(mu, ratio, gamma, alpha, beta)
        kept = jax.tree.map(lambda new, old: jnp.where(landscape.active, new, old), evidence, state)
        return Moved(new, cost, kept, stuck & same)
