"""Schedules by value, jitted as in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.optimizers.first_order import Adam
from perceptory.optimizers.schedules import (
    Cosine,
    CosineCycles,
    Exponential,
    FlatCosine,
    StepDecay,
    WarmUp,
    rate_at,
    rate_label,
)

CASES = [
    (0.3, {0: 0.3, 0.5: 0.3, 1: 0.3}),
    (Cosine(0.2), {0: 0.2, 0.5: 0.1, 1: 0.0, 1 / 3: 0.15}),
    (Cosine(0.2, end=0.1), {0: 0.2, 0.5: 0.11, 1: 0.02}),
    (CosineCycles(0.4, cycles=2), {0: 0.0, (2**0.5 - 1) / 3: 0.4, 1 / 3: 0.0, (8**0.5 - 1) / 3: 0.4, 1: 0.0}),
    (FlatCosine(0.4), {0: 0.4, 0.5: 0.4, 0.75: 0.2, 1: 0.0}),
    (Exponential(0.1, end=0.01), {0: 0.1, 0.5: 0.01, 1: 0.001}),
    (Exponential(0.1, end=1.0), {0: 0.1, 0.5: 0.1, 1: 0.1}),
    (Exponential(0.1, end=4.0), {0: 0.1, 0.5: 0.2, 1: 0.4}),
    (StepDecay(0.8), {0: 0.8, 0.33: 0.8, 0.34: 0.08, 0.66: 0.08, 0.67: 0.008, 1: 0.008}),
    (StepDecay(0.8, factor=0.5, pieces=2), {0: 0.8, 0.49: 0.8, 0.51: 0.4, 1: 0.4}),
    (WarmUp(StepDecay(0.8, pieces=2), share=0.5), {0.25: 0.4, 0.74: 0.8, 0.76: 0.08}),
    (WarmUp(0.4, share=0.25), {0: 0.0, 0.125: 0.2, 0.25: 0.4, 0.5: 0.4, 1: 0.4}),
    # after a warm-up of half of training the cosine runs over the other half
    (WarmUp(Cosine(0.4), share=0.5), {0: 0.0, 0.25: 0.2, 0.5: 0.4, 0.75: 0.2, 1: 0.0}),
    (WarmUp(WarmUp(0.4, share=0.5), share=0.5), {0: 0.0, 0.25: 0.0, 0.5: 0.0, 0.75: 0.4, 1: 0.4}),
    (WarmUp(0.4, share=1.0), {0: 0.0, 0.5: 0.2, 1: 0.4}),
]


@pytest.mark.parametrize(("schedule", "expected"), CASES)
def test_values(schedule, expected):
    at = jax.jit(jax.vmap(lambda progress: rate_at(schedule, progress)))
    np.testing.assert_allclose(at(jnp.array(list(expected), float)), list(expected.values()), rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("schedule", [c[0] for c in CASES if not isinstance(c[0], float)])
def test_never_negative_and_finite(schedule):
    rates = np.asarray(jax.vmap(schedule.at)(jnp.linspace(0, 1, 101)))
    assert np.isfinite(rates).all()
    assert (rates >= 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cosine(0), r"Cosine\.start needs a number above 0, got 0"),
        (lambda: Cosine(0.1, end=1.0), r"Cosine\.end needs a number of at least 0 and below 1"),
        (lambda: Exponential(0.1, end=0), r"Exponential\.end needs a number above 0"),
        (lambda: StepDecay(0.1, pieces=0), r"StepDecay\.pieces needs a number of at least 1, got 0"),
        (lambda: WarmUp(-1), r"WarmUp\.after needs a number above 0"),
        (lambda: WarmUp(0.1, share=0), r"WarmUp\.share needs a number above 0"),
        (lambda: WarmUp("cosine"), r"WarmUp\.after needs a finite number, got 'cosine'"),
        (lambda: Adam(Cosine), r"Adam\.learning_rate needs a finite number"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_labels():
    assert rate_label(0.01) == "0.01"
    assert rate_label(Cosine(0.01)) == "0.01 cosine"
    assert rate_label(StepDecay(0.01)) == "0.01 step decay"
    assert rate_label(WarmUp(Exponential(0.02))) == "0.02 exponential warm up"
