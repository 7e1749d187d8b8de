"""The kernel of layers of neurons against the same layers by XLA, PyTorch and differences: values and gradients,
members, padding, and where it is used."""

from functools import cached_property, partial
from itertools import pairwise
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory.kernels import dense
from perceptory.kernels.stack import Stack
from perceptory.layers.arrays import unpack
from perceptory.networks.base import layout
from perceptory.ops.activations import ACTIVATIONS
from perceptory.training.plan import ProgramPlan
from perceptory.training.procedures.first_order import kernel_stack
from perceptory.training.rows import TableRows
from perceptory.training.weights import narrowed, room_of, widened

pt.backend.prepare()
KERNEL = "dense"
pytestmark = pytest.mark.usefixtures("kernel", "x64")


class Case:
    """A network, by the kernel and by XLA: y and, with a cost that weighs every output its own way, the gradient."""

    def __init__(self, *widths, activation="tanh", batch=5, dtype=np.float64, lead=(), seed=0):
        spec = pt.MLP(widths[1:-1], activation)
        self.spec, self.widths = spec, widths
        self.stack = spec.stack(widths[:1], widths[-1:])
        random = np.random.default_rng(seed)
        self.w = jnp.asarray(0.5 * random.normal(size=(*lead, self.stack.weights)), dtype)
        self.x = jnp.asarray(random.normal(size=(*lead, batch, widths[0])), dtype)

    @cached_property
    def module(self):
        return self.spec.build(self.widths[:1], self.widths[-1:], key=jax.random.key(0))

    def kernel(self, w, x):
        return dense.outputs(self.stack)(w, x)

    def xla(self, w, x):
        return unpack(self.module, w)(x)

    def gradient(self, f, w, x):
        def cost(w):
            y = f(w, x)
            return jnp.sum(jnp.sin(y) * jnp.cos(jnp.arange(y.size)).reshape(y.shape)), y

        return jax.grad(cost, has_aux=True)(w)


SLOPES = {  # of each activation, by z and v
    "tanh": lambda z, v: 1 - v**2,
    "sigmoid": lambda z, v: v * (1 - v),
    "steep_sigmoid": lambda z, v: 2 * v * (1 - v),
    "relu": lambda z, v: z > 0,
    "leaky_relu(0.2)": lambda z, v: np.where(z > 0, 1, 0.2),
    "elu(0.7)": lambda z, v: np.where(z > 0, 1, 0.7 * np.exp(z)),
    "linear": lambda z, v: 1,
}


def by_hand(case):
    """Gradient and outputs by NumPy in double precision, E16 to E20."""
    shapes = list(pairwise(case.widths))
    ends = np.cumsum([(i + 1) * o for i, o in shapes])[:-1]
    rows = [p.reshape(-1, o) for p, (_, o) in zip(np.split(np.asarray(case.w, float), ends), shapes, strict=True)]
    sigma = ACTIVATIONS[case.spec.activation].function
    z, v = [], [np.asarray(case.x, float)]
    for i, w in enumerate(rows, 1):
        z.append(v[-1] @ w[:-1] + w[-1])  # the bias comes after the weights
        v.append(np.asarray(sigma(jnp.asarray(z[-1]))) if i < len(rows) else z[-1])
    d = np.cos(v[-1]) * np.cos(np.arange(v[-1].size)).reshape(v[-1].shape)
    parts = []
    for i in reversed(range(len(rows))):
        parts = [(v[i].T @ d).ravel(), d.sum(0), *parts]
        if i:
            d = (d @ rows[i][:-1].T) * SLOPES[case.spec.activation](z[i - 1], v[i])
    return np.concatenate(parts), v[-1]


def close(results, others, tolerance):
    for mine, other in zip(*map(jax.tree.leaves, (results, others)), strict=True):
        scale = np.abs(other).max() + 1e-30
        np.testing.assert_allclose(mine / scale, other / scale, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 2e-14), (np.float32, 1e-5)])
