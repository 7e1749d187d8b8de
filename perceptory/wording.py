"""Numbers, counts and durations as they are printed everywhere."""

from __future__ import annotations

import math
import numbers
import unicodedata
from collections.abc import Iterable
from typing import Any

_NAMES = {
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "smape": "sMAPE %",
    "mase": "MASE",
    "owa": "OWA",
    "r2": "R2",
    "vaf": "VAF %",
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "ece": "expected calibration error",
    "nll": "negative log-likelihood",
    "coverage_90": "coverage of 90 % intervals",
    "auc": "AUC",
}


def number(value: Any) -> str:
    """A number to four significant digits: 0.05812, 4.830, 152.4, 12350, 1.235e+08; 'n/a' for what is not finite."""
    if value is None or not math.isfinite(value):
        return "n/a"
    if isinstance(value, numbers.Integral) and abs(int(value)) < 10**7:
        return str(value)
    if value == 0:
        return "0"
    scientific = f"{value:.3e}"
    size = int(scientific.partition("e")[2])
    return f"{float(scientific):.{max(0, 3 - size)}f}" if -5 < size < 7 else scientific


def metric_name(name: str) -> str:
    """The name of a metric or score as it is printed: 'rmse' -> 'RMSE'."""
    return _NAMES.get(name, name.replace("_", " "))


def score_axis(score: dict[str, Any]) -> str:
    """A score's name with what is good of it: 'RMSE (smaller is better)'."""
    return f"{metric_name(score['name'])} ({better(score)} is better)"


def better(score: dict[str, Any]) -> str:
    """'smaller' or 'larger'."""
    return "smaller" if score["direction"] == "min" else "larger"


def count_of(n: int, thing: str) -> str:
    """'1 row', '2 rows'."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def duration(seconds: float) -> str:
    """'3.2 s', '4 min 10 s', '2 h 5 min'."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def listed(names: Iterable[object], most: int = 12) -> str:
    """The names, quoted and separated by commas; of many, the first ones and a count."""
    shown = [shown_value(n) for n in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def shown_value(value: object) -> str:
    """A value as it appears in a sentence: quoted, on one line, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else text[:56] + "..." + text[-1]


LONGEST = 1000  # characters of a sentence
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """The text with control characters (category Cc), line and paragraph separators, lone surrogates and marks that
    turn the direction of writing as escapes: a name of somebody's file moves no cursor and hides no word."""
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if _commands(c) else c for c in text)


def _commands(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") or character in _DIRECTIONS


def one_line(text: object) -> str:
    """A sentence on one line, printable, its middle left out where it is very long, whatever the names in it hold."""
    line = printable(" ".join(str(text).split()))
    if len(line) <= LONGEST:
        return line
    return f"{line[: 2 * LONGEST // 3]} ... {line[-LONGEST // 3 :]}"


def one_form(text: str) -> str:
    """The text with its letters composed (Unicode's NFC): ö written as one character or as o and two dots is one name,
    and some systems write names of files and columns in the second way."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
