"""From the options of `fit` to a study: what the user names replaces that part of the preset, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from perceptory.app import grammar
from perceptory.app.codes import read_code_options, with_code_options, with_layers
from perceptory.app.door import command_line
from perceptory.app.source import (
    SEQUENCE,
    read_calendar,
    read_columns,
    read_horizon,
    read_known,
    read_size,
    read_static,
    read_way,
)
from perceptory.app.starts import pretrainings, starts
from perceptory.catalog import (
    ACTIVATIONS,
    AUGMENTATIONS,
    COSTS,
    DISCARDINGS,
    METRICS,
    NETWORKS,
    OPTIMIZERS,
    PENALTIES,
    SCHEDULES,
    VALIDATION_PLANS,
)
from perceptory.data import ArrayDataset, Dataset
from perceptory.errors import InputError, Setting
from perceptory.objectives.auxiliary import Auxiliary, NextStep, fading
from perceptory.objectives.penalties import WeightPenalty, share
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.objectives.table import DEFAULT_COST, SoftmaxCrossEntropy
from perceptory.optimizers.averaging import WeightAverage, at_most_one
from perceptory.optimizers.clipping import ClipByNorm, ClipByValue
from perceptory.optimizers.schedules import Schedule
from perceptory.optimizers.second_order import SecondOrder
from perceptory.registry import Registry
from perceptory.selection.metrics import TASK_KINDS
from perceptory.selection.nested import Nested
from perceptory.selection.plans import GroupKFold, KFold, Repeated, StratifiedKFold
from perceptory.selection.search import Choice, choice
from perceptory.specs import at_least_one, below_one, count, not_negative, positive
from perceptory.studies.presets_examples import default_validation
from perceptory.studies.presets_forecasts import rolled_out
from perceptory.studies.study import Study
from perceptory.studies.usual import default_study

TASK_NAMES: Registry[str] = Registry("task", {"classification": "", SEQUENCE: ""} | dict.fromkeys(TASK_KINDS, ""))


@dataclass(frozen=True)
class StudyOptions:
    """What the options say, checked as far as that is possible without data; None or empty where nothing is said."""

    effort: str
    networks: tuple[tuple[Any, frozenset[str]], ...]  # each with the names of the fields that it says
    layers: dict[str, Any] = field(default_factory=dict)  # activation and dropout of networks that do not say them
    optimizers: tuple[tuple[Any, frozenset[str]], ...] = ()
    rate: Any = None
    schedule: Any = None  # what puts a rate into a schedule
    strength: Any = None
    penalties: tuple[Any, ...] = ()
    p: float | None = None
    mix: Any = None
    by_layer: dict[str, Any] = field(default_factory=dict)  # strengths of the penalty by layer
    plan: Any = None
    folds: int | None = None
    repeats: int | None = None
    nested: Any = None  # the outer plan of nested validation, or how many folds it has
    class_weight: Any = None
    codes: dict[str, Any] = field(default_factory=dict)  # fields of autoencoders that do not say them
    changes: dict[str, Any] = field(default_factory=dict)  # plain fields of Study
    test: str | None = None  # a file of test rows
    recursive: bool = False  # whether networks forecast by one step after the other too

    def study(self, data: Dataset | ArrayDataset) -> Study:
        """The study for a dataset."""
        preset = default_study(data, self.effort)
        changes = dict(self.changes)
        if self.networks or self.layers or self.codes:
            given = self.networks or tuple((network, frozenset()) for network in _tuple(preset.networks))
            changes["networks"] = tuple(
                grammar.over(network, self._layered(written_fields)) for network, written_fields in given
            )
            preset = default_study(data, self.effort, networks=changes["networks"])
        if self.recursive:
            changes["networks"] = rolled_out(data, changes.get("networks", _tuple(preset.networks)))
        if self.optimizers or self.rate is not None or self.schedule is not None:
            changes["optimizer"] = self._optimizer(preset.optimizer)
        if self.penalties:
            changes["penalty"] = self.penalties[0] if len(self.penalties) == 1 else choice(*self.penalties)
        elif self.by_layer or any(value is not None for value in (self.strength, self.p, self.mix)):
            changes["penalty"] = self._penalty(preset.penalty)
        if self.class_weight is not None:
            cost = changes.get("cost", DEFAULT_COST[data.task])
            changes["cost"] = grammar.over(cost, self._weighed)
        plan = self._validation(data)
        if plan is not None:
            changes["validation"] = plan
        return default_study(data, self.effort, **changes)

    def _layered(self, written_fields: frozenset[str]) -> Callable[[Any], Any]:
        def change(network: Any) -> Any:
            layered = with_layers(network, self.layers, written_fields)
            return with_code_options(layered, self.codes, written_fields)

        return change

    def _optimizer(self, preset: Any) -> Any:
        """The preset's optimizer, or the named ones, at the rate and schedule that are said.

        Where no rate is said, an optimizer of the preset's kind keeps the preset's rates, another has its own default.
        """

        def change(optimizer: Any, written_fields: frozenset[str] = frozenset()) -> Any:
            if isinstance(optimizer, SecondOrder):
                return optimizer
            rate, own = optimizer.learning_rate, _first(preset)
            if self.optimizers and "learning_rate" not in written_fields and type(optimizer) is type(own):
                rate = own.learning_rate
            elif self.optimizers and self.schedule is None:
                rate = _put(own.learning_rate, rate)
            if self.rate is not None and "learning_rate" not in written_fields:
                rate = _put(rate, self.rate)
            if self.schedule is not None:
                rate = self.schedule(_bare(rate))
            return optimizer.replace(learning_rate=rate)

        if not self.optimizers:
            return grammar.over(preset, change)
        if (self.rate is not None or self.schedule is not None) and all(
            isinstance(o, SecondOrder) for o, _ in self.optimizers
        ):
            option = "--schedule" if self.rate is None else "--learning-rate"
            raise InputError(f"{option} does not go with {self.optimizers[0][0].label}, which has no learning rate.")
        optimizers = [change(o, written_fields) for o, written_fields in self.optimizers]
        return optimizers[0] if len(optimizers) == 1 else choice(*optimizers)

    def _penalty(self, preset: Any) -> Any:
        if self.strength == 0 and not self.by_layer:
            return None
        fields = (("strength", self.strength), ("p", self.p), ("mix", self.mix), ("layers", self.by_layer or None))
        changes = {k: v for k, v in fields if v is not None}
        base = WeightPenalty() if self.strength is not None or preset is None else preset
        return grammar.over(base, lambda penalty: penalty.replace(**changes))

    def _weighed(self, cost: Any) -> Any:
        if not hasattr(cost, "class_weight"):
            able = " and ".join(name for name, make in COSTS.items() if hasattr(make(), "class_weight"))
            raise InputError(f"--class-weight goes with the costs {able}, not with {cost.label}.")
        return cost.replace(class_weight=self.class_weight)

    def _validation(self, data: Dataset | ArrayDataset) -> Any:
        plan = self.plan
        if plan is None and self.folds is not None:
            plan = default_validation(data)
            if not hasattr(plan, "folds"):
                plan = KFold() if data.classes is None else StratifiedKFold()
        if self.folds is not None:
            plan = plan.replace(folds=self.folds)
        if self.repeats is not None:
            plan = Repeated(plan if plan is not None else default_validation(data), self.repeats)
        if self.nested is not None:
            outer = self.nested
            if isinstance(outer, int):
                suiting = default_validation(data)
                if not hasattr(suiting, "folds"):
                    suiting = KFold() if data.classes is None else StratifiedKFold()
                outer = suiting.replace(folds=outer)
            plan = Nested(outer, plan)
        return plan


def _tuple(networks: Any) -> tuple[Any, ...]:
    return networks if isinstance(networks, tuple) else (networks,)


def _first(value: Any) -> Any:
    return _first(value.values[0]) if isinstance(value, Choice) else value


def _bare(rate: Any) -> Any:
    """The learning rate without its schedule."""
    if isinstance(rate, Schedule):
        return _bare(rate.inner)
    return grammar.over(rate, _bare) if isinstance(rate, Choice) else rate


def _put(schedule: Any, rate: Any) -> Any:
    """`rate` in the place of the learning rate inside a schedule, or of one that has no schedule."""
    if isinstance(schedule, Schedule):
        return schedule.replace(**{schedule.rate: _put(schedule.inner, rate)})
    if isinstance(schedule, Choice) and any(isinstance(v, Schedule) for v in schedule.values):
        return grammar.over(schedule, lambda one: _put(one, rate))
    return rate


# --- reading the options -----------------------------------------------------------------------------------------


def read_options(o: Mapping[str, Any]) -> StudyOptions:
    """The options by name, as the command line gives them; `InputError` begins with the option's own name."""
    if o["quick"] and o["thorough"]:
        raise InputError("--quick and --thorough exclude each other. Choose one.")
    for name, table in (("task", TASK_NAMES), ("score", METRICS)):
        if o[name] is not None:
            _named(f"--{name}", partial(table.__getitem__, o[name]))
    changes = {k: o[k] for k in PLAIN if o[k] is not None}
    for name in WORDS & changes.keys():
        changes[name] = changes[name].replace("-", "_")
    if o["test"] is not None:
        sealed = _share(o["test"])
        changes["test"] = 0.0 if sealed is None else sealed
    if o["batch_size"]:
        for size in o["batch_size"]:
            count("--batch-size", size)
        changes["batch_size"] = o["batch_size"][0] if len(o["batch_size"]) == 1 else choice(*o["batch_size"])
    changes |= _steps(o)
    if o["discard"] is not None:
        changes["discard"] = _spec("--discard", partial(grammar.spec, o["discard"], DISCARDINGS))[0]
    if o["start"]:
        changes["start"] = _spec("--start", partial(starts, o["start"]))
    changes |= _pretraining(o)
    if o["cost"] is not None:
        changes["cost"] = _spec("--cost", partial(grammar.spec, o["cost"], COSTS))[0]
    named = any(text.lstrip()[:1].isalpha() for text in o["penalty"])
    study_options = StudyOptions(
        effort="quick" if o["quick"] else "thorough" if o["thorough"] else "normal",
        networks=tuple(_spec("--network", partial(grammar.spec, t, NETWORKS)) for t in o["network"]),
        layers=_layers(o),
        codes=read_code_options(o),
        optimizers=tuple(_spec("--optimizer", partial(grammar.spec, t, OPTIMIZERS)) for t in o["optimizer"]),
        rate=_numbers(o, "learning_rate", positive),
        schedule=None if o["schedule"] is None else _spec("--schedule", partial(_schedule, o["schedule"])),
        strength=None if named else _numbers(o, "penalty", not_negative),
        penalties=_penalties(o) if named else (),
        p=o["penalty_p"],
        mix=_numbers(o, "penalty_mix", share),
        by_layer=dict(map(_by_layer, o["penalty_layer"])),
        plan=_plan(o),
        folds=o["folds"],
        repeats=o["repeats"],
        nested=None if o["nested"] is None else _outer(o),
        class_weight=None if o["class_weight"] is None else _class_weight(o["class_weight"]),
        changes=changes,
        recursive=o["recursive"],
        test=o["test"] if "test" in changes and _share(o["test"]) is None else None,
    )
    Study(**changes)
    if study_options.p is not None:
        at_least_one("--penalty-p", study_options.p)
    return study_options


