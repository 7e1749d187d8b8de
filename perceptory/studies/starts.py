"""What members begin with: arrays of a trained network, in terms of the members' own scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from perceptory.errors import InputError
from perceptory.layers.structure import Part
from perceptory.models.model import Model
from perceptory.networks.base import layout
from perceptory.notes import Note
from perceptory.studies.design import Candidate
from perceptory.studies.encoded_examples import EncodedExamples
from perceptory.studies.matching import InputMap, Match, input_map, match, structure
from perceptory.studies.pretrained import FROZEN, LayerRate, Pretrained
from perceptory.training.given import ArrayRate, GivenStart
from perceptory.training.scaling import Scaling

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Beginning:
    """What the members of a candidate begin with.

    plan: its static side. taken: (name in the model, name here) of the arrays that are given, in the order of the
    candidate's layout. entry: the parts of the candidate's network that take over the inputs' scaling; without any,
    inputs are scaled as the model's were.
    """

    plan: GivenStart
    model: Model
    taken: tuple[tuple[str, str], ...]
    inputs: InputMap
    entry: tuple[Part, ...]

    @property
    def notes(self) -> tuple[Note, ...]:
        return self.inputs.notes

    def scaling(self, own: Scaling, turn: int) -> Scaling:
        """The scaling of a member whose fold has its `own`; turn: which member it is, counted from 0."""
        if self.entry:
            return own
        k, place = turn % len(self.model), self.inputs.place
        center = self.model.in_center[k][place] - self.inputs.shift
        return own._replace(in_center=center, in_factor=self.model.in_factor[k][place])

    def arrays(self, own: Scaling, turn: int) -> list[np.ndarray]:
        """The arrays that are given, float64."""
        k = turn % len(self.model)
        there = self._of_model(k)
        here = {name: there[source] for source, name in self.taken}
        for part in self.entry:
            self._rescale(here, part, own, k)
        return [here[name] for _, name in self.taken]

    def _of_model(self, k: int) -> Arrays:
        model = self.model
        where = layout(model.network, model.encoder.shape, model.outputs)
        ends = np.cumsum([prod(shape) for shape in where.shapes])[:-1]
        parts = zip(where.names, where.shapes, np.split(model.weights[k].astype(float), ends), strict=True)
        return {name: part.reshape(shape) for name, shape, part in parts}

    def _rescale(self, arrays: Arrays, part: Part, own: Scaling, k: int) -> None:
        """Put the first layer in terms of the study's own features and scaling.

        With x = center + z / factor in both, W' = diag(f / f') W and b' = b + ((c' - c) f) W, by feature.
        """
        model, place = self.model, self.inputs.place
        weight, bias = (next(n for n in part.names if n.rpartition(".")[2] == end) for end in ("weight", "bias"))
        old_center, old_factor = model.in_center[k], model.in_factor[k]
        old = arrays[weight].reshape(-1, len(old_center), arrays[weight].shape[-1])  # [place, feature, out]
        known = place >= 0
        source = place[known]
        ratio = np.zeros(len(place))
        varies = own.in_factor > 0
        ratio[known & varies] = old_factor[place[known & varies]] / own.in_factor[known & varies]
        new = np.zeros((len(old), len(place), old.shape[2]))
        new[:, known] = old[:, source]
        level = np.where(np.isnan(self.inputs.absent), old_center, self.inputs.absent)
        level[source] = own.in_center[known] + self.inputs.shift[known]
        arrays[bias] = arrays[bias] + np.einsum("f,pfo->o", (level - old_center) * old_factor, old)
        shape = part.shapes[part.names.index(weight)]
        arrays[weight] = (new * ratio[:, None]).reshape(shape)


def beginning(static: Pretrained, candidate: Candidate, encoded: EncodedExamples) -> Beginning:
    """What the candidate begins with. static: its start with placeholders for traced numbers.

    `InputError` where the network does not begin with the model's layers, or the inputs are others.
    """
    model, network = static.model.ready(), candidate.network
    inputs = input_map(model.encoder, encoded.encoder)
    outputs = candidate.cost.shape(encoded.target_shape)
    there = structure(model.network, model.encoder.shape, model.outputs)
    here = structure(network, encoded.shape, outputs)
    found = match(there, here, (model.encoder.shape[-1], encoded.shape[-1]))
    layers = _layers(static, found, model, candidate)
    where = layout(network, encoded.shape, outputs)
    by_layer = {name: (source, k + 1) for k in range(layers) for source, name in found.pairs[k]}
    taken = tuple((by_layer[name][0], name) for name in where.names if name in by_layer)
    rates = _rates(static, where.names, {name: k for name, (_, k) in by_layer.items()})
    plan = GivenStart(tuple(name in by_layer for name in where.names), rates, static.unfreeze_after)
    return Beginning(plan, model, taken, inputs, found.entry)


def _layers(start: Pretrained, found: Match, model: Model, candidate: Candidate) -> int:
    """How many layers are taken."""
    wanted = found.layers if start.layers is None else start.layers
    if 0 < wanted <= found.layers:
        return wanted
    some = "no layer" if not found.layers else f"only {found.layers} of its layers"
    remedy = f", or layers={found.layers}" if found.layers else ""
    raise InputError(
        f"{candidate.network.label} begins with {some} of {model.network.label}: {found.difference}. Take a network"
        f" that begins with the same layers{remedy}."
    )


def _rates(start: Pretrained, names: Sequence[str], layers: dict[str, int]) -> tuple[ArrayRate, ...]:
    """How each array moves. layers: of those that are given, which layer they belong to."""
    if not isinstance(start.train, tuple):
        rests = start.train == FROZEN and start.unfreeze_after == 0
        return tuple(ArrayRate(0.0 if rests and name in layers else None) for name in names)
    for one in start.train:
        if not any(_means(one, name, k) for name, k in layers.items()):
            known = ", ".join(f"{k} ({name})" for name, k in layers.items())
            raise InputError(f"train names {one.name!r}, which is no layer that is taken. These are {known}.")
    rates = []
    for name in names:
        fitting = [one for one in start.train if name in layers and _means(one, name, layers[name])]
        longest = max(fitting, key=lambda one: len(one.name), default=None)
        rates.append(ArrayRate(None if longest is None else longest.factor))
    return tuple(rates)


def _means(rate: LayerRate, name: str, layer: int) -> bool:
    return rate.name == str(layer) or name == rate.name or name.startswith(rate.name + ".")
