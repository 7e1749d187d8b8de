"""Forecasts from the end of series: their times, values, intervals by horizon, files, and backtests."""

import dataclasses
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import perceptory as pt
from perceptory.app.cli import main
from perceptory.data import ArrayEncoder, read_series
from perceptory.models.backtest import Backtest
from perceptory.models.forecasts import warn_of_other_levels
from perceptory.models.horizon_intervals import ends_of_intervals, spreads, with_horizon_intervals
from perceptory.models.model import Model
from perceptory.networks.linear import Linear

RANDOM = np.random.default_rng(5)
MONTHS = [str(m) + "-01" for m in np.arange("2015-01", "2020-01", dtype="datetime64[M]")]
SERIES = {"small": 1.0, "large": 1000.0}


def table(rows=60):
    """Two series of one shape whose levels differ a thousandfold."""
    season = 10 + np.sin(np.arange(rows) * np.pi / 6)
    y = np.concatenate([size * (season + RANDOM.normal(0, 0.05, rows)) for size in SERIES.values()])
    return {"month": MONTHS[:rows] * 2, "name": np.repeat([*SERIES], rows).tolist(), "sales": y}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    import polars as pl

    folder = tmp_path_factory.mktemp("forecasts")
    given = table()
    pl.DataFrame(given).write_csv(folder / "sales.csv")
    data = read_series(given, "sales", predict="ahead", window=12, horizon=(3, 1), series="name")
    result = pt.Study(networks=Linear(1e-3)).run(data, folder=folder / "run")
    return SimpleNamespace(data=data, result=result, model=result.model, folder=folder, table=given)


def test_the_future_from_the_end_of_what_the_run_was_given(run):
    ahead = run.model.forecast()
    assert ahead.series == ("small", "large")
    assert ahead.horizons.tolist() == [1, 3]
    last = run.table["sales"]
    windows = np.stack([last[48:60], last[108:120]])[..., None]
    np.testing.assert_allclose(ahead.values[..., 0], run.model.predict(windows)[:, ::-1])
    frame = ahead.frame()
    assert frame.columns == ["name", "month", "steps ahead", "predicted sales", "lower sales", "upper sales"]
    assert frame["month"].to_list() == ["2020-01-01", "2020-03-01"] * 2
    assert np.all((ahead.lower < ahead.values) & (ahead.values < ahead.upper))
    again = Model.load(run.folder / "run").forecast()
    np.testing.assert_array_equal(again.values, ahead.values)
    np.testing.assert_array_equal(again.upper, ahead.upper)
    assert repr(again) == "Forecast(sales of 2 series, 1 to 3 steps ahead)"


def test_the_width_of_an_interval_is_that_of_its_series(run):
    ahead = run.model.forecast()
    width = (ahead.upper - ahead.lower)[..., 0]
    assert np.all(width[1] > 100 * width[0])
    assert np.all(np.diff(run.model.forecast(coverage=0.5).upper - ahead.lower, axis=0) > 0)
    with pytest.raises(pt.InputError, match=r"coverage of 0.999 needs at least 999 held-out forecasts"):
        run.model.forecast(coverage=0.999)
    with pytest.raises(pt.InputError, match="coverage needs a number above 0 and below 1"):
        run.model.forecast(coverage=90)


def test_new_series_and_those_that_are_asked_for(run):
    new = {"month": [f"2021-{m:02d}-01" for m in range(1, 13)], "sales": np.linspace(5, 6, 12)}
    ahead = run.model.forecast(new)
    assert ahead.frame()["month"].to_list() == ["2022-01-01", "2022-03-01"]
    assert ahead.values.shape == (1, 2, 1)
    only = run.model.forecast(series="large")
    np.testing.assert_allclose(only.values, run.model.forecast().values[1:], rtol=1e-4)
    with pytest.raises(pt.InputError, match=r"no series 'huge'. The series are: 'small', 'large'"):
        run.model.forecast(series=["huge"])


