"""Numbers as printed, the summary for the terminal, advice."""

import copy
import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptory.reports.advice import advice, error_of_score, naive
from perceptory.reports.summary import metric_rows, print_summary, summary
from perceptory.wording import duration, number


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.058123, "0.05812"),
        (4.83, "4.830"),
        (152.4321, "152.4"),
        (12345.6, "12350"),
        (-0.99996, "-1.000"),
        (123456789.0, "1.235e+08"),
        (1.5e-9, "1.500e-09"),
        (0.0, "0"),
        (7, "7"),
        (float("nan"), "n/a"),
        (None, "n/a"),
    ],
)
def test_number_has_four_significant_digits(value, words):
    assert number(value) == words


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=200, deadline=None)
def test_number_reads_back_to_half_of_its_last_digit(value):
    assert float(number(value)) == float(f"{value:.3e}")


def test_duration():
    assert [duration(s) for s in (3.21, 250, 7500)] == ["3.2 s", "4 min 10 s", "2 h 5 min"]


@pytest.mark.parametrize(
    "name", ["regression_result", "two_target_result", "binary_result", "multiclass_result"], ids=lambda n: n[:-7]
)
def test_summary_fits_eighty_columns(request, name):
    result = request.getfixturevalue(name)
    text = summary(result)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text
    assert result.candidates[0].label in text
    assert number(result.candidates[0].mean) in text
    for _, _, cells in metric_rows(result):
        assert all(cell in text for cell in cells)


def test_metric_rows_of_two_targets(two_target_result):
    rows = metric_rows(two_target_result)
    assert [(m, t) for m, t, _ in rows[2:4]] == [("RMSE", "strength"), ("RMSE", "slump")]
    assert rows[3][2][2] == number(two_target_result.tested["rmse"][1])


def test_summary_shows_ten_candidates_and_counts_the_rest(make_result):
    text = summary(make_result(candidates=23))
    assert " 10 " in text
    assert " 11   MLP" not in text
    assert "13 more candidates" in text


def test_names_are_not_markup(make_result):
    result = make_result(targets=("[red]y[/red]", "[/]"))
    result.candidates[0].label = "[bold]MLP[/bold]"
    text = summary(result)
    assert "[red]y[/red]" in text
    assert "[bold]MLP[/bold]" in text


def test_sealed_rows_are_mentioned(make_result):
    assert "150 sealed test rows have not been opened" in summary(make_result(opened=False))
    assert "No test rows were sealed" in summary(make_result(test_rows=0))


def test_print_summary_takes_a_console(regression_result):
    from rich.console import Console

    stream = io.StringIO()
    print_summary(regression_result, Console(file=stream, width=80))
    assert "Candidates by validation RMSE" in stream.getvalue()


def test_naive_predicts_the_study_mean(regression_result):
    part, target = regression_result.predictions.part, regression_result.predictions.target[:, 0]
    mean = target[part == "validation"].mean()
    expected = np.sqrt(np.mean((target[part == "test"] - mean) ** 2))
    assert naive(regression_result)["rmse"] == pytest.approx([expected])


def test_naive_says_the_most_frequent_class(binary_result):
    result = copy.deepcopy(binary_result)
    study = result.predictions.part == "validation"
    result.predictions.target = np.where(study, 1, result.predictions.target)
    share = np.mean(result.predictions.target[~study] == 1)
    assert naive(result) == {"accuracy": pytest.approx(share), "class": "malignant"}


def test_no_advice_without_reason(make_result):
    assert advice(make_result(last_diverges=False)) == []


def _said(result, words):
    return [note for note in advice(result) if words in note]


def test_advice_on_divergence(regression_result):
    assert _said(regression_result, "10 of 80 training runs diverged")


def test_advice_to_train_longer(make_result):
    result = make_result(last_diverges=False)
    for m in result.members:
        m.status, m.best_epoch = "finished", m.epochs
    most = max(m.epochs for m in result.members if m.candidate == "c0")
    assert _said(result, f"Train longer (epochs above {most})")


@pytest.mark.parametrize(
    ("name", "direction", "train", "mean", "warned"),
    [
        ("rmse", "min", 1.0, 2.0, True),
        ("rmse", "min", 1.8, 2.0, False),
        ("log_loss", "min", 0.01, 0.03, False),
        ("log_loss", "min", 0.1, 0.3, True),
        ("accuracy", "max", 0.99, 0.80, True),
        ("accuracy", "max", 0.99, 0.97, False),
        ("r2", "max", 0.95, 0.6, True),
    ],
)
def test_advice_on_overfit(make_result, name, direction, train, mean, warned):
    result = make_result(last_diverges=False, opened=False)
    result.score = {"name": name, "direction": direction}
    result.candidates[0].train, result.candidates[0].mean = train, mean
    assert bool(_said(result, "overfits")) is warned


def test_a_gap_that_the_test_does_not_show_is_no_overfit(make_result):
    result = make_result(last_diverges=False)
    result.candidates[0].train, result.candidates[0].mean = 2.0, 5.0
    result.tested["rmse"] = 2.2
    assert not _said(result, "overfits")
    result.tested["rmse"] = 4.0
    assert _said(result, "overfits")


def test_advice_on_useless_network_few_rows_tie_and_test_apart(make_result):
    result = make_result(last_diverges=False, test_rows=20)
    result.validation["r2"] = 0.01
    result.tested["rmse"] = 3 * result.candidates[0].mean
    result.candidates[1].mean = result.candidates[0].mean * 1.0001
    for words in ("hardly predicts strength", "only 20 test rows", "1 other candidate came", "worse than validation"):
        assert _said(result, words), words


@pytest.mark.parametrize(("rows", "said"), [(9, False), (10, False), (100, True)])
def test_a_test_on_few_rows_is_no_broken_promise(make_result, rows, said):
    """Four standard deviations of the folds' scores, which few rows miss by chance."""
    result = make_result(last_diverges=False)
    result.data = dataclasses.replace(result.data, study_rows=300, test_rows=rows)
    candidate = result.candidates[0]
    candidate.mean, candidate.spread = 4.8, 0.48
    result.tested["rmse"] = 6.72
    assert bool(_said(result, "worse than validation")) is said


def test_the_error_of_a_score_is_that_of_its_rows(make_result):
    """Of log loss that of a mean; of a root, by its slope."""
    result = make_result("binary", targets=("d",), classes=("no", "yes"))
    result.score = {"name": "log_loss", "direction": "min"}
    p = result.predictions
    test = p.part == "test"
    losses = -np.log(p.output[np.arange(len(p.target)), p.target])[test]
    assert error_of_score(result, "test") == pytest.approx(losses.std() / np.sqrt(test.sum()))
    result = make_result()
    squares = (result.predictions.output - result.predictions.target)[result.predictions.part == "test"] ** 2
    expected = squares.std() / np.sqrt(len(squares)) / (2 * np.sqrt(squares.mean()))
    assert error_of_score(result, "test") == pytest.approx(expected)
    result.score = {"name": "r2", "direction": "max"}
    assert np.isnan(error_of_score(result, "test"))


def test_advice_on_lopsided_classes(make_result):
    result = make_result("binary", targets=("d",), classes=("no", "yes"))
    result.predictions.target = (np.arange(len(result.predictions.target)) % 20 == 0).astype(int)
    assert _said(result, "95 % of the rows are 'no'")
