"""Texts in CSV files that a spreadsheet would take for formulas: what a person wrote must not be run."""

from __future__ import annotations

import re

# `'` before one of these signs is what marked it; another one keeps that apart from a text which has it already.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-][\d.,'\s]*\d[\d.,'\s]*(?:[eE][+-]?\d+)?%?")


def guarded(text: str) -> str:
    """The text, with a `'` before it where it begins as a formula does (= + - @) and is no number; a spreadsheet shows
    it then and runs nothing. No two texts become one."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