def test_equals_formulas(as_users, dtype, tolerance):
    """Every activation, widths of 1 to 70 units, outputs beside and along the vectors, batches of any size."""
    cases = [
        *(Case(3, 7, 18, 2, activation=a, dtype=dtype) for a in SLOPES),
        Case(1, 1, 1, batch=1, dtype=dtype),
        Case(8, 32, 32, 1, batch=32, dtype=dtype),
        Case(5, 33, 70, 1, 4, batch=13, dtype=dtype),
        Case(2, 16, 48, 10, batch=300, activation="relu", dtype=dtype),  # more rows than pass at once
        Case(17, 20, 3, batch=600, dtype=dtype),
        Case(3000, 2, 1, batch=2, activation="sigmoid", dtype=dtype),
    ]
    run = as_users(lambda arrays: [c.gradient(c.kernel, *a) for c, a in zip(cases, arrays, strict=True)])
    results = run([(c.w, c.x) for c in cases])
    for mine, case in zip(results, cases, strict=True):
        close(mine, by_hand(case), tolerance)


def test_equals_xla():
    case = Case(3, 20, 7, 2, batch=6)
    close(*(jax.jit(partial(case.gradient, f))(case.w, case.x) for f in (case.kernel, case.xla)), 2e-14)


def test_weights_lie_as_in_the_flat_vector():
    for inputs, hidden in (((4,), (3, 5)), ((2, 3), (7,))):
        spec = pt.MLP(hidden)
        assert spec.stack(inputs, (2,)).weights == layout(spec, inputs, (2,)).size


def test_slope_by_differences():
    case = Case(3, 5, 4, 2)
    along = jnp.cos(jnp.arange(case.w.size))

    def cost(h):
        y = case.kernel(case.w + h * along, case.x)
        return float(jnp.sum(jnp.sin(y) * jnp.cos(jnp.arange(y.size)).reshape(y.shape)))

    slope = case.gradient(case.kernel, case.w, case.x)[0] @ along
    assert (cost(1e-5) - cost(-1e-5)) / 2e-5 == pytest.approx(float(slope), rel=1e-8)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_equals_pytorch(dtype):
    torch = pytest.importorskip("torch")
    case = Case(4, 9, 6, 2, activation="sigmoid", dtype=np.dtype(dtype))
    layers = []
    for layer in unpack(case.module, case.w).layers:
        linear = torch.nn.Linear(*layer.weight.shape)
        linear.weight.data = torch.tensor(np.asarray(layer.weight).T.copy())
        linear.bias.data = torch.tensor(np.asarray(layer.bias))
        layers += [linear, torch.nn.Sigmoid()]
    net = torch.nn.Sequential(*layers[:-1])
    y = net(torch.tensor(np.asarray(case.x)))
    (torch.sin(y) * torch.tensor(np.cos(np.arange(10.0)).reshape(5, 2))).sum().backward()
    theirs = np.concatenate([p.grad.numpy().T.ravel() for p in net.parameters()])
    mine, value = case.gradient(case.kernel, case.w, case.x)
    close([mine, value], [theirs, y.detach().numpy()], 1e-14 if dtype == "float64" else 2e-6)


def test_members_equal_themselves_alone():
    """Mapped over weights and data, over weights alone, over two axes; bit for bit."""
    case = Case(3, 20, 7, 2, batch=6, lead=(2, 3))
    f = partial(case.gradient, case.kernel)
    program = jax.jit(f)
    twice = jax.jit(jax.vmap(jax.vmap(f)))(case.w, case.x)
    shared = jax.jit(jax.vmap(f, in_axes=(0, None)))(case.w[:, 0], case.x[0, 0])
    for i in range(2):
        for got, alone in zip(shared, program(case.w[i, 0], case.x[0, 0]), strict=True):
            np.testing.assert_array_equal(got[i], alone)
        for j in range(3):
            for got, alone in zip(twice, program(case.w[i, j], case.x[i, j]), strict=True):
                np.testing.assert_array_equal(got[i, j], alone)


