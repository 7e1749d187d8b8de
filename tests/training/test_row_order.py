"""The order of rows: always a permutation, as good as uniform, another one for another key."""

from functools import cache
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perceptory.training.row_order import ROUNDS, drawn, shuffled, words

SHAPES = [(1, 1), (1, 8), (7, 1), (4, 8), (13, 3), (40, 32), (2, 301)]


@jax.jit
def salts_of(key, epoch):
    return words(key, epoch, 2 * ROUNDS)


@cache
def order_of(shape):
    """Compiled: (salts, batches) -> places, `batches` traced."""
    return jax.jit(lambda salts, batches: shuffled(salts, batches, *shape))


@settings(max_examples=120)
@given(st.sampled_from(SHAPES), st.data())
def test_every_place_once_and_padding_beyond_the_end(shape, data):
    most, batch = shape
    batches = data.draw(st.integers(1, most))
    key = np.array(data.draw(st.tuples(*[st.integers(0, 2**32 - 1)] * 2)), np.uint32)
    places = np.asarray(order_of(shape)(salts_of(key, data.draw(st.integers(0, 1000))), batches))
    assert places.shape == shape
    assert sorted(places[:batches].ravel()) == list(range(batches * batch))
    assert (places[batches:] >= batches * batch).all()
    assert (places < most * batch).all()  # in bounds of a table padded to whole batches


def many(shape, count, batches=None):
    """[count, most, batch] orders of one member's successive epochs and of several members."""
    most, batch = shape
    keys = np.random.default_rng(7).integers(0, 2**32, (count, 2), np.uint32)

    def one(key, epoch):
        return shuffled(words(key, epoch, 2 * ROUNDS), most if batches is None else batches, most, batch)

    by_key = jax.jit(jax.vmap(one, (0, None)))(keys, 10**6)
    by_epoch = jax.jit(jax.vmap(one, (None, 0)))(keys[0], jnp.arange(count))
    return np.concatenate([np.asarray(by_key), np.asarray(by_epoch)])


@pytest.mark.parametrize("shape", [(4, 8), (3, 5), (10, 2), (2, 16)])
def test_every_place_lands_in_every_batch_equally_often(shape):
    most, batch = shape
    orders = many(shape, 3000)
    expected = len(orders) / most
    where = np.argsort(orders.reshape(len(orders), -1), axis=1) // batch  # [order, place] -> batch
    counts = np.stack([(where == b).sum(axis=0) for b in range(most)])
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(chi2, most * batch * (most - 1)) > 1e-6


@pytest.mark.parametrize("shape", [(4, 8), (3, 5), (10, 2)])
def test_any_two_places_meet_equally_often(shape):
    most, batch = shape
    orders = many(shape, 3000)
    where = np.argsort(orders.reshape(len(orders), -1), axis=1) // batch
    n = most * batch
    expected = len(orders) * (batch - 1) / (n - 1)
    met = np.array([(where[:, a] == where[:, b]).sum() for a, b in combinations(range(n), 2)])
    spread = np.sqrt(expected * (1 - (batch - 1) / (n - 1)))
    assert np.abs(met - expected).max() < 6 * spread


def test_other_keys_and_other_epochs_give_other_orders():
    orders = many((5, 8), 200).reshape(400, -1)
    assert len(np.unique(orders, axis=0)) == 400
    same = (orders[:1] == orders[1:]).mean(axis=1)  # 1/40 of the places agree by chance
    assert same.max() < 0.3


def test_words_depend_on_both_halves_of_the_key_and_on_the_epoch():
    base = np.array([1, 2], np.uint32)
    first = np.asarray(salts_of(base, 0))
    for key, epoch in [([1, 3], 0), ([0, 2], 0), ([2, 1], 0), ([1, 2], 1)]:
        assert not (np.asarray(salts_of(np.array(key, np.uint32), epoch)) == first).any()
    assert np.array_equal(salts_of(base, 0), first)


def test_drawn_places_are_in_range_and_uniform():
    keys = np.random.default_rng(1).integers(0, 2**32, (400, 2), np.uint32)
    places = np.asarray(jax.jit(jax.vmap(lambda k: drawn(words(k, 0, 2 * ROUNDS), 11, 4, 8)))(keys))
    assert places.shape == (400, 4, 8)
    assert places.max() == 10
    counts = np.bincount(places.ravel(), minlength=11)
    assert stats.chisquare(counts).pvalue > 1e-6
    assert any(len(np.unique(p)) < 11 for p in places)  # with replacement
