"""A member's rows: from the study's data on the device to scaled batches, with weight 0 for padding.

There are two kinds with the same methods, and `rows_of` is the only place that asks which. Rows of a table are scaled
once a segment into a table of the member's own (`TableRows`), so that a step only gathers. Examples with more axes,
such as images and sequences, stand once on the device for all members as they were given, and are gathered and scaled
batch by batch (`SharedRows`): a copy for each member would not fit.

What names a row is called its entry: of a table the scaled row itself, of shared examples their place in the data. So
entries [row, ...] can be cut into pieces and batches without asking which kind they are of.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer

from perceptory.kernels import dense
from perceptory.layers.base import call
from perceptory.training.plan import Member, ProgramPlan

WIDE = 64  # inputs from which on they are gathered apart from the targets, so that no wide row is copied twice
GATHERED = 1 << 20  # numbers of a table that are gathered and scaled at a time: they take several times their room
FAR = 1 << 16  # numbers of a table that no longer lie close enough to be gathered by XLA as fast as by a kernel
LARGE = 1 << 22  # numbers of a table from which on its rows are copied nowhere as a whole


class RolledRows(eqx.Module):
    """Examples that are windows of rows, cut in the program: values [row, channel], starts [n] int32 the first row of
    each, steps: of each."""

    values: Any
    starts: Any
    steps: int = eqx.field(static=True)

    def cut(self, places: Array) -> Array:
        """[place, steps, channel]"""
        first, width = self.starts.at[places].get(mode="promise_in_bounds"), self.values.shape[1]

        def window(start: Array) -> Array:
            return jax.lax.dynamic_slice(self.values, (start, jnp.zeros_like(start)), (self.steps, width))

        return jax.vmap(window)(first)


class AheadRows(eqx.Module):
    """Targets [n, horizon · target] that stand in rows after windows, gathered in the program.

    windows: of the targets' rows, from the first horizon to the last. picked: which steps of them are horizons.
    """

    windows: RolledRows
    picked: tuple[int, ...] = eqx.field(static=True)

    def cut(self, places: Array) -> Array:
        """[place, horizon · target]"""
        rows = self.windows.cut(places)
        if self.picked != tuple(range(rows.shape[1])):
            rows = rows[:, np.array(self.picked)]
        return rows.reshape(len(rows), -1)


class Shared(NamedTuple):
    """A study's examples of any shape, on the device once for all members.

    What a rest adds is what rounding to the study's precision took away.
    """

    x: Any  # [n, *inputs], of the given type (bytes stay bytes); or `RolledRows`
    x_rest: Any  # the same shape, or None where nothing was lost
    t: Any  # [n, target] or [n, time, target]; or `AheadRows`
    t_rest: Any
    w: Any  # [n], or [n, time] where steps count apart
    lengths: Any  # [n] int32: steps from there on are padding; None where there are none


class Batch(NamedTuple):
    """Scaled examples; a missing input is the training mean, 0."""

    x: Float[Array, batch * inputs]
    t: Any  # [batch, target] or [batch, time, target]; NaN where an auxiliary target is missing
    w: Any  # [batch] or [batch, time], the cost's class weights included
    lengths: Integer[Array, " batch"] | None


def rows_of(member: Member, data: Any, plan: ProgramPlan) -> Rows:
    """data: of a table as `EncodedExamples.raw` tells, of a stream [row, in + target + 1] (see `training.streamed`), of
    other examples `Shared`."""
    return (SharedRows if isinstance(data, Shared) else TableRows).of(member, data, plan)


def row_axes(data: Any, plan: ProgramPlan) -> Any:
    """Along which axis of `Rows` members lie: 0, and None for what is one for all."""
    if not isinstance(data, Shared):
        return 0
    own = ("training", "validation", "weight", "count", "center", "factor", "validation_count", "balance", "shown")
    return tree_of_axes(SharedRows, plan, data=None, **dict.fromkeys(own, 0))


def tree_of_axes(kind: type, plan: ProgramPlan, **axes: Any) -> Any:
    """A tree with an axis, or None, in place of every field of such a module; made past its constructor, which would
    look for arrays."""
    tree: Any = object.__new__(kind)
    for name, axis in {"plan": plan, **axes}.items():
        object.__setattr__(tree, name, axis)
    return tree


class Rows(eqx.Module):
    """A member's training and validation rows. Methods of training rows give padding the weight 0."""

    plan: ProgramPlan = eqx.field(static=True)
    training: Array  # [batches · batch, ...] entries; from `count` on padding, so that every place of an order is there
    validation: Array  # [at least validation_rows, ...] entries; what is beyond is never read
    weight: Float[Array, " rows"]  # [batches · batch] of each training row; the sum over its steps
    count: Int[Array, ""]  # how many training rows are no padding
    center: Float[Array, "2 columns"]  # of inputs and targets, rounded, and what that rounds off
    factor: Float[Array, " columns"]  # scaled = (given - center) · factor

    # --- what the two kinds do in their own way ----------------------------------------------------------------------

    @abstractmethod
    def read(self, entries: Array) -> Batch:
        """The scaled examples of these entries, weighted as if none were padding."""

    @abstractmethod
    def examples(self, entries: Array, places: Integer[Array, " batch"]) -> Batch:
        """Training examples of these entries, which stand at `places` among the training rows."""

    @abstractmethod
    def batch(self, places: Integer[Array, " batch"], by_kernel: bool = False) -> Batch:
        """The training examples at these places of an epoch's order; by_kernel: by that of layers of neurons, whose
        library is there."""

    @abstractmethod
    def validation_truth(self) -> tuple[Array, Array]:
        """(targets, weights) of the validation rows."""

    @property
    @abstractmethod
    def steps_weighted(self) -> bool:
        """Whether each time step of an example has a weight of its own."""

    @abstractmethod
    def counted(self, steps: int) -> Int[Array, ""]:
        """How many outputs of the training rows have a weight above 0, where each row has this many."""

    # --- what follows from that --------------------------------------------------------------------------------------

    def first(self, most: int | None = None) -> Batch:
        """All training examples, or the first `most` of them, at once."""
        entries = self.training_entries[:most]
        return self.examples(entries, jnp.arange(len(entries)))

    @property
    def training_entries(self) -> Array:
        """[rows, ...] entries of the training rows, without what only fills the last batch."""
        return self.training[: self.plan.rows]

    @property
    def shown_entries(self) -> Array:
        """[..., ...] entries of the training rows whose outputs are given back."""
        return self.training_entries

    @property
    def validation_entries(self) -> Array:
        """[validation_rows, ...] entries of the validation rows."""
        return self.validation[: self.plan.validation_rows]

    def of_all(self, function: Callable[[Batch], Array]) -> Array:
        """[rows + validation_rows, ...] of function(batch) [row, ...], of a plan with `shown` rows of these in place of
        all training rows. The rows of large tables are not put together for it."""
        if self.plan.shown:
            return self.mapped(function, jnp.concatenate([self.shown_entries, self.validation_entries]))
        if self.training.size + self.validation.size > LARGE and self.plan.rows > self.plan.piece:
            return jnp.concatenate([self.of_training(function), self.of_validation(function)])
        return self.mapped(function, jnp.concatenate([self.training_entries, self.validation_entries]))

    def of_training(self, function: Callable[[Batch], Array]) -> Array:
        """[rows, ...] of function(batch) [row, ...]."""
        return self.mapped(function, self.training, self.plan.rows)

    def of_validation(self, function: Callable[[Batch], Array]) -> Array:
        """[validation_rows, ...] of function(batch) [row, ...]."""
        return self.mapped(function, self.validation, self.plan.validation_rows)

    def mapped(self, function: Callable[[Batch], Array], entries: Array, count: int | None = None) -> Array:
        """[row, ...] of function(batch) [row, ...], `ProgramPlan.piece` examples of these entries at a time; of the
        first `count` of them."""
        count = len(entries) if count is None else count
        if count <= self.plan.piece:
            return function(self.read(entries[:count]))
        pieces, each = in_pieces(count, self.plan.piece)
        # Large tables have room beyond their rows, and are not copied for it.
        entries = pad_rows_to(entries, pieces * each) if len(entries) < pieces * each else entries

        def piece(start: Array) -> Array:
            return function(self.read(jax.lax.dynamic_slice_in_dim(entries, start, each)))

        out = jax.lax.map(piece, each * jnp.arange(pieces, dtype=jnp.int32))
        return out.reshape(pieces * each, *out.shape[2:])[:count]

    @property
    def zero(self) -> Float[Array, " in"]:
        """What an input of 0 in the data is on the scale of training."""
        inputs = self.plan.inputs[-1]
        return -jnp.sum(self.center, axis=0)[:inputs] * self.factor[:inputs]


