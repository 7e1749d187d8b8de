"""Final models of several candidates: through every door, and honest."""

import re
from dataclasses import replace

import numpy as np
import pytest

from perceptory import NARX, PCA, Adam, HoldOut, KFold, Linear, Model, Study, default_study, load_result, read_table
from perceptory.app.predict import predict
from perceptory.data import read_series
from perceptory.errors import InputError
from perceptory.estimators import NetworkRegressorCV
from perceptory.models.weighted import WeightedModel
from perceptory.networks.mlp import MLP
from perceptory.reports.advice import advice
from perceptory.reports.procedure import mixture_words
from perceptory.selection.metrics import rmse


def table(rows=90, noise=0.4, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2))
    bent = x[:, 0] + np.tanh(2 * x[:, 1])
    return read_table({"a": x[:, 0], "b": x[:, 1], "y": bent + noise * random.normal(size=rows)}, "y")


STUDY = Study([Linear(), MLP((4,), "tanh")], optimizer=Adam(0.03), epochs=40, validation=KFold(3), final="weighted")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixture") / "run"
    data = table()
    return STUDY.run(data, folder=folder), data, folder


def test_the_model_is_the_weighted_mean_of_its_parts(ran):
    result, data, _ = ran
    model = result.model
    assert isinstance(model, WeightedModel)
    assert len(model) == 6
    assert sum(result.mixture.shares.values()) == pytest.approx(1)
    by_hand = sum(s * part.predict(data) for part, s in zip(model.parts, model.part_shares, strict=True))
    np.testing.assert_allclose(model.predict(data), by_hand, rtol=1e-6)
    np.testing.assert_allclose(model.shares @ model.members(data)[..., 0], by_hand, rtol=1e-6)
    with pytest.raises(InputError, match=r"weighs networks of 2 candidates, which have no network in common"):
        _ = model.network
    low, high = model.predict_interval(data, 0.8).T
    assert 0.6 < np.mean((low <= data.targets[:, 0]) & (data.targets[:, 0] <= high)) < 0.95
    assert len(model.networks()) == 6
    changed = model.with_arrays({"layers.0.bias": model.arrays(5)["layers.0.bias"] + 1}, 5)
    assert not np.allclose(changed.predict(data), by_hand)
    assert "intervals" not in changed.facts


def test_what_is_shown_is_predicted_by_shares_that_were_selected_without_the_row(ran):
    result, _, folder = ran
    shown = result.predictions
    of_folds = result.mixture.per_fold
    by_rows = {"better": -0.1, "the same": 0.0, "worse": 0.1}
    for name, more in by_rows.items():
        mixture = replace(result.mixture, selected=result.mixture.mean + more)
        words = mixture_words(replace(result, mixture=mixture))
        assert [words.endswith("which flatters."), words.endswith("the same.")] == [name == "better", more == 0]
    assert mixture_words(replace(result, candidates=result.candidates[:1])) == ""
    assert result.validation["rmse"] == pytest.approx(np.mean(of_folds)) == pytest.approx(result.estimate.mean)
    assert rmse(shown.target, shown.output)[0] == pytest.approx(result.estimate.mean, rel=0.05)
    assert result.mixture.selected <= result.estimate.mean + 1e-9
    words = " ".join(result.summary().split())
    assert "a weighted mean of 2 candidates" in words
    assert "took no part in the selection" in words
    page = (folder / "report.html").read_text()
    assert "A weighted mean of 2 candidates predicts y" in page
    assert "6 networks of 2 candidates" in page
    for id, share in result.mixture.shares.items():  # beside the candidate, and none is called the chosen one
        counts = f"{100 * share:.0f} %"
        assert re.search(rf"{result.candidate(id).label} +{counts}", result.summary())
        assert re.search(rf"{result.candidate(id).label}</td><td class=\"n\">{counts}</td>", page)
    assert "badge" not in page.partition("</style>")[2]
    assert not any("standard error" in note for note in advice(result))


