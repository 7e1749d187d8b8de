"""Scaling and filling by the training rows of the fold, and by nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perceptory import SGD, Adam, Folds, KFold, Study, WeightPenalty, read_arrays, read_table
from perceptory.errors import InputError
from perceptory.networks.base import layout
from perceptory.networks.mlp import MLP
from perceptory.studies.prepare import prepare
from perceptory.training.scaling import fit_scaling

# --- the numbers -------------------------------------------------------------------------------------------------


def test_by_hand():
    x = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0], [np.nan, 5.0, 6.0]])
    t = np.array([[10.0, 7.0], [20.0, 7.0], [30.0, 7.0]])
    s = fit_scaling(x, t, scale_targets=True)
    np.testing.assert_allclose(s.in_center, [2, 5, 4])
    np.testing.assert_allclose(s.in_factor, [1, 0, 0.5])  # a constant column has factor 0
    np.testing.assert_allclose(s.out_center, [20, 7])
    np.testing.assert_allclose(s.out_scale, [np.sqrt(200 / 3), 1])  # a constant target keeps its unit
    classes = fit_scaling(x, np.eye(3), scale_targets=False)
    assert np.array_equal(classes.out_center, np.zeros(3))
    assert np.array_equal(classes.out_scale, np.ones(3))


def test_a_column_of_missing_values_is_filled_with_nothing_and_left_out():
    s = fit_scaling(np.array([[np.nan], [np.nan]]), np.array([[1.0], [2.0]]), scale_targets=True)
    assert (s.in_center[0], s.in_factor[0]) == (0, 0)


def test_rounding_in_a_constant_column_is_no_spread():
    x = np.full((7, 1), 0.1 + 1e9)
    assert fit_scaling(x, np.ones((7, 1)), scale_targets=True).in_factor[0] == 0


@given(
    arrays(float, st.tuples(st.integers(2, 12), st.integers(1, 3)), elements=st.floats(-1e9, 1e9)),
    st.floats(0.001, 1000),
    st.floats(-1e5, 1e5),
)
def test_scaled_columns_have_mean_0_and_deviation_1(x, unit, offset):
    s = fit_scaling(x, x, scale_targets=True)
    z = (x - s.in_center) * s.in_factor
    varies = s.in_factor > 0
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(z.std(axis=0)[varies], 1, rtol=1e-6)
    assert (z[:, ~varies] == 0).all()
    other = fit_scaling(unit * x + offset, x, scale_targets=True)  # other units, the same scaled numbers
    both = varies & (other.in_factor > 0) & (np.ptp(x, axis=0) > 1e-3)
    again = ((unit * x + offset) - other.in_center) * other.in_factor
    np.testing.assert_allclose(again[:, both], z[:, both], atol=1e-4)


# --- no other row has a say --------------------------------------------------------------------------------------

TRAIN, VALIDATION = tuple(range(24)), tuple(range(24, 36))
LEAK = Study(
    networks=MLP((3,)), optimizer=Adam(0.02), epochs=6, patience=0, batch_size=8, test=0,
    validation=Folds(((TRAIN, VALIDATION),)),
)  # fmt: skip


def rows(missing=False):
    random = np.random.default_rng(0)
    x = random.normal(size=(36, 3)) * [1, 100, 0.01] + [0, 5e3, 0]
    if missing:
        x[random.random((36, 3)) < 0.2] = np.nan
    return x, 3 + np.nan_to_num(x) @ [1.0, 0.02, 30.0] + random.normal(size=36)


def wild(x, y, how):
    x, y, where = x.copy(), y.copy(), list(VALIDATION)
    random = np.random.default_rng(1)
    factor = {"another sample": 1.0, "a thousand times": 1e3, "1e12 times": 1e12}[how]
    x[where] = np.where(np.isnan(x[where]), np.nan, factor * random.normal(size=(12, 3)) * [1, 100, 0.01])
    y[where] = factor * random.normal(size=12)
    return x, y


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("how", ["another sample", "a thousand times", "1e12 times"])
def test_validation_rows_do_not_change_a_bit_of_training(apart, how, missing):
    x, y = rows(missing)
    before, after = (apart(LEAK, read_table(*table)).train()[0] for table in ((x, y), wild(x, y, how)))
    assert not np.array_equal(before.validation_cost, after.validation_cost)
    np.testing.assert_allclose(after.train_cost, before.train_cost, rtol=1e-6)
    assert np.array_equal(after.train_cost, before.train_cost)
    if how != "1e12 times":
        return
    one = LEAK.replace(epochs=1)  # whose best epoch is the first, so that the weights are those after it
    before, after = (apart(one, read_table(*table)).train()[0] for table in ((x, y), wild(x, y, how)))
    assert np.array_equal(after.weights, before.weights)


def test_validation_rows_weights_do_not_change_a_bit_of_training(apart):
    x, y = rows()
    weights = np.random.default_rng(2).uniform(0.5, 2, 36)
    other = weights.copy()
    other[list(VALIDATION)] *= 977.0
    before, after = (apart(LEAK, read_table(x, y, weights=w)).train()[0] for w in (weights, other))
    assert np.array_equal(after.train_cost, before.train_cost)


def test_digits_survive_far_from_zero(apart):
    """A date in seconds, a voltage of 1e6 with millivolts of signal: float32 holds nothing of it but noise."""
    x, y = rows()
    far = x + np.array([1.7e9, 1e6, 0.0])
    near, moved = (apart(LEAK, read_table(table, y)).train()[0] for table in (x, far))
    np.testing.assert_allclose(moved.train_cost, near.train_cost, rtol=2e-4)


# --- filling and constant columns --------------------------------------------------------------------------------


def test_a_missing_number_is_read_as_the_training_mean(apart):
    x, y = rows(missing=True)
    taken = apart(LEAK, read_table(x, y))
    s = np.nanmean(x[list(TRAIN)], axis=0)
    filled = x.copy()
    gaps = np.isnan(x)
    filled[gaps] = np.broadcast_to(s, x.shape)[gaps]
    columns = {f"x{k}": filled[:, k] for k in range(3)}
    for k in range(3):  # what the encoder adds for a column with gaps
        columns[f"x{k} missing"] = gaps[:, k].astype(float)
    order = [name for k in range(3) for name in (f"x{k}", f"x{k} missing")]
    by_hand = apart(LEAK, read_table({name: columns[name] for name in order} | {"y": y}, "y"))
    # Means and deviations of the filled column differ from those of the values that are there: only the first matters.
    assert taken.table.inputs.shape == by_hand.table.inputs.shape == (36, 6)
    scaling = taken.scalings[0]
    np.testing.assert_allclose(scaling.in_center[::2], s)
    z = (by_hand.table.inputs - scaling.in_center) * scaling.in_factor
    np.testing.assert_allclose(z[:, ::2][gaps], 0, atol=1e-12)
    np.testing.assert_allclose(taken.scaled(0)[0][0], z[list(TRAIN)], atol=1e-12)
    # ... and that is what the program trains on: its outputs are the network's at these inputs
    import jax

    from perceptory.layers.arrays import unpack

    outcome = taken.train()[0]
    net = unpack(MLP((3,)).build((6,), (1,), key=jax.random.key(0)), outcome.weights)
    np.testing.assert_allclose(outcome.validation_output, net(z[list(VALIDATION)].astype(np.float32)), atol=2e-5)


def test_a_column_that_is_constant_in_training_has_no_say(apart):
    """Its weights keep their start, and rows where it differs are predicted as if it did not."""
    x, y = rows()
    x[list(TRAIN), 1] = 7.5
    taken = apart(LEAK, read_table(x, y))
    outcome = taken.train()[0]
    x[:, 1] = np.where(np.arange(36) < 24, 7.5, -1e7)
    again = apart(LEAK, read_table(x, y)).train()[0]
    np.testing.assert_allclose(again.validation_output, outcome.validation_output, rtol=1e-5, atol=1e-6)
    assert layout(MLP((3,)), (3,), (1,)).names[0] == "layers.0.weight"
    first, start = outcome.weights[:9].reshape(3, 3), taken.starting()[:9].reshape(3, 3)
    assert np.array_equal(first[1], start[1])
    assert not (first[[0, 2]] == start[[0, 2]]).any()


def test_a_penalty_reaches_those_weights_too(apart):
    x, y = rows()
    x[list(TRAIN), 1] = 7.5
    taken = apart(LEAK.replace(optimizer=SGD(0.1), penalty=WeightPenalty(0.5), batch_size=100), read_table(x, y))
    outcome, start = taken.train()[0], taken.starting()
    shrunk = start[3:6] * (1 - 0.1 * 2 * 0.5) ** outcome.best_epoch  # nothing but the penalty moves them
    np.testing.assert_allclose(outcome.weights[3:6], shrunk, rtol=1e-5)


def test_a_category_of_the_validation_rows_alone_has_no_influence(apart):
    """Its feature is 0 in all training rows: no weight of it is trained, and it predicts as an unknown one does."""
    random = np.random.default_rng(3)
    kind = np.array(["a", "b", "c"])[random.integers(0, 3, 36)]
    kind[list(VALIDATION)[::2]] = "only here"
    x = random.normal(size=36)
    y = x + (kind == "a") * 2.0 + random.normal(size=36) * 0.1
    data = read_table({"kind": kind.tolist(), "x": x, "y": y}, "y")
    taken = apart(LEAK, data)
    outcome = taken.train()[0]
    column = ["a", "b", "c", "only here"].index("only here")
    assert not taken.scaled(0)[0][0][:, column].any()
    first, first_start = outcome.weights[:15].reshape(5, 3), taken.starting()[:15].reshape(5, 3)
    assert np.array_equal(first[column], first_start[column])
    unknown = taken.table.inputs[list(VALIDATION)].copy()
    unknown[:, column] = 0
    taken.table.inputs[list(VALIDATION)] = unknown
    from perceptory import backend

    with backend.precision("single") as dtype:
        taken.raw = taken.table.raw(dtype)
    np.testing.assert_allclose(taken.train()[0].validation_output, outcome.validation_output, atol=1e-6)


def test_every_fold_has_a_scaling_of_its_own(apart):
    x, y = rows()
    taken = apart(LEAK.replace(validation=KFold(3)), read_table(x, y))
    for fold, (train, _) in enumerate(taken.folds):
        z, t, _ = taken.scaled(fold)[0]
        np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
        np.testing.assert_allclose(z.std(0), 1, rtol=1e-9)
        outcome = taken.train(waiting=[fold])[fold]
        assert len(outcome.train_output) == len(train)
        # a network that has learned nothing yet predicts near 0: on the scale of its own fold's targets
        assert abs(t.mean()) < 1e-9


def test_a_weight_is_a_number_of_copies():
    random = np.random.default_rng(0)
    x, t, w = random.normal(size=(20, 3)), random.normal(size=(20, 1)), random.integers(0, 4, size=20)
    x[::4, 1] = np.nan
    weighted = fit_scaling(x, t, scale_targets=True, weights=w.astype(float))
    copied = fit_scaling(x.repeat(w, axis=0), t.repeat(w, axis=0), scale_targets=True)
    for a, b in zip(weighted, copied, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


# --- extreme units ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, np.tile([1.0, 2.0, 0.0], 20)])
@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9, -1e11, 1e12, 1e13, 1e14, -1e15])
def test_a_spread_is_found_beside_an_offset_of_any_size(offset, weights):
    """As far as float64 holds the values at all, scaling the shifted ones gives what scaling the others does."""
    x = np.random.default_rng(0).normal(size=(60, 1))
    shifted = x + offset
    held = shifted - offset  # what float64 has kept of them
    s, t = (fit_scaling(a, a, scale_targets=True, weights=weights) for a in (shifted, held))
    np.testing.assert_allclose(s.in_factor, t.in_factor, rtol=1e-9)
    np.testing.assert_allclose(s.out_scale, t.out_scale, rtol=1e-9)
    assert s.in_center[0] - offset == pytest.approx(t.in_center[0], abs=2 * np.spacing(abs(offset)))


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.1, -1e15, 1e-300, 0.0, 3.3e20])
@pytest.mark.parametrize("noise", [0, 1, -2])
def test_rounding_is_no_spread(value, noise):
    """A constant that was computed in several ways differs in its last bit; its mean over many rows in some more."""
    x = np.full((100_000, 1), value)
    x[::7] += noise * np.spacing(value) if value else 0
    assert fit_scaling(x, x, scale_targets=True).in_factor[0] == 0


SPANS = {
    ("single", 1e-45): "precision=", ("single", 1e-38): "precision=", ("single", 1e-300): "Use other units.",
    ("single", 1e100): "precision=", ("single", 1e300): "Use other units.", ("double", 1e-310): "Use other units.",
    ("double", 1e-200): "Use other units.", ("double", 1e300): "Use other units.", ("single", 1e-20): "",
    ("single", 1e20): "", ("single", 1e37): "", ("double", 1e-100): "", ("double", 1e150): "",
}  # fmt: skip


@pytest.mark.parametrize(("precision", "unit"), SPANS)
@pytest.mark.parametrize("what", ["input", "target"])
@pytest.mark.parametrize("kind", ["table", "series"])
def test_units_that_arithmetic_would_lose_are_refused(kind, what, precision, unit):
    remedy = SPANS[precision, unit]
    x = np.random.default_rng(0).normal(size=(12, 2) if kind == "table" else (12, 3, 2))
    y = np.random.default_rng(1).normal(size=12)
    inputs, targets = (x * unit, y) if what == "input" else (x, y * unit)
    data = read_table(inputs, targets) if kind == "table" else read_arrays(inputs, targets)
    study = Study(MLP(()), precision=precision, validation=KFold(2), test=0)
    if not remedy:
        prepare(study, data)
        return
    with pytest.raises(InputError, match=rf"the {what} '\w+' spans .*, and {precision} precision takes") as caught:
        prepare(study, data)
    assert remedy in str(caught.value)
    if "precision" in remedy:
        prepare(study.replace(precision="double"), data)
