"""X, y, weights and groups that carry more than numbers, and values beside X that stand in it as well."""

import datetime as dt
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold as SklearnGroupKFold

from perceptory import (
    InputError,
    KFold,
    NetworkClassifier,
    NetworkRegressor,
    NetworkRegressorCV,
    SequenceRegressor,
    StratifiedKFold,
    least_squares,
)
from perceptory.data import read_arrays, read_table
from perceptory.estimators import cv, single_network, tables

ROWS = 40
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, 2))
Y = X[:, 0] + 0.5 * X[:, 1]
LABELS = np.where(Y > 0, "a", "b")
SERIES = RANDOM.normal(size=(ROWS, 4, 1))
DAYS = np.datetime64("2020-01-01") + np.arange(ROWS)
MOMENTS = pl.Series(DAYS.astype("M8[us]"))
GROUPS = np.arange(ROWS) // 8
SMALL = {"hidden": (2,), "epochs": 1, "random_state": 0}
FOURTH = np.arange(ROWS) == 3


def masked(values, mask=FOURTH):
    """The values with the fourth row masked, and something wild below the mask."""
    values = np.array(values)
    mask = np.broadcast_to(mask.reshape(-1, *[1] * (values.ndim - 1)), values.shape)
    if values.dtype.kind in "fi":
        values[mask] = 10**6
    return np.ma.MaskedArray(values, mask=mask)


def regressor(**more):
    return NetworkRegressor(**SMALL | more)


def study():
    return NetworkRegressorCV(((2,),), penalty=(0.0,), epochs=1, random_state=0)


def every_other(values):
    return [value if k % 2 else None for k, value in enumerate(values)]


