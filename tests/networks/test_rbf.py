"""Kernel neurons: E3 by value, centers from rows, the solved output layer, gradients."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator
from sklearn.linear_model import Ridge

from perceptory.errors import InputError
from perceptory.layers.arrays import pack, unpack
from perceptory.networks.base import layout
from perceptory.networks.rbf import Kernels, RBFNetwork, squared_distances
from perceptory.ops import k_means as places
from perceptory.ops.ridge import ridge_regression
from perceptory.specs import combine, from_json, partition, to_json

KEY = jax.random.key(0)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def groups(per=20, dtype=np.float32):
    """Three tight groups of rows, far apart, and their middles."""
    random = np.random.default_rng(0)
    middles = np.array([[-4.0, 0.0], [4.0, 1.0], [0.0, 6.0]])
    x = np.concatenate([m + 0.1 * random.normal(size=(per, 2)) for m in middles])
    return x.astype(dtype), middles


def primed(spec, x, t, w=None, key=KEY):
    x, t = jnp.asarray(x), jnp.asarray(t)
    w = jnp.ones(len(x), x.dtype) if w is None else jnp.asarray(w, x.dtype)

    def first(x, t, w, key):
        return spec.prime(spec.build(x.shape[1:], t.shape[1:], key=KEY), lambda: (x, t, w), key=key)

    return jax.jit(first)(x, t, w, key)


# --- E3 ----------------------------------------------------------------------------------------------------------


def test_kernel_neurons_by_hand():
    """c = (0, 0), s = 2 and c = (1, -1), s = 0.5 at x = (1, 1): e^(-2/4) and e^(-4/0.25)."""
    kernels = Kernels(jnp.array([0.0, 0.0, 1.0, -1.0]), 1 / jnp.array([2.0, 0.5]))
    v = kernels(jnp.array([[1.0, 1.0], [1.0, -1.0]]))
    np.testing.assert_allclose(v, [[np.exp(-0.5), np.exp(-16)], [np.exp(-0.5), 1.0]], rtol=1e-6)
    np.testing.assert_allclose(kernels.places, [[0, 0], [1, -1]])
    np.testing.assert_allclose(kernels.widths, [2, 0.5])


@pytest.mark.parametrize("features", [1, 8, 40])
def test_distances_keep_their_digits_far_from_the_origin(features):
    random = np.random.default_rng(1)
    x = (1000 + random.normal(size=(30, features))).astype(np.float32)
    c = (1000 + random.normal(size=(7, features))).astype(np.float32)
    exact = ((x[:, None].astype(float) - c[None]) ** 2).sum(-1)
    np.testing.assert_allclose(jax.jit(squared_distances)(x, c), exact, rtol=3e-6)


def test_gradient_is_finite_and_right_at_a_center_and_everywhere(x64):
    random = np.random.default_rng(2)
    x, t = random.normal(size=(6, 3)), random.normal(size=(6, 2))
    spec = RBFNetwork(4, train="all")
    net = spec.build((3,), (2,), key=KEY)
    start = np.asarray(pack(net)).copy()
    start[:3] = x[0]  # the first center is the first row

    @jax.jit
    def cost(weights, x):
        return jnp.sum((unpack(net, weights)(x) - t) ** 2)

    for argument in (0, 1):
        gradient = jax.jit(jax.grad(cost, argument))(start, x)
        mapped = jax.vmap(jax.grad(cost, argument))(np.stack([start, start + 1]), np.stack([x, x]))[0]
        shared = jax.vmap(jax.grad(cost, argument), (0, None))(np.stack([start + 1, start]), x)[1]
        values = [start, x]
        difference = np.zeros(values[argument].size)
        for i in range(difference.size):
            step = np.zeros_like(values[argument])
            step.flat[i] = 1e-6
            ahead, behind = list(values), list(values)
            ahead[argument], behind[argument] = values[argument] + step, values[argument] - step
            difference[i] = (cost(*ahead) - cost(*behind)) / 2e-6
        for got in (gradient, mapped, shared):
            np.testing.assert_allclose(np.ravel(got), difference, rtol=1e-6, atol=1e-7)
    curvature = jax.jit(jax.hessian(cost))(start, x)  # forward over reverse, as second-order training has it
    np.testing.assert_allclose(curvature, jax.jit(jax.jacrev(jax.grad(cost)))(start, x), rtol=1e-9, atol=1e-9)


def test_a_width_that_training_drives_to_zero_is_harmless():
    def total(narrowness):
        return jnp.sum(Kernels(jnp.array([0.0, 1.0]), narrowness)(jnp.array([[0.0], [0.3], [1e4]])))

    for extreme in (0.0, 1e-30, 1e8, 1e18):
        value, slope = jax.value_and_grad(total)(jnp.full(2, extreme, jnp.float32))
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


# --- centers -----------------------------------------------------------------------------------------------------


def test_kmeans_finds_the_groups_and_leaves_padding_out():
    x, middles = groups()
    padded = np.concatenate([x, np.full((30, 2), 50, np.float32)])
    w = np.concatenate([np.ones(60), np.zeros(30)]).astype(np.float32)
    run = jax.jit(places.kmeans, static_argnums=2)
    for seed in range(5):
        found = np.asarray(run(padded, w, 3, jax.random.key(seed)))
        found = found[np.argsort(found @ [1, 0.01])]
        np.testing.assert_allclose(found, np.stack([x[:20].mean(0), x[40:].mean(0), x[20:40].mean(0)]), atol=1e-5)
    assert np.abs(found - middles[[0, 2, 1]]).max() < 0.1


def test_lloyd_equals_scikit_learn_from_the_same_start(x64):
    from sklearn.cluster import KMeans

    random = np.random.default_rng(3)
    middles = np.repeat(3 * random.normal(size=(5, 3)), 500, axis=0)
    x, w = middles + random.normal(size=(2500, 3)), random.uniform(0.2, 2, size=2500)  # more rows than a chunk
    start = x[::500]
    ours = np.asarray(jax.jit(places.lloyd)(x, w, start))
    theirs = KMeans(5, init=start, n_init=1, max_iter=places.ITERATIONS, tol=0, algorithm="lloyd")
    theirs.fit(x, sample_weight=w)
    np.testing.assert_allclose(ours, theirs.cluster_centers_, atol=1e-9)


def test_next_centers_are_drawn_by_squared_distance():
    x = np.array([[0.0], [0.0], [1.0], [3.0]], np.float32)
    w = np.array([1, 1, 1, 0.5], np.float32)
    draw = jax.jit(jax.vmap(lambda key: places.plus_plus(jnp.asarray(x), jnp.asarray(w), 2, key)))
    pairs = np.asarray(draw(jax.random.split(KEY, 20_000)))[..., 0]
    first = [(pairs[:, 0] == v).mean() for v in (0, 1, 3)]
    np.testing.assert_allclose(first, [2 / 3.5, 1 / 3.5, 0.5 / 3.5], atol=0.02)
    from_zero = pairs[pairs[:, 0] == 0, 1]
    np.testing.assert_allclose([(from_zero == v).mean() for v in (0, 1, 3)], [0, 1 / 5.5, 4.5 / 5.5], atol=0.02)


@pytest.mark.parametrize("start", places.STARTS)
def test_centers_are_real_rows_of_weight(start):
    random = np.random.default_rng(4)
    x = random.normal(size=(1500, 2)).astype(np.float32)
    w = (np.arange(1500) < 700).astype(np.float32)
    draw = jax.jit(places.sample if start == "rows" else places.plus_plus, static_argnums=2)
    for seed in range(3):
        found = np.asarray(draw(x, w, 40, jax.random.key(seed)))
        which = [int(np.flatnonzero((x == row).all(axis=1))[0]) for row in found]
        assert max(which) < 700
        assert len(set(which)) == 40


@pytest.mark.parametrize("start", places.STARTS)
@pytest.mark.parametrize("rows", [1, 3])
def test_more_centers_than_rows(start, rows):
    x, t, w = (
        np.arange(4.0, dtype=np.float32)[:, None],
        np.arange(4.0, dtype=np.float32)[:, None] ** 2,
        np.arange(4) < rows,
    )
    net = primed(RBFNetwork(6, start=start), x, t, w)
    assert np.isfinite(pack(net)).all()
    assert set(np.ravel(net.layers[0].places)) <= set(range(rows))
    np.testing.assert_allclose(net(jnp.asarray(x))[:rows], t[:rows], atol=0.02)


def test_widths_are_the_mean_distance_to_the_nearest_centers():
    c = jnp.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [0.0, 1.0]])
    x, w = jnp.zeros((3, 2)), jnp.ones(3)
    near = np.sqrt(9 + 9)
    np.testing.assert_allclose(places.spacing(c, x, w, 2), [1, near, 0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(places.spacing(c, x, w, 1)[2:], [0.01, 0.01])  # equal centers: the least width
    wide = jnp.array([[-3.0, 4.0], [3.0, -4.0]])
    np.testing.assert_allclose(places.spacing(c[:1], wide, jnp.ones(2), 2), [5.0])
    net = primed(
        RBFNetwork(2, width=1.5, start="rows"), np.array([[0.0], [2.0]], np.float32), np.zeros((2, 1), np.float32)
    )
    np.testing.assert_allclose(net.layers[0].widths, [3, 3], rtol=1e-6)


# --- the solved output layer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [1e-6, 1e-2])
def test_output_layer_equals_scikit_learns_ridge(ridge, x64):
    random = np.random.default_rng(5)
    x, t, w = random.normal(size=(2100, 3)), random.normal(size=(2100, 2)), random.uniform(0, 2, size=2100)
    w[::3] = 0
    net = primed(RBFNetwork(12, ridge=ridge), x, t, w)
    v = np.asarray(net.layers[0](jnp.asarray(x)))
    theirs = Ridge(alpha=2 * ridge * w.sum()).fit(v, t, sample_weight=w)
    np.testing.assert_allclose(net.layers[1].weight, theirs.coef_.T, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(net.layers[1].bias, theirs.intercept_, rtol=1e-6, atol=1e-9)


def test_all_rows_as_centers_without_ridge_interpolate_like_scipy(x64):
    """Rows and targets odd about 0, so that the bias, which SciPy's form lacks, is 0."""
    half = np.array([[0.4, 0.1], [1.0, -0.3], [0.2, 0.9], [1.3, 1.1]])
    x = np.concatenate([half, -half])
    t = np.sin(2 * x[:, :1]) + x[:, 1:] ** 3
    s = 0.8
    narrow = jnp.full(8, 1 / s)
    new = np.random.default_rng(6).normal(size=(5, 2))

    @jax.jit
    def fitted(x, t, new):
        kernels = Kernels(jnp.ravel(x), narrow)
        weight, bias = ridge_regression(kernels, x, t, jnp.ones(8), 1e-12)
        return kernels(new) @ weight + bias

    theirs = RBFInterpolator(x, t, kernel="gaussian", epsilon=1 / s, degree=-1)
    np.testing.assert_allclose(fitted(x, t, new), theirs(new), atol=1e-8)


