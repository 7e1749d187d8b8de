"""The specs RNN, GRU and LSTM and their modules: against PyTorch, by hand, in pieces, both ways, over time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import perceptory as pt
from perceptory.errors import InputError
from perceptory.layers.arrays import pack, unpack
from perceptory.layers.recurrent import reversed_steps, state_gradients
from perceptory.networks.base import layout
from perceptory.networks.recurrent import GRU, LSTM, RNN
from perceptory.specs import Traced, combine, from_json, partition, to_json

KINDS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
TIME, BATCH, IN = 5, 3, 2
ORDER = {"RNN": [0], "GRU": [0, 1, 2], "LSTM": [0, 1, 3, 2]}  # PyTorch's place of each of our gates


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def started(spec, *shapes, seed=0):
    """The spec's network, drawn by one program."""
    return eqx.filter_jit(lambda key: spec.build(*shapes, key=key))(jax.random.key(seed))


def of_zeros(spec, *shapes):
    """The spec's network without the compilations that drawing its weights takes; with dropout it has other numbers."""
    if spec.dropout:
        return started(spec, *shapes)
    net = eqx.filter_eval_shape(lambda: spec.build(*shapes, key=jax.random.key(0)))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype) if hasattr(leaf, "dtype") else leaf, net)


def noisy(spec, *shapes, seed=0):
    """The spec's network with all weights and biases drawn from one distribution, so that no bias is 0."""
    net, size = of_zeros(spec, *shapes), layout(spec, *shapes).size
    vector = 0.5 * np.random.default_rng(seed).normal(size=size)
    return unpack(net, vector.astype(jax.dtypes.canonicalize_dtype(float)))


def inputs(seed=0, time=TIME):
    return np.random.default_rng(seed).normal(size=(BATCH, time, IN))


def as_torch(torch, kind, net):
    """torch.nn.RNN, GRU or LSTM with our weights."""
    directions = len(net.layers[0])
    theirs = getattr(torch.nn, kind)(
        IN, 4, num_layers=len(net.layers), batch_first=True, bidirectional=directions == 2, dtype=torch.float64
    )

    def gates(array):
        parts = np.split(np.asarray(array).T, len(ORDER[kind]))
        placed = [None] * len(parts)
        for part, at in zip(parts, ORDER[kind], strict=True):
            placed[at] = part
        return torch.tensor(np.concatenate(placed))

    with torch.no_grad():
        for i, layer in enumerate(net.layers):
            for part, end in zip(layer, ("", "_reverse"), strict=False):
                getattr(theirs, f"weight_ih_l{i}{end}").copy_(gates(part.weight))
                getattr(theirs, f"weight_hh_l{i}{end}").copy_(gates(part.recurrent))
                getattr(theirs, f"bias_ih_l{i}{end}").copy_(gates(part.bias))
                second = getattr(theirs, f"bias_hh_l{i}{end}")
                second.zero_()
                if part.extra is not None:
                    second[-4:] = torch.tensor(np.asarray(part.extra))
    return theirs, gates


