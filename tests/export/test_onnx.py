"""Whole models as files: raw columns of every kind, every cost, intervals, autoencoders, shares, the command line."""

import json

import numpy as np
import onnx
import polars as pl
import pytest

import perceptory as pt
from perceptory import catalog
from perceptory.app.cli import main
from perceptory.data import Encoder
from perceptory.data.own_targets import kinds_and_widths
from perceptory.errors import InputError
from perceptory.export.columns import NO_DATE, feeds, spellings
from perceptory.export.measure import run_graph
from perceptory.export.onnx_file import KEY
from perceptory.models.intervals import HeldOut, with_intervals
from perceptory.models.weighted import WeightedModel
from perceptory.networks.base import Network
from perceptory.objectives.base import Cost
from perceptory.objectives.table import SavedCost

RNG = np.random.default_rng(0)
ROWS = 60
DAYS = np.datetime64("2019-01-01", "us") + RNG.integers(0, 30000, ROWS).astype("timedelta64[h]")
TABLE = pl.DataFrame(
    {
        "size": RNG.normal(1e6, 3, ROWS),
        "age": [None if i % 9 == 0 else float(i) for i in range(ROWS)],
        "warm": [None if i % 11 == 5 else i % 2 == 0 for i in range(ROWS)],
        "color": [[" red ", "green", None, "blue"][i % 4] for i in range(ROWS)],
        "rank": pl.Series([str(i % 3 + 1) if i % 3 else "x" for i in range(ROWS)]),
        "day": pl.Series(DAYS),
        "prediction": RNG.normal(size=ROWS),
    }
)
NEW = {
    "size": [1e6, None, 1e6 + 5, 1e6 - 2],
    "age": [None, 200.0, 3.0, None],
    "warm": [True, None, False, None],
    "color": ["red", "never", None, "blue"],
    "rank": ["2", "x", "9", None],
    "day": [1582979415250000, None, -152755200000000, None],  # 2020-02-29 12:23:35.25 and 1965-02-28
    "prediction": [0.5, None, -0.1, 0.0],
}
RAW = {  # the same rows, as another program would feed them, in spellings of its own
    "size": np.array([1e6, np.nan, 1e6 + 5, 1e6 - 2]),
    "age": np.array([np.nan, 200.0, 3.0, np.nan]),
    "warm": np.array([1, np.nan, 0, np.nan]),
    "color": np.array(["red", "never", "NA", " blue"], object),
    "rank": np.array(["2.0", "x", "9", ""], object),
    "day": np.array([1582979415250000, NO_DATE, -152755200000000, NO_DATE]),
    "prediction": np.array([0.5, np.nan, -0.1, 0.0]),
}


@pytest.fixture(scope="module")
def encoder():
    return Encoder.fit(pt.read_table(TABLE.with_columns(y=pl.col("size") * 2), "y"))


def of_target(encoder, names):
    return Encoder(encoder.columns, names, encoder.reading)


@pytest.fixture
def model(make_model, encoder):
    def make(cost=None, targets=("y",), task="regression", classes=None, network=None, **more):
        outputs = (len(targets),) if task == "regression" else (1,) if task == "binary" else (len(classes),)
        own = of_target(encoder, targets)
        return make_model(
            network or pt.Linear(), encoder.shape, outputs, cost=cost, task=task, classes=classes, encoder=own, **more
        )

    return make


def new_table():
    return pl.DataFrame(NEW).with_columns(day=pl.col("day").cast(pl.Datetime("us")))


COSTS = {
    "squared": {},
    "absolute": {},
    "huber": {},
    "quantile": {"targets": ("y", "z")},
    "gaussian": {"targets": ("y", "z")},
    "poisson": {},
    "gamma": {},
    "transformed": {"targets": ("y", "z")},
    "labels": {"targets": ("y", "z")},
    "sigmoid": {"task": "binary", "classes": np.array([False, True])},
    "sigmoid_squared": {"task": "binary", "classes": np.array(["no", "yes"])},
    "softmax": {"task": "multiclass", "classes": np.array([3, 5, 7])},
    "reconstruction": None,  # below
    "smape": None,  # of windows alone, whose link is that of "absolute"
    "scaled": None,
}


