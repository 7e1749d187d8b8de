"""Layers by value, and what a sequence of them hands on."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from perceptory.layers.dense import Activate, Dense, Dropout, Reshape, matmul
from perceptory.layers.sequential import Sequential, Skip
from perceptory.ops.activations import ACTIVATIONS

KEY = jax.random.key(0)


class Told(eqx.Module):
    """Gives back what it was told, as a row of numbers."""

    takes: ClassVar[tuple[str, ...]] = ("lengths",)

    def __call__(self, x: Any, key: Any = None, lengths: Any = None) -> Any:
        return x if lengths is None else jnp.asarray(lengths, x.dtype)[:, None]


class Drawing(eqx.Module):
    """One random number for each row."""

    def __call__(self, x: Any, key: Any = None) -> Any:
        return x if key is None else x + jax.random.uniform(key, (x.shape[0], 1))


def test_dense_works_on_the_last_axis():
    layer = Dense(jnp.array([[1.0, 2.0], [0.0, -1.0]]), jnp.array([0.5, 0.0]), jax.nn.relu)
    x = jnp.array([[[1.0, 1.0], [0.0, 3.0]]])
    np.testing.assert_allclose(layer(x), [[[1.5, 1.0], [0.5, 0.0]]])


def test_activate_and_reshape():
    np.testing.assert_allclose(Activate(ACTIVATIONS["relu"].function)(jnp.array([[-1.0, 2.0]])), [[0, 2]])
    x = jnp.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_allclose(Reshape((6,))(x), np.arange(12).reshape(2, 6))
    np.testing.assert_allclose(Reshape((3, 2))(Reshape((6,))(x)), x)


def test_each_layer_draws_its_own():
    both = Sequential((Drawing(), Drawing()))
    one, two = both.layers[0](jnp.zeros((3, 1)), jax.random.fold_in(KEY, 0)), both(jnp.zeros((3, 1)), KEY)
    assert not np.allclose(two, 2 * one)
    assert not np.array_equal(two[0], two[1])
    nested = Sequential((Sequential((Drawing(),)), Sequential((Drawing(),))))
    assert len(np.unique(np.concatenate([two, nested(jnp.zeros((3, 1)), KEY)]))) == 6
    assert np.array_equal(both(jnp.ones((3, 1))), jnp.ones((3, 1)))


def test_what_a_layer_takes_reaches_it_however_deep():
    x, lengths = jnp.zeros((2, 1)), jnp.array([3, 5])
    deep = Sequential((Dropout(0.5), Skip(Sequential((Reshape((1,)), Told())))))
    np.testing.assert_allclose(deep(x, lengths=lengths), [[3], [5]])
    np.testing.assert_allclose(deep(x, None, jnp.ones(2), lengths), [[3], [5]])
    np.testing.assert_allclose(deep(x), [[0], [0]])


def test_skip_adds_its_input():
    double = Dense(2 * jnp.eye(2), jnp.zeros(2), ACTIVATIONS["linear"].function)
    np.testing.assert_allclose(Skip(Sequential((double,)))(jnp.array([[1.0, -2.0]])), [[3, -6]])


def test_a_wide_product_has_the_gradient_of_a_product():
    """Alone, mapped over weights and rows, and mapped over weights alone."""
    random = np.random.default_rng(0)
    x, w = jnp.asarray(random.normal(size=(3, 7, 5))), jnp.asarray(random.normal(size=(3, 5, 4)))

    def cost(multiply):
        return lambda x, w: jnp.sum(jnp.sin(multiply(x, w)))

    for axes in ((0, 0), (None, 0)):
        at = (x if axes[0] == 0 else x[0], w)
        ours, plain = (jax.vmap(jax.grad(cost(f), (0, 1)), axes)(*at) for f in (matmul, jnp.matmul))
        for a, b in zip(ours, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_wide_layers_take_it():
    net = Dense(jnp.zeros((512, 64)), jnp.zeros(64), jnp.tanh)
    assert "custom_vjp" in str(jax.make_jaxpr(net)(jnp.zeros((2, 512))))
    assert "custom_vjp" not in str(
        jax.make_jaxpr(Dense(jnp.zeros((8, 64)), jnp.zeros(64), jnp.tanh))(jnp.zeros((2, 8)))
    )
