"""Windows relative to their own level and scale: exact both ways, the same for series of any size, kept in the file."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import perceptory as pt
from perceptory.data.series.season import changes, season_of
from perceptory.data.series.stationarity import dickey_fuller, kpss, stationary
from perceptory.data.series.windows import usual_cut
from perceptory.figures import error_by_horizon
from perceptory.models.units import in_own_units, window_units
from perceptory.networks.nbeats import between
from perceptory.networks.windowed import LEVELS, SCALES
from perceptory.ops.relative import Relation, absolute, relative, relative_targets
from perceptory.selection.metrics import mase, owa, score_for, smape
from perceptory.studies.encoded_examples import split_number
from perceptory.studies.forecasts import for_forecasts
from perceptory.studies.presets_forecasts import forecasters

LEVEL, SPREAD = np.array([5.0, 4e6, 300.0]), np.array([1.0, 1e3, 20.0])


def waves(steps=90, period=6):
    """[series, step] of one shape, a thousandfold apart in size."""
    t, noise = np.arange(steps), np.random.default_rng(0).normal(size=(3, steps)) / 5
    return LEVEL[:, None] + SPREAD[:, None] * (np.sin(2 * np.pi * t / period) + noise)


@pytest.fixture(scope="module")
def data():
    values = waves()
    frame = pl.DataFrame({"name": np.repeat(list("abc"), values.shape[1]), "y": values.ravel()})
    return pt.read_series(
        frame, "y", predict="ahead", series="name", window=12, horizon=range(1, 5), stride=2, together=False
    )


@pytest.fixture(scope="module")
def result(data):
    mlp = pt.Windowed(pt.MLP((4,)), window=8, level="last", scale="spread")
    networks = [pt.Naive(1), pt.Naive(), pt.Windowed(pt.Linear(1e-3)), mlp]
    study = pt.Study(networks, validation=pt.BlockedKFold(2), epochs=3, cost=pt.SquaredError())
    result = study.run(data)
    result.test()
    return result


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=10)
@given(
    values=arrays.arrays(float, (2, 9, 2), elements=st.floats(0.01, 1e6)),
    horizons=st.permutations(range(1, 4)).map(tuple),
)
def test_numbers_stand_for_the_values_that_they_were_made_of(level, scale, log, values, horizons):
    how = Relation(level, scale, 3, log, horizons)
    past, future = values[:, :6], values[:, 6:][:, np.array(horizons) - 1]
    numbers, units = relative(np, how, past)
    assert numbers.shape == (2, 6 - how.lost, 2)
    back = absolute(how, relative_targets(np, how, future, units), units)
    np.testing.assert_allclose(back, future, rtol=1e-9, atol=1e-9 * values.max())


def test_single_precision_keeps_a_small_spread_on_a_large_level():
    exact = (1e7 + np.random.default_rng(1).normal(size=(1, 20, 1))).astype(float)
    how = Relation("mean", "spread", 1, False, (1, 2))
    (x, rest), (t, t_rest) = split_number(exact[:, :18], np.float32), split_number(exact[:, 18:], np.float32)
    numbers, units = relative(jnp, how, jnp.asarray(x), jnp.asarray(rest))
    seen = relative_targets(jnp, how, jnp.asarray(t), units, jnp.asarray(t_rest))
    expected, own = relative(np, how, exact[:, :18])
    np.testing.assert_allclose(numbers, expected, atol=1e-5)
    np.testing.assert_allclose(seen, relative_targets(np, how, exact[:, 18:], own), atol=1e-5)


def test_naive_networks_repeat_what_was(result, data):
    labels = [candidate.label for candidate in result.candidates]
    assert {"naive", "seasonal naive 6"} <= set(labels)
    assert result.model.network.label == "seasonal naive 6"  # the best of a series that repeats itself
    np.testing.assert_allclose(result.model.predict(data), data.inputs[:, 6:10, 0], rtol=1e-6)


def test_one_network_serves_series_of_any_size(result, data):
    """A window times 1000 gives a forecast times 1000; a window and a constant, where the level is taken off."""
    model = pt.Study([pt.Windowed(pt.Linear(1e-3))], validation=pt.HoldOut(), test=0).run(data).model
    assert isinstance(model.network, pt.Windowed)
    inputs = np.asarray(data.inputs[:3])
    np.testing.assert_allclose(model.mean(1000 * inputs), 1000 * model.mean(inputs), rtol=1e-5)
    shifted = pt.Windowed(pt.Linear(), level="last", scale="spread").replace(channels=(0,), horizons=(1,))
    numbers, _ = window_units(shifted, inputs + 7.0)
    np.testing.assert_allclose(numbers, window_units(shifted, inputs)[0], atol=1e-6)


def test_the_file_keeps_how_windows_are_seen(result, data, tmp_path):
    result.model.save(tmp_path / "model.safetensors")
    loaded = pt.Model.load(tmp_path / "model.safetensors")
    assert loaded.network == result.model.network
    np.testing.assert_array_equal(loaded.predict(data), result.model.predict(data))


def test_quantiles_of_logarithms_are_quantiles():
    network = pt.Windowed(pt.MLP((2,)), level="last", scale="none", log=True, channels=(0,), horizons=(1, 2))
    cost, inputs = pt.Quantile((0.1, 0.5, 0.9)), np.exp(waves(8)[:, :, None] / LEVEL[:, None, None])
    output = np.sort(np.random.default_rng(0).normal(size=(3, 3, 2)), axis=1).reshape(3, 6)
    values = in_own_units(network, cost, output, (np.zeros(2), np.ones(2)), inputs)
    expected = inputs[:, -1:, :] * np.exp(output.reshape(3, 3, 2))
    np.testing.assert_allclose(values, expected.reshape(3, 6))


def test_no_forecast_of_what_is_never_below_0_is_below_it():
    random = np.random.default_rng(0)
    table = {"count": random.poisson(0.5, 60).astype(float), "change": random.normal(size=60)}
    data = pt.read_series(table, ["count", "change"], predict="ahead", window=6, horizon=(1, 2))
    (candidate,) = for_forecasts(pt.Study(pt.Windowed(pt.Linear(), scale="spread")).candidates(pt.SquaredError()), data)
    network, windows = candidate.network, np.asarray(data.inputs)[:3]
    assert network.nonnegative == (0,)
    one = np.zeros(4), np.ones(4)
    low = in_own_units(network, pt.SquaredError(), np.full((3, 4), -50.0), one, windows)
    assert np.all(low[:, ::2] == 0)
    assert np.all(low[:, 1::2] < -1)
    either = in_own_units(network, pt.Quantile((0.1, 0.9)), np.full((3, 8), -50.0), one, windows)
    assert np.all(either[:, ::2] == 0)
    free = in_own_units(network.replace(nonnegative=()), pt.SquaredError(), np.full((3, 4), 9.0), one, windows)
    np.testing.assert_array_equal(in_own_units(network, pt.SquaredError(), np.full((3, 4), 9.0), one, windows), free)


def test_seasons_are_told_by_the_step_or_found():
    assert season_of(list(waves(120))) == 6
    assert season_of([np.random.default_rng(0).normal(size=200)]) == 1
    yearly = [np.sin(2 * np.pi * np.arange(60) / 12)]
    assert season_of(yearly, 1.0, "month") == 12
    assert season_of([np.sin(2 * np.pi * np.arange(400) / 24)], 1 / 24, "day") == 24


def test_a_season_that_grows_with_the_level_is_found():
    t = np.arange(90)
    assert season_of([np.exp(0.02 * t) * (2 + np.sin(2 * np.pi * t / 12))]) == 12


def test_stationarity_by_both_tests():
    """The statistics are those of statsmodels' kpss and adfuller (constant, as many lags)."""
    wave = np.sin(np.arange(60)) + 0.1 * np.arange(60) % 3
    assert kpss(wave) == pytest.approx(0.5224860004334552)
    assert dickey_fuller(wave) == pytest.approx(-1.2552310257383288)
    noise = np.random.default_rng(0).normal(size=300)
    assert stationary(noise)
    assert not stationary(np.cumsum(noise))
    assert not stationary(noise + 0.02 * np.arange(300))
    assert not stationary(np.ones(50))
    assert not stationary(noise[:20])


