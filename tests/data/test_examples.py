"""Arrays of examples, their encoder, and the NumPy files that they come in."""

import io
import json
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptory.data import ArrayDataset, ArrayEncoder, read_arrays, seal
from perceptory.data.series.timeline import Timeline
from perceptory.errors import InputError

RANDOM = np.random.default_rng(0)
SERIES = RANDOM.normal(size=(6, 4, 2))
IMAGES = RANDOM.integers(0, 256, (6, 3, 5), dtype=np.uint8)
LABELS = np.array([7, 9, 7, 9, 7, 7])


def series(**changes):
    given = {"inputs": SERIES, "channels": ("u", "v"), "target_names": ("y",), "task": "regression"}
    return ArrayDataset(**given | {"targets": RANDOM.normal(size=(6, 1)), "kind": "series"} | changes)


# --- the dataset ---------------------------------------------------------------------------------------------------


SPAN = np.stack([np.arange(6), np.arange(6) + 4], axis=1)
SPANS = Timeline(np.zeros(6, int), SPAN, SPAN)


def test_take_cuts_everything():
    data = series(
        targets=np.arange(24.0).reshape(6, 4, 1),
        weights=np.arange(24.0).reshape(6, 4),
        lengths=np.array([1, 2, 3, 4, 4, 4]),
        groups=np.arange(6) % 2,
        timeline=SPANS,
    )
    assert (data.rows, data.outputs, data.shape, data.target_shape) == (6, 1, (4, 2), (4, 1))
    for rows in (np.array([4, 1]), np.isin(np.arange(6), [1, 4])):
        cut = data.take(rows)
        order = np.array([4, 1]) if rows.dtype != bool else np.array([1, 4])
        np.testing.assert_array_equal(cut.inputs, SERIES[order])
        np.testing.assert_array_equal(cut.targets[:, 0, 0], 4 * order)
        np.testing.assert_array_equal(cut.weights[:, 0], 4 * order)
        np.testing.assert_array_equal(cut.lengths, data.lengths[order])
        np.testing.assert_array_equal(cut.groups, order % 2)
        np.testing.assert_array_equal(cut.timeline.seen[:, 1], order + 4)
        np.testing.assert_array_equal(cut.row_numbers, order)
    assert data.describe()[1] == {"name": "v", "kind": "series", "made": "1 to 4 steps, standardized", "note": ""}


def test_seal_takes_both_kinds_of_data():
    study, test = seal(read_arrays(IMAGES, LABELS), 0.34, seed=1)
    assert np.array_equal(np.sort(np.concatenate([study, test])), np.arange(6))
    assert set(LABELS[test]) == {7, 9}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": ("u",)}, "1 channels needs inputs"),
        ({"inputs": SERIES.astype(int)}, "needs inputs .* of uint8, float32, float64, got int64"),
        ({"targets": np.zeros((6, 3, 1))}, r"targets of the shape \(6, 3, 1\) do not fit"),
        ({"targets": np.zeros((5, 1))}, "5 examples cannot hold inputs of 6"),
        ({"weights": np.ones((6, 4))}, "one number an example, got"),
        ({"targets": np.zeros((6, 4, 1)), "weights": np.ones((6, 3))}, "an example or step, got"),
        ({"timeline": SPANS.take(np.arange(5))}, "cannot hold timeline of 5"),
    ],
)
def test_parts_that_do_not_fit(changes, said):
    with pytest.raises(InputError, match=said):
        series(**changes)


# --- reading arrays ------------------------------------------------------------------------------------------------


def test_images_stay_bytes_and_whole_numbers_are_classes():
    data = read_arrays(IMAGES, LABELS)
    assert (data.kind, data.channels, data.inputs.dtype, data.shape) == ("image", ("gray",), np.uint8, (3, 5, 1))
    np.testing.assert_array_equal(data.inputs[..., 0], IMAGES)
    assert (data.task, data.classes, data.outputs, data.target_shape) == ("binary", ("7", "9"), 1, (1,))
    np.testing.assert_array_equal(data.targets, [0, 1, 0, 1, 0, 0])
    np.testing.assert_array_equal(data.class_values, [7, 9])
    assert read_arrays(IMAGES, LABELS, task="regression").targets.tolist() == [[float(v)] for v in LABELS]
    color = read_arrays(RANDOM.normal(size=(6, 4, 4, 3)).astype(np.float32), LABELS)
    assert (color.channels, color.inputs.dtype) == (("red", "green", "blue"), np.float32)


