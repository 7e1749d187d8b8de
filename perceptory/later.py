"""Modules that are imported when something of them is first asked for: a model of layers of neurons is read and used
without JAX, whose import takes longer than most predictions."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


class Later(ModuleType):
    """Stands for a module until then."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system and tools for debugging look for
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


def later(*names: str) -> list[Any]:
    """Each of these modules, to be imported when it is first used."""
    return [Later(name) for name in names]