def test_series_too_short_for_a_forecast_are_named_and_left_out(run, capfd, monkeypatch):
    import polars as pl

    new = {"month": MONTHS[:12] + MONTHS[:5] + MONTHS[:3], "name": ["long"] * 12 + ["short"] * 5 + ["new"] * 3}
    new["sales"] = np.linspace(5, 6, 20)
    with pytest.warns(UserWarning, match=r"2 series \(the first 'short'\) are not forecast: fewer than 12 rows"):
        assert run.model.forecast(new).series == ("long",)
    monkeypatch.chdir(run.folder)
    pl.DataFrame(new).head(17).write_csv("short.csv")
    for argv in (["--ahead"], []):
        assert main(["predict", "run", "short.csv", *argv]) == 0
        said = capfd.readouterr()
        assert "note: series 'short' is not forecast: fewer than 12 rows, the window of the model." in said.err
        assert "short" not in said.out
    with pytest.raises(pt.InputError, match="a window of 12 rows needs at least 12 rows"):
        run.model.forecast({"month": MONTHS[:5], "sales": np.linspace(5, 6, 5)})


def test_a_backtest_says_what_came(run):
    back = run.model.forecast(run.table, origins=4)
    assert back.series == ("small",) * 4 + ("large",) * 4
    assert [str(np.datetime64(int(d), "D")) for d in back.origins[:4]] == [
        "2019-03-01", "2019-06-01", "2019-09-01", "2019-12-01",
    ]  # fmt: skip
    np.testing.assert_array_equal(back.truth[0, :, 0], run.table["sales"][[51, 53]])
    assert np.isnan(back.truth[3]).all()
    windows = run.table["sales"][39:51][None, :, None]
    np.testing.assert_allclose(back.values[0, :, 0], run.model.predict(windows)[0, ::-1], rtol=1e-4)
    assert run.model.forecast(run.table, origins=2, every=1, series="small").truth[0, 0, 0] == run.table["sales"][59]
    with pytest.raises(pt.InputError, match="Give the data"):
        run.model.forecast(origins=2)


def test_a_backtest_scores_by_origin_and_horizon(run, capfd, monkeypatch):
    """Against sums by hand, over what has come alone; on the command line as a table."""
    back = run.model.backtest(run.table, origins=2)
    assert len(back.forecast.series) == 4
    error = np.abs(back.forecast.values - back.forecast.truth)[..., 0]
    assert back.scores["mae"] == pytest.approx(error.mean())
    assert [row["mae"] for row in back.by_horizon] == pytest.approx(error.mean(axis=0))
    for row in back.by_origin:
        assert row["forecasts"] == 2
        own = back.forecast.origins == row["from"]
        assert row["rmse"] == pytest.approx(np.sqrt(np.mean(error[own] ** 2)))
    sales, season = run.table["sales"][:60], run.data.plan.season
    np.testing.assert_allclose(back.units[1, 0], np.abs(sales[season:57] - sales[: 57 - season]).mean())
    assert 0 <= back.scores["coverage"] <= 1
    assert len(run.model.backtest(run.table, origins=1, every=1, series="small").forecast.series) == 1
    with pytest.raises(pt.InputError, match="nothing of what is forecast has come"):
        run.model.backtest({"month": MONTHS[:12], "name": ["small"] * 12, "sales": run.table["sales"][:12]})
    monkeypatch.chdir(run.folder)
    assert main(["backtest", "run", "sales.csv", "--origins", "2", "--out", "back.csv"]) == 0
    printed = capfd.readouterr()
    lines = printed.out.splitlines()
    assert "keep_sealed=" not in printed.err
    assert lines[0] == "4 forecasts of sales"
    assert lines[1].split() == ["MAE", "RMSE", "SMAPE", "MASE", "COVERAGE"]
    names = [line[:16].strip() for line in lines[2:]]
    assert names == ["all", "from 2019-06-01", "from 2019-09-01", "t+1", "t+3"]
    assert len((run.folder / "back.csv").read_text().splitlines()) == 1 + 4 * 2