def test_normal_equations_that_rounding_makes_indefinite():
    """60 wide kernels on a line: condition beyond single precision. The fit is still as good as in double."""
    random = np.random.default_rng(7)
    x = np.sort(random.uniform(-2, 2, size=(400, 1)), axis=0)
    t = np.sin(3 * x)
    spec = RBFNetwork(60, width=8.0, ridge=1e-9)
    single = primed(spec, x.astype(np.float32), t.astype(np.float32))
    error = np.sqrt(np.mean((np.asarray(single(jnp.asarray(x, jnp.float32))) - t) ** 2))
    assert error < 2e-3
    exact = primed(spec.replace(ridge=0.0), x.astype(np.float32), t.astype(np.float32))
    assert np.isfinite(pack(exact)).all()


def test_constant_kernels_and_targets():
    x, t = np.zeros((5, 2), np.float32), np.full((5, 1), 3, np.float32)
    net = primed(RBFNetwork(3, ridge=0.0), x, t)
    np.testing.assert_allclose(net(jnp.asarray(x)), t, rtol=1e-6)


# --- as a network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", places.STARTS)
def test_a_mapped_member_equals_itself_alone(start, x64):
    random = np.random.default_rng(8)
    x, t = random.normal(size=(3, 50, 2)), random.normal(size=(3, 50, 1))
    w = (np.arange(50) < np.array([50, 41, 20])[:, None]).astype(float)
    keys = jax.random.split(KEY, 3)
    static, _ = partition(RBFNetwork(5, start=start))

    def vector(x, t, w, key, numbers):
        spec = combine(static, numbers)
        net = spec.build((2,), (1,), key=key)
        return pack(spec.prime(net, lambda: (x, t, w), key=key))

    numbers = np.array([[1.0, 1e-4], [0.5, 1e-2], [2.0, 1e-3]])
    together = jax.jit(jax.vmap(vector))(x, t, w, keys, numbers)
    single = jax.jit(vector)
    for i in range(3):
        alone = single(x[i], t[i], w[i], keys[i], numbers[i])
        np.testing.assert_allclose(together[i], alone, rtol=1e-8, atol=1e-10)


