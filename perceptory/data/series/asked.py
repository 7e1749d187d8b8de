"""What is asked of a table of series, checked before anything is read of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perceptory.data.series.columns import ITSELF, USES
from perceptory.errors import InputError, Setting
from perceptory.specs import count, flag

AUTO = "auto"  # a window that is left open


def use_of(predict: str | None, unlabeled: bool) -> str:
    """What is made of an example; with the task that has no target, itself."""
    if unlabeled:
        if predict is not None:
            raise InputError(
                Setting("task", "autoencode"),
                " predicts nothing but the example itself. Leave out ",
                Setting("predict"),
                ".",
            )
        return ITSELF
    return USES[predict] if predict is not None else _no_use()


def check_color(color: str | None, unlabeled: bool) -> None:
    if color is not None and not unlabeled:
        raise InputError(Setting("color"), " is for ", Setting("task", "autoencode"), ", which has no target.")


def _no_use() -> str:
    raise InputError(
        "say what to predict: ",
        Setting("predict", "every step"),
        " (a dynamic system), ",
        Setting("predict", "ahead"),
        " (a forecast) or ",
        Setting("predict", "one value"),
        " (a number or class a series). ",
        Setting("task", "autoencode"),
        " learns to give the series back, which needs no target.",
    )


def check_together(groups: str | None, together: bool | None) -> None:
    if together is not None:
        flag("together", together)
    if groups is not None and together is False:
        raise InputError(
            Setting("groups"),
            " keeps examples together, and ",
            Setting("together", False),
            " parts them. Give one of the two.",
        )


def horizons_of(horizon: Any) -> tuple[int, ...]:
    given = list(horizon) if isinstance(horizon, (Sequence, range, np.ndarray)) else [horizon]
    for h in given:
        count(Setting("horizon"), h)
    if not given or len(set(given)) != len(given) or isinstance(horizon, str):
        raise InputError(
            Setting("horizon"), f" needs a number of rows ahead, or several different ones, got {horizon!r}."
        )
    return tuple(int(h) for h in given)


def steps_of(window: Any) -> int | None:
    """A window without the word that leaves it open."""
    steps: int | None = None if window == AUTO else window
    return steps


def check_cut(use: str, window: Any, stride: int | None, washout: int, horizon: Any, season: int | None) -> None:
    if season is not None:
        count(Setting("season"), season)
        if use != "ahead":
            raise InputError(
                Setting("season"), " is for ", Setting("predict", "ahead"), f", not for {use!r}. Leave it out."
            )
    if window is not None:
        count(Setting("window"), window)
    if stride is not None:
        count(Setting("stride"), stride)
        if window is None and use != "ahead":
            raise InputError(
                Setting("stride"),
                " is the way from one window to the next, so it needs ",
                Setting("window"),
                ". Example: ",
                Setting("window", 100),
            )
    count(Setting("washout"), washout, least=0)
    if washout and use != "every step":
        raise InputError(
            Setting("washout"), " is for ", Setting("predict", "every step"), f", not for {use!r}. Leave it out."
        )
    if use != "ahead" and not (isinstance(horizon, int) and horizon == 1):
        raise InputError(
            Setting("horizon"), " is for ", Setting("predict", "ahead"), f", not for {use!r}. Leave it out."
        )
