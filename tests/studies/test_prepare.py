"""A study is prepared in one way, whoever asks: every door refuses the same, in the same sentence."""

from __future__ import annotations

import numpy as np
import pytest

from perceptory import (
    CNN,
    MLP,
    NARX,
    RNN,
    ClipByNorm,
    GaussianLikelihood,
    ImageAugmentation,
    InputError,
    Newton,
    Quantile,
    RBFNetwork,
    SoftmaxCrossEntropy,
    Study,
    WeightPenalty,
    read_arrays,
    read_series,
    read_table,
    train_further,
)
from perceptory.insight import gradient_flow, learning_curve
from perceptory.studies.prepare import prepare
from perceptory.studies.split import on_all_rows

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3))
TABLE = read_table(X, X.sum(axis=1))
CLASSES = read_table(X, (X[:, 0] > 0).astype(int), task="classification")
CONSTANT = read_table(X, np.r_[np.full(40, 2.0), np.ones(20)], task="regression").take(np.arange(40))
ONE_CLASS = read_table(X, np.r_[np.zeros(40, int), np.ones(20, int)], task="classification").take(np.arange(40))
SERIES = read_arrays(RANDOM.normal(size=(20, 8, 2)), RANDOM.normal(size=(20, 1)))


def system(known):
    """A dynamic system in a table, with measured outputs among the inputs."""
    u = RANDOM.normal(size=400)
    return read_series({"u": u, "y": np.cumsum(u)}, "y", predict="every step", window=20, known=known)


BAD = {
    "no dataset": (Study(), X, "runs on a Dataset, got a ndarray"),
    "constant target": (Study(), CONSTANT, "is constant in the study rows"),
    "one class": (Study(), ONE_CLASS, "hold one class only"),
    "cost of another task": (Study(cost=SoftmaxCrossEntropy()), TABLE, "regression"),
    "score of another task": (Study(score="rmse"), CLASSES, "is for another task than binary"),
    "dropout under lm": (Study(MLP((4,), dropout=0.2), optimizer="lm"), TABLE, "changes it by chance"),
    "clipping under lm": (Study(MLP((4,)), optimizer="lm", clip=ClipByNorm(1.0)), TABLE, "takes no clip"),
    "rough penalty under lm": (Study(MLP((4,)), optimizer="lm", penalty=WeightPenalty(p=1)), TABLE, "smooth slope"),
    "inexact gradient": (Study(MLP((4,)), optimizer="lbfgs", cost=GaussianLikelihood()), TABLE, "very cost"),
    "Hessian of an RNN": (Study(RNN((3,)), optimizer=Newton()), SERIES, "needs second derivatives"),
    "matrix beyond memory": (Study(MLP((500, 500)), optimizer="lm"), TABLE, "a matrix of weights by weights"),
    "quantiles by least squares": (Study(RBFNetwork(5), cost=Quantile((0.1, 0.9))), TABLE, "solved by least squares"),
    "NARX on a few outputs": (Study(NARX((4,))), system(2), "feeds measured outputs back"),
    "RNN on all outputs": (Study(RNN((4,))), system("all"), "would see the outputs"),
    "augmentation of images": (Study(MLP((4,)), augmentation=ImageAugmentation(shift=1)), TABLE, "image"),
    "penalty of no layer": (Study(MLP((4,)), penalty=WeightPenalty(layers={"layers.7": 0.1})), TABLE, "layer"),
    "pictures of a table": (Study(CNN((4,))), TABLE, "CNN"),
}
DOORS = {
    "Study.run": lambda study, data: study.run(data),
    "train_further": train_further,
    "gradient_flow": lambda study, data: gradient_flow(study, data, epochs=1),
    "learning_curve": learning_curve,
    "fixture": lambda study, data: prepare(study.replace(test=0), data, splitting=on_all_rows, epochs=1),
}


@pytest.mark.parametrize("name", BAD)
def test_every_door_refuses_the_same_in_the_same_sentence(name):
    study, data, words = BAD[name]
    sentences = {}
    for door, enter in DOORS.items():
        with pytest.raises(InputError) as refused:
            enter(study, data)
        sentences[door] = str(refused.value)
    assert set(sentences.values()) == {sentences["Study.run"]}, sentences
    assert words in sentences["Study.run"]


def test_nothing_is_written_for_what_is_refused(tmp_path):
    study, data, _ = BAD["matrix beyond memory"]
    with pytest.raises(InputError):
        study.run(data, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_of_a_stream_may_be_constant():
    trained = train_further(Study(MLP((2,)), epochs=1), CONSTANT, constant=True)
    assert np.isfinite(trained.model.weights).all()


def test_what_is_prepared():
    study = Study(MLP((2,)), optimizer="lm", test=0.25)
    ready = prepare(study, TABLE)
    assert ready.study.precision == "double"
    assert (ready.data.rows, ready.sealed.test.rows) == (45, 15)
    assert ready.encoded.inputs.shape == (45, 3)
    assert [who for group in ready.groups for who in group.who] == [(0, f, 0) for f in range(len(ready.folds))]
    assert len(ready.scalings) == len(ready.folds)
    np.testing.assert_allclose(ready.scalings[0].in_center, ready.encoded.inputs[ready.folds[0][0]].mean(axis=0))
    assert ready.complexity.tolist() == [2 * 3 + 2 + 2 + 1]
    assert ready.fingerprint == prepare(study, TABLE).fingerprint
