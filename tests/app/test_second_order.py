"""Second-order optimizers on the command line."""

import json

import pytest

from perceptory import LevenbergMarquardt, log_uniform
from tests.app.conftest import table
from tests.app.test_options import asked


def test_fit_with_levenberg_marquardt(perceptory, tmp_path):
    table(tmp_path / "data.csv")
    code, out, _ = perceptory(
        "fit", "data.csv", "--target", "y", "--network", "mlp:3", "--optimizer", "lm:damping=0.01",
        "--folds", 2, "--epochs", 4, "--out", "run",
    )  # fmt: skip
    assert code == 0
    assert "LevenbergMarquardt" in out
    study = json.loads((tmp_path / "run" / "study.json").read_text())
    assert "LevenbergMarquardt" in json.dumps(study)
    assert '"precision": "double"' in json.dumps(study)


def test_too_large_a_network_is_told_with_numbers(perceptory, tmp_path):
    table(tmp_path / "data.csv")
    code, _, err = perceptory("fit", "data.csv", "--target", "y", "--network", "mlp:2000", "--optimizer", "newton")
    assert code != 0
    assert "weights of MLP 2000" in err
    assert "lbfgs or adam" in err


def test_its_numbers_are_searched_and_it_takes_no_learning_rate(diabetes):
    study = asked("--optimizer lm:1e-4..1:scale=diagonal").study(diabetes)
    assert study.optimizer == LevenbergMarquardt(log_uniform(1e-4, 1.0), scale="diagonal")
    with pytest.raises(ValueError, match="--learning-rate does not go with LBFGS, which has no learning rate"):
        asked("--optimizer lbfgs --learning-rate 0.1").study(diabetes)
    mixed = asked("--optimizer lm --optimizer adam --learning-rate 0.1").study(diabetes)
    assert mixed.optimizer.values[0] == LevenbergMarquardt()
    assert mixed.optimizer.values[1].learning_rate.top == 0.1


@pytest.fixture(scope="module")
def diabetes():
    from perceptory.data import load_bundled

    return load_bundled("diabetes")
