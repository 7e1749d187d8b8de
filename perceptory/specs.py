"""Specs: frozen dataclasses that say what; comparable, hashable, written to and read from JSON by a closed table.

A field made by `traced` holds a number that may differ between members of one compiled program; every other field
is static. `partition` takes the traced numbers out of a spec, `combine` puts them (or tracers) back.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from perceptory.catalog import ACTIVATIONS, INITIALIZERS, SPECS
from perceptory.errors import UNSET, InputError, Setting
from perceptory.registry import Registry, did_you_mean

S = TypeVar("S")
T = TypeVar("T")
Check: TypeAlias = Callable[[str, Any], Any]  # (name, value); raises `InputError` for a bad value


class Search:
    """Base of the search values (`choice`, `uniform`, ...): a study replaces them before anything is built."""


# What a field holds where the user may search over it: a plain T, or a search value that stands for several.
Searchable: TypeAlias = T | Search


@dataclass(frozen=True)
class Traced:
    """Stands in a static spec where the number at `index` of a member's vector belongs."""

    index: int


def traced(
    default: Any = dataclasses.MISSING,
    *,
    off: float | None = None,
    check: Check | None = None,
    neutral: Any = UNSET,
    log: bool = False,
) -> Any:
    """A dataclass field for a number that may be traced.

    default: as in `dataclasses.field`.
    off: a value that stays static, so that the program may leave out what it switches off (dropout at rate 0).
    check: `check(name, value)` raises `InputError` for bad values.
    neutral: the value that changes nothing, for a field that came after others: a spec with it is known by what it was
        known by before, so that members keep their random numbers (`to_json(..., lean=True)`).
    log: whether values span decades, so that a range of the command line is searched by the logarithm.
    """
    metadata = {"traced": True, "off": off, "check": check, "neutral": neutral, "log": log}
    return field(default=default, metadata=metadata)


def checked(
    default: Any = dataclasses.MISSING,
    *,
    check: Check | None = None,
    neutral: Any = UNSET,
    table: Registry[Any] | None = None,
) -> Any:
    """A dataclass field for a static value that `check(name, value)` looks at; neutral as in `traced`.

    table: of a field that holds a tuple of specs, the table that the command line finds their names in.
    """
    metadata = {"check": check, "neutral": neutral} | ({} if table is None else {"table": table})
    return field(default=default, metadata=metadata)


def remark(default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field for what is said of a spec and makes it no other one, such as the place of a file."""
    return field(default=default, compare=False)


def held() -> Any:
    """A dataclass field for a thing that a spec stands for by its digest: in hand, or None. No file holds it."""
    return field(default=None, compare=False, repr=False, metadata={"written": False})


@dataclass(frozen=True, eq=False)
class Spec:
    """Base of all specs. Subclasses are frozen dataclasses; their fields' checks run on plain values only."""

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value, check = getattr(self, f.name), f.metadata.get("check")
            if check is not None and is_plain(value):
                check(Setting(f.name, owner=type(self).__name__), value)

    def replace(self: S, **changes: Any) -> S:
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]


def is_plain(value: Any) -> bool:
    """True for what a user may write as a value: not a search value, not a placeholder, not a tracer."""
    return not isinstance(value, (Search, Traced)) and not type(value).__module__.startswith("jax")


def is_on(value: Any) -> bool:
    """Whether a traced number is in the program: it is not the plain 0 that switches it off."""
    return not (isinstance(value, float | int) and value == 0)


def has_code(value: Any) -> bool:
    """Whether a spec, or a tuple of them, holds code of somebody else's: a function, a spec of another package, or the
    name of a thing that was entered in a table of functions. What such code computes may change from call to call."""
    if isinstance(value, Spec):
        if type(value).__module__.partition(".")[0] != "perceptory":
            return True
        return any(has_code(getattr(value, f.name)) for f in dataclasses.fields(value))
    if type(value) is tuple:
        return any(has_code(v) for v in value)
    if isinstance(value, str):
        return any(name in value for name in ACTIVATIONS.own() | INITIALIZERS.own())
    return not (value is None or isinstance(value, bool | int | float | Traced))


# --- checks, used as traced(..., check=positive) -----------------------------------------------------------------

Name = str | Setting  # what is checked: a setting where every door calls it its own way, else the words for it


def _number(name: Name, value: Any) -> float:
    import numbers

    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise InputError(name, f" needs a finite number, got {value!r}.")
    return float(value)


def positive(name: Name, value: Any) -> None:
    if _number(name, value) <= 0:
        raise InputError(name, f" needs a number above 0, got {value!r}.")


def not_negative(name: Name, value: Any) -> None:
    if _number(name, value) < 0:
        raise InputError(name, f" needs a number of at least 0, got {value!r}.")


def below_one(name: Name, value: Any) -> None:
    if not 0 <= _number(name, value) < 1:
        raise InputError(name, f" needs a number of at least 0 and below 1, got {value!r}. Example: 0.1")


