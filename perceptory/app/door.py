"""Settings as the command line writes them: known="all" in Python is --known all here."""

from __future__ import annotations

import shlex
from typing import Any

from perceptory.app.help import FIT_OPTIONS
from perceptory.errors import UNSET, Setting, Written

OF_PREDICT = ("--future",)
NAMES = {"networks": "network"}  # options that are called otherwise than the argument


def command_line(setting: Setting) -> str | None:
    """A setting as an option, or None where there is none or none for such a value."""
    name = NAMES.get(setting.name, setting.name)
    option = "--" + name.replace("_", "-")
    if option not in (*FIT_OPTIONS, *OF_PREDICT) or setting.owner not in ("", "Study"):
        return None
    if setting.value is UNSET:
        return option
    if setting.value is True:
        return option
    values = _written(name, setting.value)
    return None if values is None else " ".join(f"{option} {value}" for value in values)


def _written(name: str, value: Any) -> list[str] | None:
    """The value as it is written after the option, once for each time that the option has to stand."""
    from perceptory.app.source import WAYS

    if name == "predict":
        return [way for way, use in WAYS.items() if use == value] or None
    if name == "size":
        return ["x".join(map(str, value))]
    if isinstance(value, Written):
        return [shlex.quote(value.command_line)]
    if isinstance(value, list | tuple):
        return [shlex.quote(str(one)) for one in value]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return [shlex.quote(str(value))]
