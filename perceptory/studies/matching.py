"""Which layers of one network another one begins with, and in which of its inputs they find theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from perceptory.data import ArrayEncoder, Encoder
from perceptory.data.tables.column_plan import ColumnPlan
from perceptory.errors import InputError
from perceptory.layers.arrays import Shape
from perceptory.layers.convolution import Convolution
from perceptory.layers.dense import Dense
from perceptory.layers.recurrent import RecurrentLayer
from perceptory.layers.structure import Part, parts_of
from perceptory.networks.base import Network
from perceptory.notes import Note, features_begin_at_zero, features_without_use
from perceptory.specs import combine, has_code, partition
from perceptory.wording import listed


class InputMap(NamedTuple):
    """Where a study's inputs are among a model's.

    place: [in] of each feature of the study, -1 where the model has none. shift: [in] what is added to it to make the
    model's number of it (days from another origin). absent: [in of the model] what a feature that the study has not is
    there, nan for its mean: 0 for a category.
    """

    place: np.ndarray
    shift: np.ndarray
    absent: np.ndarray
    notes: tuple[Note, ...] = ()


def input_map(model: Any, study: Any) -> InputMap:
    """Of two encoders. `InputError` lists the columns or channels that do not match."""
    if isinstance(model, Encoder) != isinstance(study, Encoder):
        raise InputError("the layers to begin with were trained on a table or on arrays, and here is the other.")
    return _columns(model, study) if isinstance(model, Encoder) else _channels(model, study)


def _channels(model: ArrayEncoder, study: ArrayEncoder) -> InputMap:
    there, here = model.feature_names, study.feature_names
    named = model.kind == "series" and len(set(there)) == len(there)
    if model.kind != study.kind or len(there) != len(here) or (named and set(there) != set(here)):
        raise InputError(
            f"the layers to begin with were trained on {model.kind} inputs with the channels {listed(there)}, and here"
            f" are {study.kind} inputs with {listed(here)}. Give the same ones."
        )
    place = [there.index(name) for name in here] if named else range(len(here))
    return InputMap(np.array(place, int), np.zeros(len(here)), np.full(len(there), np.nan))


def _columns(model: Encoder, study: Encoder) -> InputMap:
    there, here = ({plan.name: plan for plan in encoder.columns} for encoder in (model, study))
    lacking = [name for name, plan in there.items() if plan.used and name not in here]
    unknown = [name for name, plan in here.items() if plan.used and name not in there]
    other = [
        f"{name!r} is {there[name].kind} there and {plan.kind} here"
        for name, plan in here.items()
        if name in there and plan.used and there[name].used and plan.kind != there[name].kind
    ]
    problems = [
        *([f"the study lacks {listed(lacking)}"] if lacking else []),
        *([f"the model does not know {listed(unknown)}"] if unknown else []),
        *other,
    ]
    if problems:
        raise InputError(
            f"the layers to begin with were trained on other columns: {'; '.join(problems)}. Read the table with the"
            " same columns, or train the model on these."
        )
    known = {name: i for i, name in enumerate(model.feature_names)}
    place = np.array([known.get(name, -1) for name in study.feature_names], int)
    new = [name for name in study.feature_names if name not in known]
    gone = [name for name in model.feature_names if name not in set(study.feature_names)]
    notes = [features_begin_at_zero(new)] if new else []
    notes += [features_without_use(gone)] if gone else []
    zero = [name for plan in model.columns if plan.used and here[plan.name].used for name in plan.features]
    absent = np.where(np.isin(model.feature_names, zero), 0.0, np.nan)
    return InputMap(place, _shifts(there, here), absent, tuple(notes))


def _shifts(there: dict[str, ColumnPlan], here: dict[str, ColumnPlan]) -> np.ndarray:
    """[in] days from the model's origin to the study's, of the features that count days."""
    shifts: list[float] = []
    for name, plan in here.items():
        own = np.zeros(len(plan.features))
        if plan.kind == "date" and plan.value and name in there:
            own[0] = plan.origin - there[name].origin
        shifts += own.tolist()
    return np.array(shifts)


# --- layers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """layers: how many layers they have in common from the inputs on. pairs: (name there, name here) of the arrays of
    each of these layers. entry: the parts that the inputs come to, here, where their weights can take over a scaling.
    difference: of the layer after these, in words.
    """

    layers: int
    pairs: tuple[tuple[tuple[str, str], ...], ...]
    entry: tuple[Part, ...]
    difference: str


def structure(network: Network, inputs: Shape, outputs: Shape) -> tuple[Part, ...]:
    """The parts of a network; of an autoencoder, those of its encoder."""
    look: Any = _structure.__wrapped__ if has_code(network) else _structure
    found: tuple[Part, ...] = look(partition(network)[0], inputs, outputs)
    return found


@lru_cache(maxsize=256)
def _structure(network: Network, inputs: Shape, outputs: Shape) -> tuple[Part, ...]:
    network = combine(network, defaultdict(lambda: 0.5))  # any number will do: the parts do not depend on it
    module = eqx.filter_eval_shape(lambda: network.build(inputs, outputs, key=jax.random.key(0)))
    encoder = getattr(module, "encoder", None)
    return tuple(parts_of(module) if encoder is None else parts_of(encoder, "encoder"))


def match(there: Sequence[Part], here: Sequence[Part], features: tuple[int, int]) -> Match:
    """The layers that two networks begin with alike; the last one of each is its own.

    features: of an example there and here, which the first layer may differ in.
    """
    first = _first(here)
    common = 0
    for common, (a, b) in enumerate(zip_longest(there, here)):  # noqa: B007
        if (
            a is None
            or b is None
            or not _alike(a, b, features if first is not None and b.layer == 1 and b.kind == first.kind else None)
        ):
            break
    last_there, last_here = (max((part.layer for part in parts), default=0) for parts in (there, here))
    whole = [_within(parts, common) for parts in (there, here)]
    layers = max(0, min(*whole, last_there - 1, last_here - 1))
    pairs = tuple(_names(there, here, k) for k in range(1, layers + 1))
    entry = () if first is None else tuple(part for part in here if part.layer == 1 and part.kind == first.kind)
    return Match(layers, pairs, entry, _difference(there, here, layers))


def _within(parts: Sequence[Part], common: int) -> int:
    """How many layers lie wholly among the first `common` parts."""
    later = [part.layer for part in parts[common:] if part.names]
    return (later[0] if later else max((p.layer for p in parts), default=0) + 1) - 1


def _first(parts: Sequence[Part]) -> Part | None:
    """The part that inputs come to, where it takes them by weights, linearly and everywhere alike."""
    for part in parts:
        if part.names:
            inner = part.module
            padded = isinstance(inner, Convolution) and any(w.before or w.after for w in inner.windows)
            return part if isinstance(inner, Dense | RecurrentLayer | Convolution) and not padded else None
        if part.kind[0] not in PASSES:
            return None
    return None


PASSES = ("Reshape", "ConvolutionalNetwork", "RecurrentNetwork", "Steps")  # what hands inputs on as they are


def _alike(there: Part, here: Part, features: tuple[int, int] | None) -> bool:
    if there.kind != here.kind:
        return False
    shapes = list(there.shapes)
    if features is not None:
        shapes[0] = _with_features(shapes[0], here.kind[0], features)
    return tuple(shapes) == here.shapes and len(there.names) == len(here.names)


def _with_features(shape: Shape, kind: str, features: tuple[int, int]) -> Shape:
    """The shape of the first weights as it would be with the study's features."""
    axis = -2 if kind == "Convolution" else 0
    old, new = features
    sizes = list(shape)
    sizes[axis] = sizes[axis] // old * new
    return tuple(sizes)


