"""`fit` and `predict` on series, images and arrays: what is read, sealed, written and predicted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perceptory.app.cli import main
from perceptory.models.model import Model
from perceptory.runs.contents import FILES

FAST = ["--epochs", "2", "--learning-rate", "0.01", "--folds", "2", "--quiet"]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def column(text: str, name: str) -> np.ndarray:
    return np.array([float(r[name]) for r in rows_of(text)])


def ran(*argv: object) -> None:
    assert main([str(a) for a in argv]) == 0


def metrics(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def tank(path: Path, rows: int = 96, names: tuple[str, ...] = ("",)) -> Path:
    """A first-order system y(t) = 0.8 y(t-1) + u(t) a series; the rows of several series take turns."""
    random = np.random.default_rng(1)
    lines = []
    u, y = random.normal(size=(rows, len(names))), np.zeros(len(names))
    for t in range(rows):
        y = 0.8 * y + u[t]
        lines += [f"{t},{name},{u[t, k]:.6f},{y[k]:.6f}" for k, name in enumerate(names)]
    path.write_text("\n".join(["t,unit,u,y", *lines]) + "\n")
    return path


def picture(bright: bool, number: int) -> np.ndarray:
    random = np.random.default_rng(number)
    return (random.integers(0, 100, (6, 6)) + (150 if bright else 0)).astype(np.uint8)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Folders train and test of bright and dark pictures, with a finished run beside them."""
    folder = tmp_path_factory.mktemp("images")
    for part, numbers in (("train", range(12)), ("test", range(12, 17))):
        for name in ("bright", "dark"):
            place = folder / "data" / part / name
            place.mkdir(parents=True)
            for n in numbers:
                Image.fromarray(picture(name == "bright", n + 100 * (name == "dark"))).save(place / f"{n}.png")
    ran("fit", folder / "data", "--network", "cnn:2:pool=2:hidden=none", *FAST, "--out", folder / "run")
    return folder


