from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy import stats

import perceptory as pt
from perceptory.app.predict import predict
from perceptory.errors import InputError
from perceptory.models.intervals import HeldOut, density_cost, deviation_of, gain_of, interval_of, with_intervals
from perceptory.models.residual_law import FREEDOMS, Law, law_of, student_cost
from perceptory.models.residual_scale import Inputs, learn


def model(targets: int = 1) -> SimpleNamespace:
    return SimpleNamespace(task="regression", facts={}, targets=tuple(f"y{k}" for k in range(targets)))


def held(residuals: np.ndarray, x: np.ndarray | None = None, weights: np.ndarray | None = None, gain: float = 1.0):
    """Predictions of 0 that miss by these residuals [row, ..., target]."""
    rows = len(residuals)
    return HeldOut(
        np.zeros((rows, 0)) if x is None else x,
        residuals,
        np.zeros_like(residuals),
        np.ones(rows) if weights is None else weights,
        np.arange(rows) % 5,
        gain,
    )


def test_few_rows_are_split_conformal_by_hand():
    m = model()
    with_intervals(m, held(np.array([[1.0], [-3.0], [2.0], [4.0]])))
    x, each = np.zeros((2, 0)), np.array([[[10.0], [20.0]]])
    scores = np.array(m.facts["intervals"]["targets"][0]["law"]["scores"])
    # The scale of one of the four rows is the mean |residual| of the others.
    np.testing.assert_allclose(scores, [-3 / (7 / 3), 1 / 3, 2 / (8 / 3), 4 / 2], rtol=1e-5)
    # Of 4 scores the 4th smallest holds ceil(0.8 * 5) = 4 of 5; the model's own scale is the mean of all.
    np.testing.assert_allclose(interval_of(m, x, each, 0.8), [[10 - 5, 10 + 5], [20 - 5, 20 + 5]], rtol=1e-5)
    half = 2.5 * 3 / (7 / 3)
    np.testing.assert_allclose(
        interval_of(m, x, each, 0.6), [[10 - half, 10 + half], [20 - half, 20 + half]], rtol=1e-5
    )
    with pytest.raises(InputError, match="at least 9 validation rows, and the model has 4"):
        interval_of(m, x, each, 0.9)


def test_width_follows_the_row_where_the_truth_is_known():
    """Planted: a skewed residual whose scale is 0.2 + |x0|, of rows that weigh 1 or 3; x1 says nothing."""
    random = np.random.default_rng(0)

    def draw(rows: int):
        x = random.uniform(-2, 2, size=(rows, 2))
        scale = 0.2 + np.abs(x[:, 0])
        return x, scale, scale * (random.exponential(size=rows) - 1)

    x, _, r = draw(2000)
    m = model()
    with_intervals(m, held(r[:, None], x, np.where(random.random(2000) < 0.5, 1.0, 3.0)))
    x, scale, r = draw(4000)
    each = np.zeros((1, 4000, 1))
    low, high = interval_of(m, x, each).T
    inside = (low <= r) & (r <= high)
    for near in (np.abs(x[:, 0]) < 0.6, (np.abs(x[:, 0]) >= 0.6) & (np.abs(x[:, 0]) < 1.2), np.abs(x[:, 0]) >= 1.2):
        assert 0.86 < inside[near].mean() < 0.95
    # Ends at the quantiles of the planted law, each with its own.
    np.testing.assert_allclose(np.median(low / scale), -1 - np.log(0.95), rtol=0.1)
    np.testing.assert_allclose(np.median(high / scale), -1 - np.log(0.05), rtol=0.1)
    deviation = deviation_of(m, x, each)[:, 0]
    assert abs(np.median(deviation / scale) - 1) < 0.15
    assert np.corrcoef(np.log(deviation), np.log(scale))[0, 1] > 0.95


def test_one_scale_where_rows_do_not_differ():
    random = np.random.default_rng(0)
    x, r = random.normal(size=(400, 3)), random.standard_t(5, size=400)
    scale, own = learn(Inputs(x, np.zeros(400)), np.abs(r), np.ones(400), np.arange(400) % 5)
    assert scale.level == 0
    np.testing.assert_allclose(own, np.abs(r).mean(), rtol=0.1)


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_coverage_of_new_rows(coverage):
    random = np.random.default_rng(1)
    inside = []
    for _ in range(60):
        m = model()
        with_intervals(m, held(random.standard_t(3, size=(40, 1))))
        low, high = interval_of(m, np.zeros((50, 0)), np.zeros((1, 50, 1)), coverage).T
        new = random.standard_t(3, size=50)
        inside.append(np.mean((low <= new) & (new <= high)))
    assert coverage - 0.02 < np.mean(inside) < coverage + 0.04


