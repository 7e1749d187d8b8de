"""No two files of the package import each other, in whatever form an import is written."""

from __future__ import annotations

import ast
from pathlib import Path

import perceptory

ROOT = Path(perceptory.__file__).parent
# A class whose method calls a function that takes and gives such objects: the two are one thing in two files.
REFERS_TO_ITSELF = {frozenset({"models.model", "models.model_file", "models.weighted"})}


def imports() -> dict[str, set[str]]:
    """Module -> modules of the package that it imports anywhere in its text: inside functions, for types alone too."""
    files = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in ROOT.rglob("*.py")
    }
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("perceptory"):
                continue
            module = str(node.module).removeprefix("perceptory").removeprefix(".")
            for alias in node.names:
                inner = f"{module}.{alias.name}".removeprefix(".")
                graph[name] |= {inner} if inner in files else {module} & files.keys()
        graph[name] -= {name, "__init__"}
    return graph


def cycles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Sets of modules each of which reaches all others of its set."""

    def reached(start: str) -> set[str]:
        found, left = set(), [start]
        while left:
            for module in graph[left.pop()] - found:
                found.add(module)
                left.append(module)
        return found

    reach = {module: reached(module) for module in graph}
    loops = {frozenset(b for b in reach[a] if a in reach[b]) for a in graph if a in reach[a]}
    return {loop for loop in loops if len(loop) > 1}


def test_a_cycle_is_seen():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {frozenset({"b", "c"})}
    graph = imports()
    assert "results.result_data" in graph["runs.result"]
    assert "models.model_file" in graph["models.model"]  # inside a method
    assert len(graph) > 150


def test_no_two_files_import_each_other():
    assert cycles(imports()) <= REFERS_TO_ITSELF