NUMBERS = r"[-+.\deE/]*\d[-+.\deE/]*"  # a number, several, or a range
TARGETS_OF_INPUTS: dict[str, Callable[[], Any]] = {"next-step": NextStep, "reconstruction": Reconstruction}
PLAIN = ("seeds", "epochs", "patience", "samples", "sampling", "score", "rule", "final", "precision", "memory",
         "seed")  # fmt: skip
WORDS = frozenset({"sampling", "rule", "final", "precision"})


OWN_READERS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("predict", read_way), ("horizon", read_horizon), ("known", read_known), ("size", read_size),
    ("calendar", read_calendar), ("known_ahead", read_columns), ("static", read_static),
)  # fmt: skip


def data_options(o: Mapping[str, Any]) -> dict[str, Any]:
    """The options with those that say what DATA means read: --predict, --horizon, --size and the counts of rows."""
    options = dict(o)
    for name, read_one in OWN_READERS:
        if o[name] is not None:
            options[name] = _named(f"--{name}", partial(read_one, o[name]))
    for name, least in (("window", 1), ("stride", 1), ("season", 1), ("washout", 0)):
        if o[name] is not None:
            count(f"--{name}", o[name], least)
    return options


def _numbers(o: Mapping[str, Any], name: str, check: Callable[[str, Any], None]) -> Any:
    """What a repeatable option of numbers says, or None."""
    option = "--" + name.replace("_", "-")
    log = check in (positive, not_negative)
    return grammar.numbers(o[name], option, check, log=log) if o[name] else None


