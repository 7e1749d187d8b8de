"""What the help says of the specs, read from their source text.

Defaults and names live once, in modules that need JAX, and help must not wait for JAX to start. So their text is
parsed here instead of run. A test compares what is read with the real thing.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from typing import Any

STUDY, PRESETS = "perceptory.studies.design", "perceptory.studies.presets"


@cache
def _tree(module: str) -> ast.Module:
    found = find_spec(module)
    loader: Any = found.loader if found else None
    return ast.parse(loader.get_source(module) or "")


def names(module: str, table: str) -> tuple[str, ...]:
    """The names in a table, such as ACTIVATIONS in perceptory.ops.activations."""
    for node in _tree(module).body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == table and isinstance(node.value, ast.Call):  # type: ignore[attr-defined]
            entries = [n for n in ast.walk(node.value.args[1]) if isinstance(n, ast.Dict)]  # type: ignore[attr-defined]
            entries = [d for d in entries if not any(d in ast.walk(o) for o in entries if o is not d)]
            return tuple(str(k.value) for d in entries for k in d.keys if isinstance(k, ast.Constant))
    return ()


def default(field: str) -> str | None:
    """The default of a field of `Study` as text, where the presets leave it alone; None where they set it."""
    return None if field in preset_fields() else _defaults().get(field)


@cache
def preset_fields() -> frozenset[str]:
    """The fields of `Study` that the presets set."""
    said: set[str] = set()
    for node in ast.walk(_tree(PRESETS)):
        if isinstance(node, ast.Dict):
            said |= {k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)}
        elif isinstance(node, ast.keyword) and node.arg:
            said.add(node.arg)
    return frozenset(said & _defaults().keys())


@cache
def _defaults() -> dict[str, str]:
    (study,) = [n for n in _tree(STUDY).body if isinstance(n, ast.ClassDef) and n.name == "StudyDesign"]
    found = {}
    for node in study.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            value = node.value.args[0] if isinstance(node.value, ast.Call) and node.value.args else node.value
            found[node.target.id] = str(value.value) if isinstance(value, ast.Constant) else ast.unparse(value)
    return found
