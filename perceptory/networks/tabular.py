"""The network for tables of numbers and categories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.catalog import ACTIVATIONS
from perceptory.errors import InputError
from perceptory.kernels.stack import KINDS, Stack, unit
from perceptory.later import later
from perceptory.layers.arrays import Layout, Shape
from perceptory.networks.for_tables import ForTables
from perceptory.networks.mlp import widths
from perceptory.registry import Registry
from perceptory.specs import below_one, checked, count, flag, is_on, not_negative, positive, traced

if TYPE_CHECKING:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from perceptory.layers import base, tabular
else:
    eqx, jax, jnp = later("equinox", "jax", "jax.numpy")
    base, tabular = later("perceptory.layers.base", "perceptory.layers.tabular")

INPUTS: Registry[str] = Registry(
    "scaling of columns",
    {
        "robust": "median 0, middle half of the rows 1 wide",
        "quantiles": "the place among the training rows",
        "standard": "mean 0, deviation 1",
    },
)
NUMBERS: Registry[str] = Registry(
    "embedding of numbers",
    {
        "periodic": "linear in cosines with learned frequencies",
        "piecewise": "linear in the shares of bins between quantiles",
        "none": "the number alone",
    },
)
STARTS: Registry[str] = Registry(
    "start", {"data": "units of deviation 1 that bend where rows are", "random": "weights alone, biases 0"}
)
EDGES = 32  # bins of inputs by quantiles
WIDE = 256.0  # inputs of a layer whose weights move by the learning rate itself
START_ROWS = 1024  # rows that a start from the data looks at
SPREAD = 0.2  # deviation of the predictions' own factors of features, at the start
SIMPLEX = 5  # rows whose mean, weighted at random, a unit bends at


def _activation(name: Any, value: Any) -> None:
    if not isinstance(value, str):
        raise InputError(name, f" needs the name of an activation, got {value!r}. Example: activation='mish'")
    if value not in KINDS:
        ACTIVATIONS[value]


@dataclass(frozen=True)
class TabularMLP(ForTables):
    """Feedforward network for a table's columns, with what numbers and categories need before the first layer.

    Columns of numbers are scaled by quantiles, clipped smoothly and embedded; categories are embedded or stand as
    columns of 0 and 1; every feature has a learned scale; then come hidden layers v = z + a (σ(z) - z) with z = v W + b
    and a learned a for each unit, and a linear output layer. After RealMLP (Holzmüller et al. 2024) and Gorishniy et
    al. 2022.

    hidden: widths of the hidden layers. activation: name of σ.
    dropout: probability that a hidden unit is dropped in training; 0 leaves dropout out of the program.
    dropout_falls: it goes down to 0 over the second half of training.
    parametric: learned a; otherwise v = σ(z).
    inputs: how columns of numbers are scaled, by the training rows: "robust", "quantiles" or "standard".
    clip: x / √(1 + (x / clip)²) after it; 0 for none.
    numbers: what stands beside each number x: "periodic", w - 1 numbers linear in cos(2π f x + φ); "piecewise", w - 1
        numbers linear in the shares of bins, between quantiles of the rows and of the distinct values; or "none".
    width: w. frequencies: how many f; sigma: the deviation that f starts with. bins: how many bins.
    categories: width of the vectors of categories, for columns of more than `one_hot` of them; 0 for none. A rare,
        unseen or missing category has the vector 0.
    feature_scale: how much faster than other numbers the scale of each feature is learned; 0 for no scale.
    scaled: steps of a layer of n inputs are multiplied by √(256 / n), as if its weights were W / √n and moved alike
        (Jacot et al. 2018); other arrays move as they do beside a layer of 256 inputs.
    start: "data": units start with deviation 1 over training rows and with a bias that puts their bend among them
        (Steinwart 2019); "random": the usual start.
    predictions: k. Above 1, so many predictions share all layers, each with factors of the features (`adapters`) and
        outputs of its own; what counts is the mean of their outputs, before the cost's link (TabM-mini, Gorishniy et
        al. 2025; after Wen et al. 2020). In training each row of a batch is seen by one of them, in turn, so that a
        step costs about what it costs for one; in use all see it.
    columns: of each input 0 for a number, -1 for a column of 0 and 1, n for the n-th column of categories; a study
        fills it in from the table. Without it all inputs are numbers.

    Values of NaN come as 0, the mean. Second-order optimizers train it too, without dropout; of several predictions
    they see the mean.
    """

    hidden: tuple[int, ...] = checked((128, 128, 128), check=widths)
    activation: str = checked("mish", check=_activation)
    dropout: float = traced(0.15, off=0.0, check=below_one)
    dropout_falls: bool = checked(True, check=flag)
    parametric: bool = checked(True, check=flag)
    inputs: str = checked("robust", check=lambda _, value: INPUTS[value])
    clip: float = traced(3.0, off=0.0, check=not_negative)
    numbers: str = checked("piecewise", check=lambda _, value: NUMBERS[value])
    width: int = checked(9, check=lambda name, value: count(name, value, 2))
    frequencies: int = checked(16, check=count)
    sigma: float = traced(0.1, check=positive, log=True)
    bins: int = checked(32, check=count)
    categories: int = checked(8, check=lambda name, value: count(name, value, 0))
    one_hot: int = checked(9, check=lambda name, value: count(name, value, 0))
    feature_scale: float = traced(6.0, off=0.0, check=not_negative)
    scaled: bool = checked(True, check=flag)
    start: str = checked("data", check=lambda _, value: STARTS[value])
    columns: tuple[int, ...] = ()
    predictions: int = checked(1, check=count, neutral=1)

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Any:
        places = self.places(prod(inputs))
        keys = jax.random.split(key, 5)
        numbers, flags, *groups = places
        embedding, width = self._embedding(len(numbers), keys[0])
        ends = np.cumsum([len(group) for group in groups])
        each = jax.random.normal(keys[1], (int(ends[-1]) if groups else 0, self.categories))
        vectors = tuple(jnp.split(each, ends[:-1].tolist())) if groups else ()
        features = len(numbers) * width + len(flags) + self.categories * len(groups)
        fans = list(pairwise((features, *self.hidden, self.predictions * prod(outputs))))
        layers = []
        for i, (fan_in, fan_out) in enumerate(fans):
            weight = jax.random.normal(jax.random.fold_in(keys[2], i), (fan_in, fan_out)) / fan_in**0.5
            bends = self.parametric and i + 1 < len(fans)
            layers.append(tabular.TabularDense(weight, jnp.zeros(fan_out), jnp.ones(fan_out) if bends else None))
        sigma, kernel = ACTIVATIONS[self.activation].function, unit(self.activation)
        rate = base.fixed_number(self.dropout) if is_on(self.dropout) else None
        edges = jnp.tile(jnp.linspace(-1, 1, EDGES + 1), (len(numbers), 1)) if self.inputs == "quantiles" else None
        return tabular.Tabular(
            self._scaling(len(numbers), edges), self._scaling(len(flags)), embedding, vectors,
            jnp.ones(sum(map(len, groups))) if groups else None,
            jnp.ones(features) if is_on(self.feature_scale) else None,
            1 + SPREAD * jax.random.normal(keys[3], (self.predictions, features)) if self.predictions > 1 else None,
            tabular.TabularStack(tuple(layers), rate, self.dropout_falls, sigma, kernel), places, outputs,
        )  # fmt: skip

    @property
    def kernels(self) -> tuple[str, ...]:
        return ("threefry", "columns", "dense")

    def columns_stack(self, inputs: int, outputs: int) -> Stack | None:
        kind = unit(self.activation)
        if kind is None or self.predictions > 1:
            return None
        widths = (self._features(inputs), *self.hidden, outputs)
        return Stack(widths, (kind,) * len(self.hidden), self.parametric)

    def arrays(self, inputs: int, outputs: int) -> dict[str, Shape]:
        numbers, flags, *groups = map(len, self.places(inputs))
        found: dict[str, Shape] = {}
        for name, columns in (("scaling", numbers), ("flags", flags)):
            if columns:
                found |= {f"{name}.center": (columns,), f"{name}.factor": (columns,)}
            if columns and name == "scaling" and self.inputs == "quantiles":
                found["scaling.edges"] = (columns, EDGES + 1)
        more, bins, waves = self.width - 1, self.bins, (numbers, self.frequencies)
        if numbers and self.numbers == "piecewise":
            found |= {"embedding.edges": (numbers, bins + 1), "embedding.weight": (numbers, bins, more)}
        elif numbers and self.numbers == "periodic":
            found |= {"embedding.frequency": waves, "embedding.phase": waves}
            found |= {"embedding.weight": (*waves, more), "embedding.bias": (numbers, more)}
        found |= {f"categories.{k}": (group, self.categories) for k, group in enumerate(groups)}
        if groups:
            found["seen"] = (sum(groups),)
        if is_on(self.feature_scale):
            found["scale"] = (self._features(inputs),)
        if self.predictions > 1:
            found["adapters"] = (self.predictions, self._features(inputs))
        for k, fans in enumerate(pairwise((self._features(inputs), *self.hidden, self.predictions * outputs))):
            found |= {f"stack.layers.{k}.weight": fans, f"stack.layers.{k}.bias": fans[1:]}
            if self.parametric and k < len(self.hidden):
                found[f"stack.layers.{k}.strength"] = fans[1:]
        return found

    def _features(self, inputs: int) -> int:
        """How many features a row has."""
        numbers, flags, *groups = map(len, self.places(inputs))
        width = 1 if self.numbers == "none" else self.width
        return numbers * width + flags + self.categories * len(groups)

    def _scaling(self, columns: int, edges: Any = None) -> tabular.ColumnScaling | None:
        return _unit(columns, edges, base.fixed_number(self.clip) if is_on(self.clip) else None)

    def _embedding(self, columns: int, key: jax.Array) -> tuple[Any, int]:
        """The embedding of numbers, and how many features a number becomes."""
        if self.numbers == "none" or not columns:
            return None, 1
        one, two, three, four = jax.random.split(key, 4)
        count = self.frequencies if self.numbers == "periodic" else self.bins
        more = self.width - 1
        weight = jax.random.uniform(one, (columns, count, more), minval=-1, maxval=1) / count**0.5
        if self.numbers == "piecewise":
            return tabular.Piecewise(jnp.tile(jnp.linspace(-1, 1, count + 1), (columns, 1)), weight), self.width
        frequency = self.sigma * jax.random.normal(two, (columns, count))
        phase = jax.random.uniform(three, (columns, count), minval=-jnp.pi, maxval=jnp.pi)
        bias = jax.random.uniform(four, (columns, more), minval=-1, maxval=1) / count**0.5
        return tabular.Periodic(frequency, phase, weight, bias), self.width

    def places(self, inputs: int) -> tuple[tuple[int, ...], ...]:
        """Places of the numbers, of the columns of 0 and 1, and of each column of categories that is embedded."""
        kinds = self.kinds(inputs)
        own = [tuple(i for i, kind in enumerate(kinds) if kind == n) for n in range(1, max(kinds) + 1)]
        embedded = [group for group in own if self.categories and len(group) > self.one_hot]
        apart = {i for group in embedded for i in group}
        flags = tuple(i for i, kind in enumerate(kinds) if kind and i not in apart)
        return (tuple(i for i, kind in enumerate(kinds) if not kind), flags, *embedded)

    # --- training ---------------------------------------------------------------------------------------------------

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        """Scaling, edges of bins and, where asked for, weights and biases from the training rows."""
        x, _, w = rows()
        numbers, flags, *groups = module.places
        if numbers:
            module = self._with_numbers(module, x[:, jnp.array(numbers)], w)
        if flags:
            own = _flag_scaling(module.flags, x[:, jnp.array(flags)], w)
            module = eqx.tree_at(lambda m: m.flags, module, own)
        if groups:
            seen = (w > 0).astype(x.dtype) @ x[:, jnp.array([p for group in groups for p in group])] > 0
            module = eqx.tree_at(lambda m: m.seen, module, seen.astype(module.seen.dtype))
        if self.start == "random":
            return module
        one, two, three = jax.random.split(key, 3)
        real = jnp.sum(w > 0)
        chosen = jax.random.uniform(one, (min(START_ROWS, len(x)),)) * real.astype(x.dtype)
        v = module.features(x[jnp.minimum(chosen.astype(jnp.int32), jnp.maximum(real - 1, 0))])
        shape = SIMPLEX, sum(len(layer.bias) for layer in module.stack.layers)
        places, shares = jax.random.randint(two, shape, 0, len(v)), jax.random.exponential(three, shape, v.dtype)
        return eqx.tree_at(lambda m: m.stack, module, module.stack.started(module.adapted(v), places, shares))

    def _with_numbers(self, module: Any, x: jax.Array, w: jax.Array) -> Any:
        scaling = module.scaling
        if self.inputs == "robust":
            low, first, middle, third, high = tabular.quantiles(x, w, np.array([0, 0.25, 0.5, 0.75, 1])).T
            spread = jnp.where(third > first, third - first, 0.5 * (high - low))
            factor = jnp.where(spread > 0, 1 / jnp.where(spread > 0, spread, 1), 0)
            scaling = eqx.tree_at(lambda s: (s.center, s.factor), scaling, (middle, factor))
        if self.inputs == "quantiles":
            scaling = eqx.tree_at(lambda s: s.edges, scaling, tabular.edges_of(x, w, EDGES))
        module = eqx.tree_at(lambda m: m.scaling, module, scaling)
        if isinstance(module.embedding, tabular.Piecewise):
            edges = tabular.edges_of(scaling(x, tabular.columns.there(x)), w, self.bins)
            module = eqx.tree_at(lambda m: m.embedding.edges, module, edges)
        return module

    def trains(self, name: str) -> bool:
        """Whether the optimizer moves the array of this path."""
        return name.rpartition(".")[2] not in tabular.STORED

    def paces(self, where: Layout) -> list[tuple[Any, Any]]:
        """For each array what its steps are multiplied by, and its weight decay, in terms of the usual ones."""
        slow, fast = (0.1 * WIDE**0.5, WIDE**0.5) if self.scaled else (1.0, 1.0)
        out: list[tuple[Any, Any]] = []
        for name, shape in zip(where.names, where.shapes, strict=True):
            last = name.rpartition(".")[2]
            if name.startswith("stack") and last == "weight":
                out.append(((WIDE / shape[0]) ** 0.5 if self.scaled else 1.0, 1.0))
            elif name.startswith("stack"):
                out.append((slow, 0.1 if last == "strength" else 0.0))
            elif name == "scale":
                out.append((self.feature_scale * fast, self.feature_scale))
            elif name.startswith("embedding"):
                out.append((slow, 0.1))
            elif name == "adapters":
                out.append((slow, 0.0))
            else:
                out.append((fast, 1.0))
        return out

    @property
    def stochastic(self) -> bool:
        """Always, since by the key it tells training from use."""
        return True

    @property
    def by_place(self) -> bool:
        return self.predictions > 1

    @property
    def label(self) -> str:
        parts = [
            *(["linear units"] if self.activation == "linear" else []),
            *([] if self.numbers == "piecewise" else [f"numbers {self.numbers}"]),
            *([] if self.inputs == "robust" else [f"inputs {self.inputs}"]),
            *([f"dropout {self.dropout:.3g}"] if is_on(self.dropout) else []),
            *([f"{self.predictions} predictions"] if self.predictions > 1 else []),
        ]
        return " ".join(["tabular", "-".join(map(str, self.hidden)), self.activation, *parts])

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        embedded = {"periodic": self.frequencies, "piecewise": self.bins, "none": 0}[self.numbers]
        return 2 * sum(self.hidden) * self.predictions + prod(inputs) * (embedded + self.width * self.predictions)


def _unit(columns: int, edges: Any, clip: Any) -> tabular.ColumnScaling | None:
    return tabular.ColumnScaling(jnp.zeros(columns), jnp.ones(columns), edges, clip) if columns else None


def _flag_scaling(scaling: tabular.ColumnScaling, x: jax.Array, w: jax.Array) -> tabular.ColumnScaling:
    """The robust scaling of columns of 0 and 1 [row, column]."""
    real = (w > 0).astype(x.dtype)
    share = real @ x / jnp.maximum(jnp.sum(real), 1)
    there = (share > 0) & (share < 1)
    middle = (share >= 0.25) & (share <= 0.75)
    center = (share > 0.5).astype(x.dtype)
    factor = jnp.where(there, jnp.where(middle, 1.0, 2.0), 0.0).astype(x.dtype)
    return eqx.tree_at(lambda s: (s.center, s.factor), scaling, (center, factor))
