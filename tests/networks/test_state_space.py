"""State-space networks: against loops in NumPy, by differences, bounded, and in a study."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import Adam, Cosine, InputError, Model, StateSpace, Study, read_series
from perceptory.layers.arrays import pack, unpack

SPEC = StateSpace(3, (5, 4), (2,), lead=2)


@pytest.fixture(scope="module")
def net():
    with jax.enable_x64(True):
        built = SPEC.build((7, 3), (7, 1), key=jax.random.key(1))
        return unpack(built, 0.7 * jax.random.normal(jax.random.key(2), pack(built).shape, jnp.float64))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(4, 7, 3))


def test_equals_a_loop_over_the_steps(net, x):
    original, net = net, jax.tree.map(np.asarray, net)
    u, y = x[..., :2], x[..., 2:]

    def layers(parts, v):
        for part in parts:
            z = v @ part.weight + part.bias
            v = z if part is parts[-1] else np.tanh(z)
        return v

    state = layers(net.encoder, x[:, :2].reshape(4, -1))
    want = [y[:, 0], y[:, 1]]
    for t in range(2, 7):
        want.append(layers(net.readout, np.concatenate([state, u[:, t]], axis=1)))
        v = np.tanh(u[:, t] @ net.drive.weight + net.drive.bias + state @ net.recurrent)
        state = state * (1 - 1 / (1 + np.exp(-net.leak))) + layers(net.change, v)
    with jax.enable_x64(True):
        found = original(jnp.asarray(x))
    np.testing.assert_allclose(found, np.stack(want, axis=1), rtol=1e-12)


def test_known_outputs_after_the_lead_do_not_matter(net, x):
    other = x.copy()
    other[:, 2:, 2] = 99
    with jax.enable_x64(True):
        np.testing.assert_array_equal(net(jnp.asarray(other)), net(jnp.asarray(x)))


def test_gradient_against_differences(net, x):
    with jax.enable_x64(True):
        cost = jax.jit(lambda w: jnp.sum(jnp.sin(unpack(net, w)(jnp.asarray(x)))))
        w = pack(net)
        found = np.asarray(jax.grad(cost)(w))
        step = 1e-6 * np.eye(len(w))
        want = [(float(cost(w + e)) - float(cost(w - e))) / 2e-6 for e in step]
    np.testing.assert_allclose(found, want, rtol=1e-6, atol=1e-7)


def test_states_stay_bounded():
    """|s| <= max |f| / λ, whatever comes in and however long."""
    spec = StateSpace(2, (4,), lead=1)
    net = spec.build((300, 2), (300, 1), key=jax.random.key(0))
    x = jnp.full((1, 300, 2), 1e6)
    limit = jnp.abs(net.change[-1].weight).sum(0) / jax.nn.sigmoid(net.leak)
    start = jnp.abs(net(x)[0, 1] - net.readout[0].bias)
    bound = start + limit @ jnp.abs(net.readout[0].weight[:2]) + 1e6 * jnp.abs(net.readout[0].weight[2:]).sum()
    assert float(jnp.abs(net(x)[:, 1:]).max()) <= float(bound.max())


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [((7, 1), (7, 1), "known=2"), ((7, 3), (1,), "every step"), ((2, 3), (2, 1), "2 steps")],
)
def test_refusals(inputs, outputs, said):
    with pytest.raises(InputError, match=said):
        SPEC.build(inputs, outputs, key=jax.random.key(0))
    with pytest.raises(InputError, match="at least one hidden layer"):
        StateSpace(2, ())


def test_it_finds_a_tank_and_is_read_back(tmp_path):
    """A tank that empties by the root of its level, from any level: far better than its mean."""
    random = np.random.default_rng(3)
    u = np.repeat(random.uniform(0.2, 1.0, 60), 8)
    y = np.empty(480)
    level = 1.0
    for t in range(480):
        y[t] = level
        level = max(level + 0.15 * (u[t] - 0.6 * np.sqrt(level)), 0.01)
    how = {"predict": "every step", "known": 3, "washout": 3}
    data = read_series({"u": u[:360], "y": y[:360]}, "y", window=40, stride=4, **how)
    study = Study(
        StateSpace(1, (6,), lead=3), optimizer=Adam(Cosine(0.02)), epochs=200, patience=0, batch_size=8, test=0
    )
    result = study.run(data)
    result.model.save(tmp_path / "tank.safetensors")
    later = {"u": u[360:], "y": y[360:]}
    predicted = Model.load(tmp_path / "tank.safetensors").predict(later)[0]
    np.testing.assert_array_equal(predicted, result.model.predict(later)[0])
    assert np.sqrt(np.mean((predicted - later["y"])[3:] ** 2)) < 0.15 * later["y"].std()
