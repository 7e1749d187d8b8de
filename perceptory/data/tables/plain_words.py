"""Texts that nothing but categories can be, seen without asking one pattern after the other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from perceptory.data.tables.table import MISSING

_WORD = re.compile(r"[A-Za-z](?:[A-Za-z](?:[ -~]*[!-~])?)?")  # in ASCII, with no space at its ends
_PERHAPS_MORE = re.compile(
    r"(?i:true$|false$|inf|nan|eur|usd|gbp|chf|jpy|us\$"  # truth values, numbers, and signs of units before them
    r"|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"  # dates, and months as in "May 24"
    r"|[a-z]{3}[ -][0-9]{2})"
)


def are_words(texts: Sequence[str]) -> bool:
    """Whether each text stays as it is, is not missing, and begins as no number, date, time, truth value or unit of
    `inference` does; False for none, and for many that are words all the same."""
    return bool(texts) and all(
        _WORD.fullmatch(text) and text not in MISSING and not _PERHAPS_MORE.match(text) for text in texts
    )
