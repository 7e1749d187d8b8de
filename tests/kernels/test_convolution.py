"""The convolution kernel against NumPy, and networks' stages by it against the same by XLA: values, gradients, members,
devices, divergence."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

import perceptory as pt
from perceptory.kernels import convolution
from perceptory.kernels.convolution import Axis, Stage
from perceptory.networks.cnn import CNN
from perceptory.ops import blocked_convolution as blocks
from perceptory.ops.convolution import ConvolutionStage, compute_stage, convolve
from perceptory.ops.patches import windows_of

pt.backend.prepare()
KERNEL = "convolution"
pytestmark = pytest.mark.usefixtures("kernel", "x64")


def numbers(*shape, seed=0, dtype=np.float64):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def places(how, x, a, b):
    """What tap (a, b) sees of x within its zeros, at all positions: a view [block, in, p, q, lane]."""
    r, c = how[:2]
    p, q = (n + w.before + w.after - (w.taps - 1) * w.gap for n, w in zip(x, how[:2], strict=True))
    return (slice(None), slice(None), slice(a * r.gap, a * r.gap + p), slice(b * c.gap, b * c.gap + q))


def reference(how, x, w, bias, g):
    """(z, ∂J/∂x, ∂J/∂w, ∂J/∂bias) in NumPy, of pools the first of equal greatest values."""
    r, c = how[:2]
    space, taps = x.shape[2:4], list(np.ndindex(r.taps, c.taps))
    padded = np.pad(x, ((0, 0), (0, 0), (r.before, r.after), (c.before, c.after), (0, 0)))
    y = bias[:, None, None, None]
    for t in taps:
        y = y + np.einsum("nipql,io->nopql", padded[places(how, space, *t)], w[t])
    n, o, p, q, lanes = y.shape
    P, Q = p // r.pool, q // c.pool
    pools = y[:, :, : P * r.pool, : Q * c.pool].reshape(n, o, P, r.pool, Q, c.pool, lanes)
    pools = pools.transpose(0, 1, 2, 4, 6, 3, 5).reshape(n, o, P, Q, lanes, -1)
    z, which = pools.max(-1), pools.argmax(-1)
    if how.relu:
        g, z = np.where(z > 0, g, 0), np.maximum(z, 0)
    G = np.zeros_like(y)
    spread = (np.eye(r.pool * c.pool)[which] * g[..., None]).reshape(n, o, P, Q, lanes, r.pool, c.pool)
    G[:, :, : P * r.pool, : Q * c.pool] = spread.transpose(0, 1, 2, 5, 3, 6, 4).reshape(
        n, o, P * r.pool, Q * c.pool, lanes
    )
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    for t in taps:
        dx[places(how, space, *t)] += np.einsum("nopql,io->nipql", G, w[t])
        dw[t] = np.einsum("nipql,nopql->io", padded[places(how, space, *t)], G)
    inside = dx[:, :, r.before : r.before + space[0], c.before : c.before + space[1]]
    return z, inside, dw, G.sum((0, 2, 3, 4))


@partial(jax.jit, static_argnums=0)
def by_kernel(how, x, w, bias, g):
    z, which = convolution.keeping(how, x, w, bias)
    return z, convolution.by_inputs(how, x, g, z, which, w), *convolution.by_kernel(how, x, g, z, which, w)


@st.composite
def axes(draw):
    axis = Axis(*(draw(st.integers(*ends)) for ends in ((1, 6), (1, 3), (0, 7), (0, 7), (1, 3))))
    least = (axis.taps - 1) * axis.gap + axis.pool - axis.before - axis.after
    return axis, max(1, least) + draw(st.integers(0, 15))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(axes(), axes(), st.booleans(), st.integers(1, 3), st.integers(1, 7), st.integers(1, 9), st.booleans())
def test_equals_numpy(rows, columns, relu, n, into, out, double):
    """Any kernel, distance of taps, zeros, pool and remainder, any number of channels and blocks."""
    dtype, tolerance = (np.float64, 1e-12) if double else (np.float32, 1e-5)
    how = Stage(rows[0], columns[0], relu)
    x = np.asarray(numbers(n, into, rows[1], columns[1], convolution.lanes(dtype)), dtype)
    w, bias = (np.asarray(numbers(*s, seed=1), dtype) for s in ((rows[0].taps, columns[0].taps, into, out), (out,)))
    g = np.asarray(numbers(n, out, rows[0].pools(rows[1]), columns[0].pools(columns[1]), x.shape[-1], seed=2), dtype)
    expected = reference(how, *(a.astype(np.float64) for a in (x, w, bias, g)))
    for a, b in zip(by_kernel(how, x, w, bias, g), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max()))


@pytest.mark.parametrize(
    ("size", "into", "out"), [(2, 9, 8), (3, 13, 13), (4, 8, 17), (5, 9, 13), (6, 13, 17), (7, 9, 24)]
)
def test_fewer_products(size, into, out):
    """Toom and Cook's way: lengths around whole tiles, and below one, where the plain way stands in; channels that fill
    no vector; rows of zeros; with and without relu and pools; the sum over two blocks."""
    for length in (8, 17, 18, 19, 70):
        for dtype, tolerance in ((np.float64, 1e-11), (np.float32, 2e-5)):
            columns = Axis(size, 1, (size - 1) // 2, size // 2, 1 + length % 2)
            how = Stage(Axis(1, 1, length // 19, 0), columns, length > 17)
            w = np.asarray(numbers(1, size, into, out, seed=1) / (into * size) ** 0.5, dtype)
            fewer = how._replace(matrices=blocks.matrices(how[:2], w))
            assert fewer.matrices
            x = np.asarray(numbers(2, into, 1, length, convolution.lanes(dtype)), dtype)
            bias = np.asarray(numbers(out, seed=3), dtype)
            shape = (2, out, how.rows.pools(1), how.columns.pools(length), x.shape[-1])
            g = np.asarray(numbers(*shape, seed=2), dtype)
            for a, b in zip(by_kernel(fewer, x, w, bias, g), by_kernel(how, x, w, bias, g), strict=True):
                np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(np.abs(b).max()))


def stage(x, weight, bias, kind="max", activation=jax.nn.relu, size=(2, 2), padding="same", dilation=1):
    windows = windows_of(weight.shape[:-2], padding=padding, dilation=dilation, axes=weight.ndim - 2)
    monotone = activation is not jax.nn.gelu
    return compute_stage(ConvolutionStage(x, weight, bias, windows, size, kind, activation, monotone))


def with_gradients(x, weight, bias, **how):
    z, back = jax.vjp(partial(stage, **how), x, weight, bias)
    return z, *back(jnp.cos(jnp.arange(z.size, dtype=z.dtype)).reshape(z.shape))


def close(a, b, tolerance):
    for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(u, v, rtol=tolerance, atol=tolerance)


def equal(a, b):
    for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(u, v)


def off(monkeypatch):
    monkeypatch.setattr(convolution, "accepts", lambda *arrays: False)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_stages_equal_xlas(as_users, monkeypatch, dtype, tolerance):
    """Detector and pools of all kinds, in single precision two of them, batches that do not fill their blocks, images
    and series."""
    hows = [
        {},
        {"activation": jnp.tanh, "size": (3, 1)},
        {"activation": jax.nn.gelu, "dilation": (2, 1)},
        {"kind": "average", "padding": (0, 3)},
        {"size": (1, 1)},
    ][: None if dtype is np.float64 else 2]
    images = [numbers(*s, seed=1, dtype=dtype) for s in ((11, 9, 8, 2), (3, 2, 2, 5), (5,))]
    series = [numbers(*s, seed=1, dtype=dtype) for s in ((17, 21, 9), (5, 9, 8), (8,))]

    def all_of(images, series):
        found = [with_gradients(*images, **how) for how in hows]
        return found, [with_gradients(*series, size=size, padding=p) for size, p in (((1,), "same"), ((2,), "causal"))]

    ours = as_users(all_of)
    assert "perceptory_convolution_by_kernel" in ours.lower(images, series).as_text()
    a = ours(images, series)
    off(monkeypatch)
    close(a, as_users(lambda *a: all_of(*a))(images, series), tolerance)


def test_finite_differences():
    x, weight, bias = numbers(9, 7, 6, 2), numbers(3, 2, 2, 3, seed=1), numbers(3, seed=2)
    check_grads(lambda *a: jnp.sin(stage(*a)), (x, weight, bias), 1, ["rev"])
    x, weight = numbers(9, 13, 8), numbers(4, 8, 8, seed=1)
    check_grads(lambda x, w: jnp.sin(convolve(x, w, padding="same")), (x, weight), 1, ["rev"])


def test_where_it_is_not_used(monkeypatch):
    """Strides, other types, mixed types and very small batches take XLA's path."""
    x, weight = numbers(16, 8, 8, 2, dtype=np.float32), numbers(3, 3, 2, 3, dtype=np.float32)

    def calls(x, weight, **how):
        return "perceptory" in jax.jit(partial(convolve, **how)).lower(x, weight).as_text()

    assert calls(x, weight)
    assert not calls(x, weight, stride=2)
    assert not calls(x.astype(jnp.bfloat16), weight.astype(jnp.bfloat16))
    assert not calls(x, weight.astype(np.float64))
    assert not calls(x[:1], weight)
    monkeypatch.setattr(pt.backend, "native", lambda: True)
    assert not calls(x, weight)


