"""Examples of any shape in the program: gathered, scaled and weighted as rows of a table are."""

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from perceptory import MLP, SGD, Adam, Folds, Study, WeightPenalty
from perceptory.data import Encoder, read_arrays, read_series, read_table
from perceptory.layers.tabular import some_columns
from perceptory.networks.base import Network
from perceptory.networks.rbf import RBFNetwork
from perceptory.networks.recurrent import RNN
from perceptory.studies.encoded_examples import encode
from perceptory.training.rows import _two_parts
from perceptory.training.scaling import RowsOf, fit_scaling

TINY = 1e-30  # a learning rate that leaves the weights as they are
FOLDS = Folds(((tuple(range(20)), tuple(range(20, 27))), (tuple(range(7, 27)), tuple(range(7)))))


@pytest.fixture(scope="module")
def alike():
    """Two columns that are permutations of one another among equal weights, so that their scaling is one."""
    random = np.random.default_rng(0)
    first = random.normal(size=27) * 3 + 7
    second = first.copy()
    weights = np.empty(27)
    for part, weight in ((slice(0, 7), 0.5), (slice(7, 20), 1.2), (slice(20, 27), 2.0)):
        second[part] = random.permutation(first[part])
        weights[part] = weight
    x = np.stack([first, second], axis=1)
    return x, np.sin(first) + second, weights


