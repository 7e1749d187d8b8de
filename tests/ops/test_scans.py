"""The hand-written BPTT: values and gradients against unrolled loops and finite differences, padding, members."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory import backend
from perceptory.ops.cells import GatedCell, MemoryCell, ResetFirstCell, SimpleCell
from perceptory.ops.members import members_in_turn
from perceptory.ops.scans import ScanOptions, Weights, recur, recur_plain

pt.backend.prepare()  # a device a core
CELLS = {"rnn": SimpleCell(), "elu": SimpleCell("elu"), "gru": GatedCell(), "lstm": MemoryCell()}
OWN_PRODUCTS = {"reset": ResetFirstCell()}  # of these only what differs is tested
TIME, BATCH, IN, H = 4, 3, 2, 3


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def example(cell, seed=0):
    random = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(0.6 * random.normal(size=shape))  # noqa: E731
    G = cell.gates * H
    weights = Weights(draw(IN, G), draw(H, G), draw(G), draw(H) if isinstance(cell, GatedCell) else None)
    return weights, draw(TIME, BATCH, IN), tuple(draw(BATCH, H) for _ in range(cell.states))


def by_hand(name, w, x, state):
    """One step by the textbook equations."""
    sigmoid = jax.nn.sigmoid
    z, a, h = x @ w.input + w.bias, state[0] @ w.recurrent, state[0]
    if name == "lstm":
        i, f, o, g = jnp.split(z + a, 4, axis=-1)
        c = sigmoid(f) * state[1] + sigmoid(i) * jnp.tanh(g)
        return sigmoid(o) * jnp.tanh(c), c
    if name == "gru":
        (zr, zu, zn), (ar, au, an) = jnp.split(z, 3, axis=-1), jnp.split(a, 3, axis=-1)
        r, u = sigmoid(zr + ar), sigmoid(zu + au)
        return ((1 - u) * jnp.tanh(zn + r * (an + w.extra)) + u * h,)
    if name == "reset":
        (zr, zu, zn), (Ur, Uu, Un) = jnp.split(z, 3, axis=-1), jnp.split(w.recurrent, 3, axis=-1)
        r, u = sigmoid(zr + h @ Ur), sigmoid(zu + h @ Uu)
        return ((1 - u) * jnp.tanh(zn + (r * h) @ Un) + u * h,)
    s = z + a
    return (jnp.tanh(s) if name == "rnn" else jnp.where(s > 0, s, jnp.exp(s) - 1),)


def unrolled(name, w, x, state, lengths=None, cut=0):
    """Copies of the cell one after the other; `w` is one set of weights, or a list with one a copy."""
    copies = w if isinstance(w, list) else [w] * len(x)
    out = []
    for t, (own, xt) in enumerate(zip(copies, x, strict=True)):
        if cut and t and t % cut == 0:
            state = jax.lax.stop_gradient(state)
        new = by_hand(name, own, xt, state)
        real = jnp.ones(BATCH, bool) if lengths is None else t < lengths
        state = tuple(jnp.where(real[:, None], n, s) for n, s in zip(new, state, strict=True))
        out.append(jnp.where(real[:, None], state[0], 0))
    return jnp.stack(out), state


def number(out):
    """A number that depends on every output in a different way."""
    leaves = jax.tree.leaves(out)
    return sum(
        jnp.sum(jnp.sin(v + 0.1 * k) * jnp.cos(jnp.arange(v.size)).reshape(v.shape)) for k, v in enumerate(leaves)
    )


def close(a, b, rtol=1e-11, atol=1e-13):
    for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(u, v, rtol=rtol, atol=atol)


# Every cell whole and both cut and padded; what is cut or padded alone by one cell each.
WAYS = [(0, None), (2, (4, 2, 0))]
UNROLLED = [
    *((name, *way) for name, way in product(CELLS, WAYS)),
    ("gru", 0, (4, 2, 0)), ("lstm", 2, None), ("reset", 2, (4, 2, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "cut", "lengths"), UNROLLED)
def test_equals_the_unrolled_network(as_users, name, cut, lengths):
    """Values, and the gradients of weights, inputs and initial state; truncation is stop_gradient every `cut` steps."""
    lengths = None if lengths is None else np.array(lengths)
    if cut and lengths is not None:
        # In the loop written out, a cut in the padding would take the gradient of the last state with it.
        lengths = np.array([4, 1, 4])
    cell = (CELLS | OWN_PRODUCTS)[name]
    arrays = example(cell)
    ours = as_users(jax.value_and_grad(lambda a: number(recur(ScanOptions(cell, cut), *a, lengths))))(arrays)
    loop = jax.jit(jax.value_and_grad(lambda a: number(_loop(name, a, lengths, cut))))(arrays)
    close(ours, loop)


def _loop(name, arrays, lengths, cut):
    if lengths is None or not cut:
        return unrolled(name, *arrays, lengths, cut)
    weights, x, state = arrays  # row by row, each of its own length
    rows = [
        _row(name, weights, x[: int(n), r : r + 1], tuple(s[r : r + 1] for s in state), cut)
        for r, n in enumerate(lengths)
    ]
    h = jnp.concatenate([jnp.pad(v, ((0, TIME - len(v)), (0, 0), (0, 0))) for v, _ in rows], axis=1)
    return h, tuple(jnp.concatenate(s) for s in zip(*(last for _, last in rows), strict=True))


def _row(name, weights, x, state, cut):
    out = []
    for t, xt in enumerate(x):
        state = by_hand(name, weights, xt, jax.lax.stop_gradient(state) if t and t % cut == 0 else state)
        out.append(state[0])
    return jnp.stack(out), state


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "reset"])
def test_average_gradient_is_the_sum_over_copies_divided_by_their_number(as_users, name):
    """Each row's weights stand in as many copies as the row has real steps; inputs' gradients are not averaged."""
    cell = (CELLS | OWN_PRODUCTS)[name]
    weights, x, state = example(cell)
    lengths = jnp.array([4, 3, 1])
    cost = lambda how, *a: number(recur(how, *a, lengths))  # noqa: E731
    got = as_users(jax.grad(partial(cost, ScanOptions(cell, 0, True)), (0, 1, 2)))(weights, x, state)
    total = jax.tree.map(jnp.zeros_like, weights)

    @jax.jit
    def of_copies(row):
        """The gradient by each copy's own weights, of what one row contributes."""

        def contribution(copies):
            out = unrolled(name, copies, x, state, lengths)
            mine = (jnp.arange(BATCH) == row)[:, None]
            return number(jax.tree.map(lambda v: jnp.where(mine, v, jax.lax.stop_gradient(v)), out))

        return jax.grad(contribution)([weights] * TIME)

    for row, n in enumerate(lengths):
        total = jax.tree.map(lambda t, *c, n=n: t + sum(c) / n, total, *of_copies(row))
    close(got[0], total)
    close(got[1:], jax.jit(jax.grad(partial(cost, ScanOptions(cell)), (1, 2)))(weights, x, state))


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_finite_differences(name):
    weights, x, state = example(CELLS[name], seed=1)
    value = lambda a: number(recur(ScanOptions(CELLS[name]), *a))  # noqa: E731
    f, g = jax.jit(value), jax.jit(jax.grad(value))((weights, x, state))
    random, step = np.random.default_rng(2), 1e-5
    for _ in range(5):
        v = jax.tree.map(lambda a: jnp.asarray(random.normal(size=a.shape)), (weights, x, state))
        up, down = (f(jax.tree.map(lambda a, v, s=s: a + s * v, (weights, x, state), v)) for s in (step, -step))
        along = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(g), jax.tree.leaves(v), strict=True))
        np.testing.assert_allclose(along, (up - down) / (2 * step), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["elu", "gru", "lstm"])
