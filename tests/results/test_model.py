"""The model: an ensemble's predictions from its weights, in the target's units."""

import pickle

import numpy as np
import pytest

from perceptory import Adam, KFold, Model, Study, read_table
from perceptory.data import Encoder
from perceptory.errors import InputError
from perceptory.models import model as module
from perceptory.networks.mlp import MLP
from perceptory.objectives.table import SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError


def encoder(**columns):
    columns = columns or {"a": [1.0, 2.0, 3.0], "b": [0.5, 0.25, 0.0]}
    rows = len(next(iter(columns.values())))
    return Encoder.fit(read_table(columns | {"y": np.arange(float(rows))}, "y"))


def by_hand(**changes):
    """Two linear networks on columns a and b: y = 10 + 2 (1 (a - 1)/4 + 3 (b - 2)/2 + 0.5), and with other weights."""
    parts = {
        "task": "regression", "targets": ("y",), "classes": None, "encoder": encoder(), "network": MLP(()),
        "cost": SquaredError(), "outputs": (1,),
        "weights": np.array([[1.0, 3.0, 0.5], [-1.0, 0.0, 0.0]]),
        "in_center": np.array([[1.0, 2.0], [0.0, 0.0]]), "in_factor": np.array([[0.25, 0.5], [1.0, 0.0]]),
        "out_center": np.array([[10.0], [0.0]]), "out_scale": np.array([[2.0], [100.0]]),
    }  # fmt: skip
    return Model(**(parts | changes))


def test_weights_of_layers_are_read_and_set():
    model = by_hand(facts={"final": "folds", "intervals": []})
    first = model.arrays()
    assert {name: a.tolist() for name, a in first.items()} == {"layers.0.weight": [[1], [3]], "layers.0.bias": [0.5]}
    changed = model.with_arrays({"layers.0.weight": [[2], [0]]}, member=1)
    np.testing.assert_array_equal(changed.weights, [[1, 3, 0.5], [2, 0, 0]])
    np.testing.assert_allclose(changed.members({"a": [5.0], "b": [4.0]}), [[[19.0]], [[1000.0]]])
    assert changed.facts == {"final": "folds"}
    first["layers.0.bias"][:] = 9  # a copy
    np.testing.assert_array_equal(model.weights, by_hand().weights)
    with pytest.raises(InputError, match=r"no array 'layers.0.wieght'\. Did you mean 'layers.0.weight'\?"):
        model.with_arrays({"layers.0.wieght": [[2], [0]]})
    with pytest.raises(InputError, match=r"finite numbers of shape \(2, 1\), got an array of shape \(1, 2\)"):
        model.with_arrays({"layers.0.weight": [[2, 0]]})
    with pytest.raises(InputError, match="from 0 to 1, got 2"):
        model.arrays(2)


def test_members_and_their_mean_by_hand():
    model = by_hand()
    rows = {"a": [5.0, 1.0], "b": [4.0, 2.0]}
    # first: z = (1, 1) -> 1 + 3 + ½ = 4½ -> 19; z = (0, 0) -> ½ -> 11. second: -5 -> -500; -1 -> -100
    members = model.members(rows)
    np.testing.assert_allclose(members, [[[19.0], [11.0]], [[-500.0], [-100.0]]])
    np.testing.assert_allclose(model.predict(rows), [-240.5, -44.5])
    assert len(model) == 2
    assert repr(model) == "Model(regression, 2 x linear model, target y)"


def test_a_missing_number_is_the_training_mean_of_each_member():
    members = by_hand().members({"a": [None, 5.0], "b": [4.0, 4.0]})
    np.testing.assert_allclose(members[:, 0, 0], [10 + 2 * (3 + 0.5), 0])
    np.testing.assert_allclose(members[:, 1, 0], [19, -500])


