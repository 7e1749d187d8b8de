"""The studies that suit tables, series, images and arrays: their candidates, plans and budgets."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from itertools import pairwise

import equinox as eqx
import jax
import numpy as np
import pytest

from perceptory.data import load_bundled, read_arrays, read_series, read_table
from perceptory.data.tables.column_plan import ColumnPlan
from perceptory.networks.base import layout
from perceptory.networks.cnn import CNN
from perceptory.networks.kernel_ridge import KernelRidge
from perceptory.networks.linear import Linear
from perceptory.networks.mlp import MLP
from perceptory.networks.narx import NARX
from perceptory.networks.recurrent import GRU
from perceptory.networks.tabular import TabularMLP
from perceptory.networks.thresholds import ThresholdNetwork
from perceptory.objectives.table import DEFAULT_COST
from perceptory.selection.plans import BlockedKFold, HoldOut, KFold, RollingOrigin, StratifiedKFold
from perceptory.studies.forecasts import series_facts
from perceptory.studies.labels import candidate_label
from perceptory.studies.presets import EFFORTS, LEAST_EPOCHS
from perceptory.studies.presets_examples import SPEED, batch_size, default_validation, example_networks, seconds_of
from perceptory.studies.presets_tables import EFFORTS as TABLE_EFFORTS
from perceptory.studies.presets_tables import EPOCHS as TABLE_EPOCHS
from perceptory.studies.presets_tables import table_networks
from perceptory.studies.usual import TABLE_KERNELS, default_study

random = np.random.default_rng(0)


def images(n: int, *shape: int):
    return read_arrays(random.integers(0, 255, (n, *shape)).astype(np.uint8), np.arange(n) % 4, kind="image")


def table(rows: int = 400, series: int = 1) -> dict:
    return {
        "u": random.normal(size=rows),
        "y": random.normal(size=rows),
        "id": np.repeat(np.arange(series), rows // series),
    }


def system(**changes):
    return read_series(table(), "y", predict="every step", inputs="u", **{"window": 40, **changes})


def labeled(steps: tuple[int, ...]):
    ids = np.repeat(np.arange(len(steps)), steps)
    rows = {"u": random.normal(size=len(ids)), "v": random.normal(size=len(ids)), "id": ids, "y": ids % 2}
    return read_series(rows, "y", predict="one value", series="id", task="classification")


DATA = {
    "images": lambda: images(60, 8, 8),
    "one pixel high": lambda: images(60, 1, 9),
    "wide images": lambda: images(20, 40, 200, 3),
    "every step": system,
    "every step, short": lambda: system(window=3),
    "simulation": lambda: system(known="all"),
    "forecast": lambda: read_series(table(), "y", predict="ahead", inputs=["u"], window=12, horizon=[1, 2]),
    "forecast of one row": lambda: read_series(table(), "y", predict="ahead", inputs=["u"], window=1),
    "equal series": lambda: labeled((20,) * 30),
    "series of any length": lambda: labeled((2, 30, 7) * 10),
    "rows of numbers": lambda: read_arrays(random.normal(size=(50, 6)), random.normal(size=50)),
}


@pytest.mark.parametrize("kind", DATA)
def test_every_candidate_can_be_built(kind):
    data = DATA[kind]()
    outputs = (*data.targets.shape[1:-1], data.outputs)
    for effort in EFFORTS:
        networks = example_networks(data, effort)
        assert len(set(networks)) == len(networks)
        facts = series_facts(data)
        told = networks if facts is None else [network.for_series(facts) for network in networks]
        sizes = [layout(network, data.shape, outputs).size for network in told]
        assert sizes[0] == min(sizes) or kind != "every step"
        study = default_study(data, effort)
        assert LEAST_EPOCHS <= study.epochs <= 2000
        assert list(study.networks) == networks


def test_threshold_units_stay_within_their_work():
    """Of adult all thresholds; of a million rows or hundreds of categories none, which would hold gigabytes."""

    def found(rows, numbers, categories):
        columns = [ColumnPlan("a", "numeric", True)] * numbers
        columns += [ColumnPlan("b", "categorical", True, categories=tuple("uvwxyz"))] * categories
        networks = table_networks("classification", rows, columns, "normal", Linear())
        return [one.bins for one in networks if isinstance(one, ThresholdNetwork)]

    assert (found(800, 6, 8), found(8000, 6, 8), found(100_000, 6, 8)) == ([48], [128], [256])
    assert found(100_000, 20, 0) == [100]
    assert found(10_000_000, 11, 0) == found(8000, 6, 330) == found(500, 0, 3) == []


def test_kernels_of_all_rows_of_a_sample_or_none():
    def centers(task, rows, numbers=6):
        networks = table_networks(task, rows, [ColumnPlan("a", "numeric", True)] * numbers, "normal", Linear())
        return [one.centers for one in networks if isinstance(one, KernelRidge)]

    assert centers("regression", 800) == centers("binary", 800) == [800, 800]
    assert (centers("regression", 30_000), centers("binary", 30_000)) == ([6000], [])
    assert centers("regression", 30_000, 100) == []


def test_the_kernels_that_are_begun_are_those_that_the_networks_call():
    columns = [f"x{i}" for i in range(3)]
    for target in ("number", "class"):
        rows = {name: np.arange(60.0) ** k for k, name in enumerate(columns)}
        table = read_table({**rows, "y": np.arange(60.0) if target == "number" else np.arange(60) % 2}, "y")
        called = {kernel for network in default_study(table).networks for kernel in network.kernels}
        assert called == set(TABLE_KERNELS)
        quick = {kernel for network in default_study(table, "quick").networks for kernel in network.kernels}
        assert quick == set(TABLE_KERNELS) - {"kernel_ridge"}


def test_kernels_are_begun_before_jax_is_imported():
    """In a process of its own: the compiler works meanwhile."""
    code = (
        "import sys\nfrom perceptory.kernels import build\nfrom perceptory.studies.usual import begin_kernels\n"
        "begin_kernels()\nprint(sorted(name for name, _ in build._begun), 'jax' in sys.modules, flush=True)\n"
        "import os\nos._exit(0)"
    )
    environment = {**os.environ, "PERCEPTORY_KERNELS": "off"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"{sorted(TABLE_KERNELS)} False"


def test_efforts_grow():
    for make in DATA.values():
        counts = [len(example_networks(data, effort)) for data in [make()] for effort in EFFORTS]
        assert counts == sorted(counts)


@pytest.mark.parametrize(("kind", "steps"), [("every step", 33), ("series of any length", 25)])
def test_the_first_candidate_is_linear(kind, steps):
    """f(a + b) - f(0) is f(a) - f(0) + f(b) - f(0)."""
    data = DATA[kind]()
    outputs = (*data.targets.shape[1:-1], data.outputs)
    net = example_networks(data, "normal")[0].build(data.shape, outputs, key=jax.random.key(0))
    a, b = random.normal(size=(2, 3, steps, data.shape[1])).astype(np.float32)
    zero = net(0 * a)
    np.testing.assert_allclose(net(a + b) - zero, net(a) - zero + net(b) - zero, atol=1e-5)


def test_a_value_at_every_step_does_not_depend_on_the_future():
    data = system()
    x = random.normal(size=(1, 40, 1)).astype(np.float32)
    changed = x.copy()
    changed[:, 25:] += 1
    for network in example_networks(data, "normal"):
        net = eqx.filter_jit(network.build(data.shape, data.target_shape, key=jax.random.key(1)))
        np.testing.assert_allclose(net(x)[:, :25], net(changed)[:, :25], atol=1e-6)
        assert np.abs(np.asarray(net(x) - net(changed)))[:, 25:].max() > 1e-3


def test_a_mean_is_all_that_the_baseline_sees_of_series_of_any_length():
    data = DATA["series of any length"]()
    net = example_networks(data, "normal")[0].build(data.shape, (data.outputs,), key=jax.random.key(0))
    x = random.normal(size=(1, 30, 2)).astype(np.float32)
    np.testing.assert_allclose(net(x), net(x[:, ::-1]), atol=1e-6)
    padded = np.concatenate([x[:, :9], 0 * x[:, 9:]], axis=1)
    np.testing.assert_allclose(net(padded, lengths=np.array([9])), net(x[:, :9]), atol=1e-6)


def test_measured_outputs_go_to_narx_alone():
    assert all(isinstance(n, NARX) for effort in EFFORTS for n in example_networks(system(known="all"), effort))
    assert not any(n.feedback for n in example_networks(system(known=3), "thorough"))


def test_plans():
    assert default_validation(images(60, 4, 4)) == StratifiedKFold(5)
    assert default_validation(read_arrays(random.normal(size=(50, 6)), random.normal(size=50))) == KFold(5)
    assert default_validation(system()) == BlockedKFold(5)
    several = read_series(table(series=4), "y", predict="ahead", inputs=["u"], series="id", window=12)
    assert default_validation(several) == RollingOrigin(3)
    assert default_validation(load_bundled("diabetes")) == KFold(10)
    # Where the study itself says nothing, it asks for the same plan by itself.
    assert default_study(system()).validation is None
    assert default_study(images(60, 8, 8)).validation == StratifiedKFold(5)


def test_many_images_are_held_out_once():
    few = images(100, 28, 28)
    many = dataclasses.replace(
        few, inputs=np.broadcast_to(few.inputs[:1], (50_000, 28, 28, 1)), targets=np.arange(50_000) % 4,
        row_numbers=np.arange(50_000),
    )  # fmt: skip
    study = default_study(many)
    assert (study.validation, study.epochs, study.batch_size) == (HoldOut(), LEAST_EPOCHS, None)
    assert default_study(many, validation=KFold(3)).validation == KFold(3)
    assert default_study(few).epochs > 50


def test_batches_leave_some_steps_an_epoch():
    assert [batch_size(rows) for rows in (5, 16, 40, 127, 128)] == [4, 4, 8, 16, None]
    assert default_study(system()).batch_size == 4  # ten windows


def test_seconds_by_hand():
    # 6 operations a weight and place: 36 places of 9 x 4 weights and a bias a channel, then 9 places x 4 -> 2.
    cnn = seconds_of(CNN((4,), hidden=()), (6, 6, 1), (2,))
    assert cnn == pytest.approx(6 * (36 * 36 + 36 * 2) / SPEED["convolutional"] + 1e-6)
    mlp = seconds_of(MLP((5,)), (3,), (2,))
    assert mlp == pytest.approx(6 * (3 * 5 + 5 + 5 * 2 + 2) / SPEED["dense"] + 1e-6)
    by_steps = [seconds_of(GRU((8,)), (steps, 2), (steps, 1)) for steps in (10, 20, 40)]
    assert [b / a for a, b in pairwise(by_steps)] == pytest.approx([2, 2])


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_table_trains_within_its_budget(task):
    """Many rows have fewer epochs, small tables the usual ones."""
    labels = np.array(["no", "yes"])
    for rows in (200, 6000):
        x = random.normal(size=(rows, 3))
        target = x[:, 0] if task == "regression" else labels[(x[:, 0] > 0).astype(int)]
        data = read_table(x, target, task=task)
        study = default_study(data, test=0.0)
        candidates = [c for c in study.candidates(DEFAULT_COST[data.task]) if isinstance(c.network, TabularMLP)]
        assert len({candidate_label(c, candidates) for c in candidates}) == len(candidates)
        usual = TABLE_EPOCHS[task == "regression"][rows <= 2000]
        most = TABLE_EFFORTS["normal"].row_epochs / (rows * len(candidates) * (5 if rows > 5000 else 10))
        assert study.epochs == min(usual, int(most))
