"""Random numbers by the kernel against JAX's own, to the bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.kernels import threefry

KERNEL = "threefry"
pytestmark = pytest.mark.usefixtures("kernel")


def drawn(key):
    """Everything that a key is asked for in programs."""
    one, two, three = jax.random.split(key, 3)
    return (
        jax.random.key_data(jax.random.split(one, (2, 2))),
        jax.random.key_data(jax.random.fold_in(two, 2**32 - 7)),
        jax.random.normal(three, (17, 3)),
        jax.random.randint(one, (5,), 0, 9),
        jax.random.permutation(two, 11),
        jax.random.exponential(three, ()),
        jax.random.bits(one, (7,), "uint8"),
        jax.random.uniform(two, (0, 3)),
    )


@pytest.mark.parametrize("members", [(), (2, 3)])
def test_the_same_numbers_as_without_it(members):
    words = np.random.default_rng(0).integers(0, 2**32, (*members, 2), dtype=np.uint32)

    def of(kind):
        f = drawn
        for _ in members:
            f = jax.vmap(f)
        return jax.jit(f)(jax.random.wrap_key_data(words, impl=kind))

    assert threefry.kind() != "threefry2x32"
    for own, theirs in zip(of(threefry.kind()), of("threefry2x32"), strict=True):
        np.testing.assert_array_equal(own, theirs)


def test_numbers_in_double_precision_and_many_folds_of_one_key():
    words = np.array([1, 2**31 + 5], np.uint32)
    with jax.enable_x64(True):

        def of(kind):
            key = jax.random.wrap_key_data(words, impl=kind)
            folds = jax.vmap(lambda k: jax.random.key_data(jax.random.fold_in(key, k)))(jnp.arange(4))
            return jax.random.normal(key, (9,), "float64"), folds

        both = (jax.jit(of, static_argnums=0)(kind) for kind in (threefry.kind(), "threefry2x32"))
        for own, theirs in zip(*both, strict=True):
            np.testing.assert_array_equal(own, theirs)


def test_a_program_has_calls_and_no_loops_of_its_own():
    key = jax.random.wrap_key_data(np.array([1, 2], np.uint32), impl=threefry.kind())
    text = jax.jit(lambda key: jax.random.normal(jax.random.fold_in(key, 1), (8,))).lower(key).as_text()
    assert text.count("@perceptory_threefry_pairs_float32") == text.count("@perceptory_threefry_bits_float32") == 1
    assert "while" not in text
