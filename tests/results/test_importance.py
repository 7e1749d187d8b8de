"""Importance of columns and effects of models whose truth is known, without training any."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import rankdata

from perceptory import InputError, figures, read_arrays, read_table
from perceptory.data import Encoder
from perceptory.models.exchange import TableColumns
from perceptory.models.importance import Importance, importance
from perceptory.models.shared_information import _ranks, associations
from perceptory.reports.drawn import importance_figures
from perceptory.runs.schema import IMPORTANCE, check


class Known:
    """A model that is a function of a table's features by name."""

    classes, shares, parts, task = None, None, (), "regression"

    def __init__(self, function, data):
        self._function, self.encoder, self.targets = function, Encoder.fit(data), data.target_names
        self.classes, self.task = data.class_values, data.task

    def members(self, features):
        columns = dict(zip(self.encoder.feature_names, features.dense().T, strict=True))
        return np.asarray(self._function(columns))[None]


def numbers(function):
    return lambda columns: np.asarray(function(columns))[:, None]


def drawn(rows, seed=0, **more):
    rng = np.random.default_rng(seed)
    a, b, noise = rng.normal(size=(3, rows))
    y = 2 * a + b + 0.5 * rng.normal(size=rows)
    return {"a": a, "b": b, "noise": noise} | {name: made(a, rng) for name, made in more.items()} | {"y": y}


def _scaled(ranks):
    return (ranks - ranks.mean()) / np.sqrt(((ranks - ranks.mean()) ** 2).sum())


def found_of(function, table, target="y", **options):
    data = read_table(table, target)
    found = importance(Known(function, data), data, **options)
    return found, {name: k for k, name in enumerate(found.columns)}


def test_the_rise_of_a_linear_function_is_known():
    """Shuffling adds 2 w² var(x) to the mean squared error, whose root was σ."""
    found, place = found_of(numbers(lambda c: 2 * c["a"] + c["b"]), drawn(1500))
    assert found.columns == ("a", "b", "noise")
    assert found.base == pytest.approx(0.5, rel=0.05)
    for name, weight in (("a", 2), ("b", 1)):
        k = place[name]
        assert found.values[k] == pytest.approx(np.sqrt(0.25 + 2 * weight**2) - 0.5, abs=3 * found.errors[k])
        assert found.counts(k)
    assert found.values[2] == found.errors[2] == 0
    assert found.shared == ()
    assert "not told from 0" in str(found).splitlines()[3]
    assert found.most() == found.most(2)


@pytest.mark.parametrize("repeats", [1, 4])
def test_standard_errors_tell_how_far_importance_is_off(repeats):
    """A model that leans on noise: on rows that it has not seen, the noise is worth nothing."""
    truth, inside = {"a": np.sqrt(0.34 + 8) - np.sqrt(0.34), "noise": 0.0}, []
    for seed in range(60):
        function = numbers(lambda c: 2 * c["a"] + c["b"] + 0.3 * c["noise"])
        found, place = found_of(function, drawn(80, seed), repeats=repeats, seed=seed)
        inside.append([abs(found.values[place[n]] - v) <= 2 * found.errors[place[n]] for n, v in truth.items()])
    assert np.all(np.mean(inside, axis=0) >= 0.88)


def test_weights_are_repeated_rows():
    table = drawn(300)
    weights = np.where(np.arange(300) < 150, 1.0, 0.0)
    function = numbers(lambda c: 2 * c["a"] + c["b"])
    weighted = read_table(table | {"w": weights}, "y", weights="w")
    half = importance(Known(function, weighted), weighted)
    alone, _ = found_of(function, {name: values[:150] for name, values in table.items()})
    assert (half.rows, half.base) == (150, pytest.approx(alone.base))
    np.testing.assert_allclose(half.values, alone.values, atol=4 * alone.errors.max())


def test_a_copy_shares_the_importance_and_is_named():
    table = drawn(500, copy=lambda a, rng: a + 0.01 * rng.normal(size=len(a)))
    found, place = found_of(numbers(lambda c: c["a"] + c["copy"] + c["b"]), table)
    (shared,) = found.shared
    assert shared.columns == ("a", "copy")
    assert shared.strength > 0.99
    assert shared.value > 1.6 * found.values[place["a"]] > 0
    assert "share information" in found.remarks()[0]
    assert "'a', 'copy' (rank correlation up to 1.00)" in found.remarks()[1]


