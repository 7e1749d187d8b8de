"""The kernel of kernel ridge regression against the same formulas by XLA, in double and single precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory.kernels import build
from perceptory.kernels import kernel_ridge as fast
from perceptory.layers import kernel as layers
from perceptory.layers.kernel import kernel_values
from perceptory.ops import kernel_ridge as ops

pt.backend.prepare()
KERNEL = "kernel_ridge"
pytestmark = pytest.mark.usefixtures("kernel", "x64")


def table(count, numbers, flags, outputs, dtype=np.float64, seed=0):
    """Columns of numbers, then of 0 and 1 with one between them, targets, and weights, of which some are 0."""
    random = np.random.default_rng(seed)
    ones = random.integers(0, 2, (count, flags)).astype(float)
    if flags:
        ones[1, 0] = 0.3
    x = np.concatenate([random.normal(size=(count, numbers)), ones], axis=1)
    t = np.sin(x @ random.normal(size=(numbers + flags, outputs))) + 0.1 * random.normal(size=(count, outputs))
    w = random.choice([0.0, 0.5, 1.0, 2.0], count)
    return [jnp.asarray(a.astype(dtype)) for a in (x, t, w)]


def kernel_of(name, numbers):
    return ops.Kernel(name, numbers, partial(kernel_values, name, numbers=numbers))


def without(monkeypatch, f, *args):
    with monkeypatch.context() as patch:
        patch.setattr(fast, "accepts", lambda *_: False)
        return f(*args)


MIXED = (131, 2, 5, 3)
CASES = [
    ("laplacian", (1, 1, 0, 1)), ("laplacian", (17, 0, 3, 1)), ("gaussian", (70, 3, 0, 2)),
    ("laplacian", MIXED), ("exponential", MIXED), ("gaussian", MIXED),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_scales_are_those_of_the_formulas(name, shape, monkeypatch):
    count, numbers, flags, _ = shape
    x, t, w = table(*shape)
    groups = np.array([*range(numbers), *[numbers] * flags])  # the flags are one column's
    start = jnp.linspace(-1.0, -0.5, groups.max() + 1)
    some = max(1, 2 * count // 3)
    learn = jnp.asarray(np.stack([np.random.default_rng(k).permutation(count)[:some] for k in range(ops.STEPS)]))
    args = (kernel_of(name, numbers), x, t, w, learn, start, groups, jnp.asarray(0.5))
    found, want = ops.likely_scales(*args), without(monkeypatch, ops.likely_scales, *args)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    if count > 1:
        assert np.abs(found.noise + 1.5) > 0.1  # it has moved


@pytest.mark.parametrize(("name", "shape", "dtype", "tolerance"), [
    *((*case, np.float64, 1e-9) for case in CASES),
    ("laplacian", (600, 3, 4, 2), np.float64, 1e-9),  # three panels
    ("exponential", (600, 3, 4, 2), np.float32, 2e-3),
])  # fmt: skip
def test_solution_is_that_of_the_formulas(name, shape, dtype, tolerance, monkeypatch):
    count, numbers, flags, _ = shape
    x, t, w = table(*shape, dtype=dtype)
    scales = ops.Scales(jnp.linspace(-1.0, 0.0, numbers + flags, dtype=dtype), *jnp.asarray([0.3, -1.0, -2.0], dtype))
    chosen = jnp.arange(0, count, 7)
    args = (kernel_of(name, numbers), x, t, w, scales, chosen)
    found, want = ops._solution(*args), without(monkeypatch, ops._solution, *args)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1e-3, float(np.abs(b).max())))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_predictions_and_their_derivatives_are_those_of_the_formulas(name, shape):
    count, numbers, flags, outputs = shape
    v, (c, alpha, _) = table(57, numbers, flags, 1)[0], table(count, numbers, flags, outputs, seed=1)
    arrays = v, c, jnp.linspace(0.2, 0.9, numbers + flags), alpha

    def slopes(f):
        return jax.grad(lambda arrays: jnp.sum(jnp.sin(f(name, numbers, *arrays))))(arrays)

    want = layers._by_formula(name, numbers, *arrays)
    np.testing.assert_allclose(layers._by_kernel(name, numbers, *arrays), want, rtol=0, atol=1e-12 * count)
    for a, b in zip(slopes(layers._by_kernel), slopes(layers._by_formula), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


def test_predictions_of_more_centers_than_a_block_holds():
    v, (c, alpha, _) = table(300, 3, 4, 1, np.float32)[0], table(1111, 3, 4, 2, np.float32, seed=1)
    arrays = v, c, jnp.full(7, 0.4, np.float32), alpha
    want = layers._by_formula("laplacian", 3, *(a.astype(np.float64) for a in arrays))
    np.testing.assert_allclose(layers._by_kernel("laplacian", 3, *arrays), want, rtol=0, atol=2e-5 * 33)


def test_a_prediction_alone_does_not_wait_for_a_compiler(monkeypatch):
    asked = []
    monkeypatch.setattr(build, "loads", lambda *args: asked.append(args) or False)
    v, (c, alpha, _) = table(5, 2, 0, 1)[0], table(9, 2, 0, 1, seed=1)
    layers.neurons("gaussian", 2, v, c, jnp.ones(2), alpha)
    assert asked == [(KERNEL, "float64", 0)]


def test_a_matrix_that_is_not_positive_definite_gives_nan_and_scales_that_stay():
    x, t, w = table(40, 2, 0, 1)
    bad = x.at[3, 0].set(jnp.nan)
    scales = ops.Scales(jnp.zeros(2), *jnp.zeros(3))
    strengths, inverse = ops._strengths(kernel_of("laplacian", 2), bad, t, w, scales, jnp.arange(3))
    assert np.isnan(strengths).all()
    assert np.isnan(inverse).all()
    start = jnp.asarray([-0.4, -0.6])
    learn = jnp.tile(jnp.arange(40), (5, 1))
    found = ops.likely_scales(kernel_of("laplacian", 2), bad, t, w, learn, start, np.arange(2), jnp.asarray(0.5))
    np.testing.assert_array_equal(found.narrowness, start)


def test_members_do_not_depend_on_each_other_nor_on_threads(monkeypatch):
    members = [table(300, 2, 3, 1, np.float32, seed) for seed in range(3)]
    x, t, w = (jnp.stack(arrays) for arrays in zip(*members, strict=True))
    scales = jnp.asarray([-0.5, 0.0, -1, -1, -1, 0.1, -1.0, -2.0], np.float32)
    chosen = jnp.arange(5)
    first = jnp.asarray([-0.5, -0.5, -0.5, 0.0, -3.0, -1.5], np.float32)
    groups = np.array([0, 1, 2, 2, 2])
    learn = jnp.arange(5 * 200).reshape(5, 200) % 300

    def both(x, t, w):
        likely = fast.likely("laplacian", 2, x, t, w, learn, first, groups, jnp.float32(0.5), 0.4, ops.LIMITS)
        strengths, diagonal = fast.solution("laplacian", 2, x, t, w, scales, chosen, 4.0)
        return likely, strengths, diagonal, fast.values("laplacian", 2, x[:150], x, jnp.exp(scales[:-3]), strengths)

    together = jax.jit(jax.vmap(both))(x, t, w)
    monkeypatch.setattr(build, "threads", lambda: 5)
    for k in range(3):
        alone = jax.jit(lambda *a: both(*a))(x[k], t[k], w[k])
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_array_equal(a, b[k])
