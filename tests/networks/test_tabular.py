"""The network for tables: what its columns become, where it starts, how its arrays move, by kernel and by XLA; from a
table with everything in it to a model file."""

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import perceptory as pt
from perceptory.errors import InputError
from perceptory.layers.base import call
from perceptory.layers.tabular import edges_of, quantiles, shares
from perceptory.networks.base import _layout, layout
from perceptory.training.plan import ProgramPlan
from perceptory.training.procedures.first_order import decay_mask, epoch_order, update_rule
from perceptory.training.run import Run, Specs

SMALL = pt.TabularMLP((8, 6), numbers="periodic", width=4, frequencies=3, one_hot=2, categories=3, dropout=0.0)
KINDS = (0, 0, 1, 1, 1, -1)  # two numbers, a column of three categories, a flag


def rows_of(count=40, padding=5):
    """Scaled rows, of which the last are padding; the flag is rare, and nobody has the third category."""
    random = np.random.default_rng(0)
    x = np.zeros((count + padding, 6))
    x[:, 0], x[:, 1] = random.normal(size=len(x)), random.exponential(size=len(x)) ** 3
    x[np.arange(count), 2 + random.integers(0, 2, count)] = 1
    x[:3, 5] = 1
    w = (np.arange(len(x)) < count).astype(float)
    x[count:] = 1e6
    return jnp.asarray(x, jnp.float32), jnp.asarray(w, jnp.float32)


def primed(spec, key=1):
    x, w = rows_of()
    spec = spec.for_columns(KINDS)
    module = spec.build((6,), (1,), key=jax.random.key(0))
    return spec.prime(module, lambda: (x, jnp.zeros((len(x), 1)), w), key=jax.random.key(key)), x, w


def test_quantiles_are_numpys():
    x, w = rows_of()
    at = np.array([0, 0.1, 0.25, 0.5, 0.9, 1])
    np.testing.assert_allclose(quantiles(x[:, :2], w, at), np.quantile(x[:40, :2], at, axis=0).T, rtol=1e-5)