NO_VALUE = r"Input (y|sample_weight) contains NaN: \d+ of 40 rows have no value \(the first is row [14]\)\."
REFUSED = {
    "masked y": (lambda: regressor().fit(X, masked(Y)), NO_VALUE),
    "masked classes": (lambda: NetworkClassifier(**SMALL).fit(X, masked(LABELS)), NO_VALUE),
    "masked labels": (lambda: NetworkClassifier(**SMALL).fit(X, masked((Y > 0).astype(int))), NO_VALUE),
    "masked weights": (lambda: regressor().fit(X, Y, masked(np.ones(ROWS))), NO_VALUE),
    "masked groups": (lambda: study().fit(X, Y, groups=masked(GROUPS)), "groups need a value for every one"),
    "masked targets": (lambda: regressor().fit(X, masked(np.stack([Y, Y], 1))), "contains NaN"),
    "masked series": (lambda: SequenceRegressor(**SMALL).fit(masked(SERIES), Y), "Input X contains NaN"),
    "list of masked series": (lambda: SequenceRegressor(**SMALL).fit(list(masked(SERIES)), Y), "Input X contains NaN"),
    "masked steps": (lambda: SequenceRegressor(**SMALL).fit(SERIES, masked(2 * SERIES)), "Input y contains NaN"),
    "masked validation": (lambda: regressor().fit(X, Y, X_val=X, y_val=masked(Y)), NO_VALUE),
    "nullable y": (lambda: regressor().fit(X, pd.array(every_other(Y), dtype="Float64")), NO_VALUE),
    "nullable texts": (
        lambda: NetworkClassifier(**SMALL).fit(X, pd.Series(every_other(LABELS), dtype="string")), NO_VALUE
    ),
    "nullable truth": (
        lambda: NetworkClassifier(**SMALL).fit(X, pd.Series(every_other(Y > 0), dtype="boolean")), NO_VALUE
    ),
    "categories missing": (lambda: NetworkClassifier(**SMALL).fit(X, pd.Categorical(every_other(LABELS))), NO_VALUE),
    "polars missing": (lambda: NetworkClassifier(**SMALL).fit(X, pl.Series(every_other(LABELS))), NO_VALUE),
    "nullable weights": (
        lambda: regressor().fit(X, Y, pd.array(every_other(np.ones(ROWS)), dtype="Float64")), NO_VALUE
    ),
    "categories as numbers": (lambda: regressor().fit(X, pd.Categorical(GROUPS)), "y needs numbers, but holds categor"),
    "dates as numbers": (lambda: regressor().fit(X, DAYS), "y needs numbers, but holds dates"),
    "series of dates": (lambda: regressor().fit(X, pd.Series(DAYS)), "y needs numbers, but holds dates"),
    "a column of dates": (
        lambda: regressor().fit(X, pd.DataFrame({"a": Y, "b": DAYS})), r"y\['b'\] needs numbers, but holds dates"
    ),
    "weights that are dates": (lambda: regressor().fit(X, Y, DAYS), "sample_weight needs numbers, but holds dates"),
    "weights of categories": (
        lambda: regressor().fit(X, Y, pd.Categorical(GROUPS)), "sample_weight needs numbers, but holds categories"
    ),
    "lists": (lambda: regressor().fit(pl.DataFrame({"t": [[1.0]] * ROWS}), Y), "column 't' of X has values of type"),
    "masked arrays": (lambda: read_arrays(masked(X), Y), r"2 are missing or infinite \(the first is missing, in exam"),
    "masked pictures": (
        lambda: read_arrays(masked(np.zeros((ROWS, 4, 4), np.uint8)), Y, kind="image"), "16 are missing or infinite"
    ),
    "masked lengths": (
        lambda: read_arrays(SERIES, Y, lengths=masked(np.full(ROWS, 3))), "lengths need a whole number for each"
    ),
    "masked weights beside arrays": (lambda: read_arrays(X, Y, weights=masked(np.ones(ROWS))), "weights need finite"),
    "masked steps of arrays": (lambda: read_arrays(SERIES, masked(2 * SERIES)), "the targets need finite numbers, but"),
    "weights of arrays that are dates": (lambda: read_arrays(X, Y, weights=DAYS), "the weights need numbers, got"),
    "masked start": (lambda: least_squares(lambda p: p - 1.0, masked(np.ones(ROWS))), "start needs finite numbers"),
    "masked groups of a plan": (lambda: KFold(2).split(ROWS, groups=masked(GROUPS), seed=0), "got missing ones"),
    "masked classes of a plan": (
        lambda: StratifiedKFold(2).split(ROWS, targets=masked(GROUPS), seed=0), "targets need one class index"
    ),
    "masked data": (lambda: least_squares(lambda p, y: p - y, 0.0, args=(masked(Y),)), "args needs arrays of numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_value_is_never_read(case):
    make, sentence = REFUSED[case]
    with pytest.raises(ValueError, match=sentence):
        make()


def missing(values):
    values = values.copy()
    values[FOURTH] = np.nan
    return values


@pytest.mark.parametrize("form", [masked, lambda x: list(masked(x)), lambda x: masked(x).astype(np.float32)])
def test_masked_inputs_are_missing_ones(given, fitted, form):
    data, plain = given(lambda: regressor().fit(form(X), Y)), given(lambda: regressor().fit(missing(X), Y))
    np.testing.assert_allclose(data.encoder.transform(data), plain.encoder.transform(plain), rtol=1e-6)
    x = np.tile(X, 3)[:, :5].astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(fitted.predict(form(x)), fitted.predict(missing(x)))
    np.testing.assert_array_equal(fitted.model_.predict(form(x)), fitted.model_.predict(missing(x)))


def test_masked_rows_of_tables_and_arrays():
    assert np.isnan(read_table(list(masked(X)), Y).columns[0].values).tolist() == FOURTH.tolist()
    assert read_table(X, masked(Y)).rows == read_arrays(X, masked(Y)).rows == ROWS - 1
    assert read_arrays(X, masked(np.stack([Y, -Y], 1))).targets.shape == (ROWS - 1, 2)
    assert read_table(X, [*Y[:-1], np.ma.masked]).rows == ROWS - 1
    record = np.ma.array([(1.0, 2.0), (3.0, 4.0)] * 9, mask=[(True, False)] + [(False, False)] * 17, dtype="f8,f8")
    assert np.isnan(read_table(record, np.arange(18.0) ** 2).columns[0].values).sum() == 1
    frame = pd.DataFrame({"a": Y, "b": pd.array([None, *Y[1:] ** 2], dtype="Float64")})
    assert (read_arrays(X, frame).rows, read_arrays(X, frame).target_names) == (ROWS - 1, ("a", "b"))


class StoppedError(Exception):
    """Instead of training."""


@pytest.fixture
def given(monkeypatch):
    """A function that gives the data that a fit would train on, without training."""

    def stop(study, data, **more):
        raise StoppedError(data)

    monkeypatch.setattr(single_network, "train_further", stop)
    monkeypatch.setattr(cv, "run", stop)

    def data_of(fit):
        with pytest.raises(StoppedError) as stopped:
            fit()
        return stopped.value.args[0]

    return data_of


def test_durations_are_seconds_and_dates_are_days(given):
    spans = DAYS - DAYS[0]
    seconds = 86400.0 * np.arange(ROWS)
    for y in (spans, pd.Series(spans), pd.DataFrame({"a": spans, "b": Y})):
        np.testing.assert_array_equal(given(lambda y=y: regressor().fit(X, y)).targets[:, 0], seconds)
    for x in (pl.DataFrame({"t": pl.Series(spans.astype("m8[us]"))}), pd.DataFrame({"t": spans}), spans[:, None]):
        data = given(lambda x=x: regressor().fit(x, Y))
        np.testing.assert_array_equal(data.encoder.transform(data)[:, 0], seconds)
    array, frame = (given(lambda x=x: regressor().fit(x, Y)) for x in (DAYS[:, None], pd.DataFrame({"x0": DAYS})))
    assert array.encoder.columns[0].kind == "date"
    periods = given(lambda: regressor().fit(pd.DataFrame({"x0": pd.PeriodIndex(DAYS, freq="D")}), Y))
    np.testing.assert_array_equal(array.encoder.transform(array), periods.encoder.transform(periods))
    times = given(lambda: regressor().fit(pl.DataFrame({"t": (MOMENTS + dt.timedelta(hours=5)).dt.time()}), Y))
    assert times.encoder.transform(times)[0].tolist() == [5 * 3600]
    np.testing.assert_array_equal(array.encoder.transform(array), frame.encoder.transform(frame))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pd.array(GROUPS % 2, dtype="Int64"), [0, 1]),
        (pd.Series(Y > 0, dtype="boolean"), [False, True]),
        (pd.Categorical(np.where(Y > 0, 10, 2)), [2, 10]),
        (pd.array(LABELS, dtype="string"), ["a", "b"]),
        (pl.Series(LABELS), ["a", "b"]),
        (np.ma.MaskedArray(LABELS, mask=False), ["a", "b"]),
        (np.where(Y > 0, "007", "7"), ["007", "7"]),
        (2**53 + (Y > 0), [2**53, 2**53 + 1]),
    ],
)
def test_labels_come_back_as_they_were(given, labels, expected):
    estimator = NetworkClassifier(**SMALL)
    given(lambda: estimator.fit(X, labels))
    classes = estimator.classes_
    assert classes.tolist() == expected
    assert type(classes.tolist()[0]) is type(expected[0])