@pytest.mark.parametrize("network", [MLP((4,)), RBFNetwork(5, train="all")], ids=["mlp", "rbf"])
def test_examples_train_as_the_same_rows_of_a_table(apart, alike, network):
    x, y, w = alike
    study = Study(network, optimizer=Adam(0.02), penalty=WeightPenalty(1e-3), epochs=5, patience=0, batch_size=6,
                  validation=FOLDS, precision="double", test=0)  # fmt: skip
    table = {"a": x[:, 0], "b": x[:, 1], "y": y, "w": w}
    rows = apart(study, read_table(table, "y", weights="w")).train()
    examples = apart(study, read_arrays(x[:, :, None], y, weights=w, task="regression")).train()
    assert rows.keys() == examples.keys() == {0, 1}
    for k, one in rows.items():
        for name in ("train_cost", "validation_cost", "weights", "train_output", "validation_output"):
            np.testing.assert_allclose(getattr(examples[k], name), getattr(one, name), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("batch", [5, 20])
def test_every_step_that_counts_counts_once(apart, batch):
    """The recorded costs are means over the steps of weight above 0, whatever the batches."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=(2, 27, 6, 1))
    lengths = random.integers(2, 7, 27)
    weights = random.uniform(0.5, 2, (27, 6)) * (np.arange(6) >= 1)
    data = read_arrays(x, y, lengths=lengths, weights=weights, kind="series", task="regression")
    study = Study(RNN((2,)), optimizer=SGD(TINY), epochs=1, patience=0, batch_size=batch, validation=FOLDS,
                  precision="double", test=0)  # fmt: skip
    taken = apart(study, data)
    outcomes = taken.train()
    for k, (train, validation) in enumerate(taken.folds):
        center, scale = taken.groups[0].members.center[k].sum(axis=0)[1], 1 / taken.groups[0].members.factor[k][1]
        for rows, output, cost in (
            (train, outcomes[k].train_output, outcomes[k].train_cost[0]),
            (validation, outcomes[k].validation_output, outcomes[k].validation_cost[0]),
        ):
            w = weights[rows] * (np.arange(6) < lengths[rows, None])
            error = (output[..., 0] - (taken.table.targets[rows][..., 0] - center) / scale) ** 2
            assert cost == pytest.approx(0.5 * np.sum(w * error) / np.sum(w), rel=1e-9)


def test_padding_is_no_data_for_the_scaling(apart):
    random = np.random.default_rng(2)
    x, y = random.normal(size=(2, 27, 5, 1)) + 3
    lengths = np.full(27, 3)
    study = Study(RNN((2,)), epochs=1, validation=FOLDS, precision="double", test=0)
    members = apart(study, read_arrays(x, y, lengths=lengths, kind="series", task="regression")).groups[0].members
    for k, (train, _) in enumerate(FOLDS.folds):
        for column, data in ((0, x), (1, y)):
            real = data[list(train), :3]
            assert members.center[k].sum(axis=0)[column] == pytest.approx(real.mean(), rel=1e-12)
            assert 1 / members.factor[k][column] == pytest.approx(real.std(), rel=1e-12)


def test_single_precision_keeps_small_changes_on_a_large_offset(apart):
    """A pressure of 1e6 that moves by 0.01: rounded to float32 it would stand still."""
    random = np.random.default_rng(3)
    small = random.normal(size=(27, 4, 1))
    y = np.cumsum(small, axis=1)
    study = Study(RNN((3,)), optimizer=Adam(0.03), epochs=3, patience=0, validation=FOLDS, test=0, batch_size=10)
    there = apart(study, read_arrays(1e6 + 0.01 * small, y, kind="series", task="regression")).train()
    here = apart(study, read_arrays(small, y, kind="series", task="regression")).train()
    np.testing.assert_allclose(there[0].validation_cost, here[0].validation_cost, rtol=2e-4)


def test_long_lists_are_predicted_in_pieces(apart, monkeypatch):
    """What a forward pass holds is bounded, and rows of large tables are never copied; the predictions are the same."""
    from perceptory.training import plan, rows

    def cut(first, last):
        return Folds(((tuple(range(first)), tuple(range(first, last))),))

    table = {"x": np.linspace(0, 1, 90), "y": np.linspace(0, 1, 90) ** 2}
    series = {"u": np.sin(np.arange(180.0)), "y": np.cos(np.arange(180.0))}
    studies = [
        (read_table(table, "y"), Study(MLP((3,)), epochs=2, test=0, validation=cut(40, 90))),
        (
            read_series(series, "y", predict="every step", window=4),
            Study(RNN((3,)), epochs=2, test=0, validation=cut(40, 45)),
        ),
    ]  # fmt: skip
    for data, study in studies:
        whole = apart(study, data).train()[0]
        monkeypatch.setattr(plan, "PIECE_VALUES", 1)  # the least: 32 at a time
        monkeypatch.setattr(rows, "LARGE", 1)
        monkeypatch.setattr(rows, "GATHERED", 60)
        pieces = apart(study, data).train()[0]
        monkeypatch.undo()
        for name in ("train_output", "validation_output", "validation_cost"):
            np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), rtol=1e-5, atol=1e-6)


def test_large_networks_keep_their_arrays_apart_and_train_alike(apart, sums, monkeypatch):
    from perceptory.training import plan

    study = Study(MLP((5, 4)), penalty=WeightPenalty(1e-3, p=1), epochs=4, patience=0, validation=FOLDS,
                  precision="double", test=0, batch_size=6)  # fmt: skip
    flat = apart(study, sums(27)).train()
    monkeypatch.setattr(plan, "FLAT_WEIGHTS", 0)
    taken = apart(study, sums(27))
    taken.groups[0].plan = taken.groups[0].plan.__class__(**vars(taken.groups[0].plan) | {"segment": 1})
    assert not taken.groups[0].plan.flat
    np.testing.assert_allclose(taken.train()[0].weights, flat[0].weights, rtol=1e-9, atol=1e-12)


def test_hooks_of_a_plain_network_do_nothing():
    network = Network()
    assert not any([network.solved, network.feedback, network.stochastic, network.opening(0.5)])
    assert network.trains("layers.0.weight")
    assert network.prime("module", None, key=None) == "module"
    assert network.calibrate("module", None) == "module"


def test_rows_of_many_inputs_are_gathered_apart_and_train_alike(apart, monkeypatch):
    from perceptory.training import rows

    random = np.random.default_rng(5)
    data = read_table(random.normal(size=(27, 70)), random.normal(size=27))
    study = Study(MLP((3,)), epochs=3, patience=0, batch_size=6, validation=FOLDS, precision="double", test=0)
    wide = apart(study, data).train()[0]
    monkeypatch.setattr(rows, "WIDE", 1000)
    taken = apart(study.replace(epochs=4), data)  # another program
    narrow = taken.train(members=taken.groups[0].members._replace(epochs=np.full(2, 3, np.int32)))[0]
    np.testing.assert_allclose(wide.train_cost, narrow.train_cost[:3], rtol=1e-9)


def test_a_table_reaches_the_program_without_what_follows_from_the_rest():
    random = np.random.default_rng(0)
    rows = 700
    there = random.random((3, rows)) > 0.1
    frame = pl.DataFrame(
        {
            "c": random.choice(["a", "b", "c"], rows),
            "n": random.normal(1e9, 1, rows),
            "d": pl.Series(random.integers(0, 900, rows), dtype=pl.Int32).cast(pl.Date),
            "whole": random.normal(size=rows),
            "many": [f"k{k % 141}" for k in range(rows)],  # 136 have five rows, two numbers tell them apart
            "y": random.normal(size=rows),
        }
    )
    frame = frame.with_columns(
        pl.when(pl.Series(has)).then(pl.col(name)).alias(name) for name, has in zip("cnd", there, strict=True)
    )
    data = read_table(frame, "y")
    encoded = encode(data, Encoder.fit(data))
    raw = encoded.raw(np.float32)
    numbers = 1 + 3 + 1 + 1  # n, days with two phases of the year and of the week, whole, y
    assert raw.shape == (rows, 2 * (numbers + 2) + 3 + 1)
    assert encoded.layout == (-4, 1, 0, 5, 0, 1, -120, -16)
    high, low = _two_parts(jnp.asarray(raw), encoded.layout, 1)
    exact = np.concatenate([encoded.inputs, data.targets], axis=1)
    rounded = exact.astype(np.float32)
    np.testing.assert_array_equal(high, rounded)
    left = np.where(np.isnan(exact), 0, exact - rounded).astype(np.float32)
    np.testing.assert_array_equal(np.nan_to_num(low), left)

    rows_of_fold = np.flatnonzero(random.random(rows) < 0.8)
    for weights in (None, random.integers(0, 3, len(rows_of_fold)).astype(float)):
        at_once, by_blocks = (
            fit_scaling(inputs, data.targets[rows_of_fold], scale_targets=True, weights=weights)
            for inputs in (encoded.inputs[rows_of_fold], RowsOf(encoded.given, rows_of_fold))
        )
        for one, other in zip(at_once, by_blocks, strict=True):
            np.testing.assert_array_equal(one, other)


def test_programs_do_not_grow_with_the_columns():
    def operations(columns):
        layout = (1, 0, -3) * columns
        raw = np.zeros((7, 2 * (columns + 1) + columns + 1), np.float32)
        flags = tuple(place for place in range(5 * columns) if place % 5)
        taken = jax.make_jaxpr(lambda raw: some_columns(_two_parts(raw, layout, 1)[0], flags))(raw)
        return len(taken.eqns)

    assert operations(8) == operations(200)