def test_padding_changes_no_value_and_no_gradient(name):
    weights, x, state = example(CELLS[name])
    lengths = jnp.array([2, 4, 3])
    pad = (jnp.arange(TIME)[:, None] >= lengths)[..., None]

    def value(arrays):
        out = recur(ScanOptions(CELLS[name]), *arrays, lengths)
        return number(out), out[0]

    f = jax.jit(jax.value_and_grad(value, has_aux=True))
    clean = f((weights, jnp.where(pad, 0, x), state))
    for garbage in (1e30, np.nan, -np.inf):
        dirty = f((weights, jnp.where(pad, garbage, x), state))
        for a, b in zip(jax.tree.leaves(clean), jax.tree.leaves(dirty), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.any(clean[1][1] * pad)
    assert not np.any(clean[0][1] * pad)


def test_states_that_grow_without_bound_in_the_padding_do_no_harm():
    """A linear recurrence with weights 1e3 overflows within the padding; nothing of it is seen."""
    weights = Weights(jnp.ones((1, 2)), 1e3 * jnp.ones((2, 2)), jnp.ones(2))
    x, state, lengths = jnp.ones((200, 1, 1)), (jnp.zeros((1, 2)),), jnp.array([2])
    how = ScanOptions(SimpleCell("linear"))
    long = jax.jit(jax.value_and_grad(lambda w: jnp.sum(recur(how, w, x, state, lengths)[0])))
    short = jax.jit(jax.value_and_grad(lambda w: jnp.sum(recur(how, w, x[:2], state)[0])))
    close(long(weights), short(weights))


@pytest.mark.parametrize(("name", "dtype", "rtol"), [("gru", jnp.float64, 1e-11), ("lstm", jnp.float32, 2e-4)])
def test_members_equal_themselves_alone(as_users, name, dtype, rtol):
    """Mapped over weights and data, and over weights alone; under jit, values and gradients, single precision too."""
    how = ScanOptions(CELLS[name])
    lengths = jnp.array([4, 1, 3])
    many = [example(CELLS[name], seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *many)
    cast = lambda a: jax.tree.map(lambda v: v.astype(dtype), a)  # noqa: E731
    one = jax.value_and_grad(lambda w, x, s: number(recur(how, w, x, s, lengths)))
    f = jax.jit(one)
    both = as_users(jax.vmap(one))(*cast(stacked))
    weights = as_users(jax.vmap(one, in_axes=(0, None, None)))(cast(stacked[0]), *cast(many[0][1:]))
    for i, alone in enumerate(many):
        close(jax.tree.map(lambda v, i=i: v[i], both), f(*cast(alone)), rtol, rtol)
        own = f(cast(alone[0]), *cast(many[0][1:]))
        close(jax.tree.map(lambda v, i=i: v[i], weights), own, rtol, rtol)


def test_halves_of_a_batch_on_two_devices():
    """shard_map over rows: the halves' gradients add up to the whole batch's."""
    if len(jax.devices()) < 2:
        pytest.skip("needs two devices")
    how = ScanOptions(MemoryCell())
    weights, x, state = example(how.cell)
    x, state = jnp.concatenate([x, -x], axis=1), tuple(jnp.concatenate([s, 2 * s]) for s in state)
    part = jax.sharding.PartitionSpec
    f = jax.grad(lambda w, x, s: jnp.sum(recur(how, w, x, s)[0] ** 2))
    halves = jax.jit(
        jax.shard_map(
            lambda w, x, s: jax.lax.psum(f(w, x, s), "rows"),
            mesh=jax.sharding.Mesh(jax.devices()[:2], ("rows",)),
            in_specs=(part(), part(None, "rows"), part("rows")),
            out_specs=part(),
            check_vma=False,
        )
    )
    close(halves(weights, x, state), jax.jit(f)(weights, x, state))


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_probes_add_to_the_hidden_state(name):
    """The gradient by a probe is ∂J/∂h_t; the plain form is otherwise the same recurrence."""
    weights, x, state = example(CELLS[name])
    how = ScanOptions(CELLS[name], 3)
    lengths = jnp.array([4, 3, 0])

    def plain(probe):
        out = recur_plain(how, weights, x, state, lengths, probe)
        return number(out), out

    (_, out), g = jax.jit(jax.value_and_grad(plain, has_aux=True))(np.zeros((TIME, BATCH, H)))
    close(jax.jit(lambda: recur(how, weights, x, state, lengths))(), out)
    step, value = 1e-6, jax.jit(plain)
    bump = np.zeros((TIME, BATCH, H))
    bump[2, 1, 2] = step
    up, down = (value(s * bump)[0] for s in (1, -1))
    np.testing.assert_allclose(g[2, 1, 2], (up - down) / (2 * step), rtol=1e-6)
    assert not np.any(g[3, 1])
    assert not np.any(g[:, 2])


def test_members_go_one_after_another():
    alone = members_in_turn(lambda a, b: (a @ b, jnp.sum(a)), everywhere=True)
    a, b = np.random.default_rng(0).normal(size=(3, 4, 5)), np.ones((5, 2))
    product, total = jax.vmap(alone, in_axes=(0, None))(a, b)
    np.testing.assert_allclose(product, a @ b, rtol=1e-5)
    np.testing.assert_allclose(total, a.sum(axis=(1, 2)), rtol=1e-4)


def test_members_batched_off_the_cpu(monkeypatch):
    """There members are mapped together: the same values and gradients as one after the other."""
    run = members_in_turn(lambda w, x: jnp.tanh(x @ w))
    w = jax.random.normal(jax.random.key(0), (3, 2, 4))
    x = jax.random.normal(jax.random.key(1), (5, 2))
    in_turn = jax.vmap(run, in_axes=(0, None))(w, x)
    monkeypatch.setattr(backend, "native", lambda: True)
    np.testing.assert_allclose(jax.vmap(run, in_axes=(0, None))(w, x), in_turn, rtol=1e-6)
    twice = jax.vmap(jax.vmap(run, in_axes=(0, None)), in_axes=(None, 0))(w, jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(twice[0], in_turn, rtol=1e-6)
