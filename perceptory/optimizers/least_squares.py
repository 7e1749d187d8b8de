"""Nonlinear least squares for any differentiable function of a few numbers, by the optimizers that train networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from perceptory import backend
from perceptory.catalog import OPTIMIZERS
from perceptory.errors import InputError
from perceptory.optimizers.descent import Landscape, derivatives, second
from perceptory.optimizers.second_order import LevenbergMarquardt, SecondOrder
from perceptory.registry import Registry
from perceptory.specs import combine, count, not_negative, partition

RUNNING, CONVERGED, OUT_OF_ITERATIONS, DIVERGED = range(4)
MESSAGES = {
    CONVERGED: ("converged", "no step lowers the cost by more than the tolerance"),
    OUT_OF_ITERATIONS: ("iterations", "the iterations ran out; start from x again, or allow more iterations"),
    DIVERGED: ("diverged", "cost or derivatives are not finite at the start; choose another start"),
}
METHODS: Registry[Callable[[], SecondOrder]] = Registry(
    "method",
    # Marquardt's scale: the units of what is fitted may differ by any factor, unlike the weights of a network.
    {
        "lm": lambda: LevenbergMarquardt(scale="diagonal"),
        **{name: OPTIMIZERS.entry(name) for name in ("gauss_newton", "newton", "lbfgs")},
    },
)


@dataclass(frozen=True)
class LeastSquares:
    """What `least_squares` found: x in the structure of the start, r(x) [m], ∂r/∂x [m, n], ½ Σr², iterations.

    status: "converged", "iterations" (they ran out) or "diverged"; message says it in words.
    """

    x: Any
    residuals: np.ndarray
    jacobian: np.ndarray
    cost: float
    iterations: int
    status: str
    message: str

    @property
    def gradient(self) -> np.ndarray:
        """Jᵀ r [n]."""
        return self.jacobian.T @ self.residuals

    @property
    def covariance(self) -> np.ndarray:
        """[n, n] of x: s² (JᵀJ)⁻¹ with s² = Σr² / (m - n), for residuals of one unknown deviation. Directions that the
        residuals do not see, and m <= n, give nan."""
        m, n = self.jacobian.shape
        _, sizes, directions = np.linalg.svd(self.jacobian, full_matrices=False)
        if m <= n or sizes[-1] <= sizes[0] * m * np.finfo(float).eps:
            return np.full((n, n), np.nan)
        return 2 * self.cost / (m - n) * (directions.T / sizes**2) @ directions

    @property
    def errors(self) -> np.ndarray:
        """[n] standard errors of x: the roots of the covariance's diagonal."""
        return np.sqrt(np.diagonal(self.covariance))


def least_squares(
    residuals: Callable[..., Any],
    start: Any,
    *,
    args: tuple[Any, ...] = (),
    method: str | SecondOrder = "lm",
    iterations: int = 200,
    tolerance: float = 1e-12,
) -> LeastSquares:
    """The x that makes ½ Σ r(x)² small, in double precision, from derivatives that JAX finds.

    residuals: `residuals(x, *args)` written with jax.numpy, giving an array of any shape. start: a number, an array, or
    a dict or tuple of them; x comes in the same structure. args: data, passed on; new ones of the same shapes do not
    compile again. method: "lm", "gauss_newton", "newton", "lbfgs", or a spec such as `LevenbergMarquardt(damping=1)`.
    It ends where an iteration lowers the cost by less than `tolerance` of it.

    The minimum is a local one. `InputError` for a start that is not finite.

        >>> t = np.linspace(0, 4, 30)
        >>> y = 3 * np.exp(-0.7 * t)
        >>> fit = least_squares(lambda p, t, y: p["a"] * jnp.exp(-p["k"] * t) - y, {"a": 1.0, "k": 1.0}, args=(t, y))
        >>> round(float(fit.x["k"]), 6)
        0.7
    """
    count("iterations", iterations)
    not_negative("tolerance", tolerance)
    optimizer = METHODS[method]() if isinstance(method, str) else method
    if not isinstance(optimizer, SecondOrder):
        raise InputError(
            f"method needs a name or a second-order optimizer, got {method!r}. Known: {', '.join(METHODS)}."
        )
    with backend.precision("double"):
        first, rebuild = ravel_pytree(jax.tree.map(partial(np.asarray, dtype=np.float64), start))
        if not first.size or not np.all(np.isfinite(first)):
            raise InputError(f"start needs finite numbers, got {start!r}.")
        static, numbers = partition(optimizer)
        shape = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), np.float64), start)
        leaves, tree = jax.tree.flatten(shape)
        shapes = tuple(leaf.shape for leaf in leaves)
        found = _fit(residuals, (tree, shapes), static, first, args, jnp.asarray(numbers), iterations, tolerance)
        x, r, jacobian, cost, done, status = jax.tree.map(np.asarray, found)
        name, message = MESSAGES[int(status)]
        solution = jax.tree.map(np.asarray, rebuild(x))
    return LeastSquares(solution, r, jacobian, float(cost), int(done), name, message)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _fit(
    residuals: Callable, form: Any, static: Any, first: Any, args: Any, numbers: Any, iterations: Any, tolerance: Any
) -> tuple[Any, ...]:
    tree, shapes = form
    optimizer = combine(static, numbers)

    def of(x: jax.Array) -> jax.Array:
        ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1].tolist()
        parts = [part.reshape(s) for part, s in zip(jnp.split(x, ends), shapes, strict=True)]
        return jnp.ravel(residuals(jax.tree.unflatten(tree, parts), *args)).astype(x.dtype)

    def value(x: jax.Array) -> jax.Array:
        return 0.5 * jnp.sum(of(x) ** 2)

    def gauss_newton(x: jax.Array) -> tuple[Any, Any, Any]:
        r, j = derivatives(of, x)
        return 0.5 * jnp.sum(r**2), r @ j, j.T @ j

    def hessian(x: jax.Array) -> tuple[Any, Any, Any]:
        return (*jax.value_and_grad(value)(x), second(jax.grad(value), x))

    seen = Landscape(value, jax.value_and_grad(value), gauss_newton, hessian, 1, jax.eval_shape(of, first).size, True)

    def go_on(carry: tuple[Any, ...]) -> Any:
        return carry[-1] == RUNNING

    def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, cost, state, done, _ = carry
        moved = optimizer.iterate(seen, x, state)
        fell = cost - moved.cost
        started = jnp.any(moved.w != x) | (done > 0)  # L-BFGS looks at its start first
        near = (fell <= tolerance * jnp.abs(cost)) & started
        status = jnp.where(done + 1 >= iterations, OUT_OF_ITERATIONS, RUNNING)
        status = jnp.where(near | moved.settled, CONVERGED, status)
        return moved.w, moved.cost, moved.state, done + 1, jnp.asarray(status, jnp.int32)

    cost = value(first)
    status = jnp.where(jnp.isfinite(cost), RUNNING, DIVERGED).astype(jnp.int32)
    x, cost, _, done, status = jax.lax.while_loop(
        go_on, advance, (first, cost, optimizer.begin(first), jnp.int32(0), status)
    )
    return x, *derivatives(of, x), cost, done, status