class TableRows(Rows):
    """Entries are scaled rows: inputs, targets, weight [in + target + 1]."""

    @classmethod
    def of(cls, member: Member, raw: Array, plan: ProgramPlan) -> TableRows:
        length = plan.batches * plan.batch
        table = _scaled_at(member, raw, member.rows, member.count, plan, length)
        validation = _scaled_at(member, raw, member.validation, member.validation_count, plan, plan.validation_rows)
        return cls(plan, table, validation, table[:length, -1], member.count, member.center, member.factor)

    def read(self, entries: Array) -> Batch:
        inputs = self.plan.inputs[-1]
        return Batch(entries[..., :inputs], entries[..., inputs:-1], entries[..., -1], None)

    def examples(self, entries: Array, places: Array) -> Batch:
        return self.read(entries)  # padding has the weight 0 already

    def batch(self, places: Array, by_kernel: bool = False) -> Batch:
        inputs, width = self.plan.inputs[-1], self.training.shape[1]
        if by_kernel and self.training.size > FAR:
            x, rest = dense.rows(self.training, places, inputs)
            return Batch(x, rest[:, :-1], rest[:, -1], None)
        if inputs < WIDE:
            return self.read(_take(self.training, places))
        x = _columns(self.training, places, 0, inputs)
        rest = _columns(self.training, places, inputs, width - inputs)
        return Batch(x, rest[:, :-1], rest[:, -1], None)

    def validation_truth(self) -> tuple[Array, Array]:
        batch = self.read(self.validation_entries)
        return batch.t, batch.w

    @property
    def steps_weighted(self) -> bool:
        return False

    def counted(self, steps: int) -> Array:
        return jnp.sum(self.weight[: self.plan.rows] > 0) * steps


