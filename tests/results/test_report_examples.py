"""Series and images in the report, the summary and the plots; the results are made up, the data are read."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from perceptory import figures as plots
from perceptory.data import read_arrays, read_series
from perceptory.errors import InputError
from perceptory.figures.examples import stretch
from perceptory.reports.advice import naive
from perceptory.reports.examples import shape_words
from perceptory.reports.headline import headline
from perceptory.reports.page import render
from perceptory.reports.summary import summary
from perceptory.results.data_facts import packed, shown_examples, unpacked
from perceptory.results.predictions import Predictions
from perceptory.results.wording import judged, thing
from tests.results.conftest import build_result

ROWS = 60
Y = np.round(np.sin(0.4 * np.arange(ROWS)) * 10, 3)


def table() -> dict[str, np.ndarray]:
    return {"u": np.cos(0.4 * np.arange(ROWS)), "y": Y}


def facts_of(result, data):
    columns = tuple(data.describe())
    return dataclasses.replace(result.data, examples=shown_examples(data), columns=columns, notes=())


def with_predictions(result, data, row, part, target, output, step=None):
    """The result as if it were of these examples."""
    result.predictions = Predictions(np.asarray(row), np.asarray(part), target[:, None], output[:, None], step)
    result.data = facts_of(result, data)
    return result


@pytest.fixture(scope="module")
def forecast():
    """Values two rows ahead; the rows from 50 on are the test."""
    data = read_series(table(), "y", predict="ahead", window=5, horizon=2)
    row = np.arange(6, ROWS)
    part = np.where(row < 50, "validation", "test")
    return with_predictions(build_result(targets=("y",)), data, row, part, Y[row], Y[row] + 0.5)


@pytest.fixture(scope="module")
def simulation():
    """Windows of ten rows, of which two are washout; the last two windows are the test."""
    data = read_series(table(), "y", predict="every step", inputs="u", window=10, washout=2)
    start, step = (a.ravel() for a in np.meshgrid(np.arange(0, 60, 10), np.arange(2, 10), indexing="ij"))
    part = np.where(start < 40, "validation", "test")
    order = np.random.default_rng(0).permutation(len(start))  # predictions may come in any order
    truth = Y[start + step]
    return with_predictions(
        build_result(targets=("y",), rows=6, test_rows=2), data, start[order], part[order], truth[order],
        truth[order] - 1, step[order],
    )  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    random = np.random.default_rng(1)
    x = random.integers(0, 255, (30, 5, 4)).astype(np.uint8)
    data = read_arrays(x, np.arange(30) % 3, kind="image")
    result = build_result("multiclass", targets=("digit",), classes=("0", "1", "2"))
    result.data = facts_of(result, data)
    return result


def test_arrays_come_back_from_json():
    for array in (np.arange(6, dtype=np.uint8).reshape(2, 3), np.linspace(-1, 1, 4, dtype=np.float32)):
        again = unpacked(json.loads(json.dumps(packed(array))))
        assert again.dtype == array.dtype
        np.testing.assert_array_equal(again, array)


def test_what_is_shown_of_images(digits):
    shown = digits.data.examples
    assert list(shown.labels) == ["0", "1", "2"] * 5 + ["0"]  # every class in turn
    x = np.random.default_rng(1).integers(0, 255, (30, 5, 4)).astype(np.uint8)
    np.testing.assert_array_equal(shown.inputs[..., 0], x[:16])
    assert shape_words(digits) == "Each is an image of 5 x 4 pixels, gray."
    figure = plots.few_examples(digits)
    np.testing.assert_allclose(figure.axes[3].images[0].get_array(), x[3] / 255)
    assert [ax.get_title() for ax in figure.axes[:4]] == ["0", "1", "2", "0"]


def test_large_images_are_thinned():
    x = np.random.default_rng(0).integers(0, 255, (4, 130, 90, 3)).astype(np.uint8)
    shown = shown_examples(read_arrays(x, [0.5, 1.5, 2.5, 4.0]))
    assert shown.inputs.shape == (4, 44, 30, 3)
    assert shown.labels == ("0.5", "1.5", "2.5", "4")
    np.testing.assert_array_equal(shown.inputs, x[:, ::3, ::3])


def test_a_table_shows_no_examples(regression_result):
    from perceptory.data import load_bundled

    assert shown_examples(load_bundled("diabetes")) is None
    assert (thing(regression_result), judged(regression_result), shape_words(regression_result)) == ("row", "row", "")
    with pytest.raises(InputError, match="no series or images"):
        plots.few_examples(regression_result)
    with pytest.raises(InputError, match="order of time"):
        plots.over_time(regression_result)


def test_what_is_shown_of_series(simulation):
    shown = simulation.data.examples
    assert (shown.predict, shown.labels) == ("every step", ("row 0", "row 20", "row 50"))
    np.testing.assert_allclose(shown.targets[1, :, 0], Y[20:30], rtol=1e-6)
    figure = plots.few_examples(simulation)
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), np.cos(0.4 * np.arange(20, 30)), rtol=1e-6)
    assert shape_words(simulation) == "Each has 10 steps of 1 input (u); a value at every step is predicted."


def test_windows_join_to_one_stretch(simulation):
    _, moment, counts = stretch(simulation, "validation")
    assert counts == "row of the table"
    assert moment.tolist() == [start + step for start in (0, 10, 20, 30) for step in range(2, 10)]
    figure = plots.over_time(simulation, "test")
    lines = {line.get_gid(): line.get_ydata() for line in figure.axes[0].lines}
    # The washout of the second window is a gap.
    wanted = np.concatenate([Y[42:50], [np.nan], Y[52:60]])
    np.testing.assert_array_equal(lines["target"], wanted)
    np.testing.assert_allclose(lines["prediction"], wanted - 1)
    assert [line.get_linestyle() for line in figure.axes[0].lines] == ["-", "--"]  # told apart without color


def test_a_stretch_ends_where_series_do():
    data = read_series(table(), "y", predict="ahead", window=5, horizon=2)
    row = np.array([6, 7, 8, 20, 21, 22, 23, 24, 40])
    result = with_predictions(build_result(targets=("y",)), data, row, ["test"] * 9, Y[row], Y[row])
    assert stretch(result, "test")[1].tolist() == [20, 21, 22, 23, 24]


def test_a_forecast_is_measured_against_the_last_value(forecast):
    plain = naive(forecast)
    assert plain["last"] == pytest.approx(np.sqrt(np.mean((Y[50:] - Y[48:58]) ** 2)))
    assert f"the last known value {plain['last']:.3f}" in headline(forecast)
    assert "RMSE of predicting the last known value" in render(forecast)


def test_words_are_examples_and_steps(forecast, simulation, digits):
    assert [thing(r) for r in (forecast, simulation, digits)] == ["example"] * 3
    assert [judged(r) for r in (forecast, simulation, digits)] == ["example", "step", "example"]
    assert "on 16 steps of 2 sealed test examples" in headline(simulation)
    for result in (forecast, simulation, digits):
        for text in (render(result), summary(result)):
            assert not any(f"{word} row" in text for word in ("test", "validation", "training", "sealed"))


@pytest.mark.parametrize(("name", "figures"), [("forecast", 7), ("simulation", 7), ("digits", 7)])
def test_the_report_draws_them(request, name, figures):
    text = render(request.getfixturevalue(name))
    assert text.count("<figure") == text.count("<svg") == figures
    assert text.count('id="figure-examples"') == 1
    assert ('id="figure-time0"' in text) == (name != "digits")
    assert "https://" not in text


def test_the_way_to_use_the_model(forecast, digits):
    assert "perceptory predict concrete-run new.csv" in render(forecast)
    assert "perceptory predict concrete-run pictures" in render(digits)
