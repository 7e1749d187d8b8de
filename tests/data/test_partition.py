"""Sealed rows, and the tables that scikit-learn ships."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptory.data import load_bundled, read_table, seal
from perceptory.errors import InputError


def dataset(y, groups=None):
    return read_table(np.arange(float(len(y)))[:, None] ** 2, np.array(y), groups=groups)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(6, 200), st.floats(0, 0.6), st.integers(0, 5), st.sampled_from(["plain", "classes", "groups", "last"])
)
def test_every_row_stands_in_one_part(rows, share, seed, way):
    random = np.random.default_rng(rows)
    y = np.array(["u", "v", "w"])[np.arange(rows) % 3] if way == "classes" else np.arange(rows) ** 1.5
    groups = random.integers(0, 4, rows) + 10 * (np.arange(rows) % 2) if way == "groups" else None
    data = dataset(y, groups)
    try:
        study, test = seal(data, share, seed=seed, last=way == "last")
    except InputError:
        assert round(share * rows) < 2 or way == "groups"
        return
    assert np.array_equal(np.sort(np.concatenate([study, test])), np.arange(rows))
    assert np.array_equal(study, np.sort(study))
    assert np.array_equal(test, np.sort(test))
    again = seal(data, share, seed=seed, last=way == "last")
    assert np.array_equal(again[1], test)
    if way == "last" and share > 0:
        assert test.min() > study.max()
    if way in ("plain", "last"):
        assert len(test) == round(share * rows)
    if way == "groups" and share > 0:
        assert not set(data.groups[study]) & set(data.groups[test])
    if way == "classes" and share > 0:
        assert set(data.targets[study]) == set(data.targets[test]) == {0, 1, 2}
        assert abs(len(test) - share * rows) <= 3


def test_stratified_counts():
    data = dataset(["a"] * 50 + ["b"] * 30 + ["c"] * 20 + ["d"])
    study, test = seal(data, 0.2, seed=1)
    assert np.bincount(data.targets[test], minlength=4).tolist() == [10, 6, 4, 0]
    assert len(study) == 81
    assert not np.array_equal(seal(data, 0.2, seed=2)[1], test)


def test_bad_shares():
    data = dataset([1.0, 2, 4, 8, 16])
    for share in (1, 1.5, -0.1, float("nan"), "a", True):
        with pytest.raises(InputError, match="at least 0 and below 1"):
            seal(data, share)
    with pytest.raises(InputError, match="leaves 1 study and 4 test rows"):
        seal(data, 0.8)
    with pytest.raises(InputError, match="leaves 5 study and 0 test rows"):
        seal(data, 0.05)
    with pytest.raises(InputError, match="need a target of classes"):
        seal(data, 0.4, stratify=True)
    with pytest.raises(InputError, match="two groups"):
        seal(dataset([1.0, 2, 4, 8], groups=[1, 1, 1, 1]), 0.5)
    with pytest.raises(InputError, match="on both sides"):
        seal(dataset([1.0, 2, 4, 8], groups=[1, 2, 2, 1]), 0.5, last=True)
    assert seal(data, 0)[1].size == 0


@pytest.mark.parametrize(
    ("name", "rows", "columns", "task", "first"),
    [
        ("diabetes", 442, 10, "regression", 59.0),
        ("breast_cancer", 569, 30, "binary", 17.99),
        ("wine", 178, 13, "multiclass", 14.23),
        ("digits", 1797, 64, "multiclass", 0.0),
        ("iris", 150, 4, "multiclass", 5.1),
        ("linnerud", 20, 3, "regression", 5.0),
    ],
)
def test_bundled(name, rows, columns, task, first):
    data = load_bundled(name)
    assert (data.rows, len(data.columns), data.task) == (rows, columns, task)
    assert data.columns[0].values[0] == first
    if name == "breast_cancer":
        assert data.classes == ("benign", "malignant")
        assert np.bincount(data.targets).tolist() == [357, 212]


def test_unknown_bundled():
    with pytest.raises(InputError, match="Did you mean 'diabetes'"):
        load_bundled("diabetis")