def _penalties(o: Mapping[str, Any]) -> tuple[Any, ...]:
    """Penalties by name; what the options beside say of a strength goes with numbers only."""
    for name in ("penalty_p", "penalty_mix", "penalty_layer"):
        if o[name] not in (None, []):
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} goes with a number as --penalty. Write it into the penalty's own fields.")
    return tuple(_spec("--penalty", partial(grammar.spec, t, PENALTIES, skip=("layers",)))[0] for t in o["penalty"])


def _by_layer(text: str) -> tuple[str, Any]:
    """The path of a layer and its penalty's strength."""
    path, given, value = (part.strip() for part in text.partition("="))
    if not (path and given and value):
        raise InputError(f"--penalty-layer needs a layer and its strength, got {text!r}. Example: layers.0=0.01")
    return path, grammar.numbers([value], "--penalty-layer", not_negative, log=True)


def _layers(o: Mapping[str, Any]) -> dict[str, Any]:
    layers: dict[str, Any] = {}
    if o["activation"]:
        names = [name.strip() for text in o["activation"] for name in text.split("/")]
        for name in names:
            _named("--activation", partial(ACTIVATIONS.__getitem__, name))
        layers["activation"] = names[0] if len(names) == 1 else choice(*names)
    if o["dropout"]:
        layers["dropout"] = _numbers(o, "dropout", below_one)
    return layers


