"""Nonlinear least squares for any differentiable function of a few numbers.

The method is Levenberg's and Marquardt's [E23] with three changes that its hard cases ask for: columns of the Jacobian
are scaled by their largest norm so far (Moré 1978), so units do not matter; the damped step comes from a singular value
decomposition of the Jacobian, not from JᵀJ, whose digits are half as many; and it is bent by the residuals' second
derivative along it (geodesic acceleration, Transtrum & Sethna 2012), so that it follows narrow curved valleys.

It has converged where what is left of the residuals is at a right angle to all derivatives: the relative offset of
Bates & Watts (1981), the share of the residuals' length that a further step could explain, is below the tolerance. A
cost that no longer falls is no proof of that. Where the way down ends elsewhere, it begins anew from the start with
columns scaled by their present norms, which some valleys want and some plateaus punish; the better of the two outcomes
counts. `benchmarks/nist.py` shows what each part is for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from perceptory import backend
from perceptory.errors import InputError
from perceptory.ops.traced import evaluate, trace, unjitted
from perceptory.optimizers.descent import derivatives
from perceptory.specs import count, positive
from perceptory.wording import number, shown_value

MESSAGES = {
    "offset": "the residuals are at a right angle to their derivatives, within the tolerance",
    "rounding": "no step lowers the cost; the residuals are at a right angle to their derivatives, within rounding",
    "zero": "the residuals are zero, within rounding",
    "iterations": "the iterations ran out; start from x again, or allow more iterations",
    "stalled": "no step lowers the cost, yet the derivatives say that some should: the residuals may have a kink here",
    "flat": "the residuals no longer depend on {}, as they did on the way: a plateau; choose another start",
    "start": "residuals or derivatives are not finite at the start; choose another start",
}
STATUS = {"offset": "converged", "rounding": "converged", "zero": "converged", "start": "diverged"}
LOOSE = 1e-4  # offset that counts as none where rounding allows no better: a ten-thousandth of a standard error
ZERO = 1e-10  # residuals that count as rounding, as a share of the terms that they are differences of
FLAT = 1e-9  # column of the Jacobian that counts as gone, as a share of its largest norm so far and of the residuals
BEND = 0.75  # most of a step that its bend may be (Transtrum & Sethna 2012)
PROBE = 0.1  # part of a step at which the second derivative along it is measured
DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-20, 1e15
FIRST = 1 / 3  # part of the iterations after which the other scaling has its turn
SAME, SAME_STEPS = 1e-14, 3  # relative fall of the cost that is rounding, and how many of them in a row end the way


class Way(NamedTuple):
    """How to go down.

    remembers: columns are scaled by their largest norm so far, else by the present one.
    relaxes: the least factor of the damping after a step.
    """

    remembers: bool
    relaxes: float


WAYS = Way(True, 1 / 3), Way(False, 1 / 10)


@dataclass(frozen=True, repr=False)
class LeastSquares:
    """The outcome of `least_squares`.

    x: in the structure of the start. residuals: r(x) [m]. jacobian: ∂r/∂x [m, n], its columns in the order of the start
    as it was written. cost: ½ Σr². iterations: steps taken or tried. offset: Bates & Watts' relative offset at x.
    status: "converged"; "stalled" (no step lowers the cost, yet it is no minimum), "flat" (a plateau), "iterations"
    (they ran out) or "diverged". message: why it ended, with the test that held.
    """

    x: Any
    residuals: np.ndarray
    jacobian: np.ndarray
    cost: float
    iterations: int
    offset: float
    status: str
    message: str
    names: tuple[str, ...]

    @property
    def success(self) -> bool:
        """Whether it has converged."""
        return self.status == "converged"

    @property
    def gradient(self) -> np.ndarray:
        """Jᵀ r [n]."""
        return self.jacobian.T @ self.residuals

    @cached_property
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Norms of the Jacobian's columns [n]; with these made 1, its singular values [n] and directions [n, n]."""
        norms = np.linalg.norm(self.jacobian, axis=0)
        _, sizes, directions = np.linalg.svd(np.linalg.qr(self.jacobian / norms, mode="r"))
        return norms, sizes, directions

    @property
    def covariance(self) -> np.ndarray:
        """[n, n] of x: s² (JᵀJ)⁻¹ with s² = Σr² / (m - n), for residuals of one unknown deviation; nan where there is
        none, which `without_errors` explains. Columns are scaled first, so units do not matter."""
        m, n = self.jacobian.shape
        if self.without_errors:
            return np.full((n, n), np.nan)
        norms, sizes, directions = self._spectrum
        inverse = (directions.T / sizes) / norms[:, None]
        return 2 * self.cost / (m - n) * inverse @ inverse.T

    @property
    def errors(self) -> Any:
        """Standard errors, in the structure of x: the roots of the covariance's diagonal."""
        return _rebuilt(self.x, np.sqrt(np.diagonal(self.covariance)))

    @cached_property
    def without_errors(self) -> str:
        """Why x has no standard errors; "" where it has."""
        m, n = self.jacobian.shape
        if m <= n:
            return f"{n} numbers from {m} residuals leave none to tell the deviation from."
        norms = np.linalg.norm(self.jacobian, axis=0)
        if not np.all(np.isfinite(norms)):
            return "The derivatives are not finite."
        if np.any(norms == 0):
            return f"The residuals do not depend on {self.names[int(np.argmin(norms))]}."
        _, sizes, directions = self._spectrum
        if sizes[-1] <= sizes[0] * m * np.finfo(float).eps:
            together = [self.names[i] for i in np.flatnonzero(np.abs(directions[-1]) > 0.1)]
            return f"The residuals do not tell {' and '.join(together)} apart."
        return ""

    def __repr__(self) -> str:
        values = _flattened(self.x)[0]
        errors = np.sqrt(np.diagonal(self.covariance))
        lines = [
            f"{name} = {number(float(v))}" + (f" ± {number(float(e))}" if np.isfinite(e) else "")
            for name, v, e in zip(self.names, values, errors, strict=True)
        ]
        last = f"cost {number(self.cost)}, {self.status} after {self.iterations} iterations: {self.message}"
        return "\n".join([*lines, last, *([self.without_errors] if self.without_errors else [])])


