"""Measured outputs of a dynamic system as inputs of its network: where a simulation starts, or all of them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from perceptory.data.series.clock import Clock
from perceptory.data.series.windows import Cut
from perceptory.data.tables.inference import infer
from perceptory.data.tables.table import Table
from perceptory.data.tables.targets import typed
from perceptory.errors import InputError, Setting
from perceptory.specs import count

Known = int | Literal["all"]
PREFIX = "known "


def check_known(known: Any, use: str, window: int | None) -> None:
    """`InputError` unless `known` is "all" or a number of steps, of a dynamic system."""
    if known != "all":
        count(Setting("known"), known, least=0)
    if known and use != "every step":
        raise InputError(
            Setting("known"), " is for ", Setting("predict", "every step"), f", not for {use!r}. Leave it out."
        )
    if window is not None and known != "all" and known >= window:
        raise InputError(Setting("known"), f" needs fewer steps than the window of {window}, got {known}.")


def known_outputs(table: Table, names: list[str], clock: Clock, cut: Cut, known: Known) -> np.ndarray:
    """[n, time, output] measured outputs. Of a number of steps known, the last of them stays from there on; of "all", a
    missing value is the one before it. Raises `InputError` where an output is missing that has to be known."""
    first = 1 if known == "all" else known
    columns = []
    for name in names:
        column = infer(typed(table.column(name, "measured output")))
        if column.kind not in ("numeric", "boolean"):
            raise InputError(f"the measured output {name!r} needs numbers, but holds {column.kind} values.")
        columns.append(np.asarray(column.values, np.float64)[clock.order])
    y = cut.gather(np.stack(columns, axis=1))
    if cut.lengths.min() < first:
        raise InputError(f"a series of {cut.lengths.min()} steps is too short: its first {first} outputs are inputs.")
    missing = np.argwhere(np.isnan(y[:, :first]))
    if missing.size:
        example, step, output = missing[0]
        raise InputError(
            f"the first {first} values of {names[output]!r} have to be known, but the one in "
            f"{clock.where(int(cut.starts[example] + step))} is missing. Fill it in."
        )
    if known == "all":
        there = np.maximum.accumulate(np.where(np.isnan(y), 0, np.arange(y.shape[1])[:, None]), axis=1)
        return np.take_along_axis(y, there, axis=1)
    y[:, first:] = y[:, first - 1 : first]
    y[~cut.inside] = 0
    return y