# --- values beside X that stand in it as well ---------------------------------------------------------------------

FRAME = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "g": 10.0 * GROUPS, "w": RANDOM.uniform(1, 2, ROWS), "y": Y**2})
COPIES = {
    "series": (lambda: regressor().fit(FRAME, FRAME["y"]), "y", "target"),
    "other name": (lambda: regressor().fit(FRAME, FRAME["y"].rename("price")), "y", "target"),
    "array": (lambda: regressor().fit(FRAME, FRAME["y"].to_numpy()), "y", "target"),
    "list": (lambda: regressor().fit(FRAME, FRAME["y"].tolist()), "y", "target"),
    "single precision": (lambda: regressor().fit(FRAME, FRAME["y"].to_numpy(np.float32)), "y", "target"),
    "arrays": (lambda: regressor().fit(FRAME.to_numpy(), FRAME["y"].to_numpy()), "x4", "target"),
    "polars": (lambda: regressor().fit(pl.from_pandas(FRAME), pl.Series(FRAME["y"].to_numpy())), "y", "target"),
    "weights": (lambda: regressor().fit(FRAME, Y, FRAME["w"]), "w", "sample_weight"),
    "groups": (lambda: study().fit(FRAME, Y, groups=FRAME["g"]), "g", "groups"),
    "codes": (lambda: NetworkClassifier(**SMALL).fit(FRAME.assign(c=1 * (LABELS == "a")), LABELS), "c", "target"),
    "classes": (
        lambda: NetworkClassifier(**SMALL).fit(FRAME.assign(c=pd.Categorical(LABELS)), LABELS), "c", "target"
    ),
    "truth": (lambda: NetworkClassifier(**SMALL).fit(FRAME.assign(c=Y > 0), Y > 0), "c", "target"),
    "named in few rows": (lambda: regressor().fit(FRAME[:4], FRAME["y"][:4]), "y", "target"),
    "several": (lambda: regressor().fit(FRAME, FRAME[["y", "w"]].to_numpy()), "w", "target"),
}  # fmt: skip


