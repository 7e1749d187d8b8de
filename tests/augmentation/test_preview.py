"""What a preview shows: examples as given in units, changed as training changes them."""

import numpy as np
import pytest

from perceptory import MLP, ImageAugmentation, SeriesAugmentation, TableAugmentation, TargetNoise, choice, preview
from perceptory.errors import InputError


def test_units_missing_values_and_yes_no_columns_of_a_table():
    random = np.random.default_rng(0)
    x = np.stack([100 + 10 * random.normal(size=2000), random.integers(0, 2, 2000), np.full(2000, 7.0)], axis=1)
    x[::2, 0] = np.nan
    seen = preview((TableAugmentation(0.3), TargetNoise(0.1)), x, times=2)
    assert seen.shape == (2, 2000, 3)
    noise = seen[:, 1::2, 0] - x[1::2, 0]
    assert noise.std() == pytest.approx(3.0, rel=0.07)
    assert abs(np.corrcoef(noise)[0, 1]) < 0.1  # each time anew
    np.testing.assert_allclose(seen[..., 1:], np.broadcast_to(x[:, 1:], (2, 2000, 2)), atol=1e-5)
    np.testing.assert_allclose(seen[:, ::2, 0], np.nanmean(x[:, 0]), rtol=1e-6)


def test_a_bytes_image_keeps_its_black():
    images = np.zeros((4, 6, 6, 1), np.uint8)
    images[:, 2:4, 2:4] = 200
    seen = preview(ImageAugmentation(shift=1.0), images, times=3)
    assert seen.min() == pytest.approx(0, abs=1e-3)
    np.testing.assert_allclose(seen.sum(axis=(2, 3, 4)), 800, rtol=1e-4)  # nothing left the picture


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: preview(ImageAugmentation(), np.zeros((3, 4))),
            r"ImageAugmentation needs inputs of 4 axes, got .*3, 4",
        ),
        (lambda: preview(MLP(), np.zeros((3, 4))), r"preview needs an augmentation, got MLP"),
        (lambda: preview(SeriesAugmentation(), np.zeros((3, 4, 2)), times=0), "times needs a whole number"),
        (
            lambda: preview(TableAugmentation(choice(0.1, 1)), np.zeros((3, 4))),
            "preview needs one value of noise, got ch",
        ),
        (lambda: preview(choice(None, 2), np.zeros((3, 4, 2))), "preview needs an augmentation, got choice"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
