"""Where the kernels come from, and what happens where they cannot be had."""

import os
import shutil
import stat
import subprocess
import sys

import pytest

from perceptory.kernels import build

COMPILER = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")

# Prints the status, whether the program calls a kernel, and its result.
RUN = """
import perceptory
from perceptory import kernels
before = kernels.status()
perceptory.backend.prepare()
import jax, jax.numpy as jnp
from perceptory.networks.recurrent import LSTM
net = LSTM((3,)).build((4, 2), (1,), key=jax.random.key(0))
program = jax.jit(lambda x: net(x))
x = jnp.ones((2, 4, 2))
called = "perceptory_lstm" in program.lower(x).as_text()
print(before, kernels.status(), called, float(program(x)[0, 0]), sep="|")
"""
# Less: only the library is looked for.
LOAD = """
from perceptory.kernels import build
print("not used", build.loads("lstm", "float32") and build.status(), True, 0.0, sep="|")
"""


def start(code=RUN, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "JAX_PLATFORMS": "cpu", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process, told=""):
    """(status, whether a kernel is called, output) of a process that says `told` and nothing else."""
    out, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert errors.rstrip() == told
    before, status, called, value = out.rstrip().split("|")
    assert before == "not used"
    return status, called == "True", float(value)


def compiler(folder, text):
    """An executable named c++ that does what `text` says."""
    path = folder / "c++"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return str(path)


def here(patch, capsys, **environment):
    """What `result` gives, of this process as if it had not looked for kernels yet."""
    for name, value in environment.items():
        patch.setenv(name, value)
    for name, empty in (("_states", {}), ("_libraries", {}), ("_told", [])):
        patch.setattr(build, name, empty)
    exec(RUN, {})
    before, status, called, value = capsys.readouterr().out.rstrip().split("|")
    assert before == "not used"
    return status, called == "True", float(value)


@pytest.fixture
def without(monkeypatch, capsys):
    """The output by XLA."""
    with monkeypatch.context() as patch:
        status, called, value = here(patch, capsys, PERCEPTORY_KERNELS="off")
    assert (status, called) == ("off: PERCEPTORY_KERNELS=off", False)
    return value


def test_no_compiler(without, monkeypatch, capsys, caplog, tmp_path):
    found = here(monkeypatch, capsys, PATH=str(tmp_path), CXX="")
    assert found == ("off: no C++ compiler", False, without)
    assert not caplog.records


def test_failed_compilation(without, tmp_path):
    broken = compiler(
        tmp_path, '[ "$1" = --version ] && exec echo "broken 1.0"\necho "x.cc:1: error: no luck" >&2; exit 1'
    )
    why = f"{broken} failed: x.cc:1: error: no luck"
    told = f"perceptory: kernels are off ({why}), so training is slower and rounds otherwise than with them."
    status, called, value = result(start(CXX=broken), told)
    assert status == f"off: {why}"
    assert (called, value) == (False, without)


@needs_compiler
def test_processes_that_compile_at_once_share_the_outcome(without, tmp_path):
    """Two at once, then one that finds the library, then one that finds it damaged."""
    log = tmp_path / "log"
    # Little optimization: what the compiler makes of the kernels is tested elsewhere.
    counting = compiler(tmp_path, f'[ "$1" = --version ] || echo run >> {log}\nexec {shutil.which(COMPILER)} "$@" -O0')
    environment = {"PERCEPTORY_CACHE": str(tmp_path / "cache"), "CXX": counting}
    together = [start(**environment) for _ in range(2)]
    for status, called, value in map(result, together):
        assert status.startswith("compiled by ")
        assert called
        assert value == pytest.approx(without, rel=1e-5)
    runs = log.read_text().count("run")
    assert runs in (1, 2)
    (library,) = (tmp_path / "cache").glob("kernels-*")  # nothing temporary is left
    assert result(start(LOAD, **environment))[0].startswith("compiled by ")
    assert log.read_text().count("run") == runs
    library.write_bytes(b"damaged")
    again = result(start(LOAD, **environment), f"perceptory: {library} is damaged and is made anew.")
    assert again[0].startswith("compiled by ")
    assert log.read_text().count("run") == runs + 1


