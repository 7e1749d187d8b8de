"""Programs kept between processes: the same bits without tracing, and compiled anew where they cannot be read."""

import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import optax
import pytest

from perceptory import MLP, SGD, KFold, Optax, Study, backend, cache, choice
from perceptory.kernels import build
from perceptory.training import program_cache as kept

STUDY = Study(MLP((3,)), optimizer=SGD(choice(0.05, 0.1)), epochs=3, batch_size=8, validation=KFold(2), test=0)


@pytest.fixture
def folder(tmp_path):
    """A cache folder, as a process of its own would have it."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    kept._ready.cache_clear()
    cache._problems.clear()
    yield tmp_path / "programs"
    jax.config.update("jax_compilation_cache_dir", before)
    kept._ready.cache_clear()


def train(taken):
    kept._ready.cache_clear()
    return taken.train()


def test_read_back_in_place_of_tracing(folder, apart, sums, monkeypatch):
    taken = apart(STUDY, sums())
    first = train(taken)
    assert len(list(folder.iterdir())) == 1
    with monkeypatch.context() as forbidden:
        forbidden.setattr(kept, "program", None)
        forbidden.setattr(kept, "empty_state", None)
        second = train(taken)
    assert len(first) == 4
    for place, outcome in first.items():
        assert np.array_equal(outcome.weights, second[place].weights)
        assert np.array_equal(outcome.validation_output, second[place].validation_output)

    # Cut short by a crash: compiled and written again.
    path = next(folder.iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    third = train(taken)
    assert np.array_equal(first[0].weights, third[0].weights)
    assert len(path.read_bytes()) > 1000

    # Other shapes, other kinds, other sources: other names.
    def name(study, rows=40):
        group = apart(study, sums(rows)).groups[0]
        return kept._path(group.plan, group.members, apart(study, sums(rows)).raw)

    names = [name(STUDY), name(STUDY, 48), name(STUDY.replace(networks=MLP((4,)))), name(STUDY.replace(batch_size=4))]
    monkeypatch.setattr(kept, "_surroundings", lambda: "another version")
    names.append(name(STUDY))
    assert len(set(names)) == 5
    monkeypatch.undo()
    kept._surroundings.cache_clear()
    with_kernels = name(STUDY)
    monkeypatch.setattr(build, "possible", lambda: not with_kernels)
    kept._surroundings.cache_clear()
    assert name(STUDY) != with_kernels
    kept._surroundings.cache_clear()
    assert name(STUDY.replace(optimizer=Optax(optax.sgd(0.1)))) is None  # a function of the user's has no name


def test_no_altered_program_is_read(folder, apart, sums, caplog):
    """Bits turned over, files cut short: made anew each time, with the same bits, and told once."""
    taken = apart(STUDY, sums())
    first = train(taken)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    plan = taken.groups[0].plan
    for bit in np.random.default_rng(0).choice(8 * len(whole), 200, replace=False):
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        path.write_bytes(altered)
        assert kept._read(path, plan) is None
    assert len(caplog.records) == 1
    path.write_bytes(whole[: len(whole) // 2])
    assert np.array_equal(train(taken)[0].weights, first[0].weights)
    assert kept._read(path, plan) is not None


def test_a_file_that_is_whole_and_means_nothing(folder, apart, sums):
    """Written by us under another release of JAX, say: made anew."""
    taken = apart(STUDY, sums())
    first = train(taken)
    (path,) = folder.iterdir()
    for content in (
        b"", b"{}\n", b'{"kernels": [], "arguments": [], "tree": ["os:path", []], "state": [], "segment": []}\n',
        cache.read(path).partition(b"\n")[0] + b"\nno code",
    ):  # fmt: skip
        assert cache.write(path, content)
        assert np.array_equal(train(taken)[0].weights, first[0].weights)


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:tuple", "perceptory.training.epoch:epoch", "optax:adam", "sys:version_info"]
)
def test_a_description_names_states_alone(name):
    with pytest.raises((kept._UnknownError, ImportError)):
        kept._tree([name, [None]])


def test_a_folder_that_cannot_be_written_does_not_stop_a_study(folder, apart, sums):
    folder.write_text("a file in its place")
    assert len(train(apart(STUDY, sums()))) == 4


def test_programs_not_used_for_long_are_removed(folder, tmp_path):
    folder.mkdir()
    for name, days in (("old", 40), ("new", 1)):
        (folder / name).touch()
        age = kept.time.time() - days * 86400
        os.utime(folder / name, (age, age))
    kept._tidy(folder)
    assert [p.name for p in folder.iterdir()] == ["new"]


@pytest.fixture
def dense():
    if not build.loads("dense", "float32"):
        pytest.skip(f"kernels {build.status()}")


def kernels_of(path):
    return json.loads(path.read_bytes().partition(b"\n")[0])["kernels"]


@pytest.mark.usefixtures("dense")
def test_a_program_names_its_kernels(folder, apart, sums, monkeypatch):
    """It is made anew where they cannot be had, and where others failed to compile nothing is kept."""
    taken = apart(STUDY, sums())
    first = train(taken)
    (path,) = folder.iterdir()
    assert kernels_of(path) == [["dense", "float32"], ["threefry", "float32"]]
    monkeypatch.setattr(build, "loads", lambda *kernel: False)
    kept.program.cache_clear()  # this process has traced it already
    second = train(taken)
    assert kernels_of(path) == []
    np.testing.assert_allclose(first[0].weights, second[0].weights, atol=1e-5)
    path.unlink()
    no_luck = build.KernelState(build.Source.NONE, "no luck", build.Cause.FAILED)
    monkeypatch.setitem(build._states, ("lstm", "float32"), no_luck)
    train(taken)
    assert not list(folder.iterdir())
    kept.program.cache_clear()


RUN = """
import sys
import perceptory as pt
from perceptory.kernels import status
from perceptory.training import program_cache
if sys.argv[1] == "read":
    program_cache.program = None
import numpy as np
x = np.random.default_rng(0).normal(size=(40, 3))
study = pt.Study(pt.MLP((3,)), epochs=3, batch_size=8, validation=pt.KFold(2), test=0)
study.run(pt.read_table(x, target=x[:, 0] * x[:, 1]), folder=sys.argv[2])
print(status())
"""


@pytest.mark.usefixtures("dense")
def test_a_program_with_a_kernel_in_another_process(tmp_path):
    """Read without tracing, the kernel's library loaded before it: the same weights, bit for bit."""
    weights = []
    (tmp_path / "cache").mkdir(mode=0o700)
    for library in backend.cache_folder().glob("kernels-dense-*"):  # not compiled once more
        shutil.copy(library, tmp_path / "cache")
    for turn in ("made", "read"):
        done = subprocess.run(
            [sys.executable, "-c", RUN, turn, str(tmp_path / turn)],
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PERCEPTORY_CACHE": str(tmp_path / "cache")},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("compiled by")
        weights.append([p.read_bytes() for p in sorted((tmp_path / turn).rglob("*.safetensors"))])
    assert weights[0]
    assert weights[0] == weights[1]
