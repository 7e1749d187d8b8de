"""The kernel of symmetric matrices against NumPy, and a landscape's curvature by it against the same from J by XLA."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory.kernels import build, symmetric
from perceptory.layers.sequential import Sequential
from perceptory.objectives.table import SoftmaxCrossEntropy, SquaredError
from perceptory.training.curvature import by_layers, curved, layered, row_jacobians
from perceptory.training.rows import Batch

pt.backend.prepare()
KERNEL = "symmetric"
pytestmark = pytest.mark.usefixtures("kernel", "x64")
RANDOM = np.random.default_rng(0)


TYPES = [(np.float64, 1e-12), (np.float32, 2e-5)]


def close(a, b, tolerance):
    b = np.asarray(b, float)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


def network(rows, outputs, sizes, dtype=np.float64, random=RANDOM):
    """(c, g, layers): numbers that need not be a network's."""
    layers = [
        (random.normal(size=(rows, i)).astype(dtype), random.normal(size=(rows, outputs, o)).astype(dtype))
        for i, o in sizes
    ]
    half = random.normal(size=(rows, outputs, outputs))
    c = (half @ half.transpose(0, 2, 1)).astype(dtype)
    return c, random.normal(size=(rows, outputs)).astype(dtype), layers


def from_j(c, g, layers):
    """(Σ Jᵀ C J, Σ Jᵀ g) with J written out."""
    c, g = c.astype(float), g.astype(float)
    ones = np.ones((len(g), 1))
    j = [np.einsum("ri,rmo->rmio", np.concatenate([v, ones], 1), d).reshape(*g.shape, -1) for v, d in layers]
    j = np.concatenate(j, axis=2)
    return np.einsum("rma,rmb->ab", np.einsum("rkm,rma->rka", c, j), j), np.einsum("rm,rma->a", g, j)


SHAPES = [
    (1, 1, [(1, 1)]),
    (5, 1, [(3, 2)]),
    (70, 1, [(8, 10), (10, 1)]),
    (130, 3, [(4, 7), (7, 17), (17, 3)]),
    (2100, 2, [(1, 9), (9, 2)]),  # sums in two parts
    (64, 10, [(33, 5), (5, 10)]),
]


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_normal_equations_from_layers(shape, dtype, tolerance):
    """One and several outputs and layers, sizes around whole vectors and tiles."""
    given = network(*shape, dtype=dtype)
    h, gradient = symmetric.normal(*given)
    expected = from_j(*given)
    close(h, expected[0], tolerance)
    close(gradient, expected[1], tolerance)
    np.testing.assert_array_equal(h, np.transpose(h))


