"""Compiled programs kept between processes: a study that has run before starts without tracing or compiling.

JAX's own cache keeps machine code under a digest of the lowered program, so it still has to trace and lower, which
takes longer than reading the code. Here a program's name is a digest of everything that it is made from: the plan, the
shapes of its arguments, the source of perceptory and the versions below it. The files hold machine code and lie beside
JAX's, in a folder of the user's own. A file names the kernels that its program calls; they are loaded first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pickle
import time
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache

import perceptory
from perceptory import backend
from perceptory.kernels import build
from perceptory.specs import Spec, Traced
from perceptory.training.epoch import kernel_stack
from perceptory.training.plan import Member, ProgramPlan, chunk_devices
from perceptory.training.population import empty_state, program

UNUSED_DAYS = 30  # after these a kept program is removed


class Program:
    """A group's program for arguments of given shapes; call it as `population.program`'s.

    state: shapes of a chunk's state.
    """

    def __init__(self, plan: ProgramPlan, members: Member, data: Any):
        self._plan = plan
        self._path = _path(plan, members, data)
        self._executable = None if self._path is None else _read(self._path, plan)
        if self._executable is None:
            if kernel_stack(plan) is not None:
                build.begin("dense", np.dtype(members.factor.dtype).name)
            self.state = empty_state(plan, members, data)
        else:
            self.state = self._executable.args_info[0][1]

    def __call__(self, *arguments: Any) -> Any:
        if self._executable is None:
            run = program(self._plan)
            self._executable = run if self._path is None else _compiled(run, arguments, self._path)
        return self._executable(*arguments)


def cached_program(plan: ProgramPlan, members: Member, data: Any) -> Program:
    """The program of a group for one chunk of members; the same one for equal plans and shapes."""
    arrays, tree = jax.tree.flatten((members, data))
    return _ready(plan, tuple((a.shape, np.dtype(a.dtype).name) for a in arrays), tree)


@lru_cache(maxsize=256)
def _ready(plan: ProgramPlan, shapes: tuple[tuple[tuple[int, ...], str], ...], tree: Any) -> Program:
    return Program(plan, *jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]))


# --- names -------------------------------------------------------------------------------------------------------


class _UnknownError(Exception):
    """Something that a name cannot be made of, such as a function of the user's."""


def _path(plan: ProgramPlan, members: Member, data: Any) -> Path | None:
    """Where the program is kept; None where there is no cache or the plan holds what has no name."""
    config: Any = jax.config  # its attributes are made at run time
    folder = config.jax_compilation_cache_dir
    if folder is None or not config.jax_enable_compilation_cache or backend.native():
        return None
    arrays, tree = jax.tree.flatten((members, data))
    try:
        parts = (
            _described(plan),
            [(a.shape, str(a.dtype)) for a in arrays],
            str(tree),
            [d.id for d in chunk_devices(plan.blocks)],
            len(jax.local_devices()),
            _surroundings(),
        )
    except _UnknownError:
        return None
    return Path(folder) / "programs" / hashlib.blake2b(repr(parts).encode(), digest_size=20).hexdigest()


def _described(value: Any) -> Any:
    """Plain data that tell one plan from any other, in every process."""
    if isinstance(value, Spec | ProgramPlan):
        kind = type(value)
        if kind.__module__.partition(".")[0] != "perceptory":
            raise _UnknownError
        fields = dataclasses.fields(value)  # type: ignore[arg-type]
        return kind.__qualname__, [(f.name, _described(getattr(value, f.name))) for f in fields]
    if type(value) is tuple:
        return [_described(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str | Traced):
        return value
    raise _UnknownError


@lru_cache(maxsize=1)
def _surroundings() -> tuple[Any, ...]:
    """What else the machine code depends on: sources, versions, the processor, settings."""
    home = Path(perceptory.__file__).parent
    digest = hashlib.blake2b()
    for path in sorted(p for p in home.rglob("*.*") if p.suffix in (".py", ".cc", ".h")):
        place = path.relative_to(home)
        if place.parts[0] not in _OUTSIDE:
            digest.update(place.as_posix().encode() + path.read_bytes())
    settings = {name: str(value) for name, value in jax.config.values.items() if name not in _IDLE}
    return (
        digest.hexdigest(),
        [backend.version(name) for name in ("jax", "jaxlib", "equinox", "optax", "numpy")],
        backend.processor(),
        os.environ.get("XLA_FLAGS", ""),
        build.possible(),
        sorted(settings.items()),
    )


# Not in a program.
_OUTSIDE = frozenset(
    {"app", "data", "estimators", "figures", "insight", "models", "reports", "results", "runs", "selection", "studies"}
)
_IDLE = frozenset({"jax_compilation_cache_dir", "jax_enable_x64"})  # the latter shows in the arguments' types


# --- files -------------------------------------------------------------------------------------------------------


def _read(path: Path, plan: ProgramPlan) -> Any:
    """The program kept there, or None."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(Exception):  # cut short, or not what this release of JAX writes: it is made anew
        kernels, code, given, returned = pickle.loads(content)
        if not all(build.loads(*kernel) for kernel in kernels):
            return None
        devices = chunk_devices(plan.blocks)
        found = serialize_executable.deserialize_and_load(code, given, returned, execution_devices=devices)
        with contextlib.suppress(OSError):
            os.utime(path)
        return found
    return None


def _compiled(run: Any, arguments: tuple[Any, ...], path: Path) -> Any:
    """Compile for these arguments, and keep the result."""
    lowered = run.lower(*arguments)
    if build.failed():  # another process may have more luck, and must not find a program without kernels
        return lowered.compile()
    kernels = build.called(lowered.as_text())
    with _without_jax_cache():
        found = lowered.compile()
    with contextlib.suppress(Exception):  # to keep it is a convenience: a full disk must not stop a study
        content = pickle.dumps((kernels, *serialize_executable.serialize(found)))
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f"{uuid.uuid4().hex}.tmp")
        try:
            own.write_bytes(content)
            os.replace(own, path)
        finally:
            own.unlink(missing_ok=True)
        _tidy(path.parent)
    return found


@contextlib.contextmanager
def _without_jax_cache() -> Iterator[None]:
    """A program that JAX read from its own cache cannot be written again: it lacks its functions (jaxlib 0.10.1)."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
        compilation_cache.reset_cache()


def _tidy(folder: Path) -> None:
    oldest = time.time() - UNUSED_DAYS * 86400
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
