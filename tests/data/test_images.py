"""Folders of pictures, idx files and NumPy files as images with classes."""

import gzip
import io
import os
import threading
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from perceptory import notes
from perceptory.app.new_data import read_new, together
from perceptory.data import ArrayEncoder, load_pictures, read_images
from perceptory.data.images import files as picture_files
from perceptory.data.images.idx import read_idx
from perceptory.errors import InputError

RANDOM = np.random.default_rng(0)
GRAY = RANDOM.integers(0, 256, (8, 4, 6), dtype=np.uint8)
LABELS = np.array([3, 1, 3, 1, 2, 2, 3, 3], np.uint8)
CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx_bytes(array, kind="u1"):
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, CODES[kind], array.ndim]) + sizes + array.astype(kind).tobytes()


def mnist_folder(folder, zipped=False, test=True):
    for name, rows in (("train", slice(0, 6)), ("t10k", slice(4, 8)))[: 1 + test]:
        for kind, array in (("images-idx3", GRAY[rows]), ("labels-idx1", LABELS[rows])):
            data = idx_bytes(array)
            path = folder / f"{name}-{kind}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(data) if zipped else data)
    return folder


def picture_folder(folder, arrays, labels, ending="png"):
    for k, (array, label) in enumerate(zip(arrays, labels, strict=True)):
        (folder / label).mkdir(exist_ok=True, parents=True)
        Image.fromarray(array).save(folder / label / f"{k:03d}.{ending}")
    return folder


# --- idx -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_types(tmp_path, kind, zipped):
    array = RANDOM.integers(0, 100, (3, 2, 5)).astype(kind)
    data = idx_bytes(array, kind)
    (tmp_path / "a").write_bytes(gzip.compress(data) if zipped else data)
    read = read_idx(tmp_path / "a")
    np.testing.assert_array_equal(read, array)
    assert read.dtype.isnative


@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_folder(tmp_path, zipped):
    folder = mnist_folder(tmp_path, zipped)
    data = read_images(folder)
    np.testing.assert_array_equal(data.inputs[..., 0], GRAY[:6])
    assert (data.inputs.dtype, data.kind, data.channels, data.task) == (np.uint8, "image", ("gray",), "multiclass")
    assert data.class_values.tolist() == [1, 2, 3]
    assert data.targets.tolist() == [2, 0, 2, 0, 1, 1]
    assert notes.other_part.describes(data.notes[0])
    test = read_images(folder, part="test")
    np.testing.assert_array_equal(test.inputs[..., 0], GRAY[4:])
    assert test.notes == ()
    one = read_images(next(folder.glob("t10k-images*")))
    np.testing.assert_array_equal(one.inputs, test.inputs)
    np.testing.assert_array_equal(one.targets, test.targets)


def test_idx_that_does_not_fit(tmp_path):
    mnist_folder(tmp_path, test=False)
    with pytest.raises(InputError, match="no images of the part 'test': expected a name such as t10k-images"):
        read_images(tmp_path, part="test")
    with pytest.raises(InputError, match="size scales"):
        read_images(tmp_path, size=(2, 2))
    with pytest.raises(InputError, match="not named as images"):
        read_images(tmp_path / "train-labels-idx1-ubyte")
    with pytest.raises(InputError, match="one part by itself"):
        read_images(tmp_path / "train-images-idx3-ubyte", part="train")
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(LABELS[:5]))
    with pytest.raises(InputError, match=r"with the same n, got the axes \(6, 4, 6\) and \(5,\)"):
        read_images(tmp_path)
    labels.unlink()
    with pytest.raises(InputError, match=r"no labels beside train-images-idx3-ubyte: expected train-labels-idx1-ubyte"):
        read_images(tmp_path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with nothing"),
        (b"\0\0\x08", "begins with 00 00 08"),
        (b"\0\1\x08\1" + bytes(9), "is no idx file"),
        (b"\0\0\x07\1" + bytes(9), "is no idx file"),
        (b"\0\0\x08\0", "is no idx file"),
        (b"\0\0\x08\2\0\0\0\1\0\0", "needs 2 sizes above 0"),
        (b"\0\0\x08\1\0\0\0\0", "needs 1 sizes above 0"),
        (b"\0\0\x08\1\0\0\0\3ab", "needs 3 bytes for the axes 3, but holds 2"),
        (b"\0\0\x08\1\0\0\0\3abcd", "needs 3 bytes for the axes 3, but holds more"),
        (b"\0\0\x0e\4" + b"\xff" * 99, "bytes for the axes 4294967295 x"),
        (b"\x1f\x8b\x08 no gzip file", "cannot be read"),
        (gzip.compress(idx_bytes(GRAY), mtime=0)[:-30], "cannot be read"),
    ],
)
def test_bytes_that_are_no_idx_file(tmp_path, data, said):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_idx(tmp_path / "a")