class SharedRows(Rows):
    """Entries are places in the data [...] int32."""

    data: Shared
    validation_count: Int[Array, ""]
    balance: Any  # `Member.balance`
    shown: Any  # `Member.shown`

    @classmethod
    def of(cls, member: Member, data: Shared, plan: ProgramPlan) -> SharedRows:
        length = plan.batches * plan.batch
        targets = partial(_targets, data, member.rows, member.center, member.factor, plan)
        w = _weighed(data.w[member.rows], targets, member.balance, plan)
        w = w if w.ndim == 1 else jnp.sum(w, axis=1)
        return cls(
            plan,
            pad_rows_to(member.rows, length),
            member.validation,
            pad_rows_to(w * (jnp.arange(plan.rows) < member.count), length),
            member.count,
            member.center,
            member.factor,
            data,
            member.validation_count,
            member.balance,
            member.shown,
        )

    @property
    def shown_entries(self) -> Array:
        return jnp.maximum(self.shown, 0) if self.plan.shown else self.training_entries

    def read(self, entries: Array) -> Batch:
        inputs = self.plan.inputs[-1]
        center, factor = self.center[:, :inputs], self.factor[:inputs]
        given, rest = _take(self.data.x, entries), _take(self.data.x_rest, entries)
        x = _filled(_scaled(given, rest, center, factor))
        if self.plan.network.windows is None:
            t = _targets(self.data, entries, self.center, self.factor, self.plan)
        else:
            aims = _take(self.data.t, entries), _take(self.data.t_rest, entries)
            x, t = self.plan.network.windows.seen(given, rest, *aims, x, factor, self.plan.cost)
        w = _weighed(_take(self.data.w, entries), lambda: t, self.balance, self.plan)
        return Batch(x, t, w, _take(self.data.lengths, entries))

    def examples(self, entries: Array, places: Array) -> Batch:
        return _where_real(self.read(entries), places < self.count)

    def batch(self, places: Array, by_kernel: bool = False) -> Batch:
        return self.examples(_take(self.training, places), places)

    def validation_truth(self) -> tuple[Array, Array]:
        real = jnp.arange(self.plan.validation_rows) < self.validation_count
        batch = _where_real(self.read(self.validation), real)
        return batch.t, batch.w

    @property
    def steps_weighted(self) -> bool:
        return self.data.w.ndim == 2

    def counted(self, steps: int) -> Array:
        if not self.steps_weighted:
            return jnp.sum(self.weight[: self.plan.rows] > 0) * steps
        real = jnp.arange(self.plan.rows) < self.count
        return jnp.sum((self.data.w[self.training_entries] > 0) & real[:, None])