def test_places_in_the_vector():
    where = layout(RBFNetwork(4), (3,), (2,))
    assert where.names == ("layers.0.centers", "layers.0.narrowness", "layers.1.weight", "layers.1.bias")
    # centers are places: a penalty leaves them alone
    assert where.weight_mask().tolist() == [False] * 16 + [True] * 8 + [False] * 2
    output, everything = RBFNetwork(4), RBFNetwork(4, train="all")
    assert [output.trains(name) for name in where.names] == [False, False, True, True]
    assert all(map(everything.trains, where.names))
    assert (output.solved, everything.solved) == (True, False)
    assert output.hidden_units((3,), (2,)) == 12


def test_images_in_and_several_axes_out():
    random = np.random.default_rng(9)
    x, t = random.normal(size=(20, 2, 2, 1)).astype(np.float32), random.normal(size=(20, 3, 2)).astype(np.float32)
    net = primed(RBFNetwork(4), x, t)
    flat = primed(RBFNetwork(4), x.reshape(20, 4), t.reshape(20, 6))
    np.testing.assert_allclose(net(jnp.asarray(x)), flat(jnp.asarray(x.reshape(20, 4))).reshape(20, 3, 2), rtol=1e-6)


def test_survives_a_file():
    spec = RBFNetwork(30, start="rows", width=0.7, ridge=1e-3, train="all", neighbors=3)
    assert from_json(json.loads(json.dumps(to_json(spec)))) == spec
    assert partition(spec)[1] == (0.7, 1e-3)
    assert spec.label == "RBF 30 from rows, all trained"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"centers": 0}, r"RBFNetwork\.centers needs a whole number of at least 1, got 0"),
        ({"start": "k-means"}, r"unknown start of the centers 'k-means'\. Did you mean 'kmeans'\?"),
        ({"width": 0}, r"RBFNetwork\.width needs a number above 0, got 0"),
        ({"ridge": -1}, r"RBFNetwork\.ridge needs a number of at least 0"),
        ({"train": "outputs"}, r"unknown way to train 'outputs'\. Did you mean 'output'\?"),
    ],
)
def test_bad_values(wrong, message):
    with pytest.raises(InputError, match=message):
        RBFNetwork(**wrong)


def test_solved_in_a_study_in_one_epoch_and_read_back(tmp_path):
    import perceptory as pt

    random = np.random.default_rng(0)
    x = random.uniform(-3, 3, size=(80, 1))
    data = pt.read_table(x, target=np.sin(x), task="regression")
    result = pt.Study([RBFNetwork(8), RBFNetwork(8, train="all")], epochs=3, validation=pt.KFold(2), test=0).run(data)
    assert result.validation["rmse"] < 0.05
    assert {member.epochs for member in result.members} == {1, 3}
    result.model.save(tmp_path / "model.safetensors")
    assert np.array_equal(pt.Model.load(tmp_path / "model.safetensors").predict(x), result.model.predict(x))
