"""What second-order optimizers are made of: a landscape to go down, damped steps, line searches. Pure, for one member.

Every loop ends at once for a member that is not `active`, so that in a mapped population nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from perceptory.ops.cholesky import damped

ARMIJO = 1e-4  # share of the fall that the slope promises which a step must bring (Nocedal & Wright 2006, 3.1)
WOLFE = 0.9  # share of the slope that may be left after a step
LARGEST = 1e12  # damping, in shares of the largest curvature: a step this short changes nothing


class Landscape(NamedTuple):
    """A function J of a vector w [n], as an optimizer sees it.

    value(w) -> J. slope(w) -> (J, ∇J). gauss_newton(w), hessian(w) -> (J, ∇J, H [n, n]): H of Gauss and Newton, which
    is positive semidefinite, or the exact one. examples: how many residuals J is the half mean square of, or None where
    it is no squared error; the mean is over rows, the squares are summed over outputs. active: False lets nothing move.
    """

    value: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    gauss_newton: Callable[[Any], Any]
    hessian: Callable[[Any], Any]
    rows: Any = 1
    residuals: Any = None
    active: Any = True


class Moved(NamedTuple):
    """Where an iteration ended. settled: it found no way further down, and neither will the next."""

    w: Any
    cost: Any
    state: Any
    settled: Any


def trusted(
    landscape: Landscape,
    w: jax.Array,
    at: tuple[Any, Any, Any],
    damping: jax.Array,
    scale: Any,
    factor: Any,
    trials: int,
) -> tuple[Any, Any, Any, Any]:
    """Levenberg's and Marquardt's step: w - (H + μ D)⁻¹ ∇J with the first of rising values of μ that lowers J.

    at: (J, ∇J, H) at w. damping: μ to begin with. scale: D, a number or [n]. Returns (w, J, the next μ, whether a step
    was taken). After a step μ is multiplied by 1 - (2ρ - 1)³, at least by 1 / `factor`, where ρ is the fall of J over
    that of its quadratic model; for a step that is refused by 2, 4, 8 ... (Nielsen 1999). Against a fixed factor that
    halves the trials. A factorization that fails counts as a step that is refused.
    """
    cost, gradient, curvature = at

    def attempt(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        tried, best, lowest, mu, rise, _ = carry
        step = damped(curvature, mu * scale, -gradient, go_on(carry))
        new = w + step
        value = landscape.value(new)
        good = value < lowest  # False where it is not a number
        ratio = (value - cost) / (step @ (gradient + 0.5 * curvature @ step))
        mu = mu * jnp.where(good, jnp.maximum(1 / factor, 1 - (2 * ratio - 1) ** 3), rise)
        return tried + 1, jnp.where(good, new, best), jnp.where(good, value, lowest), mu, 2 * rise, good

    def go_on(carry: tuple[Any, ...]) -> Any:
        tried, _, _, mu, _, good = carry
        return (tried < trials) & ~good & (mu < LARGEST) & landscape.active

    first = (jnp.int32(0), w, cost, damping, jnp.full_like(damping, 2), jnp.asarray(False))
    _, best, lowest, mu, _, good = jax.lax.while_loop(go_on, attempt, first)
    smallest = jnp.finfo(damping.dtype).eps ** 2
    return best, lowest, jnp.clip(mu, smallest, LARGEST), good


def downhill(
    curvature: jax.Array, gradient: jax.Array, shift: jax.Array, active: Any = True
) -> tuple[jax.Array, jax.Array]:
    """(-(H + τ)⁻¹ ∇J, τ) with the first τ of 0, `shift`, 10 `shift` ... with which H + τ is positive definite."""
    size = jnp.max(jnp.abs(jnp.diagonal(curvature)))
    least = jnp.where(size > 0, size, 1) * len(gradient) * jnp.finfo(curvature.dtype).eps

    def attempt(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        tried, tau, _ = carry
        tau = jnp.where(tried == 0, 0, jnp.maximum(jnp.where(tried == 1, shift, 10 * tau), least))
        return tried + 1, tau, damped(curvature, tau, -gradient, go_on(carry))

    def go_on(carry: tuple[Any, ...]) -> Any:
        tried, _, step = carry
        return (tried < 40) & ~(jnp.all(jnp.isfinite(step)) & (step @ gradient <= 0)) & active

    first = (jnp.int32(0), shift, jnp.full_like(gradient, jnp.nan))
    _, tau, step = jax.lax.while_loop(go_on, attempt, first)
    return step, tau


def backtracked(landscape: Landscape, w: Any, cost: Any, gradient: Any, step: Any, most: int) -> tuple[Any, Any, Any]:
    """(w + s·step, J there, whether there is such an s) with s = 1, ½, ¼ ...: the first whose fall is Armijo's."""
    slope = gradient @ step

    def attempt(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        tried, s, best, lowest, _ = carry
        new = w + s * step
        value = landscape.value(new)
        good = (value <= cost + ARMIJO * s * slope) & (value < cost)
        return tried + 1, s / 2, jnp.where(good, new, best), jnp.where(good, value, lowest), good

    def go_on(carry: tuple[Any, ...]) -> Any:
        tried, _, _, _, good = carry
        return (tried < most) & ~good & landscape.active

    first = (jnp.int32(0), jnp.ones_like(cost), w, cost, jnp.asarray(False))
    _, _, best, lowest, good = jax.lax.while_loop(go_on, attempt, first)
    return best, lowest, good


def searched(
    landscape: Landscape, w: Any, cost: Any, gradient: Any, step: Any, first: Any, most: int
) -> tuple[Any, Any, Any, Any]:
    """(w + s·step, J and ∇J there, whether J fell enough) for an s of Wolfe's conditions, by halving and doubling.

    first: s to begin with. Lewis & Overton 2013: an interval whose lower end falls enough and still goes down steeply,
    and whose upper end does not fall enough. Where the trials run out, the lowest point that fell enough counts.
    """
    slope = gradient @ step

    def attempt(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        tried, s, low, high, best, _ = carry
        new = w + s * step
        value, steepness = landscape.slope(new)
        fell = (value <= cost + ARMIJO * s * slope) & (value < cost)
        flat = fell & (steepness @ step >= WOLFE * slope)
        low, high = jnp.where(fell, s, low), jnp.where(fell, high, s)
        take = fell & (value < best[1])
        best = jax.tree.map(lambda a, b: jnp.where(take, a, b), (new, value, steepness), best)
        s = jnp.where(jnp.isfinite(high), (low + high) / 2, 2 * low)
        return tried + 1, s, low, high, best, flat

    def go_on(carry: tuple[Any, ...]) -> Any:
        return (carry[0] < most) & ~carry[-1] & landscape.active

    zero, infinite = jnp.zeros_like(cost), jnp.full_like(cost, jnp.inf)
    begin = (jnp.int32(0), first, zero, infinite, (w, cost, gradient), jnp.asarray(False))
    *_, (best, lowest, steepness), _ = jax.lax.while_loop(go_on, attempt, begin)
    return best, lowest, steepness, lowest < cost


def derivatives(function: Callable[..., Any], x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(f(x) [m], ∂f/∂x [m, n]) of x [n]: backwards, a pass an output, or forwards, a pass an input, whichever are fewer
    and possible: functions with backward rules of their own cannot go forwards."""
    count = jax.eval_shape(function, x).size
    if count > x.size and _forwards(function, x):
        value, push = jax.linearize(function, x)
        return value, jax.vmap(push, out_axes=1)(jnp.eye(x.size, dtype=x.dtype))
    value, back = jax.vjp(function, x)
    if count == 1:
        return value, back(jnp.ones_like(value))[0][None]
    return value, jax.vmap(lambda d: back(d)[0])(jnp.eye(count, dtype=value.dtype))


def second(gradient: Callable[..., Any], x: jax.Array) -> jax.Array:
    """The Jacobian [n, n] of a gradient: forwards, or backwards where the function has backward rules of its own."""
    return jax.jacfwd(gradient)(x) if _forwards(gradient, x) else jax.jacrev(gradient)(x)


def traceable(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether JAX can trace it. Rules of one's own for derivatives or for mapping may stop it, in several ways."""
    try:
        jax.eval_shape(function, *arguments)
    except (TypeError, NotImplementedError, ValueError, AssertionError):
        return False
    return True


def _forwards(function: Callable[..., Any], x: Any) -> bool:
    return traceable(lambda v: jax.vmap(lambda t: jax.jvp(function, (v,), (t,))[1])(v[None]), x)
