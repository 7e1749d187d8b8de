"""What options become: the grammar of specs, and a study whose other parts are the preset's."""

from __future__ import annotations

import numpy as np
import pytest

from perceptory.app import grammar
from perceptory.app.cli import app
from perceptory.app.options import StudyOptions, read_options
from perceptory.augmentation.images import ImageAugmentation
from perceptory.augmentation.series import SeriesAugmentation
from perceptory.augmentation.tables import TableAugmentation, TargetNoise
from perceptory.catalog import NETWORKS, VALIDATION_PLANS
from perceptory.data import load_bundled
from perceptory.errors import InputError
from perceptory.networks.arx_residual import ARXResidual
from perceptory.networks.chain import Chain
from perceptory.networks.chain_layers import GRULayer
from perceptory.networks.chain_places import PoolLayer, TransposedConvolutionLayer
from perceptory.networks.chain_units import DenseLayer, DropoutLayer, NormLayer, ReshapeLayer
from perceptory.networks.cnn import CNN
from perceptory.networks.linear import Linear
from perceptory.networks.mlp import MLP
from perceptory.networks.narx import NARX
from perceptory.networks.nbeats import NBEATS
from perceptory.networks.rbf import RBFNetwork
from perceptory.networks.recurrent import GRU, LSTM, RNN
from perceptory.networks.tabular import TabularMLP
from perceptory.networks.windowed import Windowed
from perceptory.objectives.auxiliary import Auxiliary, NextStep
from perceptory.objectives.penalties import WeightPenalty
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.objectives.table import COSTS, Huber, Quantile, SoftmaxCrossEntropy
from perceptory.optimizers.averaging import WeightAverage
from perceptory.optimizers.clipping import ClipByNorm, ClipByValue
from perceptory.optimizers.first_order import SGD, Adam, AdamW, Momentum
from perceptory.optimizers.schedules import Cosine, CosineCycles, Exponential, WarmUp
from perceptory.selection.nested import Nested
from perceptory.selection.plans import HoldOut, KFold, Repeated, RollingOrigin, StratifiedKFold
from perceptory.selection.search import choice, integers, log_uniform, uniform
from perceptory.studies import defaults
from perceptory.studies.usual import default_study


@pytest.fixture(scope="module")
def diabetes():
    return load_bundled("diabetes")


