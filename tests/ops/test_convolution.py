"""Convolution and pooling against SciPy, PyTorch, the library's own convolution and finite differences."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from perceptory import backend
from perceptory.errors import InputError
from perceptory.ops import patches
from perceptory.ops.convolution import PATHS, ConvolutionStage, compute_stage, convolve, path_of
from perceptory.ops.patches import windows_of
from perceptory.ops.pooling import global_pool, pool


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_hand_worked():
    """x = 1 2 3, kernel 1 10: correlation 1*1 + 2*10, 2*1 + 3*10; convolution turns the kernel around."""
    x, kernel = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1), jnp.array([1.0, 10.0]).reshape(2, 1, 1)
    np.testing.assert_array_equal(convolve(x, kernel)[0, :, 0], [21, 32])
    np.testing.assert_array_equal(convolve(x, kernel, flip=True)[0, :, 0], [12, 23])
    np.testing.assert_array_equal(convolve(x, kernel, padding="causal")[0, :, 0], [10, 21, 32])
    np.testing.assert_array_equal(convolve(x, kernel, padding="same")[0, :, 0], [21, 32, 3])


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
def test_scipy(mode):
    """True convolution and cross-correlation, summed over channels."""
    signal = pytest.importorskip("scipy.signal")
    x, kernel = numbers(2, 7, 6, 3), numbers(3, 5, 3, 2, seed=1)
    padding = {"valid": "valid", "same": "same", "full": (2, 4)}[mode]
    for flip, reference in ((True, signal.convolve2d), (False, signal.correlate2d)):
        y = convolve(jnp.asarray(x), jnp.asarray(kernel), padding=padding, flip=flip)
        for b, o in product(range(2), range(2)):
            expected = sum(reference(x[b, :, :, c], kernel[:, :, c, o], mode) for c in range(3))
            np.testing.assert_allclose(y[b, :, :, o], expected, rtol=1e-12, atol=1e-12)


def value_and_gradients(x, kernel, **how):
    y, back = jax.vjp(lambda x, k: convolve(x, k, **how), x, kernel)
    return y, *back(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))


def compare(x, kernels, hows):
    """Values and both gradients against PyTorch; all cases are one compilation."""
    torch = pytest.importorskip("torch")
    axes = x.ndim - 2
    convolution = (torch.nn.functional.conv1d, torch.nn.functional.conv2d)[axes - 1]
    cases = list(product(kernels, hows))
    ours = jax.jit(lambda x, kernels: [value_and_gradients(x, k, **how) for k, how in product(kernels, hows)])(
        jnp.asarray(x), [jnp.asarray(k) for k in kernels]
    )
    for (kernel, how), (y, dx, dk) in zip(cases, ours, strict=True):
        t = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
        k = torch.tensor(kernel.transpose(axes + 1, axes, *range(axes)), requires_grad=True)
        windows = windows_of(kernel.shape[:-2], axes=axes, **how)
        pads = [n for w in reversed(windows) for n in (w.before, w.after)]
        expected = convolution(
            torch.nn.functional.pad(t, pads), k, None, [w.stride for w in windows], 0, [w.dilation for w in windows]
        ).movedim(1, -1)
        expected.backward(torch.cos(torch.arange(y.size, dtype=torch.float64)).reshape(y.shape))
        message = f"{kernel.shape} {how}"
        np.testing.assert_allclose(y, expected.detach(), rtol=1e-11, atol=1e-11, err_msg=message)
        np.testing.assert_allclose(dx, t.grad.movedim(1, -1), rtol=1e-11, atol=1e-11, err_msg=message)
        np.testing.assert_allclose(dk, k.grad.permute(*range(2, axes + 2), 1, 0), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_torch_one_axis(stride, dilation):
    kernels = [numbers(size, 3, 4, seed=1) for size in (1, 3, 4)]
    hows = [{"stride": stride, "padding": p, "dilation": dilation} for p in ("valid", "same", "causal", 3)]
    compare(numbers(2, 10, 3), kernels, hows)


@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_torch_two_axes(stride):
    kernels = [numbers(*size, 2, 3, seed=1) for size in ((1, 2), (3, 4))]
    hows = [{"stride": stride, "padding": p, "dilation": d} for p in ("same", (0, 2)) for d in (1, (1, 2))]
    compare(numbers(2, 8, 9, 2), kernels, hows)


@pytest.mark.parametrize("how", [{}, {"stride": (2, 1), "padding": "same", "dilation": (1, 2)}])
def test_library_path_is_the_same(monkeypatch, how):
    x, kernel = jnp.asarray(numbers(2, 8, 9, 2), jnp.float32), jnp.asarray(numbers(3, 2, 2, 3), jnp.float32)
    ours = jax.jit(lambda *a: value_and_gradients(*a, **how))(x, kernel)
    monkeypatch.setattr(backend, "native", lambda: True)
    library = jax.jit(lambda *a: value_and_gradients(*a, **how))(x, kernel)  # traced anew
    for a, b in zip(ours, library, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_finite_differences():
    x, kernel = jnp.asarray(numbers(2, 6, 5, 2)), jnp.asarray(numbers(3, 2, 2, 3, seed=1))
    stage = partial(convolve, stride=(2, 1), padding="same", dilation=(1, 2))
    check_grads(jax.jit(lambda x, k: jnp.sin(stage(x, k))), (x, kernel), 1, ["rev"])
    check_grads(jax.jit(lambda x: jnp.sin(pool(x, 2))), (x,), 1, ["rev"])
    check_grads(jax.jit(lambda x: jnp.sin(pool(x, 3, stride=1, kind="average"))), (x,), 1, ["rev"])


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 2), (2, 1), ((1, 3), None), (2, 3)])
def test_pooling_as_torch(size, stride):
    """Overlapping and gapped windows, remainders, and ties: one winner, the same as PyTorch's."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 3, (2, 7, 8, 3)).astype(float)
    for kind, reference in (("max", torch.nn.functional.max_pool2d), ("average", torch.nn.functional.avg_pool2d)):
        pooled = partial(pool, size=size, stride=stride, kind=kind)
        t = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
        expected = reference(t, size, stride)
        g = np.cos(np.arange(expected.numel())).reshape(np.moveaxis(expected.detach().numpy(), 1, -1).shape)
        y, dx = jax.jit(lambda x, g, pooled=pooled: (pooled(x), jax.vjp(pooled, x)[1](g)[0]))(jnp.asarray(x), g)
        expected.backward(torch.tensor(g.transpose(0, 3, 1, 2)))
        np.testing.assert_allclose(y, expected.detach().numpy().transpose(0, 2, 3, 1), rtol=1e-14)
        np.testing.assert_allclose(dx, t.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("monotone", [True, False])
@pytest.mark.parametrize("most", [0, 32])
@pytest.mark.parametrize("size", [(2, 2), (3, 1), (1, 1)])
def test_stage_is_its_parts(monkeypatch, kind, monotone, most, size):
    """Pooling before σ and the widened kernel change neither value nor gradient, remainders included."""
    monkeypatch.setattr("perceptory.ops.convolution.MAX_CHANNELS", most)
    x, kernel, bias = (jnp.asarray(numbers(*s)) for s in ((2, 9, 8, 2), (3, 2, 2, 3), (3,)))
    windows = windows_of((3, 2), padding="same")

    def parts(x, kernel, bias):
        return pool(jnp.tanh(convolve(x, kernel, padding="same") + bias), size, kind=kind)

    def stage(x, kernel, bias):
        return compute_stage(ConvolutionStage(x, kernel, bias, windows, size, kind, jnp.tanh, monotone))

    def with_gradients(f):
        return lambda *arguments: (f(*arguments), jax.grad(lambda *a: (f(*a) ** 2).sum(), (0, 1, 2))(*arguments))

    a, b = jax.jit(lambda *arguments: (with_gradients(stage)(*arguments), with_gradients(parts)(*arguments)))(
        x, kernel, bias
    )
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("data_too", [True, False])
def test_members_equal_one_alone(data_too):
    """vmap over kernels, with the data mapped as well and without, under jit, in float32."""
    x, kernel = jnp.asarray(numbers(3, 2, 8, 8, 2), jnp.float32), jnp.asarray(numbers(3, 3, 3, 2, 4), jnp.float32)

    def gradients(x, kernel):
        return jax.value_and_grad(lambda x, k: (pool(convolve(x, k), 2) ** 2).sum(), (0, 1))(x, kernel)

    data = x if data_too else x[0]
    all_at_once = jax.jit(jax.vmap(gradients, (0 if data_too else None, 0)))(data, kernel)
    for i in range(3):
        alone = jax.jit(gradients)(x[i] if data_too else x[0], kernel[i])
        for a, b in zip(jax.tree.leaves(all_at_once), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=2e-5, atol=2e-5)


def test_causal_sees_nothing_later():
    x, kernel = numbers(1, 12, 2), jnp.asarray(numbers(3, 2, 2, seed=1))
    changed = x.copy()
    changed[:, 7:] += 1
    y, z = (convolve(jnp.asarray(v), kernel, padding="causal", dilation=2) for v in (x, changed))
    np.testing.assert_array_equal(y[:, :7], z[:, :7])
    assert not np.allclose(y[:, 7:], z[:, 7:])


@pytest.mark.parametrize("kind", ["max", "average"])
def test_global_pooling_leaves_padding_out(kind):
    x = numbers(3, 5, 2)
    lengths = jnp.array([5, 2, 0])
    y, plain = global_pool(jnp.asarray(x), kind=kind, lengths=lengths), {"max": np.max, "average": np.mean}[kind]
    np.testing.assert_allclose(y, [plain(x[0], 0), plain(x[1, :2], 0), np.zeros(2)], rtol=1e-14)
    np.testing.assert_allclose(global_pool(jnp.asarray(x), kind=kind), plain(x, 1), rtol=1e-14)
    grad = jax.grad(lambda x: global_pool(x, kind=kind, lengths=lengths).sum())(jnp.asarray(x))
    assert np.isfinite(grad).all()
    assert np.all(grad[1, 2:] == 0)


def test_the_path_of_a_stage(monkeypatch):
    """Which of the five ways is taken, by channels, pool, stride, zeros and batch, on a CPU and elsewhere."""

    def name(into=8, out=8, pool=1, batch=2, stride=1, padding="same", length=16):
        shapes = (batch, length, into), (3, into, out), (out,)
        x, kernel, bias = (jnp.zeros(shape, jnp.float32) for shape in shapes)
        return path_of(ConvolutionStage(x, kernel, bias, windows_of(3, stride, padding, axes=1), (pool,))).name

    without = "perceptory.ops.blocked_convolution.kernel.accepts"
    monkeypatch.setattr(without, lambda *arrays: False)
    assert name() == "Toom-Cook"
    assert name(pool=2) == "widened kernel"
    assert name(pool=2, out=13) == name(length=4) == "Toom-Cook"
    assert name(into=5) == name(out=5) == name(stride=2) == name(padding="causal") == name(length=3) == "windows"
    monkeypatch.setattr(without, lambda *arrays: True)
    monkeypatch.setattr("perceptory.ops.blocked_convolution.kernel.lanes", lambda dtype: 8)
    assert name(batch=4) == name(batch=4, pool=2) == "blocks"
    assert name(batch=3) == "Toom-Cook"
    assert name(batch=4, stride=2) == "windows"
    monkeypatch.setattr(backend, "native", lambda: True)
    assert name() == name(batch=4) == "library"
    assert [path.name for path in PATHS] == ["library", "blocks", "widened kernel", "Toom-Cook", "windows"]


def test_gather_and_scatter_are_transposes():
    """⟨gather(x), p⟩ = ⟨x, scatter(p)⟩."""
    windows = windows_of((3, 2), (2, 3), (1, "same"), (1, 2))
    x = numbers(2, 9, 8, 4)
    gathered = np.asarray(jax.jit(lambda x: patches.gather(x, windows))(x))
    p = numbers(*gathered.shape, seed=1)
    scattered = jax.jit(lambda p: patches.scatter(p, windows, x.shape[1:-1]))(p)
    np.testing.assert_allclose(np.vdot(gathered, p), np.vdot(x, scattered), rtol=1e-12)


def test_refusals():
    x = jnp.zeros((1, 4, 4, 2))
    with pytest.raises(InputError, match=r"got \[1, 4, 4, 2\] and \[3, 3, 1, 2\]"):
        convolve(x, jnp.zeros((3, 3, 1, 2)))
    with pytest.raises(InputError, match="does not fit"):
        convolve(x, jnp.zeros((5, 5, 2, 2)))
    with pytest.raises(InputError, match="is for series"):
        convolve(x, jnp.zeros((3, 3, 2, 2)), padding="causal")
    with pytest.raises(InputError, match='needs "valid"'):
        convolve(x, jnp.zeros((3, 3, 2, 2)), padding="half")
    with pytest.raises(InputError, match="pooling"):
        pool(x, 2, kind="median")
