"""One file and one line in one table: a toy of every kind is found wherever names are read."""

from __future__ import annotations

import json
import re
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import typer

import perceptory as pt
from perceptory import catalog
from perceptory.app import help as help_texts
from perceptory.app.cli import app, main
from perceptory.app.options import read_options
from perceptory.augmentation.base import Augmentation
from perceptory.errors import InputError
from perceptory.networks.base import Network
from perceptory.networks.chain_units import DenseLayer, LayerSpec
from perceptory.networks.mlp import MLP
from perceptory.objectives.base import Cost
from perceptory.objectives.penalties import Penalty
from perceptory.ops.activations import Activation
from perceptory.optimizers.first_order import SGD
from perceptory.optimizers.schedules import Schedule
from perceptory.registry import Registry
from perceptory.selection.base import ValidationPlan
from perceptory.selection.metrics import metric
from perceptory.specs import checked, count, from_json, positive, to_json, traced

# --- the file ----------------------------------------------------------------------------------------------------


def toy_initializer(key: jax.Array, uniform: jax.Array, fan_in: int, fan_out: int) -> jax.Array:
    return 0.2 * uniform


@metric("regression", "min")
def toy_metric(target: Any, prediction: Any, weights: Any = None) -> np.ndarray:
    return np.max(np.abs(target - prediction), axis=0)


@dataclass(frozen=True)
class ToyNetwork(Network):
    width: int = checked(4, check=count)
    activation: str = "toy_activation"

    def build(self, inputs: Any, outputs: Any, *, key: jax.Array) -> Any:
        return MLP((self.width,), self.activation, initializer="toy_initializer").build(inputs, outputs, key=key)


@dataclass(frozen=True)
class ToyLayer(LayerSpec):
    width: int = checked(check=count)

    def build(self, inputs: Any, *, key: jax.Array) -> Any:
        return DenseLayer(self.width, "toy_activation", "toy_initializer").build(inputs, key=key)


@dataclass(frozen=True)
class ToyCost(Cost):
    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    power: float = traced(4.0, check=positive)

    def per_row(self, output: jax.Array, target: jax.Array) -> jax.Array:
        return jnp.sum(jnp.abs(output - target) ** self.power, axis=-1)


@dataclass(frozen=True)
class ToyPenalty(Penalty):
    strength: float = traced(1e-4, check=positive, log=True)

    def slope(self, gradient: jax.Array, weights: jax.Array, mask: jax.Array) -> jax.Array:
        return gradient + self.strength * mask * jnp.tanh(weights)


@dataclass(frozen=True)
class ToyOptimizer(SGD):
    pass


@dataclass(frozen=True)
class ToySchedule(Schedule):
    rate: ClassVar[str] = "half"
    half: float = traced(1e-2, check=positive)

    def at(self, progress: jax.Array) -> jax.Array:
        return 2 * self.half * (1 - progress)


@dataclass(frozen=True)
class ToyAugmentation(Augmentation):
    kinds: ClassVar[tuple[str, ...]] = ("table",)
    shift: float = traced(0.1, check=positive)

    def apply(self, x: Any, t: Any, lengths: Any, about: Any, key: jax.Array) -> tuple[Any, Any]:
        return x + self.shift, t


@dataclass(frozen=True)
class ToyPlan(ValidationPlan):
    folds: int = checked(2, check=count)

    def _folds(self, table: Any, seed: int) -> list[Any]:
        rows = np.arange(table.count)
        return [(rows[rows % self.folds != k], rows[rows % self.folds == k]) for k in range(self.folds)]


# --- its lines ---------------------------------------------------------------------------------------------------

SPECS = {
    "network": (catalog.NETWORKS, ToyNetwork()),
    "layer": (catalog.LAYERS, ToyLayer(3)),
    "cost": (catalog.COSTS, ToyCost()),
    "penalty": (catalog.PENALTIES, ToyPenalty()),
    "optimizer": (catalog.OPTIMIZERS, ToyOptimizer()),
    "schedule": (catalog.SCHEDULES, ToySchedule()),
    "augmentation": (catalog.AUGMENTATIONS, ToyAugmentation()),
    "plan": (catalog.VALIDATION_PLANS, ToyPlan()),
}


def enter() -> None:
    catalog.ACTIVATIONS.add("toy_activation", Activation(jnp.sin, "toy_initializer"), "sin z")
    catalog.INITIALIZERS.add("toy_initializer", toy_initializer)
    catalog.METRICS.add("toy_metric", toy_metric)
    for kind, (table, spec) in SPECS.items():
        table.add(f"toy_{kind}", type(spec), f"a toy {kind}")


def read_fit(text: str) -> Any:
    command = typer.main.get_command(app).commands["fit"]  # type: ignore[attr-defined]
    return read_options(command.make_context("fit", ["data.csv", *text.split()]).params)


