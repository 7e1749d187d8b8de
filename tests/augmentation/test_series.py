"""Series by value: interpolation, monotone time, deviations, padding."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory.augmentation.base import About
from perceptory.augmentation.interpolation import in_time
from perceptory.augmentation.series import WAVES, SeriesAugmentation
from perceptory.errors import InputError

ABOUT = About(jnp.array([1.0, 0.0]), jnp.zeros(2))
LENGTHS = jnp.array([12, 5, 1], jnp.int32)


@partial(jax.jit, static_argnums=0)
def program(augmentation, x, t, lengths):
    return augmentation.apply(x, t, lengths, ABOUT, jax.random.key(0))


def applied(augmentation, x, t=None, lengths=None):
    x, t = np.asarray(x, np.float32), np.asarray(np.zeros((len(x), 1)) if t is None else t, np.float32)
    return tuple(map(np.asarray, program(augmentation, x, t, lengths)))


def test_interpolation_equals_numpys():
    random = np.random.default_rng(0)
    x, places = random.normal(size=(3, 8, 2)), random.uniform(0, 7, (3, 5))
    places[0, 0], places[1, 1] = 7, 0
    expected = [[np.interp(p, np.arange(8), row[:, c]) for c in range(2)] for p, row in zip(places, x, strict=True)]
    got = jax.jit(in_time)(x, places)
    np.testing.assert_allclose(got, np.moveaxis(np.array(expected), 1, -1), atol=1e-5)
    assert in_time(jnp.ones((2, 1, 3)), jnp.zeros((2, 1))).tolist() == np.ones((2, 1, 3)).tolist()


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("augmentation", [SeriesAugmentation(warp=0.9), SeriesAugmentation(crop=0.6),
                                          SeriesAugmentation(warp=0.5, crop=0.5)], ids=lambda a: a.label)  # fmt: skip
def test_constants_stay_constant(augmentation, lengths):
    x, t = applied(augmentation, np.full((3, 12, 2), 2.5), np.full((3, 12, 1), -1.5), lengths)
    np.testing.assert_allclose(x, 2.5, rtol=1e-6)
    np.testing.assert_allclose(t, -1.5, rtol=1e-6)


def test_warped_time_is_monotone_with_its_ends_fixed_and_never_faster_than_asked():
    draws = jnp.asarray(np.random.default_rng(1).uniform(size=(2 + WAVES, 500, 1)), jnp.float32)
    places = np.asarray(jax.jit(lambda d: SeriesAugmentation(warp=0.8).places(d, 60, None))(draws))
    speed = np.diff(places, axis=1)
    assert speed.min() > 0.2 - 1e-3
    assert speed.max() < 1.8 + 1e-3
    assert speed.max() > 1.3  # and it does something
    np.testing.assert_allclose(places[:, [0, -1]], np.broadcast_to([0, 59], (500, 2)), atol=1e-4)


def test_a_crop_is_a_window_that_lacks_up_to_the_share():
    draws = jnp.asarray(np.random.default_rng(2).uniform(size=(2 + WAVES, 2000, 1)), jnp.float32)
    places = np.asarray(jax.jit(lambda d: SeriesAugmentation(crop=0.4).places(d, 51, None))(draws))
    first, last = places[:, 0], places[:, -1]
    assert first.min() >= 0
    assert last.max() <= 50
    share = 1 - (last - first) / 50
    assert share.max() <= 0.4 + 1e-6
    assert share.mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_allclose(np.diff(places, axis=1), np.broadcast_to(((last - first) / 50)[:, None], (2000, 50)),
                               atol=1e-4)  # fmt: skip


def test_targets_of_every_step_go_along_and_those_of_a_whole_series_do_not():
    ramp = np.broadcast_to(np.arange(12.0)[None, :, None], (3, 12, 2))
    x, t = applied(SeriesAugmentation(warp=0.9, crop=0.3), ramp, 10 * ramp[..., :1])
    assert np.abs(x - ramp).max() > 0.3
    np.testing.assert_allclose(t, 10 * x[..., :1], rtol=1e-5, atol=1e-5)
    _, t = applied(SeriesAugmentation(warp=0.9), ramp, [[1.0], [2.0], [3.0]])
    assert t.tolist() == [[1.0], [2.0], [3.0]]


def test_padding_stays_in_place_and_does_not_come_in():
    x = np.where(np.arange(12)[None, :, None] < np.asarray(LENGTHS)[:, None, None], 1.0, 99.0) * np.ones((3, 12, 2))
    got, _ = applied(SeriesAugmentation(warp=0.9, crop=0.5, jitter=0.01), x, lengths=LENGTHS)
    inside = np.arange(12) < np.asarray(LENGTHS)[:, None]
    np.testing.assert_allclose(got[~inside], 99.0)
    np.testing.assert_allclose(got[inside], 1.0, atol=0.06)


def test_jitter_and_scaling_have_their_deviations_and_spare_yes_no_channels():
    x = np.full((3000, 6, 2), 2.0)
    got, _ = applied(SeriesAugmentation(jitter=0.2), x)
    assert (got[..., 1] == 2).all()
    assert (got[..., 0] - 2).std() == pytest.approx(0.2, rel=0.03)
    got, _ = applied(SeriesAugmentation(scaling=0.1), x)
    assert (got[..., 1] == 2).all()
    assert np.ptp(got[..., 0], axis=1).max() < 1e-6  # one factor a series
    assert (got[:, 0, 0] / 2).std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("bad", [{"warp": 1.0}, {"crop": -0.1}, {"jitter": -1}, {"scaling": float("nan")}])
def test_bad_numbers(bad):
    with pytest.raises(InputError, match=rf"SeriesAugmentation\.{next(iter(bad))} needs a"):
        SeriesAugmentation(**bad)
