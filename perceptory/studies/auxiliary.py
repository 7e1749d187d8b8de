"""What auxiliary objectives aim at: columns taken out of the examples before anything is learned from them, and what
the inputs give; as numbers beside the targets, and as the cost that the program sees."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.data import ArrayDataset, Dataset
from perceptory.data.examples import ExampleEncoder, Examples
from perceptory.data.own_targets import kinds_and_widths, own_targets
from perceptory.data.series.feedback import PREFIX
from perceptory.data.tables.table import columns_are, label
from perceptory.data.tables.targets import MOST_CLASSES
from perceptory.errors import InputError
from perceptory.notes import auxiliary_target, phrase
from perceptory.objectives.auxiliary import Auxiliary, NextStep, auxiliary_parts
from perceptory.objectives.parts import Composite, Part
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.objectives.table import DEFAULT_COST, Cost, check_task
from perceptory.objectives.transformed import TransformedError
from perceptory.registry import did_you_mean
from perceptory.training.scaling import Scaling, fit_scaling

EQUAL = 1e-12  # of a correlation from 1: one is the other in other units
Wanted = tuple[Any, str]  # a target, and as what its cost wants it: "numbers", "classes", or "" for what it is


@dataclass(frozen=True, eq=False)
class Aim:
    """One auxiliary target of the study's examples.

    values: [row, column] or [row, time, column] float64, in its own units or 0 and 1 of classes, NaN where missing.
    cost: the one that it brings. as_inputs: whether its columns are the inputs' channels, once or for every place, and
    are scaled as these are.
    """

    about: str
    task: str  # "regression" | "binary" | "multiclass"
    values: np.ndarray
    classes: tuple[str, ...] | None = None
    cost: Cost | None = None
    as_inputs: bool = False

    @property
    def columns(self) -> int:
        return int(self.values.shape[-1])


@dataclass(frozen=True, eq=False)
class Aims:
    """All auxiliary targets of a study's candidates, side by side."""

    of: dict[Wanted, Aim]

    @property
    def values(self) -> np.ndarray:
        """[row, ..., column] float64, NaN where missing."""
        return np.concatenate([aim.values for aim in self.of.values()], axis=-1)

    @property
    def columns(self) -> int:
        return sum(aim.columns for aim in self.of.values())

    def aim(self, auxiliary: Auxiliary) -> Aim:
        """What one objective aims at."""
        return self.of[wanted(auxiliary)]

    def cost_of(self, auxiliary: Auxiliary) -> Cost:
        """The cost that it is trained with."""
        aim = self.aim(auxiliary)
        return auxiliary.cost or aim.cost or DEFAULT_COST[aim.task]

    def composite(self, cost: Cost, targets: int, auxiliary: Any) -> Composite:
        """The cost of a network with these objectives beside `targets` columns of its main one. Numbers of the specs
        may be placeholders."""
        first, starts = targets, {}
        for key, aim in self.of.items():
            starts[key] = first
            first += aim.columns
        parts, output = [], cost.outputs(targets)
        for one in auxiliary_parts(auxiliary):
            own, aim = self.cost_of(one), self.aim(one)
            parts.append(Part(own, one.weight, one.fade, output, starts[wanted(one)], aim.columns))
            output += own.outputs(aim.columns)
        return Composite(cost, targets, first, tuple(parts))

    def scaled(self, scaling: Scaling, cost: Composite) -> tuple[np.ndarray, np.ndarray]:
        """(center, scale) [column] of the auxiliary targets, as the parts of a cost want them."""
        center, scale = scaling.aim_center.copy(), scaling.aim_scale.copy()
        for part in cost.parts:
            place = slice(part.target - cost.targets, part.target - cost.targets + part.targets)
            center[place], scale[place] = part.cost.scale_targets(center[place], scale[place])
        return center, scale

    def scaling(self, scaling: Scaling, rows: np.ndarray, weights: np.ndarray | None) -> Scaling:
        """The scaling of a fold with that of the auxiliary targets, fitted on its training rows: mean 0 and deviation 1
        for numbers, classes as they are. weights: as in `fit_scaling`."""
        centers, scales = [], []
        for aim in self.of.values():
            center, scale = np.zeros(aim.columns), np.ones(aim.columns)
            if aim.as_inputs:
                places = aim.columns // len(scaling.in_center)
                spread = 1 / np.where(scaling.in_factor > 0, scaling.in_factor, 1)
                center, scale = np.tile(scaling.in_center, places), np.tile(spread, places)
            elif aim.task == "regression":
                values = aim.values[rows]
                fitted = fit_scaling(values, values, scale_targets=True, weights=weights)
                center, scale = fitted.out_center, fitted.out_scale
            centers.append(center)
            scales.append(scale)
        return scaling._replace(aim_center=np.concatenate(centers), aim_scale=np.concatenate(scales))