def test_series_with_lengths_and_values_every_step():
    x, y = SERIES.copy(), RANDOM.normal(size=(6, 4, 1))
    lengths = np.array([4, 2, 4, 4, 1, 3])
    x[1, 2:], y[1, 2:] = np.nan, np.nan
    data = read_arrays(x, y, lengths=lengths, channels=("u", "v"), target="force")
    inside = np.arange(4) < lengths[:, None]
    np.testing.assert_array_equal(data.inputs, np.where(inside[..., None], x, 0))
    np.testing.assert_array_equal(data.targets, np.where(inside[..., None], y, 0))
    np.testing.assert_array_equal(data.weights, inside)
    assert (data.kind, data.channels, data.target_names, data.target_shape) == (
        "series",
        ("u", "v"),
        ("force",),
        (4, 1),
    )
    assert np.isnan(x[1, 2:]).all()  # what was given is not changed
    weighted = read_arrays(x, y, lengths=lengths, weights=np.full(6, 2.0))
    np.testing.assert_array_equal(weighted.weights, 2.0 * inside)


def test_arrays_of_other_libraries_and_formats():
    half = read_arrays(jnp.asarray(SERIES, jnp.float16), jnp.arange(6.0) ** 2)
    assert half.inputs.dtype == np.float32
    np.testing.assert_array_equal(half.inputs, SERIES.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(half.targets[:, 0], np.arange(6.0) ** 2)
    assert read_arrays(jnp.asarray(SERIES, jnp.bfloat16), np.arange(6.0) ** 2).inputs.dtype == np.float32
    assert read_arrays(IMAGES.astype(np.int64)[..., None], LABELS).inputs.dtype == np.float64
    assert read_arrays(IMAGES > 99, LABELS).inputs.dtype == np.uint8
    plain = read_arrays([[1, 2], [3, 4.5], [5, 6]], [1.5, 2, 4])
    assert (plain.kind, plain.shape, plain.channels) == ("array", (2,), ("x0", "x1"))
    np.testing.assert_array_equal(plain.inputs, [[1, 2], [3, 4.5], [5, 6]])


def test_one_hot_targets_are_classes():
    data = read_arrays(IMAGES, np.eye(3)[[2, 0, 1, 1, 0, 2]])
    assert (data.task, data.targets.tolist(), data.outputs) == ("multiclass", [2, 0, 1, 1, 0, 2], 3)
    assert "read as 3 classes" in str(data.notes[0])
    assert read_arrays(IMAGES, np.eye(3)[[2, 0, 1, 1, 0, 2]], task="regression").targets.shape == (6, 3)


def test_examples_without_a_target_are_left_out():
    data = read_arrays(IMAGES, ["a", None, "b", "a", "", "b"], groups=list("uvwuvw"), weights=np.arange(6.0))
    assert data.row_numbers.tolist() == [0, 2, 3, 5]
    np.testing.assert_array_equal(data.inputs[..., 0], IMAGES[[0, 2, 3, 5]])
    assert data.groups.tolist() == [0, 1, 0, 1]
    assert data.weights.tolist() == [0, 2, 3, 5]
    assert "2 examples without a target left out." in map(str, data.notes)


def test_a_number_for_each_step_may_be_meant():
    data = read_arrays(SERIES, RANDOM.normal(size=(6, 4)))
    assert data.target_shape == (4,)
    assert "give them as (6, 4, 1)" in str(data.notes[0])


nan = np.where(np.arange(48).reshape(6, 4, 2) == 21, np.nan, SERIES)


@pytest.mark.parametrize(
    ("x", "y", "options", "said"),
    [
        (nan, LABELS, {}, "1 are missing .* is missing, in example 3, step 3, channel 'x1'.*as lengths"),
        (nan[..., None], LABELS, {}, "in example 3, row 3, column 2, channel 'gray'.*leave those images out"),
        (np.full((6, 4, 2), np.inf), LABELS, {}, "48 are missing or infinite .the first is infinite"),
        (SERIES[:5], LABELS, {}, "5 examples need targets"),
        (SERIES, None, {}, "targets are missing"),
        (SERIES, np.zeros((6, 4, 1, 1)), {}, "need targets .n., .n, out. or"),
        (SERIES, np.zeros((6, 3, 1)), {}, "of as many steps"),
        (SERIES, np.zeros((6, 4, 1)), {}, "'y' is constant"),
        (SERIES, np.where(np.arange(24).reshape(6, 4, 1) == 3, np.nan, 1), {}, "targets need finite .* step 4"),
        (SERIES, SERIES[..., :1], {"task": "binary"}, "need the task 'regression'"),
        (SERIES, LABELS, {"lengths": [1, 2, 3, 4, 5, 1]}, "from 1 to 4 steps, got 5 for example 5"),
        (SERIES, LABELS, {"lengths": [1.5] * 6}, "whole number for each of 6 series, got object"),
        (SERIES, LABELS, {"lengths": [1, [2, 3]]}, "for each of 6 series"),
        (SERIES, LABELS, {"lengths": [1, None, 1, 1, 1, 1]}, "for each of 6 series"),
        (SERIES * 1j, LABELS, {}, "got an array of complex128"),
        (SERIES, [1, [2], 3, 4, 5, 6], {}, "target|array"),
        (IMAGES, LABELS, {"lengths": [1] * 6}, "lengths are for series"),
        (SERIES, LABELS, {"weights": [1, 1, 1]}, r"weights need the shape \(6,\)"),
        (SERIES, LABELS, {"weights": [1, 1, 1, 1, 1, -1]}, "of at least 0"),
        (SERIES, LABELS, {"groups": [1, 2]}, "for each of 6 examples, got 2"),
        (SERIES, LABELS, {"groups": [1, 2, None, 1, 2, 1]}, "some are missing"),
        (SERIES, LABELS, {"channels": ["u"]}, "channels needs 2 names"),
        (SERIES, LABELS, {"target": ["u", "v"]}, "target needs 1 name,"),
        (SERIES[0], [1, 2, 3, 4], {"kind": "image"}, "image inputs need the axes"),
        (SERIES, LABELS, {"kind": "imag"}, "Did you mean 'image'"),
        (SERIES, LABELS, {"part": "test"}, "part is for"),
        (np.zeros((6, 3, 32, 32)), LABELS, {}, r"numpy.moveaxis\(x, 1, -1\)"),
        (np.zeros((6, 3)), LABELS, {}, "all inputs are 0"),
        (np.zeros((0, 3)), [], {}, "at least one example"),
        (np.arange(6.0), LABELS, {}, "got an array of the shape"),
        ([[1, 2], [3]], [1, 2], {}, "cannot be read as an array|lists of different lengths"),
        ([["a"], ["b"]], [1, 2], {}, "array of numbers"),
        (np.array([["a"], ["b"]]), [1, 2], {}, "inputs need numbers"),
        (IMAGES, [1] * 6, {}, "constant"),
        (IMAGES, LABELS, {"task": "clasification"}, "Did you mean 'classification'"),
    ],
)
def test_arrays_that_cannot_be_read(x, y, options, said):
    with pytest.raises(InputError, match=said) as error:
        read_arrays(x, y, **options)
    assert "\n" not in str(error.value)


# --- NumPy files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("x", "y"), ("inputs", "targets"), ("Images", "labels"), ("data", "target")])
def test_npz(tmp_path, names):
    np.savez(tmp_path / "a.npz", **dict(zip(names, (IMAGES, LABELS), strict=True)), weights=np.arange(6.0))
    data = read_arrays(tmp_path / "a.npz")
    np.testing.assert_array_equal(data.inputs[..., 0], IMAGES)
    assert data.targets.tolist() == [0, 1, 0, 1, 0, 0]
    assert data.weights.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(ArrayEncoder.fit(data).transform(tmp_path / "a.npz")[..., 0], IMAGES)


def test_parts_of_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:4], y_test=LABELS[:4])
    assert (read_arrays(path).rows, read_arrays(path, part="train").rows) == (6, 6)
    assert read_arrays(path, part="test").rows == 4
    assert str(read_arrays(path).notes[0]) == 'a.npz also holds test examples; part="test" reads them.'
    swapped = {"train_images": IMAGES, "train_labels": LABELS}
    assert read_arrays(swapped).rows == 6
    with pytest.raises(InputError, match=r"of the part 'test', but holds 'train_images', 'train_labels'"):
        read_arrays(swapped, part="test")
    with pytest.raises(InputError, match="Did you mean 'test'"):
        read_arrays(swapped, part="tets")