def asked(text: str = "") -> StudyOptions:
    import typer

    command = typer.main.get_command(app).commands["fit"]  # type: ignore[attr-defined]
    return read_options(command.make_context("fit", ["data.csv", *text.split()]).params)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("mlp", MLP()),
        ("MLP:64,64", MLP((64, 64))),
        ("mlp:32:relu", MLP((32,), "relu")),
        ("mlp:64,64:tanh:dropout=0.1", MLP((64, 64), "tanh", 0.1)),
        ("mlp:8:activation=elu:0.2:initializer=he", MLP((8,), "elu", 0.2, "he")),
        ("mlp:none", MLP(())),
        ("linear", Linear()),
        ("linear:0.01", Linear(0.01)),
        ("linear:taps=8", Linear(taps=8)),
        ("mlp:16/32,32:tanh/relu", MLP(choice((16,), (32, 32)), choice("tanh", "relu"))),
        ("mlp:8..64,8:relu:0..0.5", MLP((integers(8, 64), 8), "relu", uniform(0.0, 0.5))),
        ("mlp:8,4:tanh,relu:norm=batch", MLP((8, 4), ("tanh", "relu"), norm="batch")),
        ("rnn:8:relu", RNN((8,), "relu")),
        ("gru:32,16:yes:0.1", GRU((32, 16), True, 0.1)),
        ("lstm:8/16:truncation=20", LSTM(choice((8,), (16,)), truncation=20)),
        ("narx:none:input-lags=3", NARX((), input_lags=3)),
        (
            "windowed:nbeats:level=last:scale=spread:log=true",
            Windowed(NBEATS(), level="last", scale="spread", log=True),
        ),
        ("arx-residual:lstm,16:4", ARXResidual(LSTM((16,)), 4)),
        ("narx:16:open-share=0/0.5", NARX((16,), open_share=choice(0.0, 0.5))),
        ("rbf:10/30:width=1..4", RBFNetwork(choice(10, 30), width=uniform(1.0, 4.0))),
        ("cnn:8,16:5:hidden=none", CNN((8, 16), 5, hidden=())),
        ("cnn:8,16:5,3:padding=same,valid:pool=2,1", CNN((8, 16), (5, 3), padding=("same", "valid"), pool=(2, 1))),
        ("cnn:8,16:3x5,3:padding=1", CNN((8, 16), ((3, 5), 3), padding=1)),
        ("cnn:8:padding=causal:pool=none:head=global", CNN((8,), padding="causal", head="global")),
        (
            "chain:dense,64,relu+norm,batch+dropout,0.1..0.5",
            Chain((DenseLayer(64, "relu"), NormLayer("batch"), DropoutLayer(uniform(0.1, 0.5)))),
        ),
        ("chain:dense,8/gru,4+dense,8", Chain(choice((DenseLayer(8),), (GRULayer(4), DenseLayer(8))))),
        ("chain:none:0.1", Chain((), 0.1)),
        (
            "chain:pool,2x1,padding=same+reshape,4x2x2+transposed,3,4x2",
            Chain((PoolLayer((2, 1), padding="same"), ReshapeLayer((4, 2, 2)), TransposedConvolutionLayer(3, (4, 2)))),
        ),
    ],
)
def test_network_grammar(text, spec):
    assert grammar.spec(text, NETWORKS)[0] == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chain", r"'chain': chain needs its layers\. It is written chain:LAYERS:WEIGHT_NOISE"),
        ("chain:dense", r"dense needs its width\. It is written dense:WIDTH"),
        ("chain:dense,0", "width needs a whole number of at least 1"),
        ("chain:dens,3", r"unknown layer 'dens'\. Did you mean 'dense'\?"),
        ("chain:dense,3,relu,he,9", "one part too many"),
        ("chain:residual", "residual needs its layers"),
    ],
)
def test_chains_that_cannot_be(text, message):
    with pytest.raises(InputError, match=message):
        grammar.spec(text, NETWORKS)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("kfold", KFold()),
        ("kfold:5:shuffle=no", KFold(5, False)),
        ("holdout:0.3:stratify=true", HoldOut(0.3, True)),
        ("rolling:4:gap=2:window=50", RollingOrigin(4, 2, 50)),
    ],
)
def test_validation_grammar(text, spec):
    assert grammar.spec(text, VALIDATION_PLANS)[0] == spec


def test_nothing_said_is_the_preset(diabetes):
    assert asked().study(diabetes) == default_study(diabetes)
    assert asked("--quick").study(diabetes) == default_study(diabetes, "quick")
    assert asked("--thorough").study(diabetes) == default_study(diabetes, "thorough")


def test_networks_replace_the_networks_only(diabetes):
    study = asked("--network mlp:8 --network mlp:16:relu --activation elu").study(diabetes)
    assert study.networks == (MLP((8,), "elu"), MLP((16,), "relu"))
    assert study.optimizer == Adam(Cosine(choice(3e-3, 1e-2)))
    assert asked("--network tabular:8").study(diabetes).optimizer == default_study(diabetes).optimizer


def test_activation_and_dropout_of_the_preset(diabetes):
    study = asked("--activation sigmoid --dropout 0.1 --dropout 0.2").study(diabetes)
    usual = default_study(diabetes).networks
    networks = [n for n in study.networks if isinstance(n, TabularMLP)]
    assert [n for n in study.networks if n not in networks] == [n for n in usual if not isinstance(n, TabularMLP)]
    assert [n.hidden for n in networks] == [n.hidden for n in usual if isinstance(n, TabularMLP)]
    assert {(n.activation, n.dropout) for n in networks} == {("sigmoid", choice(0.1, 0.2))}


