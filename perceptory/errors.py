"""The one exception that perceptory raises for bad input, and sentences that are said differently at each door.

Most sentences read alike everywhere and are plain texts: `raise InputError("the table has no rows.")`. A sentence that
names a setting is given in pieces, since a setting is written differently in Python, on the command line and in an
estimator, and since who receives the sentence must not look for the setting in its text:

    InputError(Setting("known"), f" is for ", Setting("predict", "every step"), f", not for {use!r}. Leave it out.")

    Python        known is for predict="every step", not for 'ahead'. Leave it out.
    command line  --known is for --predict every-step, not for 'ahead'. Leave it out.

The pieces are put one after the other; texts among them are taken as they are, whatever signs they hold. A door is a
function that writes one setting in its own words, or returns None where it has no such setting. A `Remedy` that names
a setting which the door does not have is left out there. `str(error)` is the sentence in Python's words; another door
says `error.said(door)`. An error is itself a piece, so a place is put before a sentence without looking into it:
`InputError("test rows: ", error)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final


class _Unset:
    """The one value that stands for none; it stays the same one through pickling."""

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()


@dataclass(frozen=True)
class Written:
    """A value that is written in each language in its own way: KFold(5) in Python, kfold:5 on the command line."""

    python: str
    command_line: str

    def __repr__(self) -> str:
        return self.python


@dataclass(frozen=True)
class Setting:
    """A setting in a sentence: `Setting("known")` is known in Python, `Setting("known", "all")` is known="all".

    name: as an argument or field is called in Python. value: what it is set to, if anything. owner: the class whose
    field it is, such as "Study", which Python's words name where no value stands.
    """

    name: str
    value: Any = UNSET
    owner: str = ""

    def __str__(self) -> str:
        return python_words(self)


class Remedy:
    """A last sentence, or a part of one, for those doors only that have every setting which it names."""

    def __init__(self, *pieces: Piece):
        self.pieces = pieces

    def __repr__(self) -> str:
        return f"Remedy{self.pieces!r}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remedy) and self.pieces == other.pieces

    def __hash__(self) -> int:
        return hash(self.pieces)


class InputError(ValueError):
    """Bad input, said in one sentence: what was expected, what was received, what to do.

    The command line prints the sentence and ends with exit code 2; in Python it is a `ValueError`.
    """

    def __init__(self, *pieces: Piece | InputError):
        flat: list[Piece] = []
        for piece in pieces:
            flat += piece.pieces if isinstance(piece, InputError) else (piece,)
        super().__init__(*flat)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Texts, settings and remedies, in their order."""
        return self.args

    def said(self, door: Door) -> str:
        """The sentence in a door's words."""
        return say(self.pieces, door)

    def __str__(self) -> str:
        return self.said(python_words)


Piece = str | Setting | Remedy
Door = Callable[[Setting], str | None]


def say(pieces: tuple[Piece, ...], door: Door) -> str:
    """The pieces as one text in a door's words. A setting that the door does not have is written as in Python, unless
    a `Remedy` names it, which is left out then."""
    parts = []
    for piece in pieces:
        if isinstance(piece, Setting):
            parts.append(door(piece) or python_words(piece))
        elif isinstance(piece, Remedy):
            if all(door(inner) is not None for inner in piece.pieces if isinstance(inner, Setting)):
                parts.append(say(piece.pieces, door))
        else:
            parts.append(_LONG.sub(lambda found: f"{found[0][:80]}...{found[0][-20:]}", piece))
    return "".join(parts)


_LONG = re.compile(r"[^\s/]{200,}|'[^'\n]{300,}'")  # what nobody reads: a cell, a name of a column; no path


def python_words(setting: Setting) -> str:
    """A setting as an argument of a call: known or known="all"; a field without a value: Study.epochs."""
    if setting.value is not UNSET:
        return f"{setting.name}={_literal(setting.value)}"
    return f"{setting.owner}.{setting.name}" if setting.owner else setting.name


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