def test_npy(tmp_path):
    np.save(tmp_path / "x.npy", SERIES)
    np.save(tmp_path / "y.npy", np.arange(6) ** 2.0)
    data = read_arrays(tmp_path / "x.npy", tmp_path / "y.npy")
    np.testing.assert_array_equal(data.inputs, SERIES)
    np.testing.assert_array_equal(ArrayEncoder.fit(data).transform(str(tmp_path / "x.npy")), SERIES)


def test_files_that_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([[1], [object]], dtype=object), y=LABELS)
    with pytest.raises(InputError, match="pickled objects"):
        read_arrays(path)
    np.savez(path, a=IMAGES, b=LABELS)
    with pytest.raises(InputError, match=r"a.npz needs arrays x and y .* but holds 'a', 'b'"):
        read_arrays(path)
    with pytest.raises(InputError, match="needs an array x"):
        ArrayEncoder.fit(read_arrays(IMAGES, LABELS, kind="array")).transform(path)
    with pytest.raises(InputError, match="there is no file"):
        read_arrays(tmp_path / "b.npz")
    with pytest.raises(InputError, match=r"has to end in .npy or .npz"):
        read_arrays(tmp_path / "b.mat")
    with pytest.raises(InputError, match="targets is for arrays"):
        read_arrays(path, LABELS)
    path.write_bytes(b"not a zip file")
    with pytest.raises(InputError, match="no NumPy file"):
        read_arrays(path)