@pytest.fixture
def entered(monkeypatch):
    """The toys in their tables; afterwards the tables and the packages are as they were."""
    for table in {id(t): t for t in vars(catalog).values() if isinstance(t, Registry)}.values():
        monkeypatch.setattr(table, "_entries", dict(table._entries))
        monkeypatch.setattr(table, "_loaded", dict(table._loaded))
    enter()
    yield
    for _, spec in SPECS.values():
        vars(pt).pop(type(spec).__name__, None)


# --- where they are found ----------------------------------------------------------------------------------------


def test_a_file_that_names_what_stands_in_no_table_is_refused():
    for _, spec in SPECS.values():
        with pytest.raises(InputError, match=f"unknown spec '{type(spec).__name__}'"):
            from_json({"kind": type(spec).__name__})
        with pytest.raises(InputError, match="not in the table of specs"):
            to_json(spec)
        assert not hasattr(pt, type(spec).__name__)


def test_the_table_for_contributors_is_true():
    root = Path(pt.__file__).parent
    lines = (root.parent / "CONTRIBUTING.md").read_text().split("| to add |")[1].split("\n\n")[0].splitlines()[2:]
    rows = [line.strip("| ").split(" | ") for line in lines]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[2])}
    tables = {name for name, table in vars(catalog).items() if isinstance(table, Registry)}
    assert named == tables - {"SPECS", "RULES", "FINALS", "PRECISIONS", "SAMPLINGS"}
    places = [place for row in rows for place in re.findall(r"`([\w/]+(?:\.py|/))`", row[1])]
    assert len(places) >= 12
    assert all((root / place).exists() for place in places)


def test_a_penalty_of_ones_own_is_refused_by_second_order():
    data = pt.read_arrays(np.arange(20.0)[:, None], np.arange(20.0) ** 2, kind="array")
    study = pt.Study(MLP((2,)), optimizer="lm", penalty=ToyPenalty(), epochs=1)
    with pytest.raises(InputError, match="takes a WeightPenalty only, got ToyPenalty"):
        study.run(data)


@pytest.mark.usefixtures("entered")
def test_files_exports_and_help():
    for kind, (_, spec) in SPECS.items():
        data = json.loads(json.dumps(to_json(spec)))
        assert data["kind"] == type(spec).__name__
        assert from_json(data) == spec
        assert getattr(pt, type(spec).__name__) is type(spec), kind
        assert type(spec).__name__ in dir(pt)
    search = pt.choice(ToyPenalty(pt.log_uniform(1e-4, 1e-2)), ToyPenalty(0.1))
    assert read_fit("--penalty toy_penalty:1e-4..1e-2 --penalty toy_penalty:0.1").penalties == search.values
    texts = runpy.run_path(help_texts.__file__)["FIT_OPTIONS"]  # it reads the tables when it is imported
    places = {
        "--network": ("toy_network (a toy network)", "toy_layer (a toy layer)", "toy_initializer"),
        "--activation": ("toy_activation",),
        "--penalty": ("toy_penalty (a toy penalty)",),
        "--optimizer": ("toy_optimizer",),
        "--schedule": ("toy_schedule",),
        "--augment": ("toy_augmentation",),
        "--cost": ("toy_cost",),
        "--score": ("toy_metric",),
        "--validation": ("toy_plan (a toy plan)",),
    }
    for option, names in places.items():
        assert all(name in texts[option] for name in names), option


@pytest.mark.usefixtures("entered")
def test_the_command_line_the_run_folder_and_the_model_file(tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(40, 2))
    rows = [f"{a:.4f},{b:.4f},{a * b:.4f}" for a, b in x]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,y", *rows]))
    options = (
        "--network toy_network:3 --network chain:toy_layer,3+dense,2,toy_activation --network"
        " mlp:3:toy_activation:initializer=toy_initializer --cost toy_cost:2 --penalty toy_penalty:1e-3"
        " --optimizer toy_optimizer:0.01 --schedule toy_schedule --augment toy_augmentation:0.2"
        " --validation toy_plan:2 --score toy_metric --epochs 2 --seeds 1 --batch-size 16"
    )
    out = tmp_path / "run"
    code = main(["fit", str(tmp_path / "data.csv"), "--target", "y", "--out", str(out), "--quiet", *options.split()])
    assert code == 0, capsys.readouterr()
    result = pt.load_result(out)
    assert result.score == {"name": "toy_metric", "direction": "min"}
    specs = [from_json(c.spec) for c in result.candidates]
    assert {c.network for c in specs} == {
        ToyNetwork(3),
        pt.Chain((ToyLayer(3), DenseLayer(2, "toy_activation"))),
        MLP((3,), "toy_activation", initializer="toy_initializer"),
    }
    rest = {(c.cost, c.optimizer, c.penalty, c.augmentation) for c in specs}
    assert rest == {
        (ToyCost(2.0), ToyOptimizer(ToySchedule(0.01)), ToyPenalty(1e-3), ToyAugmentation(0.2)),
    }
    model = pt.Model.load(out)
    assert model.network in {c.network for c in specs}
    assert np.isfinite(model.predict({"a": x[:, 0], "b": x[:, 1]})).all()
