"""Closed tables: a name and the thing it stands for. No import path and no code is ever read from a file.

A table may hold entries in the place of things: where a thing is defined, and what it is in a few words. An entry's
module is imported when somebody asks for the thing, so that names and words can be had without JAX.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from perceptory.errors import InputError

T = TypeVar("T")
SHOWN = 20  # names that a message lists


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Return ' Did you mean x?' for the nearest of the known names, or '' where none is near."""
    by_lower = {str(k).lower(): str(k) for k in known}
    near = get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A line of a table.

    place: where the thing is defined, as "module:name"; a module that begins with a dot is one of this package.
    help: what it is, in a few words.
    fields: how its first fields are written on the command line, such as "WIDTHS:ACTIVATION".
    arguments: values that a class is called with, where the name stands for one with other defaults.
    """

    place: str
    help: str = ""
    fields: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The thing's own name, such as the class's."""
        return self.place.rpartition(":")[2].rpartition(".")[2]

    def load(self) -> T:
        """Import the thing."""
        module, _, name = self.place.partition(":")
        thing: Any = getattr(import_module(module, __package__), name)
        return cast(T, partial(thing, **self.arguments) if self.arguments else thing)


class Registry(Mapping[str, T]):
    """A table of named things of one kind, such as the activations.

    kind: what they are, for messages.
    entries: by name, the thing itself or an `Entry`, which is loaded when it is first looked up.
    classes: a second table, which gets each class under its own name, such as "MLP".

    Looking up an unknown name raises `InputError` with the nearest known name.
    """

    def __init__(
        self, kind: str, entries: Mapping[str, T | Entry[T]] | None = None, *, classes: Registry[Any] | None = None
    ) -> None:
        self.kind = kind
        self._classes = classes
        self._entries: dict[str, Entry[T]] = {}
        self._loaded: dict[str, T] = {}
        for name, thing in (entries or {}).items():
            self.add(name, thing)

    def add(self, name: str, thing: T | Entry[T], help: str = "", fields: str = "") -> None:
        """Enter one more; help and fields as in `Entry`, where a thing of your own is given instead of one."""
        entry = thing if isinstance(thing, Entry) else Entry[T](_place(thing), help, fields)
        if name in self._entries:
            raise InputError(f"the {self.kind} {name!r} is in its table already. Choose another name.")
        if self._classes is not None:
            self._classes._add_class(entry, thing)
        self._entries[name] = entry
        if not isinstance(thing, Entry):
            self._loaded[name] = thing

    def _add_class(self, entry: Entry[Any], thing: object) -> None:
        """Enter a class under its own name, with its own defaults, unless it is there already."""
        if entry.name not in self._entries:
            self.add(entry.name, Entry(entry.place) if isinstance(thing, Entry) else cast(T, thing))
        elif self._entries[entry.name].place != entry.place and (
            isinstance(thing, Entry) or self[entry.name] is not thing
        ):
            raise InputError(f"the {self.kind} {entry.name!r} is in its table already. Choose another name.")

    def __getitem__(self, name: str) -> T:
        entry = self.entry(name)
        if name not in self._loaded:
            self._loaded[name] = entry.load()
        return self._loaded[name]

    def entry(self, name: str) -> Entry[T]:
        """What the table says of a name; loads nothing."""
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            names, more = list(self._entries)[:SHOWN], len(self._entries) - SHOWN
            known = ", ".join(names) + (f" and {more} more" if more > 0 else "")
            raise InputError(
                f"unknown {self.kind} {name!r}.{did_you_mean(name, self._entries)} Known: {known}."
            ) from None

    def own(self) -> frozenset[str]:
        """Names that somebody else than this package has entered."""
        return frozenset(name for name, entry in self._entries.items() if not entry.place.startswith("."))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _place(thing: object) -> str:
    return f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', '')}"


class WithParameters(Registry[T]):
    """A table whose names may carry a parameter, as in "elu(0.5)": the thing called "elu" makes the one with 0.5."""

    def __getitem__(self, name: str) -> T:
        call = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", name) if isinstance(name, str) else None
        if call is None:
            return super().__getitem__(name)
        thing: Any = super().__getitem__(call[1])
        return cast(T, thing.with_parameter(call[1], call[2]))


def exports(
    package: str, tables: Iterable[Registry[Any]], *, own: Iterable[str] = (), packages: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package that loads what the tables name when it is first asked for.

    A thing is exported under its own name, such as "MLP"; what a name with other defaults stands for ("nesterov") is
    its class. own: names that the package defines itself. packages: those of its packages that load likewise.
    """
    tables, own, packages = tuple(tables), tuple(own), tuple(packages)

    def names() -> list[str]:
        return sorted({*own, *packages, *(e.name for table in tables for e in table._entries.values())})

    def get(name: str) -> Any:
        if name in packages:
            return import_module(f"{package}.{name}")
        for table in tables:
            for key, entry in table._entries.items():
                if entry.name == name:
                    value = table[key] if not entry.arguments else Entry[Any](entry.place).load()
                    setattr(sys.modules[package], name, value)
                    return value
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, names, names()
