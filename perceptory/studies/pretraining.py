"""What networks learn before a study's own targets: from inputs alone, or from the targets of other rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perceptory.augmentation.base import Augmentation, parts
from perceptory.errors import InputError
from perceptory.networks.autoencoder import Autoencoder
from perceptory.networks.base import Network
from perceptory.objectives.base import Cost
from perceptory.optimizers.first_order import Adam, FirstOrder
from perceptory.selection.search import Choice
from perceptory.specs import Search, Spec, below_one, checked, count, traced
from perceptory.studies.reuse import Reuse

EXAMPLE = "pretraining=Autoencoder(code=32)"


@dataclass(frozen=True)
class Masked(Spec):
    """Parts of an example are hidden, and the network learns to fill them in from the rest (Vincent et al. 2010; He et
    al. 2022): columns of a table, squares of an image, steps of a series. What is not hidden costs nothing.

    code: numbers that the candidate's layers lead to, and the decoder from. share: of the parts that are hidden. patch:
    pixels a side of the squares, or steps. decoder: a network from a code to an example; None mirrors the candidate's.
    """

    code: int = checked(32, check=count)
    share: float = traced(0.5, check=below_one)
    patch: int = checked(4, check=count)
    decoder: Network | None = None

    @property
    def label(self) -> str:
        return f"masked {self.share:.3g} to {self.code}"


@dataclass(frozen=True)
class Supervised(Spec):
    """The targets that the unlabeled rows bring after all: another task, such as other classes of images, that the
    candidate's network learns first. cost: None takes the one that suits that task."""

    cost: Cost | None = None

    @property
    def label(self) -> str:
        return "other targets"


def _optimizer(name: Any, value: Any) -> None:
    if not isinstance(value, FirstOrder):
        raise InputError(name, f" needs an optimizer of first order, got {value!r}. Example: Adam(1e-3)")


@dataclass(frozen=True)
class Pretraining(Reuse):
    """A candidate's own first layers learn another task before they learn the study's.

    task: `Autoencoder` or `Masked`, whose encoder is the candidate's network up to its output layer, or `Supervised`.
    epochs, optimizer, batch_size, augmentation: how the task is learned, for all epochs: nothing is validated on.
    layers, train, unfreeze_after: which layers are taken over and how they are trained further, see `Reuse`.

    For each fold and seed a network learns from the fold's training rows and the study's unlabeled rows, and from no
    other; inputs are scaled by these rows, before and after. So no validation row and no sealed row has a part in it.
    """

    task: Any
    epochs: int = checked(30, check=count)
    optimizer: FirstOrder = checked(Adam(1e-3), check=_optimizer)
    batch_size: int | None = checked(None, check=lambda n, v: None if v is None else count(n, v))
    augmentation: Augmentation | tuple[Augmentation, ...] | None = None

    def __post_init__(self) -> None:
        task = self.task
        if isinstance(self.augmentation, list):
            object.__setattr__(self, "augmentation", tuple(self.augmentation))
        if not isinstance(task, Autoencoder | Masked | Supervised | Search):
            raise InputError(
                f"pretraining needs an Autoencoder, Masked, or Supervised task, got {task!r}. Example: {EXAMPLE}"
            )
        if isinstance(task, Autoencoder) and task.encoder != Autoencoder().encoder:
            raise InputError(
                "the encoder of a pre-training is the candidate's own network, and another was given. Leave encoder"
                f" out: {EXAMPLE}"
            )
        for one in parts(self.augmentation):
            if not isinstance(one, Augmentation | Search):
                raise InputError(f"augmentation needs an Augmentation, got {one!r}. Leave it out.")
        super().__post_init__()

    @property
    def label(self) -> str:
        """A few words for the name of a candidate."""
        task = self.task
        what = f"autoencoder to {task.code}" if isinstance(task, Autoencoder) else task.label
        return f"pre-trained ({what}, {self.epochs} epochs) {super().label}"


def as_pretraining(value: Any) -> Any:
    """A task by itself, or each task of a choice, as a `Pretraining`; None stays."""
    if isinstance(value, Choice):
        return Choice(tuple(as_pretraining(one) for one in value.values))
    return value if value is None or isinstance(value, Pretraining | Search) else Pretraining(value)
