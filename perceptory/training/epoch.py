"""One member's start and epoch: pure functions, written for one member and mapped in `population.py`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from perceptory.layers.base import Costed
from perceptory.objectives.base import Cost, weighted_mean
from perceptory.objectives.parts import objective_costs, parts_of
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.training.given import begun
from perceptory.training.procedures.table import procedure_of
from perceptory.training.rows import Batch, judged_output, output_of
from perceptory.training.run import Run, Specs
from perceptory.training.state import PARTS, Crossed, State, advance
from perceptory.training.weights import Weights

CALIBRATION_ROWS = 4096  # enough for means and variances


@dataclass(frozen=True)
class TrainingRows:
    """A member's training rows, as a network's `prime` may ask for them."""

    run: Run

    def __call__(self) -> tuple[Array, Array, Array]:
        """Inputs [row, *inputs], targets or their working response [row, *outputs], weights [row]."""
        rows = self.run.rows.first()
        return rows.x, self.run.cost.working_response(rows.t), rows.w

    @property
    def aims(self) -> bool:
        """Whether the working response is another thing than the targets, so that what fits it best by least squares
        does not cost least."""
        return type(self.run.cost).working_response is not Cost.working_response

    def cost(self, output: Array, chosen: Array) -> Array:
        """[row] what outputs cost at the rows of these places."""
        costs: Array = self.run.cost.per_row(output, self.run.rows.first().t[chosen])
        return costs

    @property
    def lengths(self) -> Array | None:
        """[row] steps of each series, None where all are as long."""
        return self.run.rows.first().lengths


def start(run: Run) -> State:
    """A new member: small random weights, what the network makes of the training rows, or weights that are given."""
    key = run.stream(0)
    module = run.network.prime(run.build(key), TrainingRows(run), key=jax.random.fold_in(key, 1))
    return state_at(run, run.weights_of(begun(module, run.given, run.plan.start)))


def state_at(specs: Specs, weights: Weights) -> State:
    """The state of a member that begins with these weights."""
    infinite, plan = jnp.asarray(jnp.inf, specs.dtype), specs.plan
    crossed = Crossed.begun(plan.validation_rows, plan.outputs, specs.dtype) if plan.crossed else ()
    optimizer = procedure_of(plan).begin(specs, weights)
    return State(weights, weights, optimizer, infinite, jnp.zeros(4, jnp.int32), crossed)


def epoch(run: Run, state: State) -> tuple[State, Float[Array, " cost"]]:
    """One pass over the training rows, then the validation cost. Returns the state and both costs, to record, and after
    them those of each auxiliary objective."""
    result = procedure_of(run.plan).epoch(run, state)
    module, weights = calibrated(run, result.weights)
    result = result._replace(weights=weights)
    validation_cost, parts = jnp.full_like(result.cost, jnp.nan), parts_of(run.cost)
    others = jnp.full(len(parts), jnp.nan, run.dtype)
    without = None
    if run.plan.validation_rows:
        validation_cost, others, output = _validation_costs(run, module)
        if run.plan.crossed:
            without = _costs_without_parts(run, output, validation_cost), output
    costs = jnp.stack([result.cost, validation_cost])
    if parts:
        costs = jnp.concatenate([costs, jnp.stack([result.others, others], axis=1).ravel()])
    return advance(run, state, result, validation_cost, without), costs


def _costs_without_parts(run: Run, output: Array, whole: Array) -> Array:
    """[part] the validation cost of all rows but every `PARTS`-th from its first; where that leaves none, of all."""
    truth, weights = run.rows.validation_truth()

    def cost(part: Array) -> Array:
        others = weights * (jnp.arange(len(weights)) % PARTS != part)
        own, _ = objective_costs(run.cost, output, truth, others)
        return jnp.where(jnp.sum(others) > 0, own, whole)

    return jax.vmap(cost)(jnp.arange(PARTS))


def _validation_costs(run: Run, module: Any) -> tuple[Float[Array, ""], Any, Array]:
    """Of the network as in use, with what it adds to the cost of each row; of each auxiliary objective; the outputs."""
    truth, weights = run.rows.validation_truth()
    if not run.network.added_cost:
        output = run.rows.of_validation(partial(judged_output, module))
        return *objective_costs(run.cost, output, truth, weights), output

    def both(batch: Batch) -> Array:
        output, added = output_of(Costed(module), batch)
        return jnp.concatenate([output.reshape(len(added), -1), added[:, None]], axis=1)

    values = run.rows.of_validation(both)
    output = values[:, :-1].reshape(len(values), *run.plan.outputs)
    cost, others = objective_costs(run.cost, output, truth, weights)
    return cost + weighted_mean(values[:, -1], weights), others, output


def calibrated(run: Run, weights: Weights) -> tuple[Any, Weights]:
    """The network as in use, and its weights, with what it takes from its training rows after an epoch
    (`Network.calibrate`)."""

    def training_rows() -> tuple[Array, Array]:
        rows = run.rows.first(CALIBRATION_ROWS)
        return rows.x, rows.w

    module = run.module(weights)
    new = run.network.calibrate(module, training_rows)
    return (module, weights) if new is module else (new, run.weights_of(new))


def predictions(run: Run, state: State) -> Any:
    """[rows + validation_rows, *outputs] of all rows (`Rows.of_all`) by the best weights, on the trained scale
    (probabilities [.., class] for classification); of autoencoders the errors by column [.., column]. Validation rows
    as `Crossed` has them, where there is that."""
    module = run.module(state.best)
    cost = run.cost
    if isinstance(cost, Reconstruction):
        return run.rows.of_all(lambda b: cost.errors(output_of(module, b), b.t, b.w))
    output = run.rows.of_all(partial(judged_output, module))
    if run.plan.crossed:
        output = output.at[run.plan.rows :].set(state.crossed.output)
    return cost.inverse_link(output)