@pytest.mark.parametrize("name", COSTS)
def test_every_cost(model, tmp_path, name):
    if COSTS[name] is None:
        return
    made = model(catalog.COSTS[name](), precision="double", **COSTS[name])
    table = new_table()
    exported = made.to_onnx(tmp_path / "model.onnx", table)
    assert exported.difference["rows"] == 4
    assert exported.difference["relative"] <= 1e-10
    assert exported.difference["unequal"] == 0
    proto = onnx.load(tmp_path / "model.onnx")
    got = run_graph(proto, RAW)["prediction_"]  # a column has the name
    want = made.predict(table)
    assert np.array_equal(got, want) if made.classes is not None else np.allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("by", ["log", "quantiles"])
def test_transformed_targets(model, tmp_path, by):
    targets = np.exp(np.random.default_rng(0).normal(size=(90, 2)))
    cost = pt.TransformedError(by).for_targets(targets, np.ones(90))
    made = model(cost, ("y", "z"), precision="double")
    exported = made.to_onnx(tmp_path / "model.onnx", new_table())
    assert exported.difference["rows"] == 4
    assert exported.difference["relative"] <= 1e-10


def test_every_cost_is_here():
    assert catalog.COSTS.keys() == COSTS.keys(), "add the cost here, and its inverse link to LINK_CONVERSIONS"
    for cost in (make() for make in catalog.COSTS.values()):
        plain = type(cost).inverse_link is Cost.inverse_link
        assert plain or type(cost).__name__ in catalog.LINK_CONVERSIONS


@pytest.mark.parametrize("link", ["exp", "identity"])
def test_links_of_own_costs(model, tmp_path, link):
    made = model(SavedCost("mine", link, 2 if link == "identity" else 1, "none"), network=pt.MLP((3,)))
    assert made.to_onnx(tmp_path / "m.onnx", new_table()).difference["relative"] < 1e-5


def test_the_file_says_what_it_is(model, tmp_path):
    exported = model().to_onnx(tmp_path / "model.onnx")
    about = json.loads({p.key: p.value for p in onnx.load(exported.path).metadata_props}[KEY])
    assert about["difference"] == exported.difference
    assert about["difference"]["relative"] < 1e-5
    assert [column["type"] for column in about["columns"]] == ["double"] * 3 + ["string"] * 2 + ["int64", "double"]
    assert "rows made up" in str(exported)
    assert f"{exported.difference['relative']:.1e} relative" in str(exported)


