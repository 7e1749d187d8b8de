"""Images against SciPy and NumPy, moved by hand-given amounts; then the amounts that are drawn."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from perceptory.augmentation.base import About
from perceptory.augmentation.images import ImageAugmentation, rectangles
from perceptory.augmentation.images import moved as moved_
from perceptory.errors import InputError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(3, 7, 9, 2)).astype(np.float32)
GIVEN = jnp.asarray(IMAGES)
moved, erased = jax.jit(moved_), jax.jit(rectangles, static_argnums=(2, 3))
ABOUT = About(jnp.ones(2), jnp.array([-0.5, 2.0]))
NONE = jnp.zeros((2, 3))


def by_scipy(function, *arguments, **options):
    """[3, 7, 9, 2]: channel by channel."""
    done = [[function(image[..., c], *arguments, **options) for c in range(2)] for image in IMAGES]
    return np.moveaxis(np.array(done), 1, -1)


@pytest.mark.parametrize("shift", [(1.0, -2.0), (0.25, 1.5), (-3.7, 0.0)])
@pytest.mark.parametrize(("outside", "options"), [(0.0, {"mode": "grid-constant"}), (None, {"mode": "nearest"})])
def test_a_shift_equals_scipys(shift, outside, options):
    moves = jnp.broadcast_to(jnp.array(shift)[:, None], (2, 3))
    got = moved(GIVEN, moves, None, None, None if outside is None else jnp.zeros(2))
    np.testing.assert_allclose(got, by_scipy(ndimage.shift, shift, order=1, **options), atol=2e-6)


def test_beyond_the_border_each_channel_has_its_own_value():
    got = moved(GIVEN, jnp.full((2, 3), 100.0), None, None, ABOUT.zero)
    np.testing.assert_allclose(got, np.broadcast_to([-0.5, 2.0], IMAGES.shape))
    turned = moved(GIVEN, jnp.full((2, 3), 100.0), jnp.ones(3), None, ABOUT.zero)
    np.testing.assert_allclose(turned, np.broadcast_to([-0.5, 2.0], IMAGES.shape))


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2])
def test_right_angles_equal_rot90(quarters):
    square = GIVEN[:, :, 1:8]
    got = moved(square, NONE, jnp.full(3, quarters * jnp.pi / 2), None, jnp.zeros(2))
    np.testing.assert_allclose(got, np.rot90(square, quarters, axes=(1, 2)), atol=3e-6)


@pytest.mark.parametrize("degrees", [10.0, -33.0])
@pytest.mark.parametrize(("outside", "mode"), [(jnp.zeros(2), "grid-constant"), (None, "nearest")])
def test_a_turn_equals_scipys(degrees, outside, mode):
    got = moved(GIVEN, NONE, jnp.full(3, np.deg2rad(degrees)), None, outside)
    expected = by_scipy(ndimage.rotate, degrees, reshape=False, order=1, mode=mode)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("factor", [1.5, 0.8])
@pytest.mark.parametrize("angle", [None, 0.0])
def test_scaling_about_the_center_equals_scipys(factor, angle):
    got = moved(GIVEN, NONE, None if angle is None else jnp.zeros(3), jnp.full(3, factor), jnp.zeros(2))
    matrix, center = np.eye(2) / factor, np.array([3.0, 4.0])
    expected = by_scipy(
        ndimage.affine_transform, matrix, offset=center - matrix @ center, order=1, mode="grid-constant"
    )
    np.testing.assert_allclose(got, expected, atol=3e-6)


def test_all_moves_at_once_are_one_affine_map():
    angle, factor, shift = 0.4, 1.3, np.array([1.5, -0.75])
    got = moved(
        GIVEN, jnp.broadcast_to(jnp.asarray(shift)[:, None], (2, 3)), jnp.full(3, angle), jnp.full(3, factor), None
    )
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / factor
    center = np.array([3.0, 4.0])
    expected = by_scipy(
        ndimage.affine_transform, turn, offset=center - turn @ (center + shift), order=1, mode="nearest"
    )
    np.testing.assert_allclose(got, expected, atol=1e-5)


# --- what is drawn -----------------------------------------------------------------------------------------------


@partial(jax.jit, static_argnums=0)
def program(augmentation, x):
    return augmentation.apply(x, None, None, ABOUT, jax.random.key(0))[0]


def applied(augmentation, x):
    return np.asarray(program(augmentation, np.asarray(x, np.float32)))


def test_shifts_are_uniform_up_to_the_strength():
    """A ramp tells how far it was moved."""
    x = np.zeros((4000, 9, 9, 2), np.float32)
    x[..., 0], x[..., 1] = np.arange(9)[:, None], np.arange(9)
    middle = applied(ImageAugmentation(shift=2.5), x)[:, 4, 4]
    moves = 4 - middle
    assert np.abs(moves).max() <= 2.5 + 1e-5
    np.testing.assert_allclose(moves.std(axis=0), 2.5 / np.sqrt(3), rtol=0.05)
    assert abs(np.corrcoef(moves.T)[0, 1]) < 0.05


def test_a_share_of_the_images_is_mirrored():
    x = np.broadcast_to(np.arange(5.0, dtype=np.float32)[None, None, :, None], (4000, 3, 5, 2))
    got = applied(ImageAugmentation(flip=0.3), x)
    mirrored = (got == x[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (got == x).all(axis=(1, 2, 3))).all()
    assert mirrored.mean() == pytest.approx(0.3, abs=0.03)


def test_an_erased_rectangle_has_the_right_share():
    got = applied(ImageAugmentation(erase=0.4), np.ones((2000, 20, 30, 2)))
    gone = (got == 0).all(axis=-1)
    assert ((got == 0).any(axis=-1) == gone).all()  # all channels
    assert set(np.unique(got)) == {0.0, 1.0}
    share = gone.mean(axis=(1, 2))
    assert share.max() < 0.43
    assert share.mean() == pytest.approx(0.2, abs=0.01)  # uniform from 0 to 0.4
    for one in gone[:200]:  # a filled rectangle
        rows, columns = one.any(axis=1), one.any(axis=0)
        assert (one == np.outer(rows, columns)).all()
        for side in (rows, columns):
            assert (np.diff(np.flatnonzero(side)) == 1).all()
    assert gone.any(axis=0).all()  # anywhere, corners too


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_rectangles_of_a_given_share(share):
    draws = RANDOM.uniform(size=(3, 500)).astype(np.float32)
    areas = np.asarray(erased(jnp.full(500, share), jnp.asarray(draws), 50, 50)).mean(axis=(1, 2))
    np.testing.assert_allclose(areas, share, atol=0.03)


def test_noise_has_its_deviation_and_nothing_else_moves():
    noise = applied(ImageAugmentation(noise=0.3), np.ones((200, 7, 9, 2))) - 1
    assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert abs(noise.mean()) < 0.01
    assert (applied(ImageAugmentation(), IMAGES) == IMAGES).all()


def test_scales_lie_between_the_factor_and_its_inverse():
    x = np.zeros((500, 9, 9, 2), np.float32)
    x[..., 0] = np.arange(9) - 4.0
    slope = applied(ImageAugmentation(scale=0.25, fill="edge"), x)[:, 4, 5, 0]
    assert slope.min() == pytest.approx(0.8, abs=0.01)
    assert slope.max() == pytest.approx(1.25, abs=0.01)


@pytest.mark.parametrize(("fill", "value"), [("zero", [-0.5, 2.0]), ("mean", [0.0, 0.0]), ("edge", [1.0, 1.0])])
def test_fills(fill, value):
    got = applied(ImageAugmentation(shift=1e4, fill=fill), np.ones((2, 5, 5, 2)))
    np.testing.assert_allclose(got, np.broadcast_to(value, got.shape), atol=1e-3)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"shift": -1}, r"ImageAugmentation\.shift needs a number of at least 0, got -1"),
        ({"flip": 1.5}, r"ImageAugmentation\.flip needs a probability from 0 to 1, got 1\.5"),
        ({"erase": 1}, r"ImageAugmentation\.erase needs a number of at least 0 and below 1"),
        ({"fill": "black"}, "unknown fill 'black'"),
    ],
)
def test_bad_numbers(bad, message):
    with pytest.raises(InputError, match=message):
        ImageAugmentation(**bad)