def test_the_unit_of_scaled_errors_is_the_mean_change_until_the_origin():
    values = np.array([1.0, 2, 4, 7, 10, 10, 30])[:, None]
    units = changes(values, np.array([0, 4, 7]), np.array([3, 4, 6]), 1)
    np.testing.assert_allclose(units[:, 0], [1.5, 2.0, 26 / 5])


@pytest.mark.parametrize(
    ("network", "cost", "said"),
    [
        (pt.Windowed(pt.MLP((2,)), window=99), None, "at most 12"),
        (pt.Windowed(pt.MLP((2,)), window=6, scale="season"), None, "at least 7"),
        (pt.Windowed(pt.MLP((2,)), level="difference"), pt.GaussianLikelihood(), "does not go with differences"),
        (pt.Windowed(pt.MLP((2,))), pt.PoissonLikelihood(), "Poisson"),
        (pt.Windowed(pt.MLP((2,)), log=True), pt.SMAPE(), "logarithms"),
        (pt.MLP((2,)), pt.SMAPE(), "Windowed"),
    ],
)
def test_what_does_not_go_together_is_said(data, network, cost, said):
    with pytest.raises(pt.InputError, match=said):
        pt.Study([network], cost=cost, epochs=1).run(data)


def test_scores_of_forecasts_by_hand(result):
    target, output, units = np.array([[1.0, 4.0], [2.0, 0.0]]), np.array([[3.0, 4.0], [2.0, 0.0]]), np.full((2, 2), 4.0)
    np.testing.assert_allclose(smape(target, output), [50.0, 0.0])
    np.testing.assert_allclose(mase(target, output, None, units=units), [0.25, 0.0])
    np.testing.assert_allclose(mase(target, output, np.array([0.0, 1.0]), units=units), [0.0, 0.0])
    np.testing.assert_allclose(owa(target, output, None, units=units), [(50 / 13.564 + 0.25 / 1.912) / 2, 0.0])
    assert result.score["name"] == "mase"
    with pytest.raises(pt.InputError, match="forecasts"):
        score_for("regression", "mase")