def wanted(auxiliary: Auxiliary) -> Wanted:
    """What tells auxiliary targets apart: the same column may be numbers for one cost and classes for another."""
    if auxiliary.cost is None:
        return auxiliary.target, ""
    return auxiliary.target, "numbers" if "regression" in auxiliary.cost.tasks else "classes"


def objectives_of(candidates: Sequence[Any]) -> list[Auxiliary]:
    """The auxiliary objectives of all candidates, one for each thing that any of them aims at."""
    every = [one for candidate in candidates for one in auxiliary_parts(candidate.auxiliary)]
    for one in every:
        if not isinstance(one, Auxiliary):
            raise InputError(f"auxiliary needs specs of the kind Auxiliary, got {one!r}. Leave that out.")
    return list({wanted(one): one for one in every}.values())


# --- columns ------------------------------------------------------------------------------------------------------


def taken_out(objectives: Sequence[Auxiliary], known: Examples) -> dict[Wanted, Aim]:
    """The columns of the study's examples that objectives aim at; `InputError` for what teaches nothing."""
    if objectives and known.task == "autoencode":
        raise InputError("an autoencoder gives back its inputs, with nothing beside them. Leave auxiliary out.")
    aims = {}
    for one in objectives:
        if isinstance(one.target, str):
            aim = _aim(one, known)
            _check_equal(aim, known)
            aims[wanted(one)] = aim
    return aims


def without(names: Sequence[str], data: Any) -> Any:
    """Examples without these columns, channels and targets; of a table the columns stay and are no inputs."""
    if isinstance(data, Dataset):
        remark = (auxiliary_target(),)
        columns = tuple(
            dataclasses.replace(c, kind="ignored", notes=remark) if c.name in names else c for c in data.columns
        )
        return _without_targets(names, dataclasses.replace(data, columns=columns))
    gone = {*names, *(PREFIX + name for name in names if name in data.target_names)}
    keep = [k for k, name in enumerate(data.channels) if name not in gone]
    if not keep:
        raise InputError("no input is left beside the auxiliary targets. Name fewer of them.")
    if len(keep) < len(data.channels):
        channels = tuple(data.channels[k] for k in keep)
        data = dataclasses.replace(data, inputs=data.inputs[..., keep], channels=channels)
    return _without_targets(names, data)


def _without_targets(names: Sequence[str], data: Any) -> Any:
    keep = [k for k, name in enumerate(data.target_names) if name not in names]
    if len(keep) == len(data.target_names):
        return data
    targets = tuple(data.target_names[k] for k in keep)
    data = dataclasses.replace(data, targets=data.targets[..., keep], target_names=targets)
    if getattr(data, "units", None) is not None:
        data = dataclasses.replace(data, units=data.units[..., keep])
    plan = getattr(data, "plan", None)
    if plan is None or len(plan.horizons) < 2:
        return data
    left = tuple(h for h in plan.horizons if any(name.endswith(f"(t+{h})") for name in targets))
    whole = len(targets) % max(1, len(left)) == 0  # each target at each horizon; else they are no forecast any more
    return dataclasses.replace(data, plan=dataclasses.replace(plan, horizons=left if whole else ()))


