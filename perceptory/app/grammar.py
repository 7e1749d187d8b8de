"""The compact way to write a spec on the command line: `mlp:64,64:relu:dropout=0.1`.

A spec is a name, then parts after colons: first the values of its fields in their order, then FIELD=VALUE. A tuple is
written with commas, a pair of sizes as 3x5. Where a number or a word stands, alternatives may stand instead, apart by
`/` (each one makes candidates), or, for a number, a range LOW..HIGH to draw from. The layers of a chain are written
with commas in the place of colons and joined by +: `chain:dense,64,relu+dropout,0.1`. A network inside a network is
written with commas in the place of colons and hyphens in the place of commas: `autoencoder:gru,64:8`, and, since most
are feedforward, `autoencoder:64-32:8` for `autoencoder:mlp,64-32:8`. Nothing needs quotes in a shell.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from perceptory.catalog import NETWORKS
from perceptory.errors import InputError
from perceptory.registry import did_you_mean
from perceptory.selection.search import Choice, choice, integers, log_uniform, uniform
from perceptory.specs import Search, Spec

TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def spec(
    text: str, table: Mapping[str, Callable[..., Any]], *, skip: Sequence[str] = (), layer: bool = False
) -> tuple[Any, frozenset[str]]:
    """The spec that a text names, and the names of the fields that it says.

    table: name -> what makes the spec with its defaults. skip: fields that an option of their own sets. layer: it is
    one layer, so that 3x5 is the pair itself and not that of the first layer of several. Of a network inside it, the
    fields are named such as encoder.hidden.
    `InputError`, which begins with the text, where it says nothing that the spec can be.
    """
    name, *parts = text.strip().split(":")
    changes: dict[str, Any] = {}
    written: set[str] = set()
    try:
        example, required = _example(table[name.strip().lower().replace("-", "_")])
        fields = {f.name: f for f in dataclasses.fields(example) if f.name not in skip}
        for place, part in enumerate(parts):
            field, equals, value = part.partition("=")
            if not equals or not field.strip().replace("-", "_").isidentifier():  # the = is one of what stands inside
                if place >= len(fields):
                    raise InputError(f"{part!r} is one part too many. {_usage(name, fields)}")
                field, value = list(fields)[place], part
            field = field.strip().replace("-", "_")
            if field not in fields:
                raise InputError(f"{name} has no field {field!r}.{did_you_mean(field, fields)} {_usage(name, fields)}")
            if field in changes:
                raise InputError(f"{field} is given twice. {_usage(name, fields)}")
            changes[field], inner = _value(value, getattr(example, field), fields[field], table, layer)
            written |= {f"{field}.{name}" for name in inner}
        for field in required:
            if field not in changes:
                raise InputError(f"{name} needs its {field}. {_usage(name, fields)}")
        plain = {field: ends(value)[0] for field, value in changes.items()}
        for field, value in changes.items():
            for one in ends(value):
                example.replace(**plain | {field: one})  # its own check, before a search hides the value
        return example.replace(**changes), frozenset(changes) | written
    except InputError as error:
        raise InputError(f"{text!r}: ", error) from None


def _value(
    text: str, default: Any, field: Any, table: Mapping[str, Callable[..., Any]], layer: bool
) -> tuple[Any, frozenset[str]]:
    """A field's value, and, where it is a network, the names of the fields of that which the text says."""
    of = field.metadata.get("table")
    if of:
        return _several(text, of), frozenset()
    if str(field.type).startswith("Network"):
        return _inner(text, table)
    log = field.metadata.get("log", False)
    return values(text, default, field.name, log=log, layer=layer), frozenset()


def _inner(text: str, table: Mapping[str, Callable[..., Any]]) -> tuple[Any, frozenset[str]]:
    """A network inside a network, or alternatives apart by `/`."""
    specs = []
    for part in text.split("/"):
        named = f"mlp,{part.strip()}" if part.strip()[:1].isdigit() else part.strip()
        specs.append(spec(re.sub(r"(?<=\d)-(?=\d)", "\0", named).replace(",", ":").replace("\0", ","), table))
    written = frozenset[str]().union(*(names for _, names in specs))
    return (specs[0][0] if len(specs) == 1 else choice(*(one for one, _ in specs))), written


def _example(make: Callable[..., Any]) -> tuple[Any, list[str]]:
    """A spec with its defaults, and the fields that have none, which stand at some value of their kind."""
    cls: Any = make.func if isinstance(make, partial) else make
    none = dataclasses.MISSING
    free = [f for f in dataclasses.fields(cls) if f.init and f.default is none and f.default_factory is none]
    return make(**{f.name: _placeholder(f) for f in free}), [f.name for f in free]


def _placeholder(f: dataclasses.Field[Any]) -> Any:
    if str(f.type).startswith("Network"):
        return NETWORKS["mlp"]()
    return () if "table" in f.metadata else 1


