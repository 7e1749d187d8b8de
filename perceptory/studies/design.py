"""What is asked of a study, as one frozen spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

from perceptory.augmentation.base import Augmentation, parts
from perceptory.catalog import FINALS, PRECISIONS, RULES, SAMPLINGS
from perceptory.errors import InputError, Setting
from perceptory.networks.base import Network
from perceptory.networks.kernel_ridge import KernelRidge
from perceptory.networks.linear import Linear
from perceptory.networks.mlp import MLP
from perceptory.networks.naive import Naive
from perceptory.networks.narx import NARX
from perceptory.networks.smoothing import Smoothing
from perceptory.networks.thresholds import ThresholdNetwork
from perceptory.networks.trend_season import TrendSeason
from perceptory.networks.windowed import Windowed
from perceptory.objectives.auxiliary import EXAMPLE as AUXILIARY_EXAMPLE
from perceptory.objectives.auxiliary import Auxiliary, auxiliary_parts
from perceptory.objectives.penalties import Penalty, WeightPenalty
from perceptory.objectives.regression import AbsoluteError
from perceptory.objectives.table import COSTS, Cost, SquaredError
from perceptory.optimizers.averaging import WeightAverage
from perceptory.optimizers.base import Optimizer
from perceptory.optimizers.clipping import Clip
from perceptory.optimizers.first_order import OPTIMIZERS, Adam
from perceptory.optimizers.second_order import LBFGS
from perceptory.selection import search
from perceptory.selection.base import ValidationPlan
from perceptory.selection.discarding import Discarding
from perceptory.selection.metrics import METRICS
from perceptory.selection.plans import Splitter
from perceptory.specs import Name, Search, Searchable, Spec, checked, combine, count, flag, held, partition, positive
from perceptory.studies import defaults
from perceptory.studies.pretrained import EXAMPLE, Pretrained
from perceptory.studies.pretraining import Pretraining, as_pretraining


def _share(name: Name, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise InputError(
            name, f" needs a share of at least 0 and below 1, got {value!r}. Example: ", Setting("test", 0.2)
        )


def _some(name: Name, value: Any) -> None:
    if value is not None:
        count(name, value)


@dataclass(frozen=True)
class Candidate(Spec):
    """One point of the search; its numbers are filled in once a study has expanded it."""

    network: Network
    cost: Cost
    optimizer: Optimizer
    penalty: Penalty | None = None
    batch_size: int | None = None
    clip: Clip | None = checked(None, neutral=None)
    average: WeightAverage | None = checked(None, neutral=None)
    augmentation: Augmentation | tuple[Augmentation, ...] | None = checked(None, neutral=None)
    start: Pretrained | Pretraining | None = checked(None, neutral=None)
    auxiliary: Auxiliary | tuple[Auxiliary, ...] | None = checked(None, neutral=None)

    def __post_init__(self) -> None:
        if not search.find(self.auxiliary):  # one way to write it, so that equal candidates are equal
            object.__setattr__(self, "auxiliary", auxiliary_parts(self.auxiliary) or None)
        super().__post_init__()


@dataclass(frozen=True)
class StudyDesign(Spec):
    """What a `Study` is asked: its fields, explained there, and what follows from them alone."""

    networks: Searchable[Network] | Sequence[Searchable[Network]] = (MLP((32, 32)),)
    cost: Searchable[Cost] | str | None = None
    optimizer: Searchable[Optimizer] | str = Adam(1e-2)
    penalty: Searchable[Penalty] | None = None
    validation: Any = None  # a `ValidationPlan`, or a splitter of scikit-learn, which becomes one
    seeds: int = checked(1, check=count)
    epochs: int = checked(300, check=count)
    patience: int = checked(30, check=lambda n, v: count(n, v, -1))
    batch_size: Searchable[int] | None = None
    samples: int | None = checked(None, check=_some)
    sampling: str = checked(defaults.SAMPLING, check=lambda _, v: SAMPLINGS[v])
    test: float = checked(defaults.TEST, check=_share)
    score: str | None = None
    rule: str = checked(defaults.RULE, check=lambda _, v: RULES[v])
    final: str = checked(defaults.FINAL, check=lambda _, v: FINALS[v])
    precision: str | None = checked(None, check=lambda _, v: v is None or PRECISIONS[v])
    memory: float = checked(defaults.MEMORY, check=positive)
    seed: int = checked(defaults.SEED, check=lambda n, v: count(n, v, 0, 2**63 - 1))
    clip: Searchable[Clip] | None = checked(None, neutral=None)
    average: Searchable[WeightAverage] | None = checked(None, neutral=None)
    augmentation: Searchable[Augmentation] | Sequence[Searchable[Augmentation]] | None = checked(None, neutral=None)
    start: Searchable[Pretrained | Pretraining] | None = checked(None, neutral=None)
    auxiliary: Searchable[Auxiliary] | Sequence[Searchable[Auxiliary]] | None = checked(None, neutral=None)
    discard: Discarding | None = checked(None, neutral=None)
    keep_heads: bool = checked(False, check=flag, neutral=False)
    keep_sealed: bool = checked(False, check=flag, neutral=False)
    pretraining: Any = checked(None, neutral=None)  # becomes `start`
    unlabeled: Any = held()  # examples without the study's target

    def __post_init__(self) -> None:
        networks: Any = self.networks
        if isinstance(networks, Network | Search):
            networks = (networks,)
        networks = tuple(networks) if isinstance(networks, list) else networks
        if not isinstance(networks, tuple) or not networks:
            raise InputError(f"networks needs at least one network, got {networks!r}. Example: networks=[MLP((32,))]")
        object.__setattr__(self, "networks", networks)
        for network in networks:
            _kind("networks", network, Network, "MLP((32, 32))")
        if isinstance(self.optimizer, str):
            object.__setattr__(self, "optimizer", OPTIMIZERS[self.optimizer]())
        if isinstance(self.cost, str):
            object.__setattr__(self, "cost", COSTS[self.cost]())
        _kind("optimizer", self.optimizer, Optimizer, "Adam(1e-2)")
        _kind("cost", self.cost, Cost, "SquaredError()", optional=True)
        _kind("penalty", self.penalty, Penalty, "WeightPenalty(1e-4)", optional=True)
        _kind("clip", self.clip, Clip, "ClipByNorm(1.0)", optional=True)
        _kind("discard", self.discard, Discarding, "Halving()", optional=True)
        search.forbid(self.discard, "discard")
        _kind("average", self.average, WeightAverage, "WeightAverage(0.9)", optional=True)
        for name in ("augmentation", "auxiliary"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
            if getattr(self, name) == ():
                object.__setattr__(self, name, None)
        for one in parts(self.augmentation):
            _kind("augmentation", one, Augmentation, "ImageAugmentation(shift=2)")
        if self.pretraining is not None:
            if self.start is not None:
                raise InputError("start and pretraining are two ways to begin. Give one: start=choice(..., ...).")
            object.__setattr__(self, "start", as_pretraining(self.pretraining))
            object.__setattr__(self, "pretraining", None)
        if not isinstance(self.start, Pretraining):
            _kind("start", self.start, Pretrained, EXAMPLE, optional=True)
        for one in auxiliary_parts(self.auxiliary):
            _kind("auxiliary", one, Auxiliary, AUXILIARY_EXAMPLE)
        for name in ("seeds", "epochs", "patience", "samples", "test", "memory", "seed", "validation", "score"):
            search.forbid(getattr(self, name), name)
        if self.score is not None:
            METRICS[self.score]  # raises for an unknown one
        if self.validation is not None and not isinstance(self.validation, ValidationPlan):
            object.__setattr__(self, "validation", Splitter(self.validation))  # a scikit-learn splitter, or an error
        if self.batch_size is not None and not isinstance(self.batch_size, Search):
            count("batch_size", self.batch_size)
        super().__post_init__()

    @property
    def arithmetic(self) -> str:
        """What it computes in, "single" or "double": its precision, or where that is None what its optimizers want."""
        return self.precision or ("double" if "double" in _wanted(self.optimizer) else "single")

    def with_precision(self) -> Self:
        """The study with its precision filled in."""
        return self.replace(precision=self.arithmetic)

    def candidates(self, cost: Cost) -> list[Candidate]:
        """Every candidate of the search, in a stable order; `cost` stands where the study names none."""
        names = ("optimizer", "penalty", "batch_size", "clip", "average", "augmentation", "start", "auxiliary")
        rest = {name: getattr(self, name) for name in names}
        template: Any = Candidate  # a template holds search values where a candidate holds plain ones
        networks = cast(tuple[Searchable[Network], ...], self.networks)
        templates = tuple(template(network, self.cost or cost, **rest) for network in networks)
        out: list[Candidate] = []
        for candidate in map(settled, expand_each(templates, self.samples, self.seed)):
            if candidate not in out:
                out.append(candidate)
        return out


def settled(candidate: Candidate) -> Candidate:
    """The candidate. A `Linear` model goes without what it does not need: it is solved under squared error, else taken
    down by L-BFGS; only where a line search cannot follow the cost, by the study's own optimizer. What is solved under
    any cost takes none of the study's training."""
    network, cost = candidate.network, candidate.cost
    if isinstance(network, Windowed) and isinstance(network.network, Linear) and cost.heads == 1:
        return Candidate(network, SquaredError(), Adam()) if network.solved else candidate  # by whatever others learn
    if isinstance(network, Windowed) and isinstance(network.network, Linear | Naive | Smoothing | TrendSeason):
        inner = settled(candidate.replace(network=network.network))
        return inner.replace(network=network.replace(network=inner.network))
    if isinstance(network, NARX) and network.solved:
        return Candidate(network, cost, Adam())
    if isinstance(network, KernelRidge | ThresholdNetwork):
        return Candidate(network, cost if cost.heads == 1 else SquaredError(), Adam())
    if isinstance(network, TrendSeason):
        return Candidate(network, SquaredError(), Adam())
    if isinstance(network, Naive | Smoothing):
        return Candidate(network, cost if cost.heads == 1 and not cost.context else AbsoluteError(), Adam())
    if not isinstance(network, Linear) or network.train != "least squares":
        return candidate
    if type(cost) is SquaredError:
        return Candidate(network, cost, Adam())
    descends = network.replace(train="descent")
    if cost.heads > 1 or not cost.has_true_gradient:
        return candidate.replace(network=descends)
    return Candidate(descends, cost, LBFGS(), WeightPenalty(network.ridge))


