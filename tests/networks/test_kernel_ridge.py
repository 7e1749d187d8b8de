"""Kernel ridge regression: kernels by value, the solution and its left out rows, likely scales, classes, files."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

import perceptory as pt
from perceptory.errors import InputError
from perceptory.layers import kernel as layers
from perceptory.layers.kernel import kernel_values
from perceptory.networks.kernel_ridge import KernelRidge
from perceptory.ops import cholesky, kernel_ridge
from perceptory.ops.kernel_ridge import Scales
from perceptory.studies.prepare import prepare

KEY = jax.random.key(0)


def rows_of(count=60, seed=0, flags=2):
    """Two columns of numbers, then columns of 0 and 1, and what depends on them."""
    random = np.random.default_rng(seed)
    x = np.concatenate([random.normal(size=(count, 2)), random.integers(0, 2, (count, flags))], axis=1)
    t = np.sin(2 * x[:, :1]) + x[:, 1:2] + x[:, 2:3] + 0.1 * random.normal(size=(count, 1))
    return x.astype(np.float32), t.astype(np.float32)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def test_kernels_by_value(monkeypatch):
    x, _ = rows_of(5)
    c, narrowness = x[:3] * [0.5, 2, 1, 1], np.array([0.5, 2.0, 0.25, 3.0], np.float32)
    apart = np.abs(x[:, None] - c) * narrowness
    want = {
        "laplacian": np.exp(-apart.sum(2)),
        "exponential": np.exp(-np.sqrt((apart**2).sum(2))),
        "gaussian": np.exp(-0.5 * (apart**2).sum(2)),
    }
    for name, values in want.items():
        found = kernel_values(name, jnp.asarray(x), jnp.asarray(c, jnp.float32), jnp.asarray(narrowness), 2)
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=2e-6)
    monkeypatch.setattr(layers, "UNROLLED", 1)  # many columns go through a loop
    found = kernel_values("laplacian", jnp.asarray(x), jnp.asarray(c, jnp.float32), jnp.asarray(narrowness), 2)
    np.testing.assert_allclose(found, want["laplacian"], rtol=1e-5)


def test_many_panels_are_factorized_in_parts(monkeypatch, x64):
    monkeypatch.setattr(cholesky, "PANEL", 32)
    a = np.random.default_rng(0).normal(size=(300, 300))
    a, b = jnp.asarray(a @ a.T + 30 * np.eye(300)), jnp.asarray(a[:, :2])
    assert cholesky.MANY <= -(-300 // 32)
    factor = cholesky.factorize(a)
    np.testing.assert_allclose(np.tril(factor.lower[:300, :300]), np.linalg.cholesky(a), atol=1e-12)
    np.testing.assert_allclose(a @ cholesky.solve(factor, b), b, atol=1e-10)


def test_the_solution_and_its_left_out_rows(x64):
    """As numpy has them, rows weighted; a row of weight 0 is none, and one that is left out has had no say."""
    x, t = (np.asarray(a, float) for a in rows_of(30))
    w = np.random.default_rng(1).uniform(0.5, 2, 30)
    w[4] = 0
    scales = Scales(jnp.log(jnp.array([0.5, 1.0, 0.3, 0.2])), jnp.log(0.8), jnp.log(0.1), jnp.log(0.05))
    kernel = kernel_ridge.Kernel("laplacian", 2, partial(kernel_values, "laplacian", numbers=2))

    def by_numpy(kept, at):
        def both(a, b):
            return (
                0.8 * np.asarray(kernel.values(jnp.asarray(a), jnp.asarray(b), jnp.exp(scales.narrowness)))
                + 0.1 * a @ b.T
            )

        own = both(x[kept], x[kept]) + np.diag(0.05 / w[kept])
        return both(x[at], x[kept]) @ np.linalg.solve(own, t[kept])

    found = kernel_ridge._solution(kernel, *map(jnp.asarray, (x, t, w)), scales, jnp.array([3, 4, 11]))
    real = np.flatnonzero(w)
    near = np.asarray(kernel.values(jnp.asarray(x), jnp.asarray(x), jnp.exp(scales.narrowness)))
    np.testing.assert_allclose(near @ found.strengths + x @ found.weight, by_numpy(real, np.arange(30)), rtol=1e-8)
    for place, row in ((0, 3), (2, 11)):
        np.testing.assert_allclose(found.left_out[place], by_numpy(real[real != row], [row])[0], rtol=1e-8)


def test_likely_scales_are_those_of_a_gaussian_process(x64):
    """At least as likely as what scikit-learn finds by L-BFGS, less what forty steps leave."""
    x, t = (np.asarray(a, float) for a in rows_of(60))
    x, t = x[:, :2], t - x[:, 2:3]
    t = (t - t.mean()) / t.std()
    kernel = kernel_ridge.Kernel("gaussian", 2, partial(kernel_values, "gaussian", numbers=2))
    rows = [jnp.asarray(a) for a in (x, t, np.ones(60))]

    @partial(jax.jit, static_argnums=0)
    def likely(groups, deviation):
        every = jnp.tile(jnp.arange(60), (50, 1))
        return kernel_ridge.likely_scales(kernel, *rows, every, jnp.zeros(1 + max(groups)), np.array(groups), deviation)

    found = likely((0, 1), 1e6)
    shape = ConstantKernel(0.5) * RBF([1.0, 1.0]) + ConstantKernel(0.1) * DotProduct(0, "fixed") + WhiteKernel(0.1)
    process = GaussianProcessRegressor(shape, n_restarts_optimizer=1, random_state=0).fit(x, t)
    theta = np.array([found.smooth, *-found.narrowness, found.linear, found.noise])
    ours = process.log_marginal_likelihood(theta) / 60
    best = process.log_marginal_likelihood_value_ / 60
    assert best - 0.02 < ours <= best + 1e-3
    free, near = np.ptp(found.narrowness), np.ptp(likely((0, 1), 0.5).narrowness)
    assert 0 < near < 0.99 * free  # a prior about their mean; features of one column share a width
    assert np.ptp(likely((0, 0), 1e6).narrowness) == 0


def test_members_are_solved_one_after_another():
    x, t = rows_of(24)
    kernel = kernel_ridge.Kernel("laplacian", 2, partial(kernel_values, "laplacian", numbers=2))
    rest = jnp.ones(24), jnp.tile(jnp.arange(24), (50, 1)), jnp.full(4, -1.0), jnp.arange(3)

    def solved(t, narrow):
        more = narrow, jnp.float32(1), np.arange(4), jnp.float32(0.5)
        return kernel_ridge.kernel_ridge(kernel, jnp.asarray(x), t, *rest, *more)

    both = jax.vmap(solved)(jnp.stack([t, -2 * t]), jnp.array([1.0, 3.0]))
    alone = solved(jnp.asarray(-2 * t), jnp.float32(3))
    for one, other in zip(both, alone, strict=True):
        np.testing.assert_allclose(one[1], other, rtol=2e-3, atol=2e-4)


def table(count=90, task="regression"):
    random = np.random.default_rng(0)
    x = {
        "a": random.normal(size=count),
        "b": np.exp(2 * random.normal(size=count)),
        "kind": random.choice(["u", "v", "w"], count),
    }
    score = np.sin(2 * x["a"]) + np.log(x["b"]) + (x["kind"] == "v")
    x["y"] = np.where(score > 0.5, "yes", "no") if task == "classification" else score
    x["a"] = np.where(np.arange(count) % 11 == 0, np.nan, x["a"])
    return x


def test_a_table_by_kernels_to_a_model_file(tmp_path):
    data = pt.read_table(table(), "y")
    networks = [KernelRidge(40, narrow=pt.choice(1.0, 3.0)), KernelRidge(100, "exponential")]
    result = pt.Study(networks, validation=pt.KFold(3), test=0.2).run(data)
    assert result.candidates[0].mean < 0.6 * np.std(table()["y"])
    assert {c.label for c in result.candidates} == {
        "kernel ridge, laplacian", "kernel ridge, laplacian, narrow 3", "kernel ridge, exponential",
    }  # fmt: skip
    path = tmp_path / "model"
    result.model.save(path)
    new = {k: v[:7] for k, v in table().items()}
    np.testing.assert_array_equal(pt.Model.load(path).predict(new), result.model.predict(new))
    assert np.isfinite(result.model.predict_interval(new, 0.9)).all()


def test_classes_are_calibrated_by_left_out_rows():
    """Least squares alone would say 0.88 at most; log loss is near that of the trained network."""
    data = pt.read_table(table(160, "classification"), "y")
    study = pt.Study([KernelRidge(200), pt.MLP((16,))], validation=pt.KFold(4), test=0.0, epochs=60)
    result = study.run(data)
    means = {c.label.split(",")[0]: c.mean for c in result.candidates}
    assert means["kernel ridge"] < 0.45
    proba = result.model.predict_proba({k: v[:20] for k, v in table(160).items()})
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


def test_costs_beside_the_mean_leave_it_to_least_squares():
    study = pt.Study([KernelRidge(60)], cost=pt.GaussianLikelihood(), validation=pt.KFold(3), test=0.0)
    assert study.run(pt.read_table(table(), "y")).candidates[0].mean < 1


def test_bad_values():
    with pytest.raises(InputError, match="kernel"):
        KernelRidge(kernel="cubic")
    with pytest.raises(InputError, match="centers"):
        KernelRidge(0)
    with pytest.raises(InputError, match="narrow"):
        KernelRidge(narrow=-1.0)


def test_no_more_centers_than_rows():
    """A million million of them would be held otherwise."""
    data = pt.read_table({"a": np.arange(12.0), "b": np.arange(12.0) % 5, "y": np.sin(np.arange(12.0))}, "y")
    prepared = prepare(pt.Study(KernelRidge(2**31 - 1, likely=8), validation=pt.KFold(2), test=0), data)
    assert prepared.candidates[0].network.centers == 12