def least_squares(
    residuals: Callable[..., Any],
    start: Any,
    *,
    args: tuple[Any, ...] = (),
    iterations: int = 1200,
    tolerance: float = 1e-8,
) -> LeastSquares:
    """The x that makes ½ Σ r(x)² small, in double precision, from derivatives that JAX finds.

    residuals: `residuals(x, *args)` written with jax.numpy, giving an array of any shape or a list of arrays.
    start: a number, an array, or a list, tuple or dict of them; x comes in the same structure.
    args: data, passed on. New data of the same shapes do not compile again, neither here nor where the function reads
        arrays from outside, which are looked at anew in every call.
    iterations: most steps, taken or tried; a third of them before the way down may begin anew.
    tolerance: relative offset (see the module) at which x counts as a minimum.

    The minimum is a local one. Raises `InputError` for a start that is not finite and for a function that JAX cannot
    trace.

        >>> t = np.linspace(0, 4, 30)
        >>> y = 3 * np.exp(-0.7 * t)
        >>> fit = least_squares(lambda p, t, y: p["a"] * jnp.exp(-p["k"] * t) - y, {"a": 1.0, "k": 1.0}, args=(t, y))
        >>> round(float(fit.x["k"]), 6)
        0.7
    """
    count("iterations", iterations)
    positive("tolerance", tolerance)
    try:
        first, names = _flattened(start)
    except (TypeError, ValueError):
        first, names = np.zeros(0), ()
    if not first.size or not np.all(np.isfinite(first)):
        raise InputError(f"start needs finite numbers, got {shown_value(start)}.")
    with backend.precision("double"):
        problem = _Problem.of(residuals, start, first, args)
        ended = _descend(problem, first, max(1, round(FIRST * iterations)), tolerance, WAYS[0])
        rest = iterations - ended.iterations
        if STATUS.get(ended.reason) is None and rest > 0:
            other = _descend(problem, first, rest, tolerance, WAYS[1])
            total = ended.iterations + other.iterations
            better = STATUS.get(other.reason) == "converged" or other.r @ other.r < ended.r @ ended.r
            ended = (other if better else ended)._replace(iterations=total)
    reason, r = ended.reason, ended.r
    return LeastSquares(
        _rebuilt(start, ended.x), r, ended.jacobian, float(0.5 * r @ r), ended.iterations, ended.offset,
        STATUS.get(reason, reason), MESSAGES[reason].format("" if ended.about is None else names[ended.about]), names,
    )  # fmt: skip


# --- the function ------------------------------------------------------------------------------------------------


class _Compiled(NamedTuple):
    residuals: Callable[..., Any]  # (x, outside, args) -> r [m]
    linear: Callable[..., Any]  # (x, outside, args) -> (r [m], ∂r/∂x [m, n])


_COMPILED: OrderedDict[Hashable, _Compiled] = OrderedDict()
MOST_COMPILED = 64


