"""Search values stand where a plain value stands in a spec; `expand` replaces them and so makes the candidates."""

from __future__ import annotations

import dataclasses
import itertools
import math
import numbers
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.specs import Search, Spec, count

SAMPLES = 20  # candidates drawn where a search is no grid and no number of samples is given
LARGEST_GRID = 100_000  # points; more than that is taken for a mistake
TRIES = 1000  # draws in a row that find nothing new before a sample counts as exhausted


@dataclass(frozen=True, repr=False)
class Choice(Spec, Search):
    """One of the given values. A value may be a whole spec, and may hold search values itself."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if isinstance(self.values, Search):
            raise InputError(f"choice needs a list of values, got {self.values!r}. Example: choice(16, 32)")
        values = tuple(_plain(value) for value in self.values)
        if not values:
            raise InputError("choice needs at least one value, got none. Example: choice(16, 32)")
        object.__setattr__(self, "values", values)

    def __repr__(self) -> str:
        return f"choice({', '.join(map(repr, self.values))})"


@dataclass(frozen=True, repr=False)
class _Range(Spec, Search):
    low: float
    high: float

    @property
    def _name(self) -> str:
        return {"Uniform": "uniform", "LogUniform": "log_uniform", "Integers": "integers"}[type(self).__name__]

    def __post_init__(self) -> None:
        low, high = (_number(f"{self._name}'s {n}", getattr(self, n), self._whole()) for n in ("low", "high"))
        if low >= high:
            raise InputError(f"{self._name} needs low below high, got {self!r}. Example: {self._example()}")
        if not math.isfinite(float(high) - float(low)):
            raise InputError(f"{self._name} needs a range that a float can hold, got {self!r}.")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def _whole(self) -> bool:
        return False

    def _example(self) -> str:
        return f"{self._name}(0.1, 0.5)"

    def draw(self, random: np.random.Generator) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{self._name}({self.low!r}, {self.high!r})"


@dataclass(frozen=True, repr=False)
class Uniform(_Range):
    """A number between low and high, all alike."""

    def draw(self, random: np.random.Generator) -> float:
        return float(random.uniform(self.low, self.high))


@dataclass(frozen=True, repr=False)
class LogUniform(_Range):
    """A number between low and high whose logarithm is uniform: for rates and strengths that span decades."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low <= 0:
            raise InputError(f"log_uniform needs low above 0, got {self!r}. Example: log_uniform(1e-4, 1e-1)")

    def draw(self, random: np.random.Generator) -> float:
        value = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        return float(min(max(value, self.low), self.high))  # exp(log(x)) may step over an end by one rounding


