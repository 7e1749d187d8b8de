from __future__ import annotations

import numpy as np

from perceptory.selection.equal_rows import share_alike


def test_equal_rows_fall_on_one_side_in_any_order():
    random = np.random.default_rng(0)
    table = random.integers(0, 4, size=(300, 3)).astype(float)
    held = share_alike(table, 0.2, seed=1)
    assert 0.1 < held.mean() < 0.3
    _, place = np.unique(table, axis=0, return_inverse=True)
    for p in np.unique(place):
        assert len(set(held[place == p])) == 1
    order = random.permutation(300)
    np.testing.assert_array_equal(share_alike(table[order], 0.2, seed=1), held[order])
    assert (share_alike(table, 0.2, seed=2) != held).any()


def test_a_weight_is_a_number_of_copies():
    random = np.random.default_rng(0)
    table, w = random.normal(size=(100, 2)), random.integers(1, 4, size=100)
    held = share_alike(table, 0.25, seed=0, weights=w.astype(float))
    np.testing.assert_array_equal(share_alike(table.repeat(w, axis=0), 0.25, seed=0), held.repeat(w))


def test_classes_keep_their_share():
    table = np.random.default_rng(0).normal(size=(400, 2))
    classes = np.repeat([0, 1], [300, 100])
    held = share_alike(table, 0.1, seed=0, classes=classes)
    assert (held[:300].sum(), held[300:].sum()) == (30, 10)


def test_the_ends():
    assert not share_alike(np.ones((5, 2)), 0.5, seed=0).any()
    two = share_alike(np.array([[1.0], [2.0]]), 0.01, seed=0)
    assert two.sum() == 1
    assert share_alike(np.array([[1.0], [2.0]]), 0.99, seed=0).sum() == 1
    signs = np.array([[0.0], [-0.0], [np.nan], [-np.nan]])
    held = share_alike(signs, 0.5, seed=0)
    assert held[0] == held[1] != held[2] == held[3]
