"""The backend: its guard, its settings, and compiled gradients of every activation and cost."""

import gc
import json
import os
import subprocess
import sys
import types
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


def test_jax_that_another_thread_is_importing_has_not_started(monkeypatch):
    """Kernels are compiled in a thread from before JAX is imported: it may see modules that are half there."""
    monkeypatch.setitem(sys.modules, "jax._src.xla_bridge", types.ModuleType("half"))
    assert not backend._started()
    assert not backend.native()


# --- compiled programs compute what they say --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 8, 8), (16, 64, 64), (64, 32, 128), (8, 256, 256), (100, 33, 7)])
def test_sum_of_mapped_matrix_vector_products_is_exact(as_users, shape):
    """jax-ml/jax#39103: off by a few parts in a million where the fusion is faulty. All numbers here are whole and
    small enough for float32 to hold every partial sum."""
    random = np.random.default_rng(0)
    a, b = random.integers(-3, 4, shape), random.integers(-3, 4, (shape[0], shape[2]))
    total = as_users(lambda a, b: jnp.sum(jax.vmap(lambda m, v: m @ v)(a, b)))
    by_member = as_users(lambda a, b: jnp.sum(jax.vmap(lambda m, v: m @ v)(a, b), axis=1))
    expected = np.einsum("nij,nj->n", a, b)
    a, b = a.astype(np.float32), b.astype(np.float32)
    assert np.array_equal(by_member(a, b), expected)
    assert float(total(a, b)) == expected.sum()


def test_sum_of_two_to_the_28_is_exact(as_users):
    """The number of the report: 266342400 came out for 268435456 = 64 · 64 · 256 · 256."""
    total = as_users(lambda a, b: jnp.sum(jax.vmap(lambda m, v: m @ v)(a, b)))
    assert float(total(np.full((64, 64, 256), 16, np.float32), np.full((64, 256), 16, np.float32))) == 268435456.0


def targets(cost, random):
    """Of seven rows, such as the cost can have."""
    classes = np.eye(3, dtype=np.float32)[random.integers(0, 3, 7)]
    named = {"sigmoid": classes[:, :1], "softmax": classes}
    return named.get(cost, random.normal(size=(7, 3)).astype(np.float32))


def compare(as_users, cases):
    """The gradients of all cases by one program as users' are compiled, mapped over members and summed over a batch
    with a penalty as training has it; the first member's alone by another; and those in double precision."""
    random, row_weight = np.random.default_rng(1), np.array([1, 1, 0.5, 2, 1, 0, 1], np.float32)
    x = random.normal(size=(7, 4)).astype(np.float32)
    gradients, members = [], []
    for name, spec in cases:
        cost, t = COSTS[name](), targets(name, random)
        outputs = cost.outputs(t.shape[1])
        where = layout(spec, (4,), (outputs,))

        def gradient(weights, cost=cost, t=t, spec=spec, outputs=outputs, where=where):
            dtype, mask = weights.dtype, where.weight_mask()
            module = spec.build((4,), (outputs,), key=jax.random.key(0))

            def value(w):
                return mean_cost(cost, unpack(module, w)(x.astype(dtype)), t.astype(dtype), row_weight.astype(dtype))

            return WeightPenalty(0.1, p=1.5).slope(jax.grad(value)(weights), weights, mask.astype(dtype))

        gradients.append(gradient)
        members.append(random.normal(size=(2, where.size)).astype(np.float32) * np.float32(0.7))

    def mapped(members):
        return [jax.vmap(f)(w) for f, w in zip(gradients, members, strict=True)]

    alone = as_users(lambda weights: [f(w) for f, w in zip(gradients, weights, strict=True)])([w[0] for w in members])
    ours = as_users(mapped)(members)
    with jax.enable_x64(True):
        exact = jax.jit(lambda weights: mapped(weights))([w.astype(float) for w in members])
    for (name, spec), one, both, expected in zip(cases, alone, ours, exact, strict=True):
        assert (both.dtype, expected.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(one, expected[0], rtol=2e-5, atol=2e-6, err_msg=f"{name} {spec}")
        np.testing.assert_allclose(both, expected, rtol=2e-5, atol=2e-6, err_msg=f"{name} {spec}")


def test_gradients_of_every_cost_equal_those_in_double_precision(as_users):
    named = [name for name, kind in COSTS.items() if not kind().context]  # others are for networks that tell it
    compare(as_users, [("squared", MLP(())), *((name, MLP((4, 3))) for name in named)])


def test_gradients_of_every_activation_equal_those_in_double_precision(as_users):
    compare(as_users, [("squared", MLP((4,), activation=activation)) for activation in ACTIVATIONS])


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


def test_blocks_in_several_threads_leave_the_garbage_collector_as_it_was():
    before = gc.get_threshold()
    one, two = backend.seldom_collected(), backend.seldom_collected()
    one.__enter__(), two.__enter__()
    assert gc.get_threshold()[0] >= backend.COLLECT_AFTER
    one.__exit__(None, None, None)  # the first to begin need not be the last to end
    assert gc.get_threshold()[0] >= backend.COLLECT_AFTER
    two.__exit__(None, None, None)
    assert gc.get_threshold() == before