def test_rows_of_weight_zero_steps_and_constant_residuals():
    m = model()
    residuals = np.array([[[1.0], [99.0]], [[-1.0], [1.0]]])  # [row, step, target]
    with_intervals(m, held(residuals, weights=np.array([[1.0, 0.0], [1.0, 1.0]])))
    assert m.facts["intervals"]["targets"][0]["law"]["rows"] == 3
    found = interval_of(m, np.zeros((4, 2, 0)), np.zeros((1, 4, 2, 1)), 0.7)
    np.testing.assert_allclose(found, np.broadcast_to([-1.0, 1.0], (4, 2, 2)))
    with_intervals(m, held(np.zeros((100, 1))))
    assert not np.any(interval_of(m, np.zeros((3, 0)), np.zeros((1, 3, 1))))
    assert not np.any(deviation_of(m, np.zeros((3, 0)), np.zeros((1, 3, 1))))


def test_intervals_of_what_is_never_below_0_end_there():
    m, truth = model(), np.random.default_rng(3).exponential(size=(200, 1))
    with_intervals(m, HeldOut(np.zeros((200, 0)), truth, np.ones((200, 1)), np.ones(200), np.zeros(200, int)))
    low, high = interval_of(m, np.zeros((2, 0)), np.array([[[0.1], [5.0]]])).T
    assert low[0] == 0 < low[1] < 5 < high[1]
    assert high[0] > 0.1


def test_inputs_that_are_constant_missing_or_huge():
    random = np.random.default_rng(6)
    x = np.stack([np.zeros(200), np.full(200, np.nan), 1e30 * random.normal(size=200), random.normal(size=200)], axis=1)
    r = (0.1 + np.abs(x[:, 3])) * random.normal(size=200)
    with_intervals(m := model(), held(r[:, None], x))
    low, high = interval_of(m, x, np.zeros((1, 200, 1))).T
    assert np.all(low < high)
    assert 0.85 < np.mean((low <= r) & (r <= high)) < 0.95


def test_a_weight_is_a_repeated_row():
    random = np.random.default_rng(2)
    z, w = np.sort(random.normal(size=300)), random.integers(1, 4, size=300).astype(float)
    weighted, repeated = law_of(z, w, 1000), law_of(np.repeat(z, w.astype(int)), np.ones(int(w.sum())), 1000)
    assert (weighted.freedom, len(weighted.scores)) == (repeated.freedom, 300)
    np.testing.assert_allclose(weighted.scale, repeated.scale)
    for share in (0.1, 0.5, 0.9):  # of weighted scores an equal number of quantiles
        at = [np.quantile(law.scores, share) for law in (weighted, repeated)]
        np.testing.assert_allclose(*at, atol=0.03)


def test_many_scores_are_thinned_outwards():
    law = law_of(np.linspace(-1, 1, 20_001), np.ones(20_001), 1024)
    low, high = law.ends(0.9)
    assert len(law.scores) == 1024
    assert -0.902 < low <= -0.8999
    assert 0.8999 <= high < 0.902


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_density_is_students(freedom):
    z = np.array([-3.0, 0.0, 0.5, 8.0])
    expected = -(stats.norm.logpdf(z) if np.isinf(freedom) else stats.t.logpdf(z, freedom))
    np.testing.assert_allclose(student_cost(z, freedom), expected, rtol=1e-12)
    law = Law(z, 4, freedom, 2.0)
    np.testing.assert_allclose(law.cost(z), student_cost(z / 2, freedom) + np.log(2))
    assert law.deviation == pytest.approx(2 * (1 if np.isinf(freedom) else stats.t.std(freedom)))


def test_freedom_and_scale_of_the_greatest_likelihood():
    random = np.random.default_rng(3)
    law = law_of(0.3 * random.standard_t(4, size=4000), np.ones(4000), 100)
    assert law.freedom in (3, 4, 5)
    assert law.scale == pytest.approx(0.3, rel=0.1)
    assert law_of(random.normal(size=4000), np.ones(4000), 100).freedom >= 15