@dataclass(frozen=True, repr=False)
class Integers(_Range):
    """A whole number from low to high, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if max(abs(self.low), abs(self.high)) >= 2**63:
            raise InputError(f"integers needs numbers of 64 bits, got {self!r}.")

    def _whole(self) -> bool:
        return True

    def _example(self) -> str:
        return "integers(4, 64)"

    def draw(self, random: np.random.Generator) -> int:
        return int(random.integers(self.low, self.high, endpoint=True))


def choice(*values: Any) -> Any:
    """Search over the given values: `choice(16, 32)`, `choice(Adam(), SGD())`, `choice((16,), (32, 32))`.

    `InputError` where none is given or where one list stands for all of them.
    """
    if len(values) == 1 and not isinstance(values[0], (str, tuple)) and isinstance(values[0], Iterable):
        kind = type(values[0]).__name__
        raise InputError(f"choice takes its values one by one, got one {kind}. Example: choice(*values)")
    return Choice(values)


def uniform(low: float, high: float) -> Any:
    """Search over the numbers between low and high."""
    return Uniform(low, high)


def log_uniform(low: float, high: float) -> Any:
    """Search over the positive numbers between low and high, uniform in the logarithm."""
    return LogUniform(low, high)


def integers(low: int, high: int) -> Any:
    """Search over the whole numbers from low to high, both included."""
    return Integers(low, high)


def _number(name: str, value: Any, whole: bool) -> Any:
    fits = isinstance(value, numbers.Integral if whole else numbers.Real)
    if isinstance(value, bool) or not fits or not math.isfinite(value):
        raise InputError(f"{name} needs a {'whole' if whole else 'finite'} number, got {value!r}.")
    return int(value) if whole else float(value)


def _plain(value: Any) -> Any:
    """Lists become tuples and NumPy scalars numbers, so that a choice can be compared and written to a file."""
    if isinstance(value, (list, tuple)) and not hasattr(value, "_make"):
        return tuple(_plain(v) for v in value)
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, Hashable) or isinstance(value, np.ndarray):
        raise InputError(f"choice needs numbers, words, tuples or specs, got a {type(value).__name__}.")
    return value


# --- walking -----------------------------------------------------------------------------------------------------


def children(value: Any) -> list[tuple[str, Any]]:
    """The parts that a value is made of, with what their paths add; [] for a leaf."""
    if isinstance(value, Spec):
        return [(f".{name}", getattr(value, name)) for name in _names(value)]
    if isinstance(value, (tuple, list)):
        return [(f"[{i}]", v) for i, v in enumerate(value)]
    if isinstance(value, dict):
        return [(f"[{k!r}]", v) for k, v in value.items()]
    return []


def _names(spec: Spec) -> list[str]:
    """Its fields that tell it from another one."""
    return [f.name for f in dataclasses.fields(spec) if f.init and f.compare]


def rebuild(value: Any, parts: list[Any]) -> Any:
    """The same kind of value with other parts. A spec runs its checks again."""
    if isinstance(value, Spec):
        return dataclasses.replace(value, **dict(zip(_names(value), parts, strict=True)))
    if isinstance(value, dict):
        return dict(zip(value, parts, strict=True))
    if hasattr(value, "_make"):  # a NamedTuple, such as an Optax transformation, stays one
        return value._make(parts)
    return type(value)(parts)


def find(template: Any) -> list[tuple[str, Search]]:
    """Every search value in a template with its path, such as ("[1].hidden[0]", choice(16, 32)), depth first.

    Those inside a choice follow it: ("optimizer", choice(Adam(...), SGD())), ("optimizer.values[0].rate", ...).
    """
    searches: list[tuple[str, Search]] = []

    def walk(path: str, value: Any) -> None:
        if isinstance(value, Search):
            searches.append((path.lstrip("."), value))
        for step, part in children(value):
            walk(path + step, part)

    walk("", template)
    return searches


def forbid(value: Any, name: str) -> None:
    """Raise `InputError` where `value` is or holds a search value; `name` is what the user calls it."""
    for path, search in find(value):
        where = f"{name}{'' if not path or path.startswith('[') else '.'}{path}"
        raise InputError(
            f"{where} needs one plain value, got the search value {search!r}. "
            "Search values stand in networks, costs, penalties, optimizers, clip, average, augmentation and auxiliary "
            "only."
        )


# --- expanding ---------------------------------------------------------------------------------------------------


def _size(value: Any) -> int:
    """Number of grid points, with repetitions."""
    if isinstance(value, Choice):
        return sum(_size(v) for v in value.values)
    return math.prod(_size(part) for _, part in children(value))


def _point(value: Any, index: int) -> Any:
    """Grid point at `index`: the last search value varies fastest, each choice in the order of its values."""
    if isinstance(value, Choice):
        for v in value.values:
            if index < _size(v):
                return _point(v, index)
            index -= _size(v)
    if not find(value):
        return value  # untouched, so that what a user passed in stays the very same object
    parts: list[Any] = []
    for _, part in reversed(children(value)):
        index, at = divmod(index, _size(part))
        parts.append(_point(part, at))
    return rebuild(value, parts[::-1])


def _draw(value: Any, random: np.random.Generator) -> Any:
    if isinstance(value, Choice):
        return _draw(value.values[int(random.integers(len(value.values)))], random)
    if isinstance(value, _Range):
        return value.draw(random)
    if not find(value):
        return value
    return rebuild(value, [_draw(part, random) for _, part in children(value)])


def _same(value: Any) -> Any:
    """What two equal candidates have in common. True and 1 are equal in Python and differ here; 1 and 1.0 do not."""
    if isinstance(value, (Spec, tuple, list, dict)):
        return (type(value), tuple((step, _same(part)) for step, part in children(value)))
    return (bool, value) if isinstance(value, bool) else value


def expand(template: Any, samples: int | None = None, seed: int = 0) -> list[Any]:
    """Replace the search values of a template (a spec, or a tuple, list or dict of specs); return the candidates.

    All are choices and `samples` is None: the whole grid, the leftmost search value varying slowest. All are choices
    and `samples` is given: that many points of the grid, drawn without replacement (the whole grid in its own order
    where it is no larger). Otherwise `samples` (20) independent draws; each choice takes its values with equal
    probability. No candidate comes twice, so a sample is shorter where no more distinct ones exist. A sample depends
    on `seed` alone, and a longer one begins with the shorter one. A value that its spec refuses raises `InputError`.
    """
    count("seed", seed, least=0, most=2**63 - 1)
    if samples is not None:
        count("samples", samples)
    random = np.random.default_rng(seed)
    if all(isinstance(search, Choice) for _, search in find(template)):
        return _grid(template, samples, random)
    draws = (_draw(template, random) for _ in itertools.repeat(None))
    return list(itertools.islice(_distinct(draws, TRIES), SAMPLES if samples is None else samples))


def _grid(template: Any, samples: int | None, random: np.random.Generator) -> list[Any]:
    size = _size(template)
    if size <= LARGEST_GRID:
        points = list(_distinct(_point(template, i) for i in range(size)))
        if samples is None or samples >= len(points):
            return points
        return [points[i] for i in random.permutation(len(points))[:samples]]
    if samples is None:
        raise InputError(
            f"the search has {size} candidates, more than the {LARGEST_GRID} that a grid may have. "
            f"Ask for a sample, such as samples=50, or give fewer values."
        )
    anywhere = (int.from_bytes(random.bytes(64), "little") % size for _ in itertools.repeat(None))
    return list(itertools.islice(_distinct((_point(template, i) for i in anywhere), TRIES), samples))


def _distinct(candidates: Iterable[Any], tries: int | None = None) -> Iterator[Any]:
    """Each candidate once, as it comes, until there are no more or `tries` in a row were known already."""
    known: set[Any] = set()
    misses = 0
    for candidate in candidates:
        key = _same(candidate)
        if key not in known:
            known.add(key)
            misses = 0
            yield candidate
        elif (misses := misses + 1) == tries:
            return
