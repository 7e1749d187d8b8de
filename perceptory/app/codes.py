"""The options of `perceptory fit` for data without a target, and what they make of its networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

from perceptory.app import grammar
from perceptory.errors import InputError, Setting
from perceptory.networks.autoencoder import Autoencoder, CodedNetwork
from perceptory.results.codes import AUTOENCODE
from perceptory.selection.search import choice
from perceptory.specs import count, not_negative

OPTIONS = ("code", "variational", "sparsity", "tied", "color")


def read_code_options(o: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of autoencoders that the options set. `InputError` where they go with a target."""
    given = [name for name in OPTIONS if o[name] not in (None, [], False)]
    if given and o["task"] != AUTOENCODE:
        raise InputError(f"--{given[0]} is for ", Setting("task", AUTOENCODE), ", which has no target.")
    fields: dict[str, Any] = {}
    if o["code"]:
        fields["code"] = _widths(o["code"])
    for name in ("variational", "sparsity"):
        if o[name]:
            fields[name] = grammar.numbers(o[name], f"--{name}", not_negative, log=True)
    if o["tied"]:
        fields["tied"] = True
    return fields


def _widths(texts: list[str]) -> Any:
    """--code 2,4,8, alternatives apart by / or from repeating it, or a range."""
    parts = [part for text in texts for part in text.replace("/", ",").split(",")]
    widths = [grammar.values(part.strip(), 1, "--code") for part in parts]
    for width in widths:
        for end in grammar.ends(width):
            count("--code", end)
    return widths[0] if len(widths) == 1 else choice(*dict.fromkeys(widths))


def with_code_options(network: Any, fields: Mapping[str, Any], written_fields: frozenset[str]) -> Any:
    """The network with those fields that it has and does not say itself."""
    if not isinstance(network, CodedNetwork):
        return network
    known = {f.name for f in dataclasses.fields(network)}
    return network.replace(**{k: v for k, v in fields.items() if k in known and k not in written_fields})


def with_layers(network: Any, layers: Mapping[str, Any], written_fields: frozenset[str]) -> Any:
    """The network with activation and dropout of its layers, where it does not say them: of an autoencoder, those of
    its encoder, and of its decoder where it has one of its own."""
    if isinstance(network, Autoencoder):
        changed: dict[str, Any] = {}
        for part in ("encoder", "decoder"):
            change = partial(with_layers, layers=layers, written_fields=_inside(part, written_fields))
            if getattr(network, part) is not None:
                changed[part] = grammar.over(getattr(network, part), change)
        return network.replace(**changed)
    known = {f.name for f in dataclasses.fields(network)}
    return network.replace(**{k: v for k, v in layers.items() if k in known and k not in written_fields})


def _inside(part: str, written_fields: frozenset[str]) -> frozenset[str]:
    return frozenset(name.removeprefix(f"{part}.") for name in written_fields if name.startswith(f"{part}."))
