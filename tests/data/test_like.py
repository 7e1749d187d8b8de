"""Rows to test on are read as the study's own were, though there be one of them, of one class, of constant inputs."""

import numpy as np
import pytest

from perceptory import Study, read_table
from perceptory.app.source import OPTIONS, Source
from perceptory.data import Encoder
from perceptory.errors import InputError
from perceptory.studies.sealing import seal_off

RANDOM = np.random.default_rng(0)
COLUMNS = {
    "x": RANDOM.normal(size=60).round(3),
    "site": np.array(["a", "b", "c"] * 20, object),
    "on": np.array([True, False] * 30),
    "when": np.datetime64("2020-01-01") + np.arange(60),
}
CLASSES = {
    "texts": np.array(["no", "yes"] * 30, object),
    "three": np.array(["p", "q", "r"] * 20, object),
    "numbers": np.array([0, 1, 2] * 20),
    "truth": np.array([True, False] * 30),
    "gaps": np.array([3, 7] * 30, object).astype(str).astype(object),
}


def rows(target, places):
    return {name: np.asarray(values)[places] for name, values in (COLUMNS | {"y": target}).items()}


@pytest.fixture(params=CLASSES)
def classes(request):
    return CLASSES[request.param]


@pytest.mark.parametrize(
    "places", [[0], [1], [0, 2, 4], range(0, 60, 6), range(60)], ids=["one", "two", "some", "same", "all"]
)
def test_classes(classes, places):
    data = read_table(COLUMNS | {"y": classes}, "y", task="classification")
    test = read_table(rows(classes, list(places)), like=data)
    assert (test.task, test.classes, test.target_names) == (data.task, data.classes, ("y",))
    assert test.targets.tolist() == data.targets[list(places)].tolist()
    encoder = Encoder.fit(data)
    assert np.array_equal(encoder.transform(test), encoder.transform(data)[list(places)], equal_nan=True)
    assert seal_off(Study(), data, test).test is not None


@pytest.mark.parametrize("places", [[0], [5, 5, 5], range(60)], ids=["one", "same", "all"])
def test_numbers(places):
    y = COLUMNS["x"] * 2
    data = read_table(COLUMNS | {"y": y}, "y")
    test = read_table(rows(y, list(places)), like=data)
    assert (test.task, test.classes) == ("regression", None)
    assert test.targets[:, 0].tolist() == y[list(places)].tolist()


def test_small_whole_numbers_stay_numbers():
    """By themselves these three would be classes."""
    y = np.arange(60.0)
    data = read_table(COLUMNS | {"y": y}, "y")
    assert read_table(rows(y, [0, 1, 2] * 4), like=data).task == "regression"


def test_files(tmp_path):
    """The same through files, where everything is text; columns in another order, one more, a row without a target."""
    (tmp_path / "train.csv").write_text(
        "x,site,y\n" + "".join(f"{k % 7},{'ab'[k % 2]},{['no', 'yes'][k % 2]}\n" for k in range(40))
    )
    (tmp_path / "test.csv").write_text("y,more,site,x\nyes,1,a,3\n,1,a,3\nyes,1,zzz,4\n")
    data = read_table(str(tmp_path / "train.csv"), "y")
    test = read_table(str(tmp_path / "test.csv"), like=data)
    assert test.targets.tolist() == [1, 1]
    assert test.row_numbers.tolist() == [0, 2]
    assert [str(note) for note in test.notes] == ["1 row without a value of the target 'y' left out."]
    assert Encoder.fit(data).transform(test).shape == (2, 3)


def test_the_command_lines_file_of_test_rows(tmp_path):
    (tmp_path / "train.csv").write_text("x,y\n" + "".join(f"{k % 7},{'pqr'[k % 3]}\n" for k in range(60)))
    (tmp_path / "test.csv").write_text("x,y\n3,q\n")
    names = ("target", "ignore", "inputs", "missing")
    options = dict.fromkeys([*OPTIONS, "task", "memory"])
    options |= {name: [] for name in names} | {"target": ["y"], "data": str(tmp_path / "train.csv")}
    source = Source("table", options)
    data, _ = source.read(str(tmp_path / "train.csv"))
    test = source.read_test(str(tmp_path / "test.csv"), data)
    assert (test.rows, test.task, test.targets.tolist()) == (1, "multiclass", [1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": np.array(["perhaps", "maybe"], object)}, "classes that the study has not: 'maybe', 'perhaps'"),
        ({"y": np.array([None, None], object)}, "no row has a value of the target 'y'"),
        ({"x": np.array(["some", "words"], object)}, "'x'"),
        ({"x": None}, "lacks the column 'x'"),
        ({"y": None}, "has no target 'y'"),
        ({"x": np.array([1.0, np.inf])}, "infinite"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    data = read_table(COLUMNS | {"y": CLASSES["texts"]}, "y")
    given = {name: values for name, values in (rows(CLASSES["texts"], [0, 1]) | change).items() if values is not None}
    with pytest.raises(InputError, match=said):
        read_table(given, like=data)


def test_weights():
    data = read_table(COLUMNS | {"w": np.ones(60), "y": CLASSES["texts"]}, "y", weights="w")
    given = rows(CLASSES["texts"], [0, 1]) | {"w": np.array([0.5, 2.0])}
    assert read_table(given, like=data, weights="w").weights.tolist() == [0.5, 2.0]
    with pytest.raises(InputError, match="weights need"):
        read_table(given | {"w": np.array([-1.0, 2.0])}, like=data, weights="w")