def test_horizons_are_one_number_a_line_and_a_figure(result):
    text = result.summary()
    assert "MASE by horizon on the test: " in text
    assert len([line for line in text.splitlines() if "y(t+" in line]) == 0
    line = error_by_horizon(result).axes[0].lines[1]
    np.testing.assert_allclose(line.get_ydata(), result.tested["mase"])


def test_residual_blocks_by_hand():
    """Each block sees what those before have left, and the forecasts are summed; a linear part is the start."""
    network = pt.NBEATS(2, width=3, layers=1, seasonal=True, season=2, horizons=(1, 2, 3))
    module = network.build((4, 1), (3,), key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(5, 4, 1)).astype(np.float32)
    flat, y = x[:, :, 0], x[:, [2, 3, 2], 0] + module.straight(x[:, :, 0])
    for block in module.blocks:
        v = np.maximum(flat @ block.hidden[0].weight + block.hidden[0].bias, 0)
        flat, y = flat - (v @ block.back.weight + block.back.bias), y + (v @ block.ahead.weight + block.ahead.bias)
    np.testing.assert_allclose(module(jnp.asarray(x)), y, rtol=1e-4, atol=1e-5)


def test_pooled_blocks_draw_lines_between_fewer_values():
    values = between(jnp.asarray([[[0.0], [2.0], [1.0]]]), 5)
    np.testing.assert_allclose(values[0, :, 0], [0, 1, 2, 1.5, 1])
    module = pt.NBEATS(1, width=3, layers=1, pool=(2,)).build((5, 1), (4,), key=jax.random.key(0))
    assert module.blocks[0].hidden[0].weight.shape == (2, 3)  # two pairs of the last four steps
    assert module(jnp.ones((2, 5, 1))).shape == (2, 4)


def test_windows_suit_season_and_length_where_none_is_asked():
    lengths = np.array([900, 700])
    assert usual_cut(lengths, None, None, range(1, 49), 24) == (192, 1)
    assert usual_cut(np.array([144]), None, None, range(1, 13), 12) == (36, 1)
    assert usual_cut(np.array([30]), None, None, range(1, 7), 12)[0] == 8  # three horizons leave some to learn from
    assert usual_cut(np.full(400, 900), None, None, range(1, 49), 24) == (336, 5)
    assert usual_cut(lengths, 7, 3, [1], 1) == (7, 3)


