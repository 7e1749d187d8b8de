"""Forecasts that are told more than the past: sales that a promotion drives, known ahead, by region and weekday."""

import inspect
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory.app import cli
from perceptory.app.cli import main
from perceptory.app.options import data_options
from perceptory.app.source import source_of
from perceptory.data import read_series
from perceptory.models.model import Model

ROWS, HORIZON, NOISE = 160, 3, 0.1
WEEK = np.array([0, 0, 0, 0, 0, 4, 2.0])


def made(after=HORIZON):
    """Four shops: a promotion sells 3 more, Tuesdays 4, Wednesdays 2, the south 5. After the end there is the plan
    alone."""
    rng, parts = np.random.default_rng(3), []
    for k in range(4):
        days = np.arange("2024-01-01", np.datetime64("2024-01-01") + ROWS + after, dtype="datetime64[D]")
        promotion = (rng.random(len(days)) < 0.3).astype(float)
        sales = 20 + 3 * promotion + WEEK[days.astype(int) % 7] + 5 * (k % 2) + rng.normal(0, NOISE, len(days))
        known = np.arange(len(days)) < ROWS
        parts.append(
            pl.DataFrame(
                {
                    "day": days.astype(str),
                    "shop": f"shop {k}",
                    "region": ["north", "south"][k % 2],
                    "promotion": promotion,
                    "weather": np.where(known, rng.normal(size=len(days)), np.nan),
                    "sales": np.where(known, sales, np.nan),
                }
            ).fill_nan(None)
        )
    return pl.concat(parts)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, given = tmp_path_factory.mktemp("known"), made()
    past = given.filter(pl.col("sales").is_not_null())
    given.write_csv(folder / "plan.csv")
    past.write_csv(folder / "sales.csv")
    data = read_series(
        past, "sales", predict="ahead", window=4, horizon=range(1, HORIZON + 1), series="shop", time="day",
        known_ahead="promotion", calendar=True,
    )  # fmt: skip
    study = pt.Study(networks=pt.Windowed(pt.Linear(1e-4), level="none", scale="none"))
    study.run(data, folder=folder / "told", open_test=True)
    told = study.run(data, folder=folder / "told", open_test=True, resume=True)
    return SimpleNamespace(folder=folder, given=given, past=past, data=data, told=told)


def test_what_is_known_ahead_brings_the_error_down_to_the_noise(run):
    """Without the promotion it would be 1.4, without the region 2.5."""
    assert max(run.told.tested["rmse"]) < 1.15 * NOISE


def test_the_future_from_a_table_that_goes_on_from_one_of_its_own_and_from_the_run(run):
    model = Model.load(run.folder / "told")
    one = model.forecast(run.given)
    other = model.forecast(future=run.given.select("day", "shop", "promotion"))
    np.testing.assert_allclose(one.values, other.values, rtol=1e-6)
    later = run.given.filter(pl.col("sales").is_null())
    days = later["day"].to_numpy().astype("datetime64[D]").astype(int)
    south = (later["region"] == "south").to_numpy()
    came = 20 + 3 * later["promotion"].to_numpy() + WEEK[days % 7] + 5 * south
    assert np.abs(one.values.ravel() - came).max() < 2 * NOISE
    assert one.frame()["day"].to_list() == later["day"].to_list()
    turned = run.given.with_columns(
        pl.when(pl.col("sales").is_null())
        .then(1 - pl.col("promotion"))
        .otherwise(pl.col("promotion"))
        .alias("promotion")
    )
    np.testing.assert_allclose(
        model.forecast(turned).values.ravel() - one.values.ravel(), 3 - 6 * later["promotion"].to_numpy(), atol=0.2
    )


def test_where_the_future_is_missing(run):
    model = run.told.model
    needs = "needs 'promotion', which is known ahead, for the 3 rows after the end of series 'shop 0'"
    for arguments in ({}, {"data": run.past}, {"future": run.given.filter(pl.col("day") < "2024-06-11")}):
        with pytest.raises(pt.InputError, match=needs):
            model.forecast(**arguments)
    with pytest.raises(pt.InputError, match="the table of the future lacks 'promotion'"):
        model.forecast(future=run.given.drop("promotion"))
    assert len(model.predict(run.past)) == 4 * (ROWS - 4 - HORIZON + 1)  # windows whose future is in the table
    back = model.forecast(run.past, origins=2)
    assert np.isfinite(back.truth).all()
    assert len(back.series) == 4
    assert np.abs(back.values - back.truth).max() < 5 * NOISE


def test_the_command_line(run, capfd, monkeypatch):
    monkeypatch.chdir(run.folder)
    options = dict.fromkeys(inspect.signature(cli.fit).parameters) | {"target": ["sales"], "ignore": [], "missing": []}
    options |= {
        "data": "sales.csv",
        "predict": "ahead",
        "series": "shop",
        "time": "day",
        "window": 4,
        "horizon": "1..3",
    }
    options |= {"known_ahead": ["promotion,"], "static": ["region"], "calendar": "day-of-week", "inputs": []}
    data, _ = source_of(data_options(options)).read("sales.csv")
    assert data.channels == run.data.channels
    assert data.plan.beside == run.data.plan.beside
    alone, _ = source_of(data_options(options | {"static": ["none"], "ignore": ["region"]})).read("sales.csv")
    assert not alone.plan.beside.static
    for argv in (["plan.csv"], ["--future", "plan.csv"]):
        assert main(["predict", "told", "--ahead", *argv]) == 0
        assert capfd.readouterr().out.splitlines()[1].startswith("shop 0,2024-06-09,1,")
    for argv, said in (
        (["--ahead"], "which is known ahead, for the 3 rows after the end"),
        (["sales.csv", "--future", "plan.csv"], "--future is for --ahead"),
        (["--ahead", "--future", "none.csv"], "there is no file 'none.csv'"),
    ):
        assert main(["predict", "told", *argv]) == 2
        assert said in capfd.readouterr().err
    assert main(["fit", "sales.csv", "--target", "sales", "--known-ahead", "promotion"]) == 2
    assert "--known-ahead is for series" in capfd.readouterr().err


def test_the_graph_and_the_recurrent_network(run):
    """Windows with all their channels go into ONNX; what reads step after step gets the future beside the steps."""
    pytest.importorskip("onnx")
    exported = run.told.model.to_onnx(run.folder / "told.onnx", run.given)
    assert exported.difference["relative"] < 1e-5
    network = pt.Windowed(pt.GRU((3,)), channels=(0,), horizons=(1, 2, 3), still=(1,), ahead=(2,))
    shape = network.sight.within((4, 3))
    assert shape == (4, 3)
    assert pt.Windowed(pt.MLP((3,)), channels=(0,), horizons=(1, 2, 3), still=(1,), ahead=(2,)).sight.within(
        (4, 3)
    ) == (8, 1)
