"""Closed tables."""

import json
import sys

import pytest

from perceptory.errors import InputError
from perceptory.registry import Entry, Registry, did_you_mean, exports


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


# --- entries -----------------------------------------------------------------------------------------------------


@pytest.fixture
def lazy():
    """A table of entries whose modules are not there to be imported, but for one."""
    classes = Registry("class")
    entries = {
        "decoder": Entry("json:JSONDecoder", "reads", "HOOK"),
        "strict": Entry("json:JSONDecoder", "reads less", arguments={"strict": False}),
        "other": Entry("no.such.module:Thing", "never asked for"),
    }
    return Registry("coder", entries, classes=classes), classes


def test_an_entry_is_loaded_when_it_is_asked_for(lazy):
    table, classes = lazy
    assert list(table) == ["decoder", "strict", "other"]
    assert table.entry("other").help == "never asked for"
    assert table["decoder"] is json.JSONDecoder
    assert table["strict"]().strict is False
    with pytest.raises(ModuleNotFoundError):
        table["other"]
    with pytest.raises(InputError, match=r"unknown coder 'decode'\. Did you mean 'decoder'\?"):
        table.entry("decode")
    assert list(classes) == ["JSONDecoder", "Thing"]
    assert classes["JSONDecoder"] is json.JSONDecoder  # with its own defaults, whichever name was first


def test_two_classes_of_one_name_cannot_both_be_in_files(lazy):
    table, classes = lazy

    with pytest.raises(InputError, match="the class 'Thing' is in its table already"):
        table.add("mine", Entry("elsewhere:Thing"))
    other = type("JSONDecoder", (), {})
    with pytest.raises(InputError, match="the class 'JSONDecoder' is in its table already"):
        table.add("mine", other)
    assert "mine" not in table
    assert len(classes) == 2
    table.add("again", json.JSONDecoder, "the same class under another name")
    assert table["again"] is json.JSONDecoder


def test_a_package_exports_what_its_tables_name(lazy, monkeypatch):
    table, _ = lazy
    module = type(sys)("a_package")
    monkeypatch.setitem(sys.modules, "a_package", module)
    get, names, every = exports("a_package", (table,), own=("version",))
    assert every == names() == ["JSONDecoder", "Thing", "version"]
    assert get("JSONDecoder") is json.JSONDecoder
    assert module.JSONDecoder is json.JSONDecoder  # the next time, Python finds it itself
    with pytest.raises(AttributeError, match="module 'a_package' has no attribute 'decoder'"):
        get("decoder")