def test_columns_are_scaled_by_training_rows():
    """Numbers by median and quartiles, clipped; a rare flag is 2 wide; the category that nobody has gives nothing."""
    module, x, _ = primed(SMALL)
    v = np.asarray(module.features(x[:40]))
    assert v.shape == (40, 2 * 4 + 1 + 3)
    real = np.asarray(x[:40, :2])
    low, middle, high = np.quantile(real, [0.25, 0.5, 0.75], axis=0)
    scaled = (real - middle) / (high - low)
    np.testing.assert_allclose(v[:, :2], scaled / np.sqrt(1 + (scaled / 3) ** 2), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(v[:3, 8], 2 / np.sqrt(1 + 4 / 9), rtol=1e-6)
    assert not v[3:, 8].any()
    unseen = jnp.zeros((1, 6)).at[0, 4].set(1.0)
    assert not np.asarray(module.features(unseen))[0, 9:].any()
    by_place, *_ = primed(SMALL.replace(inputs="quantiles", clip=0.0))
    places = np.asarray(by_place.features(x[:40]))[:, 0]
    np.testing.assert_array_equal(np.argsort(places), np.argsort(real[:, 0]))
    assert np.ptp(places) == pytest.approx(12**0.5, rel=1e-3)


def test_embeddings_of_numbers():
    module, x, _ = primed(SMALL)
    v, e = np.asarray(module.features(x[:40]), float), module.embedding
    waves = np.cos(2 * np.pi * v[:, 1, None] * np.asarray(e.frequency)[1] + np.asarray(e.phase)[1])
    np.testing.assert_allclose(v[:, 5:8], waves @ np.asarray(e.weight)[1] + np.asarray(e.bias)[1], atol=1e-5)
    edges = jnp.array([[0.0, 1.0, 3.0, 3.0]])  # the last bin has no width
    np.testing.assert_allclose(
        shares(jnp.array([[2.0], [3.0], [-1.0]]), edges)[:, 0], [[1, 0.5, 0], [1, 1, 0], [0, 0, 0]]
    )
    module, x, _ = primed(SMALL.replace(numbers="piecewise", bins=4))
    v = np.asarray(module.features(x[:40]), float)
    np.testing.assert_allclose(module.embedding.edges[0], np.sort(v[:, 0])[[0, 9, 19, 29, 39]], atol=1e-5)
    mostly = jnp.concatenate([jnp.zeros(96), jnp.arange(1.0, 5.0)])[:, None]
    np.testing.assert_array_equal(edges_of(mostly, jnp.ones(100), 5)[0], [0, 0, 0, 1, 3, 4])


def test_units_start_among_the_rows():
    """Sums of deviation 1 that change their sign within the rows; another start has biases of 0."""
    module, x, _ = primed(SMALL)
    v = module.features(x[:40])
    for layer in module.stack.layers[:-1]:
        z = np.asarray(v @ layer.weight + layer.bias)
        assert np.std(z, axis=0).mean() == pytest.approx(1, abs=0.15)
        assert ((z > 0).any(axis=0) & (z < 0).any(axis=0)).all()
        v = module.stack.hidden(z, layer)
    plain, *_ = primed(SMALL.replace(start="random"))
    assert not any(layer.bias.any() for layer in plain.stack.layers)


def test_several_predictions():
    """In training each row is one prediction's, whatever the others see; in use the mean of all counts; each learns of
    its own rows alone, and a row without weight teaches none."""
    module, x, _ = primed(SMALL.replace(predictions=3))
    assert module.stack.layers[-1].weight.shape == (6, 3)
    assert module.adapters.shape == (3, 12)

    @jax.jit
    def look(module, x):
        def cost(module):
            output = call(module, x, jax.random.key(0))[:, 0]
            return jnp.sum(jnp.where(jnp.arange(40) % 3 == 1, output**2, 0)), output

        gradient, output = jax.grad(cost, has_aux=True)(module)
        v = module.features(x)
        each = jnp.stack([module.stack(v * own)[:, k] for k, own in enumerate(module.adapters)], axis=1)
        return call(module, x, None)[:, 0], output, each, gradient.adapters, gradient.stack.layers[-1].weight

    used, trained, each, adapters, weights = map(np.asarray, look(module, x[:40]))
    np.testing.assert_allclose(used, each.mean(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trained, each[np.arange(40), np.arange(40) % 3], rtol=1e-3, atol=1e-4)
    assert adapters.any(axis=1).tolist() == weights.any(axis=0).tolist() == [False, True, False]
    assert np.ptp(each, axis=1).min() > 0


def test_one_batch_of_all_rows_is_turned_among_predictions():
    def orders(predictions):
        spec = SMALL.replace(predictions=predictions).for_columns(KINDS)
        plan = ProgramPlan(spec, pt.SquaredError(), pt.AdamW(), None, (6,), (1,), 40, 0, 40, 1, 1, 1)
        run = object.__new__(Run)  # of which an order needs no more
        for name, value in {"plan": plan, "key": jnp.arange(2, dtype=jnp.uint32)}.items():
            object.__setattr__(run, name, value)
        return np.asarray(jax.jit(jax.vmap(lambda epoch: epoch_order(run, epoch)[0]))(jnp.arange(30)))

    assert (orders(1) == np.arange(40)).all()
    seen = np.argsort(orders(3), axis=1) % 3  # by epoch, of each row
    assert all(set(of_row) == {0, 1, 2} for of_row in seen.T)


@pytest.mark.parametrize("parametric", [True, False])
def test_training_equals_use_without_dropout(parametric):
    """The kernel's path and XLA's, values and gradient by every weight."""
    module, x, _ = primed(SMALL.replace(parametric=parametric, activation="selu"))

    def cost(module, key):
        return jnp.sum(jnp.sin(call(module, x[:40], key)))

    by_kernel, by_xla = (jax.tree.leaves(jax.jit(jax.grad(cost))(module, key)) for key in (jax.random.key(0), None))
    for mine, other in zip(by_kernel, by_xla, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)


def test_without_hidden_layers_training_equals_use():
    module, x, _ = primed(SMALL.replace(hidden=()))
    for way in ({"key": jax.random.key(0)}, {"key": None, "judged": True}):
        np.testing.assert_allclose(call(module, x[:40], **way), call(module, x[:40], None), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("numbers", ["piecewise", "periodic", "none"])
def test_what_training_judges_by_equals_use(numbers):
    """The kernels' path without derivatives, of one prediction and of several, and XLA's."""
    for predictions in (1, 3):
        module, x, _ = primed(SMALL.replace(numbers=numbers, inputs="quantiles", predictions=predictions))
        judged = jax.jit(lambda module, x: call(module, x, None, judged=True))(module, x[:40])
        np.testing.assert_allclose(judged, call(module, x[:40], None), rtol=1e-3, atol=1e-5)


def test_arrays_move_at_their_own_pace():
    """The first step of Adam is the rate in every array, times its factor; the decay is not multiplied by it."""
    spec = SMALL.for_columns(KINDS)
    optimizer = pt.AdamW(0.01, weight_decay=0.5)
    plan = ProgramPlan(spec, pt.SquaredError(), optimizer, None, (6,), (1,), 40, 0, 40, 1, 1, 1)
    specs = Specs(plan, jnp.zeros(0))
    where = layout(spec, (6,), (1,))
    w = (jnp.ones(where.size),)
    rule = update_rule(specs, optimizer)
    extra = {"rate": 0.01, "precomputed": optimizer.precompute(1, 0.0), "weight_mask": decay_mask(specs)}
    update, _ = rule.update((jnp.ones(where.size),), rule.init(w), w, **extra)
    steps = {name: part[0] for name, part in zip(where.names, where.parts(np.asarray(update[0])), strict=True)}
    weight, decay = 0.01, 0.01 * 0.5
    assert steps["stack.layers.1.weight"] == pytest.approx(-weight * (256 / 8) ** 0.5 - decay, rel=1e-4)
    assert steps["stack.layers.1.bias"] == pytest.approx(-1.6 * weight, rel=1e-4)
    assert steps["scale"] == pytest.approx(-6 * (16 * weight + decay), rel=1e-4)
    assert steps["categories.0"] == pytest.approx(-16 * weight - decay, rel=1e-4)
    assert steps["embedding.frequency"] == pytest.approx(-1.6 * weight - 0.1 * decay, rel=1e-4)
    assert steps["scaling.center"] == steps["seen"] == 0


def test_decay_falls():
    falling = pt.AdamW(weight_decay=0.5, decay_falls=True).precompute(1, jnp.array([0.0, 0.5, 0.75, 1.0]))[-1]
    np.testing.assert_allclose(falling, [0.5, 0.5, 0.25, 0.0], atol=1e-7)


def test_bad_values():
    for change, message in (
        ({"activation": ("relu",)}, "the name of an activation"),
        ({"inputs": "log"}, "scaling of columns 'log'"),
        ({"width": 1}, "at least 2"),
        ({"numbers": "fourier"}, "embedding of numbers 'fourier'"),
    ):
        with pytest.raises(InputError, match=message):
            pt.TabularMLP(**change)
    with pytest.raises(InputError, match="says of 3 inputs"):
        pt.TabularMLP(columns=(0, 0, 0)).build((2,), (1,), key=jax.random.key(0))


def test_a_table_with_everything_to_a_model_file(tmp_path):
    """Numbers, flags, missing values and categories, one of them of more values than stand as columns of 0 and 1; what
    is new in use changes nothing; the file gives the same predictions."""
    random = np.random.default_rng(3)
    n = 200
    table = pl.DataFrame(
        {
            "number": random.normal(size=n),
            "gaps": np.where(random.uniform(size=n) < 0.2, None, random.normal(size=n)).astype(float),
            "truth": random.uniform(size=n) < 0.5,
            "kind": random.choice(list("abc"), n),
            "town": random.choice([f"t{i}" for i in range(12)], n),
        }
    ).with_columns(y=pl.col("number") ** 2 + (pl.col("kind") == "a"))
    data = pt.read_table(table, target="y")
    spec = pt.TabularMLP((16,), bins=8, predictions=2)
    study = pt.Study(
        [spec], optimizer=pt.AdamW(0.02, decay_falls=True), validation=pt.HoldOut(), epochs=60, batch_size=32
    )
    result = study.run(data)
    model = result.model
    assert model.network.columns == (0, 0, -1, -1, 1, 1, 1, *[2] * 12)
    assert model.network.for_columns((0,)) is model.network
    assert result.candidates[0].mean < 0.8
    model.save(tmp_path / "model.safetensors")
    again = pt.Model.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(table), model.predict(table))
    new = table.head(3).with_columns(town=pl.Series([None, "t0", "elsewhere"]), kind=pl.Series(["z", None, "a"]))
    assert np.isfinite(again.predict(new)).all()


@pytest.mark.parametrize(
    "network",
    [
        SMALL,
        pt.TabularMLP((8,), inputs="quantiles"),
        pt.TabularMLP((), numbers="none", feature_scale=0.0, one_hot=1),
        pt.TabularMLP((8, 5), parametric=False, feature_scale=pt.uniform(1.0, 2.0), predictions=4),
        pt.KernelRidge(7),
        pt.KernelRidge(7, inputs="standard"),
    ],
)
def test_the_arrays_that_are_told_without_jax_are_those_that_are_built(network):
    for kinds in (KINDS, (0, 0), (-1, 1, 1)):
        spec = network.for_columns(kinds)
        shapes, names = _layout(spec, (len(kinds),), (3,))
        assert spec.arrays(len(kinds), 3) == dict(zip(names, shapes, strict=True))
        assert list(spec.arrays(len(kinds), 3)) == list(names)
