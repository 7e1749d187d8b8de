"""Networks of layers as source code: the C file compiled, the Python file run by itself, both held to the model."""

import ctypes
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory import catalog
from perceptory.app.cli import main
from perceptory.data import Encoder
from perceptory.errors import InputError
from perceptory.export import code_c, code_numpy

ANY = [name for name in catalog.ACTIVATIONS if name != "softmax"]
SIGMAS = (*ANY, "elu(0.5)", "leaky_relu(2)", "hard_sigmoid(0.2)", "softmax")
X = np.random.default_rng(1).normal(size=(5, 4))
X[2, 1] = np.nan
CC = shutil.which(os.environ.get("CC", "cc"))
DEEP = pt.Chain((pt.DenseLayer(4, "tanh"), pt.NormLayer(), pt.Residual((pt.DenseLayer(4), pt.DropoutLayer(0.2))),
                 pt.NormLayer("batch"), pt.PReLULayer(), pt.NoiseLayer(0.1)))  # fmt: skip
CASES = {
    "mlp": (pt.MLP((4,) * len(SIGMAS), SIGMAS, residual=True), (2,), {}),
    "chain": (DEEP, (2,), {"precision": "double"}),
    "rbf": (pt.RBFNetwork(5), (1,), {"precision": "double", "members": 1}),
    "quantile": (pt.MLP((3,)), (2,), {"cost": pt.Quantile((0.1, 0.3, 0.5, 0.9)), "precision": "double"}),
    "gaussian": (pt.Linear(), (2,), {"cost": pt.GaussianLikelihood(), "precision": "double"}),
    "poisson": (pt.Linear(), (1,), {"cost": pt.PoissonLikelihood(), "precision": "double"}),
    "labels": (pt.Linear(), (2,), {"cost": pt.LabelCrossEntropy(), "precision": "double"}),
    "two": (pt.Linear(), (1,), {"cost": pt.SigmoidCrossEntropy(), "task": "binary", "classes": np.array(["a", "b"])}),
    "three": (pt.Linear(), (3,), {"cost": pt.SoftmaxCrossEntropy(), "task": "multiclass", "classes": np.arange(3)}),
}


def compiled(path, size):
    """`predict` of a C file, for rows of inputs."""
    library = path.with_suffix(".so")
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-shared", "-fPIC"]
    subprocess.run([CC, *strict, "-o", library, path, "-lm"], check=True)
    function = ctypes.CDLL(str(library)).predict

    def predict(x):
        y = np.empty((len(x), size))
        for row, out in zip(np.ascontiguousarray(x), y, strict=True):
            function(row.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p))
        return y

    return predict


def expected(model, x):
    if model.classes is not None:
        return model.mean(x)
    return model.cost.ensemble(model.distributions_of(x))


@pytest.mark.parametrize("name", CASES)
def test_source_gives_what_the_model_gives(make_model, tmp_path, name):
    network, outputs, more = CASES[name]
    model = make_model(network, (4,), outputs, **more)
    if name == "three":
        model.facts["temperature"] = 1.7
    want = expected(model, X)
    most = (1e-11 if model.precision == "double" else 1e-5) * max(1, np.abs(want).max())
    space = {}
    exec(model.to_code(tmp_path / "model.py").read_text(), space)
    assert np.max(np.abs(space["outputs_of"](X) - want)) <= most
    predicted = space["predict"](X)
    assert np.array_equal(predicted, model.classes[want.argmax(axis=1)]) if model.classes is not None else True
    if CC:
        got = compiled(model.to_code(tmp_path / "model.c"), want.shape[1])(X)
        assert np.max(np.abs(got - want)) <= most


def test_raw_columns_in_python(make_model, tmp_path):
    """The file runs without this package: columns in, predictions out."""
    rows = np.arange(40)
    day = pl.Series(rows * 86400_000_000 * 31 + 3_600_000_000 * rows).cast(pl.Datetime("us"))
    table = pl.DataFrame({
        "a": [None if i % 7 == 3 else float(i) for i in rows],
        "warm": [None if i % 9 == 1 else i % 2 == 0 for i in rows],
        "color": [["red", "blue", None][i % 3] for i in rows], "day": day, "y": rows * 1.5,
    })  # fmt: skip
    encoder = Encoder.fit(pt.read_table(table, "y"))
    model = make_model(pt.MLP((4,)), encoder.shape, (1,), encoder=encoder, precision="double")
    path = model.to_code(tmp_path / "model.py")
    program = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
import model
day = np.array(["1970-03-05T01:00", "NaT", "1969-12-31"], "datetime64[us]")
columns = {"a": [1.5, None, 3], "warm": [True, None, False], "color": ["red ", "never", ""], "day": day}
print(model.predict(columns).tolist())
assert not any(name.startswith("perceptory") for name in sys.modules)
"""
    run = [sys.executable, "-c", program, str(path.parent)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env={})
    new = pl.DataFrame({
        "a": [1.5, None, 3.0], "warm": [True, None, False], "color": ["red", "never", None],
        "day": pl.Series([63 * 86400_000_000 + 3_600_000_000, None, -86400_000_000]).cast(pl.Datetime("us")),
    })  # fmt: skip
    assert np.allclose(eval(done.stdout), model.predict(new), rtol=1e-12)


def test_every_activation_is_written():
    assert catalog.ACTIVATIONS.keys() == code_numpy.SIGMAS.keys() == {*code_c.SIGMAS, "softmax"}


def test_what_is_more_than_dense_layers_is_refused(make_model, tmp_path, capsys):
    for network, shape, outputs in ((pt.Linear(taps=2), (6, 2), (6, 1)), (pt.Chain((pt.DenseLayer(3),)), (6, 2), (1,))):
        with pytest.raises(InputError, match="ONNX instead"):
            make_model(network, shape, outputs).to_code(tmp_path / "model.c")
    with pytest.raises(InputError, match=re.escape("in .py, .c files, got 'model.java'")):
        make_model(pt.Linear(), (4,), (1,)).to_code(tmp_path / "model.java")
    make_model(pt.Linear(), (4,), (1,)).save(tmp_path / "m.safetensors")
    assert main(["export", str(tmp_path / "m.safetensors"), "--code", str(tmp_path / "model.c")]) == 0
    assert capsys.readouterr().out.strip().endswith("model.c")
    assert main(["export", str(tmp_path / "m.safetensors"), "--code", str(tmp_path / "m.py"), "--lengths"]) == 2