@needs_compiler
def test_kernels_that_came_with_the_package(monkeypatch, tmp_path):
    """The best that the processor can run is offered first, none made from other sources, none where CXX is set."""
    monkeypatch.setattr(build, "PREBUILT", tmp_path)
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    monkeypatch.delenv("CXX", raising=False)
    v3, v4 = build.LEVELS["x86_64"]["x86-64-v3"][1], build.LEVELS["x86_64"]["x86-64-v4"][1]
    for level in build.LEVELS["x86_64"]:
        (tmp_path / build.packaged_name("dense", "float32", level)).touch()
    (tmp_path / "dense-float64-x86-64-v3-0123456789abcdef.so").touch()
    for abilities, offered in ((v3 | v4, ["x86-64-v4", "x86-64-v3"]), (v3, ["x86-64-v3"]), (frozenset({"avx"}), [])):
        monkeypatch.setattr(build.backend, "processor_abilities", lambda a=abilities: a)
        assert [level for level, _ in build._packaged("dense", "float32")] == offered
    monkeypatch.setattr(build.backend, "processor_abilities", lambda: v4)
    assert not list(build._packaged("dense", "float64"))
    monkeypatch.setenv("CXX", COMPILER)
    assert not list(build._packaged("dense", "float32"))


PACKAGED = """
import sys
from pathlib import Path
from perceptory.kernels import build
build.PREBUILT = Path(sys.argv[1])
build.LEVEL = {"dense": "-O0"}
assert build.loads("dense", "float32")
print(build.status())
"""


@needs_compiler
@pytest.mark.skipif(os.uname().machine not in build.LEVELS, reason="no kernels in the package for this processor")
def test_without_a_compiler_those_of_the_package_are_used(monkeypatch, tmp_path):
    for name, less in {"CALLS": ["dense"], "TYPES": ["float32"]}.items():
        monkeypatch.setattr(build, name, {key: getattr(build, name)[key] for key in less})
    monkeypatch.setattr(build, "PREBUILT", tmp_path)
    monkeypatch.setattr(build, "LEVEL", {"dense": "-O0"})  # part of the libraries' names
    build._interface.cache_clear()
    made = build.prebuild(build.platform.machine(), build._compiler())
    build._interface.cache_clear()
    assert sorted(tmp_path.iterdir()) == sorted(made)
    if not suiting():
        pytest.skip("this processor is of no level")
    done = subprocess.run(
        [sys.executable, "-c", PACKAGED, str(tmp_path)], capture_output=True, text=True, check=False,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PATH": "", "CXX": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("built into the package for")


def suiting():
    abilities = build.backend.processor_abilities()
    return [level for level, (_, needed) in build.LEVELS[os.uname().machine].items() if needed <= abilities]


# What would be compiled, and whether the kernel is there for few numbers, for many and then for few.
FEW = """
from perceptory.kernels import build
compiled, own = [], build._compile
build._compile = lambda command, path: compiled.append(path.name.split("-")[1]) or own(command, path)
print(*(build.loads("threefry", "float32", numbers) for numbers in (10, build.WORTH, 10)), *compiled)
"""


@needs_compiler
def test_few_numbers_are_not_worth_compiling(tmp_path):
    first, later = (start(FEW, PERCEPTORY_CACHE=str(tmp_path)).communicate(timeout=180)[0] for _ in range(2))
    assert first.split() == ["False", "True", "True", "threefry"]
    assert later.split() == ["True", "True", "True"]  # it is in the cache folder


# Kernels begun in one thread, while another one waits for a later one.
BEGUN = """
from perceptory.kernels import build
compiled, own = [], build._compile
build._compile = lambda command, path: compiled.append(path.name.split("-")[1]) or own(command, path)
wanted = ("threefry", "float32"), ("texts", "float32")
build.begin(*wanted), build.begin(*wanted)
print(build.loads("texts", "float32"), build.loads("threefry", "float32"), *sorted(compiled))
"""


@needs_compiler
def test_kernels_are_begun_once(tmp_path):
    out, errors = start(BEGUN, PERCEPTORY_CACHE=str(tmp_path)).communicate(timeout=180)
    assert out.split() == ["True", "True", "texts", "threefry"], errors


def test_what_a_network_names_are_kernels():
    from perceptory.networks.kernel_ridge import KernelRidge
    from perceptory.networks.tabular import TabularMLP

    assert {*TabularMLP().kernels, *KernelRidge().kernels} <= {name for name, calls in build.CALLS.items() if calls}