@pytest.mark.parametrize(("dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("n", [1, 7, 8, 9, 17, 40, 101])
def test_product_solution_and_trace(n, dtype, tolerance):
    random = np.random.default_rng(n)
    a, b = random.normal(size=(2 * n + 1, n)).astype(dtype), random.normal(size=n).astype(dtype)
    shift = random.uniform(0.1, 2, n).astype(dtype)
    c = a.T.astype(float) @ a
    s = random.uniform(0.5, 2, (len(a), 1)).astype(dtype)
    close(symmetric.product(jnp.asarray(a), jnp.asarray(a)), c, tolerance)
    close(symmetric.product(jnp.asarray(s * a), jnp.asarray(a)), (s * a).T.astype(float) @ a, tolerance)
    h = (c / n).astype(dtype)
    whole = np.triu(h).astype(float) + np.triu(h, 1).T + np.diag(shift)
    unread = jnp.asarray(np.triu(h) + np.tril(np.full((n, n), np.nan, dtype), -1))
    close(symmetric.solution(unread, shift, b), np.linalg.solve(whole, b), 100 * tolerance)
    close(symmetric.trace(unread, shift), np.trace(np.linalg.inv(whole)), 10 * tolerance)
    shifted = symmetric.solution(jnp.asarray(h), 0.5, b)
    close(shifted, np.linalg.solve(h + 0.5 * np.eye(n), b.astype(float)), 100 * tolerance)


@pytest.mark.parametrize("n", [1, 9, 30])
def test_what_is_not_positive_definite_gives_nan(n):
    h = np.eye(n)
    h[n - 1, n - 1] = -1
    for bad in (h, np.full((n, n), np.nan), np.full((n, n), np.inf)):
        assert np.isnan(symmetric.solution(jnp.asarray(bad), 0.5, jnp.ones(n))).all()
        assert np.isnan(symmetric.trace(jnp.asarray(bad), 0.5))
    np.testing.assert_allclose(symmetric.solution(jnp.asarray(h), 2.0, jnp.ones(n)), [1 / 3] * (n - 1) + [1.0])


def test_members_equal_themselves_alone():
    """Under vmap, over all arrays and over some of them, and beside members of which nothing is asked: bit for bit."""
    given = [network(70, 2, [(3, 9), (9, 2)]) for _ in range(3)]
    alone = [jax.jit(symmetric.normal)(*one) for one in given]
    c, g, layers = jax.tree.map(lambda *a: jnp.stack(a), *given)
    for active in ([True, True, True], [False, True, False]):
        h, gradient = jax.jit(jax.vmap(symmetric.normal))(c, g, layers, jnp.array(active))
        for i in range(3):
            np.testing.assert_array_equal(h[i], alone[i][0] if active[i] else np.zeros_like(h[i]))
            np.testing.assert_array_equal(gradient[i], alone[i][1] if active[i] else np.zeros_like(gradient[i]))
    b = jnp.asarray(RANDOM.normal(size=(3, h.shape[-1])))
    h = jnp.stack([one[0] for one in alone])
    x = jax.vmap(symmetric.solution, (0, None, 0, 0))(h, 0.1, b, jnp.array([True, False, True]))
    np.testing.assert_array_equal(x[2], symmetric.solution(h[2], 0.1, b[2]))
    np.testing.assert_array_equal(x[1], 0)
    shared = jax.vmap(partial(symmetric.solution, h[0], 0.1))(b)  # one matrix for all
    np.testing.assert_array_equal(shared[1], symmetric.solution(h[0], 0.1, b[1]))
    mixed = jax.vmap(symmetric.normal, (0, 0, [(None, 0), (0, 0)]))(c, g, [(layers[0][0][1], layers[0][1]), layers[1]])
    np.testing.assert_array_equal(mixed[0][1], alone[1][0])
    traces = jax.vmap(lambda h: symmetric.trace(h, 0.1))(h)
    np.testing.assert_array_equal(traces[2], symmetric.trace(h[2], 0.1))


def test_threads_change_no_bit(monkeypatch):
    """Enough work that threads are started: a member's rows in parts, its tiles in parts, several members."""
    one, two = network(5000, 1, [(8, 10), (10, 1)]), network(900, 1, [(8, 40), (40, 1)])
    many = jax.tree.map(lambda a: jnp.stack([a, 2 * a, -a]), two)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(build, "threads", lambda threads=threads: threads)
        found.append([symmetric.normal(*one), symmetric.normal(*two), jax.vmap(symmetric.normal)(*many)])
        j = jnp.asarray(one[2][0][0])
        found[-1].append(symmetric.product(j, j))
    for other in found[1:]:
        jax.tree.map(np.testing.assert_array_equal, found[0], other)


@pytest.mark.parametrize("spec", [pt.MLP((4, 4), residual=True), pt.MLP((), activation="relu")])
def test_curvature_of_a_network_equals_that_from_its_jacobian(as_users, monkeypatch, spec):
    random = np.random.default_rng(5)
    x, s = jnp.asarray(random.normal(size=(23, 4))), jnp.asarray(random.uniform(0, 0.1, 23)).at[-3:].set(0)
    cases = []
    for cost, outputs in ((SquaredError(), 1), (SquaredError(), 2), (SoftmaxCrossEntropy(), 3)):
        module = spec.build((4,), (outputs,), key=jax.random.key(1))
        assert layered(module)
        t = np.eye(3)[random.integers(0, 3, 23)] if outputs == 3 else random.normal(size=(23, outputs))
        cases.append((cost, module, Batch(x, jnp.asarray(t), s, None)))
    ours = as_users(lambda: [by_layers(cost, module, batch, s, True) for cost, module, batch in cases])()
    monkeypatch.setattr(symmetric, "accepts", lambda *arrays: False)

    def from_jacobian(cost, module, batch):
        outputs_of = lambda v, b: pt.layers.arrays.unpack(module, v)(b.x)  # noqa: E731
        y, j = row_jacobians(outputs_of, pt.layers.arrays.pack(module), batch)
        return curved(cost, y, batch.t, s, j)

    expected = jax.jit(lambda: [from_jacobian(*case) for case in cases])()
    for case, other in zip(ours, expected, strict=True):
        for a, b in zip(case, other, strict=True):
            close(a, b, 1e-12)


def test_other_networks_take_the_way_by_their_jacobian():
    for spec, inputs in ((pt.MLP((3,), norm="layer"), (2,)), (pt.RBFNetwork(3), (2,)), (pt.RNN((2,)), (5, 2))):
        assert not layered(spec.build(inputs, (1,), key=jax.random.key(0)))
    assert not layered(Sequential(()))
