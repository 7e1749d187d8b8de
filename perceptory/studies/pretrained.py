"""What a candidate begins with: the early layers of a network that has learned something else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.models.model import Model
from perceptory.models.model_file import load
from perceptory.specs import Search, Spec, below_one, checked, count, held, is_on, not_negative, remark, to_json, traced

TUNED, FROZEN = "tuned", "frozen"
EXAMPLE = 'Pretrained("digits-run", layers=2)'


@dataclass(frozen=True)
class KnownModel(Spec):
    """A model by the digest of its weights, so that a study that names it stays small and can be compared.

    digest: of the network, its inputs and its weights. place: the file it was read from, "" for one in memory. model:
    itself, where it is in hand.
    """

    digest: str
    place: str = remark("")
    model: Any = held()

    @classmethod
    def of(cls, source: Any) -> KnownModel:
        """From a `Model`, a `Result`, or the path of a run folder or model file."""
        if isinstance(source, KnownModel):
            return source
        if isinstance(source, str | Path):
            read = load(source)
            return cls(digest_of(read), str(Path(source).resolve()), read)
        if isinstance(source, Model):
            return cls(digest_of(source), "", source)
        folder: Any = getattr(source, "folder", None)  # of a `Result`
        model: Any = getattr(source, "model", None)
        if isinstance(model, Model):
            return cls(digest_of(model), "" if folder is None else str(Path(folder).resolve()), model)
        if isinstance(folder, str):
            return cls.of(folder)
        raise InputError(
            f"Pretrained needs a model, a result or the path of one of them, got {source!r}. Example: {EXAMPLE}"
        )

    def ready(self) -> Model:
        """The model, from its place where it is not in hand; `InputError` where it is gone or another one by now."""
        if self.model is not None:
            return self.model  # type: ignore[no-any-return]
        if not self.place:
            raise InputError(
                f"the layers to begin with are those of the model {self.digest[:12]}, which was in memory and in no"
                f" file. Give it again: {EXAMPLE}"
            )
        model = load(self.place)
        if digest_of(model) != self.digest:
            raise InputError(
                f"{self.place} holds another model than the one that was to be begun with. Give that one's new place,"
                " or start a new study."
            )
        return model

    @property
    def label(self) -> str:
        """A few words: the name of its folder or file, or its digest."""
        return Path(self.place).name if self.place else self.digest[:8]


def digest_of(model: Model) -> str:
    """Of everything that its layers compute: network, inputs, scaling and weights."""
    about = [to_json(model.network, strict=False), list(model.encoder.feature_names), list(model.encoder.shape)]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for array in (model.weights, model.in_center, model.in_factor):
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class LayerRate(Spec):
    """factor: what the steps of one layer are multiplied by; `name` is its number, from "1" on, or the path of its
    arrays or the beginning of one, such as "layers.0"."""

    name: str
    factor: float = traced(1.0, off=0.0, check=not_negative, log=True)


def _layers(name: Any, value: Any) -> None:
    if value is not None:
        count(name, value)


@dataclass(frozen=True)
class Pretrained(Spec):
    """A candidate's first layers are those of a network that was trained before; its other layers are new.

    model: a `Model`, a `Result`, or the path of a run folder or model file. A study keeps its digest, not its weights.
    layers: how many of them, counted from the inputs; None takes all that fit, up to the output layer of the model, or
        the encoder of an autoencoder. The output layer of the study's own network is always new.
    train: "tuned", they are trained like the others; "frozen", they stay as they are; or a factor of the learning rate
        by layer, {1: 0.1, 2: 0.5} or {"layers.0": 0.1}, others as usual.
    unfreeze_after: until this share of the epochs is done they rest, whatever `train` says of later; "frozen" layers
        are tuned then. Patience does not count before. 0 is no such phase.

    The first layer is put in terms of each fold's own scaling, so that it gives what it gave; where that is not
    possible (convolutions with padding), the inputs of such a member are scaled as the model's were. Columns of tables
    are found by name; a category that the model has not met begins with weights of 0. Where the model is an ensemble,
    its networks take turns over folds and seeds.

    The model must not have been trained on rows of this study: it would have seen the validation rows. For layers that
    are learned within a study see `Study(pretraining=...)`.

    `InputError` where the network does not begin with the same layers (which, and of what shapes), and where a table
    has other columns.
    """

    model: Any
    layers: int | None = checked(None, check=_layers)
    train: Any = TUNED
    unfreeze_after: float = traced(0.0, off=0.0, check=below_one)

    def __post_init__(self) -> None:
        if not isinstance(self.model, Search):
            object.__setattr__(self, "model", KnownModel.of(self.model))
        train = self.train
        if isinstance(train, Mapping):
            train = tuple(LayerRate(str(name), factor) for name, factor in train.items())
            object.__setattr__(self, "train", train)
        rates = isinstance(train, tuple) and train and all(isinstance(one, LayerRate | Search) for one in train)
        if not rates and not isinstance(train, Search) and train not in (TUNED, FROZEN):
            raise InputError(
                f"train needs 'tuned', 'frozen', or a factor of the rate by layer, got {train!r}. Example: train={{1:"
                " 0.1}"
            )
        super().__post_init__()

    @property
    def label(self) -> str:
        """A few words for the name of a candidate."""
        if isinstance(self.train, tuple):
            how = ", ".join(f"{one.name} x {one.factor:.3g}" for one in self.train)
        else:
            how = self.train
        some = "" if self.layers is None else f" {self.layers} layer{'' if self.layers == 1 else 's'}"
        until = f" until {self.unfreeze_after:.3g}" if is_on(self.unfreeze_after) else ""
        rest = "frozen" if until and how == TUNED else how
        return f"from {self.model.label}{some} {rest}{until}"
