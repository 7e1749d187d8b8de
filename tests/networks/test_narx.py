"""NARX: the loop open and closed, and training that begins with the one and ends with the other."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import NARX, Adam, Cosine, Folds, InputError, Model, Study, choice, read_series
from perceptory.layers.arrays import pack, unpack
from perceptory.layers.base import call
from perceptory.objectives.table import SquaredError
from perceptory.specs import combine, from_json, partition, to_json
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.rows import Shared
from perceptory.training.run import Run
from perceptory.training.state import DIVERGED, FINISHED, RUNNING, STOPPED, EpochResult, State, advance

SPEC = NARX((3,), input_lags=2, output_lags=2, open_share=0.5)
FOLDS = Folds(((tuple(range(8)), (8, 9, 10)),))


@pytest.fixture(scope="module")
def net():
    with jax.enable_x64(True):
        built = SPEC.build((6, 2), (6, 1), key=jax.random.key(0))
        return unpack(built, 0.8 * jax.random.normal(jax.random.key(1), pack(built).shape, jnp.float64))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(4, 6, 2))


def by_hand(net, x, open_loop):
    """Step by step: inputs before the record stand still, and so do outputs."""
    (w, b), (v, c) = [(np.asarray(layer.weight), np.asarray(layer.bias)) for layer in net.layers]
    out = np.zeros(x.shape[:2])
    for n, (u, y) in enumerate(zip(x[..., 0], x[..., 1], strict=True)):
        past = [y[0], y[0]]
        for t in range(x.shape[1]):
            z = np.array([u[t], u[max(t - 1, 0)], *past]) @ w + b
            out[n, t] = (np.tanh(z) @ v + c)[0]
            past = [y[t] if open_loop or t < 2 else out[n, t], past[0]]
    return out


def test_which_outputs_come_back_at_what_share_of_the_training(net, x):
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(lambda x: net(x))(x))[..., 0]
        np.testing.assert_allclose(found, by_hand(net, x, False), rtol=1e-12)
        run = jax.jit(lambda x, progress: call(net, x, None, progress=progress))
        for progress, opened in [(0.0, True), (0.49, True), (0.5, False), (0.9, False)]:
            found = np.asarray(run(x, progress))[..., 0]
            np.testing.assert_allclose(found, by_hand(net, x, opened), rtol=1e-12)


def test_the_other_form_of_an_open_loop(net, x):
    spec = SPEC.replace(loop="open")
    with jax.enable_x64(True):
        other = jax.jit(lambda w, x: unpack(spec.build((6, 2), (6, 1), key=jax.random.key(0)), w)(x))
        np.testing.assert_allclose(other(pack(net), x)[..., 0], by_hand(net, x, True), rtol=1e-12)
    assert spec.opening(0.1) is NARX().opening(0.1) is None
    assert [SPEC.opening(0.4), SPEC.opening(0.6)] == [True, False]
    assert not SPEC.stochastic


def system(steps, seed, noise=0.0):
    """A tank that empties by the root of its level; its level is measured."""
    random = np.random.default_rng(seed)
    u, y, level = np.repeat(random.uniform(0.2, 1.0, -(-steps // 8)), 8)[:steps], np.empty(steps), 1.0
    for t in range(steps):
        y[t] = level
        level = max(level + 0.15 * (u[t] - 0.6 * np.sqrt(level)), 0.01)
    return {"u": u, "y": y + noise * random.normal(size=steps)}


def study_of(network, **changes):
    folds = Folds(((tuple(range(60)), tuple(range(66, 76))),))
    how = {
        "optimizer": Adam(Cosine(0.03)),
        "epochs": 40,
        "patience": 0,
        "batch_size": 8,
        "validation": folds,
        "test": 0,
    }
    return Study(network, **how | changes)


@pytest.fixture(scope="module")
def windows():
    """Noise in the measured outputs draws an open loop to a wrong system; a free run meets it only where it starts."""
    return read_series(
        system(480, 3, noise=0.05), "y", window=30, stride=6, predict="every step", known="all", washout=2
    )


@pytest.fixture(scope="module")
def result(windows):
    """Shares of 1 and 0.5 are members of one program, forcing=1 is of another; all with the same key, so with the same
    starting weights and orders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perceptory.studies.groups.member_key", lambda *_: np.array([3, 4], np.uint32))
        return study_of([NARX((4,), open_share=choice(1.0, 0.5)), NARX((4,), forcing=1.0)]).run(windows)


