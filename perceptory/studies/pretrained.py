"""What a candidate begins with: the early layers of a network that has learned something else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.models.model import Model
from perceptory.models.model_file import load
from perceptory.specs import Search, Spec, held, remark, to_json
from perceptory.studies.reuse import Reuse

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
    about = [to_json(model.network, strict=False), model.encoder.to_json()]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for array in (model.weights, model.in_center, model.in_factor):
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Pretrained(Reuse):
    """A candidate's first layers are those of a network that was trained before; its other layers are new.

    model: a `Model`, a `Result`, or the path of a run folder or model file. A study keeps its digest, not its weights.
    layers, train, unfreeze_after: which of its layers, None for all that fit up to its output layer or, of an
        autoencoder, all of the encoder; and how they are trained further, see `Reuse`. The output layer of the study's
        own network is always new.

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

    def __post_init__(self) -> None:
        if not isinstance(self.model, Search):
            object.__setattr__(self, "model", KnownModel.of(self.model))
        super().__post_init__()

    @property
    def label(self) -> str:
        """A few words for the name of a candidate."""
        return f"from {self.model.label} {super().label}"