@pytest.mark.parametrize(
    ("text", "optimizer"),
    [
        ("--learning-rate 0.1", Adam(Cosine(0.1))),
        ("--learning-rate 1e-4..1e-1", Adam(Cosine(log_uniform(1e-4, 1e-1)))),
        ("--learning-rate 0.1 --learning-rate 0.2/0.3", Adam(Cosine(choice(0.1, 0.2, 0.3)))),
        ("--learning-rate 0.1 --schedule constant", Adam(0.1)),
        ("--learning-rate 0.1 --schedule exponential:end=0.5", Adam(Exponential(0.1, 0.5))),
        ("--learning-rate 0.1 --schedule warmup:share=0.3", Adam(WarmUp(0.1, 0.3))),
        ("--optimizer sgd", SGD(Cosine(1e-2))),
        ("--optimizer sgd --schedule constant", SGD(1e-2)),
        ("--optimizer nesterov:momentum=0.5 --learning-rate 0.2", Momentum(Cosine(0.2), 0.5, True)),
        ("--optimizer sgd:0.3 --schedule constant", SGD(0.3)),
        ("--optimizer sgd --optimizer adamw --learning-rate 0.1", choice(SGD(Cosine(0.1)), AdamW(Cosine(0.1)))),
    ],
)
def test_optimizers(diabetes, text, optimizer):
    assert asked("--network mlp:8 " + text).study(diabetes).optimizer == optimizer


def test_the_presets_optimizer_keeps_its_rates(diabetes):
    preset = default_study(diabetes).optimizer
    assert asked("--schedule constant").study(diabetes).optimizer == preset.replace(
        learning_rate=preset.learning_rate.top
    )
    assert asked("--learning-rate 0.1").study(diabetes).optimizer.learning_rate == CosineCycles(0.1)
    rates = choice(3e-3, 1e-2)
    assert asked("--network mlp:8 --optimizer adam").study(diabetes).optimizer == Adam(Cosine(rates))
    assert asked("--network mlp:8 --schedule constant").study(diabetes).optimizer == Adam(rates)


@pytest.mark.parametrize(
    ("text", "penalty"),
    [
        ("", None),
        ("--penalty 0", None),
        ("--penalty 1e-3 --penalty-p 1", WeightPenalty(1e-3, 1.0)),
        ("--penalty 0 --penalty 1e-3", WeightPenalty(choice(0.0, 1e-3))),
        ("--penalty 1e-3 --penalty-mix 0.2..0.8", WeightPenalty(1e-3, mix=uniform(0.2, 0.8))),
        ("--penalty-mix 0.5", WeightPenalty(mix=0.5)),
        ("--penalty 0 --penalty-layer layers.0=1e-2", WeightPenalty(0.0, layers={"layers.0": 1e-2})),
        (
            "--penalty-layer layers.0=0.1/1 --penalty-layer layers.1=1e-4..1e-2",
            WeightPenalty(layers={"layers.0": choice(0.1, 1.0), "layers.1": log_uniform(1e-4, 1e-2)}),
        ),
        ("--penalty 1e-6..1e-2", WeightPenalty(log_uniform(1e-6, 1e-2))),
        ("--penalty weights:1e-3:1 --penalty weights:0.1", choice(WeightPenalty(1e-3, 1.0), WeightPenalty(0.1))),
    ],
)
def test_penalties(diabetes, text, penalty):
    assert asked(text).study(diabetes).penalty == penalty


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("--clip-norm 1.5", {"clip": ClipByNorm(1.5)}),
        ("--clip-norm 0.1..10 --clip-value 2", {"clip": choice(ClipByNorm(log_uniform(0.1, 10.0)), ClipByValue(2.0))}),
        ("--average 0.5/1", {"average": WeightAverage(choice(0.5, 1.0))}),
        ("--average 0.5..0.9", {"average": WeightAverage(uniform(0.5, 0.9))}),
        ("--augment table:0.2", {"augmentation": TableAugmentation(0.2)}),
        (
            "--augment none --augment image:shift=2:rotate=5/10:flip=0.5",
            {"augmentation": choice(None, ImageAugmentation(2.0, choice(5.0, 10.0), flip=0.5))},
        ),
        (
            "--augment series:jitter=1e-2..1e+1:crop=0.1+target:noise=1e-1",
            {"augmentation": (SeriesAugmentation(uniform(0.01, 10.0), crop=0.1), TargetNoise(0.1))},
        ),
        (
            "--auxiliary age:0/0.1:0.5 --auxiliary reconstruction:1e-3..1 --auxiliary next_step --auxiliary a:1b:2",
            {
                "auxiliary": [
                    Auxiliary("age", weight=choice(0.0, 0.1), fade=0.5),
                    Auxiliary(Reconstruction(), weight=log_uniform(1e-3, 1.0)),
                    Auxiliary(NextStep()),
                    Auxiliary("a:1b", weight=2.0),
                ]
            },
        ),
        ("--auxiliary age --keep-heads", {"auxiliary": [Auxiliary("age")], "keep_heads": True}),
    ],
)
def test_clipping_averages_and_augmentation(diabetes, text, changes):
    assert asked(text).study(diabetes) == default_study(diabetes, **changes)


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("", None),
        ("--folds 4", KFold(4)),
        ("--validation rolling:gap=3 --folds 4", RollingOrigin(4, 3)),
        ("--validation holdout:0.1 --repeats 3", Repeated(HoldOut(0.1), 3)),
        ("--repeats 2", Repeated(KFold(10), 2)),
    ],
)
def test_plans(diabetes, text, plan):
    assert asked(text).study(diabetes).validation == plan


