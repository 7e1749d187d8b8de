"""Figures as they are tested: drawn, and read by the names of what is on them."""

import io

import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory.data.examples import encoder_for
from perceptory.networks.base import layout


def lines(figure, gid):
    """Every drawn line of this name."""
    return [line for ax in figure.axes for line in ax.lines if line.get_gid() == gid]


def texts(figure, gid=None):
    """Every word on the axes (of this name only)."""
    found = [t for ax in figure.axes for t in ax.texts]
    if gid is not None:
        return [t.get_text() for t in found if t.get_gid() == gid]
    out = [t.get_text() for t in found]
    for ax in figure.axes:
        out += [ax.get_xlabel(), ax.get_ylabel(), ax.get_title(), ax.get_title(loc="left")]
        legend = ax.get_legend()
        out += [t.get_text() for t in legend.get_texts()] if legend else []
    return [*out, figure.get_supxlabel()]


def drawn(figure):
    """It can be written, and in the size that it says."""
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


@pytest.fixture(scope="session")
def read():
    return type("Read", (), {"lines": staticmethod(lines), "texts": staticmethod(texts), "drawn": staticmethod(drawn)})


@pytest.fixture(scope="session")
def small_table():
    """240 rows of a, b, c with y = sin(a) + b c / 2."""
    random = np.random.default_rng(0)
    x = random.normal(size=(240, 3))
    y = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] / 2
    return pt.read_table(pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}), target="y")


@pytest.fixture(scope="session")
def small_result(small_table):
    """Two candidates of one shape on two folds, 48 rows sealed."""
    study = pt.Study(pt.MLP((3,)), optimizer=pt.Adam(pt.choice(1e-2, 1e-3)), epochs=3, validation=pt.KFold(2), test=0.2)
    return study.run(small_table)


@pytest.fixture(scope="session")
def classified():
    """Numbers and a category, three classes; and a model of one network."""
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 120))
    town = random.choice(["x", "y"], 120)
    kind = np.where(a + b > 0.6, "up", np.where(a + b < -0.6, "down", "mid"))
    frame = pl.DataFrame({"a": a, "b": b, "c": 0.01 * a, "town": town, "kind": kind})
    data = pt.read_table(frame, target="kind")
    return data, pt.Study(pt.MLP((4,)), epochs=40, validation=pt.HoldOut(0.3), test=0).run(data).model


def untrained(data, network, members=2):
    """A model of networks with some weights or other: what is shown of it needs no training."""
    encoder = encoder_for(data)
    random = np.random.default_rng(0)
    k, inputs, size = members, encoder.shape[-1], layout(network, encoder.shape, (1,)).size
    return pt.Model(
        task="regression", targets=data.target_names, classes=None, encoder=encoder, network=network,
        cost=pt.SquaredError(), outputs=(1,), weights=random.normal(size=(k, size)),
        in_center=random.normal(size=(k, inputs)), in_factor=random.uniform(0.5, 2, (k, inputs)),
        out_center=random.normal(size=(k, 1)), out_scale=random.uniform(1, 3, (k, 1)),
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_model():
    return untrained