@pytest.mark.parametrize("case", COPIES)
def test_what_is_given_beside_x_is_no_input(given, case):
    fit, column, role = COPIES[case]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names = given(fit).encoder.feature_names
    sentence = f"column {column!r} holds the values that are given as the {role}, so it is no input."
    assert sentence in [str(w.message) for w in caught]
    assert column not in names
    assert {"a", "x0"} & set(names)


@pytest.fixture(scope="module")
def fitted():
    with pytest.warns(UserWarning, match="'x4' holds the values"):
        return regressor().fit(FRAME.where(~FOURTH[:, None] | (FRAME.columns != "a")).to_numpy(), FRAME["y"])


def test_a_column_that_is_no_input_may_hold_anything(fitted, tmp_path):
    x, other = FRAME.to_numpy(), FRAME.assign(y=0.0).to_numpy()
    fitted.to_file(tmp_path / "e.model")
    for estimator in (fitted, NetworkRegressor.from_file(tmp_path / "e.model")):
        np.testing.assert_array_equal(estimator.predict(other), fitted.predict(x))
    fitted.partial_fit(x, FRAME["y"])
    assert fitted.model_.encoder.feature_names == ("x0", "x0 is missing", "x1", "x2", "x3")


def test_few_rows_may_agree_by_chance(given):
    x = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = given(lambda: NetworkClassifier(**SMALL).fit(x, [0, 1, 0, 1]))
    assert data.encoder.feature_names == ("x0", "x1")


BESIDE = np.concatenate([SERIES, np.broadcast_to(Y[:, None, None] ** 2, SERIES.shape)], axis=2)
HELD = {
    "target": lambda: read_arrays(FRAME.to_numpy(), FRAME["y"]),
    "classes": lambda: read_arrays(np.stack([X[:, 0], Y > 0], 1), (Y > 0).astype(int)),
    "weights": lambda: read_arrays(FRAME.to_numpy(), Y, weights=FRAME["w"]),
    "groups": lambda: read_arrays(FRAME.to_numpy(), Y, groups=FRAME["g"]),
    "series": lambda: read_arrays(BESIDE, Y**2),
    "every step": lambda: read_arrays(BESIDE, SERIES),
    "dict": lambda: read_arrays({"x": FRAME.to_numpy(), "y": FRAME["y"].to_numpy()}),
    "estimator of series": lambda: SequenceRegressor(**SMALL).fit(BESIDE, Y**2),
    "pictures": lambda: read_arrays(np.broadcast_to((np.arange(ROWS) % 7)[:, None, None], (ROWS, 2, 2)),
                                    np.arange(ROWS) % 7, kind="image"),
    "single precision": lambda: read_arrays(FRAME.to_numpy(np.float32), FRAME["y"]),
}  # fmt: skip


@pytest.mark.parametrize("case", HELD)
def test_a_channel_that_is_given_beside_the_arrays_is_refused(case):
    with pytest.raises(ValueError, match=r"of every example, which is no input\. Leave it out of them"):
        HELD[case]()