def test_mutated_idx(tmp_path_factory):
    folder = mnist_folder(tmp_path_factory.mktemp("idx"), test=False)
    path = folder / "train-images-idx3-ubyte"
    plain = idx_bytes(GRAY[:6])
    good = [plain, gzip.compress(plain)]

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, 1), st.data())
    def check(which, draw):
        data = bytearray(good[which])
        for _ in range(draw.draw(st.integers(1, 3))):
            place = draw.draw(st.integers(0, min(len(data) - 1, draw.draw(st.sampled_from([16, 10**6])))))
            if draw.draw(st.booleans()):
                data[place] = draw.draw(st.integers(0, 255))
            else:
                data[place : place + draw.draw(st.integers(0, 9))] = draw.draw(st.binary(max_size=4))
        path.write_bytes(bytes(data))
        said = sentence(folder)
        assert "\n" not in said
        assert len(said) < 600

    check()


def sentence(source, **options):
    """What reading complains about; any other exception goes through."""
    try:
        data = read_images(source, **options)
    except InputError as error:
        return str(error)
    assert data.rows == len(data.inputs) > 0
    return ""


# --- pictures ------------------------------------------------------------------------------------------------------


def test_folder_a_class(tmp_path):
    picture_folder(tmp_path, GRAY[:4], ["10", "9", "10", "9"])
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "9" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "9" / "about.txt").write_text("x")
    data = read_images(tmp_path)
    assert data.classes == ("9", "10")
    assert data.class_values.tolist() == ["9", "10"]  # names of folders, not numbers
    assert data.targets.tolist() == [1, 1, 0, 0]
    np.testing.assert_array_equal(data.inputs[..., 0], GRAY[[0, 2, 1, 3]])
    assert (data.inputs.dtype, data.channels, data.target_names) == (np.uint8, ("gray",), ("class",))
    assert [str(n) for n in data.notes] == ["1 file in 9 that are no PNG or JPEG left aside."]
    assert ArrayEncoder.fit(data).transform(tmp_path / "10").tolist() == GRAY[[0, 2]][..., None].tolist()


def test_words_that_mean_something_in_tables_are_names_here(tmp_path):
    picture_folder(tmp_path, GRAY[:6], ["NA", "true", "train"] * 2)
    assert read_images(tmp_path).classes == ("NA", "train", "true")


def test_train_and_test(tmp_path):
    picture_folder(tmp_path / "train", GRAY[:4], list("abab"))
    picture_folder(tmp_path / "Test", GRAY[4:], list("abab"))
    np.testing.assert_array_equal(read_images(tmp_path).inputs[..., 0], GRAY[[0, 2, 1, 3]])
    np.testing.assert_array_equal(read_images(tmp_path, part="test").inputs[..., 0], GRAY[[4, 6, 5, 7]])
    with pytest.raises(InputError, match="no subfolders train and test"):
        read_images(tmp_path / "train", part="test")


def test_colors_and_transparency(tmp_path):
    color = RANDOM.integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    glass = np.concatenate([color[2], np.full((4, 6, 1), 9, np.uint8)], axis=2)
    picture_folder(tmp_path, [GRAY[0], color[1], glass, GRAY[3]], list("abab"))
    data = read_images(tmp_path)
    assert data.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(data.inputs[0], np.repeat(GRAY[0][..., None], 3, axis=2))
    np.testing.assert_array_equal(data.inputs[1], color[2])
    np.testing.assert_array_equal(data.inputs[2], color[1])
    assert [str(n) for n in data.notes] == ["transparency of 1 picture left out."]
    gray = ArrayEncoder.fit(read_images(picture_folder(tmp_path / "g", GRAY[:4], list("abab"))))
    expected = np.asarray(Image.fromarray(color[1]).convert("L"))
    np.testing.assert_array_equal(gray.transform(tmp_path / "b" / "001.png")[0, ..., 0], expected)


