"""Set up once, before anything imports JAX: no compilation cache outside the run, types checked, calm hypothesis."""

from __future__ import annotations

import fcntl
import gc
import inspect
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import jaxtyping
import numpy as np
import pytest
from jaxtyping._import_hook import Typechecker

from perceptory import backend

# A cache from an earlier run could hide a program that no longer compiles: here there is none, and the processes that
# tests start share one that lasts as long as the run.
RUN = Path(tempfile.gettempdir()) / f"perceptory-tests-{os.environ.setdefault('PERCEPTORY_TESTS', str(os.getpid()))}"
os.environ["PERCEPTORY_CACHE"] = "off"
# Those processes import much of the package: the first keeps what Python compiles of it, the others read that.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A program is compiled as one piece of code, not as 32 in turn: the same numbers, a fifth less work.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_parallel_codegen_split_count=1".strip()
# Imports and tracing make many objects that stay; an eighth of the time went into looking at them again.
gc.set_threshold(50_000, 20, 20)
backend.prepare()
os.environ["PERCEPTORY_CACHE"] = str(RUN)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):  # not a worker: the run is over
        shutil.rmtree(RUN, ignore_errors=True)


# Annotations are checked at run time where only perceptory calls. Not at its edges: specs, data and metrics take more
# than an annotation says (search values, NumPy's numbers) and say themselves, in an `InputError`, what is wrong.
jaxtyping.install_import_hook("perceptory.training", "beartype.beartype")


def _once(check: Any) -> Any:
    """Functions within functions are defined in every trace; the check of equal annotations is made only once. It is
    that of an empty function with the same signature, so it holds nothing of the first."""
    made: dict[Any, Any] = {}

    def checked(function: Any) -> Any:
        if "<locals>" not in function.__qualname__ or function.__defaults__ or function.__kwdefaults__:
            return check(function)
        annotations = tuple((name, repr(kind)) for name, kind in function.__annotations__.items())
        key = function.__module__, function.__qualname__, annotations, inspect.signature(function)
        if key not in made:
            made[key] = check(function)
        return made[key]

    return checked


Typechecker.lookup.update({name: _once(check) for name, check in Typechecker.lookup.items()})


@pytest.fixture(autouse=True)
def _drawn_again():
    """What is drawn where no seed is given (scikit-learn's `random_state=None`) is the same in every run."""
    np.random.seed(0)


# A busy machine must not fail a test, and a failure must come again.
hypothesis.settings.register_profile("perceptory", deadline=None, derandomize=True)
hypothesis.settings.load_profile("perceptory")


# --- compiling takes most of the time ----------------------------------------------------------------------------

# Only these files compile as for users: populations, and what is quick to compile. The others check formulas and
# behavior that do not depend on XLA's optimizations, so it compiles with little effort: in half the time where a
# program is one operation, in a quarter where it trains. What they have to compile as for users (kernels, loops with
# derivatives of their own, jitted gradients of every activation and cost), they jit by the fixture `as_users`; a test
# that trains so uses the fixture `for_users`.
FULL = (
    "layers/test_layers.py", "ops/test_toom_cook.py", "training/test_population.py", "training/test_second_order.py",
)  # fmt: skip
LITTLE_EFFORT = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
FOR_USERS = {
    "xla_cpu_use_fusion_emitters": True,
    "xla_backend_optimization_level": 3,
    "xla_llvm_disable_expensive_passes": False,
}
AS_FLAGS = " ".join(f"--{name}={str(value).lower()}" for name, value in LITTLE_EFFORT.items())

# The longest files of both kinds come first, so that neither worker is left alone with one at the end.
LONG = (
    "training/test_population.py", "test_examples.py", "estimators/test_checks.py", "app/test_examples.py",
    "ops/test_scans.py", "service/test_service.py", "studies/test_study.py", "networks/test_recurrent.py",
    "test_backend.py", "kernels/test_convolution.py", "app/test_commands.py", "networks/test_rbf.py",
    "app/test_resume.py", "kernels/test_build.py", "kernels/test_dense.py", "kernels/test_lstm.py",
    "training/test_rows.py", "training/test_second_order_studies.py", "export/test_networks.py",
    "studies/test_cluster.py",
)  # fmt: skip

# Every run folder holds a report, and matplotlib takes longer to write its seven figures than a small study to train.
# These files read the figures of reports; in the others one is drawn and not written.
REPORTS = (
    "app/test_autoencode.py", "results/test_forecasts.py", "results/test_page.py", "results/test_report_examples.py",
)  # fmt: skip

MOST_PROGRAMS = (
    3000  # of a worker, a megabyte or more each, above which those of earlier modules are let go: four seconds
)

_quick = False
_asked: dict[str, Any] = {}
_programs = 0


def _count(event: str, *_: Any, **__: Any) -> None:
    global _programs
    _programs += event == "/jax/core/compile/backend_compile_duration"


def place(path: Path) -> str:
    return path.relative_to(Path(__file__).parent).as_posix()


def quick(path: Path) -> bool:
    return not place(path).startswith(FULL)


def pytest_collection_modifyitems(items):
    def order(item: Any) -> tuple[bool, int]:
        name = place(item.path)
        return quick(item.path), LONG.index(name) if name in LONG else len(LONG)

    items.sort(key=order)


@pytest.fixture(scope="module", autouse=True)
def _effort(request):
    """How hard XLA tries, here and in the processes that the module starts."""
    global _quick, _programs
    import jax

    wanted = quick(request.path)
    if wanted != _quick or _programs > MOST_PROGRAMS:
        jax.clear_caches()
        gc.collect()
        _quick, _programs = wanted, 0
    if not wanted:
        yield
        return
    flags = os.environ["XLA_FLAGS"]
    os.environ["XLA_FLAGS"] = f"{flags} {AS_FLAGS}"
    yield
    os.environ["XLA_FLAGS"] = flags


@pytest.fixture(scope="module", autouse=True)
def _drawn(request):
    """Figures of a report are drawn, and are written as SVG in tests that read reports."""
    if place(request.path).startswith(REPORTS):
        yield
        return
    from perceptory.figures import svg

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svg, "to_svg", lambda figure, key, words: f'<svg role="img" aria-label="{key}"/>')
        yield


@pytest.fixture(scope="session")
def as_users():
    """`jax.jit` that compiles as for users, also where the module compiles with little effort."""
    import jax

    return partial(jax.jit, compiler_options=FOR_USERS)


@pytest.fixture
def for_users():
    """What the test compiles first is compiled as for users."""
    global _asked
    _asked = FOR_USERS
    yield
    _asked = {}


def _install() -> None:
    import jax
    from jax._src import compiler

    jax.monitoring.register_event_duration_secs_listener(_count)
    options = compiler.get_compile_options

    def chosen(*args: Any, env_options_overrides: dict[str, Any] | None = None, **more: Any) -> Any:
        own = _asked | (env_options_overrides or {})
        return options(*args, env_options_overrides={**LITTLE_EFFORT, **own} if _quick else own or None, **more)

    compiler.get_compile_options = chosen


def _one_compiles_kernels() -> None:
    """The workers wait for each other, so that no kernel is compiled twice."""
    from perceptory.kernels import build

    compile_ = build._compile

    def alone(command: list[str], path: Path) -> bool:
        with open(path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return path.exists() or compile_(command, path)

    build._compile = alone


_install()
_one_compiles_kernels()
