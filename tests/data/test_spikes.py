"""Values that stand alone, far off all others of a series that is forecast."""

import json

import numpy as np
import pytest

import perceptory as pt
from perceptory.data.series.plan import SeriesPlan
from perceptory.data.series.spikes import spikes
from perceptory.errors import InputError
from perceptory.notes import spike_in_series

RANDOM = np.random.default_rng(3)
Y = 50 + 0.1 * np.arange(120) + np.resize(RANDOM.normal(0, 5, 12), 120) + RANDOM.normal(0, 1, 120)
AHEAD = {"predict": "ahead", "horizon": range(1, 4)}


def with_values(values):
    y = Y.copy()
    for place, value in values.items():
        y[place] = value
    return y


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, []), ({60: 1e6}, [60]), ({0: -1e6}, [0]), ({119: 1e300}, [119]), ({40: 1e6, 41: -2e6}, [40, 41]),
        ({118: 1e6, 119: 1e6}, []), ({20: 1e6, 50: 1e6, 80: 1e6}, []), ({60: 200.0}, []),
        ({60: np.nan, 70: 1e6}, [70]),
    ],
)  # fmt: skip
def test_what_is_a_spike(values, found):
    """Few values; not the last ones of a series, which may go on so; none that is some deviations away."""
    y = np.concatenate([Y, with_values(values)])
    assert [s.place - 120 for s in spikes(y, np.array([0, 120, 240]))] == found


def test_a_series_that_is_nearly_always_zero_has_none():
    assert not spikes(np.where(np.arange(100) == 50, 3.0, 0.0), np.array([0, 100]))


@pytest.fixture(scope="module")
def data():
    return pt.read_series({"y": with_values({60: 1e6, 119: -1e6})}, "y", **AHEAD)


def test_a_line_stands_in_its_place(data):
    right = with_values({60: (Y[59] + Y[61]) / 2, 119: Y[118]})
    np.testing.assert_array_equal(data.inputs.values[:, 0], right)
    assert data.targets.max() < 100
    assert data.plan.season == 12
    (note,) = [n for n in data.notes if spike_in_series.describes(n)]
    assert (note.facts["row"], note.facts["others"], note.facts["how"]) == (120, 1, "fill")
    assert "straight line" in str(note)
    assert 'spikes="keep"' in str(note)


def test_it_may_be_kept():
    data = pt.read_series({"y": with_values({60: 1e6})}, "y", spikes="keep", **AHEAD)
    assert data.targets.max() == 1e6
    assert data.plan.spikes == "keep"
    assert any(spike_in_series.describes(n) and "leave" in str(n) for n in data.notes)
    with pytest.raises(InputError, match=r"spikes|way to take spikes"):
        pt.read_series({"y": Y}, "y", spikes="drop", **AHEAD)


def test_so_it_is_in_series_that_come_later(data):
    """In test rows, and in what a model's forecasts are made from and scored on, which says so."""
    later = {"y": with_values({119: 1e6})}
    assert pt.read_series(later, "y", like=data, **AHEAD).targets.max() < 100
    plan = SeriesPlan.from_json(json.loads(json.dumps(data.plan.to_json())))
    with pytest.warns(UserWarning, match="taken for a mistake"):
        assert plan.cut(later, data.channels).inputs[-1, -1, 0] == Y[118]
    assert data.ends.windows[0, -1, 0] == Y[118]