def test_density_of_two_targets_by_hand():
    m = model(2)
    random = np.random.default_rng(4)
    with_intervals(m, held(random.normal(size=(40, 2)) * [1, 10], gain=0.8))
    each, truth = np.array([[[1.0, 2.0]], [[3.0, 4.0]]]), np.array([[2.5, -1.0]])
    found = density_cost(m, np.zeros((1, 0)), each, truth)
    deviation = deviation_of(m, np.zeros((1, 0)), each)
    for k in range(2):
        law = Law.from_json(m.facts["intervals"]["targets"][k]["law"])
        scale = deviation[0, k] / law.deviation * law.scale
        known = stats.norm if np.isinf(law.freedom) else stats.t(law.freedom)
        z = (truth[0, k] - each[:, 0, k].mean()) / scale
        assert found[0, k] == pytest.approx(np.log(scale) - known.logpdf(z))
    with_intervals(plain := model(2), held(np.random.default_rng(4).normal(size=(40, 2)) * [1, 10]))
    np.testing.assert_allclose(deviation, 0.8 * deviation_of(plain, np.zeros((1, 0)), each))


def test_gain_of_independent_and_of_equal_networks():
    # Networks that err by V each and differ by D = 2 V err independently: their mean by V / k.
    assert gain_of(1.0, 2.0, 4) == pytest.approx(0.5 * (1 + np.sqrt(1 / 4)))
    assert gain_of(1.0, 0.0, 4) == gain_of(1.0, 2.0, 1) == gain_of(0.0, 1.0, 4) == gain_of(1.0, np.nan, 4) == 1


def test_bad_facts():
    m = model()
    x, each = np.zeros((1, 0)), np.zeros((1, 1, 1))
    with pytest.raises(InputError, match="no residuals"):
        interval_of(m, x, each)
    with_intervals(m, held(np.ones((20, 1))))
    good = m.facts["intervals"]
    one = good["targets"][0]
    for bad in (
        "text",
        {"targets": []},
        good | {"gain": -1},
        good | {"targets": [one, one]},
        good | {"targets": [one | {"scale": one["scale"] | {"level": 2}}]},
        good | {"targets": [one | {"law": one["law"] | {"scores": [2, 1]}}]},
        good | {"inputs": [[1.0], [float("nan")]]},
    ):
        m.facts["intervals"] = bad
        with pytest.raises(InputError, match="do not fit"):
            interval_of(m, x, each)
    with pytest.raises(InputError, match="coverage needs"):
        interval_of(m, x, each, 90)


def test_study_with_weights_two_targets_and_a_file(tmp_path):
    """Through the doors: a study of weighted rows and two targets, its metrics, its model file, the command line."""
    random = np.random.default_rng(5)
    x = random.uniform(-1, 1, size=(400, 2))
    t = x + (0.05 + 0.3 * (x > 0)) * random.normal(size=(400, 2))
    data = pt.read_table(x, t, weights=random.integers(1, 3, size=400))
    study = pt.Study([pt.MLP((4,))], epochs=20, validation=pt.KFold(3), test=0.0)
    new = pt.read_table(x[:200], t[:200])
    result = study.run(data, test=new)
    interval = result.model.predict_interval(x)
    assert interval.shape == (400, 2, 2)
    assert 0.8 < np.mean((interval[..., 0] <= t) & (t <= interval[..., 1])) < 0.97
    width = interval[..., 1] - interval[..., 0]
    assert np.all(width[x > 0.3].mean() > 2 * width[x < -0.3].mean())
    assert 0.5 < result.model.facts["intervals"]["gain"] <= 1
    result.model.save(tmp_path / "model.safetensors")
    loaded = pt.Model.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict_interval(x), interval)
    deviation = loaded.predict_deviation(x)
    np.testing.assert_array_equal(deviation, result.model.predict_deviation(x))
    tested, members = result.test(), loaded.members(x[:200])
    inside = (interval[:200, :, 0] <= t[:200]) & (t[:200] <= interval[:200, :, 1])
    np.testing.assert_allclose(tested["coverage_90"], inside.mean(axis=0))
    np.testing.assert_allclose(tested["nll"], density_cost(loaded, x[:200], members, t[:200]).mean(axis=0), rtol=1e-5)
    assert np.all(np.abs(np.array(result.validation["nll"]) - tested["nll"]) < 0.5)
    pl.DataFrame(x, schema=["x0", "x1"]).write_csv(tmp_path / "new.csv")
    predict(
        str(tmp_path / "model.safetensors"), str(tmp_path / "new.csv"), str(tmp_path / "out.csv"), False, False, 0.9
    )
    written = pl.read_csv(tmp_path / "out.csv")
    np.testing.assert_allclose(written["lower end of y0"], interval[:, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(written["deviation of y1"], deviation[:, 1], rtol=1e-6)