def sentence(path):
    """What reading the file complains about; any other exception goes through."""
    try:
        read_arrays(path)
    except InputError as error:
        return str(error)
    return ""


def test_mutated_npz(tmp_path_factory):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    good = {}
    for store in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        store(file, x=IMAGES, y=LABELS)
        good[store] = file.getvalue()

    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from(list(good)), st.data())
    def check(store, draw):
        data = bytearray(good[store])
        for _ in range(draw.draw(st.integers(1, 3))):
            place = draw.draw(st.integers(0, len(data) - 1))
            if draw.draw(st.booleans()):
                data[place] = draw.draw(st.integers(0, 255))
            else:
                del data[place : place + draw.draw(st.integers(1, 20))]
        path.write_bytes(bytes(data))
        said = sentence(path)
        assert "\n" not in said
        assert len(said) < 1000

    check()


def test_headers_that_lie(tmp_path):
    """The checksum does not save a file that was written wrong: its header may ask for any size or type."""
    path = tmp_path / "a.npz"
    for header in (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000000,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3), }",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (3,), }",
        "__import__('os')",
        "((((",
    ):
        text = header.encode() + b"\n"
        array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(24)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("x.npy", array)
            file.writestr("y.npy", array)
        with pytest.raises(InputError):
            read_arrays(path)


# --- the encoder ---------------------------------------------------------------------------------------------------