@dataclass(frozen=True)
class _Problem:
    """r(x) and its derivatives, as NumPy arrays."""

    compiled: _Compiled
    outside: tuple[Any, ...]
    args: tuple[Any, ...]

    @classmethod
    def of(cls, residuals: Callable[..., Any], start: Any, first: np.ndarray, args: tuple[Any, ...]) -> _Problem:
        try:
            args = jax.tree.map(jnp.asarray, args)
        except (TypeError, ValueError) as error:
            raise InputError(f"args needs arrays of numbers that JAX takes: {str(error).splitlines()[0]}") from None

        def flat(x: jax.Array, args: tuple[Any, ...]) -> jax.Array:
            value = unjitted(residuals)(_rebuilt(start, x), *args)
            parts = [jnp.ravel(jnp.asarray(part, x.dtype)) for part in jax.tree.leaves(value)]
            return jnp.concatenate(parts) if parts else jnp.zeros(0, x.dtype)

        try:
            traced = trace(flat, first, args)
        except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError) as error:
            raise InputError(
                "residuals needs a function that JAX can trace: jnp.exp instead of np.exp or math.exp, jnp.where"
                f" instead of if. It stopped with: {str(error).splitlines()[0]}"
            ) from None
        key = (traced.key, jax.tree.structure(args))
        if key not in _COMPILED:

            def value(x: jax.Array, outside: Any, args: Any) -> jax.Array:
                return evaluate(traced.computation, outside, x, args)

            def linear(x: jax.Array, outside: Any, args: Any) -> Any:
                return derivatives(partial(value, outside=outside, args=args), x)

            _COMPILED[key] = _Compiled(jax.jit(value), jax.jit(linear))
            while len(_COMPILED) > MOST_COMPILED:
                _COMPILED.popitem(last=False)
        _COMPILED.move_to_end(key)
        return cls(_COMPILED[key], tuple(map(jnp.asarray, traced.outside)), args)

    def residuals(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.compiled.residuals(x, self.outside, self.args))

    def linear(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r, jacobian = self.compiled.linear(x, self.outside, self.args)
        return np.asarray(r), np.asarray(jacobian)


def _flattened(value: Any, name: str = "x") -> tuple[np.ndarray, tuple[str, ...]]:
    """All numbers of nested dicts, lists and tuples of arrays in the order as written, and a name for each."""
    if isinstance(value, dict):
        parts = [_flattened(v, str(k) if name == "x" else f"{name}.{k}") for k, v in value.items()]
    elif isinstance(value, list | tuple):
        parts = [_flattened(v, f"{name}[{i}]") for i, v in enumerate(value)]
    else:
        array = np.ma.filled(np.ma.asarray(value, np.float64), np.nan)
        places = [f"{name}[{', '.join(map(str, place))}]" for place in np.ndindex(array.shape)]
        return array.ravel(), (name,) if array.ndim == 0 else tuple(places)
    return np.concatenate([p[0] for p in parts] or [np.zeros(0)]), tuple(n for p in parts for n in p[1])


def _rebuilt(like: Any, vector: Any) -> Any:
    """The vector [n], NumPy's or JAX's, in the structure of `like`."""
    place = 0

    def take(value: Any) -> Any:
        nonlocal place
        if isinstance(value, dict):
            return type(value)((k, take(v)) for k, v in value.items())
        if isinstance(value, list | tuple):
            items = [take(v) for v in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        shape = np.shape(value)
        size = int(np.prod(shape))
        part = vector[place : place + size].reshape(shape) if shape else vector[place]
        place += size
        return part

    return take(like)


# --- the way down ------------------------------------------------------------------------------------------------


class _Ended(NamedTuple):
    """Where a way down ended: a key of MESSAGES, and the number of x that it is about."""

    reason: str
    about: int | None
    x: np.ndarray
    r: np.ndarray
    jacobian: np.ndarray
    iterations: int
    offset: float


class _Linear(NamedTuple):
    """r and its linear model at x, columns scaled: J D⁻¹ = U S Vᵀ."""

    r: np.ndarray
    jacobian: np.ndarray
    scale: np.ndarray  # D [n]
    u: np.ndarray  # [m, k]
    s: np.ndarray  # [k]
    v: np.ndarray  # [n, k]

    def solved(self, r: np.ndarray, damping: float) -> np.ndarray:
        """The scaled step [n] that makes |r + J p|² + damping |D p|² least."""
        return -self.v @ (self.s / (self.s**2 + damping) * (self.u.T @ r))

    @property
    def offset(self) -> float:
        """The share of |r| that lies in the span of the derivatives."""
        span = self.s > self.s[0] * len(self.r) * np.finfo(float).eps
        length = np.linalg.norm(self.r)
        return float(np.linalg.norm(self.u[:, span].T @ self.r) / length) if length > 0 else 0.0


def _linear(problem: _Problem, x: np.ndarray, scale: np.ndarray) -> _Linear | None:
    """At x, with `scale` the least norms that columns are scaled by; None where something is not finite."""
    r, jacobian = problem.linear(x)
    if not (np.all(np.isfinite(r)) and np.all(np.isfinite(jacobian))):
        return None
    scale = np.maximum(scale, np.linalg.norm(jacobian, axis=0))
    q, triangle = np.linalg.qr(jacobian / np.where(scale > 0, scale, 1))
    u, s, vt = np.linalg.svd(triangle)
    return _Linear(r, jacobian, scale, q @ u[:, : len(s)], s, vt[: len(s)].T)


def _descend(problem: _Problem, x: np.ndarray, iterations: int, tolerance: float, way: Way) -> _Ended:
    """From x down, until it has converged, nothing lowers the cost, or the iterations have run out."""
    here = _linear(problem, x, np.zeros(len(x)))
    if here is None:
        return _Ended("start", None, x, *problem.linear(x), 0, float("nan"))
    damping, rise, done, same = DAMPING, 2.0, 0, 0
    largest = here.scale
    while True:
        stuck = damping > MOST_DAMPING or same >= SAME_STEPS
        reason, about = _judged(here, x, largest, tolerance, stuck=stuck, over=done >= iterations)
        if reason:
            return _Ended(reason, about, x, here.r, here.jacobian, done, here.offset)
        done += 1
        divisor = np.where(here.scale > 0, here.scale, 1)
        cost = here.r @ here.r
        scaled = here.solved(here.r, damping)
        step = scaled / divisor
        with np.errstate(all="ignore"):
            bend = _bend(problem, here, x, step, damping)
            new = x + step + bend / divisor
            r = problem.residuals(new)
            lower = np.all(np.isfinite(bend)) and 2 * np.linalg.norm(bend) <= BEND * np.linalg.norm(scaled)
            lower = lower and np.all(np.isfinite(r)) and r @ r < cost
        there = _linear(problem, new, here.scale if way.remembers else np.zeros(len(x))) if lower else None
        if there is None:
            damping, rise = damping * rise, 2 * rise
            if np.all(new == x):
                damping = np.inf
            continue
        model = here.r + here.jacobian @ step
        promised = cost - model @ model
        gain = (cost - r @ r) / promised if promised > 0 else 1.0
        damping = max(damping * max(way.relaxes, 1 - (2 * min(gain, 1.0) - 1) ** 3), LEAST_DAMPING)
        same = same + 1 if cost - r @ r <= SAME * cost else 0
        x, here, rise, largest = new, there, 2.0, np.maximum(largest, there.scale)


def _bend(problem: _Problem, here: _Linear, x: np.ndarray, step: np.ndarray, damping: float) -> np.ndarray:
    """The scaled bend [n] of a step: half of what makes up for the residuals' second derivative along it."""
    moved = problem.residuals(x + PROBE * step)
    second = 2 / PROBE * ((moved - here.r) / PROBE - here.jacobian @ step)
    return 0.5 * here.solved(second, damping) if np.all(np.isfinite(second)) else np.full(len(x), np.nan)


def _judged(
    here: _Linear, x: np.ndarray, largest: np.ndarray, tolerance: float, *, stuck: bool, over: bool
) -> tuple[str, int | None]:
    """Why the way ends here, a key of MESSAGES, and the number of x that it is about; "" where it goes on.

    largest: norms of the Jacobian's columns, the largest so far [n].
    """
    terms = np.abs(here.jacobian) @ np.abs(x)
    if not np.any(here.r) or ((stuck or over) and np.all(np.abs(here.r) <= ZERO * terms)):
        return "zero", None
    offset = here.offset
    if offset <= tolerance or stuck:
        norms = np.linalg.norm(here.jacobian, axis=0)
        weak = norms * np.abs(x) <= FLAT * np.linalg.norm(here.r)  # to double the number would change next to nothing
        gone = np.flatnonzero(weak & (norms <= FLAT * largest) & (largest > 0))
        if len(gone):
            return "flat", int(gone[0])
        return ("offset" if offset <= tolerance else "rounding" if offset <= LOOSE else "stalled"), None
    return ("iterations" if over else ""), None