def test_a_weighted_model_is_trained_anew(data):
    """Its solved networks are those of a refit of each candidate."""
    linear = [pt.Windowed(pt.Linear(ridge), level="last", scale="spread") for ridge in (1e-3, 3.0)]
    settings = {"validation": pt.BlockedKFold(2), "test": 0}
    model = pt.Study(linear, final="weighted_refit", **settings).run(data).model
    parts = getattr(model, "parts", (model,))
    alone = pt.Study([parts[0].network], final="refit", **settings).run(data).model
    np.testing.assert_allclose(parts[0].predict(data), alone.predict(data), rtol=1e-6)


def test_by_default_naive_and_linear_forecasts_are_ranked_beside_networks(data):
    frame = pl.DataFrame({"y": 50 + 10 * waves(120)[0]})
    known = pt.read_series(frame, "y", predict="ahead", horizon=range(1, 7))
    study = pt.default_study(known, "quick")
    assert study.final == "weighted_refit"
    assert [n.label for n in study.networks[:2]] == ["naive", "naive"]  # the second takes the season of the data
    assert [type(n) for n in study.networks[2:5]] == [pt.Smoothing, pt.Smoothing, pt.TrendSeason]
    assert {type(n.network).__name__ for n in study.networks[5:]} == {"Linear", "MLP"}


@pytest.mark.parametrize("level", ["mean", "season"])
def test_costs_of_forecasts_are_those_of_values_in_their_own_units(level):
    """What the program computes from numbers, against sMAPE and scaled errors of the values that they stand for."""
    network = pt.Windowed(pt.MLP((2,)), level=level, scale="spread", season=3, channels=(0,), horizons=(1, 2))
    x, t = (a.astype(np.float32) for a in np.split(waves(14)[:, :, None], [12], axis=1))
    output, factor = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32), jnp.asarray([0.5], jnp.float32)
    values = in_own_units(network, pt.SMAPE(), output, (np.zeros(2), np.full(2, 2.0)), x)

    def costs(cost):
        _, told = network.seen(jnp.asarray(x), None, jnp.asarray(t[..., 0]), None, jnp.zeros_like(x), factor, cost)
        return cost.per_row(jnp.asarray(output), told)

    expected = 2 * np.abs(values - t[..., 0]) / (np.abs(values) + np.abs(t[..., 0]))
    np.testing.assert_allclose(costs(pt.SMAPE()), expected.sum(axis=1), rtol=2e-3)
    change = np.abs(x[:, 3:] - x[:, :-3]).mean(axis=1)
    change = np.maximum(change, 0.02 * np.abs(x).mean(axis=1))
    np.testing.assert_allclose(
        costs(pt.ScaledAbsoluteError()), (np.abs(values - t[..., 0]) / change).sum(axis=1), rtol=2e-3
    )


def test_of_several_costs_a_network_goes_without_those_that_do_not_suit_it(data):
    networks = [pt.Naive(1), pt.Windowed(pt.MLP((2,))), pt.Windowed(pt.MLP((2,)), log=True)]
    study = pt.Study(networks, cost=pt.choice(pt.AbsoluteError(), pt.SMAPE()))
    told = for_forecasts(study.candidates(pt.AbsoluteError()), data)
    assert [(c.network.log, type(c.cost).__name__) for c in told] == [
        (False, "AbsoluteError"),  # what repeats itself learns nothing, so one cost is enough
        (False, "AbsoluteError"),
        (False, "SMAPE"),
        (True, "AbsoluteError"),
    ]


def test_networks_are_for_those_who_have_the_windows_for_them():
    y = 50 + np.random.default_rng(0).normal(size=120).cumsum()
    few, more = (pt.read_series({"y": y[:n]}, "y", predict="ahead", window=8, season=1, horizon=[1]) for n in (80, 120))
    assert all(n.solved or isinstance(n.network, pt.Linear) for n in forecasters(few, "normal"))
    assert any(isinstance(getattr(n, "network", None), pt.MLP) for n in forecasters(more, "normal"))