def _steps(o: Mapping[str, Any]) -> dict[str, Any]:
    """What becomes of a step's gradient, and of the weights after an epoch."""
    changes: dict[str, Any] = {}
    kinds = (("clip_norm", ClipByNorm), ("clip_value", ClipByValue))
    clips = [kind(_numbers(o, name, positive)) for name, kind in kinds if o[name]]
    if clips:
        changes["clip"] = clips[0] if len(clips) == 1 else choice(*clips)
    if o["augment"]:
        augmentations = [_spec("--augment", partial(_augmentation, text)) for text in o["augment"]]
        changes["augmentation"] = augmentations[0] if len(augmentations) == 1 else choice(*augmentations)
    if o["auxiliary"]:
        changes["auxiliary"] = tuple(_auxiliary(text) for text in o["auxiliary"])
    if o["keep_heads"]:
        changes["keep_heads"] = True
    if o["keep_sealed"]:
        changes["keep_sealed"] = True
    if o["average"]:
        changes["average"] = WeightAverage(_numbers(o, "average", at_most_one))
    return changes


def _pretraining(o: Mapping[str, Any]) -> dict[str, Any]:
    """What networks learn first, and from which rows."""
    for name in ("unlabeled", "pretrain_epochs"):
        if o[name] is not None and not o["pretrain"]:
            raise InputError(f"--{name.replace('_', '-')} goes with --pretrain. Example: --pretrain autoencoder:32")
    if not o["pretrain"]:
        return {}
    if o["pretrain_epochs"] is not None:
        count("--pretrain-epochs", o["pretrain_epochs"])
    learned = _spec("--pretrain", partial(pretrainings, o["pretrain"], o["pretrain_epochs"]))
    if o["unlabeled"] is not None and not Path(o["unlabeled"]).exists():
        raise InputError(f"there is no file or folder {o['unlabeled']} for --unlabeled.")
    return {"pretraining": learned} | ({} if o["unlabeled"] is None else {"unlabeled": o["unlabeled"]})