@pytest.fixture(scope="module")
def members(result):
    """Those of open_share=1, open_share=0.5 and forcing=1."""
    made = {c.id: c.spec["network"] for c in result.candidates}
    order = [(1.0, 0.0), (0.5, 0.0), (0.0, 1.0)]
    found = {(made[m.candidate]["open_share"], made[m.candidate]["forcing"]): m for m in result.members}
    return [found[k] for k in order]


def test_a_share_of_1_is_open_loop(members):
    opened, half, forced = members
    np.testing.assert_allclose(opened.train_cost, forced.train_cost, rtol=1e-3)
    np.testing.assert_allclose(opened.validation_cost[:20], forced.validation_cost[:20], rtol=1e-3)
    np.testing.assert_allclose(half.train_cost[:20], opened.train_cost[:20], rtol=1e-3)
    assert half.train_cost[20] > 1.1 * opened.train_cost[20]  # a free run is the harder task


def test_closing_the_loop_after_an_open_one_lowers_the_free_run_error(result, members):
    opened, half, _ = members
    assert half.score < 0.8 * opened.score
    assert half.score == min(m.score for m in members)
    assert half.best_epoch > 20
    assert result.candidate(result.best).spec["network"]["open_share"] == 0.5


def test_a_share_of_0_is_closed_loop():
    """The same static spec, so the same program."""
    spec = NARX((3,), open_share=0.0)
    assert partition(spec) == partition(NARX((3,)))
    assert spec.build((6, 2), (6, 1), key=jax.random.key(0)).open_share is None


def test_patience_and_divergence_wait_for_the_loop_to_close():
    """`advance` with costs made up: of 6 epochs 3 are open, patience 1."""

    def run(costs, open_share=0.5, patience=1):
        spec = SPEC.replace(open_share=open_share)
        plan = ProgramPlan(spec, SquaredError(), Adam(), None, (6, 2), (6, 1), 4, 1, 4, 1, 1, 1)
        data = Shared(jnp.zeros((4, 6, 2)), None, jnp.zeros((4, 6, 1)), None, jnp.ones(4), None)
        member = Member(
            jnp.zeros(2, jnp.uint32), jnp.zeros(0), jnp.arange(4), jnp.int32(4), jnp.zeros(1, jnp.int32), jnp.int32(1),
            jnp.zeros((2, 3)), jnp.ones(3), epochs=jnp.int32(6), patience=jnp.int32(patience),
        )  # fmt: skip
        one = Run.of(member, data, plan)
        step = jax.jit(
            lambda state, cost, weight: advance(one, state, EpochResult((jnp.full(1, weight),), (), 1.0), cost)
        )
        state = State((jnp.zeros(1),), (jnp.zeros(1),), (), jnp.asarray(jnp.inf), jnp.zeros(4, jnp.int32))
        for e, cost in enumerate(costs):
            state = step(state, jnp.asarray(cost), float(e + 1))
        return float(state.best[0][0]), float(state.best_cost), state.counters.tolist()

    assert run([1.0, 2.0, jnp.nan]) == (1.0, 1.0, [3, 1, 0, RUNNING])
    assert run([1.0, 2.0, jnp.inf, 1.5]) == (1.0, 1.0, [4, 1, 1, STOPPED])
    assert run([1.0, 2.0, jnp.inf, 0.5]) == (4.0, 0.5, [4, 4, 0, RUNNING])
    assert run([3.0, 2.0, 4.0, jnp.nan])[2][3] == DIVERGED
    assert run([3.0, 1.0, 2.0], open_share=0.0, patience=-1) == (3.0, 2.0, [3, 3, 0, RUNNING])
    assert run([jnp.nan, 5.0, 4.0, 3.0, 2.0, 1.0]) == (6.0, 1.0, [6, 6, 0, FINISHED])
    assert run([2.0, 2.0, 2.0, 2.0, 2.0, jnp.nan], open_share=1.0)[2][3] == DIVERGED


