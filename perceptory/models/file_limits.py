"""Bounds for what a model file asks to be built: looked at before anything is, since a file may come from anybody.

A size that wraps, a network of twenty thousand layers, a dilation of a thousand million steps: each is refused in one
sentence, in no time and memory to speak of.
"""

from __future__ import annotations

from math import prod
from typing import Any

from perceptory.errors import InputError

HEADER_BYTES = 1 << 26  # names of columns, categories and classes are in it
NETWORK_ENTRIES = 4096  # values in the description of a network, of its layers too; 500 layers have some 2,000
LEAST_BOUND = 1 << 16  # a size may be as great as the number of weights, and always so great
EXAMPLE_VALUES = 1 << 31  # of one example, and of its outputs


def check_header(length: int) -> None:
    if length > HEADER_BYTES:
        raise InputError(f"its header has {length} bytes and may have {HEADER_BYTES}. Take another copy.")


def check_network(description: Any, weights: int) -> None:
    """Refuse a network's description that is too long, or that has a size which no network of so many weights has."""
    bound, entries, waiting = max(weights, LEAST_BOUND), 0, [description]
    while waiting:
        value = waiting.pop()
        entries += 1
        if entries > NETWORK_ENTRIES:
            raise InputError(f"its network has more than {NETWORK_ENTRIES} parts. Take another copy.")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int) and abs(value) > bound:
            raise InputError(f"its network has a size of {str(value)[:30]} and {weights} weights. Take another copy.")


def check_shapes(**shapes: Any) -> None:
    """Refuse shapes of an example or of its outputs that hold nothing, or more than can be."""
    for name, shape in shapes.items():
        if any(type(n) is not int or n < 1 for n in shape) or prod(shape) > EXAMPLE_VALUES:
            raise InputError(f"the shape of its {name} is {str(tuple(shape))[:60]}. Take another copy.")
