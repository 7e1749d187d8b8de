"""Networks of your own: Equinox modules in our place."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.layers.arrays import pack, unpack
from perceptory.layers.base import call
from perceptory.networks.base import layout
from perceptory.networks.custom import Custom
from perceptory.specs import from_json, partition, to_json

KEY = jax.random.key(0)


def deep(inputs, outputs, key):
    return eqx.nn.MLP(inputs, outputs, 5, 1, activation=jax.nn.tanh, key=key)


class Dropping(eqx.Module):
    first: eqx.nn.Linear
    drop: eqx.nn.Dropout

    def __init__(self, inputs, outputs, key):
        self.first, self.drop = eqx.nn.Linear(inputs, outputs, key=key), eqx.nn.Dropout(0.5)

    def __call__(self, x, *, key=None):
        return self.first(self.drop(x, key=key))


class Whole(eqx.Module):
    """Batch-native, for images to several axes."""

    weight: jax.Array
    steps: jax.Array  # whole numbers: no part of what is trained
    shape: tuple = eqx.field(static=True)

    def __init__(self, inputs, outputs, key):
        self.shape, self.steps = outputs, jnp.arange(3)
        self.weight = jax.random.normal(key, (int(np.prod(inputs)), int(np.prod(outputs))))

    def __call__(self, x, key=None):
        y = (x.reshape(len(x), -1) @ self.weight).reshape(-1, *self.shape)
        return y if key is None else y + jax.random.normal(key, y.shape)


def test_an_equinox_network_by_value():
    net = Custom(deep).build((3,), (2,), key=KEY)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    (w1, w2), (b1, b2) = ([np.asarray(getattr(layer, n)) for layer in net.inner.layers] for n in ("weight", "bias"))
    np.testing.assert_allclose(net(jnp.asarray(x)), np.tanh(x @ w1.T + b1) @ w2.T + b2, rtol=1e-5, atol=1e-6)


def test_trains_like_every_other():
    """The flat vector, the gradient, members mapped over it."""
    spec = Custom(deep)
    assert layout(spec, (3,), (2,)).names[:2] == ("inner.layers.0.weight", "inner.layers.0.bias")
    with jax.enable_x64(True):
        net = spec.build((3,), (2,), key=KEY)
        x, start = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3))), np.asarray(pack(net))
        assert start.size == layout(spec, (3,), (2,)).size == 32
        total = jax.jit(lambda v, x: jnp.sum(unpack(spec.build((3,), (2,), key=KEY), v)(x) ** 2))
        gradient = jax.grad(total)(start, x)
        mapped = jax.jit(jax.vmap(jax.grad(total)))(np.stack([start, 2 * start]), jnp.stack([x, x]))
        np.testing.assert_allclose(mapped[0], gradient, rtol=1e-10)
        for i in range(start.size):
            step = 1e-6 * (np.arange(start.size) == i)
            assert gradient[i] == pytest.approx(
                float(total(start + step, x) - total(start - step, x)) / 2e-6, rel=1e-6, abs=1e-8
            )


def test_dropout_draws_for_each_row_in_training_and_not_in_use():
    spec = Custom(Dropping, random=True)
    net = spec.build((200,), (1,), key=KEY)
    x = jnp.ones((3, 200))
    assert spec.stochastic
    training, use = np.asarray(net(x, KEY)), np.asarray(net(x))
    assert len(np.unique(training)) == 3
    np.testing.assert_allclose(
        use, np.asarray(net.inner.first.weight).sum() + float(net.inner.first.bias[0]), rtol=1e-4
    )
    assert not np.array_equal(net(x, KEY), net(x, jax.random.key(1)))


def test_batch_native_with_shapes_of_several_axes():
    spec = Custom(Whole, batched=True, random=True)
    net = spec.build((2, 2, 1), (3, 2), key=KEY)
    x = np.random.default_rng(1).normal(size=(5, 2, 2, 1)).astype(np.float32)
    np.testing.assert_allclose(
        net(jnp.asarray(x)), (x.reshape(5, 4) @ np.asarray(net.weight)).reshape(5, 3, 2), rtol=1e-5
    )
    assert not np.allclose(net(jnp.asarray(x), KEY), net(jnp.asarray(x)))
    assert pack(net).size == 24


def test_a_scalar_stands_for_one_output():
    net = Custom(lambda i, o, key: eqx.nn.MLP(i, "scalar", 2, 1, key=key), "scalar").build((3,), (1,), key=KEY)
    assert net(jnp.ones((4, 3))).shape == (4, 1)


def test_written_as_a_name_that_is_not_read():
    spec = Custom(deep, name="mine")
    assert to_json(spec, strict=False) == {"custom": "Custom mine"}
    with pytest.raises(InputError, match="Custom is not in the table of specs, so it cannot be written to a file"):
        to_json(spec)
    with pytest.raises(InputError):
        from_json(to_json(spec, strict=False))
    assert partition(spec) == (spec, ())
    assert Custom(deep).label == "Custom deep"
    hash(spec)
    assert (spec.label, spec.hidden_units((3,), (1,)), Custom(deep, units=7).hidden_units((3,), (1,))) == (
        "Custom mine",
        64,
        7,
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Custom(3), r"Custom\.builder needs a function of \(inputs, outputs, key\), got a int\. Ex"),
        (lambda: Custom(deep(1, 1, KEY)), r"Custom\.builder needs a function .* got a MLP\."),
        (lambda: Custom(deep, name=""), r"Custom\.name needs a name"),
        (lambda: Custom(lambda i, o, key: deep(i, o, key)), r"Custom needs a name where its builder has none"),
        (lambda: Custom(deep, batched=1), r"Custom\.batched needs True or False"),
        (
            lambda: Custom(lambda i, o, key: lambda x: x, name="f").build((2,), (1,), key=KEY),
            r"the builder of Custom f needs to return an Equinox module, got a function\. Make it a class",
        ),
        (lambda: Custom(Dropping).build((2,), (1,), key=KEY), r"holds eqx\.nn\.Dropout, .* Add random=True"),
        (
            lambda: Custom(lambda i, o, key: eqx.nn.BatchNorm(i, "b", mode="batch"), "n").build((2,), (1,), key=KEY),
            r"holds a layer with state, such as eqx\.nn\.BatchNorm",
        ),
        (
            lambda: Custom(lambda i, o, key: deep(i, 3, key), "three").build((2,), (1,), key=KEY)(jnp.ones((4, 2))),
            r"a custom network needs to give \(1,\) for one example, got \(3,\)",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_trains_in_a_study():
    import perceptory as pt

    random = np.random.default_rng(0)
    x = random.normal(size=(60, 2))
    data = pt.read_table(x, target=np.tanh(x[:, :1]), task="regression")
    study = pt.Study(
        Custom(deep), epochs=40, batch_size=20, validation=pt.HoldOut(0.25), optimizer=pt.Adam(3e-2), test=0
    )
    result = study.run(data)
    assert result.validation["rmse"] < 0.2


class Mean(eqx.Module):
    """The mean of the steps that there are, times a weight: of one example, or of a batch."""

    weight: jax.Array

    def __call__(self, x, key=None, lengths=None):
        inside = 1.0 if lengths is None else (jnp.arange(x.shape[-2]) < jnp.asarray(lengths)[..., None])[..., None]
        steps = x.shape[-2] if lengths is None else jnp.asarray(lengths)[..., None]
        return jnp.sum(x * inside, axis=-2) / steps @ self.weight


class Taking(Mean):
    """Says so as the package's own layers do."""

    takes = ("lengths",)


