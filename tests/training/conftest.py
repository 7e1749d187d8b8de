"""Small studies taken apart: their groups of members, trained one by one or together."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import backend
from perceptory.data import read_table
from perceptory.layers.arrays import unpack
from perceptory.objectives.table import mean_cost
from perceptory.studies import split
from perceptory.studies.prepare import prepare as prepare_study
from perceptory.training.driver import train_group
from perceptory.training.epoch import start
from perceptory.training.run import Run


@dataclass
class Taken:
    """A study on the eve of training. `train` gives the outcomes by place in the group."""

    study: Any
    table: Any
    folds: Any
    scalings: Any
    candidates: Any
    raw: Any
    groups: Any
    starts: dict = dataclasses.field(default_factory=dict)

    def train(self, waiting=None, group=0, members=None):
        outcomes = {}
        g = self.groups[group]
        with backend.precision(self.study.arithmetic):
            train_group(g.plan, members or g.members, self.raw, waiting=waiting, finished=outcomes.update)
        return outcomes

    def starting(self, place=0, group=0):
        """A member's starting weights."""
        g = self.groups[group]
        if group not in self.starts:
            with backend.precision(self.study.arithmetic):

                def first(member):
                    data = jnp.asarray(self.raw)
                    return start(Run.of(member, data, g.plan)).weights[0]

                self.starts[group] = np.asarray(jax.jit(jax.vmap(first))(g.members))
        return self.starts[group][place]

    def scaled(self, fold):
        """The fold's rows as its members see them, in float64: (x, t, w) of training, (x, t, w) of validation."""
        s = self.scalings[fold]
        x = np.nan_to_num((self.table.inputs - s.in_center) * s.in_factor)
        t = (self.table.targets - s.out_center) / s.out_scale
        return [(x[rows], t[rows], self.table.weights[rows]) for rows in self.folds[fold]]

    def cost_of(self, who, weights, validation=True):
        """The cost of a member with these weights on its fold's rows, computed apart from the program."""
        candidate, fold, _ = who
        spec = self.candidates[candidate]
        x, t, w = self.scaled(fold)[int(validation)]
        with jax.enable_x64(True):
            net = spec.network.build(x.shape[1:], t.shape[1:], key=jax.random.key(0))
            net = unpack(net, np.asarray(weights, float))
            return float(mean_cost(spec.cost, net(x), t, w))


def take_apart(study, dataset, on_all_rows=False) -> Taken:
    """on_all_rows: one fold without validation rows, as for a refit; the weights are then those of the last epoch."""
    changes = {"splitting": split.on_all_rows, "epochs": study.epochs} if on_all_rows else {}
    ready = prepare_study(study.replace(test=0), dataset, **changes)
    return Taken(study, ready.encoded, ready.folds, ready.scalings, ready.candidates, ready.raw, ready.groups)


@pytest.fixture(scope="session")
def apart():
    return take_apart


@pytest.fixture(scope="session")
def sums():
    """A regression table of three inputs; `rows` of it."""

    def make(rows=40, seed=0, noise=0.3, **changes):
        random = np.random.default_rng(seed)
        x = random.normal(size=(rows, 3)) * [1.0, 20.0, 0.01] + [5.0, -300.0, 0.0]
        y = np.sin(x[:, 0]) + 0.05 * x[:, 1] + 40 * x[:, 2] + noise * random.normal(size=rows)
        return read_table(x, 100 + 10 * y, **changes)

    return make


class Compilations:
    """Counts what XLA compiles while it listens."""

    def __init__(self):
        self.count = 0

    def __call__(self, event, *_, **__):
        self.count += event == "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compilations():
    @contextlib.contextmanager
    def listen():
        counter = Compilations()
        jax.monitoring.register_event_duration_secs_listener(counter)
        try:
            yield counter
        finally:
            jax.monitoring.unregister_event_duration_listener(counter)

    return listen
