"""Every kind of program as it would be compiled for a GPU: traced and lowered for CUDA, which needs none.

Kernels are for CPUs alone, and so are blocks of convolution; networks take XLA's own paths then (`backend.native`).
"""

from functools import partial

import jax
import numpy as np
import pytest

import perceptory as pt
from perceptory import backend, read_arrays, read_series, read_table
from perceptory.kernels import build
from perceptory.layers.arrays import arrays_of
from perceptory.networks.base import hollow
from perceptory.studies.prepare import prepare
from perceptory.training import population, run
from perceptory.training.weights import with_weights

random = np.random.default_rng(0)
X = random.normal(size=(30, 3))
T = np.arange(60)


def table():
    return read_table(X, target=X[:, 0] * X[:, 1])


def classes():
    return read_table(X, target=np.where(X[:, 0] > 0, "a", "b"))


def series(**how):
    return read_series({"u": np.sin(T), "y": np.cos(T)}, "y", window=8, stride=4, **how)


def images():
    return read_arrays(random.normal(size=(24, 6, 6, 1)).astype(np.float32), np.arange(24) % 3)


def every_step():
    return series(predict="every step")


def with_lead():
    return series(predict="every step", known=5, washout=5)


def system():
    return series(predict="every step", known="all")


# Each with what else differs in its program.
EXTRAS = {
    "cost": pt.GaussianLikelihood(), "clip": pt.ClipByNorm(1.0), "average": pt.WeightAverage(),
    "augmentation": pt.TableAugmentation(0.1), "penalty": pt.WeightPenalty(1e-3), "optimizer": pt.RMSProp(),
}  # fmt: skip
KINDS = {
    "mlp": (table, {"networks": pt.MLP((3,))}),
    "everything": (table, {"networks": pt.MLP((4, 3), dropout=0.1, norm="batch", weight_noise=0.01), **EXTRAS}),
    "wide": (classes, {"networks": pt.MLP((400, 400), norm="layer", residual=True)}),
    "rbf": (table, {"networks": pt.RBFNetwork(3)}),
    "rnn": (every_step, {"networks": pt.RNN((3,))}),
    "gru": (every_step, {"networks": pt.GRU((3,))}),
    "lstm": (every_step, {"networks": pt.LSTM((3,))}),
    "cnn": (images, {"networks": pt.CNN((3,), hidden=(4,))}),
    "narx": (system, {"networks": pt.NARX((3,))}),
    "state space": (with_lead, {"networks": pt.StateSpace(2, (3,))}),
    "lm": (table, {"networks": pt.MLP((3,)), "optimizer": pt.LevenbergMarquardt()}),
    "bayesian": (table, {"networks": pt.MLP((3,)), "optimizer": pt.BayesianRegularization()}),
    "lbfgs": (system, {"networks": pt.NARX((3,)), "optimizer": pt.LBFGS()}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_lowers_for_cuda(kind, monkeypatch):
    monkeypatch.setattr(backend, "native", lambda: True)
    monkeypatch.setattr(build, "loads", lambda *kernel: False)
    data, asked = KINDS[kind]
    study = pt.Study(**{"epochs": 2, "batch_size": 8, "validation": pt.KFold(2), "test": 0, **asked})
    prepared = prepare(study, data())
    (group,) = prepared.groups
    with backend.precision(prepared.study.arithmetic):
        members = jax.tree.map(lambda a: np.resize(a, (group.plan.chunk, *a.shape[1:])), group.members)
        state = population.empty_state(group.plan, members, prepared.raw)
        assert state == jax.eval_shape(partial(started, plan=group.plan), members, prepared.raw)
        check_module(group.plan, jax.numpy.asarray(members.numbers[0]))
        traced = population.program.__wrapped__(group.plan).trace(
            members, state, np.ones(group.plan.chunk, bool), np.ones(group.plan.chunk, np.int32), prepared.raw
        )
        lowered = traced.lower(lowering_platforms=("cuda",))
    assert "ffi_call" not in str(traced.jaxpr)  # no kernel is called
    assert len(jax.tree.leaves(lowered.out_info)) == len(jax.tree.leaves(state)) + 2


def started(members, data, plan):
    """The states of members that begin, found the long way: from their rows and from weights that are drawn."""
    runs, axes = population._runs(members, data, plan)
    return jax.vmap(population.start, in_axes=(axes,))(runs)


def check_module(plan, numbers):
    """A module whose weights are known is the one that is built with others and gets these, but for drawing them."""
    specs, trees = run.Specs(plan, numbers), []

    def arrays(module):
        trees.append(jax.tree.structure(module))
        return arrays_of(module)

    weights = jax.eval_shape(lambda: specs.weights_of(specs.build()))
    short = jax.eval_shape(lambda weights: arrays(specs.module(weights)), weights)
    assert short == jax.eval_shape(lambda weights: arrays(with_weights(specs.build(), weights, plan)), weights)
    assert trees[0] == trees[1]
    assert plan.network != pt.MLP((3,)) or hollow(plan.network, plan.inputs, plan.outputs) is not None
