"""What is compared where a table, images or series have no target, and which width of code is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from perceptory import InputError, read_arrays, read_table
from perceptory.networks.autoencoder import Autoencoder
from perceptory.selection.ranking import rank
from perceptory.studies.presets_codes import code_widths
from perceptory.studies.usual import default_study


@pytest.mark.parametrize(
    ("size", "effort", "widths"),
    [(13, "normal", [2, 4, 7]), (4, "normal", [1, 2]), (1, "quick", [1]), (784, "normal", [8, 16, 32]),
     (784, "thorough", [4, 8, 16, 32, 64])],
)  # fmt: skip
def test_widths_are_halved_from_half_of_the_columns(size, effort, widths):
    assert code_widths(size, effort) == widths


def test_every_kind_of_data_gets_autoencoders_and_a_rule_that_does_not_take_the_widest():
    random = np.random.default_rng(0)
    for data in (
        read_table(random.normal(size=(60, 6)), task="autoencode"),
        read_arrays(random.integers(0, 256, (60, 8, 8)).astype(np.uint8), task="autoencode"),
        read_arrays(random.normal(size=(60, 12, 2)), task="autoencode"),
        read_arrays(random.normal(size=(60, 12, 2)), task="autoencode", lengths=np.r_[5, np.full(59, 12)]),
    ):
        study = default_study(data, "quick")
        assert study.rule == "narrow_code"
        assert all(isinstance(network, Autoencoder) for network in study.networks)
        assert study.epochs >= 10
        assert default_study(data, "quick", rule="best").rule == "best"


def test_the_narrowest_code_that_keeps_enough_is_chosen():
    scores = np.array([0.02, 0.09, 0.08, 0.3])[:, None, None] * np.ones((1, 3, 1))
    ranking = rank(scores, "min", [40, 20, 30, 5], [8, 4, 4, 2])
    chosen = ranking.choose("narrow_code", "reconstruction_error")
    assert chosen.index == 2
    assert chosen.reason == "the best with 4 numbers, the narrowest code that keeps 90% of the variance"
    assert ranking.choose("narrow_code", "reconstruction_error", only_compared=[1, 2]).index == 0
    assert rank(scores + 0.2, "min", None, [8, 4, 4, 2]).choose("narrow_code", "reconstruction_error").index == 0
    with pytest.raises(InputError, match="Use another rule"):
        ranking.choose("narrow_code", "cost")