def _auxiliary(text: str) -> Auxiliary:
    """COLUMN:WEIGHT:FADE, of which the last two are numbers; a colon before them belongs to the column's name."""
    parts = [part.strip() for part in text.split(":")]
    numbers: list[str] = []
    while len(parts) > 1 and len(numbers) < 2 and re.fullmatch(NUMBERS, parts[-1]):
        numbers.insert(0, parts.pop())
    name = ":".join(parts)
    if not name:
        raise InputError(f"--auxiliary needs the name of a column, got {text!r}. Example: --auxiliary depth:0/0.1:0.5")
    fields = {
        field: grammar.numbers([value], "--auxiliary", check, log=field == "weight")
        for (field, check), value in zip((("weight", not_negative), ("fade", fading)), numbers, strict=False)
    }
    target = TARGETS_OF_INPUTS.get(name.lower().replace("_", "-"))
    return Auxiliary(name if target is None else target(), **fields)


def _augmentation(text: str) -> Any:
    """NAME:FIELD=VALUE, several of them joined by +, or none."""
    if text.strip().lower() == "none":
        return None
    specs = tuple(grammar.spec(one, AUGMENTATIONS)[0] for one in re.split(r"\+(?=\s*[a-z])", text))
    return specs[0] if len(specs) == 1 else specs


def _schedule(text: str) -> Callable[[Any], Any]:
    if text.strip().lower() == "constant":
        return lambda rate: rate
    name = text.partition(":")[0].strip().lower().replace("-", "_")
    schedule, _ = grammar.spec(text, SCHEDULES, skip=(SCHEDULES[name]().rate,) if name in SCHEDULES else ())
    return lambda rate: _put(schedule, rate)


def _class_weight(text: str) -> Any:
    if text.strip().lower() == "balanced":
        return "balanced"
    try:
        weights = tuple(float(part) for part in text.split(","))
        SoftmaxCrossEntropy(class_weight=weights)
    except ValueError:
        raise InputError(
            f"--class-weight needs balanced or a weight of at least 0 for each class, got {text!r}. Example:"
            " --class-weight 1,5"
        ) from None
    return weights


def _plan(o: Mapping[str, Any]) -> Any:
    if o["folds"] is not None:
        count("--folds", o["folds"], 2)
    if o["repeats"] is not None:
        count("--repeats", o["repeats"])
    if o["validation"] is None:
        return None
    plan, written_fields = _spec("--validation", partial(grammar.spec, o["validation"], VALIDATION_PLANS))
    if o["folds"] is not None:
        if not hasattr(plan, "folds"):
            raise InputError(f"--folds does not go with --validation {o['validation']}. Leave one of them out.")
        if "folds" in written_fields:
            raise InputError("the number of folds is given twice. Leave out --folds.")
    if isinstance(plan, GroupKFold) and o["groups"] is None:
        raise InputError("--validation group needs the column of groups. Add --groups COLUMN.")
    return plan


def _outer(o: Mapping[str, Any]) -> Any:
    """--nested: a number of outer folds, or their plan."""
    text = o["nested"].strip()
    if text.isascii() and text.isdigit():
        count("--nested", int(text), 2)
        return int(text)
    plan, _ = _spec("--nested", partial(grammar.spec, text, VALIDATION_PLANS))
    if isinstance(plan, GroupKFold) and o["groups"] is None:
        raise InputError("--nested group needs the column of groups. Add --groups COLUMN.")
    return plan


def _share(text: str) -> float | None:
    """--test as a number, or None where it is a file."""
    try:
        return float(text)
    except ValueError:
        if not Path(text).exists():
            raise InputError(
                f"--test needs a share of the rows or a file of test rows, got {text!r}. Example: --test 0.2"
            ) from None
        return None


def _named(option: str, read: Callable[[], Any], join: str = ": ") -> Any:
    """What `read` gives; its `InputError` begins with the option, unless it begins with the setting of that option."""
    try:
        return read()
    except InputError as error:
        first = error.pieces[0]
        if isinstance(first, Setting) and command_line(first) == option:
            raise
        raise InputError(option, join, error) from None


def _spec(option: str, read: Callable[[], Any]) -> Any:
    """Like `_named`, for a reader whose `InputError` begins with the text after the option."""
    return _named(option, read, " ")