def test_nested_validation(diabetes):
    assert asked("--nested 3 --folds 4").study(diabetes).validation == Nested(KFold(3), KFold(4))
    assert asked("--nested holdout:0.3").study(diabetes).validation == Nested(HoldOut(0.3))
    assert asked("--nested 3").study(load_bundled("iris")).validation == Nested(StratifiedKFold(3))


def test_folds_are_stratified_for_classes():
    assert asked("--folds 4").study(load_bundled("iris")).validation == StratifiedKFold(4)


def test_plain_fields(diabetes):
    study = asked(
        "--seeds 2 --epochs 7 --patience 0 --batch-size 16 --batch-size 32 --samples 3 --sampling replacement"
        " --score r2 --rule one-standard-error --final refit --precision double --memory 0.5"
        " --seed 9 --test 0.3 --cost absolute"
    ).study(diabetes)
    fields = ("seeds", "epochs", "patience", "samples", "sampling", "score", "rule", "final", "precision", "memory")
    assert [getattr(study, f) for f in fields] == [
        2, 7, 0, 3, "replacement", "r2", "one_standard_error", "refit", "double", 0.5,
    ]  # fmt: skip
    assert (study.batch_size, study.seed, study.test, study.cost) == (choice(16, 32), 9, 0.3, COSTS["absolute"]())


def test_costs(diabetes):
    assert asked("--cost quantile:0.1,0.5,0.9").study(diabetes).cost == Quantile((0.1, 0.5, 0.9))
    assert asked("--cost huber:0.5/2").study(diabetes).cost == Huber(choice(0.5, 2.0))
    iris = load_bundled("iris")
    assert asked("--class-weight balanced").study(iris).cost == SoftmaxCrossEntropy("balanced")
    assert asked("--cost softmax --class-weight 1,2.5,4").study(iris).cost == SoftmaxCrossEntropy((1.0, 2.5, 4.0))


@pytest.mark.parametrize("effort", ["quick", "normal", "thorough"])
def test_the_defaults_that_help_tells_are_those_of_every_preset(diabetes, effort):
    study = default_study(diabetes, effort)
    told = {name: value for name, value in vars(defaults).items() if name.isupper()}
    assert {name: getattr(study, name.lower()) for name in told} == told | {"FINAL": "weighted"}
    assert default_study(diabetes, effort, networks=[MLP((3,))]).final == told["FINAL"]


def test_ends_show_whether_a_value_fits():
    assert grammar.ends(choice(1, 2)) == [1, 2]
    assert grammar.ends(uniform(0.0, 0.5)) == [0.0, 0.5]
    assert grammar.ends((integers(2, 9), 4)) == [(2, 4), (9, 4)]
    assert grammar.ends(np.float64(3.0)) == [3.0]
