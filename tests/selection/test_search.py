"""Search values and their expansion, against hand-worked grids."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptory.errors import InputError
from perceptory.selection import search
from perceptory.selection.search import choice, expand, find, forbid, integers, log_uniform, uniform
from perceptory.specs import Search, Spec, from_json, positive, to_json, traced


@dataclass(frozen=True)
class Opt(Spec):
    rate: Any = traced(0.1, check=positive)
    name: str = "opt"


@dataclass(frozen=True)
class Net(Spec):
    hidden: tuple = (32,)
    activation: Any = "tanh"


class Pair(NamedTuple):
    first: Any
    second: Any


def test_grid_varies_the_leftmost_value_slowest():
    template = (Net(hidden=(choice(16, 32), 8)), Opt(rate=choice(0.1, 0.2)))
    assert expand(template) == [
        (Net((16, 8)), Opt(0.1)),
        (Net((16, 8)), Opt(0.2)),
        (Net((32, 8)), Opt(0.1)),
        (Net((32, 8)), Opt(0.2)),
    ]


def test_specs_as_choices_hold_search_values_of_their_own():
    template = choice(Opt(rate=choice(1, 2)), Net(), Opt(rate=9))
    assert expand(template) == [Opt(1), Opt(2), Net(), Opt(9)]
    assert [path for path, _ in find((Opt(), template))] == ["[1]", "[1].values[0].rate"]


def test_no_search_value_is_one_candidate_and_the_same_object():
    template = (Net(), Opt())
    assert expand(template) == [template]
    assert expand(template, samples=7)[0] is template


def test_duplicates_are_removed_and_the_first_is_kept():
    assert expand((choice(2, 1, 2, 1.0),)) == [(2,), (1,)]
    assert expand((choice(True, 1, False, 0),)) == [(True,), (1,), (False,), (0,)]
    assert [type(v[0]) for v in expand((choice(True, 1),))] == [bool, int]
    assert expand(choice(Opt(choice(1, 2)), Opt(choice(2, 3)))) == [Opt(1), Opt(2), Opt(3)]


def test_lists_dicts_and_named_tuples_keep_their_kind():
    found = expand({"pair": Pair(choice(1, 2), "x"), "all": [Opt(), choice(5, 6)]})
    assert len(found) == 4
    assert found[1] == {"pair": Pair(1, "x"), "all": [Opt(), 6]}
    assert type(found[1]["pair"]) is Pair


def test_sample_of_a_grid_is_without_replacement_and_a_longer_one_extends_it():
    template = (choice(*range(10)), choice(*range(10)))
    few, many = expand(template, samples=12, seed=3), expand(template, samples=40, seed=3)
    assert many[:12] == few
    assert len(set(many)) == 40
    assert set(many) <= set(expand(template))
    assert expand(template, samples=100, seed=3) == expand(template)
    assert expand(template, samples=12, seed=4) != few


def test_sample_of_a_huge_grid():
    template = tuple(choice(*range(100)) for _ in range(12))
    found = expand(template, samples=30)
    assert len(set(found)) == 30
    assert all(0 <= v < 100 for point in found for v in point)
    assert len({point[0] for point in found}) > 10
    with pytest.raises(InputError, match=r"the search has 10{24} candidates.*samples=50"):
        expand(template)


def test_sample_of_ranges():
    template = (Opt(rate=log_uniform(1e-4, 1)), Net(hidden=(integers(1, 4),)), uniform(-1, 1), choice("a", "b"))
    found = expand(template, samples=400, seed=1)
    assert found == expand(template, samples=400, seed=1)
    assert expand(template, samples=10, seed=1) == found[:10]
    assert len(expand(template)) == search.SAMPLES
    rates = np.array([c[0].rate for c in found])
    assert 1e-4 <= rates.min() <= rates.max() <= 1
    assert abs(np.median(np.log10(rates)) + 2) < 0.3  # the middle of the decades, not of the numbers
    assert Counter(c[1].hidden[0] for c in found).keys() == {1, 2, 3, 4}
    assert abs(np.mean([c[2] for c in found])) < 0.1
    assert 150 < sum(c[3] == "a" for c in found) < 250
    assert type(found[0][1].hidden[0]) is int
    assert type(found[0][2]) is float


def test_choices_have_equal_chances_whatever_they_hold():
    found = expand(choice(Opt(uniform(1, 2)), Net(integers(1, 10**6))), samples=400)
    assert 160 < sum(isinstance(c, Opt) for c in found) < 240


def test_a_sample_ends_where_nothing_new_is_left():
    assert sorted(expand((integers(1, 3),), samples=50)) == [(1,), (2,), (3,)]


def test_values_that_a_spec_refuses():
    with pytest.raises(InputError, match=r"Opt.rate needs a number above 0, got -1"):
        expand(Opt(rate=choice(1, -1)))
    with pytest.raises(InputError, match=r"Opt.rate needs a number above 0"):
        expand(Opt(rate=uniform(-2, -1)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: choice(), "choice needs at least one value"),
        (lambda: choice([1, 2]), r"one by one, got one list\. Example: choice\(\*values\)"),
        (lambda: choice(range(3)), "got one range"),
        (lambda: choice(np.arange(3)), "got one ndarray"),
        (lambda: choice(1, {}), "got a dict"),
        (lambda: choice(1, np.arange(2)), "got a ndarray"),
        (lambda: uniform(1, 1), r"uniform needs low below high, got uniform\(1, 1\)"),
        (lambda: log_uniform(2, 1), "log_uniform needs low below high"),
        (lambda: integers(3, 3), "integers needs low below high"),
        (lambda: log_uniform(0, 1), r"log_uniform needs low above 0, got log_uniform\(0.0, 1.0\)"),
        (lambda: uniform(0, math.inf), "uniform's high needs a finite number, got inf"),
        (lambda: uniform(-1e308, 1e308), "range that a float can hold"),
        (lambda: uniform("a", 2), "uniform's low needs a finite number, got 'a'"),
        (lambda: uniform(False, 2), "got False"),
        (lambda: uniform(choice(1, 2), 3), "uniform's low needs a finite number, got choice"),
        (lambda: integers(1, 2.5), "integers's high needs a whole number, got 2.5"),
        (lambda: integers(0, 2**70), "64 bits"),
        (lambda: expand(Opt(), samples=0), "samples needs a whole number of at least 1"),
        (lambda: expand(Opt(), seed=-1), "seed needs a whole number of at least 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(InputError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_forbid_names_the_place():
    forbid((Net(), Opt()), "study")
    with pytest.raises(InputError, match=r"^seeds needs one plain value, got the search value choice\(1, 2\)\."):
        forbid(choice(1, 2), "seeds")
    with pytest.raises(InputError, match=r"^plan\.hidden\[1\] needs one plain value, got the search value integers"):
        forbid(Net(hidden=(1, integers(1, 2))), "plan")
    with pytest.raises(InputError, match=r"^plans\[0\]\.rate needs"):
        forbid((Opt(rate=uniform(1, 2)),), "plans")


@pytest.mark.parametrize(
    "value",
    [choice(1, 2.5, "a", None, True), choice((16,), [32, 32]), uniform(0, 1), log_uniform(1e-3, 1), integers(-2, 5)],
)
def test_search_values_are_specs_that_a_file_can_hold(value):
    assert isinstance(value, Search)
    again = from_json(json.loads(json.dumps(to_json(value))))
    assert again == value
    assert hash(again) == hash(value)
    assert expand((again,), seed=5) == expand((value,), seed=5)


def test_numpy_scalars_and_lists_become_plain():
    assert choice(np.float64(0.5), np.int32(3)).values == (0.5, 3)
    assert [type(v) for v in choice(np.float64(0.5), np.int32(3)).values] == [float, int]
    assert choice([1, [2]], 3).values == ((1, (2,)), 3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=4), st.integers(1, 30))
def test_a_grid_is_the_product_of_its_choices(values, samples):
    import itertools

    template = tuple(choice(*v) for v in values)
    grid = expand(template)
    assert grid == list(dict.fromkeys(itertools.product(*values)))
    drawn = expand(template, samples=samples, seed=samples)
    assert len(drawn) == len(set(drawn)) == min(samples, len(grid))
    assert set(drawn) <= set(grid)