def test_sizes(tmp_path):
    folder = picture_folder(tmp_path, [GRAY[0], GRAY[1][:2], GRAY[2], GRAY[3]], list("abab"))
    with pytest.raises(InputError) as error:
        read_images(folder)
    assert str(error.value) == (
        "pictures need one size, but have 2 (height x width): 4 x 6 (3 files, such as a/000.png), 2 x 6 (1 file, such "
        "as b/001.png). Give size=(4, 6) to scale them, or crop them."
    )
    data = read_images(folder, size=(4, 6))
    np.testing.assert_array_equal(data.inputs[[0, 1, 3], ..., 0], GRAY[[0, 2, 3]])
    assert data.shape == (4, 6, 1)
    halves = load_pictures(folder / "a", size=(2, 3))[0]
    assert halves.shape == (2, 2, 3, 1)
    flat = np.full((4, 6), 77, np.uint8)
    Image.fromarray(flat).save(tmp_path / "flat.png")
    assert (load_pictures(tmp_path / "flat.png", size=(2, 3))[0] == 77).all()
    for bad in (5, (5,), (0, 3), ("a", 3), "23"):
        with pytest.raises(InputError, match="size"):
            read_images(folder, size=bad)


def test_jpeg_is_turned_as_the_camera_says(tmp_path):
    step = np.zeros((8, 16), np.uint8)
    step[:, 8:] = 255  # dark on the left
    exif = Image.Exif()
    exif[274] = 6  # turn by a quarter, clockwise: the left becomes the top
    Image.fromarray(step).save(tmp_path / "a.jpg", exif=exif, quality=100)
    array = load_pictures(tmp_path / "a.jpg")[0][0, ..., 0]
    assert array.shape == (16, 8)
    assert array[:8].max() < 9 < 246 < array[8:].min()


def test_threads_decode_into_one_array(tmp_path, monkeypatch):
    colors = RANDOM.integers(0, 256, (48, 64, 64, 3), dtype=np.uint8)
    picture_folder(tmp_path, colors, ["a"] * 48, "jpg")
    monkeypatch.setattr(picture_files, "TOGETHER", 4)
    expected = np.concatenate([load_pictures(p)[0] for p in sorted((tmp_path / "a").iterdir())])
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    at_once, read = threading.Barrier(3), picture_files._read

    def met(*args):
        at_once.wait(timeout=30)  # goes on when three threads are here
        return read(*args)

    monkeypatch.setattr(picture_files, "_read", met)
    tracemalloc.start()
    try:
        array, _ = load_pictures(tmp_path / "a")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(array, expected)
    assert peak < 1.5 * array.nbytes


def test_pictures_unlike_the_first_one(tmp_path):
    colors = RANDOM.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    files = [tmp_path / f"{k}.png" for k in range(3)]
    for file, picture in zip(files, (colors[0, ..., 0], colors[1], colors[2]), strict=True):
        Image.fromarray(picture).save(file)
    array, _ = load_pictures(files)
    np.testing.assert_array_equal(array, [np.repeat(colors[0, ..., :1], 3, axis=-1), colors[1], colors[2]])
    assert load_pictures(files[:1])[0].shape == (1, 8, 8, 1)
    assert load_pictures(files, channels=1)[0].shape == (3, 8, 8, 1)
    Image.fromarray(colors[0, :4]).save(files[2])
    with pytest.raises(InputError, match=r"have 2 \(height x width\): 8 x 8 \(2 files"):
        load_pictures(files)
    files[1].write_bytes(b"none")
    with pytest.raises(InputError, match=r"1\.png cannot be read"):
        load_pictures(files)


