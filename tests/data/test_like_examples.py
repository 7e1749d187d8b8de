"""Series, images and arrays to test on are read as the study's own were, as `test_like` has it for tables."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from perceptory import Study, notes, read_arrays, read_images, read_series
from perceptory.app.source import OPTIONS, source_of
from perceptory.data import ArrayEncoder
from perceptory.errors import InputError
from perceptory.studies.sealing import seal_off

RANDOM = np.random.default_rng(0)
N = 48
X = RANDOM.normal(size=(N, 4))
WAVES = RANDOM.normal(size=(N, 5, 2))
THIRDS = np.arange(N) % 3
NUMBERS = X[:, 0] + 1
ARRAYS = {
    "whole numbers": (X, THIRDS, THIRDS),
    "texts": (X, np.array(["a", "b", "c"])[THIRDS], THIRDS),
    "two": (X, THIRDS > 0, THIRDS > 0),
    "one-hot": (X, np.eye(3)[THIRDS], THIRDS),
    "numbers": (X, NUMBERS, NUMBERS[:, None]),
    "several": (X, np.stack([NUMBERS, -NUMBERS], 1), np.stack([NUMBERS, -NUMBERS], 1)),
    "series": (WAVES, THIRDS, THIRDS),
    "every step": (WAVES, WAVES * 2, WAVES * 2),
    "pictures": (RANDOM.integers(0, 255, (N, 3, 3)).astype(np.uint8), THIRDS, THIRDS),
}
PLACES = {"one": [1], "one class": [1, 4, 7], "the same": [2, 2], "some": [0, 1, 3, 4], "all": list(range(N))}


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("case", ARRAYS)
def test_arrays(case, places, tmp_path):
    x, y, expected = ARRAYS[case]
    data, rows = read_arrays(x, y), PLACES[places]
    np.savez(tmp_path / "test.npz", x_train=x, y_train=y, x_test=x[rows], y_test=y[rows])
    for test in (read_arrays(x[rows], y[rows], like=data), read_arrays(tmp_path / "test.npz", part="test", like=data)):
        assert (test.kind, test.task, test.classes, test.channels) == (
            data.kind,
            data.task,
            data.classes,
            data.channels,
        )
        np.testing.assert_array_equal(test.targets, expected[rows])
        np.testing.assert_array_equal(ArrayEncoder.fit(data).transform(test), data.inputs[rows])
        assert seal_off(Study(), data, test).test is not None


def test_constant_inputs_and_few_whole_numbers():
    data = read_arrays(X, NUMBERS)
    test = read_arrays(np.ones((6, 4)), [0, 1, 0, 1, 0, 1], like=data)
    assert (test.task, test.targets[:, 0].tolist()) == ("regression", [0, 1, 0, 1, 0, 1])
    assert read_arrays(X[:2], [np.nan, 1.0], like=data).rows == 1
    assert seal_off(Study(), data, read_arrays(X[:2], [2.0, 2.0], like=data)).notes == (notes.tested_on_constant("y"),)
    assert seal_off(Study(), *(read_arrays(X, THIRDS), read_arrays(X[:1], [2], like=read_arrays(X, THIRDS)))).notes == (
        notes.tested_on_one_class("2"),
    )


# --- series in a table --------------------------------------------------------------------------------------------

LONG = pd.DataFrame(RANDOM.normal(size=(80, 3)), columns=["u", "v", "y"])
OF = np.repeat(np.arange(24), 5)
SHORT = pd.DataFrame({
    "id": OF, "u": RANDOM.normal(size=120), "kind": np.array(["a", "b", "c"])[OF % 3], "flag": OF % 2,
    "size": RANDOM.normal(size=24)[OF],
})  # fmt: skip
SERIES = {
    "ahead": {"target": "y", "predict": "ahead", "window": 4},
    "ahead by several": {"target": "y", "predict": "ahead", "window": 4, "horizon": (1, 2)},
    "every step": {"target": "y", "predict": "every step", "window": 8},
    "known outputs": {"target": "y", "predict": "every step", "window": 8, "known": 2},
    "class": {"target": "kind", "predict": "one value", "series": "id", "ignore": ["flag", "size"]},
    "flag": {"target": "flag", "predict": "one value", "series": "id", "ignore": ["kind", "size"]},
    "number": {"target": "size", "predict": "one value", "series": "id", "ignore": ["kind", "flag"]},
}
CHANGES = {
    "few rows": lambda frame: frame,
    "constant input": lambda frame: frame.assign(u=1.0),
    "constant": lambda frame: frame.assign(y=2.0) if "y" in frame else frame.iloc[:5],
    "zeros": lambda frame: frame * 0 if "y" in frame else frame.assign(u=0.0),
    "another column": lambda frame: frame.assign(more="text"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("case", SERIES)
def test_series(case, change):
    frame = LONG if "y" in SERIES[case]["target"] else SHORT
    data = read_series(frame, **SERIES[case])
    few = CHANGES[change](frame.iloc[:8] if frame is LONG else frame.iloc[:10])
    test = read_series(few, **SERIES[case], like=data)
    assert (test.task, test.classes, test.channels) == (data.task, data.classes, data.channels)
    assert test.target_names == data.target_names
    if change == "few rows":
        np.testing.assert_array_equal(test.targets, data.targets[: test.rows])
        np.testing.assert_array_equal(test.inputs, data.inputs[: test.rows])


# --- pictures -----------------------------------------------------------------------------------------------------


def pictures(folder, classes, count, draw=lambda: RANDOM.integers(0, 255, (4, 4)).astype(np.uint8)):
    shutil.rmtree(folder, ignore_errors=True)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(draw()).save(folder / name / f"{k}.png")
    return folder


def test_pictures(tmp_path):
    data = read_images(pictures(tmp_path / "train", "abc", 4))
    for classes, count, expected in (("b", 1, [1]), ("b", 3, [1, 1, 1]), ("ac", 1, [0, 2])):
        test = read_images(pictures(tmp_path / "test", classes, count), like=data)
        assert (test.targets.tolist(), test.classes) == (expected, data.classes)
    constant = read_images(pictures(tmp_path / "test", "a", 1, lambda: np.full((4, 4), 9, np.uint8)), like=data)
    assert np.unique(constant.inputs).tolist() == [9]
    large = read_images(pictures(tmp_path / "test", "a", 1, lambda: np.zeros((9, 7, 3), np.uint8)), like=data)
    assert large.inputs.shape == (1, 4, 4, 1)
    test = read_images(pictures(tmp_path / "new", "az", 1), like=data)
    assert test.targets.tolist() == [0]
    assert [(n.kind, n.facts["classes"], n.facts["share"]) for n in test.notes] == [
        ("classes_not_learned", ("z",), 0.5)
    ]


# --- refusals, and the command line -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        (lambda like: read_arrays(X[:3], [9, 8, 7], like=like), "classes that the study has not: '7', '8', '9'"),
        (lambda like: read_arrays(X[:3, :2], [0, 1, 2], like=like), r"needs arrays \[n, 4\]"),
        (lambda like: read_arrays(X[:3] * np.nan, [0, 1, 2], like=like), "missing or infinite"),
        (lambda like: read_arrays(X[:3], [None, None, None], like=like), "no example has a value"),
        (lambda like: read_arrays(X[:3], [0, 1, 2], like=like, task="regression"), "says task, kind, channels and ta"),
    ],
)
def test_what_does_not_fit_is_refused(read, sentence):
    with pytest.raises(InputError, match=sentence):
        read(read_arrays(X, THIRDS))


@pytest.mark.parametrize("case", ["arrays", "parts", "series", "images"])
def test_the_command_line_reads_test_rows_so(case, tmp_path):
    file, test, more = tmp_path / "train.npz", tmp_path / "test.npz", {}
    np.savez(test, x=X[1:2], y=THIRDS[1:2])
    np.savez(file, x=X, y=THIRDS)
    if case == "parts":
        np.savez(file, x_train=X, y_train=THIRDS, x_test=X[1:2], y_test=THIRDS[1:2])
    if case == "series":
        file, test = tmp_path / "train.csv", tmp_path / "test.csv"
        SHORT.to_csv(file, index=False)
        SHORT.iloc[5:10].to_csv(test, index=False)
        more = {"target": ["kind"], "predict": "one value", "series": "id", "ignore": ["flag", "size"]}
    if case == "images":
        file, test = pictures(tmp_path / "train", "abc", 4), pictures(tmp_path / "test", "b", 1)
    none = dict.fromkeys([*OPTIONS, "task", "memory"])
    options = none | {name: [] for name in ("target", "ignore", "inputs", "missing")} | more | {"data": str(file)}
    source = source_of(options)
    data, own = source.read(str(file))
    read = own if case == "parts" else source.read_test(str(test), data)
    assert (read.rows, read.task, read.targets.tolist()) == (1, "multiclass", [1])