def at_least_one(name: Name, value: Any) -> None:
    if _number(name, value) < 1:
        raise InputError(name, f" needs a number of at least 1, got {value!r}.")


def count(name: Name, value: Any, least: int = 1, most: int = 2**31 - 1) -> None:
    import numbers

    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(name, f" needs a whole number of at least {least}, got {value!r}.")
    if int(value) > most:
        raise InputError(name, f" needs a whole number of at most {most}, got {str(value)[:30]}.")


def flag(name: Name, value: Any) -> None:
    if not isinstance(value, bool):
        raise InputError(name, f" needs True or False, got {value!r}.")


# --- static and traced -------------------------------------------------------------------------------------------


def _walk(value: Any, leaf: Callable[[Any, Any], Any]) -> Any:
    """Rebuild a value with `leaf(value, field)` put in the place of every traced field's value."""
    if isinstance(value, Spec):
        changes = {}
        for f in dataclasses.fields(value):
            old = getattr(value, f.name)
            number = f.metadata.get("traced") and not isinstance(old, Spec)
            changes[f.name] = leaf(old, f) if number else _walk(old, leaf)
        return dataclasses.replace(value, **changes)
    if type(value) is tuple:  # not a NamedTuple, such as an Optax transformation
        return tuple(_walk(v, leaf) for v in value)
    return value


def partition(spec: S) -> tuple[S, tuple[float, ...]]:
    """Split a spec into its static part (equal for all members of a group) and its traced numbers, in field order."""
    numbers: list[float] = []

    def take(value: Any, f: Any) -> Any:
        if value is None or (f.metadata["off"] is not None and value == f.metadata["off"]):
            return value
        numbers.append(float(value))
        return Traced(len(numbers) - 1)

    static: S = _walk(spec, take)
    return static, tuple(numbers)


def combine(spec: S, numbers: Any) -> S:
    """Inverse of `partition`; `numbers` is [number], and may be a tracer."""
    filled: S = _walk(spec, lambda value, f: numbers[value.index] if isinstance(value, Traced) else value)
    return filled


# --- JSON --------------------------------------------------------------------------------------------------------


def to_json(value: Any, *, strict: bool = True, lean: bool = False) -> Any:
    """Plain JSON data for a spec: {"kind": class name, field: value, ...}.

    What is not in the closed table raises `InputError`, or, where not strict, is written as a description that
    `from_json` refuses to read: {"custom": text}. lean: what a spec is known by, without fields at their neutral value
    and those that take no part in comparing it (`remark`). What a spec holds beside its fields (`held`) is not written.
    """
    if isinstance(value, Spec):
        kind = type(value).__name__
        if kind in SPECS and SPECS[kind] is type(value):
            written = [f for f in dataclasses.fields(value) if f.metadata.get("written", True)]
            if lean:
                written = [f for f in written if f.compare and not _at_rest(value, f)]
            values = {f.name: getattr(value, f.name) for f in written}
            return {"kind": kind} | {name: to_json(v, strict=strict, lean=lean) for name, v in values.items()}
    elif isinstance(value, (tuple, list)):
        return [to_json(v, strict=strict, lean=lean) for v in value]
    elif isinstance(value, dict):
        return {str(k): to_json(v, strict=strict, lean=lean) for k, v in value.items()}
    elif value is None or isinstance(value, (bool, int, float, str)):
        return value
    elif hasattr(value, "item"):
        return value.item()
    if strict:
        raise InputError(f"a {type(value).__name__} is not in the table of specs, so it cannot be written to a file.")
    return {"custom": str(getattr(value, "label", repr(value)))}


def _at_rest(spec: Spec, f: dataclasses.Field[Any]) -> bool:
    neutral = f.metadata.get("neutral", UNSET)
    return neutral is not UNSET and bool(getattr(spec, f.name) == neutral)


def from_json(data: Any) -> Any:
    """Rebuild specs from `to_json`'s data. Unknown kinds and fields raise `InputError`; nothing is imported."""
    if isinstance(data, Sequence) and not isinstance(data, str):
        return tuple(from_json(v) for v in data)
    if not isinstance(data, dict):
        return data
    if not isinstance(data.get("kind"), str):
        raise InputError("a spec needs a 'kind', got " + repr(data)[:80] + ". Is this a file that perceptory wrote?")
    cls = SPECS[data["kind"]]
    known = {f.name for f in dataclasses.fields(cls) if f.metadata.get("written", True)}
    for name in data:
        if name != "kind" and name not in known:
            raise InputError(f"{data['kind']} has no field {name!r}.{did_you_mean(name, known)}")
    try:
        return cls(**{k: from_json(v) for k, v in data.items() if k != "kind"})
    except TypeError as error:
        raise InputError(f"{data['kind']} cannot be read: {error}.") from None