def test_a_folder_is_predicted_some_pictures_at_a_time(tmp_path, monkeypatch):
    folder = picture_folder(tmp_path, GRAY, list("abababab"))
    Image.fromarray(GRAY[0]).convert("LA").save(folder / "a" / "999.png")
    encoder = ArrayEncoder.fit(read_images(folder))
    monkeypatch.setattr(picture_files, "PART_BYTES", 3 * 4 * 6)
    parts = list(encoder.batches(folder / "b", 1000))
    assert [len(part.inputs) for part in parts] == [3, 1]
    np.testing.assert_array_equal(np.concatenate([part.inputs for part in parts]), encoder.transform(folder / "b"))
    assert np.concatenate([part.rows for part in parts]).tolist() == [0, 1, 2, 3]
    assert [len(part.inputs) for part in encoder.batches(folder / "b", 2)] == [2, 2]
    read = list(read_new(SimpleNamespace(encoder=encoder), str(folder)))
    assert [dict(new.names)["row"].tolist() for new in read] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert [name for new in read for name in dict(new.names)["file"]] == [
        *(f"a/{k:03d}.png" for k in (0, 2, 4, 6, 999)), *(f"b/{k:03d}.png" for k in (1, 3, 5, 7))
    ]  # fmt: skip
    assert [n.facts for n in together(n for new in read for n in new.notes)] == [{"pictures": 1}]


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (lambda f: None, {}, "a subfolder for each of at least two classes, but has none"),
        (lambda f: picture_folder(f, GRAY[:2], ["a", "a"]), {}, "two classes, but has 'a'"),
        (lambda f: (picture_folder(f, GRAY[:4], list("abab")), (f / "c").mkdir()), {}, "subfolder 'c' .* holds no PNG"),
        (lambda f: picture_folder(f / "c", GRAY[:4], list("abab")), {}, "'c' .* no PNG or JPEG files but subfolders"),
        (lambda f: picture_folder(f / "train", GRAY[:4], list("abab")), {"part": "test"}, "no subfolder 'test'"),
        (lambda f: picture_folder(f, GRAY[:4], list("abab")), {"part": "tst"}, "Did you mean 'test'"),
        (lambda f: picture_folder(f, GRAY[:4], list("abab")), {"task": "regression"}, "needs a target of numbers"),
        (lambda f: picture_folder(f, [g.astype(np.uint16) for g in GRAY[:4]], list("abab")), {}, "more than 8 bits"),
        (lambda f: picture_folder(f, np.zeros((4, 2, 2), np.uint8), list("abab")), {}, "all inputs are 0"),
    ],
)
def test_folders_that_cannot_be_read(tmp_path, make, options, said):
    make(tmp_path)
    with pytest.raises(InputError, match=said):
        read_images(tmp_path, **options)


def test_sources_that_are_none(tmp_path):
    with pytest.raises(InputError, match="read_images needs a path, got a ndarray"):
        read_images(GRAY)
    with pytest.raises(InputError, match="no file or folder"):
        read_images(tmp_path / "a")
    (tmp_path / "a.csv").write_text("a,b")
    with pytest.raises(InputError, match="is no source of images"):
        read_images(tmp_path / "a.csv")
    with pytest.raises(InputError, match="no PNG or JPEG files"):
        load_pictures(tmp_path)
    for files in (3, [3], None):
        with pytest.raises(InputError, match="needs a path or a list of paths"):
            load_pictures(files)
    np.savez(tmp_path / "a.npz", x_train=GRAY, y_train=LABELS, x_test=GRAY[:4], y_test=LABELS[:4])
    assert read_images(tmp_path / "a.npz", part="test").shape == (4, 6, 1)


def test_mutated_pictures(tmp_path_factory):
    folder = picture_folder(tmp_path_factory.mktemp("pictures"), GRAY[:3], list("aab"))
    path = folder / "b" / "bad.png"
    good = []
    for kind in ("PNG", "JPEG"):
        file = io.BytesIO()
        Image.fromarray(GRAY[3]).save(file, kind)
        good.append(file.getvalue())

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, 1), st.data())
    def check(which, draw):
        data = bytearray(good[which])
        for _ in range(draw.draw(st.integers(1, 3))):
            place = draw.draw(st.integers(0, len(data) - 1))
            data[place : place + draw.draw(st.integers(0, 9))] = draw.draw(st.binary(max_size=4))
        path.write_bytes(bytes(data))
        said = sentence(folder)
        assert "\n" not in said
        assert len(said) < 600

    check()