def test_what_a_network_has_to_remember_is_no_copy():
    assert read_arrays(SERIES, SERIES[:, 0, 0]).rows == ROWS


def test_groups_keep_their_rows_together_whatever_cv_is(monkeypatch):
    studies = []
    monkeypatch.setattr(cv, "run", lambda study, data, **more: studies.append((study, data)) or 1 / 0)
    for folds in (None, 3, SklearnGroupKFold(5)):
        with pytest.raises(ZeroDivisionError):
            study().set_params(cv=folds).fit(X, Y, groups=[f"p{g}" for g in GROUPS])
        plan, data = studies[-1][0].validation, studies[-1][1]
        pairs = plan.split(ROWS, groups=data.groups, seed=0)
        assert len(pairs) == (folds if isinstance(folds, int) else 5)
        for train, held in pairs:
            assert not set(GROUPS[train]) & set(GROUPS[held])


def test_diverged_networks_of_the_chosen_candidate_are_told(monkeypatch):
    members = [SimpleNamespace(candidate=k, status=s) for k, s in ((0, "finished"), (0, "diverged"), (1, "diverged"))]
    result = SimpleNamespace(members=members, best=0, model=SimpleNamespace(outputs=(1,)))
    result.estimate, result.label = SimpleNamespace(mean=1.0), "mlp"
    monkeypatch.setattr(cv, "run", lambda *given, **more: result)
    with pytest.warns(ConvergenceWarning, match="1 of the 2 networks of the chosen candidate diverged"):
        study().fit(X, Y)


