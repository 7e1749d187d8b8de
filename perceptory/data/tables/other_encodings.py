"""Text that is not Unicode: read where its bytes can mean one thing, which is Western Windows (cp1252)."""

from __future__ import annotations

import re

# What bytes of other encodings look like when they are read as cp1252: words of other alphabets are rows of letters
# with accents, and their letters stand where signs do; UTF-8 gives pairs that begin with these three.
_LETTER = r"[^\W\d_A-Za-z]"
_PRINTED = r"\u20ac\u201a\u201e\u2026\u2020\u2021\u02c6\u2030\u2039\u201c\u201d\u2022\u02dc\u2122\u203a"
_SIGN = rf"[{_PRINTED}\u00a1-\u00b4\u00b6-\u00bf]"
_UMLAUTS = "\u00e4\u00f6\u00fc\u00c4\u00d6\u00dc\u00df"
_OTHER = re.compile(
    rf"(?![{_UMLAUTS}]{{3}}){_LETTER}{{3}}|{_SIGN}{{3}}"  # rows
    rf"|[^\W\d_]{_SIGN}[^\W\d_A-Z]"  # a sign within a word
    rf"|[\u00c2\u00c3\u00e2]{_SIGN}"  # UTF-8
    rf"|[\u00a3\u00a5\u00b9\u00b3\u00aa\u00ba\u00bc\u00be\u00af]{_LETTER}"  # Central Europe
    r"|[\u00d0\u00dd\u00de\u00f0\u00fd\u00fe]"  # of Iceland here, of Turkey in its own
    r"|\u0192|\u00a4|\u00a6"
)
EXAMPLE = re.compile(rf"[\w]*{_LETTER}[\w]*|{_SIGN}")


def western(data: bytes) -> tuple[str, str] | None:
    """(text, an example of a word with a letter beyond ASCII) of bytes in cp1252, or in Latin 1, which is the same but
    for signs; None where they may be something else."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    if _OTHER.search(text):
        return None
    found = EXAMPLE.search(text)
    return text, found[0] if found else ""