def in_pieces(count: int, most: int) -> tuple[int, int]:
    """(pieces, rows of each) of so many rows, at most `most` at a time."""
    pieces = -(-count // most)
    return pieces, -(-count // pieces)


def _scaled_at(member: Member, raw: Array, rows: Array, count: Array, plan: ProgramPlan, length: int) -> Array:
    """[length, in + target + 1] of these raw rows, with weight 0 from `count` on, and 0 beyond them; a large table may
    be longer, so that it can be read in pieces as it is. It is written some rows at a time, for as they are given rows
    take several times the room, and it is never copied."""
    each = max(1, GATHERED // raw.shape[1])
    if len(rows) * raw.shape[1] <= LARGE or len(rows) <= each:
        table = _scaled_rows(member, raw[rows], plan)
        return pad_rows_to(table.at[:, -1].multiply(jnp.arange(len(rows)) < count), length)
    width = plan.inputs[-1] + plan.targets + 1
    pieces, read = in_pieces(len(rows), plan.piece)
    empty = jnp.zeros((max(length, pieces * read), width), member.factor.dtype)

    def write(i: Array, table: Array) -> Array:  # the last piece begins earlier, and writes some rows again
        start = jnp.minimum(i * each, len(rows) - each)
        at = jax.lax.dynamic_slice_in_dim(rows, start, each)
        part = _scaled_rows(member, raw[at], plan)
        part = part.at[:, -1].multiply(start + jnp.arange(each) < count)
        return jax.lax.dynamic_update_slice_in_dim(table, part, start, 0)

    return jax.lax.fori_loop(0, -(-len(rows) // each), write, empty)


def pad_rows_to(array: Array, length: int) -> Array:
    """The array with rows of zeros after its own, up to `length` rows."""
    return jnp.pad(array, ((0, length - len(array)), *[(0, 0)] * (array.ndim - 1)))


def _scaled_rows(member: Member, raw: Array, plan: ProgramPlan) -> Array:
    """[row, in + target + 1] of raw rows."""
    k = plan.inputs[-1] + plan.targets
    if not plan.layout and raw.shape[1] == k + 1:  # rows of a stream come without their center
        x = raw[:, :k] * member.factor
    else:
        # Each number comes in two parts. Their differences from the center's parts are nearly exact, so their sum too.
        high, low = _two_parts(raw, plan.layout, plan.targets) if plan.layout else (raw[:, :k], raw[:, k : 2 * k])
        x = ((high - member.center[0]) + (low - member.center[1])) * member.factor
    w = _weighed(raw[:, -1], lambda: x[:, plan.inputs[-1] :], member.balance, plan)
    missing = jnp.isnan(x)
    if plan.cost.masks:  # a missing target stays missing
        missing = missing & (jnp.arange(k) < plan.inputs[-1])
    return jnp.concatenate([jnp.where(missing, 0, x), w[:, None]], axis=1)


def _two_parts(raw: Array, layout: tuple[int, ...], targets: int) -> tuple[Array, Array]:
    """[row, in + target] of raw rows and what was rounded off, with an input for each category (see `Features`)."""
    source, category, numbers = _sources(layout, targets)
    number, told = category == NUMBER, category == TOLD
    value = raw[:, source]
    ones = jnp.where(told, jnp.isnan(value), value == category)
    high = jnp.where(number, value, ones.astype(raw.dtype))
    return high, jnp.where(number, raw[:, np.where(number, source + numbers, source)], 0)


NUMBER, TOLD = -1, -2  # in place of a category: the value itself, and whether it is missing


def _sources(layout: tuple[int, ...], targets: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Of each input and target the column of raw rows that it is of and which category it stands for, or `NUMBER` or
    `TOLD`; and how many numbers there are."""
    numbers = sum(run for run in layout if run > 0) + targets
    source: list[int] = []
    category: list[int] = []
    place, code = 0, 2 * numbers
    for run in (*layout, targets):
        if run > 0:
            source += range(place, place + run)
            category += [NUMBER] * run
            place += run
        elif run == 0:
            source.append(place - 1)
            category.append(TOLD)
        else:
            source += [code] * -run
            category += range(-run)
            code += 1
    return np.array(source), np.array(category), numbers


def _weighed(w: Array, targets: Callable[[], Array], balance: Any, plan: ProgramPlan) -> Array:
    """The rows' weights times what the cost gives rows of their class."""
    return w * plan.cost.row_weight(targets(), balance) if plan.cost.has_class_weights else w


def _scaled(x: Any, rest: Any, center: Any, factor: Any) -> Array:
    low = -center[1] if rest is None else rest - center[1]
    return ((x.astype(center.dtype) - center[0]) + low) * factor


def _targets(data: Shared, places: Array, center: Array, factor: Array, plan: ProgramPlan) -> Array:
    """[place, ...] scaled targets of shared examples."""
    inputs = plan.inputs[-1]
    t = _scaled(_take(data.t, places), _take(data.t_rest, places), center[:, inputs:], factor[inputs:])
    return t if plan.cost.masks else _filled(t)


def _filled(x: Array) -> Array:
    """With 0, which is the mean of the training rows, where a number is missing."""
    return jnp.where(jnp.isnan(x), 0, x)


def _take(a: Any, places: Any) -> Any:
    if isinstance(a, RolledRows | AheadRows):
        return a.cut(places)
    return None if a is None else a.at[places].get(mode="promise_in_bounds")


def _columns(table: Array, places: Array, first: int, count: int) -> Array:
    """[place, count] of the table's rows, from column `first` on, gathered without the others."""

    def row(place: Array) -> Array:
        return jax.lax.dynamic_slice(table, (place, jnp.zeros_like(place) + first), (1, count))[0]

    return jax.vmap(row)(places)


def _where_real(batch: Batch, real: Array) -> Batch:
    """The batch with weight 0 where `real` [batch] is False: padding."""
    return batch._replace(w=real.reshape(real.shape + (1,) * (batch.w.ndim - 1)) * batch.w)


def output_of(network: Any, batch: Batch, key: Any = None, share: Any = None, progress: Any = None) -> Any:
    """The network's output for a batch; share [batch] of each example in the cost; progress: see `layers.call`."""
    return call(network, batch.x, key, weights=share, lengths=batch.lengths, progress=progress)


def judged_output(network: Any, batch: Batch) -> Any:
    """As `output_of` a network in use; there is no derivative of it."""
    return call(network, batch.x, None, lengths=batch.lengths, judged=True)
