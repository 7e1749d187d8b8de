"""Augmentation in training: of training batches only, as strong as asked, traced, the same alone or among others."""

import json

import numpy as np
import pytest

from perceptory import (
    CNN,
    GRU,
    SGD,
    ClipByNorm,
    Folds,
    HoldOut,
    ImageAugmentation,
    RBFNetwork,
    SeriesAugmentation,
    Study,
    TableAugmentation,
    TargetNoise,
    WeightAverage,
    WeightPenalty,
    choice,
    read_arrays,
    read_table,
)
from perceptory.augmentation.base import Augmentation, varying
from perceptory.data.examples import encoder_for
from perceptory.errors import InputError
from perceptory.networks.mlp import MLP
from perceptory.specs import from_json, partition
from perceptory.studies.keys import member_key
from perceptory.studies.labels import candidate_label

TINY = 1e-30  # a learning rate that leaves the weights as they are


@pytest.fixture(scope="module")
def mixed():
    """A table of two columns of numbers, one of them with missing values, a category and a constant."""
    random = np.random.default_rng(0)
    n = 1500
    columns = {
        "a": 10 + 3 * random.normal(size=n),
        "b": np.where(random.uniform(size=n) < 0.3, np.nan, 1e3 * random.normal(size=n)),
        "c": random.choice(["x", "y", "z"], n),
        "y": random.normal(size=n),
    }
    return read_table(columns, "y")


@pytest.fixture(scope="module")
def noisy(apart, mixed):
    """Linear networks that stand still, with two strengths of noise on inputs and two on targets."""
    study = Study(
        networks=MLP(()), optimizer=SGD(TINY), epochs=40, patience=0, batch_size=375, precision="double", test=0,
        augmentation=(TableAugmentation(choice(1.0, 2.0)), TargetNoise(choice(1e-6, 0.5))), validation=HoldOut(0.2),
    )  # fmt: skip
    taken = apart(study, mixed)
    return taken, taken.train()


def test_strengths_share_a_program_and_what_is_off_is_left_out(noisy):
    taken, _ = noisy
    assert [len(g.who) for g in taken.groups] == [4]
    assert partition(ImageAugmentation(shift=1.0))[1] == (1.0,)  # the other strengths are 0 in the program


def test_noise_on_numbers_alone_adds_what_bishop_says(noisy, mixed):
    """Half σ² Σ w², over columns of numbers and the rows in which they are there; a category's columns get none."""
    taken, outcomes = noisy
    names, (x, t, _) = encoder_for(mixed).feature_names, taken.scaled(0)[0]
    assert taken.groups[0].plan.varies == tuple(n in ("a", "b") for n in names)
    there = (x != 0) * np.array(taken.groups[0].plan.varies)
    assert 0.65 < there[:, names.index("b")].mean() < 0.75
    for place, (sigma, extra) in enumerate(((1.0, 0.0), (1.0, 0.5), (2.0, 0.0), (2.0, 0.5))):
        weights = taken.starting(place).astype(float)[:-1]
        plain = 0.5 * np.mean((x @ weights - t[:, 0]) ** 2)
        expected = plain + 0.5 * np.mean(there @ weights**2) * sigma**2 + 0.5 * extra**2
        costs = outcomes[place].train_cost
        assert costs.mean() == pytest.approx(expected, abs=5 * costs.std() / np.sqrt(40) + 1e-9)
        assert np.ptp(costs) > 1e-4  # fresh in every epoch
        assert expected - plain > 10 * costs.std() / np.sqrt(40)


def test_validation_and_what_is_scored_see_no_noise(noisy):
    taken, outcomes = noisy
    (x, *_), (xv, tv, _) = taken.scaled(0)
    for place, outcome in outcomes.items():
        weights = taken.starting(place).astype(float)
        for rows, output in ((x, outcome.train_output), (xv, outcome.validation_output)):
            np.testing.assert_allclose(output[:, 0], rows @ weights[:-1] + weights[-1], atol=1e-9)
        exact = 0.5 * np.mean((xv @ weights[:-1] + weights[-1] - tv[:, 0]) ** 2)
        np.testing.assert_allclose(outcome.validation_cost, exact, rtol=1e-9)


def test_the_same_bits_alone(noisy):
    taken, outcomes = noisy
    assert np.array_equal(taken.train(waiting=[2])[2].train_cost, outcomes[2].train_cost)


def test_inputs_with_more_than_two_values():
    x = np.array([[0, 1.5, 3, np.nan], [1, 1.5, np.nan, np.nan], [0, 1.5, 4, np.nan], [1, 1.5, 5, np.nan]])
    assert varying(enumerate(x.T), 4) == (False, False, True, False)
    assert varying([(0, np.array([[0, 255], [7, 0]], np.uint8))], 1) == (True,)


# --- each kind of data from end to end ---------------------------------------------------------------------------


