"""docs/equations.md, the code that cites its numbers, and the tests that check its formulas belong together."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| (E\d+(?:-E\d+)?)? ?\| (.+) \| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)
ROWS = [match.groups() for match in ROW.finditer((ROOT / "docs" / "equations.md").read_text(encoding="utf-8"))]
SOURCES = [p for ending in ("py", "cc", "h") for p in sorted((ROOT / "perceptory").rglob(f"*.{ending}"))]
CITED = re.compile(r"\bE(\d\d?)(?:(?:-| to )E(\d\d?))?\b")


def cited(text: str) -> set[str]:
    """Numbers of the equations that a text cites, ranges such as E8-E13 spelled out."""
    return {f"E{n}" for first, last in CITED.findall(text) for n in range(int(first), int(last or first) + 1)}


def named(name: str) -> Any:
    """The object of a name below perceptory, such as `ops.activations.ACTIVATIONS["relu"]`."""
    path, _, key = name.partition("[")
    value, place = import_module("perceptory"), "perceptory"
    for part in path.split("."):
        place = f"{place}.{part}"
        if not hasattr(value, part):
            import_module(place)
        value = getattr(value, part)
    return value[ast.literal_eval(key.rstrip("]"))] if key else value


def test_every_number_stands_in_the_document_once():
    numbers = [n for number, *_ in ROWS for n in sorted(cited(number or ""), key=lambda n: int(n[1:]))]
    assert numbers == [f"E{n}" for n in range(1, 31)]


def test_no_row_of_the_document_has_another_form():
    lines = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| | formula")]
    assert len(rows) == len(ROWS)


def test_what_the_code_cites_is_in_the_document_and_the_other_way_round():
    everywhere = set().union(*(cited(path.read_text(encoding="utf-8")) for path in SOURCES))
    assert everywhere == {f"E{n}" for n in range(1, 31)}


def test_numbers_stand_in_brackets():
    bare = re.compile(r"(?<![\[\w])E\d\d?\b")
    loose = {
        str(path): bare.findall(re.sub(r"\[E\d+ to E\d+\]", "", path.read_text(encoding="utf-8"))) for path in SOURCES
    }
    assert {path: numbers for path, numbers in loose.items() if numbers} == {}


def test_formulas_are_known_by_their_numbers_alone():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.py")]
    for path in [*SOURCES, *documents]:
        assert "the course" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("name", sorted({code for *_, code, _ in ROWS}))
def test_every_name_is_there(name):
    assert named(name) is not None


@pytest.mark.parametrize("test", sorted({test for *_, test in ROWS}))
def test_every_test_is_there(test):
    path, _, function = test.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)