@pytest.mark.parametrize("activation", SLOPES)
def test_nan_and_infinity_pass_in_their_own_row_and_member(activation):
    case = Case(3, 7, 18, 2, activation=activation, lead=(2,))
    f = jax.vmap(case.kernel)
    clean = f(case.w, case.x)
    rows = f(case.w, case.x.at[0, 1, 2].set(np.nan))
    assert np.all(np.isnan(rows[0, 1]))
    np.testing.assert_array_equal(np.delete(rows[0], 1, 0), np.delete(clean[0], 1, 0))
    np.testing.assert_array_equal(rows[1], clean[1])
    w = case.w.at[0, 0].set(np.nan)
    assert np.all(np.isnan(f(w, case.x)[0]))
    np.testing.assert_array_equal(f(w, case.x)[1], clean[1])
    inf = case.x.at[1, 0].set(np.inf)
    expected = case.xla(case.w[1], inf[1])
    np.testing.assert_allclose(f(case.w, inf)[1], expected, atol=1e-13)


def test_rows_without_a_share_of_the_cost_change_no_gradient():
    case = Case(3, 7, 18, 1, batch=6)

    def slope(x):
        return jax.grad(lambda w: jnp.sum(case.kernel(w, x)[:4] ** 2))(case.w)

    np.testing.assert_array_equal(slope(case.x), slope(case.x.at[4:].set(0)))


def by_jax(stack, w, x):
    """The stack by its formulas: z = v W + b, v = z + a (s(z) - z), the last layer linear."""
    layers = list(pairwise(stack.widths))
    for place, (rows, columns) in enumerate(layers):
        hidden = place + 1 < len(layers)
        own = stack.parametric and hidden
        part, w = w[: (rows + 1 + own) * columns].reshape(-1, columns), w[(rows + 1 + own) * columns :]
        x = x @ part[:rows] + part[rows]
        if hidden:
            s = ACTIVATIONS[stack.activations[place][0]].function(x)
            x = x + part[-1] * (s - x) if own else s
    return x


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 2e-13), (np.float32, 1e-5)])
def test_parametric_units_and_gradient_by_inputs(dtype, tolerance):
    """Every activation, with and without a learned strength; rows that pass at once and more."""
    random = np.random.default_rng(1)
    kinds = ("mish", "selu", "silu", "tanh", "relu", "linear", "sigmoid")
    stacks = [dense.Stack((5, 18, 32, 2), ((kind, 0.0),) * 2, True) for kind in kinds]
    stacks += [dense.Stack((17, 7, 1), (("mish", 0.0),)), dense.Stack((3, 16, 4), (("relu", 0.0),))]
    arrays = [
        (
            jnp.asarray(0.5 * random.normal(size=s.weights), dtype),
            jnp.asarray(random.normal(size=(300, s.widths[0])), dtype),
        )
        for s in stacks
    ]

    @partial(jax.jit, static_argnums=0)
    def gradients(kernel, arrays):
        def cost(stack, w, x):
            return jnp.sum(jnp.sin(dense.outputs(stack)(w, x) if kernel else by_jax(stack, w, x)))

        return [jax.grad(partial(cost, stack), (0, 1))(*pair) for stack, pair in zip(stacks, arrays, strict=True)]

    close(gradients(True, arrays), gradients(False, arrays), tolerance)


