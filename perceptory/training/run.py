"""A training run: the one thing that every function of a step, an iteration and an epoch is handed."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, Int, UInt32

from perceptory.augmentation.base import Augmentation
from perceptory.kernels import threefry
from perceptory.networks.base import Network, hollow, with_shapes_filled
from perceptory.objectives.penalties import Penalty
from perceptory.objectives.table import Cost
from perceptory.optimizers.clipping import Clip
from perceptory.specs import combine
from perceptory.training.given import GivenStart
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.rows import Rows, row_axes, rows_of, tree_of_axes
from perceptory.training.weights import Weights, arrays_in, weights_of, with_weights

S = TypeVar("S")


class Specs(eqx.Module):
    """The specs of a group's plan with a member's numbers filled in: `specs.network` is whole, where
    `specs.plan.network` has placeholders. All that weights depend on, the data aside."""

    plan: ProgramPlan = eqx.field(static=True)
    numbers: Float[Array, " number"]

    def filled(self, spec: S) -> S:
        """A spec of the plan with the member's numbers in place of its placeholders."""
        return combine(spec, self.numbers)

    @property
    def network(self) -> Network:
        return self.filled(self.plan.network)

    @property
    def cost(self) -> Cost:
        return self.filled(self.plan.cost)

    @property
    def penalty(self) -> Penalty | None:
        return self.filled(self.plan.penalty)

    @property
    def clip(self) -> Clip | None:
        return self.filled(self.plan.clip)

    @property
    def augmentation(self) -> Augmentation | tuple[Augmentation, ...] | None:
        return self.filled(self.plan.augmentation)

    @property
    def start(self) -> GivenStart | None:
        return self.filled(self.plan.start)

    @property
    def dtype(self) -> Any:
        return self.numbers.dtype

    def build(self, key: Array | None = None) -> Any:
        """A module of the network; the key draws its starting weights, where these matter."""
        key = jax.random.key(0) if key is None else key
        return self.network.build(self.plan.inputs, self.plan.outputs, key=key)

    def module(self, weights: Weights, room: int = 0) -> Any:
        """The network with these weights, or with `widened` ones."""
        without = hollow(self.plan.network, self.plan.inputs, self.plan.outputs)
        if without is None:
            return with_weights(self.build(), weights, self.plan, room)
        return with_shapes_filled(without, arrays_in(weights, self.plan, room))

    def weights_of(self, module: Any) -> Weights:
        return weights_of(module, self.plan)


class Run(Specs):
    """A member in training: its specs, its key and its rows. What changes in training is `State`.

    A pytree, so runs of many members are mapped like any array.
    """

    key: UInt32[Array, " word"]
    epochs: Int[Array, ""]  # to go
    patience: Int[Array, ""]
    rows: Rows
    given: tuple[Array, ...]  # `Member.given`

    @classmethod
    def of(cls, member: Member, data: Any, plan: ProgramPlan) -> Run:
        """data: the study's, as on the device."""
        rows = rows_of(member, data, plan)
        return cls(plan, member.numbers, member.key, member.epochs, member.patience, rows, member.given)

    def stream(self, epoch: Any) -> Array:
        """The key of an epoch; epochs count from 1, and 0 is the key of the starting weights."""
        return jax.random.fold_in(jax.random.wrap_key_data(self.key, impl=threefry.kind()), epoch)

    @property
    def batches(self) -> Any:
        """Steps in an epoch of this member."""
        return -(-self.rows.count // self.plan.batch) if self.plan.ragged else self.plan.batches

    def progress(self, epoch: Any) -> Any:
        """The share of the member's epochs that is done after so many."""
        return epoch.astype(self.dtype) / self.epochs.astype(self.dtype)


def run_axes(data: Any, plan: ProgramPlan) -> Any:
    """Where members lie in runs that are mapped (`in_axes`, `out_axes`): along axis 0 of everything, but not of the
    examples that they share."""
    return tree_of_axes(Run, plan, numbers=0, key=0, epochs=0, patience=0, rows=row_axes(data, plan), given=0)
