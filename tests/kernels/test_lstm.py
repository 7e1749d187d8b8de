"""The LSTM kernel against the same loops by XLA: values and gradients, padding, members, devices, divergence."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory.kernels import lstm
from perceptory.ops import scans as recurrence
from perceptory.ops.cells import MemoryCell
from perceptory.ops.scans import ScanOptions, Weights, recur

pt.backend.prepare()
KERNEL = "lstm"
pytestmark = pytest.mark.usefixtures("kernel", "x64")
LSTM = ScanOptions(MemoryCell())


def example(H, batch=5, time=6, features=2, dtype=np.float64, seed=0):
    random = np.random.default_rng(seed)

    def draw(*shape):
        return (0.6 * random.normal(size=shape)).astype(dtype)

    weights = Weights(draw(features, 4 * H), 2 * draw(H, 4 * H) / H**0.5, draw(4 * H))
    return weights, draw(time, batch, features), (draw(batch, H), draw(batch, H))


def number(h, last):
    """A number that depends on every output in a different way."""
    return sum(jnp.sum(jnp.sin(v) * jnp.cos(jnp.arange(v.size)).reshape(v.shape)) for v in (h, *last))


def cost(threads, how, lengths, weights, x, state):
    return number(*recurrence._bptt(how, threads)(weights, x, state, lengths))


def gradients(threads, how, lengths, *arrays):
    """Value and gradients by weights, x and first state; threads 0: XLA."""
    return jax.value_and_grad(partial(cost, threads, how), (1, 2, 3))(lengths, *arrays)


def close(a, b, tolerance):
    for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(u, v, rtol=tolerance, atol=tolerance)


def equal(a, b):
    for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(u, v)


@pytest.mark.parametrize(
    ("H", "batch", "dtype", "tolerance", "cases"),
    [
        (8, 8, np.float64, 1e-12, "b"),
        (3, 1, np.float64, 1e-12, "a"),  # less than a vector, one row
        (29, 11, np.float64, 1e-12, "ab"),  # panels of 4 vectors and less, tiles of all sizes
        (1, 5, np.float32, 2e-6, "c"),
        (83, 9, np.float32, 1e-5, "c"),
    ],
)
def test_equals_xla(as_users, H, batch, dtype, tolerance, cases):
    """Values and all gradients, with rows of any length, and truncated."""
    arrays = example(H, batch, dtype=dtype)
    some = jnp.arange(batch) * 5 % 7  # 0 to all 6 steps
    ways = {"a": (None, 4), "b": (some, 0), "c": (some, 2)}
    for lengths, cut in (ways[case] for case in cases):
        how = ScanOptions(MemoryCell(), cut)
        kernel = as_users(partial(gradients, 1, how, lengths))
        xla = jax.jit(partial(gradients, 0, how, lengths))
        close(kernel(*arrays), xla(*arrays), tolerance)


def test_is_what_recur_runs():
    """Also where no gradient is wanted, where less is kept; XLA computes in other types."""
    arrays = example(5)
    program = jax.jit(lambda *a: recur(LSTM, *a))
    assert "perceptory_lstm_values_float64" in program.lower(*arrays).as_text()
    xla = jax.jit(recurrence._bptt(LSTM, 0))
    close(program(*arrays), xla(*arrays, None), 1e-13)
    lengths = np.array([6, 0, 3, 1, 5])
    close(recur(LSTM, *arrays, lengths), xla(*arrays, lengths), 1e-13)
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), arrays)
    assert "perceptory" not in program.lower(*half).as_text()
    mixed = (arrays[0], arrays[1].astype(jnp.float32), arrays[2])
    assert "perceptory" not in program.lower(*mixed).as_text()


def test_padding_may_hold_anything():
    weights, x, state = example(5)
    lengths = jnp.array([2, 6, 0, 3, 5])
    pad = (jnp.arange(6)[:, None] >= lengths)[..., None]
    f = jax.jit(jax.value_and_grad(lambda *a: number(*recur(LSTM, *a, lengths)), (0, 1, 2)))
    clean = f(weights, jnp.where(pad, 0, x), state)
    for garbage in (np.nan, np.inf, 1e300):
        equal(f(weights, jnp.where(pad, garbage, x), state), clean)
    out, back = jax.vjp(lambda *a: recur(LSTM, *a, lengths), weights, x, state)
    _, dx, _ = back((jnp.where(pad, np.nan, out[0]), out[1]))
    assert np.all(np.isfinite(dx))
    assert not np.any(dx * pad)


@pytest.mark.parametrize("lengths", [None, (2, 6, 0, 3, 5)])
def test_members_equal_themselves_alone(lengths):
    """Under jit, mapped over weights and data, over weights alone, and over two axes; the values bit for bit."""
    lengths = None if lengths is None else jnp.array(lengths)
    many = [example(5, seed=seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *many)
    f = partial(gradients, 1, LSTM, lengths)
    one = jax.jit(f)
    alone = [one(*arrays) for arrays in many]
    all_ = jax.tree.map(lambda *a: jnp.stack(a), *alone)
    close(jax.jit(jax.vmap(f))(*stacked), all_, 1e-13)
    square = jax.tree.map(lambda a: a.reshape(2, 2, *a.shape[1:]), stacked)
    twice = jax.jit(jax.vmap(jax.vmap(f)))(*square)
    close(jax.tree.map(lambda a: a.reshape(4, *a.shape[2:]), twice), all_, 1e-13)
    shared = jax.jit(jax.vmap(f, in_axes=(0, None, None)))(stacked[0], *many[0][1:])
    each = [one(arrays[0], *many[0][1:]) for arrays in many]
    close(shared, jax.tree.map(lambda *a: jnp.stack(a), *each), 1e-13)
    h, _ = jax.jit(jax.vmap(lambda *a: recur(LSTM, *a, lengths)))(*stacked)
    values = jax.jit(lambda *a: recur(LSTM, *a, lengths)[0])
    for i, arrays in enumerate(many):
        equal(h[i], values(*arrays))


def test_threads_change_no_bit():
    """Enough work that threads are started: rows are split, then members."""
    one = example(24, batch=50, time=20, dtype=np.float32)
    many = jax.tree.map(
        lambda a: jnp.stack([a, -a, 2 * a, a + 1, a - 1]), example(24, batch=9, time=40, dtype=np.float32)
    )
    for arrays, mapped in ((one, lambda f: f), (many, jax.vmap)):
        results = [jax.jit(mapped(partial(gradients, threads, LSTM, None)))(*arrays) for threads in (1, 3, 16)]
        for other in results[1:]:
            equal(results[0], other)


def test_two_devices_at_once():
    """shard_map over rows: the halves' gradients add up to the whole batch's; a core for each device."""
    if len(jax.devices()) < 2:
        pytest.skip("needs two devices")
    weights, x, state = example(40, batch=40, time=20)
    part = jax.sharding.PartitionSpec
    seen = []

    def half(w, x, s):
        seen.append(lstm.threads())
        return jax.lax.psum(jax.grad(lambda w: jnp.sum(recur(LSTM, w, x, s)[0] ** 2))(w), "rows")

    halves = jax.jit(
        jax.shard_map(
            half,
            mesh=jax.sharding.Mesh(jax.devices()[:2], ("rows",)),
            in_specs=(part(), part(None, "rows"), part("rows")),
            out_specs=part(),
            check_vma=False,
        )
    )
    whole = jax.grad(lambda w: jnp.sum(recur(LSTM, w, x, state)[0] ** 2))(weights)
    for _ in range(20):
        close(halves(weights, x, state), whole, 1e-11)
    assert set(seen) == {max(1, pt.backend.cores() // 2)}
    assert lstm.threads() == pt.backend.cores()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_divergence_gives_nan(dtype):
    """A weight, an input or a state that is nan shows in its own rows and in the gradients, and infinities saturate."""
    weights, x, state = example(5, dtype=dtype)
    h, _ = recur(LSTM, weights, jnp.asarray(x).at[2, 1, 0].set(np.nan), state)
    assert np.all(np.isnan(h[2:, 1]))
    assert np.all(np.isfinite(h[:2]))
    assert np.all(np.isfinite(jnp.delete(h, 1, axis=1)))
    sick = weights._replace(bias=jnp.asarray(weights.bias).at[3].set(np.nan))
    value, by = gradients(1, LSTM, None, sick, x, state)
    assert np.isnan(value)
    assert np.all(np.isnan(by[0].recurrent[3]))
    one = Weights(jnp.ones((1, 4), dtype), jnp.zeros((1, 4), dtype), jnp.zeros(4, dtype))
    zero = (jnp.zeros((2, 1), dtype),) * 2
    h, (_, c) = recur(LSTM, one, jnp.array([[[np.inf], [-np.inf]]], dtype), zero)
    np.testing.assert_allclose(c[:, 0], [1, 0], atol=1e-6)  # i g = 1 · 1 and 0 · (-1)
    np.testing.assert_allclose(h[0, :, 0], [np.tanh(1), 0], atol=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 5e-7), (np.float64, 1e-15)])
def test_tanh_over_its_whole_range(dtype, tolerance):
    """Gates driven by x alone: kept are tanh(x / 2) of i, f, o and tanh(x) of g, to a relative error."""
    magnitudes = 10.0 ** np.linspace(-8, 3, 4001)
    x = np.concatenate([-magnitudes, [0], magnitudes]).astype(dtype)
    one = (np.ones((1, 4), dtype), np.zeros((1, 4), dtype), np.zeros(4, dtype))
    zero = np.zeros((len(x), 1), dtype)
    _, kept = lstm.keeping(1, x[None, :, None], one, (zero, zero), np.ones(len(x), np.int32))
    exact = np.tanh(x.astype(np.longdouble)[:, None] * [0.5, 0.5, 0.5, 1])
    np.testing.assert_allclose(kept.gates[0], exact, rtol=tolerance)


def test_differentiated_twice_it_is_xlas():
    """Products with the Hessian, forward over reverse, and reverse over reverse."""
    weights, x, state = example(3)
    lengths = jnp.array([2, 6, 0, 3, 5])
    along = jax.tree.map(jnp.cos, weights)

    def slope(threads, w):
        return jax.grad(lambda w: cost(threads, LSTM, lengths, w, x, state))(w)

    def forward(threads, w):
        return jax.jvp(partial(slope, threads), (w,), (along,))[1]

    def back(w):
        return jax.grad(lambda w: sum(jnp.vdot(a, b) for a, b in zip(slope(1, w)[:3], along[:3], strict=True)))(w)

    xla = jax.jit(partial(forward, 0))(weights)
    close(jax.jit(partial(forward, 1))(weights), xla, 1e-12)
    close(jax.jit(back)(weights), xla, 1e-12)