def test_dropped_units():
    """A share of the units is 0 and the others are divided by what is left; another key drops others, the same key the
    same ones in both precisions; the gradient is that of what was computed."""
    one = dense.Stack((1, 64, 64), (("linear", 0.0),), False, True)
    w = jnp.concatenate([jnp.zeros(64), jnp.ones(64), jnp.eye(64).ravel(), jnp.zeros(64)])
    keys = jax.random.split(jax.random.key(0))
    run = jax.jit(jax.vmap(lambda noise: dense.outputs(one)(w, jnp.zeros((500, 1)), noise)))
    first, second = run(jax.vmap(lambda key: dense.noise_of(key, jnp.asarray(0.2)))(keys))
    np.testing.assert_allclose(np.unique(first), [0, 1.25])
    assert np.mean(np.asarray(first) > 0) == pytest.approx(0.8, abs=0.01)
    assert np.mean((first > 0) == (second > 0)) == pytest.approx(0.68, abs=0.01)  # 0.8² + 0.2², so independent
    single = dense.outputs(one)(
        w.astype(np.float32), jnp.zeros((500, 1), np.float32), dense.noise_of(keys[0], jnp.asarray(0.2))
    )
    np.testing.assert_array_equal(single > 0, first > 0)
    two = dense.Stack((4, 20, 30, 1), (("mish", 0.0),) * 2, True, True)
    random = np.random.default_rng(2)
    w, x = jnp.asarray(0.5 * random.normal(size=two.weights)), jnp.asarray(random.normal(size=(300, 4)))
    noise, along = dense.noise_of(keys[0], jnp.asarray(0.3)), jnp.cos(jnp.arange(two.weights))
    cost = jax.jit(lambda w: jnp.sum(jnp.sin(dense.outputs(two)(w, x, noise))))
    slope = (cost(w + 1e-6 * along) - cost(w - 1e-6 * along)) / 2e-6
    assert float(jax.grad(cost)(w) @ along) == pytest.approx(float(slope), rel=1e-6)


def test_which_networks_are_such_stacks():
    def found(spec, inputs=(3,)):
        return spec.stack(inputs, (2,))

    assert found(pt.MLP((4, 5), ("relu", "elu(0.5)"))) == dense.Stack((3, 4, 5, 2), (("relu", 0.0), ("elu", 0.5)))
    assert found(pt.MLP((4,)), (2, 3)).widths == (6, 4, 2)
    others = [
        pt.MLP(()),
        pt.MLP((4,), "gelu"),
        pt.TabularMLP((4,)),
        pt.MLP((3,), residual=True),
        pt.MLP((4,), norm="layer"),
        pt.CNN((2,)),
    ]
    others += [pt.MLP((4,), **{name: 0.1}) for name in ("dropout", "input_noise", "weight_noise", "output_noise")]
    assert [found(spec, (8, 8, 1) if isinstance(spec, pt.CNN) else (3,)) for spec in others] == [None] * len(others)


def test_what_is_large_and_alone_stays_with_xlas_threads():
    from perceptory.objectives.table import SquaredError
    from perceptory.training.plan import ProgramPlan

    def stack(hidden, batch, blocks=1, optimizer=None):
        net = pt.MLP((hidden,))
        plan = ProgramPlan(net, SquaredError(), optimizer or pt.Adam(), None, (8,), (1,), 512, 0, batch, 8, 1, blocks)
        return kernel_stack(plan)

    assert stack(32, 32) is not None
    assert stack(4096, 32) is not None
    assert stack(4096, 256) is None
    assert stack(4096, 256, blocks=2) is not None
    assert stack(1 << 15, 1) is None  # weights are not in one vector
    assert stack(32, 32, optimizer=pt.LevenbergMarquardt()) is None


@pytest.mark.parametrize(("width", "first"), [(11, 9), (200, 150)])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_a_table_come_as_they_stand_there(width, first, shared, dtype):
    """Of members with tables of their own, or with one for all; first columns and the others apart."""
    random = np.random.default_rng(width)
    table = random.normal(size=(40, width) if shared else (3, 40, width)).astype(dtype)
    places = random.integers(0, 40, (3, 33)).astype(np.uint32)
    take = jax.vmap(partial(dense.rows, first=first), in_axes=(None if shared else 0, 0))
    x, others = jax.jit(take)(table, places)
    expected = table[places] if shared else np.take_along_axis(table, places[..., None].astype(np.int64), axis=1)
    np.testing.assert_array_equal(x, expected[..., :first])
    np.testing.assert_array_equal(others, expected[..., first:])