def test_of_many_origins_and_horizons_a_backtest_prints_a_dozen_each(run):
    """The earliest origins and the farthest horizons share a line; by_origin and by_horizon have all."""
    n, h = 40, 30
    values = np.random.default_rng(0).normal(size=(n, h, 1))
    found = run.model.forecast(run.table, origins=2)
    found = dataclasses.replace(
        found, series=("small",) * n, horizons=np.arange(1, h + 1), origins=18000.0 + np.arange(n), values=values,
        truth=np.zeros_like(values), lower=None, upper=None,
    )  # fmt: skip
    back = Backtest(found, np.ones((n, 1)))
    rows = [(line[:29].strip(), float(line[29:].split()[0])) for line in back.lines()[2:]]
    names = [name for name, _ in rows]
    assert len(names) == 1 + 12 + 12
    assert names[:3] == ["all", "from 2019-04-14 to 2019-05-12", "from 2019-05-13"]
    assert names[12:15] == ["from 2019-05-23", "t+1", "t+2"]
    assert names[-2:] == ["t+11", "t+12 to t+30"]
    mean = {
        "all": values,
        names[1]: values[:29],
        names[2]: values[29],
        "t+11": values[:, 10],
        names[-1]: values[:, 11:],
    }
    for name, what in mean.items():
        assert dict(rows)[name] == pytest.approx(np.abs(what).mean(), rel=1e-3)
    assert len(back.by_origin) == n
    assert len(back.by_horizon) == h


