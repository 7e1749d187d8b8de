"""One member's start and epoch: pure functions, written for one member and mapped in `population.py`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from perceptory.objectives.table import mean_cost
from perceptory.training.given import begun
from perceptory.training.procedures.table import procedure_of
from perceptory.training.run import Run, Specs
from perceptory.training.state import State, advance
from perceptory.training.weights import Weights

CALIBRATION_ROWS = 4096  # enough for means and variances


def start(run: Run) -> State:
    """A new member: small random weights, what the network makes of the training rows, or weights that are given."""
    key = run.stream(0)

    def training_rows() -> tuple[Array, Array, Array]:
        rows = run.rows.first()
        return rows.x, run.cost.working_response(rows.t), rows.w

    module = run.network.prime(run.build(key), training_rows, key=jax.random.fold_in(key, 1))
    return state_at(run, run.weights_of(begun(module, run.given, run.plan.start)))


def state_at(specs: Specs, weights: Weights) -> State:
    """The state of a member that begins with these weights."""
    infinite = jnp.asarray(jnp.inf, specs.dtype)
    return State(weights, weights, procedure_of(specs.plan).begin(specs, weights), infinite, jnp.zeros(4, jnp.int32))


def epoch(run: Run, state: State) -> tuple[State, Float[Array, " cost"]]:
    """One pass over the training rows, then the validation cost. Returns the state and both costs, to record."""
    result = procedure_of(run.plan).epoch(run, state)
    module, weights = calibrated(run, result.weights)
    result = result._replace(weights=weights)
    validation_cost = jnp.full_like(result.cost, jnp.nan)
    if run.plan.validation_rows:
        output = run.rows.outputs(module, run.rows.validation)
        validation_cost = mean_cost(run.cost, output, *run.rows.validation_truth())
    return advance(run, state, result, validation_cost), jnp.stack([result.cost, validation_cost])


def calibrated(run: Run, weights: Weights) -> tuple[Any, Weights]:
    """The network as in use, and its weights, with what it takes from its training rows after an epoch
    (`Network.calibrate`)."""

    def training_rows() -> tuple[Array, Array]:
        rows = run.rows.first(CALIBRATION_ROWS)
        return rows.x, rows.w

    module = run.module(weights)
    new = run.network.calibrate(module, training_rows)
    return (module, weights) if new is module else (new, run.weights_of(new))


def predictions(run: Run, weights: Weights) -> Any:
    """[rows + validation_rows, *outputs] of all rows, on the trained scale (probabilities [.., class] for
    classification)."""
    return run.cost.inverse_link(run.rows.outputs(run.module(weights), run.rows.entries))