@pytest.mark.parametrize("kind", [Mean, Taking])
@pytest.mark.parametrize("batched", [False, True])
def test_lengths_go_to_a_module_that_takes_them(kind, batched):
    spec = Custom(lambda i, o, key: kind(jnp.ones((i[1], o))), "mean", batched=batched)
    net = spec.build((4, 1), (1,), key=KEY)
    x = np.arange(12.0).reshape(3, 4, 1)
    lengths = jnp.array([1, 4, 2])
    for key in (None, KEY):
        np.testing.assert_allclose(call(net, jnp.asarray(x), key, lengths=lengths), [[0], [5.5], [8.5]], rtol=1e-6)
        np.testing.assert_allclose(call(net, jnp.asarray(x), key), [[1.5], [5.5], [9.5]], rtol=1e-6)


def test_padding_is_no_data_for_a_network_of_ones_own():
    """Targets are the means of the real steps: with lengths they are found, whatever the padding holds."""
    import perceptory as pt

    random = np.random.default_rng(0)
    lengths = random.integers(1, 5, 40)
    x = random.normal(size=(40, 4, 1))
    y = np.array([one[:n].mean() for one, n in zip(x, lengths, strict=True)])
    wild = np.where(np.arange(4)[:, None] < lengths[:, None, None], x, 1e3)
    study = pt.Study(
        Custom(lambda i, o, key: Mean(jnp.zeros((i[1], o))), "mean"), optimizer=pt.Adam(0.1), epochs=60,
        validation=pt.HoldOut(0.25), test=0, batch_size=30,
    )  # fmt: skip
    data = [pt.read_arrays(a, y, lengths=lengths, kind="series", task="regression") for a in (x, wild)]
    plain, padded = (study.run(one) for one in data)
    assert padded.validation["rmse"] < 0.2 * y.std()
    np.testing.assert_array_equal(plain.model.predict(data[0]), padded.model.predict(data[1]))