def test_the_command_line(run, capfd, monkeypatch):
    monkeypatch.chdir(run.folder)
    assert main(["predict", "run", "--ahead"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "name,month,steps ahead,predicted sales,lower sales,upper sales"
    assert lines[1].startswith("small,2020-01-01,1,")
    assert main(["predict", "run", "sales.csv", "--ahead", "--origins", "2", "--out", "f.csv"]) == 0
    assert (
        (run.folder / "f.csv")
        .read_text()
        .splitlines()[0]
        .startswith("name,month,from,steps ahead,predicted sales,sales")
    )
    for argv, said in (
        ([], "predict needs the data to predict, or --ahead"),
        (["sales.csv", "--origins", "2"], "--origins is for --ahead"),
        (["--ahead", "--members"], "--members does not go with --ahead"),
        (["--ahead", "--origins", "2"], "--origins needs the series"),
        (["none.csv", "--ahead"], "there is no file 'none.csv'"),
    ):
        assert main(["predict", "run", *argv]) == 2
        assert said in capfd.readouterr().err


def test_the_report_shows_the_last_windows(run):
    """Of each series the last sealed forecast, with its interval and what came; read back from the run folder."""
    from perceptory.figures import last_forecasts
    from perceptory.runs.result import load_result

    before = run.result.forecasts
    assert before.part == "validation"
    study = pt.Study(networks=Linear(1e-3), keep_sealed=True)
    again = study.run(run.data, folder=run.folder / "tested", open_test=True)
    shown = load_result(run.folder / "tested").forecasts
    assert (shown.part, shown.target, shown.series) == ("test", "sales", ("small", "large"))
    np.testing.assert_array_equal(shown.truth[1], run.table["sales"][[117, 119]])
    np.testing.assert_array_equal(shown.history[1], run.table["sales"][105:117])
    np.testing.assert_allclose(
        shown.predicted[0], again.model.predict(run.table["sales"][45:57][None, :, None])[0, ::-1], rtol=1e-3
    )
    assert np.all((shown.lower < shown.predicted) & (shown.predicted < shown.upper))
    axes = last_forecasts(again).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["small", "large"]
    came = next(line for line in axes[1].lines if line.get_label() == "what came")
    np.testing.assert_array_equal(came.get_xydata(), np.stack([shown.horizons, shown.truth[1]], axis=1))
    page = (run.folder / "tested" / "report.html").read_text()
    assert "and what came" in page
    assert page.count("RMSE of always predicting the mean") == 1  # of all horizons together


def test_once_it_is_tested_a_model_learns_from_the_latest_rows_too(run):
    """A level that shifts where the study's rows end: the test is of the model before, the forecast of the one after;
    resumed and read back it is the same."""
    noise = np.random.default_rng(6).normal(size=60)
    data = read_series({"y": np.where(np.arange(60) < 48, 50, 65) + noise}, "y", predict="ahead", window=4, horizon=3)
    networks = [pt.Windowed(Linear(1e-3), level="none", scale="none"), pt.Naive(1)]
    study = pt.Study(networks=networks, validation=pt.RollingOrigin(1), final="refit")
    kept = study.replace(keep_sealed=True).run(data, open_test=True)
    folder = run.folder / "shifted"
    result = study.run(data, folder=folder, open_test=True)
    assert result.tested == kept.tested
    assert result.model.facts["learned_from"] == {"rows": 54, "sealed_rows": 12}
    assert "learned_from" not in kept.model.facts
    assert "trained anew on all rows" in result.summary()
    assert "trained anew" not in kept.summary()
    with pytest.warns(UserWarning, match="beyond all that the model has learned from"):
        assert kept.model.forecast().values.max() < 60
    assert result.model.forecast().values.min() > 60
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = Model.load(folder).forecast()
    np.testing.assert_array_equal(again.values, result.model.forecast().values)
    with pytest.warns(UserWarning, match=r"has learned from these rows.*keep_sealed"):
        result.model.backtest({"y": np.where(np.arange(60) < 48, 50, 65) + noise}, origins=2)
    resumed = study.run(data, folder=folder, open_test=True, resume=True)
    np.testing.assert_array_equal(resumed.model.weights, result.model.weights)
    simple = study.replace(networks=pt.Naive(1)).run(data, open_test=True)
    assert "Chosen  naive  (nothing in it is learned)" in simple.summary()
    naive = simple.model
    assert "learned_from" in naive.facts


def test_models_that_forecast_nothing():
    model = SimpleNamespace(encoder=SimpleNamespace(), ends=None)
    from perceptory.models.forecasts import forecast

    with pytest.raises(pt.InputError, match='models of predict="ahead"'):
        forecast(model, None, None, None, 1, None, None)


@pytest.mark.parametrize(("level", "last", "said"), [("none", 110, True), ("none", 61, False), ("last", 110, False)])
def test_a_level_that_no_row_of_the_study_had_is_told(level, last, said):
    """By models that take values as they are, and expect them to return."""
    y = np.append(50 + np.arange(30) % 10, [last])
    data = read_series({"y": y}, "y", predict="ahead", window=4, horizon=(1, 2))
    encoder = ArrayEncoder.fit(data.take(np.arange(20)))
    part = SimpleNamespace(network=pt.Windowed(Linear(1e-3), level=level, scale="none"))
    model = SimpleNamespace(parts=(part,), encoder=encoder, targets=data.target_names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_other_levels(model, data.ends)
    assert [f"'y' is {last}, beyond all that the model has learned" in str(w.message) for w in caught] == [True] * said


def test_the_coverage_that_is_tested_is_that_of_what_is_forecast(run):
    test = run.result.sealed.examples
    model, inputs = run.model, np.asarray(test.inputs)
    names = [run.data.ends.names[s] for s in test.timeline.series]
    ends = ends_of_intervals(model, inputs, model.predict(inputs), 0.9, names)
    inside = (ends[..., 0] <= test.targets) & (test.targets <= ends[..., 1])
    tested = pt.Study(networks=Linear(1e-3)).run(run.data, open_test=True).tested
    np.testing.assert_allclose(tested["coverage_90"], inside.mean(axis=0))


def test_damaged_ends_are_refused(run, tmp_path):
    from perceptory.models import model_file

    model = Model.load(run.folder / "run")
    model.ends.windows[0, 0, 0] = np.nan
    model_file.save(model, tmp_path / "m.safetensors")
    with pytest.raises(pt.InputError, match="last windows of its series do not fit"):
        Model.load(tmp_path / "m.safetensors")
    model.facts["horizon_scores"]["scores"] = [[1.0]]
    with pytest.raises(pt.InputError, match="held-out scores do not fit"):
        model.forecast()


# --- intervals by horizon -------------------------------------------------------------------------------------------


def judge(n, new, horizons=3, spread=True, seed=0):
    """Share of new targets in intervals whose scores come from n forecasts; both drawn alike."""
    random = np.random.default_rng(seed)
    plan = SimpleNamespace(horizons=tuple(range(1, horizons + 1)))
    encoder = SimpleNamespace(plan=plan, feature_names=("y",))
    model = SimpleNamespace(encoder=encoder, facts={}, targets=tuple(f"y(t+{h})" for h in plan.horizons))

    def draw(k):
        level = np.exp(random.normal(0, 2 if spread else 0, k))[:, None, None]
        x = level * (5 + random.normal(0, 1, (k, 8, 1)))
        error = level[:, 0] * np.arange(1, horizons + 1) * random.standard_t(4, (k, horizons))
        return x, error

    x, error = draw(n)
    with_horizon_intervals(model, x, error, np.zeros_like(error), np.ones(n))
    x, error = draw(new)
    ends = ends_of_intervals(model, x, np.zeros_like(error), 0.9)
    return ((ends[..., 0] <= error) & (error <= ends[..., 1])).mean(axis=0), model, ends, x


@pytest.mark.parametrize("n", [25, 150, 3000])
def test_coverage_by_horizon(n):
    """Exchangeable forecasts: nine in ten at every horizon, whether the scores are few, many, or thinned."""
    covered = np.mean([judge(n, 400, seed=s)[0] for s in range(30 if n < 1000 else 4)], axis=0)
    assert np.all((covered > 0.885) & (covered < 0.935))


def test_what_was_forecast_long_ago_counts_less():
    """Errors that were three times as large six horizons ago: intervals are those of the last ones, nearly."""
    rng, n = np.random.default_rng(3), 4000
    ages = rng.integers(0, 8, n) + 0.0
    error = rng.normal(0, np.where(ages >= 6, 3.0, 1.0), (2, n)).T
    model = SimpleNamespace(facts={}, encoder=SimpleNamespace(feature_names=("y",)), targets=("a", "b"))
    x, widths = np.ones((n, 3, 1)), []
    for given in (None, np.zeros(n), ages):
        with_horizon_intervals(model, x, error, np.zeros_like(error), np.ones(n), given)
        ends = ends_of_intervals(model, x[:1], np.zeros((1, 2)), 0.9)
        widths.append(ends[0, :, 1] - ends[0, :, 0])
    np.testing.assert_array_equal(widths[0], widths[1])
    order, share = np.argsort(np.abs(error[:, 0])), 0.5 ** (ages / 2)
    by_hand = np.abs(error[order, 0])[np.searchsorted(np.cumsum(share[order]), 0.9 * share.sum())]
    assert widths[2][0] == pytest.approx(2 * by_hand, rel=0.05)
    assert np.all(widths[2] < 0.85 * widths[0])
    assert model.facts["horizon_scores"]["count"] == int(share.sum() ** 2 / (share**2).sum())


def test_a_series_that_is_harder_than_others_has_wider_intervals():
    """Two series in windows alike, one of errors four times as large; a third that nobody knows."""
    rng, n = np.random.default_rng(4), 3000
    series = np.array(["easy", "hard"])[rng.integers(0, 2, n)]
    error = rng.normal(0, np.where(series == "hard", 4.0, 1.0), (2, n)).T
    model = SimpleNamespace(facts={}, encoder=SimpleNamespace(feature_names=("y",)), targets=("a", "b"))
    x, zeros = np.ones((n, 3, 1)), np.zeros_like(error)
    with_horizon_intervals(model, x, error, zeros, np.ones(n), rng.integers(0, 4, n) / 4, series)
    ends = ends_of_intervals(model, x[:3], zeros[:3], 0.9, ["new", "hard", "easy"])
    width = (ends[..., 1] - ends[..., 0])[:, 0]
    assert width[1:] == pytest.approx([2 * 1.645 * 4, 2 * 1.645], rel=0.12)
    assert width[0] == pytest.approx(np.ptp(np.quantile(error, [0.05, 0.95])), rel=0.1)
    np.testing.assert_array_equal(ends_of_intervals(model, x[:1], zeros[:1], 0.9), ends[:1])
    plain = ends_of_intervals(model, x, zeros, 0.9, series.tolist())
    covered = (plain[..., 0] <= error) & (error <= plain[..., 1])
    for name in ("easy", "hard"):
        assert 0.87 < covered[series == name].mean() < 0.93
    model.facts["horizon_scores"]["factors"]["hard"] = -1.0
    with pytest.raises(pt.InputError, match="the file was altered"):
        ends_of_intervals(model, x[:1], zeros[:1], 0.9)


def test_intervals_of_what_is_never_below_0_end_there():
    error = np.random.default_rng(5).normal(size=(100, 2))
    model = SimpleNamespace(facts={}, encoder=SimpleNamespace(feature_names=("y",)), targets=("a", "b"))
    x, zeros, least = np.ones((100, 3, 1)), np.zeros((100, 2)), np.array([0.0, -1.0])
    with_horizon_intervals(model, x, error, zeros, np.ones(100), least=least)
    ends = ends_of_intervals(model, x[:1], zeros[:1], 0.9)[0]
    assert ends[0, 0] == 0
    assert ends[1, 0] < -1 < 1 < ends[0, 1]
    model.facts["horizon_scores"]["nonnegative"] = [2]
    with pytest.raises(pt.InputError, match="the file was altered"):
        ends_of_intervals(model, x[:1], zeros[:1], 0.9)


def test_intervals_are_as_wide_as_their_windows_are_wild():
    _, model, ends, x = judge(500, 20)
    assert model.facts["horizon_scores"]["relative"]
    spread = spreads(model, x)
    assert np.ptp((ends[..., 1] - ends[..., 0]) / spread, axis=0).max() < 1e-9
    by_hand = np.mean(np.abs(np.diff(x[..., 0], axis=1)), axis=1) + 1e-4 * np.mean(np.abs(x[..., 0]), axis=1)
    np.testing.assert_allclose(spread[:, 1], by_hand, rtol=1e-9)
    assert not judge(500, 20, spread=False)[1].facts["horizon_scores"]["relative"]


def test_few_scores_are_shared_by_the_horizons():
    _, model, ends, _ = judge(6, 5, horizons=8, spread=False)
    scores = np.array(model.facts["horizon_scores"]["scores"])
    squares = (scores**2).mean(axis=1)
    size = np.sqrt((6 * squares + 5 * squares.mean()) / 11)
    shared = np.sort(np.abs(scores / size[:, None]).ravel())
    np.testing.assert_allclose(ends[0, :, 1], shared[int(np.ceil(0.9 * 49)) - 1] * size, rtol=1e-6)
    with pytest.raises(pt.InputError, match="needs at least 9 held-out forecasts, and the model has 4"):
        judge(4, 2, horizons=1)


def test_the_usual_intervals_are_left_out_where_too_few_forecasts_tell_them():
    from perceptory.models.horizon_intervals import KEY, enough_for

    model = SimpleNamespace(facts={KEY: {"count": 4, "relative": False, "scores": [[-1.0, 0.0, 1.0, 2.0]]}})
    assert not enough_for(model, 1, 0.9)
    assert enough_for(model, 1, 0.8)
    three = {"count": 4, "relative": False, "scores": [[-1.0, 0.0, 1.0, 2.0]] * 3}  # horizons share theirs
    assert enough_for(SimpleNamespace(facts={KEY: three}), 3, 0.9)
