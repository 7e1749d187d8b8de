from __future__ import annotations

import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor

from perceptory import NetworkRegressor, NetworkRegressorCV

SMALL = {"hidden": (4,), "epochs": 5, "learning_rate": 0.05, "random_state": 0, "validation_fraction": 0.0}


class Recorder:
    """A callback of scikit-learn's protocol that stops after some epochs."""

    def __init__(self, most: int = 10**6):
        self.most, self.tasks, self.hooks = most, [], []

    def setup(self, estimator, context):
        self.hooks.append("setup")

    def teardown(self, estimator, context):
        self.hooks.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self.hooks.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.tasks.append(
            (context.task_name, None if fitted_estimator is None else fitted_estimator.predict([[0, 0, 0]]))
        )
        return len(self.tasks) >= self.most


def test_a_task_an_epoch_with_the_network_of_that_epoch(numbers):
    recorder = Recorder()
    network = NetworkRegressor(**SMALL).set_callbacks(recorder).fit(*numbers)
    assert [name for name, _ in recorder.tasks] == ["epoch"] * 5 + ["fit"]
    assert recorder.hooks[:2] == ["setup", "begin fit"]
    assert recorder.hooks[-1] == "teardown"
    outputs = np.concatenate([output for _, output in recorder.tasks])
    assert len(set(outputs.tolist())) == 5
    assert outputs[-1] == network.predict([[0, 0, 0]])


def test_a_callback_may_stop(numbers):
    X, y = numbers
    network = NetworkRegressor(**SMALL).set_callbacks(Recorder(3)).fit(X, y)
    assert network.n_iter_ == 3
    shorter = NetworkRegressor(**{**SMALL, "epochs": 3}).fit(X, y)
    np.testing.assert_allclose(network.predict(X), shorter.predict(X), rtol=1e-9)


def test_scores_of_every_epoch(numbers):
    pytest.importorskip("pandas")
    monitor = ScoringMonitor(scoring="r2")
    network = NetworkRegressor(**SMALL).set_callbacks(monitor).fit(*numbers)
    scores = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == 5
    assert scores[-1] == pytest.approx(network.score(*numbers))


def test_progress_bars(numbers, capsys):
    NetworkRegressor(**SMALL).set_callbacks(ProgressBar()).fit(*numbers)
    assert "NetworkRegressor - fit" in capsys.readouterr().out


def test_a_task_a_network_of_a_study(numbers):
    recorder = Recorder()
    NetworkRegressorCV((4,), penalty=0.0, epochs=5, cv=2).set_callbacks(recorder).fit(*numbers)
    assert [name for name, _ in recorder.tasks] == ["network", "network", "fit"]
