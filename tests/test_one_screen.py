"""docs/one_screen.py, the smallest whole of the population program, agrees with the package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import perceptory as pt
from perceptory.studies.design import with_numbers
from perceptory.studies.keys import member_key

FILE = Path(__file__).parent.parent / "docs" / "one_screen.py"
RATES, FOLDS, SEEDS, EPOCHS, ROWS = (0.05, 0.2), 3, 2, 12, 36


def one_screen():
    spec = importlib.util.spec_from_file_location("one_screen", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_fits_on_one_screen():
    assert len(FILE.read_text().splitlines()) <= 60


def test_every_member_has_the_costs_of_the_package():
    """Full-batch gradient descent from the package's starting weights: both costs of every epoch of every member."""
    random = np.random.default_rng(0)
    x = random.uniform(-2, 2, (ROWS, 2))
    t = np.sin(x[:, 0]) + 0.5 * x[:, 1] ** 2
    data = pt.read_table(x, target=t)
    study = pt.Study(
        [pt.MLP((5,), "tanh")],
        optimizer=pt.GradientDescent(pt.choice(*RATES)),
        validation=pt.KFold(FOLDS),
        seeds=SEEDS,
        epochs=EPOCHS,
        patience=0,
        test=0.0,
        precision="double",
    )
    result = study.run(data)
    candidates = [with_numbers(c) for c in study.candidates(pt.SquaredError())]

    def start(candidate: int, fold: int, seed: int):
        key = jax.random.wrap_key_data(jnp.asarray(member_key(study, candidates[candidate], fold, seed)))
        module = candidates[candidate].network.build((2,), (1,), key=jax.random.fold_in(key, 0))
        return tuple((layer.weight, layer.bias) for layer in module.layers)

    with jax.enable_x64(True):
        members = [[[start(c, f, s) for s in range(SEEDS)] for f in range(FOLDS)] for c in range(len(RATES))]
        weights = jax.tree.map(
            lambda *leaves: jnp.stack(leaves).reshape(len(RATES), FOLDS, SEEDS, *leaves[0].shape),
            *[member for folds in members for seeds in folds for member in seeds],
        )
        folds = study.validation.split(ROWS, seed=study.seed)
        order = jnp.asarray([np.tile(rows, (EPOCHS, 1, 1)) for rows, _ in folds])
        validation = jnp.asarray([rows for _, rows in folds])
        _, curves = one_screen().study(jnp.asarray(RATES), order, validation, weights, x, t[:, None])
    ours = {(m.candidate, m.fold, m.seed): m for m in result.members}
    for c, f, s in np.ndindex(curves.shape[:3]):
        label = next(k.id for k in result.candidates if k.spec["optimizer"]["learning_rate"] == RATES[c])
        member = ours[label, f, s]
        np.testing.assert_allclose(member.train_cost, curves[c, f, s, :, 0], rtol=1e-9)
        np.testing.assert_allclose(member.validation_cost, curves[c, f, s, :, 1], rtol=1e-9)
