"""The kernel of a table's columns against the same features by XLA: values, gradients, members, and what it refuses."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory.kernels import build, columns
from perceptory.layers import tabular
from perceptory.layers.tabular import ColumnScaling, shares
from perceptory.layers.thresholds import thresholds_of

pt.backend.prepare()
KERNEL = "columns"
pytestmark = pytest.mark.usefixtures("kernel", "x64")
Columns = columns.Columns


def of_xla(c, weights, u, flags, known, edges):
    """The features by their formulas, as `layers.tabular` has them."""
    parts, place = [u], 0

    def take(*shape):
        nonlocal place
        place += int(np.prod(shape))
        return weights[place - int(np.prod(shape)) : place].reshape(shape)

    if c.kind == "piecewise":
        values = shares(u, edges.reshape(c.numbers, -1)) - 0.5
        parts.append(jnp.einsum("rcb,cbw->rcw", values, take(c.numbers, c.bins, c.width)))
    if c.kind == "periodic":
        frequency, phase = take(c.numbers, c.bins), take(c.numbers, c.bins)
        waves = jnp.cos(2 * jnp.pi * u[..., None] * frequency + phase)
        v = jnp.einsum("rcb,cbw->rcw", waves, take(c.numbers, c.bins, c.width))
        parts.append(v + take(c.numbers, c.width))
    parts.append(flags)
    for size, part in zip(c.groups, jnp.split(known, np.cumsum(c.groups).tolist(), axis=1)[:-1], strict=True):
        parts.append(part @ take(size, c.depth))
    y = jnp.concatenate([part.reshape(len(u), -1) for part in parts], axis=1)
    assert y.shape[1] == c.features
    return y * take(c.features) if c.scaled else y


def arrays(c, batch, dtype=np.float64, seed=0):
    """Weights, numbers (some at edges, some beyond all of them), flags, one-hot categories, edges with bins of no
    width at both ends and within."""
    random = np.random.default_rng(seed)
    edges = np.sort(np.round(random.normal(size=(c.numbers, c.bins + 1)), 1), axis=1)
    u = random.normal(size=(batch, c.numbers)) * 1.5
    if c.numbers:
        edges[:, : min(3, c.bins)] = edges[:, :1]
        edges[0, -2:] = edges[0, -1]
        u[: batch // 3] = edges[np.arange(c.numbers), random.integers(0, c.bins + 1, (batch // 3, c.numbers))]
    own = {"none": 0, "piecewise": c.bins * c.width, "periodic": c.bins * (c.width + 2) + c.width}[c.kind]
    size = c.numbers * own + sum(c.groups) * c.depth + c.scaled * c.features
    known = [np.eye(n)[random.integers(0, n, batch)] * random.integers(0, 2, (batch, 1)) for n in c.groups]
    flags = random.integers(0, 2, (batch, c.flags))
    made = (
        random.normal(size=size), u, flags, np.concatenate([np.zeros((batch, 0)), *known], axis=1),
        edges.ravel() if c.kind == "piecewise" else np.zeros(0),
    )  # fmt: skip
    return tuple(jnp.asarray(a, dtype) for a in made)


def slope(f, weights, *others):
    def cost(weights):
        y = f(weights, *others)
        return jnp.sum(jnp.sin(y) * jnp.cos(jnp.arange(y.size)).reshape(y.shape)), y

    return jax.grad(cost, has_aux=True)(weights)


def close(results, others, tolerance):
    for mine, other in zip(results, others, strict=True):
        scale = np.abs(other).max() + 1e-30
        np.testing.assert_allclose(mine / scale, other / scale, atol=tolerance)


CASES = [
    (Columns(2, 3, "piecewise", 32, 8, (4, 12), 3, True), 300),
    (Columns(3, 1, "piecewise", 5, 3, (2,), 5, False), 7),
    (Columns(3, 2, "periodic", 7, 3, (6,), 8, True), 300),
    (Columns(0, 0, "none", 0, 0, (11,), 2, False), 9),
    (Columns(0, 1, "none", 0, 0, (300, 3), 4, True), 40),  # of hundreds, some are looked at together
]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 2e-5)])
def test_equals_xla(as_users, dtype, tolerance):
    """Every embedding, bins without a width, numbers at edges and beyond, any sizes, with and without a scale."""
    given = [arrays(c, batch, dtype) for c, batch in CASES]
    kernel, xla = (
        jit(lambda given, of=of: [slope(of(c), *a) for (c, _), a in zip(CASES, given, strict=True)])(given)
        for jit, of in ((as_users, columns.features), (jax.jit, lambda c: partial(of_xla, c)))
    )
    for mine, other in zip(kernel, xla, strict=True):
        close(mine, other, tolerance)


def test_members_equal_themselves_alone():
    c = CASES[0][0]
    made = [arrays(c, 9, seed=seed) for seed in range(2)]
    f = partial(slope, columns.features(c))
    stacked = [jnp.stack(pair) for pair in zip(*made, strict=True)]
    together = jax.jit(jax.vmap(f))(*stacked)
    shared = jax.jit(jax.vmap(f, in_axes=(0, *[None] * 4)))(stacked[0], *made[0][1:])
    program = jax.jit(f)
    for i in range(2):
        for got, alone in zip(together, program(*made[i]), strict=True):
            np.testing.assert_array_equal(got[i], alone)
        for got, alone in zip(shared, program(stacked[0][i], *made[0][1:]), strict=True):
            np.testing.assert_array_equal(got[i], alone)


def test_places_are_sums_of_shares():
    random = np.random.default_rng(0)
    edges = jnp.asarray(np.sort(np.round(random.normal(size=(3, 9)), 1), axis=1))
    x = jnp.concatenate([edges.T, random.normal(size=(20, 3))])
    np.testing.assert_allclose(columns.places(x, edges), jnp.sum(shares(x, edges), axis=-1), atol=1e-12)
    scaling = ColumnScaling(jnp.ones(3), jnp.full(3, 2.0), edges, None)
    np.testing.assert_allclose(scaling(x[:20], by_kernel=True), scaling(x[:20]), atol=1e-12)


@pytest.mark.parametrize("kind", ["piecewise", "periodic"])
def test_nan_stays_in_its_row(kind):
    c = Columns(2, 1, kind, 4, 3, (3,), 2, True)
    weights, u, *others = arrays(c, 6)
    f = columns.features(c)
    clean, rows = f(weights, u, *others), f(weights, u.at[1].set(np.nan), *others)
    assert np.isnan(rows[1, :8]).all()
    np.testing.assert_array_equal(np.delete(rows, 1, 0), np.delete(clean, 1, 0))


def test_what_it_refuses():
    """A gradient by what it is given; arrays and sizes that do not fit together, at the door."""
    c = CASES[0][0]
    weights, u, *others = arrays(c, 6)
    f = columns.features(c)
    with pytest.raises(TypeError, match="by its weights alone"):
        jax.grad(lambda u: jnp.sum(f(weights, u, *others)))(u)
    wrong = [
        (weights[:-1], u, *others),
        (weights, u[:, :1], *others),
        (weights, u, others[0][:-1], *others[1:]),
        (weights, u, *others[:2], others[2][:-1]),
    ]
    for arguments in wrong:
        with pytest.raises(Exception, match=r"do not fit together|not whole"):
            jax.block_until_ready(f(*arguments))
    for change in ({"bins": 1 << 30}, {"groups": (4, -12)}, {"width": -1}, {"bins": 0}):
        with pytest.raises(Exception, match=r"columns_forward|negative"):
            jax.block_until_ready(columns._call("forward", c._replace(**change), ((6, 1), (1,)), u, *others, weights))
    assert ("columns", "float64") in build.states()


@pytest.mark.parametrize("rows", [1, 2, 40, 700])
def test_what_is_asked_of_columns_in_order_is_that_of_the_formulas(rows, monkeypatch):
    """Of members mapped: ties, a constant column, rows that do not count, and a member of which none counts."""
    random = np.random.default_rng(rows)
    x = random.normal(size=(3, rows, 4))
    x[:, :, 1:3] = np.round(x[:, :, 1:3], 1)
    x[:, :, 0] = 7
    w = random.choice([0.0, 0.5, 2.0], (3, rows))
    w[0], w[1] = 0, 1

    def asked(x, w):
        at = np.array([0, 0.25, 0.5, 0.75, 1])
        return tabular.edges_of(x, w, 9), tabular.quantiles(x, w, at), thresholds_of(x, w, 9)

    found = jax.jit(jax.vmap(asked))(x, w)
    with monkeypatch.context() as patch:
        patch.setattr(columns, "there", lambda *_: False)
        want = jax.jit(jax.vmap(asked))(x, w)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1][1], np.quantile(x[1], [0, 0.25, 0.5, 0.75, 1], axis=0).T, atol=1e-12)
    assert np.isinf(found[0][0]).all()


def test_nan_comes_last():
    x = jnp.asarray([[np.nan], [2.0], [1.0], [3.0]])
    np.testing.assert_array_equal(columns.quantiles(x, jnp.ones(4), jnp.asarray([0.0, 1 / 3, 1.0]))[0], [1, 2, np.nan])
