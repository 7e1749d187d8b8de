"""Held-out outputs at the epoch that other validation rows choose."""

import jax.numpy as jnp
import numpy as np

from perceptory import MLP, Adam, KFold, Study, read_table
from perceptory.training.state import PARTS, Crossed


def test_each_part_is_predicted_at_the_best_epoch_of_the_others():
    random = np.random.default_rng(0)
    costs, outputs = (random.normal(size=shape).astype(np.float32) for shape in ((9, PARTS), (9, 11, 1)))
    counts = np.arange(9) < 7  # then the member has stopped
    state = Crossed.begun(11, (1,), jnp.float32)
    for epoch in range(9):
        state = state.after(costs[epoch], outputs[epoch], counts[epoch])
    best = costs[:7].argmin(axis=0)
    assert len(set(best)) > 2
    for row in range(11):
        assert state.output[row, 0] == outputs[best[row % PARTS], row, 0]
    np.testing.assert_array_equal(state.least, costs[:7].min(axis=0))


def test_of_noise_no_score_is_better_than_that_of_the_mean():
    """Where each fold's own rows choose the epoch, chance makes the score of a mixture's candidates too good."""
    random = np.random.default_rng(3)
    data = read_table({"x": random.normal(size=60), "z": random.normal(size=60), "y": random.normal(size=60)}, "y")
    study = Study(MLP((8,)), optimizer=Adam(0.05), epochs=60, patience=0, validation=KFold(10), test=0.0, batch_size=54)
    flattered, honest = (study.replace(final=final).run(data) for final in ("folds", "weighted"))
    alone = float(np.std(data.targets))
    assert flattered.candidates[0].mean < 0.98 * alone < honest.candidates[0].mean
    np.testing.assert_array_equal(flattered.members[4].validation_cost, honest.members[4].validation_cost)
