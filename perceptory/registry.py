"""Closed tables: a name and the thing it stands for. No import path and no code is ever read from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TypeVar

from perceptory.errors import InputError

T = TypeVar("T")


def did_you_mean(name: object, known: object) -> str:
    """Return ' Did you mean x?' for the nearest of the known names, or '' where none is near."""
    by_lower = {str(k).lower(): str(k) for k in known}  # type: ignore[attr-defined]
    near = get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


SHOWN = 20  # names that a message lists


class Registry(Mapping[str, T]):
    """A table of named things of one kind, such as the activations.

    Looking up an unknown name raises `InputError` with the nearest known name.
    """

    def __init__(self, kind: str, entries: Mapping[str, T] | None = None):
        self.kind = kind
        self._entries: dict[str, T] = dict(entries or {})

    def add(self, name: str, thing: T) -> T:
        if name in self._entries:
            raise InputError(f"the {self.kind} {name!r} is in its table already. Choose another name.")
        self._entries[name] = thing
        return thing

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            names, more = list(self._entries)[:SHOWN], len(self._entries) - SHOWN
            known = ", ".join(names) + (f" and {more} more" if more > 0 else "")
            raise InputError(
                f"unknown {self.kind} {name!r}.{did_you_mean(name, self._entries)} Known: {known}."
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