def _wanted(optimizer: Any) -> set[str]:
    """Precisions of the optimizers that a field of a study stands for, search values taken apart."""
    if isinstance(optimizer, Optimizer):
        return {optimizer.precision}
    return set().union(*(_wanted(one) for one in getattr(optimizer, "values", ())))


def _kind(name: str, value: Any, kind: type, example: str, *, optional: bool = False) -> None:
    if (optional and value is None) or isinstance(value, kind | Search):
        return
    raise InputError(f"{name} needs {_article(kind.__name__)}, got {value!r}. Example: {example}")


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"


def expand_each(templates: tuple[Candidate, ...], samples: int | None, seed: int) -> list[Candidate]:
    """Expand each network's template; a sample is shared out between the networks that have something to search."""
    searched = [t for t in templates if search.find(t)]
    out: list[Candidate] = []
    for template in templates:
        if template in searched:
            share = None if samples is None else max(1, -(-samples // len(searched)))
            new = search.expand(template, samples=share, seed=seed)
        else:
            new = [template]
        out += [c for c in new if c not in out]
    return out


def with_numbers(candidate: Candidate) -> Candidate:
    """The candidate as plain Python numbers (search values drawn by NumPy included)."""
    static, numbers = partition(candidate)
    return combine(static, tuple(float(n) for n in numbers))