@pytest.fixture(scope="module")
def system(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("system")
    data = tank(folder / "data.csv")
    ran("fit", data, "--predict", "every-step", "--target", "y", "--inputs", "u", "--time", "t", "--window", "8",
        "--washout", "2", "--network", "gru:2", *FAST, "--out", folder / "run")  # fmt: skip
    return folder


# --- images ------------------------------------------------------------------------------------------------------


def test_the_test_folder_is_sealed_and_opened_once(images):
    run = images / "run"
    assert {p.name for p in run.iterdir()} == set(FILES)
    result = metrics(run)
    assert (result["data"]["study_rows"], result["data"]["test_rows"]) == (24, 10)
    assert result["classes"] == ["bright", "dark"]
    part = [r for r in rows_of((run / "predictions.csv").read_text()) if r["part"] == "test"]
    right = np.mean([r["class"] == r["predicted class"] for r in part])
    assert result["test"]["accuracy"] == pytest.approx(right)
    assert not any("part=" in note for note in result["data"]["notes"])


def test_predict_names_the_files(perceptory, images):
    code, out, err = perceptory("predict", images / "run", images / "data" / "test", "--proba")
    assert (code, err) == (0, "")
    found = rows_of(out)
    assert [r["file"] for r in found][:2] == ["bright/12.png", "bright/13.png"]
    array = np.stack([picture(name == "bright", n + 100 * (name == "dark")) for name in ("bright", "dark")
                      for n in range(12, 17)])  # fmt: skip
    model = Model.load(images / "run")
    assert [r["predicted class"] for r in found] == model.predict(array).tolist()
    np.testing.assert_array_equal(column(out, "probability dark"), model.predict_proba(array)[:, 1])
    one = perceptory("predict", images / "run", images / "data" / "test" / "dark" / "12.png", "--proba")[1]
    (alone,) = rows_of(one)
    named = ("row", "file", "predicted class")
    assert [alone[name] for name in named] == ["0", "12.png", found[5]["predicted class"]]
    # One example and ten take other sums: equal to single precision.
    assert float(alone["probability dark"]) == pytest.approx(float(found[5]["probability dark"]), rel=1e-5)


def test_pictures_of_several_sizes_are_scaled(perceptory, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "p" / name).mkdir(parents=True)
        for n in range(8):
            Image.new("L", (4 + n % 2, 5), n * 20 + (100 if name == "b" else 0)).save(
                tmp_path / "p" / name / f"{n}.png"
            )
    code, _, err = perceptory("fit", "p", "--network", "linear", *FAST)
    assert code == 2
    assert "--size 5x4 to scale them" in err
    assert not (tmp_path / "p-run").exists()
    assert perceptory("fit", "p", "--network", "linear", "--size", "3x2", *FAST) == (0, "", "")
    assert Model.load("p-run").encoder.shape == (3, 2, 1)


def test_idx_files(perceptory, tmp_path):
    (tmp_path / "mnist").mkdir()
    for name, numbers in (("train", range(20)), ("t10k", range(20, 26))):
        x = np.stack([picture(n % 2 == 1, n) for n in numbers])
        y = np.array([n % 2 for n in numbers], np.uint8)
        head = bytes([0, 0, 8])
        sizes = [np.array(a.shape, ">u4").tobytes() for a in (x, y)]
        for kind, axes, size, array in (("images-idx3", 3, sizes[0], x), ("labels-idx1", 1, sizes[1], y)):
            path = tmp_path / "mnist" / f"{name}-{kind}-ubyte"
            path.write_bytes(head + bytes([axes]) + size + array.tobytes())
    code, out, _ = perceptory("fit", "mnist", "--network", "linear", *FAST[:-1])
    assert code == 0
    assert out.startswith("20 images of 6 x 6 pixels, gray, target class: 2 classes (0, 1)\n  test: 6 examples of thei")
    out = perceptory("predict", "mnist-run", tmp_path / "mnist" / "t10k-images-idx3-ubyte")[1]
    x = np.stack([picture(n % 2 == 1, n) for n in range(20, 26)])
    np.testing.assert_array_equal(column(out, "predicted class"), Model.load("mnist-run").predict(x))


# --- arrays ------------------------------------------------------------------------------------------------------


def test_arrays_with_a_test_part(perceptory, tmp_path):
    random = np.random.default_rng(2)
    x = random.normal(size=(40, 3))
    y = x @ [1.0, -2.0, 0.5] + 1
    np.savez(tmp_path / "data.npz", x=x[:30], y=y[:30], x_test=x[30:], y_test=y[30:])
    argv = ["--network", "linear", "--epochs", "300", "--learning-rate", "0.03", "--folds", "2"]
    code, out, _ = perceptory("fit", "data.npz", *argv)
    assert code == 0
    assert out.startswith("30 examples of 3 numbers, target y: regression\n  test: 10 examples of their own\n")
    assert metrics(tmp_path / "data-run")["test"]["rmse"] < 0.05  # y is linear in x
    np.savez(tmp_path / "new.npz", x=x[30:])
    text = perceptory("predict", "data-run", "new.npz")[1]
    np.testing.assert_allclose(column(text, "predicted y"), y[30:], atol=0.2)
    assert column(text, "row").tolist() == list(range(10))
    np.save(tmp_path / "new.npy", x[30:])
    assert perceptory("predict", "data-run", "new.npy")[1] == text
    assert "Leave --test out" in perceptory("fit", "data.npz", *argv, "--test", "0.2", "--out", "b")[2]


# --- series ------------------------------------------------------------------------------------------------------


def test_a_value_at_every_step(perceptory, system):
    result = metrics(system / "run")
    # Twelve windows of eight rows, the last two of them sealed; two steps of each are washout.
    assert (result["data"]["study_rows"], result["data"]["test_rows"]) == (10, 2)
    table = rows_of((system / "run" / "predictions.csv").read_text())
    test = [(int(r["row"]), int(r["step"])) for r in table if r["part"] == "test"]
    assert test == [(start, step) for start in (80, 88) for step in range(2, 8)]
    error = [float(r["y"]) - float(r["predicted y"]) for r in table if r["part"] == "test"]
    assert result["test"]["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(error))))
    # Prediction runs through the whole series, a line a row.
    code, out, err = perceptory("predict", system / "run", system / "data.csv")
    assert (code, err) == (0, "")
    assert column(out, "row").tolist() == list(range(96))
    np.testing.assert_array_equal(
        column(out, "predicted y"), Model.load(system / "run").predict(system / "data.csv")[0]
    )


def test_series_that_take_turns_in_the_table(perceptory, system, tmp_path):
    """Lines stand in the order of the table, and each series is predicted by itself."""
    whole = tank(tmp_path / "two.csv", 20, ("a", "b")).read_text().splitlines()
    for name in ("a", "b"):
        rows = [line for line in whole[1:] if f",{name}," in line]
        (tmp_path / f"{name}.csv").write_text("\n".join([whole[0], *rows]) + "\n")
    argv = ["--target", "y", "--inputs", "u", "--predict", "every-step", "--network", "gru:2", *FAST]
    assert perceptory("fit", "two.csv", *argv, "--series", "unit", "--window", "4", "--out", "r") == (0, "", "")
    out = perceptory("predict", "r", "two.csv")[1]
    assert [r["unit"] for r in rows_of(out)] == ["a", "b"] * 20
    model = Model.load("r")
    for k, name in enumerate(("a", "b")):
        alone = model.predict(f"{name}.csv")[0]
        np.testing.assert_allclose(column(out, "predicted y")[k::2], alone, rtol=1e-5, atol=1e-6)


def test_a_simulation_that_feeds_its_outputs_back(perceptory, tmp_path):
    """y(t) = 0.8 y(t-1) + u(t), noise-free: a linear model of one lag finds it and simulates the whole record."""
    tank(tmp_path / "data.csv", 200)
    argv = ["--predict", "every-step", "--target", "y", "--inputs", "u", "--window", "20", "--known", "all", "--quiet",
            "--network", "narx:none:input-lags=1:output-lags=1", "--batch-size", "2", "--validation", "holdout",
            "--epochs", "150", "--learning-rate", "0.03", "--washout", "1"]  # fmt: skip
    assert perceptory("fit", "data.csv", *argv) == (0, "", "")
    assert metrics(tmp_path / "data-run")["test"]["rmse"] < 0.05
    out = perceptory("predict", "data-run", "data.csv")[1]
    y = column((tmp_path / "data.csv").read_text(), "y")
    np.testing.assert_allclose(column(out, "predicted y")[1:], y[1:], atol=0.2)


def test_a_forecast(perceptory, tmp_path):
    """y(t + 1) of an undamped oscillation is linear in two past values."""
    y = np.sin(0.3 * np.arange(120)) + 5
    (tmp_path / "y.csv").write_text("y\n" + "\n".join(f"{v:.8f}" for v in y) + "\n")
    code, out, _ = perceptory(
        "fit", "y.csv", "--predict", "ahead", "--target", "y", "--window", "4", "--network", "linear",
        "--epochs", "400", "--learning-rate", "0.03", "--folds", "2", "--keep-sealed",
    )  # fmt: skip
    assert code == 0
    assert out.startswith("116 windows of 4 steps from 120 rows, 1 input (y), target y: regression\n")
    result = metrics(tmp_path / "y-run")
    assert result["test"]["rmse"] < 0.05
    test = [int(r["row"]) for r in rows_of((tmp_path / "y-run" / "predictions.csv").read_text()) if r["part"] == "test"]
    assert test == list(range(96, 120))  # the future is sealed
    text = perceptory("predict", "y-run", "y.csv")[1]
    assert list(rows_of(text)[0]) == ["after row", "predicted y"]
    assert column(text, "after row").tolist() == list(range(3, 120))
    assert column(text, "predicted y")[-1] == pytest.approx(np.sin(0.3 * 120) + 5, abs=0.15)


def test_forecasts_of_several_series_are_sealed_by_time(perceptory, tmp_path):
    """The last moments of every series are the test."""
    data = tank(tmp_path / "data.csv", 30, ("a", "b", "c"))
    code, out, _ = perceptory(
        "fit", data, "--predict", "ahead", "--target", "y", "--inputs", "u", "--series", "unit", "--time", "t",
        "--window", "5", "--network", "linear", *FAST[:-1], "--keep-sealed", "--out", "r",
    )  # fmt: skip
    assert code == 0
    assert "the last 6 rows of each of 3 series are sealed" in " ".join(out.split())
    part = rows_of((tmp_path / "r" / "predictions.csv").read_text())
    assert sorted(int(r["row"]) for r in part if r["part"] == "test") == list(range(72, 90))  # three rows a moment
    found = rows_of(perceptory("predict", "r", data)[1])
    assert [(r["after row"], r["unit"]) for r in found[:2]] == [("12", "a"), ("15", "a")]


def test_one_value_a_series_and_several_lengths(perceptory, tmp_path):
    random = np.random.default_rng(3)
    lines = ["id,u,kind"]
    for s in range(16):
        lines += [f"s{s},{v:.5f},{'high' if s % 2 else 'low'}" for v in random.normal(s % 2, 0.5, 5 + s % 3)]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n")
    argv = ["--predict", "one_value", "--target", "kind", "--series", "id", "--network", "gru:2"]
    code, out, _ = perceptory("fit", "s.csv", *argv, *FAST[:-1], "--task", "sequence")
    assert code == 0
    assert out.startswith("16 examples of 5 to 7 steps from 95 rows of 16 series, 1 input (u), target kind: 2 classes")
    found = rows_of(perceptory("predict", "s-run", "s.csv")[1])
    assert [r["id"] for r in found] == [f"s{s}" for s in range(16)]
    assert found[1]["row"] == "5"
    assert [r["predicted kind"] for r in found] == Model.load("s-run").predict("s.csv").tolist()


def test_a_file_of_test_series(perceptory, system, tmp_path):
    tank(tmp_path / "test.csv", 40)
    code, _, err = perceptory(
        "fit", system / "data.csv", "--predict", "every-step", "--target", "y", "--inputs", "u", "--window", "8",
        "--network", "gru:2", *FAST, "--test", "test.csv", "--out", "r",
    )  # fmt: skip
    assert (code, err) == (0, "")
    result = metrics(tmp_path / "r")
    assert (result["data"]["study_rows"], result["data"]["test_rows"]) == (12, 5)


# --- refusals ----------------------------------------------------------------------------------------------------

GOOD = ["data.csv", "--target", "y", "--network", "gru:2"]
EVERY, AHEAD = [*GOOD, "--predict", "every-step"], [*GOOD, "--predict", "ahead", "--window", "4"]
REFUSED = {
    "a window of a table": (
        [*GOOD, "--window", "4"],
        "--window is for series: say what to predict of them with --pred",
    ),
    "no way": ([*GOOD, "--task", "sequence"], "--task sequence needs --predict every-step, ahead or one-value"),
    "another way": ([*GOOD, "--predict", "later"], "--predict: unknown way of prediction 'later'"),
    "no target": (["data.csv", "--predict", "ahead", "--window", "4"], "Example: --target y"),
    "one series": ([*EVERY, "--ignore", "unit"], "cut it into windows. Example: --window 8"),
    "texts": ([*EVERY, "--window", "8", "--inputs", "unit"], "'unit' of a series needs numbers"),
    "horizon": ([*EVERY, "--window", "8", "--horizon", "2"], "horizon is for --predict ahead, not for 'every step'"),
    "horizon words": ([*AHEAD, "--horizon", "soon"], "--horizon needs numbers of rows, got 'soon'"),
    "washout": ([*AHEAD, "--washout", "2"], "washout is for --predict every-step"),
    "no rows": ([*EVERY, "--window", "0"], "--window needs a whole number of at least 1"),
    "size": ([*EVERY, "--size", "8x8"], "--size is for images, and data.csv holds series in a table"),
    "weights": ([*EVERY, "--weights", "u"], "--weights is for a table of single rows, and data.csv holds series"),
    "inputs": ([*EVERY, "--inputs", "v"], "'v'"),
    "pictures": (["data.csv", "--target", "y", "--inputs", "u", "--network", "cnn"], "--inputs is for series"),
    "cnn of a table": (["data.csv", "--target", "y", "--network", "cnn"], "For a table use MLP"),
    "gru of a table": (["data.csv", "--target", "y", "--network", "gru"], "GRU needs sequences"),
    "sizes": (["pics", "--size", "8"], "--size needs height x width in pixels, got '8'"),
    "target of images": (["pics", "--target", "y"], "--target is for a table of single rows or series in a table, and"),
    "series of images": (["pics", "--window", "3"], "--window is for series in a table, and pics holds images"),
    "sequence of images": (["pics", "--task", "sequence"], "--task sequence is for series, and pics holds images"),
    "way of arrays": (["data.npz", "--predict", "ahead"], "--predict is for series in a table, and data.npz holds arr"),
    "arrays absent": (["none.npz"], "there is no file 'none.npz'"),
    "inputs alone": (["x.npy"], "x.npy holds inputs without targets"),
    "into the images": (["pics", "--out", "pics/run"], "would stand among the images of pics"),
    "gru of images": (["pics", "--network", "gru"], "GRU needs sequences"),
    "known words": (
        [*EVERY, "--window", "8", "--known", "some"],
        "--known needs a number of steps, or all, got 'some'",
    ),
    "known ahead": ([*AHEAD, "--known", "2"], "known is for --predict every-step"),
    "all known": ([*EVERY, "--inputs", "u", "--window", "8", "--known", "all"], "GRU"),
    "nothing known": (
        [*EVERY[:3], "--predict", "every-step", "--inputs", "u", "--window", "8", "--network", "narx"],
        "--known all",
    ),
    "fields": ([*EVERY, "--window", "8", "--network", "gru:4:widths=3"], "gru has no field 'widths'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_use_writes_nothing(perceptory, tmp_path, name):
    tank(tmp_path / "data.csv")
    np.savez(tmp_path / "data.npz", x=np.ones((4, 2)), y=np.arange(4))
    np.save(tmp_path / "x.npy", np.ones((4, 2)))
    for kind in ("a", "b"):
        (tmp_path / "pics" / kind).mkdir(parents=True)
        for n in range(3):
            Image.fromarray(picture(kind == "a", n)).save(tmp_path / "pics" / kind / f"{n}.png")
    before = sorted(tmp_path.rglob("*"))
    argv, words = REFUSED[name]
    code, _, err = perceptory("fit", *argv)
    assert code == 2
    assert words in err
    assert err.startswith("perceptory: ")
    assert err.count("\n") == 1
    assert not any(f"{word}=" in err for word in ("predict", "window", "size", "inputs", "washout"))
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_inputs_to_predict(perceptory, images, system, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.ones((2, 5, 5), np.uint8))
    (tmp_path / "empty").mkdir()
    for run, data, words in [
        (images, "x.npz", "the model needs images [n, 6, 6, 1], got an array of the shape (2, 5, 5, 1)"),
        (images, "empty", "holds no PNG or JPEG files"),
        (images, "nowhere", "there is no file or folder 'nowhere'"),
        (images, system / "data.csv", "'data.csv' is no picture"),
        (system, "empty", "is a folder"),
        (system, "nowhere.csv", "there is no file 'nowhere.csv'"),
    ]:
        code, out, err = perceptory("predict", run / "run", data)
        assert (code, out) == (2, "")
        assert words in err