def test_a_category_and_a_date_are_one_column():
    rng = np.random.default_rng(1)
    day = np.datetime64("2020-01-01") + rng.integers(0, 1500, 300)
    color = rng.choice(["red", "green", "blue"], 300)
    table = {"day": day, "color": color, "x": rng.normal(size=300)}
    classes = np.where((color == "red") ^ (rng.random(300) < 0.05), "yes", "no")

    def function(columns):
        p = np.clip(columns["color=red"], 0.05, 0.95)
        return np.stack([1 - p, p], axis=1)

    found, place = found_of(function, table | {"y": classes})
    assert set(found.columns) == {"day", "color", "x"}
    assert (found.columns[0], found.score) == ("color", "log_loss")
    effect = found.effects[0]
    assert (effect.points[-1], effect.outputs) == ("red", ("yes",))
    assert effect.values[-1, 0] - effect.values[0, 0] == pytest.approx(0.9)
    assert found_of(function, table | {"y": classes}, score="accuracy")[0].score == "share of errors"
    assert json.loads(json.dumps(found.to_json())) == Importance.from_json(found.to_json()).to_json()
    check(json.loads(json.dumps(found.to_json())), IMPORTANCE, "importance")
    assert found.frame().columns == ["column", "importance", "standard error"]
    assert place["color"] == 0


def test_effects_do_not_leave_the_rows():
    """Of a b with a and b alike, the local effect of a is that of b there: a²/2 and a constant (Apley & Zhu 2020)."""
    rng = np.random.default_rng(0)
    a = rng.uniform(-1, 1, 4000)
    b = a + 0.02 * rng.normal(size=4000)
    found, _ = found_of(numbers(lambda c: c["a"] * c["b"] + 3 * c["a"]), {"a": a, "b": b, "y": a * b + 3 * a})
    effect = next(one for one in found.effects if one.column == "a")
    z = np.array(effect.points)
    np.testing.assert_allclose(effect.values[:, 0], z**2 / 2 + 3 * z - 1 / 6, atol=0.06)


def test_what_two_columns_tell_of_one_another():
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    kind = np.where(x > 0, "high", "low")
    table = {
        "x": x, "exp": np.exp(x), "kind": kind, "same": np.where(x > 0, "a", "b"),
        "other": rng.choice(["p", "q"], 600), "gaps": np.where(rng.random(600) < 0.3, np.nan, x), "y": x,
    }  # fmt: skip
    data = read_table(table, "y")
    columns = TableColumns(Encoder.fit(data).values_of(data))
    strengths = associations(columns)
    tied = np.stack([np.round(x), np.where(np.arange(600) % 9, x, np.nan)], axis=1)
    np.testing.assert_allclose(_ranks(tied)[:, 0], _scaled(rankdata(tied[:, 0])))
    assert (_ranks(tied)[::9, 1] == 0).all()
    at = {name: k for k, name in enumerate(columns.names)}
    assert strengths[at["x"], at["exp"]] == pytest.approx(1)  # by ranks
    assert strengths[at["kind"], at["same"]] == pytest.approx(1)
    assert strengths[at["kind"], at["x"]] == pytest.approx(np.sqrt(0.75), abs=0.02)
    assert strengths[at["other"]].max() == 1 == strengths[at["other"], at["other"]]
    assert np.sort(strengths[at["other"]])[-2] < 0.15


def test_refusals():
    data = read_table(drawn(20), "y")
    model = Known(numbers(lambda c: c["a"]), data)
    with pytest.raises(InputError, match="one of rmse, mae here, got the score 'auc'"):
        importance(model, data, score="auc")
    with pytest.raises(InputError, match="repeats needs a whole number of at least 1, got 0"):
        importance(model, data, repeats=0)
    with pytest.raises(InputError, match="at least two rows"):
        importance(model, data.take(np.arange(1)))
    with pytest.raises(InputError, match="Read them alike"):
        importance(model, read_table(drawn(20), "b"))
    with pytest.raises(InputError, match="kind 'table'"):
        importance(model, read_arrays(np.ones((3, 2)) * np.arange(3)[:, None], np.arange(3.0)))


def test_figures_are_of_what_was_found(make_result):
    found, _ = found_of(numbers(lambda c: 2 * c["a"] + c["b"]), drawn(200))
    ax = figures.importance(found).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "noise"]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(found.values.tolist())
    panels = figures.effects(found).axes
    assert [ax.get_title(loc="left") for ax in panels[:2]] == ["a", "b"]
    result = make_result()
    with pytest.raises(InputError, match="holds no importance"):
        figures.importance(result)
    result.importance = found
    assert f"by the rise of the RMSE when shuffled: a {found.values[0]:.2f}" in result.summary().replace("\n", " ")
    assert [one["key"] for one in importance_figures(result)] == ["importance", "effects"]


def test_of_many_columns_those_that_matter_most_are_shown():
    names = tuple(f"c{k}" for k in range(60))
    values = np.linspace(2000.0, -30.0, 60)
    found = Importance(names, values, np.full(60, 123.4), "rmse", 5.0, "", 300, 300, 2)
    lines = found.lines()
    assert len(lines) == 1 + 20 + 1
    assert lines[1] == "  c0   2000 ± 120"
    assert lines[-1] == "  and 40 more columns, none above 1310 ± 120"
    few = Importance(names[:24], values[:24], np.full(24, 0.0123), "rmse", 5.0, "", 300, 300, 2)
    assert len(few.lines()) == 1 + 24
    assert few.lines()[1] == "  c0   2000.000 ± 0.012"
    assert not few.shortened
    assert len(found.frame()) == 60