def test_a_factor_of_zero_leaves_a_column_out():
    model = by_hand()
    one, two = model.members({"a": [2.0], "b": [1e9]}), model.members({"a": [2.0], "b": [-3.0]})
    assert one[1, 0, 0] == two[1, 0, 0]
    assert one[0, 0, 0] != two[0, 0, 0]


def test_several_targets_keep_their_columns():
    model = by_hand(
        targets=("p", "q"), outputs=(2,), weights=np.array([[1.0, 0, 0, 1.0, 0, 0]]), in_center=np.zeros((1, 2)),
        in_factor=np.ones((1, 2)), out_center=np.array([[0.0, 100.0]]), out_scale=np.array([[1.0, 10.0]]),
    )  # fmt: skip
    np.testing.assert_allclose(model.predict({"a": [1.0, 2.0], "b": [3.0, 4.0]}), [[1, 130], [2, 140]])


def test_classes_by_hand():
    binary = by_hand(
        task="binary", classes=np.array(["no", "yes"]), cost=SigmoidCrossEntropy(), out_center=np.zeros((2, 1)),
        out_scale=np.ones((2, 1)), weights=np.array([[1.0, 0, 0], [1.0, 0, 0]]), in_center=np.zeros((2, 2)),
        in_factor=np.ones((2, 2)),
    )  # fmt: skip
    rows = {"a": [np.log(3.0), -np.log(9.0)], "b": [0.0, 0.0]}
    np.testing.assert_allclose(binary.predict_proba(rows), [[0.25, 0.75], [0.9, 0.1]], rtol=1e-6)
    assert binary.predict(rows).tolist() == ["yes", "no"]
    three = by_hand(
        task="multiclass", classes=np.array([3, 5, 8]), cost=SoftmaxCrossEntropy(), outputs=(3,),
        weights=np.array([[1.0, 0, 0, 0, 1.0, 0, 0, 0, np.log(2.0)]]), in_center=np.zeros((1, 2)),
        in_factor=np.ones((1, 2)), out_center=np.zeros((1, 3)), out_scale=np.ones((1, 3)),
    )  # fmt: skip
    p = three.predict_proba({"a": [np.log(6.0)], "b": [0.0]})
    np.testing.assert_allclose(p, [[6 / 9, 1 / 9, 2 / 9]], rtol=1e-6)
    assert three.predict({"a": [np.log(6.0)], "b": [0.0]}).tolist() == [3]


def test_the_mean_of_probabilities_decides_not_the_vote():
    model = by_hand(
        task="binary", classes=np.array(["no", "yes"]), cost=SigmoidCrossEntropy(),
        weights=np.array([[0, 0, 4.0], [0, 0, -0.5], [0, 0, -0.5]]), in_center=np.zeros((3, 2)),
        in_factor=np.ones((3, 2)), out_center=np.zeros((3, 1)), out_scale=np.ones((3, 1)),
    )  # fmt: skip
    assert model.predict({"a": [0.0], "b": [0.0]}).tolist() == ["yes"]


def test_dropout_scales_in_use():
    model = by_hand(
        network=MLP((1,), "linear", dropout=0.25), weights=np.array([[2.0, 0.0, 0.0, 1.0, 0.0]]),
        in_center=np.zeros((1, 2)), in_factor=np.ones((1, 2)), out_center=np.zeros((1, 1)), out_scale=np.ones((1, 1)),
    )  # fmt: skip
    np.testing.assert_allclose(model.predict({"a": [4.0], "b": [9.0]}), [6.0])  # 2 · 4 · (1 - ¼)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 33])
def test_the_number_of_rows_does_not_matter(rows):
    model, random = by_hand(), np.random.default_rng(0)
    x = random.normal(size=(40, 2)) * 5
    whole = model.members_of(x)
    np.testing.assert_allclose(model.members_of(x[:rows]), whole[:, :rows], rtol=1e-6)