def _aim(auxiliary: Auxiliary, known: Any) -> Aim:
    """What an objective that names a column aims at."""
    name = str(auxiliary.target)
    if name in known.target_names:
        if len(known.target_names) == 1:
            raise InputError(f"the auxiliary target {name!r} is the target itself. Name another column.")
        place = known.target_names.index(name)
        return _numbers_or_classes(auxiliary, np.asarray(known.targets[..., place], float))
    if isinstance(known, Dataset):
        return _of_table(auxiliary, known)
    if not isinstance(known, ArrayDataset) or name not in known.channels:
        raise _unknown(name, known.channels, known)
    column = np.asarray(known.inputs[..., known.channels.index(name)], float)
    if column.ndim == 2 and known.lengths is not None:  # padding is no data
        column = np.where(np.arange(column.shape[1]) < known.lengths[:, None], column, np.nan)
    if column.ndim != known.targets.ndim - 1 and not (column.ndim == 1 and known.targets.ndim == 1):
        raise InputError(
            f"the auxiliary target {name!r} has values at every step or place of an example, and the targets are one"
            " value an example. Name it among the targets when the data are read."
        )
    return _numbers_or_classes(auxiliary, column)


def _unknown(name: str, names: Sequence[str], known: Any) -> InputError:
    every = [*names, *known.target_names]
    return InputError(f"there is no column {name!r} to aim at.{did_you_mean(name, every)} {columns_are(every)}")


def _of_table(auxiliary: Auxiliary, known: Dataset) -> Aim:
    name = str(auxiliary.target)
    column = next((c for c in known.columns if c.name == name), None)
    if column is None:
        raise _unknown(name, [c.name for c in known.columns], known)
    if column.kind == "ignored":
        raise InputError(
            f"the auxiliary target {name!r} cannot be used: ", *phrase(column.notes[:1]), ". Name another column."
        )
    if column.kind == "categorical":
        return _classes(auxiliary, np.array([None if v is None else str(v) for v in column.values], object))
    if column.kind == "boolean" and wanted(auxiliary)[1] != "numbers":
        names = [None if np.isnan(v) else str(bool(v)) for v in column.values]
        return _classes(auxiliary, np.array(names, object))
    return _numbers_or_classes(auxiliary, np.asarray(column.values, float))


def _numbers_or_classes(auxiliary: Auxiliary, values: np.ndarray) -> Aim:
    """values: [row] or [row, time], NaN where missing."""
    if wanted(auxiliary)[1] == "classes":
        if values.ndim > 1:
            raise InputError(
                f"the auxiliary target {auxiliary.target!r} has a value every step, so it needs a cost for numbers, got"
                f" {auxiliary.cost.label if auxiliary.cost else ''}."
            )
        return _classes(auxiliary, np.array([None if np.isnan(v) else label(v) for v in values.tolist()], object))
    there = values[~np.isnan(values)]
    _check_varies(auxiliary.about, len(np.unique(there)), there[:1])
    if not np.all(np.isfinite(there)):
        raise InputError(
            f"the auxiliary target {auxiliary.about!r} holds infinite numbers. Clean them, or name another."
        )
    aim = Aim(auxiliary.about, "regression", values[..., None])
    _check_cost(auxiliary, aim, there[:, None])
    return aim


def _classes(auxiliary: Auxiliary, names: np.ndarray) -> Aim:
    """names: [row] str, None where missing."""
    there = np.array([name is not None for name in names])
    classes = sorted(set(names[there].tolist()))
    _check_varies(auxiliary.about, len(classes), classes)
    if len(classes) > MOST_CLASSES or len(classes) > max(2, there.sum() / 2):
        raise InputError(
            f"the auxiliary target {auxiliary.about!r} holds {len(classes)} different values in {there.sum()} rows, too"
            f" many to be classes (at most {MOST_CLASSES}, and two rows each on average). Name another column."
        )
    place = {name: k for k, name in enumerate(classes)}
    codes = np.array([place.get(name, -1) for name in names])
    two = len(classes) == 2 and (auxiliary.cost is None or "binary" in auxiliary.cost.tasks)
    values = codes[:, None].astype(float) if two else np.eye(len(classes))[codes]
    aim = Aim(
        auxiliary.about, "binary" if two else "multiclass", np.where(there[:, None], values, np.nan), tuple(classes)
    )
    _check_cost(auxiliary, aim, values[there])
    return aim


def _check_varies(about: str, distinct: int, values: Any) -> None:
    if not distinct:
        raise InputError(f"the auxiliary target {about!r} is missing in every study row. Name another column.")
    if distinct == 1:
        raise InputError(
            f"the auxiliary target {about!r} is constant in the study rows (always {label(values[0])[:40]}), so it"
            " teaches nothing. Name another column."
        )