def test_images_are_learned_in_whatever_place():
    """Bars in the middle train, moved bars validate: only the network that saw moved ones knows them."""
    random = np.random.default_rng(0)
    images, kinds = np.zeros((240, 8, 8), np.uint8), random.integers(0, 2, 240)
    places = np.where(np.arange(240) < 80, 4, 4 + random.integers(-3, 4, 240))
    for image, kind, place in zip(images, kinds, places, strict=True):
        image[(slice(None), place) if kind else (place, slice(None))] = 255
    study = Study(
        MLP((16,), "relu"), epochs=40, patience=0, batch_size=16, score="accuracy", test=0,
        augmentation=ImageAugmentation(shift=choice(1e-3, 3.0), noise=0.05),
        validation=Folds(((tuple(range(80)), tuple(range(80, 240))),)),
    )  # fmt: skip
    result = study.run(read_arrays(images, kinds, kind="image"))
    best, worst = result.candidates
    assert best.mean > 0.9
    assert worst.mean < 0.75
    assert best.label.endswith("augment shift 3 noise 0.05")
    written = json.loads(json.dumps(result.study))
    assert from_json({**written, "validation": None}).augmentation == study.augmentation


def test_series_with_lengths_and_a_target_a_step():
    random = np.random.default_rng(0)
    x = random.normal(size=(24, 6, 2))
    data = read_arrays(
        x, np.cumsum(x[..., :1], axis=1), lengths=random.integers(3, 7, 24), kind="series", task="regression"
    )
    everything = SeriesAugmentation(jitter=0.05, scaling=0.05, warp=0.2, crop=0.2)
    result = Study(
        GRU((3,)), augmentation=(everything, TargetNoise(0.01)), clip=ClipByNorm(1.0), average=WeightAverage(0.5),
        epochs=3, patience=0, validation=HoldOut(0.25), test=0,
    ).run(data)  # fmt: skip
    assert np.isfinite(result.candidates[0].mean)
    assert result.candidates[0].label.endswith(
        "clip norm 1, average 0.5, augment jitter 0.05 scaling 0.05 warp 0.2 crop 0.2 target noise 0.01"
    )


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"augmentation": ImageAugmentation(shift=1)}, "ImageAugmentation is for images, but the data are a table"),
        ({"augmentation": (TableAugmentation(), SeriesAugmentation())}, "SeriesAugmentation is for series"),
        ({"augmentation": TableAugmentation(), "networks": RBFNetwork(4)}, "solved in one step"),
        ({"augmentation": choice(None, 3)}, "augmentation needs specs of the kind Augmentation, got 3"),
        ({"clip": choice(None, 1.0)}, r"clip needs specs of the kind Clip, got 1\.0"),
        ({"penalty": WeightPenalty(layers={"layers.1": 0.1})}, r"no weights are called 'layers\.1'"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(mixed, changes, message):
    with pytest.raises(InputError, match=message):
        Study(**{"networks": MLP(()), **changes}).run(mixed)


def test_noise_on_classes_is_refused():
    data = read_arrays(np.random.default_rng(0).normal(size=(30, 4, 4, 1)), np.arange(30) % 3, kind="image")
    with pytest.raises(InputError, match="TargetNoise is for numbers, but the task is multiclass"):
        Study(CNN((2,)), augmentation=TargetNoise(0.1)).run(data)


@pytest.mark.parametrize("wrong", [0.1, (TableAugmentation(), 2), "shift", Augmentation])
def test_what_is_no_augmentation(wrong):
    assert Study(augmentation=[]).augmentation is None
    with pytest.raises(InputError, match=r"augmentation needs an Augmentation, got .*Example: ImageAugmentation"):
        Study(augmentation=wrong)


# --- labels and keys ---------------------------------------------------------------------------------------------


def test_labels_tell_what_differs():
    from perceptory.objectives.table import SquaredError

    study = Study(networks=MLP(()), augmentation=choice(None, TableAugmentation(0.0), TableAugmentation(0.2)))
    candidates = study.candidates(SquaredError())
    ends = [candidate_label(c, candidates).rsplit(", ", 1)[1] for c in candidates]
    assert ends == ["no augmentation", "augment TableAugmentation of strength 0", "augment noise 0.2"]


def test_members_are_known_by_what_they_were_known_by_before_these_fields():
    from perceptory.objectives.table import SoftmaxCrossEntropy, SquaredError

    study = Study(MLP((4,)), optimizer=SGD(0.01), epochs=3, test=0)
    assert member_key(study, study.candidates(SquaredError())[0], 0, 0).tolist() == [2572989248, 793919694]
    study = Study(CNN((2,), hidden=(4,)), optimizer=SGD(0.01), penalty=WeightPenalty(1e-3, p=1.5), epochs=3, test=0)
    assert member_key(study, study.candidates(SoftmaxCrossEntropy())[0], 0, 0).tolist() == [1319799178, 1169115172]
