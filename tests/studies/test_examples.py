"""Studies of series, images and networks of other kinds: the whole way, by value."""

import equinox as eqx
import numpy as np
import pytest

from perceptory import MLP, Adam, Folds, HoldOut, KFold, Model, Study
from perceptory.data import read_arrays, read_series, read_table
from perceptory.errors import InputError
from perceptory.networks.custom import Custom
from perceptory.networks.narx import NARX
from perceptory.networks.rbf import RBFNetwork
from perceptory.networks.recurrent import GRU

QUICK = {"epochs": 6, "patience": 0, "optimizer": Adam(1e-2), "batch_size": 8}


@pytest.fixture(scope="module")
def pictures():
    """Bytes [48, 4, 4, 1]: the brighter half tells the class."""
    random = np.random.default_rng(0)
    labels = np.arange(48) % 2
    x = random.integers(0, 100, (48, 4, 4, 1))
    x[labels == 1, :2] += 120
    return x.astype(np.uint8), np.array(["low", "high"])[labels]


def test_all_pixels_of_a_channel_share_the_scaling_of_their_fold(pictures):
    x, labels = pictures
    folds = [(np.arange(0, 30), np.arange(30, 48)), (np.arange(18, 48), np.arange(18))]
    result = Study(MLP((3,)), validation=Folds(folds), test=0, **QUICK).run(read_arrays(x, labels))
    model = result.model
    for k, (train, _) in enumerate(folds):
        assert model.in_center[k, 0] == pytest.approx(x[train].mean(), rel=1e-12)
        assert 1 / model.in_factor[k, 0] == pytest.approx(x[train].std(), rel=1e-12)
    assert result.validation["accuracy"] > 0.9
    probabilities = model.predict_proba(x)
    np.testing.assert_array_equal(model.predict(x), np.array(["high", "low"])[probabilities.argmax(1)])


def test_pictures_come_through_the_run_folder(pictures, tmp_path):
    x, labels = pictures
    result = Study(MLP((3,)), validation=HoldOut(0.3), test=0.25, **QUICK).run(read_arrays(x, labels), folder=tmp_path)
    tested = result.test()
    again = Model.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(x), result.model.predict_proba(x))
    sealed = result.predictions.row[result.predictions.part == "test"]
    assert tested["accuracy"] == np.mean(again.predict(x[sealed]) == labels[sealed])


@pytest.fixture(scope="module")
def tank():
    """y(t) = 0.8 y(t - 1) + 0.2 u(t): a first-order system, its input a random staircase."""
    random = np.random.default_rng(1)
    u = np.repeat(random.normal(size=40), 6)
    y = np.zeros(240)
    for k in range(1, 240):
        y[k] = 0.8 * y[k - 1] + 0.2 * u[k]
    return {"u": u, "y": 5 + 3 * y}


def test_a_sequence_study_scores_the_steps_that_count(tank):
    data = read_series(tank, "y", predict="every step", window=40, stride=20, washout=10)
    result = Study(GRU((3,)), validation=HoldOut(0.3), test=0.2, **QUICK).run(data)
    result.test()
    p = result.predictions
    assert set(p.step) == set(range(10, 40))
    test = p.part == "test"
    error = p.target[test, 0] - p.output[test, 0]
    assert result.tested["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    # What is written down is what the model says of the example, at that step.
    example = data.take(np.flatnonzero(data.row_numbers == p.row[test][0]))
    np.testing.assert_allclose(result.model.predict(example)[0, 10:], p.output[test][:30, 0], rtol=1e-5)


def test_no_step_of_a_sealed_or_validation_window_is_trained_on(tank):
    """Windows that overlap: a wild target of the last steps changes no weight of members that do not hold them."""
    study = Study(GRU((2,)), test=0.2, final="folds", **QUICK | {"epochs": 1})
    weights = []
    for wild in (0.0, 1e3):
        changed = dict(tank, y=tank["y"] + wild * (np.arange(240) >= 220))
        data = read_series(changed, "y", predict="every step", window=40, stride=10)
        weights.append(study.run(data).model.weights)
    np.testing.assert_array_equal(*weights)


def test_a_series_of_any_length_is_predicted_and_padding_changes_nothing(tank, tmp_path):
    data = read_series(tank, "y", predict="every step", window=40)
    model = Study(GRU((3,)), validation=HoldOut(0.3), test=0, **QUICK).run(data).model
    whole = model.predict(tank)
    assert whole.shape == (1, 240)
    np.testing.assert_allclose(model.predict({k: v[:100] for k, v in tank.items()})[0], whole[0, :100], atol=1e-5)
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(Model.load(tmp_path / "m.safetensors").predict(tank), whole)


def test_a_linear_narx_finds_the_system(tank):
    """Least squares know the answer: 0.8 and 0.2. In closed loop only the first outputs are looked at."""
    data = read_series(tank, "y", predict="every step", window=40, stride=20, known="all")
    study = Study(
        NARX((), input_lags=1, output_lags=1), validation=HoldOut(0.3), test=0, epochs=300, patience=0,
        # A first step of the whole rate, as Optax's form of Adam takes it, makes the closed loop unstable.
        optimizer=Adam(3e-2, eps=0, eps_root=1e-6), batch_size=12, precision="double",
    )  # fmt: skip
    result = study.run(data)
    assert result.validation["rmse"] < 0.02
    back = result.model.weights[0][1]
    assert back == pytest.approx(0.8, abs=0.02)
    unknown = dict(tank, y=np.where(np.arange(240) < 1, tank["y"], np.nan))
    np.testing.assert_array_equal(result.model.predict(unknown), result.model.predict(tank))


def test_measured_outputs_are_only_for_networks_that_feed_them_back(tank):
    every = read_series(tank, "y", predict="every step", window=40, stride=20, known="all")
    with pytest.raises(InputError, match="would see the outputs"):
        Study(GRU((2,)), **QUICK).run(every)
    with pytest.raises(InputError, match='known="all"'):
        Study(NARX((2,)), **QUICK).run(read_series(tank, "y", predict="every step", window=40, stride=20))


@pytest.fixture(scope="module")
def bumps():
    random = np.random.default_rng(2)
    x = random.uniform(-2, 2, (60, 2))
    return x, np.exp(-np.sum(x**2, axis=1)) + 0.3 * x[:, 0]


def test_a_solved_network_takes_no_step_and_beats_a_line(bumps):
    x, y = bumps
    result = Study([RBFNetwork(12), MLP(())], validation=KFold(3), test=0, **QUICK).run(read_table(x, y))
    solved = result.candidate("c1")
    assert solved.best_epoch == 1
    assert solved.mean < 0.5 * result.candidate("c2").mean
    member = next(m for m in result.members if m.candidate == "c1")
    assert len(member.train_cost) == 1
    assert member.train_cost[0] < member.validation_cost[0]


def test_a_network_of_ones_own_trains_and_needs_its_builder_again(bumps, tmp_path):
    x, y = bumps

    def build(inputs, outputs, key):
        return eqx.nn.MLP(inputs, outputs, 4, 1, key=key)

    own = Custom(build, name="small")
    result = Study(own, validation=HoldOut(0.3), test=0, **QUICK).run(read_table(x, y), folder=tmp_path)
    with pytest.raises(InputError, match="network of your own"):
        Model.load(tmp_path)
    again = Model.load(tmp_path, network=own)
    np.testing.assert_array_equal(again.predict(x), result.model.predict(x))
    with pytest.raises(InputError, match="was given"):
        Model.load(tmp_path, network=Custom(build, name="other"))