def test_a_model_opened_predicts_one_step_ahead_and_is_read_back(result, tmp_path):
    model, test = result.model, system(240, 4)
    model.save(tmp_path / "m.safetensors")
    read = Model.load(tmp_path / "m.safetensors")
    assert read.network == model.network == NARX((4,), open_share=0.5)
    np.testing.assert_array_equal(read.predict(test), model.predict(test))
    ahead = dataclasses.replace(model, network=model.network.replace(loop="open"))
    one, free = (np.abs(m.predict(test)[0] - test["y"])[2:].mean() for m in (ahead, model))
    assert one < free


def test_levenberg_and_marquardt_take_both_phases(windows):
    """In each phase the cost of that phase falls, and the damping begins anew where the loop closes."""
    result = study_of(NARX((1,), open_share=0.5), optimizer="lm", epochs=8, batch_size=None).run(windows)
    (member,) = result.members
    assert member.status == "finished"
    assert member.train_cost[4] > member.train_cost[3]
    for phase in (member.train_cost[:4], member.train_cost[4:]):
        assert np.all(np.diff(phase) < 0)


def test_written_read_and_labelled():
    spec = NARX((8,), open_share=0.25)
    assert from_json(to_json(spec)) == spec
    assert spec.label == "NARX 2+2 8 tanh open 0.25"
    assert NARX((8,)).label == "NARX 2+2 8 tanh"
    static, numbers = partition(spec)
    assert numbers == (0.25,)
    assert combine(static, numbers) == spec


@pytest.mark.parametrize("share", [-0.1, 1.1, "half", True])
def test_a_share_is_from_0_to_1(share):
    with pytest.raises(InputError, match=r"NARX\.open_share needs a share from 0 to 1"):
        NARX(open_share=share)


# --- the linear ARX model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [0, "all"])
def test_a_planted_arx_system_is_found(known):
    """Without noise its coefficients come back, and it is simulated as it was."""
    u = np.repeat(np.random.default_rng(0).normal(size=60), 5)
    y = np.zeros(300)
    for t in range(1, 300):
        y[t] = 1.5 * y[t - 1] - 0.6 * y[max(t - 2, 0)] + 0.5 * u[t] + 0.2 * u[t - 1] + 1
    data = read_series({"u": u, "y": y}, "y", predict="every step", window=60, known=known)
    spec = NARX((), train="least squares", at_rest=known == 0)
    result = Study(networks=spec, test=0.0, epochs=1, validation=FOLDS_OF_WINDOWS).run(data)
    model = result.model
    assert result.candidates[0].label.startswith("ARX 2+2")
    weight = model.weights[0][:4] * model.in_factor[0, 0] ** np.array([1, 1, 0, 0])
    weight *= model.out_scale[0, 0] ** np.array([1, 1, 0, 0])
    np.testing.assert_allclose(weight, [0.5, 0.2, 1.5, -0.6], rtol=5e-3)
    if known == "all":
        assert result.validation["rmse"] < 2e-2 * y.std()
    with pytest.raises(InputError, match=r'train="least squares" is for a linear model'):
        NARX((3,), train="least squares")
    with pytest.raises(InputError, match="an open loop needs measured outputs"):
        NARX((), loop="open", at_rest=True)


FOLDS_OF_WINDOWS = Folds((((0, 1, 2), (3, 4)),))


def test_without_hidden_units_it_begins_solved():
    """Where the solution is better than the weights that it was built with; a planted system is found as it stands."""
    random = np.random.default_rng(3)
    u, y = random.normal(size=(4, 40)), np.zeros((4, 40))
    for k in range(1, 40):
        y[:, k] = 0.7 * y[:, k - 1] + 0.5 * u[:, k]
    spec = NARX((), input_lags=1, output_lags=1)

    @jax.jit
    def weights(x, t):
        built = spec.build((40, 2), (40, 1), key=jax.random.key(0))
        module = spec.prime(built, lambda: (x, t, jnp.ones(4)), key=jax.random.key(0))
        return built.layers[0].weight[:, 0], module.layers[0].weight[:, 0]

    with jax.enable_x64(True):
        x, t = np.stack([u, y], 2), y[..., None]
        np.testing.assert_allclose(weights(x, t)[1], [0.5, 0.7], atol=1e-5)
        np.testing.assert_array_equal(*weights(x * np.nan, t))