def test_causal_sees_nothing_later():
    x, weight = numbers(9, 30, 8, dtype=np.float32), numbers(5, 8, 8, dtype=np.float32, seed=1)
    f = jax.jit(partial(convolve, padding="causal"))
    equal(f(x, weight)[:, :19], f(x.at[:, 19:].set(1e30), weight)[:, :19])


@pytest.mark.parametrize("data_too", [True, False])
def test_members_equal_themselves_alone(data_too):
    """Mapped over weights and data, over weights alone, and over two axes, under jit: bit for bit."""
    x, weight, bias = (numbers(4, *s, seed=1) for s in ((11, 9, 8, 2), (3, 2, 2, 5), (5,)))
    f = jax.jit(with_gradients)
    alone = [f(x[i] if data_too else x[0], weight[i], bias[i]) for i in range(4)]
    alone = jax.tree.map(lambda *a: jnp.stack(a), *alone)
    axes = (0 if data_too else None, 0, 0)
    data = x if data_too else x[0]
    equal(jax.jit(jax.vmap(with_gradients, axes))(data, weight, bias), alone)
    square = [a.reshape(2, 2, *a.shape[1:]) for a in (weight, bias)]
    data = x.reshape(2, 2, *x.shape[1:]) if data_too else x[0]
    twice = jax.jit(jax.vmap(jax.vmap(with_gradients, axes), axes))(data, *square)
    equal(jax.tree.map(lambda a: a.reshape(4, *a.shape[2:]), twice), alone)


