"""`--start` and `--pretrain`: what candidates begin with, as the command line writes it."""

from __future__ import annotations

from typing import Any

from perceptory.app import grammar
from perceptory.catalog import PRETEXTS
from perceptory.errors import InputError
from perceptory.selection.search import choice
from perceptory.specs import count
from perceptory.studies.pretrained import Pretrained
from perceptory.studies.pretraining import Pretraining
from perceptory.studies.reuse import FROZEN, TUNED

NONE = ("none", "scratch")


def starts(texts: list[str]) -> Any:
    """RUN[:layers[:frozen|tuned]] or none, each an alternative. Raises `InputError` as `Pretrained` does."""
    alternatives = list(dict.fromkeys(_start(text) for text in texts))
    return alternatives[0] if len(alternatives) == 1 else choice(*alternatives)


def pretrainings(texts: list[str], epochs: int | None) -> Any:
    """TASK:VALUE:FIELD=VALUE or none, each an alternative. epochs: of each of them, None as `Pretraining` has it."""
    alternatives = list(dict.fromkeys(_pretraining(text, epochs) for text in texts))
    return alternatives[0] if len(alternatives) == 1 else choice(*alternatives)


def _pretraining(text: str, epochs: int | None) -> Pretraining | None:
    if text.strip().lower() in NONE:
        return None
    task, _ = grammar.spec(text, PRETEXTS, skip=("encoder", "decoder", "cost", "tied"))
    return Pretraining(task) if epochs is None else Pretraining(task, epochs)


def _start(text: str) -> Pretrained | None:
    if text.strip().lower() in NONE:
        return None
    path, *words = _words(text)
    layers: int | None = None
    train = TUNED
    for word in words:
        if word in (TUNED, FROZEN):
            train = word
        else:
            layers = int(word)
            count("the number of layers", layers)
    if not path:
        raise InputError(f"{text!r} names no run. It is written RUN:LAYERS:frozen, such as digits-run:2:frozen")
    return Pretrained(path, layers=layers, train=train)


def _words(text: str) -> list[str]:
    """The path, which may hold colons, and what stands after it."""
    words: list[str] = []
    path, sign, last = text.strip().rpartition(":")
    while sign and (last.isdecimal() or last.lower() in (TUNED, FROZEN)) and len(words) < 2:
        words.insert(0, last.lower())
        path, sign, last = path.rpartition(":")
    return [f"{path}{sign}{last}", *words]