def test_many_rows_come_in_pieces(monkeypatch):
    model, x = by_hand(), np.random.default_rng(0).normal(size=(70, 2))
    whole = model.members_of(x)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 16)
    np.testing.assert_allclose(model.members_of(x), whole, rtol=1e-6)
    by_threads = model.members({"a": x[:, 0], "b": x[:, 1]})  # in the order of the rows
    np.testing.assert_allclose(by_threads, whole, rtol=1e-6)


def test_double_precision_keeps_digits():
    # a deviation in the last digits of a large number: far below float32, well within float64 before and after
    parts = {"weights": np.array([[1.0, 0, 0]]), "in_center": np.array([[1.0, 0.0]]), "in_factor": np.array([[1.0, 0]]),
             "out_center": np.array([[0.0]]), "out_scale": np.array([[1.0]])}  # fmt: skip
    rows = {"a": [1 + 1e-12], "b": [0.0]}
    assert by_hand(**parts, precision="double").predict(rows)[0] == pytest.approx(1e-12, rel=1e-3)
    assert by_hand(**parts).predict(rows)[0] == pytest.approx(1e-12, rel=1e-3)  # scaled before it is rounded
    far = {"a": [1e9 + 1e-3], "b": [0.0]}
    parts["in_center"] = np.array([[1e9, 0.0]])
    assert by_hand(**parts).predict(far)[0] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.members_of(np.zeros((3, 5))), r"expected inputs \[row, 2\], got shape \(3, 5\)"),
        (lambda m: m.members_of(np.zeros(2)), r"expected inputs \[row, 2\], got shape \(2,\)"),
        (lambda m: m.members_of(np.zeros((0, 2))), "there is no row to predict"),
        (lambda m: m.predict_proba({"a": [1.0], "b": [1.0]}), "predict_proba needs a classifier"),
        (lambda m: m.predict({"a": [1.0]}), "the table lacks the column 'b'"),
        (lambda m: m.predict({"a": ["x"], "b": [1.0]}), "'a'"),
        (lambda m: m.predict(np.zeros((2, 3))), "needs the 2 input columns"),
        (lambda m: m.predict({"a": [np.inf], "b": [1.0]}), "infinit"),
    ],
)
def test_what_cannot_be_predicted(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call(by_hand())
    assert "\n" not in str(caught.value)


def test_columns_are_found_by_name_and_others_ignored():
    model = by_hand()
    expected = model.predict({"a": [5.0, 1.0], "b": [4.0, 2.0]})
    assert np.array_equal(model.predict({"b": [4.0, 2.0], "zzz": ["q", "r"], "a": [5.0, 1.0]}), expected)
    assert np.array_equal(model.predict(np.array([[5.0, 4.0], [1.0, 2.0]])), expected)


def test_predictions_equal_those_that_training_made():
    random = np.random.default_rng(0)
    x = random.normal(size=(36, 3)) * [1, 1e3, 1e-3]
    x[random.random((36, 3)) < 0.1] = np.nan
    y = 1e6 + 1e4 * np.nan_to_num(x[:, 0]) + 1e3 * random.normal(size=36)
    study = Study(networks=MLP((4,), dropout=0.2), optimizer=Adam(0.03), epochs=8, validation=KFold(3), test=0)
    data = read_table(x, y)
    result = study.run(data)
    members = result.model.members(data)
    for f, (_, validation) in enumerate(KFold(3).split(36, seed=0)):
        rows = np.searchsorted(result.predictions.row, validation)
        np.testing.assert_allclose(result.predictions.output[rows], members[f][validation], rtol=1e-6)


def test_a_model_follows_its_arrays_and_leaves_its_process_without_them():
    model = by_hand()
    table = {"a": [1.0, 2.0], "b": [0.5, 0.0]}
    first = model.predict(table)
    assert "placed" not in pickle.loads(pickle.dumps(model)).__dict__
    model.weights = 2 * model.weights
    assert not np.array_equal(model.predict(table), first)
    with pytest.raises(ValueError, match="read-only"):  # instead of answers of the weights as they were
        model.weights[0, 0] = 1.0
