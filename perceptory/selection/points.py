"""Points of a search space by name, as outer optimizers speak of them: {"optimizer.learning_rate": 0.01, ...}.

A name is the path of a search value in a candidate, such as "network.hidden". What stands there in a point is a number,
or, for a choice, one of its `options`: the value itself where all are plain (numbers, words, None), else its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.registry import did_you_mean
from perceptory.selection.search import Choice, Integers, children, find, rebuild
from perceptory.specs import Search

Point = Mapping[str, Any]
Suggest = Callable[[str, Search], Any]  # (name, search value) -> what stands there


def options(search: Choice) -> tuple[Any, ...]:
    """What a point may hold for a choice."""
    plain = all(value is None or isinstance(value, bool | int | float | str) for value in search.values)
    return search.values if plain else tuple(range(len(search.values)))


def space(template: Any) -> dict[str, Search]:
    """Every search value of a template by its name; those inside a choice too, which count where it takes them."""
    return dict(find(template))


def filled(template: Any, suggest: Suggest) -> Any:
    """The template with what is suggested in the place of its search values, outer ones first; those inside a choice
    are asked for where it takes them. `InputError` for a suggestion that its search value does not hold."""

    def walk(path: str, value: Any) -> Any:
        name = path.lstrip(".")
        if isinstance(value, Choice):
            found, known = suggest(name, value), options(value)
            place = next((k for k, one in enumerate(known) if one == found and type(one) is type(found)), None)
            if place is None:
                raise InputError(f"{name} takes one of {', '.join(map(repr, known))}, got {found!r}.")
            return walk(f"{path}.values[{place}]", value.values[place])
        if isinstance(value, Search):
            return _number(name, value, suggest(name, value))
        if not find(value):
            return value
        return rebuild(value, [walk(path + step, part) for step, part in children(value)])

    return walk("", template)


def at(template: Any, point: Point) -> Any:
    """The template at a point. `InputError` where a name is missing or unknown."""
    known = space(template)
    for name in point:
        if name not in known:
            raise InputError(f"the search has no {name!r}.{did_you_mean(name, known)} It has: {', '.join(known)}.")

    def suggest(name: str, _: Search) -> Any:
        if name not in point:
            raise InputError(f"the point {dict(point)!r} lacks {name}.")
        return point[name]

    return filled(template, suggest)


def drawn(template: Any, random: np.random.Generator) -> dict[str, Any]:
    """A point at random: every option alike, ranges as they say."""
    point: dict[str, Any] = {}

    def suggest(name: str, search: Any) -> Any:
        if isinstance(search, Choice):
            known = options(search)
            point[name] = known[int(random.integers(len(known)))]
        else:
            point[name] = search.draw(random)
        return point[name]

    filled(template, suggest)
    return point


def _number(name: str, search: Any, value: Any) -> Any:
    whole = isinstance(search, Integers)
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds) or not search.low <= value <= search.high:
        kind = "whole number" if whole else "number"
        raise InputError(f"{name} takes a {kind} from {search.low:g} to {search.high:g}, got {value!r}.")
    return int(value) if whole else float(value)