def test_encoder_of_series():
    encoder = ArrayEncoder.fit(series())
    assert (encoder.shape, encoder.feature_names, encoder.target_names) == ((4, 2), ("u", "v"), ("y",))
    longer = RANDOM.normal(size=(3, 9, 2)).astype(np.float32)
    assert encoder.transform(longer) is longer
    cut = encoder.transform(longer, lengths=[9, 4, 1])
    np.testing.assert_array_equal(cut, np.where((np.arange(9) < np.array([[9], [4], [1]]))[..., None], longer, 0))
    for bad in (longer[..., :1], longer[0], longer[:, :0], longer[:, 0], longer[None]):
        with pytest.raises(InputError, match=r"needs series \[n, time, 2\]"):
            encoder.transform(bad)
    with pytest.raises(InputError, match=r"x\[None\]"):
        encoder.transform(longer[0])
    with pytest.raises(InputError, match="no examples"):
        encoder.transform(longer[:0])
    with pytest.raises(InputError, match="channel 'v'"):
        encoder.transform(nan)
    assert encoder.transform(nan, lengths=[4, 4, 2, 4, 4, 4])[2, 2, 1] == 0
    with pytest.raises(InputError, match="trained on series, but here are images"):
        encoder.transform(read_arrays(IMAGES, LABELS))
    one = ArrayEncoder.fit(series(inputs=SERIES[..., :1], channels=("u",)))
    np.testing.assert_array_equal(one.transform(SERIES[..., 0]), SERIES[..., :1])


def test_encoder_of_images():
    encoder = ArrayEncoder.fit(read_arrays(IMAGES, LABELS))
    np.testing.assert_array_equal(encoder.transform(IMAGES), IMAGES[..., None])
    np.testing.assert_array_equal(encoder.transform(IMAGES[..., None]), IMAGES[..., None])
    for bad in (IMAGES[:, :2], IMAGES[:, :, :4], IMAGES[0], np.repeat(IMAGES[..., None], 3, axis=3)):
        with pytest.raises(InputError, match=r"needs images \[n, 3, 5, 1\]"):
            encoder.transform(bad)
    with pytest.raises(InputError, match="lengths are for arrays of series"):
        encoder.transform(IMAGES, lengths=[1])
    assert encoder.notes_for(IMAGES) == ()
    assert "same units" in str(encoder.notes_for(IMAGES / 255)[0])
    assert encoder.describe() == [{"name": "gray", "kind": "image", "made": "3 x 5 pixels, standardized", "note": ""}]


def test_other_channel_names_are_noted():
    encoder = ArrayEncoder.fit(series())
    assert "matched by their order" in str(encoder.notes_for(series(channels=("v", "u")))[0])


def test_encoder_json():
    for data in (series(), read_arrays(IMAGES, LABELS), read_arrays(SERIES[0], [1.0, 2.5, 3, 4])):
        encoder = ArrayEncoder.fit(data)
        text = json.dumps(encoder.to_json())
        assert json.loads(text)["kind"] == data.kind
        assert ArrayEncoder.from_json(json.loads(text)) == encoder


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "table"), ("kind", 3), ("kind", []), ("shape", [4]), ("shape", [4, 2, 1]), ("shape", [4, 3]),
        ("shape", [0, 2]), ("shape", [4.0, 2]), ("shape", "42"), ("shape", None), ("channels", ["u"]),
        ("channels", "uv"), ("channels", [1, 2]), ("target_names", "y"), ("range", [1]), ("range", [2, 1]),
        ("range", [0, float("inf")]), ("range", ["a", "b"]), ("range", None), ("more", 1), ("shape", [True, 2]),
    ],
)  # fmt: skip
def test_altered_json(key, value):
    data = ArrayEncoder.fit(series()).to_json() | {key: value}
    with pytest.raises(InputError):
        ArrayEncoder.from_json(data)
    data = ArrayEncoder.fit(series()).to_json()
    data.pop(key, None)
    if key != "more":
        with pytest.raises(InputError, match="lacks the key"):
            ArrayEncoder.from_json(data)
    with pytest.raises(InputError, match="needs an object"):
        ArrayEncoder.from_json([data])
