"""The backend: its guard, its settings, and jitted against eager gradients of every network and cost."""

import json
import os
import subprocess
import sys
import warnings
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceptory import backend
from perceptory.layers.arrays import unpack
from perceptory.networks.base import layout
from perceptory.networks.mlp import MLP
from perceptory.objectives.penalties import WeightPenalty
from perceptory.objectives.table import COSTS, mean_cost
from perceptory.ops.activations import ACTIVATIONS

# --- compiled programs compute what they say --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 8, 8), (16, 64, 64), (64, 32, 128), (8, 256, 256), (100, 33, 7)])
def test_sum_of_mapped_matrix_vector_products_is_exact(shape):
    """jax-ml/jax#39103: off by a few parts in a million where the fusion is faulty. All numbers here are whole and
    small enough for float32 to hold every partial sum."""
    random = np.random.default_rng(0)
    a, b = random.integers(-3, 4, shape), random.integers(-3, 4, (shape[0], shape[2]))

    @jax.jit
    def total(a, b):
        return jnp.sum(jax.vmap(lambda m, v: m @ v)(a, b))

    @jax.jit
    def by_member(a, b):
        return jnp.sum(jax.vmap(lambda m, v: m @ v)(a, b), axis=1)

    expected = np.einsum("nij,nj->n", a, b)
    a, b = a.astype(np.float32), b.astype(np.float32)
    assert np.array_equal(by_member(a, b), expected)
    assert float(total(a, b)) == expected.sum()


def test_sum_of_two_to_the_28_is_exact():
    """The number of the report: 266342400 came out for 268435456 = 64 · 64 · 256 · 256."""

    @jax.jit
    def total(a, b):
        return jnp.sum(jax.vmap(lambda m, v: m @ v)(a, b))

    assert float(total(jnp.full((64, 64, 256), 16.0), jnp.full((64, 256), 16.0))) == 268435456.0


def gradient_cases():
    yield "squared", MLP(())
    for cost in [name for name, kind in COSTS.items() if not kind().context]:  # others are for networks that tell it
        yield cost, MLP((4, 3))
    for activation in ACTIVATIONS:
        yield "squared", MLP((4,), activation=activation)


@pytest.mark.parametrize(("name", "spec"), list(gradient_cases()), ids=lambda v: getattr(v, "label", v))
def test_jitted_gradients_equal_eager_ones(name, spec):
    """Also mapped over members and summed over a batch with a penalty, as training has it."""
    cost, random = COSTS[name](), np.random.default_rng(1)
    outputs = cost.outputs(1 if name == "sigmoid" else 3)
    x, row_weight = random.normal(size=(7, 4)).astype(np.float32), np.array([1, 1, 0.5, 2, 1, 0, 1], np.float32)
    classes = np.eye(3, dtype=np.float32)[random.integers(0, 3, 7)]
    t = classes[:, :1] if name == "sigmoid" else classes if name == "softmax" else random.normal(size=(7, 3))
    where = layout(spec, (4,), (outputs,))
    mask = where.weight_mask().astype(np.float32)
    members = random.normal(size=(2, where.size)).astype(np.float32) * 0.7

    def gradient(weights):
        def value(w):
            net = unpack(spec.build((4,), (outputs,), key=jax.random.key(0)), w)
            return mean_cost(cost, net(x), jnp.asarray(t, jnp.float32), row_weight)

        return WeightPenalty(0.1, p=1.5).slope(jax.grad(value)(weights), weights, mask)

    with jax.disable_jit():
        eager = gradient(members[0])
    jitted = jax.jit(gradient)
    alone = np.stack([jitted(w) for w in members])
    np.testing.assert_allclose(alone[0], eager, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(gradient))(members), alone, rtol=2e-5, atol=2e-6)


# --- the guard ---------------------------------------------------------------------------------------------------


def test_sound_releases_are_left_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    assert backend.guard("0.10.1", started=False) is False
    assert os.environ["XLA_FLAGS"] == "--xla_a=1"