def _names(there: Sequence[Part], here: Sequence[Part], layer: int) -> tuple[tuple[str, str], ...]:
    def of(parts: Sequence[Part]) -> list[str]:
        return [name for part in parts if part.layer == layer for name in part.names]

    return tuple(zip(of(there), of(here), strict=True))


def _difference(there: Sequence[Part], here: Sequence[Part], layers: int) -> str:
    """What is different in the first layer that they do not share."""

    def of(parts: Sequence[Part]) -> str:
        last = max((part.layer for part in parts), default=0)
        if layers + 1 >= last:
            return "the output layer"
        own = [part for part in parts if part.layer == layers + 1]
        words = [f"{_words(part)} {', '.join(map(_shown, zip(part.names, part.shapes, strict=True)))}" for part in own]
        return "; ".join(words)

    return f"layer {layers + 1} is {of(there)} there and {of(here)} here"


def _words(part: Part) -> str:
    names = [getattr(v, "__name__", "") for k in part.kind[1:] if isinstance(k, tuple) for v in k if callable(v)]
    return " ".join([part.kind[0].lower(), *(n for n in names if n and not n.startswith("<"))])


def _shown(array: tuple[str, Shape]) -> str:
    name, shape = array
    return f"{name} [{', '.join(map(str, shape))}]"
