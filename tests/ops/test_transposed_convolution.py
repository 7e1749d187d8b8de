"""Transposed convolution by hand, against its definition, PyTorch and the library's own; its gradients."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from perceptory import backend
from perceptory.errors import InputError
from perceptory.ops.transposed_convolution import spreads_of, taps_a_place, transposed_convolve


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_hand_worked():
    """x = 1 2 3, kernel 1 10 100, stride 2: 1 10 100+2 20 200+3 30 300. "same" and "causal" keep 6 places, padding 1
    cuts one off on each side; two places more than there are stay 0."""
    x, kernel = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1), jnp.array([1.0, 10.0, 100.0]).reshape(3, 1, 1)

    expected = {
        ("valid", None): [1, 10, 102, 20, 203, 30, 300],
        ("same", None): [1, 10, 102, 20, 203, 30],
        ("causal", None): [1, 10, 102, 20, 203, 30],
        (1, None): [10, 102, 20, 203, 30],
        (1, 6): [10, 102, 20, 203, 30, 300],
        ("valid", 9): [1, 10, 102, 20, 203, 30, 300, 0, 0],
        ("same", 4): [10, 102, 20, 203],
    }

    @jax.jit
    def every(x, kernel, bias):
        found = [
            transposed_convolve(x, kernel, None, spreads_of((3,), 3, 2, padding, 1, output))
            for padding, output in expected
        ]
        spreads = spreads_of((3,), 3, 2, "valid", 1, 8)
        return found, transposed_convolve(x, kernel, bias, spreads, jnp.negative)

    found, with_bias = every(x, kernel, jnp.array([5.0]))
    for (case, values), y in zip(expected.items(), found, strict=True):
        assert y[0, :, 0].tolist() == values, case
    assert with_bias[0, :, 0].tolist() == [-6, -15, -107, -25, -208, -35, -305, -5]


def by_definition(x, kernel, spreads):
    y = np.zeros((x.shape[0], *(s.length for s in spreads), kernel.shape[-1]))
    for o in product(*map(range, x.shape[1:-1])):
        for t in product(*map(range, kernel.shape[:-2])):
            place = [a * s.stride + b * s.dilation - s.before for a, b, s in zip(o, t, spreads, strict=True)]
            if all(0 <= n < s.length for n, s in zip(place, spreads, strict=True)):
                y[(slice(None), *place)] += x[(slice(None), *o)] @ kernel[t]
    return y


CASES = [
    (n, size, stride, padding, dilation, output)
    for n, size, stride in product((1, 4), (1, 2, 5), (1, 2, 3))
    for padding, dilation, output in (("same", 1, None), (1, 2, None), ("causal", 1, 9), ("valid", 1, 4))
    if not (padding == 1 and (n - 1) * stride + 2 * size - 1 < 3)
]


def test_definition(monkeypatch):
    """One axis, all in one compilation, by the kernel or what stands for it and by the library."""
    spreads = [spreads_of((case[0],), *case[1:]) for case in CASES]
    x = {n: numbers(9, n, 2) for n in (1, 4)}
    kernels = {size: numbers(size, 2, 3, seed=size) for size in (1, 2, 5)}

    def every():
        pairs = zip(CASES, spreads, strict=True)
        return [transposed_convolve(jnp.asarray(x[c[0]]), jnp.asarray(kernels[c[1]]), None, s) for c, s in pairs]

    ours = jax.jit(every)()
    monkeypatch.setattr(backend, "native", lambda: True)
    library = jax.jit(lambda: every())()
    for case, spread, a, b in zip(CASES, spreads, ours, library, strict=True):
        expected = by_definition(x[case[0]], kernels[case[1]], spread)
        np.testing.assert_allclose(a, expected, atol=1e-12, err_msg=str(case))
        np.testing.assert_allclose(b, expected, atol=1e-12, err_msg=str(case))


@pytest.mark.parametrize("batch", [2, 16])
def test_torch(batch):
    """Two axes of unequal settings: values and gradients, without and with the kernel in C++."""
    torch = pytest.importorskip("torch")
    x, kernel, bias = numbers(batch, 4, 5, 3), numbers(4, 3, 3, 2, seed=1), numbers(2, seed=2)
    spreads = spreads_of((4, 5), (4, 3), (2, 1), (1, 2), (1, 2), (9, 5))  # PyTorch's output_padding 1 along the first

    @jax.jit
    def run(*arrays):
        y, back = jax.vjp(lambda x, k, b: transposed_convolve(x, k, b, spreads, jax.nn.relu), *arrays)
        return y, *back(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    t = [torch.tensor(a, requires_grad=True) for a in (x, kernel, bias)]
    turned = t[0].movedim(-1, 1), t[1].permute(2, 3, 0, 1), t[2]
    expected = torch.nn.functional.conv_transpose2d(*turned, (2, 1), (1, 2), (1, 0), 1, (1, 2)).relu().movedim(1, -1)
    expected.backward(torch.cos(torch.arange(expected.numel(), dtype=torch.float64)).reshape(expected.shape))
    y, *gradients = run(*map(jnp.asarray, (x, kernel, bias)))
    np.testing.assert_allclose(y, expected.detach(), atol=1e-12)
    for ours, theirs in zip(gradients, t, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, atol=1e-11)


def test_gradients_of_members_and_of_second_order():
    spreads = spreads_of((2, 3), 3, 2, "same")
    x, kernels = jnp.asarray(numbers(2, 2, 3, 1)), jnp.asarray(numbers(3, 3, 3, 1, 2, seed=1))

    def cost(kernel):
        return jnp.sum(transposed_convolve(x, kernel, None, spreads) ** 2)

    check_grads(jax.jit(cost), (kernels[0],), order=2, modes=["rev"], eps=1e-4)
    gradient = jax.jit(jax.grad(cost))
    np.testing.assert_allclose(jax.jit(jax.vmap(gradient))(kernels)[2], gradient(kernels[2]), rtol=1e-10)


def test_every_product_is_a_useful_one():
    """4 x 4 taps with stride 2: four phases of 2 x 2 taps each, not of 3 x 3."""
    assert taps_a_place((7, 7), spreads_of((7, 7), 4, 2, "same")) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (((3, 3), 2, 1, "causal"), "is for series"),
        (((3,), 2, 1, "half"), 'needs "valid", "same", "causal" or a number, got \'half\''),
        (((3,), 2, 1, 2), "cuts all 4 places"),
        (((3,), (2, 2)), "one entry for each of 1 axes"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(InputError, match=message):
        spreads_of(*settings)