def test_the_faulty_fusion_is_turned_off_beside_the_users_flags(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    assert backend.guard("0.10.2", started=False) is True
    assert os.environ["XLA_FLAGS"] == "--xla_a=1 --xla_cpu_experimental_ynn_fusion_type=-reduce"
    monkeypatch.delenv("XLA_FLAGS")
    backend.guard("0.10.2", started=False)
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_experimental_ynn_fusion_type=-reduce"


def test_the_users_choice_of_fusions_stays(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_experimental_ynn_fusion_type=dot")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backend.guard("0.10.2", started=True) is True
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_experimental_ynn_fusion_type=dot"


def test_a_warning_where_it_is_too_late(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    with pytest.warns(RuntimeWarning, match=r"jaxlib 0\.10\.2 computes wrong sums on CPU and JAX has started already"):
        assert backend.guard("0.10.2", started=True) is True
    assert os.environ["XLA_FLAGS"] == ""


# --- settings ----------------------------------------------------------------------------------------------------


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PERCEPTORY_CACHE", str(tmp_path))
    assert backend.cache_folder() == tmp_path
    monkeypatch.setenv("PERCEPTORY_CACHE", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    by_machine = backend.cache_folder()  # machine code for one processor must not run on another
    assert by_machine.parent == tmp_path / "x" / "perceptory"
    assert by_machine.name.startswith(version("jaxlib") + "-")
    assert backend.cache_folder() == by_machine
    monkeypatch.delenv("PERCEPTORY_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert backend.cache_folder() == tmp_path / ".cache" / "perceptory" / by_machine.name


def test_precision_holds_within_its_block():
    with backend.precision("double") as dtype:
        assert dtype is jnp.float64
        assert jnp.zeros(1).dtype == np.float64
        assert float(jnp.asarray(1.0) + 1e-12) != 1.0
    assert jnp.zeros(1).dtype == np.float32
    with backend.precision("single") as dtype:
        assert dtype is jnp.float32
        assert jnp.asarray(np.ones(1)).dtype == np.float32


def test_environment_names_versions_and_devices():
    found = backend.environment()
    assert found["jax"] == jax.__version__
    assert found["backend"] == jax.default_backend()
    assert len(found["devices"]) == len(jax.local_devices())
    json.dumps(found)
    assert 1 <= backend.cores() <= (os.cpu_count() or 1)


def in_a_process(code, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS", "PERCEPTORY_CACHE")}
    code = "from perceptory import backend\nimport json, jax\n" + code
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=env | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


SETTINGS = "print(json.dumps([len(jax.local_devices()), jax.config.jax_compilation_cache_dir]))"


def test_one_device_a_core_and_a_cache(tmp_path):
    got = in_a_process("backend.prepare()\n" + SETTINGS, PERCEPTORY_CACHE=str(tmp_path))
    assert got == [backend.cores() if jax.default_backend() == "cpu" else got[0], str(tmp_path)]


def test_what_the_user_has_set_stays(tmp_path):
    mine = str(tmp_path / "mine")
    got = in_a_process(
        "backend.prepare()\nbackend.prepare()\n" + SETTINGS, JAX_NUM_CPU_DEVICES="3", JAX_COMPILATION_CACHE_DIR=mine
    )
    assert got == [3 if jax.default_backend() == "cpu" else got[0], mine]


def test_importing_perceptory_starts_nothing():
    code = (
        "import sys, perceptory, json\nprint(json.dumps([m for m in ('jax', 'polars', 'sklearn') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_told_so_and_does_not_stand_still():
    code = (
        "import os, numpy as np, perceptory as pt, warnings; warnings.simplefilter('ignore')\n"
        "pt.least_squares(lambda p: p, np.ones(1))\n"
        "pid = os.fork()\n"
        "try:\n    pt.least_squares(lambda p: p, np.ones(1))\n"
        "except pt.InputError as error:\n    assert 'was forked' in str(error); os._exit(7)\n"
        "sys_exit = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]); assert sys_exit == 7"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
