"""Closed tables."""

import pytest

from perceptory.errors import InputError
from perceptory.registry import Registry, did_you_mean


@pytest.fixture
def table():
    return Registry("fruit", {"apple": 1, "banana": 2})


def test_it_is_a_mapping_in_the_order_of_its_entries(table):
    assert dict(table) == {"apple": 1, "banana": 2}
    assert list(table) == ["apple", "banana"]
    assert len(table) == 2
    assert "apple" in table
    assert "cherry" not in table


def test_unknown_names(table):
    with pytest.raises(InputError, match=r"^unknown fruit 'aple'\. Did you mean 'apple'\? Known: apple, banana\.$"):
        table["aple"]
    with pytest.raises(InputError, match=r"^unknown fruit 'xyz'\. Known: apple, banana\.$"):
        table["xyz"]


@pytest.mark.parametrize("wrong", [None, 3, ["apple"], {"a": 1}, ("apple",)])
def test_what_is_no_name_is_an_unknown_name(table, wrong):
    with pytest.raises(InputError, match="unknown fruit"):
        table[wrong]


def test_a_name_stands_for_one_thing(table):
    table.add("cherry", 3)
    assert table["cherry"] == 3
    with pytest.raises(InputError, match="the fruit 'cherry' is in its table already"):
        table.add("cherry", 4)
    assert table["cherry"] == 3


def test_suggestions_ignore_case():
    assert did_you_mean("TANH", ["tanh", "relu"]) == " Did you mean 'tanh'?"
    assert did_you_mean("mlp", ["Adam", "MLP"]) == " Did you mean 'MLP'?"
    assert did_you_mean("zzz", ["tanh", "relu"]) == ""