def test_an_index_in_another_order_is_told(given):
    y = pd.Series(Y).sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match="y has the same index as X, in another order"):
        given(lambda: regressor().fit(pd.DataFrame(X), y))
    with pytest.raises(ValueError, match="more than one column 'a'"):
        regressor().fit(pd.DataFrame(X, columns=["a", "a"]), Y)


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        (["007", "7"], {"007": 1.0, "7": 5.0}),
        (["1", "2"], {"1": 1.0, "2": 5.0}),
        ([1, 2], {1.0: 1.0, np.int8(2): 5.0}),
        ([False, True], {False: 1.0, np.True_: 5.0}),
        (DAYS[:2], {DAYS[0]: 1.0, dt.date(2020, 1, 2): 5.0}),
        (MOMENTS.to_numpy()[:2], {dt.datetime(2020, 1, 1): 1.0, MOMENTS.to_numpy()[1]: 5.0}),
    ],
)
def test_class_weights_are_told_by_the_name_of_the_class(given, labels, weights):
    y = np.asarray(labels)[np.arange(ROWS) % 2]
    data = given(lambda: NetworkClassifier(**SMALL, class_weight=weights).fit(X, y))
    assert data.weights.tolist() == [1.0, 5.0] * (ROWS // 2)
    with pytest.raises(ValueError, match="class_weight have to be in y"):
        NetworkClassifier(**SMALL, class_weight={"other": 2.0}).fit(X, y)


CATEGORIES = pd.DataFrame({"k": [1, 2, 3] * 4, "x": np.arange(12.0)}).astype({"k": "category"})
NEW = {
    "a column that one empty cell made float": pd.DataFrame({"k": [1.0, 2.0, np.nan], "x": [1.0, 2.0, 3.0]}),
    "texts": pd.DataFrame({"k": ["1", "2", None], "x": [1.0, 2.0, 3.0]}),
    "an array": np.array([[1, 1], [2, 2], [np.nan, 3]]),
    "an array of objects": np.array([["1", 1.0], [2, 2.0], [None, 3.0]], object),
    "another library": pl.DataFrame({"k": [1, 2, None], "x": [1.0, 2.0, 3.0]}),
}


@pytest.mark.parametrize("case", NEW)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_columns_stay_what_they_were_in_training(case):
    """A category is that of its value, whatever the type of the column is with which a prediction is asked for."""
    fitted = NetworkRegressor()
    inputs = tables.checked_inputs(fitted, CATEGORIES, reset=True)
    fitted.model_ = SimpleNamespace(encoder=tables.encoder_for(inputs, ["k", "x"], ("y",), {}))
    same = CATEGORIES.iloc[[0, 1, 2]].assign(x=[1.0, 2.0, 3.0])
    same.loc[2, "k"] = None
    expected = fitted.model_.encoder.transform(tables.checked_inputs(fitted, same, reset=False))
    given = tables.checked_inputs(fitted, NEW[case], reset=False)
    np.testing.assert_array_equal(fitted.model_.encoder.transform(given), expected)


CELLS = [*map(str, X[:7, 0]), "#REF!", *map(str, X[8:, 0])]
BAD_INPUTS = {
    "a cell": (lambda: regressor().fit(pd.DataFrame({"a": CELLS, "b": Y}), Y), "column 'a' of X .* '#REF!' in row 8"),
    "a cell of an array": (lambda: regressor().fit(np.c_[CELLS, Y].astype(object), Y), "'x0' of X .*'#REF!' in row 8"),
    "series of dates": (lambda: SequenceRegressor().fit(np.tile(DAYS, (4, 1)).T, Y), "X needs numbers, but holds"),
    "frames of dates": (lambda: SequenceRegressor().fit(pd.DataFrame({"a": DAYS}), Y), r"X\['a'\] needs numbers, but"),
    "series of categories": (
        lambda: SequenceRegressor().fit(pd.DataFrame({"a": pd.Categorical(GROUPS)}), Y), "but holds categories",
    ),
    "unclear numbers": (
        lambda: regressor().fit(pd.DataFrame({"a": [f"1,{k:03d}" for k in range(ROWS)]}), Y), "Text columns need encod"
    ),
    "targets beyond arithmetic": (lambda: regressor().fit(X, 1e300 * Y), "target 'y' spans .*Use other units"),
    "inputs beyond arithmetic": (lambda: regressor().fit(1e300 * X, Y), "spans .*Use other units"),
    "weights beyond arithmetic": (lambda: regressor().fit(X, Y, np.full(ROWS, 1e300)), "Divide the weights by their"),
    "no weight": (
        lambda: NetworkClassifier(class_weight={"a": np.nan}).fit(X, LABELS), "at least 0 for each class, got nan",
    ),
    "a weight below 0": (lambda: NetworkClassifier(class_weight={"b": -1}).fit(X, LABELS), "got -1 for 'b'"),
    "a weight in words": (lambda: NetworkClassifier(class_weight={"b": "2"}).fit(X, LABELS), "got '2' for 'b'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_what_is_wrong_is_named(case):
    fit, sentence = BAD_INPUTS[case]
    with pytest.raises(ValueError, match=sentence):
        fit()


@pytest.mark.parametrize("rows", [[0], [0, 1, 4], [5, 5]])
def test_rows_that_are_held_out_may_be_few_and_of_one_class(given, rows):
    few = np.flatnonzero(LABELS == "a")[rows]
    data = given(lambda: NetworkClassifier(**SMALL).fit(X, LABELS, X_val=X[few], y_val=LABELS[few]))
    assert (data.task, data.classes, data.rows) == ("binary", ("a", "b"), ROWS + len(few))
    assert data.targets[ROWS:].tolist() == [0] * len(few)
    with pytest.raises(InputError, match="classes that were not there before"):
        NetworkClassifier(**SMALL).fit(X, LABELS, X_val=X[few], y_val=["z"] * len(few))


def test_targets_that_are_of_no_kind_are_told():
    with pytest.raises(InputError, match="several types"):
        NetworkClassifier().fit(np.ones((4, 1)), np.array(["a", 1, "a", 1], object))
    with pytest.raises(InputError, match="texts that are none, such as '1%'"):
        NetworkRegressor().fit(np.ones((4, 1)), ["1%", "2%", "3%", "4%"])
    with pytest.raises(InputError, match="one class: 'a'"):
        NetworkClassifier().fit(np.ones((4, 1)), ["a"] * 4)