def _check_cost(auxiliary: Auxiliary, aim: Aim, values: np.ndarray) -> None:
    cost = auxiliary.cost
    if cost is None:
        return
    try:
        check_task(cost, aim.task)
        cost.check_classes(aim.classes)
        if aim.task == "regression":
            cost.check_targets(values, (aim.about,))
    except InputError as error:
        raise InputError(f"the auxiliary target {aim.about!r}: ", error) from None
    if isinstance(cost, TransformedError):
        raise InputError(
            f"the auxiliary target {aim.about!r} is not transformed, which is for the study's own."
            " Use squared or absolute."
        )
    if getattr(cost, "class_weight", None) == "balanced":
        raise InputError(
            f"the auxiliary target {aim.about!r} takes no balanced class weights. Give one weight per class."
        )


def _check_equal(aim: Aim, known: Examples) -> None:
    """`InputError` where the target tells the auxiliary one: the same classes, or the same numbers in any unit."""
    targets = np.asarray(known.targets)
    names = [name for name in known.target_names if name != aim.about]
    columns = [targets] if known.task != "regression" else [targets[..., known.target_names.index(n)] for n in names]
    for name, column in zip(names, columns, strict=True):
        if column.shape == aim.values.shape[:-1] and _tell_each_other(aim, column.astype(float), known.task):
            raise InputError(
                f"the auxiliary target {aim.about!r} equals the target {name!r}, so it teaches nothing more. Name"
                " another column."
            )


def _tell_each_other(aim: Aim, target: np.ndarray, task: str) -> bool:
    there = ~np.isnan(aim.values).any(axis=-1)
    target, values = target[there], aim.values[there]
    if aim.task == task == "regression":
        x, y = values[:, 0] - values[:, 0].mean(), target - target.mean()
        size = float(np.sqrt(np.sum(x**2) * np.sum(y**2)))
        return size > 0 and abs(float(np.sum(x * y))) > (1 - EQUAL) * size
    pairs = np.unique(np.column_stack([values, target]), axis=0)
    return len(pairs) == len(np.unique(values, axis=0)) == len(np.unique(target))


# --- what the inputs give -----------------------------------------------------------------------------------------


def given_by_inputs(
    objectives: Sequence[Auxiliary], known: Examples, encoder: ExampleEncoder, inputs: np.ndarray
) -> dict[Wanted, Aim]:
    """What objectives aim at that name no column, from the encoded inputs."""
    aims = {}
    for one in objectives:
        if isinstance(one.target, NextStep):
            aims[wanted(one)] = _next_step(one, known, inputs)
        elif isinstance(one.target, Reconstruction):
            aims[wanted(one)] = _inputs(one, known, encoder, inputs)
    return aims


def _next_step(auxiliary: Auxiliary, known: Examples, inputs: np.ndarray) -> Aim:
    if inputs.ndim != 3 or np.asarray(known.targets).ndim != 3:
        raise InputError(
            "NextStep is for series with a target every step, and these data have none. Read them with predict="
            '"every step", or leave it out.'
        )
    values = np.full(inputs.shape, np.nan)
    values[:, :-1] = inputs[:, 1:]
    if known.lengths is not None:
        values[np.arange(inputs.shape[1]) >= known.lengths[:, None] - 1] = np.nan
    aim = Aim(auxiliary.about, "regression", values, as_inputs=True)
    _check_cost(auxiliary, aim, values[~np.isnan(values).any(axis=-1)])
    return aim


def _inputs(auxiliary: Auxiliary, known: Examples, encoder: ExampleEncoder, inputs: np.ndarray) -> Aim:
    kinds, widths, channels = kinds_and_widths(encoder)
    values = np.asarray(own_targets(encoder, known, inputs), float)
    if known.lengths is not None:  # padding is no data
        values = np.where((np.arange(values.shape[1]) < known.lengths[:, None])[..., None], values, np.nan)
    if values.ndim > 2 and np.asarray(known.targets).ndim != 3:
        values = values.reshape(len(values), -1)
    cost = auxiliary.target.replace(kinds=kinds, widths=widths, channels=channels)
    return Aim(auxiliary.about, "regression", values, cost=cost, as_inputs=inputs.ndim > 2)