def test_threads_change_no_bit():
    """Enough work that threads are started; more blocks than sums of their own."""
    how = Stage(Axis(3, 1, 1, 1, 2), Axis(3, 1, 1, 1, 2), True)
    L = convolution.lanes(np.float32)
    for members, n in ((1, 70), (3, 5)):
        x, w, bias = (numbers(members, *s, dtype=np.float32) for s in ((n, 3, 20, 20, L), (3, 3, 3, 6), (6,)))
        g = numbers(members, n, 6, 10, 10, L, dtype=np.float32)
        runs = [jax.vmap(partial(by_kernel, how._replace(threads=t)))(x, w, bias, g) for t in (1, 2, 16)]
        for other in runs[1:]:
            equal(runs[0], other)


def test_two_devices_at_once():
    """shard_map over rows: the halves' gradients add up to the whole batch's."""
    if len(jax.devices()) < 2:
        pytest.skip("needs two devices")
    x, weight, bias = (numbers(*s, dtype=np.float32) for s in ((128, 20, 20, 2), (5, 5, 2, 6), (6,)))

    def gradient(x):
        return jax.grad(lambda w: jnp.sum(stage(x, w, bias) ** 2))(weight)

    part = jax.sharding.PartitionSpec
    halves = jax.jit(
        jax.shard_map(
            lambda x: jax.lax.psum(gradient(x), "rows"),
            mesh=jax.sharding.Mesh(jax.devices()[:2], ("rows",)),
            in_specs=part("rows"),
            out_specs=part(),
            check_vma=False,
        )
    )
    whole = gradient(x)
    for _ in range(20):
        np.testing.assert_allclose(halves(x), whole, rtol=1e-4, atol=1e-4 * float(jnp.abs(whole).max()))


@pytest.mark.parametrize("activation", [jax.nn.relu, jnp.tanh])
def test_divergence_shows(activation):
    """nan in one image stays there, and reaches the gradients; nan in a weight reaches every output of its channel."""
    x, weight, bias = (numbers(*s, dtype=np.float32) for s in ((10, 6, 6, 2), (3, 3, 2, 3), (3,)))
    f = jax.jit(lambda *a: stage(*a, activation=activation))
    z = f(x.at[4, 2, 3, 0].set(np.nan), weight, bias)
    assert np.isnan(z[4]).any()
    assert np.isfinite(jnp.delete(z, 4, axis=0)).all()
    z = f(x, weight.at[1, 1, 0, 2].set(np.nan), bias)
    assert np.isnan(z[..., 2]).all()
    assert np.isfinite(z[..., :2]).all()


def test_differentiated_twice_it_is_xlas(monkeypatch):
    """Products with the Hessian of a whole network, forward over reverse."""
    spec = CNN((2, 3), padding=("same", "valid"), hidden=(), pooling="max")
    net = spec.build((10, 9, 1), (2,), key=jax.random.key(0))
    x, t = numbers(9, 10, 9, 1), numbers(9, 2, seed=1)

    def product(weights):
        def cost(w):
            return jnp.sum((pt.layers.arrays.unpack(net, w)(x) - t) ** 2)

        return jax.jvp(jax.grad(cost), (weights,), (jnp.cos(jnp.arange(weights.size, dtype=float)),))

    weights = pt.layers.arrays.pack(net)
    ours = jax.jit(product)(weights)
    off(monkeypatch)
    close(ours, jax.jit(lambda w: product(w))(weights), 1e-10)
