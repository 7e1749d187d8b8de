"""Every network and layer of the tables as an ONNX graph: onnxruntime and onnx's reference evaluator give what the
model gives. Layers share networks, and networks share shapes, so that few programs are compiled."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

import perceptory as pt
from perceptory import catalog
from perceptory.errors import InputError
from perceptory.export.activations import FORMULAS
from perceptory.export.measure import run_graph
from perceptory.export.pipeline import IR, OPSET, predictor
from perceptory.models.by_kernel import ByKernel

FAR = 1 << 40
ANY = [name for name in catalog.ACTIVATIONS if name != "softmax"]
SIGMAS = [*ANY, "elu(0.5)", "leaky_relu(0.2)", "leaky_relu(2)", "hard_sigmoid(0.2)", "softmax"]
# name: (network, shape of an example, shape of the targets)
CASES = {
    "mlp": [
        (pt.MLP((4,) * len(SIGMAS), tuple(SIGMAS), residual=True), (4,), (2,)),
        (pt.MLP((4, 4), norm="batch", output_noise=0.1), (8, 2), (8, 2)),
    ],
    "linear": [(pt.Linear(), (4,), (2,)), (pt.Linear(taps=3), (8, 2), (8, 2))],
    "rbf": [(pt.RBFNetwork(5), (4,), (2,))],
    "rnn": [(pt.RNN((3,), activation="softsign", dropout=0.1), (8, 2), (1,))],
    "gru": [(pt.GRU((3,), bidirectional=True), (8, 2), (8, 2))],
    "lstm": [(pt.LSTM((3,), bidirectional=True), (8, 2), (2,))],
    "narx": [
        (pt.NARX((4,), input_lags=3, output_lags=2), (8, 3), (8, 1)),
        (pt.NARX((), at_rest=True), (8, 1), (8, 2)),
        (pt.NARX((4,), input_lags=1, output_lags=1, increment=True, loop="open"), (8, 3), (8, 1)),
    ],
    "arx_residual": [(pt.ARXResidual(pt.GRU((3,)), lags=2), (8, 2), (8, 2))],
    "state_space": [(pt.StateSpace(3, (4, 4), (5,), lead=3), (8, 3), (8, 1))],
    "cnn": [
        (
            pt.CNN((4, 6), (3, (5, 3)), (1, 2), ("same", "same_upper"), pool=(2, 1), hidden=(3,), groups=(2, 1)),
            (8, 7, 2),
            (2,),
        ),
        (pt.CNN((3,), pooling="average", head="global", hidden=(), activation="gelu", dropout=0.1), (8, 7, 2), (2,)),
        (pt.CNN((4, 4), dilation=(1, 2), padding="causal", hidden=(3,)), (8, 2), (8, 2)),
        (pt.CNN((4,), stride=2, head="global", pooling="max", hidden=()), (8, 2), (1,)),
    ],
    "chain": [
        (
            pt.Chain(
                (
                    pt.EmbeddingLayer(4, 3, columns=(0, 2)), pt.DenseLayer(8, "relu"), pt.NormLayer(),
                    pt.Residual((pt.DenseLayer(8), pt.DropoutLayer(0.2))), pt.ReshapeLayer((4, 2)), pt.PReLULayer(),
                    pt.RNNLayer(3), pt.GRULayer(2, "before"), pt.NormLayer("batch"), pt.LSTMLayer(2),
                    pt.NoiseLayer(0.1), pt.Flatten(), pt.PReLULayer(shared=True),
                ),
                0.1,
            ),
            (4,),
            (2,),
        ),
        (
            pt.Chain(
                (
                    pt.ConvolutionLayer(3, pool=2), pt.TransposedConvolutionLayer(2, 3, 2), pt.UpsamplingLayer(2),
                    pt.PoolLayer(3, 2, "same", "average"), pt.PoolLayer(2, 1, pooling="average", zeros=True),
                    pt.PoolLayer((2, 1), padding=0), pt.UpsamplingLayer(output=5),
                    pt.TransposedConvolutionLayer(2, (3, 2), (3, 2), padding=1, dilation=(1, 2), output=(14, 12)),
                    pt.GlobalPool(),
                )
            ),
            (8, 7, 2),
            (2,),
        ),
    ],
    "windowed": [
        (pt.Windowed(pt.Linear(), 6, "mean", "spread", 2, False, (1,), (1, 2), nonnegative=(0,)), (8, 2), (2,)),
        (pt.Windowed(pt.Linear(), None, "difference", "season", 2, False, (0, 1), (1, 3)), (8, 2), (4,)),
        (pt.Windowed(pt.Linear(), None, "season", "level", 2, True, (0,), (1, 2)), (8, 2), (2,)),
        (pt.Windowed(pt.Linear(), 5, "difference", "spread", 2, False, (1,), (1, 10), (2, 3), (4, 5)), (8, 6), (2,)),
        (pt.Windowed(pt.GRU((3,)), 3, "mean", "spread", 1, False, (0,), (1, 5), (1,), (2,)), (8, 3), (2,)),
    ],
    "naive": [(pt.Windowed(pt.Naive(2, True, (1, 3)), None, "last", "level", 2, False, (0,), (1, 3)), (8, 2), (2,))],
    "trend": [
        (pt.Windowed(pt.TrendSeason(2, 1e-4, (1, 3)), None, "mean", "spread", 2, False, (0, 1), (1, 3)), (8, 3), (4,))
    ],
    "smoothing": [
        (pt.Windowed(pt.Smoothing(2, False, (1, 3)), None, "last", "spread", 2, False, (0, 1), (1, 3)), (9, 3), (4,)),
        (pt.Windowed(pt.Smoothing(1, True, (1, 3)), None, "last", "none", 1, True, (0,), (1, 3)), (8, 2), (2,)),
    ],
    "nbeats": [
        (pt.NBEATS(2, 5, 2, pool=(3, 1)), (8, 2), (4,)),
        (
            pt.Windowed(pt.NBEATS(1, 4, 1, "tanh", (), True, 2, (1, 3)), None, "last", "level", 2, False, (0,), (1, 3)),
            (8, 2),
            (2,),
        ),
    ],
    "tabular": [
        (pt.TabularMLP((5, 4), columns=(0, -1, 1, 1, 1, 0), one_hot=2, categories=2, predictions=3), (6,), (2,)),
        (pt.TabularMLP((5,), inputs="quantiles", numbers="piecewise", parametric=False, clip=0.0), (4,), (1,)),
    ],
    "kernel": [
        (pt.KernelRidge(4, columns=(0, -1, 1, 1, 0)), (5,), (2,)),
        (pt.KernelRidge(4, "exponential", "standard", columns=(0, -1)), (2,), (1,)),
        (pt.KernelRidge(3, "gaussian"), (3,), (1,)),
    ],
    "thresholds": [
        (pt.ThresholdNetwork(3, columns=(0, -1, 1, 1, 0)), (5,), (2,)),
        (pt.ThresholdNetwork(4), (2,), (1,)),
    ],
    "autoencoder": [],  # in test_onnx.py
    "pca": [],
}  # fmt: skip
EVERY = [(name, k, case) for name, cases in CASES.items() for k, case in enumerate(cases)]


def inputs(network, shape):
    x = np.random.default_rng(1).normal(size=(5, *shape))
    x[..., list(network.unscaled)] = np.round(3 * x[..., list(network.unscaled)])
    return np.exp(x) if network.windows is not None and network.windows.log else x


def agree(model, feeds, want, evaluate=True, lengths=False):
    proto = predictor(model, lengths=lengths).proto("a model")
    assert [(one.domain, one.version) for one in proto.opset_import] == [("", OPSET)]
    assert (OPSET, proto.ir_version) == (18, IR) == (18, 9)
    kind = np.float32 if proto.graph.input[0].type.tensor_type.elem_type == 1 else np.float64
    feeds = feeds | {"x": feeds["x"].astype(kind)}
    most = 1e-10 if model.precision == "double" else 1e-5
    given = [run_graph(proto, feeds)["prediction"]]
    given += [ReferenceEvaluator(proto).run(["prediction"], feeds)[0]] if evaluate else []
    for got in given:
        got = got.reshape(want.shape)
        assert np.max(np.abs(got - want)) <= most * max(1, np.max(np.abs(want)))
    return proto


@pytest.mark.parametrize(("name", "k", "case"), EVERY, ids=[f"{name}-{k}" for name, k, _ in EVERY])
def test_network(make_model, monkeypatch, name, k, case):
    # Kernels rely on what training leaves, edges in order and flags of 0 and 1; random weights are others.
    monkeypatch.setattr(ByKernel, "of_model", lambda model: None)
    network, shape, outputs = case
    x = inputs(network, shape)
    if k == 0:
        model = make_model(network, shape, outputs, precision="double")
        agree(model, {"x": x}, model.mean(x))
    if k or name == "cnn":  # in single precision convolutions are nodes of the runtime
        model = make_model(network, shape, outputs, members=1 + (k != 1))
        agree(model, {"x": x}, model.mean(x.astype(np.float32) if len(shape) == 3 else x), False)


def test_every_network_and_layer_has_a_case():
    assert not catalog.NETWORKS.keys() - CASES.keys(), "add the network to CASES, and its modules to CONVERSIONS"
    chained = [layer for network, _, _ in CASES["chain"] for layer in network.layers]
    chained += [layer for outer in chained if isinstance(outer, pt.Residual) for layer in outer.layers]
    lacking = {catalog.LAYERS.entry(name).name for name in catalog.LAYERS} - {type(layer).__name__ for layer in chained}
    assert not lacking, "add the layer to a chain of CASES, and its module to CONVERSIONS"
    assert not catalog.ACTIVATIONS.keys() - FORMULAS.keys(), "add the activation to FORMULAS"
    for table in (catalog.CONVERSIONS, catalog.LINK_CONVERSIONS):
        for conversion in table.values():
            assert callable(conversion)


@pytest.mark.parametrize("name", ["gru-0", "cnn-3"])
def test_padding_counts_for_nothing(make_model, name):
    network, shape, outputs = CASES[name[:-2]][int(name[-1])]
    model, x, lengths = make_model(network, shape, outputs), inputs(network, shape), np.array([8, 1, 2, 7, 5])
    x[np.arange(8) >= lengths[:, None]] = 0
    agree(model, {"x": x, "lengths": lengths}, model.mean(x, lengths), lengths=True)


def test_any_number_of_steps(make_model):
    """Where no weight is tied to it, as in `Model.predict`."""
    network, shape, outputs = CASES["cnn"][2]
    model = make_model(network, shape, outputs)
    x = np.concatenate([inputs(network, shape)] * 2, axis=1)
    agree(model, {"x": x}, model.mean(x))


def test_own_modules_are_refused(make_model):
    import equinox as eqx

    mine = pt.Custom(lambda inputs, outputs, key: eqx.nn.Linear(inputs, outputs, key=key), name="mine")
    model = make_model(mine, (4,), (2,))
    with pytest.raises(InputError, match=r"Custom mine is a network of your own.*from the layers of Chain"):
        predictor(model)