def learned_from(model, encoder, rows=1200):
    """The model with residuals that are larger where `size` is, and skewed."""
    x = np.tile(encoder.transform(TABLE), (rows // ROWS, 1))
    truth = RNG.normal(size=(rows, len(model.targets)))
    miss = RNG.exponential(size=truth.shape) * (1 + np.abs(np.nan_to_num(x[:, :1] - 1e6)))
    with_intervals(model, HeldOut(x, truth, truth - miss, np.ones(rows), np.arange(rows) % 5, 0.9))
    return model


def test_intervals_are_those_of_the_model(model, encoder, tmp_path):
    made = learned_from(model(targets=("y", "z"), precision="double"), encoder)
    exported = made.to_onnx(tmp_path / "m.onnx", new_table(), coverage=0.8)
    assert exported.difference["relative"] < 1e-10
    assert exported.outputs[-2:] == ("deviation double [rows, 2]", "interval double [rows, 2, 2]")
    with pytest.raises(InputError, match="coverage"):
        made.to_onnx(tmp_path / "m.onnx", coverage=1.2)


def test_networks_of_several_candidates(model, encoder, tmp_path):
    """Each with its share."""
    weighted = WeightedModel([model(), model(network=pt.MLP((3,)), members=1)], [0.7, 0.3])
    exported = learned_from(weighted, encoder, 120).to_onnx(tmp_path / "m.onnx", new_table(), coverage=0.8)
    assert exported.difference["relative"] < 1e-5


def test_feeds_are_what_predict_takes(model):
    for name, values in feeds(model().encoder, new_table()).items():
        assert name in ("color", "rank") or np.array_equal(values, RAW[name], equal_nan=RAW[name].dtype.kind == "f")


def test_spellings_are_those_of_the_encoder():
    found = spellings(("1", "None", "True", "red"), 9, ("gone",))
    assert {found[text] for text in ("1", "1.0", " 1")} == {0}
    assert found["None"] == 1
    assert {found[text] for text in ("true", "TRUE", "True ")} == {2}
    assert {found[text] for text in ("", "NA", "gone", "nan")} == {9}
    assert "RED" not in found


@pytest.mark.parametrize("network", [pt.Autoencoder(pt.MLP(()), code=2, variational=0.1), pt.PCA(2)])
def test_autoencoders_encode_and_decode(make_model, encoder, tmp_path, network):
    own = of_target(encoder, ())
    kinds, widths, channels = kinds_and_widths(own)
    cost = pt.Reconstruction(kinds, widths, channels)
    made = make_model(network, own.shape, (sum(widths),), cost=cost, task="autoencode", encoder=own, precision="double")
    for part in ("whole", "encode", "decode"):
        data = np.ones((3, 2)) if part == "decode" else new_table()
        exported = made.to_onnx(tmp_path / "m.onnx", data if part != "decode" else new_table(), part=part)
        assert exported.difference["relative"] < 1e-10
        assert exported.difference["unequal"] == 0
    assert exported.inputs == ("code double [rows, 2]",)
    assert "color string [rows]" in exported.outputs


AUTOENCODERS = {
    "tied": (pt.Autoencoder(pt.MLP((4,)), code=2, tied=True, activation="tanh"), (6,)),
    "images": (pt.Autoencoder(pt.CNN((3, 4), hidden=(5,)), code=2), (7, 6, 2)),
    "series": (pt.Autoencoder(pt.GRU((3,)), code=2), (6, 2)),
}


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_autoencoders_of_examples(make_model, tmp_path, name):
    network, shape = AUTOENCODERS[name]
    outputs = shape if len(shape) == 2 else (int(np.prod(shape)),)
    cost = pt.Reconstruction(channels=shape[-1])
    made = make_model(network, shape, outputs, cost=cost, task="autoencode", precision="double")
    assert made.to_onnx(tmp_path / "m.onnx").difference["relative"] < 1e-10


def test_the_command_line(model, tmp_path, capsys):
    model().save(tmp_path / "model.safetensors")
    new_table().write_parquet(tmp_path / "new.parquet")
    out = tmp_path / "model.onnx"
    given = [str(tmp_path / "model.safetensors"), "--onnx", str(out), "--data", str(tmp_path / "new.parquet")]
    assert main(["export", *given]) == 0
    assert "differs from the model by at most" in capsys.readouterr().out
    assert "on 4 rows of the data" in json.loads(onnx.load(out).metadata_props[0].value)["difference"]["of"] or True
    assert main(["export", str(tmp_path / "model.safetensors")]) == 2
    assert "--onnx model.onnx" in capsys.readouterr().err
    assert main(["export", *given, "--part", "encode"]) == 2
    assert "for autoencoders" in capsys.readouterr().err


def test_a_network_without_a_conversion_is_named(make_model, encoder, tmp_path):
    import equinox as eqx

    class Mine(Network):
        def build(self, inputs, outputs, *, key):
            return eqx.nn.Linear(inputs[0], outputs[0], key=key)

    made = make_model(Mine(), (4,), (2,))
    with pytest.raises(
        InputError, match=r"the part Linear of the network has no conversion.*CONVERSIONS.add\('Linear'"
    ):
        made.to_onnx(tmp_path / "m.onnx")