def _several(text: str, table: Mapping[str, Callable[..., Any]]) -> Any:
    """Specs of a table one after the other, NAME,VALUE+NAME,VALUE, or alternatives of such chains, apart by `/`."""

    def chain(part: str) -> tuple[Any, ...]:
        names = [] if part.strip().lower() in ("", "none") else part.split("+")
        return tuple(spec(one.replace(",", ":"), table, layer=True)[0] for one in names)

    chains = [chain(part) for part in text.split("/")]
    return chains[0] if len(chains) == 1 else choice(*chains)


def _usage(name: str, fields: Mapping[str, Any]) -> str:
    return f"It is written {name}:{':'.join(f.upper() for f in fields)}." if fields else f"{name} has no fields."


def values(text: str, default: Any, name: str, *, log: bool = False, layer: bool = False) -> Any:
    """One value or alternatives apart by `/`, of the kind that `default` is. log: draw a range by its logarithm; layer
    as in `spec`."""
    alternatives = [_one(part.strip(), default, name, log) for part in text.split("/")]
    if layer:
        alternatives = [v[0] if type(v) is tuple and len(v) == 1 and type(v[0]) is tuple else v for v in alternatives]
    return alternatives[0] if len(alternatives) == 1 else choice(*alternatives)


def numbers(texts: Sequence[str], name: str, check: Callable[[str, Any], None], *, log: bool) -> Any:
    """What a repeatable option of numbers says: a number, a range (drawn by its logarithm if `log`), or a choice of
    them; each one is checked."""
    alternatives = [_number(part.strip(), name, False, log=log) for text in texts for part in text.split("/")]
    for value in alternatives:
        for end in ends(value):
            check(name, end)
    return alternatives[0] if len(alternatives) == 1 else choice(*alternatives)


def ends(value: Any) -> list[Any]:
    """Plain values that show whether a value fits: itself, all of a choice, both ends of a range."""
    if isinstance(value, Choice):
        return [end for v in value.values for end in ends(v)]
    if isinstance(value, Search):
        return [value.low, value.high]  # type: ignore[attr-defined]
    if isinstance(value, tuple) and any(isinstance(v, Search) for v in value):
        return [tuple(ends(v)[k] if isinstance(v, Search) else v for v in value) for k in (0, -1)]
    return [value]


def over(value: Any, change: Callable[[Any], Any]) -> Any:
    """`change` applied to a spec or to every value of a choice of them; what becomes equal stands once."""
    if not isinstance(value, Choice):
        return change(value)
    changed = list(dict.fromkeys(over(v, change) for v in value.values))
    return changed[0] if len(changed) == 1 else choice(*changed)


def _one(text: str, default: Any, name: str, log: bool) -> Any:
    if isinstance(default, bool):
        if text.lower() not in TRUTH:
            raise InputError(f"{name} needs true or false, got {text!r}.")
        return TRUTH[text.lower()]
    if isinstance(default, tuple):
        if text.lower() in ("", "none", "()"):
            return ()
        whole = not any(isinstance(v, float) for v in default)
        return tuple(_number(part.strip(), name, whole) for part in text.split(","))
    if isinstance(default, int):
        return _sizes(text, name)
    if isinstance(default, float):
        return _number(text, name, False, log=log)
    if default is None:  # a whole number, a truth or a word, as its field's check will tell
        if text.lstrip("+-")[:1].isdigit():
            return _sizes(text, name)
        return None if text.lower() == "none" else TRUTH.get(text.lower(), text)
    if isinstance(default, Spec):
        raise InputError(f"{name} cannot be written here.")
    if not text:
        raise InputError(f"{name} is empty.")
    parts = [_number(part.strip(), name, True) if part.strip().isdigit() else part.strip() for part in text.split(",")]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _sizes(text: str, name: str) -> Any:
    """A whole number, or several apart by commas, as a network has one a layer; 3x5 is a pair for two axes."""
    if "," not in text and "x" not in text:
        return _number(text, name, True)
    pairs = [[_number(n.strip(), name, True) for n in part.split("x")] for part in text.split(",")]
    return tuple(pair[0] if len(pair) == 1 else tuple(pair) for pair in pairs)


def _number(text: str, name: str, whole: bool, *, log: bool = False) -> Any:
    low, dots, high = text.partition("..")
    if dots:
        ends = _number(low, name, whole), _number(high, name, whole)
        return (integers if whole else log_uniform if log else uniform)(*ends)
    try:
        return int(text) if whole else float(text)
    except ValueError:
        kind = "whole numbers" if whole else "numbers"
        example = "32,32" if whole else "0.01"
        raise InputError(f"{name} needs {kind}, got {text!r}. Example: {example}") from None
