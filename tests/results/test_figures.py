"""What is drawn: lines, points, labels, values; and what is refused."""

import copy
import io

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import roc_auc_score, roc_curve

from perceptory import figures as plots
from perceptory.errors import InputError
from perceptory.figures.classification import _corners, confusion_counts, reliability, roc_points
from perceptory.figures.study import SHOWN, median_curve
from perceptory.results.predictions import Predictions
from perceptory.runs.reading import predictions_from

REGRESSION = [plots.predicted_against_true, plots.residuals]
CLASSIFICATION = [plots.confusion_matrix, plots.roc, plots.calibration]
STUDY = [plots.ranking, plots.learning_curves]


def lines(figure, gid):
    return [line for ax in figure.axes for line in ax.lines if line.get_gid() == gid]


def texts(figure):
    found = [t.get_text() for ax in figure.axes for t in [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels()]]
    found += [label for ax in figure.axes for label in (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left"))]
    found += [t.get_text() for ax in figure.axes if ax.get_legend() for t in ax.get_legend().get_texts()]
    return found + ([figure.get_supxlabel()] if figure.get_supxlabel() else [])


def draws(figure):
    """It can be written, and in the size that it says."""
    figure.savefig(io.BytesIO(), format="png", dpi=50)
    return figure


def test_no_pyplot_and_settings_left_alone(regression_result):
    before = dict(mpl.rcParams)
    for plot in STUDY + REGRESSION:
        draws(plot(regression_result))
    assert dict(mpl.rcParams) == before


def test_ranking_draws_each_candidate(regression_result):
    figure = draws(plots.ranking(regression_result))
    fine = [c for c in regression_result.candidates if c.status == "ok"]
    assert [line.get_xdata()[0] for line in lines(figure, "mean")] == pytest.approx([c.mean for c in fine])
    assert [line.get_xdata()[0] for line in lines(figure, "train")] == pytest.approx([c.train for c in fine])
    assert [line.get_marker() for line in lines(figure, "mean")] == ["D"] + ["o"] * (len(fine) - 1)
    assert lines(figure, "train")[0].get_markerfacecolor() == "#ffffff"
    assert len(lines(figure, "folds")[0].get_xdata()) == 5
    bars = [c.get_segments()[0] for c in figure.axes[0].collections]
    assert bars[0][1][0] - bars[0][0][0] == pytest.approx(2 * fine[0].spread)
    assert any("(chosen)" in t and fine[0].label in t for t in texts(figure))
    assert "diverged" in texts(figure)
    assert "RMSE (smaller is better)" in texts(figure)


def test_ranking_shows_at_most_25_and_always_the_chosen(make_result):
    result = make_result(candidates=40)
    result.best = "c33"
    figure = draws(plots.ranking(result))
    assert sum(t.get_fontsize() == 8 and "MLP" in t.get_text() for t in figure.axes[0].texts) == SHOWN
    assert any(t.startswith("34  ") and "(chosen)" in t for t in texts(figure))
    assert "15 more candidates not drawn." in texts(figure)


def test_ranking_marks_what_is_off_the_scale(make_result):
    result = make_result(last_diverges=False)
    result.candidates[-1].mean = 1e6
    figure = draws(plots.ranking(result))
    assert figure.axes[0].get_xlim()[1] < 20
    assert "1000000  →" in texts(figure)


def test_ranking_where_all_diverged(make_result):
    result = make_result(candidates=1)
    result.candidates[0].mean = result.candidates[0].spread = result.candidates[0].train = np.nan
    result.candidates[0].status = "diverged"
    assert "diverged" in texts(draws(plots.ranking(result)))


def test_learning_curves_draw_each_member(regression_result):
    figure = draws(plots.learning_curves(regression_result))
    members = [m for m in regression_result.members if m.candidate == "c0"]
    assert len(lines(figure, "member train")) == len(lines(figure, "member validation")) == len(members) == 10
    dots = lines(figure, "member best")
    assert [d.get_xdata()[0] for d in dots] == [m.best_epoch for m in members]
    assert [d.get_ydata()[0] for d in dots] == [m.validation_cost[m.best_epoch - 1] for m in members]
    best = int(np.median([m.best_epoch for m in members]))
    low, high = lines(figure, "gap")[0].get_ydata()
    assert low == pytest.approx(median_curve([m.train_cost for m in members])[best - 1])
    assert high > low
    assert any(f"best epoch {best}" in t and "gap" in t for t in texts(figure))
    assert figure.axes[0].get_yscale() == "log"


def test_learning_curves_of_a_named_candidate_and_refusals(regression_result):
    assert any("MLP 16 tanh" in t for t in texts(plots.learning_curves(regression_result, "c3")))
    with pytest.raises(InputError, match="no candidate 'c99'"):
        plots.learning_curves(regression_result, "c99")
    result = copy.deepcopy(regression_result)
    for m in result.members:
        m.train_cost = np.full(3, np.nan)
    with pytest.raises(InputError, match="no member with a finite learning curve"):
        plots.learning_curves(result)


def test_learning_curves_are_of_what_took_epochs_where_the_best_was_solved(make_result):
    result = make_result(last_diverges=False)
    for m in result.members:
        if m.candidate == result.best:
            m.train_cost, m.validation_cost = m.train_cost[:1], m.validation_cost[:1]
    other = next(c for c in result.candidates if c.id != result.best)
    assert any(other.label in t for t in texts(plots.learning_curves(result)))


def test_learning_curves_of_members_that_diverged_and_costs_below_zero(regression_result):
    draws(plots.learning_curves(regression_result, "c7"))
    result = copy.deepcopy(regression_result)
    for m in result.members:
        m.train_cost = m.train_cost - 1
    assert draws(plots.learning_curves(result)).axes[0].get_yscale() == "linear"


def test_median_curve_stops_with_half_of_the_members():
    curves = [np.array([1.0, 2, 3, 4]), np.array([3.0, 4]), np.array([2.0, np.nan, 9])]
    assert median_curve(curves) == pytest.approx([2, 3, 6, np.nan], nan_ok=True)


@pytest.mark.parametrize("part", ["test", "validation"])
def test_predicted_against_true_draws_the_rows(two_target_result, part):
    figure = draws(plots.predicted_against_true(two_target_result, part, "slump"))
    rows = two_target_result.predictions.part == part
    points = next(c for c in figure.axes[0].collections if c.get_gid() == "rows").get_offsets()
    assert np.asarray(points[:, 0]) == pytest.approx(two_target_result.predictions.target[rows, 1])
    assert np.asarray(points[:, 1]) == pytest.approx(two_target_result.predictions.output[rows, 1])
    assert {"true slump", "predicted slump"} <= set(texts(figure))
    if part == "test":
        assert any(f"RMSE {two_target_result.tested['rmse'][1]:.3f}" in t for t in texts(figure))


def test_many_rows_are_counted_in_cells(make_result):
    figure = draws(plots.predicted_against_true(make_result(rows=9000, test_rows=5000)))
    cells = next(c for c in figure.axes[0].collections if c.get_gid() == "rows")
    assert cells.get_array().sum() == 5000
    assert any("5000 rows in cells" in t for t in texts(figure))


def test_wild_and_lost_predictions_are_said_not_dropped(regression_result):
    result = copy.deepcopy(regression_result)
    test = np.flatnonzero(result.predictions.part == "test")
    result.predictions.output[test[:2]] = 1e9
    result.predictions.output[test[2]] = np.nan
    for plot in REGRESSION:
        figure = draws(plot(result))
        assert len(lines(figure, "beyond")[0].get_xdata()) == 2
        assert any("1 row without a finite prediction" in t and "2 rows beyond the axis" in t for t in texts(figure))
        assert abs(figure.axes[0].get_ylim()[1]) < 1000


def test_residuals_are_true_minus_predicted(regression_result):
    figure = draws(plots.residuals(regression_result))
    rows = regression_result.predictions.part == "test"
    error = (regression_result.predictions.target - regression_result.predictions.output)[rows, 0]
    points = next(c for c in figure.axes[0].collections if c.get_gid() == "rows").get_offsets()
    assert np.asarray(points[:, 1]) == pytest.approx(error)
    bars = figure.axes[1].patches
    area = sum(bar.get_width() * bar.get_height() for bar in bars if hasattr(bar, "get_width"))
    assert area == pytest.approx(1, abs=1e-9)
    density, at = lines(figure, "normal")[0].get_data()
    assert density.max() == pytest.approx(1 / (error.std() * np.sqrt(2 * np.pi)), rel=1e-2)
    assert at[density.argmax()] == pytest.approx(error.mean(), abs=0.3)


def test_perfect_and_constant_predictions(regression_result):
    result = copy.deepcopy(regression_result)
    result.predictions.output = result.predictions.target.copy()
    draws(plots.residuals(result))
    result.predictions.output[:] = 3.0
    result.predictions.target[:] = 3.0
    for plot in REGRESSION:
        draws(plot(result))


def test_confusion_matrix_counts(multiclass_result):
    figure = draws(plots.confusion_matrix(multiclass_result))
    rows = multiclass_result.predictions.part == "test"
    truth, output = multiclass_result.predictions.target[rows], multiclass_result.predictions.output[rows]
    expected = sklearn_confusion(truth, output.argmax(axis=1))
    assert (confusion_counts(truth, output) == expected).all()
    written = [int(t.get_text().split("\n")[0]) for t in figure.axes[0].texts]
    assert written == expected.ravel().tolist()
    assert {"setosa", "versicolor", "virginica", "true species", "predicted species"} <= set(texts(figure))


@pytest.mark.parametrize("classes", [10, 40])
def test_many_classes_stay_readable(make_result, classes):
    names = tuple(f"class number {k}" for k in range(classes))
    result = make_result("multiclass", targets=("kind",), classes=names, rows=1500, test_rows=700)
    for plot in CLASSIFICATION:
        draws(plot(result))
    legend = plots.roc(result).axes[0].get_legend()
    assert len(legend.get_texts()) == 8


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_roc_points_agree_with_sklearn(rows):
    positive, score = np.array([r[0] for r in rows]), np.array([r[1] / 6 for r in rows])
    if positive.all() or not positive.any():
        return
    false, true, area = roc_points(positive, score)
    expected = roc_curve(positive, score, drop_intermediate=False)
    assert false == pytest.approx(expected[0])
    assert true == pytest.approx(expected[1])
    assert area == pytest.approx(roc_auc_score(positive, score))
    places = _corners(false, true)
    assert np.trapezoid(true[places], false[places]) == pytest.approx(area)


def test_roc_draws_curves_with_areas(binary_result, multiclass_result):
    figure = draws(plots.roc(binary_result))
    rows = binary_result.predictions.part == "test"
    area = roc_auc_score(binary_result.predictions.target[rows], binary_result.predictions.output[rows, 1])
    assert f"malignant  {area:.4f}" in texts(figure)
    assert len(lines(figure, "class 1")) == 1
    styles = [lines(draws(plots.roc(multiclass_result)), f"class {k}")[0] for k in range(3)]
    assert len({(s.get_color(), s._dash_pattern[1] and tuple(s._dash_pattern[1])) for s in styles}) == 3


def test_roc_of_an_absent_class(multiclass_result):
    result = copy.deepcopy(multiclass_result)
    result.predictions.target[result.predictions.target == 2] = 1
    assert any("No curve for virginica" in t for t in texts(draws(plots.roc(result))))
    result.predictions.target[:] = 0
    with pytest.raises(InputError, match="at least two classes"):
        plots.roc(result)


def test_reliability_by_hand():
    bins = reliability(np.array([0.05, 0.07, 0.95, 1.0, 1.0, 0.55]), np.array([False, True, True, True, True, False]))
    assert bins["count"].tolist() == [2, 0, 0, 0, 0, 1, 0, 0, 0, 3]
    assert bins["mean"] == pytest.approx([0.06, 0.55, 2.95 / 3])
    assert bins["share"] == pytest.approx([0.5, 0, 1])
    assert bins["error"] == pytest.approx((2 * 0.44 + 0.55 + 0.05) / 6)
    assert (bins["low"] <= bins["share"] + 1e-12).all()
    assert (bins["high"] >= bins["share"] - 1e-12).all()


def test_calibration_draws_the_bins(binary_result):
    figure = draws(plots.calibration(binary_result, "validation"))
    rows = binary_result.predictions.part == "validation"
    said = binary_result.predictions.output[rows, 1]
    bins = reliability(said, binary_result.predictions.target[rows] == 1)
    x, y = lines(figure, "bins")[0].get_data()
    assert x == pytest.approx(bins["mean"])
    assert y == pytest.approx(bins["share"])
    assert bins["count"].sum() == rows.sum()


def test_plots_refuse_another_task(regression_result, binary_result):
    for plot in CLASSIFICATION:
        with pytest.raises(InputError, match=f"{plot.__name__} needs a classification result, got task 'regression'"):
            plot(regression_result)
    for plot in REGRESSION:
        with pytest.raises(InputError, match=f"{plot.__name__} needs a regression result, got task 'binary'"):
            plot(binary_result)


def test_plots_refuse_parts_and_targets_that_are_not_there(make_result, regression_result):
    with pytest.raises(InputError, match="sealed test rows have not been opened"):
        plots.residuals(make_result(opened=False))
    with pytest.raises(InputError, match="no test predictions"):
        plots.residuals(make_result(test_rows=0))
    with pytest.raises(InputError, match="'validation' or 'test', got 'train'"):
        plots.residuals(regression_result, "train")
    with pytest.raises(InputError, match="Did you mean 'strength'"):
        plots.residuals(regression_result, target="strenght")
    with pytest.raises(InputError, match="from 0 to 0 or a name, got 3"):
        plots.residuals(regression_result, target=3)


def test_names_are_drawn_as_they_are(make_result):
    result = make_result(targets=("$a_{$\x00\n<b>",))
    result.candidates[0].label = "$\\frac{$ 100 %"
    for plot in STUDY + REGRESSION:
        draws(plot(result))
    assert "true $a_{$ <b>" in texts(plots.predicted_against_true(result))


def test_figures_count_rows_by_weight():
    """A row of weight 2 is two rows, and one of weight 0 none; predictions.csv keeps weights that differ."""
    rng = np.random.default_rng(0)
    truth, output = rng.integers(0, 2, 60), rng.dirichlet((1, 1), 60)
    weight = rng.integers(0, 4, 60).astype(float)
    again, counts = np.repeat(np.arange(60), weight.astype(int)), weight > 0
    assert (confusion_counts(truth, output, weight) == confusion_counts(truth[again], output[again])).all()
    for one, other in zip(
        roc_points(truth[counts] == 1, output[counts, 1], weight[counts]),
        roc_points(truth[again] == 1, output[again, 1]),
        strict=True,
    ):
        np.testing.assert_allclose(one, other)
    weighed = reliability(output[counts, 1], truth[counts] == 1, weight[counts])
    repeated = reliability(output[again, 1], truth[again] == 1)
    for name in ("mean", "share", "error"):
        np.testing.assert_allclose(weighed[name], repeated[name])
    equal = Predictions.of("test", np.arange(3), np.zeros((3, 1)), np.ones((3, 1)), np.full(3, 2.0))
    both = Predictions.of("test", np.arange(2), np.zeros((2, 1)), np.ones((2, 1)), np.array([1.0, 3.0])) + equal
    assert (equal.weight, both.weight.tolist()) == (None, [1.0, 3.0, 1.0, 1.0, 1.0])
    csv = b"row,part,weight,weight_,predicted weight\n0,test,0.5,1.5,1.25\n"
    read = predictions_from(csv, {"classes": None, "targets": ["weight"], "task": "regression"})
    assert (read.weight.tolist(), read.target.tolist(), read.output.tolist()) == ([0.5], [[1.5]], [[1.25]])
