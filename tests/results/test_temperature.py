from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

import perceptory as pt
from perceptory.models.averages import mean_of
from perceptory.models.temperature import calibration_error, logits, noise_between, tempered, with_temperature
from perceptory.selection.metrics import log_loss
from perceptory.studies import held_out


def drawn(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True probabilities [row, class], and classes drawn from them."""
    random = np.random.default_rng(seed)
    p = softmax(1.5 * random.normal(size=(rows, classes)), axis=1)
    return p, (p.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1).clip(0, classes - 1)


def fitted(p: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None, **scatter) -> float | None:
    model = SimpleNamespace(facts={})
    with_temperature(model, p, truth, np.ones(len(p)) if weights is None else weights, **scatter)
    return model.facts.get("temperature")


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("planted", [0.5, 2.0])
def test_planted_temperature_is_found(classes, planted):
    p, truth = drawn(4000, classes)
    wrong = tempered(p, 1 / planted)  # too sure by the planted temperature
    assert fitted(wrong, truth) == pytest.approx(planted, rel=0.1)
    np.testing.assert_allclose(tempered(wrong, planted), p, rtol=1e-6)
    fixed = tempered(wrong, fitted(wrong, truth))
    ones = np.ones(len(p))
    assert calibration_error(truth, fixed, ones) < 0.02 < calibration_error(truth, wrong, ones)


def test_none_where_it_does_not_help():
    p, truth = drawn(1000, 3)
    assert fitted(p, truth) is None  # right as they are
    few, t = drawn(12, 2, seed=1)
    assert fitted(tempered(few, 0.8), t) is None  # too few to tell
    assert fitted(p[:1], truth[:1]) is None
    assert fitted(p, np.zeros(1000, int)) is None  # one class alone


def test_a_weight_is_a_repeated_row():
    p, truth = drawn(600, 2)
    wrong, weights = tempered(p, 0.5), np.random.default_rng(0).integers(0, 3, size=600)
    repeated = fitted(np.repeat(wrong, weights, axis=0), np.repeat(truth, weights))
    assert fitted(wrong, truth, weights.astype(float)) == pytest.approx(repeated, rel=1e-3)


@pytest.mark.parametrize("scatter", [0.6, 1.2])
def test_what_the_mean_does_by_itself_is_taken_off(scatter):
    """Planted: networks whose logits scatter are too sure one by one, and their mean is not sure enough."""
    random = np.random.default_rng(2)
    true = 1.5 * random.normal(size=(8000, 2))
    truth = (softmax(true, axis=1)[:, 1] > random.random(8000)).astype(int)
    networks = softmax(true + scatter * random.normal(size=(10, 8000, 2)), axis=-1)
    noise = noise_between(logits(networks[0]) - logits(networks[1]))
    assert noise == pytest.approx(2 * scatter**2, rel=0.1)
    assert fitted(networks[0], truth) > 1.2
    needed = fitted(networks.mean(axis=0), truth) or 1.0
    assert needed < 0.95
    assert fitted(networks[0], truth, noise=noise, folds=10) == pytest.approx(needed, abs=0.08)


def test_calibration_error_by_hand():
    p = np.array([[0.9, 0.1], [0.88, 0.12], [0.3, 0.7], [0.3, 0.7]])
    truth, weights = np.array([0, 1, 1, 0]), np.array([1.0, 1.0, 2.0, 1.0])
    expected = (abs(0.1 + 0.12 - 1) + abs(3 * 0.7 - 2)) / 5
    assert calibration_error(truth, p, weights) == pytest.approx(expected)
    three = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    assert calibration_error(np.array([0, 0]), three, np.ones(2)) == pytest.approx(abs(1.2 - 1) / 2)
    assert np.isnan(calibration_error(np.array([0]), np.array([[np.nan, 1.0]]), np.ones(1)))


def test_the_mean_is_tempered():
    each = np.array([[[0.9, 0.1]], [[0.7, 0.3]]])
    model = SimpleNamespace(facts={"temperature": 2.0}, shares=None)
    root = np.sqrt([[0.8, 0.2]])
    np.testing.assert_allclose(mean_of(model, each), root / root.sum())


def test_networks_that_are_not_sure_enough(tmp_path):
    """Through the doors: a classifier that a penalty holds back, its file, its metrics, ONNX."""
    random = np.random.default_rng(3)
    x = random.normal(size=(400, 6))
    y = np.where(random.random(400) < 1 / (1 + np.exp(-4 * x[:, 0])), "yes", "no")
    data, new = pt.read_table(x[:300], y[:300]), pt.read_table(x[300:], y[300:])
    study = pt.Study([pt.MLP((4,))], penalty=pt.WeightPenalty(0.1), epochs=10, validation=pt.HoldOut(0.5), test=0.0)
    result = study.run(data, test=new)
    model = result.model
    assert 0.2 <= model.facts["temperature"] < 0.8
    plain = model.members(x[300:]).mean(axis=0)
    found = model.predict_proba(x[300:])
    np.testing.assert_allclose(found, tempered(plain, model.facts["temperature"]))
    truth = (y[300:] == "yes").astype(int)
    tested = result.test()
    assert tested["ece"] == pytest.approx(calibration_error(truth, found, np.ones(100)))
    assert tested["log_loss"] < log_loss(truth, plain) - 0.05
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(
        pt.Model.load(tmp_path / "model.safetensors").predict_proba(x), model.predict_proba(x)
    )
    exported = model.to_onnx(tmp_path / "model.onnx", x[:40])
    assert exported.difference["relative"] < 1e-4
    arrays = {name: 2 * a for name, a in model.arrays().items()}
    assert "temperature" not in model.with_arrays(arrays).facts


def test_what_networks_know_by_heart_is_no_scatter(monkeypatch):
    """Folds that agree on all rows but those that one held out and the others learned by heart."""
    rows = np.arange(30)
    folds = [(np.flatnonzero(rows % 3 != k), np.flatnonzero(rows % 3 == k)) for k in range(3)]
    said = {
        k: np.where(np.isin(rows, held)[:, None], [[0.5, 0.5]], [[0.99, 0.01]]) for k, (_, held) in enumerate(folds)
    }
    monkeypatch.setattr(held_out, "_sampled", lambda records, chosen, mixture: said)
    records = SimpleNamespace(prepared=SimpleNamespace(folds=folds, encoded=SimpleNamespace(count=30)))
    assert held_out._scatter(records, 0, None) == (0.0, 3)
    said[1] = said[1] * [[0.9, 1]] + [[0, 0.099]]
    assert held_out._scatter(records, 0, None)[0] > 0.5
