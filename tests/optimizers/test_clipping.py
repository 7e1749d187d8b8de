"""Gradient clipping against Optax, at extremes, and its labels."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from perceptory import ClipByNorm, ClipByValue, Study, choice
from perceptory.errors import InputError
from perceptory.networks.mlp import MLP
from perceptory.objectives.table import SquaredError
from perceptory.specs import from_json, to_json
from perceptory.studies.labels import candidate_label

TREES = [
    (jnp.array([3.0, -4.0]),),
    (jnp.array([[0.3, -0.1], [0.0, 0.2]]), jnp.array([0.05])),
    (jnp.zeros(3), jnp.array([12.0, 0.0])),
]


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("limit", [0.1, 1.0, 20.0])
def test_against_optax(tree, limit):
    for ours, theirs in [
        (ClipByNorm(limit), optax.clip_by_global_norm(limit)),
        (ClipByValue(limit), optax.clip(limit)),
    ]:
        got, expected = ours.apply(tree), theirs.update(tree, None)[0]
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_the_norm_neither_overflows_nor_underflows(size):
    """The sum of squares of 1e30 is infinite in single precision; Optax gives 0 there."""
    tree = (jnp.array([3.0, 0.0], jnp.float32) * size, jnp.array([-4.0], jnp.float32) * size)
    got = ClipByNorm(2.0).apply(tree)
    expected = tree if size < 1 else (jnp.array([1.2, 0.0]), jnp.array([-1.6]))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_zeros_stay_zeros_and_what_is_not_finite_shows():
    assert not np.any(ClipByNorm(1.0).apply((jnp.zeros(3),))[0])
    assert np.isnan(np.asarray(ClipByNorm(1.0).apply((jnp.array([jnp.nan, 1.0]),))[0])).any()
    assert not np.isfinite(np.asarray(ClipByNorm(1.0).apply((jnp.array([jnp.inf, 1.0]),))[0])).all()


def test_what_the_optimizer_does_not_move_has_no_part_in_the_norm():
    got = ClipByNorm(1.0).apply((jnp.array([100.0, 3.0, 4.0]),), (jnp.array([0.0, 1.0, 1.0]),))
    np.testing.assert_allclose(got[0], [0.0, 0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("clip", [ClipByNorm, ClipByValue])
def test_bad_limits(clip):
    with pytest.raises(InputError, match=rf"{clip.__name__}\.limit needs a number above 0, got 0"):
        clip(0)
    assert from_json(to_json(clip(0.5))) == clip(0.5)


def test_labels():
    study = Study(networks=MLP((2,)), clip=choice(None, ClipByNorm(0.5), ClipByValue(2.0)))
    candidates = study.candidates(SquaredError())
    ends = [candidate_label(c, candidates).rsplit(", ", 1)[1] for c in candidates]
    assert ends == ["no clip", "clip norm 0.5", "clip value 2"]
    with pytest.raises(InputError, match=r"clip needs a Clip, got 1\.0\. Example: ClipByNorm\(1\.0\)"):
        Study(clip=1.0)
    assert from_json(to_json(study)) == study