@pytest.mark.parametrize(("length", "called"), [(20_000, True), (100, False)])
def test_batches_of_a_large_table_come_by_the_kernel(length, called):
    table = jnp.asarray(np.random.default_rng(0).normal(size=(length, 6)))
    rows = object.__new__(TableRows)
    for name, value in {"plan": SimpleNamespace(inputs=(4,)), "training": table}.items():  # all that it looks at
        object.__setattr__(rows, name, value)
    places = jnp.arange(64, dtype=jnp.uint32)[::-1]
    assert ("perceptory_dense_rows" in str(jax.make_jaxpr(partial(rows.batch, by_kernel=True))(places))) == called
    for one, other in zip(rows.batch(places, True), rows.batch(places), strict=True):
        assert one is other is None or np.array_equal(one, other)


def test_what_stands_behind_the_weights_moves_nothing():
    case = Case(3, 4, 2)
    more = jnp.concatenate([case.w, jnp.full(5, jnp.nan)])
    expected, y = case.gradient(case.kernel, case.w, case.x)
    found, same = case.gradient(case.kernel, more, case.x)
    np.testing.assert_array_equal(same, y)
    np.testing.assert_array_equal(found, jnp.pad(expected, (0, 5)))
    by_xla, _ = case.gradient(lambda w, x: unpack(case.module, w, room=5)(x), more, case.x)
    np.testing.assert_allclose(by_xla, found, rtol=1e-10, atol=1e-12)
    plan = ProgramPlan(pt.MLP((170,)), pt.SquaredError(), pt.AdamW(), None, (100,), (1,), 8, 0, 8, 1, 1, 1)
    room = room_of(plan, np.float32)
    assert layout(plan.network, (100,), (1,)).size + room == 21 * 840
    tree = jnp.ones(17_341), jnp.ones(3)
    wide = widened(tree, plan, room)
    assert [a.shape for a in wide] == [(17_640,), (3,)]
    assert wide[0].sum() == 17_341
    assert [a.shape for a in narrowed(wide, plan, room)] == [(17_341,), (3,)]


@pytest.mark.parametrize("activation", ["tanh", "relu", "mish"])
@pytest.mark.parametrize("widths", [(3, 7, 2), (5, 16, 40, 8), (4, 3, 1)])
def test_outputs_alone_are_those_that_training_sees(widths, activation):
    case = Case(*widths, activation=activation, batch=300, lead=(3,))  # more rows than pass at once
    alone = jax.vmap(partial(dense.values, case.stack))(case.w, case.x)
    np.testing.assert_allclose(alone, jax.vmap(case.kernel)(case.w, case.x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("parametric", [True, False])
def test_a_start_from_the_data_is_that_of_the_formulas(parametric, monkeypatch):
    spec = pt.TabularMLP((20, 7), "mish", parametric=parametric, numbers="none")
    stack = spec.build((5,), (2,), key=jax.random.key(0)).stack
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(60, 5)))
    x = x.at[:, 2].set(1.0)
    places, shares = jnp.asarray(random.integers(0, 60, (5, 29))), jnp.asarray(random.exponential(size=(5, 29)))
    found = jax.tree.leaves(stack.started(x, places, shares))
    monkeypatch.setattr(dense, "accepts", lambda _: False)
    want = jax.tree.leaves(stack.started(x, places, shares))
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_single_layer_is_refused():
    stack = Stack((4, 3), ())
    with pytest.raises(Exception, match="not whole"):
        jax.block_until_ready(dense.values(stack, jnp.zeros(15), jnp.zeros((2, 4))))


def test_a_start_refuses_places_beyond_the_rows():
    case = Case(3, 4, 1, activation="mish")
    shape = (5, 5)
    with pytest.raises(Exception, match="a place is beyond the rows"):
        jax.block_until_ready(dense.start(case.stack, case.w, case.x, jnp.full(shape, 5), jnp.ones(shape)))