@pytest.mark.parametrize(("kind", "bidirectional"), [("RNN", False), ("RNN", True), ("GRU", True), ("LSTM", True)])
def test_equals_pytorch(kind, bidirectional, x64):
    """Two layers: outputs of every step, last states, and the gradients of all weights and of x."""
    torch = pytest.importorskip("torch")
    net = noisy(KINDS[kind]((4, 4), bidirectional=bidirectional), (TIME, IN), (TIME, 2))
    theirs, gates = as_torch(torch, kind, net)
    x = inputs()
    tx = torch.tensor(np.asarray(x), requires_grad=True)
    h, _ = theirs(tx)
    y = h @ torch.tensor(np.asarray(net.readout.weight)) + torch.tensor(np.asarray(net.readout.bias))
    (y**3).sum().backward()

    def cubes(net, x):
        y = net(x)
        return jnp.sum(y**3), y

    (_, ours), (g, gx) = jax.jit(jax.value_and_grad(cubes, (0, 1), has_aux=True))(net, x)
    np.testing.assert_allclose(ours, y.detach(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(gx, tx.grad, rtol=1e-9, atol=1e-11)
    for i, layer in enumerate(g.layers):
        for part, end in zip(layer, ("", "_reverse"), strict=False):
            for ours, name in ((part.weight, "weight_ih"), (part.recurrent, "weight_hh"), (part.bias, "bias_ih")):
                expected = getattr(theirs, f"{name}_l{i}{end}").grad
                np.testing.assert_allclose(gates(ours), expected, rtol=1e-9, atol=1e-11)
            if part.extra is not None:
                expected = getattr(theirs, f"bias_hh_l{i}{end}").grad[-4:]
                np.testing.assert_allclose(part.extra, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_equal_pytorchs_packed_sequences(kind, x64):
    """Both directions, rows of different lengths: outputs of each step, and the last states that one readout sees."""
    torch = pytest.importorskip("torch")
    spec = KINDS[kind]((4,), bidirectional=True)
    net = noisy(spec, (TIME, IN), (TIME, 2))
    theirs, _ = as_torch(torch, kind, net)
    x, lengths = inputs(), np.array([3, 5, 1])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(np.asarray(x)), torch.tensor([3, 5, 1]), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        h, last = theirs(packed)
        h, _ = torch.nn.utils.rnn.pad_packed_sequence(h, batch_first=True)
    real = np.arange(TIME)[:, None] < np.asarray(lengths)
    y = np.where(real.T[..., None], h.numpy() @ np.asarray(net.readout.weight) + np.asarray(net.readout.bias), 0)
    run = jax.jit(lambda net: net(x, lengths=lengths))
    np.testing.assert_allclose(run(net), y, rtol=1e-11, atol=1e-13)
    one = noisy(spec, (TIME, IN), (2,))
    last = (last[0] if kind == "LSTM" else last).numpy()
    expected = np.concatenate([last[0], last[1]], axis=-1) @ np.asarray(one.readout.weight) + np.asarray(
        one.readout.bias
    )
    np.testing.assert_allclose(run(one), expected, rtol=1e-11, atol=1e-13)


def test_lstm_by_hand():
    """One unit, two steps, inputs 1 and 2. i = sigmoid(x), f = sigmoid(1) by its bias, o = sigmoid(h), g = tanh(x)."""
    net = of_zeros(LSTM((1,)), (2, 1), (1,))
    # order of arrays: input weights, recurrent weights, bias (gates i, f, o, g), readout weight and bias
    net = unpack(net, np.array([1.0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 2, 0.5], np.float32))
    # step 1: i = 0.731059, f = 0.731059, o = 0.5, g = 0.761594; c = 0.556770, h = 0.5 tanh(c) = 0.252788
    # step 2: i = 0.880797, o = sigmoid(0.252788) = 0.562863, g = 0.964028
    #         c = 0.731059 * 0.556770 + 0.880797 * 0.964028 = 1.256144, h = 0.562863 * 0.849998 = 0.478432
    np.testing.assert_allclose(
        jax.jit(lambda x: net(x))(np.array([[[1.0], [2.0]]], np.float32)), [[2 * 0.478432 + 0.5]], rtol=3e-6
    )


def test_gru_with_the_reset_gate_before_by_hand():
    """One unit, two steps, inputs 1 and 2, r = u = sigmoid(0) = 1/2 throughout. Before: n = tanh(x + 2 r h), after:
    n = tanh(x + r (2 h + 3)). Step 1: n = tanh 1 = 0.761594, h = 0.380797; after: n = tanh 2.5, h = 0.493307."""
    weights = [0.0, 0, 1, 0, 0, 2, 0, 0, 0, 3, 2, 0.5]  # of x, of h, biases (gates r, u, n), extra, readout
    x = jnp.array([[[1.0], [2.0]]])

    def of(reset, vector):
        return unpack(GRU((1,), reset=reset).build((2, 1), (1,), key=jax.random.key(0)), jnp.array(vector))(x)

    before, after = jax.jit(lambda: (of("before", weights[:9] + weights[10:]), of("after", weights)))()
    h = 0.5 * np.tanh(2 + 0.380797) + 0.5 * 0.380797
    np.testing.assert_allclose(before, [[2 * h + 0.5]], rtol=3e-6)
    h = 0.5 * np.tanh(2 + 0.493307 + 1.5) + 0.5 * 0.493307
    np.testing.assert_allclose(after, [[2 * h + 0.5]], rtol=3e-6)


@pytest.mark.parametrize("spec", [RNN((4, 3)), GRU((4,)), LSTM((4, 3))], ids=lambda s: s.label)
def test_run_in_pieces_equals_the_whole(spec, x64):
    """Also where rows end within a piece: the state stays as it is."""
    net = noisy(spec, (9, IN), (9, 2))
    run = jax.jit(lambda *arguments: net.run(*arguments))
    x, lengths = inputs(time=9), np.array([9, 5, 2])
    state, out = net.initial_state(BATCH), []
    for start, end in ((0, 4), (4, 5), (5, 9)):
        y, state = run(x[:, start:end], state, np.clip(lengths - start, 0, end - start))
        out.append(y)
    whole, last = run(x, net.initial_state(BATCH), lengths)
    np.testing.assert_allclose(np.concatenate(out, axis=1), whole, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(jax.jit(lambda x: net(x, lengths=lengths))(x), whole, rtol=1e-12, atol=1e-14)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("every", [False, True])
def test_padding_and_length_of_the_array_change_nothing(every, x64):
    spec = LSTM((3, 2) if every else (3,), bidirectional=True, dropout=0.5)
    net = noisy(spec, (TIME, IN), (TIME, 2) if every else (2,))
    x = inputs()
    lengths = np.array([5, 2, 3])
    f = jax.jit(jax.value_and_grad(lambda n, x: jnp.sum(jnp.sin(n(x, lengths=lengths)) ** 2)))
    longer = np.pad(x, ((0, 0), (0, 4), (0, 0)), constant_values=np.nan)
    dirty = np.where((np.arange(9)[:, None] >= lengths[:, None, None]), np.nan, longer)
    for a, b in zip(jax.tree.leaves(f(net, x)), jax.tree.leaves(f(net, dirty)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    alone = jax.jit(lambda x: net(x))(x[1:2, :2])[0]
    got = jax.jit(lambda x: net(x, lengths=lengths))(dirty)[1]
    np.testing.assert_allclose(got[:2] if every else got, alone, rtol=1e-11, atol=1e-13)


def test_average_gradient_counts_the_readout_among_the_copies(x64):
    """Outputs are the same; with all lengths equal every gradient is the sum's divided by the number of steps, and the
    readout of the last step alone stands only once."""
    x = inputs()
    for outputs, readout in (((TIME, 2), TIME), ((2,), 1)):
        nets = [noisy(GRU((3,), shared_gradient=how), (TIME, IN), outputs) for how in ("sum", "average")]
        f = jax.jit(jax.value_and_grad(lambda n: jnp.sum(n(x) ** 2)))
        (y, g), (y_average, average) = map(f, nets)
        np.testing.assert_allclose(y, y_average, rtol=1e-12)
        for a, b in zip(jax.tree.leaves(g.layers), jax.tree.leaves(average.layers), strict=True):
            np.testing.assert_allclose(a / TIME, b, rtol=1e-11, atol=1e-13)
        for a, b in zip(jax.tree.leaves(g.readout), jax.tree.leaves(average.readout), strict=True):
            np.testing.assert_allclose(a / readout, b, rtol=1e-11, atol=1e-13)


def test_members_equal_themselves_alone(x64):
    spec = LSTM((3,), bidirectional=True)
    nets = [noisy(spec, (TIME, IN), (2,), seed=seed) for seed in range(3)]
    x, lengths = inputs(), jnp.array([5, 3, 2])
    f = jax.jit(jax.value_and_grad(lambda w: jnp.sum(unpack(nets[0], w)(x, lengths=lengths) ** 2)))
    values, gradients = jax.jit(jax.vmap(f))(np.stack([pack(net) for net in nets]))
    for net, value, gradient in zip(nets, values, gradients, strict=True):
        alone = f(pack(net))
        np.testing.assert_allclose(value, alone[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, alone[1], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_start(kind):
    """Orthogonal recurrent weights, input weights within Glorot's limit, the forget gate's bias 1, all else 0."""
    net = started(KINDS[kind]((6,)), (TIME, IN), (1,), seed=3)
    (part,) = net.layers[0]
    for block in np.split(np.asarray(part.recurrent), part.options.cell.gates, axis=1):
        np.testing.assert_allclose(block @ block.T, np.eye(6), atol=2e-6)
    limit = (6 / (IN + 6)) ** 0.5
    assert 0.8 * limit < np.abs(part.weight).max() <= limit
    ones = slice(6, 12) if kind == "LSTM" else slice(0, 0)
    np.testing.assert_array_equal(part.bias[ones], 1)
    assert part.bias.sum() == len(part.bias[ones])
    other = started(KINDS[kind]((6,)), (TIME, IN), (1,), seed=4)
    assert not np.allclose(part.recurrent, other.layers[0][0].recurrent)


def test_dropout_scales_in_use_and_drops_in_training(x64):
    """As in the MLP: rate p drops outputs of a layer in training, and multiplies them by 1 - p in use."""
    half = noisy(RNN((8,), dropout=0.5), (TIME, IN), (TIME, 1))
    none = noisy(RNN((8,)), (TIME, IN), (TIME, 1))
    x, bias = inputs(), half.readout.bias
    used, whole = jax.jit(lambda x: (half(x), none(x)))(x)
    np.testing.assert_allclose(used - bias, 0.5 * (whole - bias), rtol=1e-12)
    keys = jax.random.split(jax.random.key(1), 4000)
    draw = jax.jit(jax.vmap(lambda k: half(x, k)))
    drawn = np.asarray(draw(keys))
    error = drawn.std(axis=0) / len(keys) ** 0.5
    assert np.all(np.abs(drawn.mean(axis=0) - used) < 5 * error)
    np.testing.assert_array_equal(draw(keys), drawn)


def test_reversed_steps():
    v = jnp.arange(8.0).reshape(4, 2, 1)
    np.testing.assert_array_equal(reversed_steps(v)[:, 0, 0], [6, 4, 2, 0])
    got = reversed_steps(v, jnp.array([3, 1]))
    np.testing.assert_array_equal(got[:, 0, 0], [4, 2, 0, 6])
    np.testing.assert_array_equal(got[:, 1, 0], [1, 3, 5, 7])


@jax.jit
def gradients(net, x, t, lengths=None):
    return state_gradients(net, x, t, lambda y, t: jnp.sum(y - t), lengths)


def test_state_gradients_of_a_linear_network_by_hand(x64):
    """h_t = w h_{t-1} + x_t, y = h_T: ∂y/∂h_t = w^(T - t), which vanishes for w = 1/2 and explodes for w = 2."""
    for w in (0.5, 2.0):
        net = unpack(of_zeros(RNN((1,), "linear"), (10, 1), (1,)), np.array([1.0, w, 0, 1, 0]))
        norms = gradients(net, jnp.ones((1, 10, 1)), jnp.zeros((1, 1)))
        np.testing.assert_allclose(norms, [w ** np.arange(9.0, -1, -1)], rtol=1e-12)


def test_state_gradients_of_layers_and_directions(x64):
    """The last layer's last step sees the readout only, and a truncated network no steps before its last piece; the
    states of both directions count."""
    x, t = inputs(), jnp.zeros((BATCH, 1))
    net = noisy(GRU((4, 3), truncation=2), (TIME, IN), (1,))
    norms = gradients(net, x, t)
    assert norms.shape == (2, TIME)
    expected = np.sqrt(BATCH) * np.linalg.norm(net.readout.weight)
    np.testing.assert_allclose(norms[1], [0, 0, 0, 0, expected], rtol=1e-12)
    both = noisy(RNN((3,), bidirectional=True), (TIME, IN), (1,))
    norms = gradients(both, x, t, jnp.array([5, 5, 5]))
    parts = np.split(np.asarray(both.readout.weight), 2)
    assert norms[0, -1] > np.sqrt(BATCH) * np.linalg.norm(parts[0])  # the other direction's start is seen, too
    assert np.all(np.asarray(norms) > 0)


@pytest.mark.parametrize(
    "spec", [RNN((4, 3), "relu", truncation=3), GRU((4,), dropout=0.25), LSTM((2,), True), GRU((4,), reset="before")]
)
def test_specs(spec):
    assert from_json(to_json(spec)) == spec
    static, numbers = partition(spec)
    assert combine(static, numbers) == spec
    assert (numbers == (0.25,)) == isinstance(static.dropout, Traced)
    shape = layout(static, (TIME, IN), (1,))
    assert shape.size == pack(of_zeros(spec, (TIME, IN), (1,))).size
    assert shape.weights[:3] == (True, True, False)
    assert spec.hidden_units((10, IN), (1,)) == {"RNN": 140, "GRU": 160, "LSTM": 240}[type(spec).__name__]


def test_labels():
    assert LSTM((8, 4), bidirectional=True).label == "bidirectional LSTM 8-4"
    assert RNN((8,), "relu", truncation=5).label == "RNN 8 truncated 5 relu"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(()), "at least one width"),
        (lambda: GRU((0,)), "whole number of at least 1"),
        (lambda: RNN((3,), "tanhh"), "Did you mean 'tanh'"),
        (lambda: LSTM(truncation=-1), "at least 0"),
        (lambda: LSTM(shared_gradient="averag"), "Did you mean 'average'"),
        (lambda: LSTM(bidirectional=1), "True or False"),
        (lambda: LSTM().build((3,), (1,), key=jax.random.key(0)), r"sequences of shape \(time, features\)"),
        (lambda: LSTM().build((3, 1), (1, 2, 3), key=jax.random.key(0)), r"\(out,\) or \(time, out\)"),
        (lambda: of_zeros(LSTM(), (3, 1), (1,))(jnp.ones((2, 3))), r"\[batch, time, features\]"),
        (lambda: _piece(LSTM((2,), bidirectional=True)), "whole record at once"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()


def _piece(spec):
    net = of_zeros(spec, (3, 1), (1,))
    net.run(jnp.ones((1, 3, 1)), net.initial_state(1))


def test_backend_is_ready():
    pt.backend.prepare()
    assert jax.default_backend() != "cpu" or not pt.backend.native()