def test_file_folder_and_command_line_give_it_back(ran, tmp_path):
    result, data, folder = ran
    loaded = Model.load(folder)
    np.testing.assert_array_equal(loaded.predict(data), result.model.predict(data))
    np.testing.assert_array_equal(loaded.predict_interval(data), result.model.predict_interval(data))
    assert loaded.facts == result.model.facts
    assert load_result(folder).mixture == result.mixture
    content = (folder / "model.safetensors").read_bytes()
    altered = tmp_path / "m.safetensors"
    altered.write_bytes(content.replace(b'\\"share\\": 0.', b'\\"share\\": 1.', 1))
    with pytest.raises(InputError, match="checksum"):
        Model.load(altered)
    table_file = tmp_path / "new.csv"
    rows = {name: [float(v) for v in np.linspace(-1, 1, 4)] for name in "ab"}
    table_file.write_text("a,b\n" + "".join(f"{a!r},{b!r}\n" for a, b in zip(*rows.values(), strict=True)))
    predict(str(folder), str(table_file), str(tmp_path / "out.csv"), proba=False, members=True)
    printed = [line.rsplit(",", 6)[0] for line in (tmp_path / "out.csv").read_text().splitlines()]  # 6 networks
    np.testing.assert_allclose([float(line.split(",")[-1]) for line in printed[1:]], loaded.predict(rows), rtol=1e-5)
    again = STUDY.run(data, folder=folder, resume=True)
    assert again.mixture == result.mixture


def test_one_share_of_rows_and_the_estimator():
    linear = [Linear(ridge=ridge) for ridge in (0.0, 0.3, 3.0)]
    x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60.0)
    estimator = NetworkRegressorCV(linear, penalty=0.0, cv=HoldOut(0.4), final="weighted").fit(x, y + x[:, 0])
    assert estimator.predict(x).shape == (60,)
    assert len(estimator.result_.mixture.per_fold) == 1
    assert estimator.best_score_ == estimator.result_.estimate.mean


def test_of_noise_it_promises_nothing():
    """Linear models with many inputs and few rows, and a target that has nothing to do with them."""
    promised, flattering = [], []
    for seed in range(4):
        random = np.random.default_rng(seed)
        data = read_table(random.normal(size=(48, 6)), random.normal(size=48))
        study = Study([Linear(ridge=r) for r in (0.0, 0.3, 3.0)], validation=KFold(4), final="weighted", test=0)
        mixture, deviation = study.run(data).mixture, data.targets.std()
        promised.append(mixture.mean / deviation)
        flattering.append(mixture.selected / deviation)
    assert np.mean(promised) > 1
    assert np.mean(promised) > np.mean(flattering)


def test_what_cannot_be_weighed_is_refused():
    with pytest.raises(InputError, match="used one by one"):
        Study(PCA(2), final="weighted").run(
            read_table(np.random.default_rng(0).normal(size=(30, 3)), task="autoencode")
        )
    classes = read_table({"x": np.arange(40.0), "y": ["a", "b"] * 20}, "y")
    with pytest.raises(InputError, match="weighs by errors of numbers, and these are classes"):
        Study(Linear(), final="weighted_by_error").run(classes)


def test_a_record_is_simulated_by_all_candidates_by_their_errors():
    """By default, with shares and an estimate as they should be."""
    rng = np.random.default_rng(0)
    u, y = rng.normal(size=400), np.zeros(400)
    for t in range(1, 400):
        y[t] = 0.8 * y[t - 1] + np.tanh(u[t])
    data = read_series({"u": u, "y": y}, "y", predict="every step", window="auto")
    assert default_study(data).final == "weighted_by_error"
    networks = [NARX((), input_lags=2, output_lags=m, train="least squares", at_rest=True) for m in (1, 2)]
    result = Study(networks, final="weighted_by_error", test=0.0).run(data)
    shares, errors = (np.array([values[c.id] for c in result.candidates]) for values in (
        result.mixture.shares, {c.id: c.mean for c in result.candidates}
    ))  # fmt: skip
    assert shares == pytest.approx(errors**-4 / np.sum(errors**-4), abs=0.02)
    assert result.mixture.mean < errors.max()
    assert len(result.model.parts) == 2
