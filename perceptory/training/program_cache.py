"""Compiled programs kept between processes: a study that has run before starts without tracing or compiling.

JAX's own cache keeps machine code under a digest of the lowered program, so it still has to trace and lower, which
takes longer than reading the code. Here a program's name is a digest of everything that it is made from: the plan, the
shapes of its arguments, the source of perceptory and the versions below it. The files hold machine code and lie beside
JAX's, in a folder of the user's own (`perceptory.cache`).

A file is a line of JSON and XLA's executable, no pickle: JAX's own way of writing a compiled function is one, and a
pickle may run anything. The line names the kernels that the program calls, which are loaded first, and describes the
shapes of a chunk's state; arguments and results follow from those and from the plan.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from jaxlib.xla_client import DeviceList

import perceptory
from perceptory import backend, cache
from perceptory.kernels import build
from perceptory.ops.traced import compiled
from perceptory.specs import Spec, Traced
from perceptory.training.plan import Member, ProgramPlan, chunk_devices
from perceptory.training.population import Segment, empty_state, placements, program, traceable
from perceptory.training.procedures.first_order import kernel_stack

UNUSED_DAYS = 30  # after these a kept program is removed


class Program:
    """A group's program for arguments of given shapes; call it as `population.program`'s.

    state: shapes of a chunk's state.
    """

    def __init__(self, plan: ProgramPlan, members: Member, data: Any):
        self._plan = plan
        self._shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (members, data))
        self._lock = Lock()  # a thread may compile it ahead
        self._path = _path(plan, members, data)
        self._executable: Any = None if self._path is None else _read(self._path, plan)
        if self._executable is None:
            dense = [("dense", np.dtype(members.factor.dtype).name)] if kernel_stack(plan) is not None else []
            build.begin(("threefry", "float32"), *dense)
            self.state = empty_state(plan, members, data)
        else:
            self.state = self._executable.state

    def __call__(self, *arguments: Any) -> Any:
        if self._executable is None:
            self.make()
        return self._executable(*arguments)

    def make(self, turn: contextlib.AbstractContextManager[Any] | None = None) -> None:
        """Compile it, where that has not been done; within `turn` what XLA does of it."""
        with self._lock:
            if self._executable is None:
                with backend.seldom_collected():
                    self._executable = self._made(contextlib.nullcontext() if turn is None else turn)

    def _arguments(self) -> tuple[Any, ...]:
        """Shapes of what it is called with, where that lies on the devices."""
        spread, whole = placements(self._plan)

        def placed(tree: Any, where: Any) -> Any:
            return jax.tree.map(
                lambda a: jax.ShapeDtypeStruct(a.shape, jax.dtypes.canonicalize_dtype(a.dtype), sharding=where), tree
            )

        (members, data), chunk = self._shapes, (self._plan.chunk,)
        fresh, most = jax.ShapeDtypeStruct(chunk, bool), jax.ShapeDtypeStruct(chunk, np.int32)
        return *placed((members, self.state, fresh, most), spread), placed(data, whole)

    def _made(self, turn: contextlib.AbstractContextManager[Any]) -> Any:
        arguments = self._arguments()
        if self._plan.has_code:
            return compiled(traceable(self._plan), *arguments)
        lowered = program(self._plan).lower(*arguments)
        with turn:
            return lowered.compile() if self._path is None else _compiled(lowered, self._path, self.state)


def cached_program(plan: ProgramPlan, members: Member, data: Any) -> Program:
    """The program of a group for one chunk of members; the same one for equal plans and shapes. Code of the user's is
    looked at anew: what it reads from outside may have changed."""
    if plan.has_code:
        return Program(plan, members, data)
    arrays, tree = jax.tree.flatten((members, data))
    with _one_at_a_time:
        return _ready(plan, tuple((a.shape, np.dtype(a.dtype).name) for a in arrays), tree)


_one_at_a_time = Lock()  # threads that ask for the same program get the same one


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
    enabled = config.jax_enable_compilation_cache or _without[0]  # it is off while another thread compiles
    if folder is None or not enabled or backend.native():
        return None
    if plan.has_code:
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
    programs = Path(folder) / "programs"
    if not cache.usable(programs):
        return None
    return programs / hashlib.blake2b(repr(parts).encode(), digest_size=20).hexdigest()


def _described(value: Any) -> Any:
    """Plain data that tell one plan from any other, in every process."""
    if isinstance(value, Spec | ProgramPlan):
        kind = type(value)
        if kind.__module__.partition(".")[0] != "perceptory":
            raise _UnknownError
        fields = dataclasses.fields(value)
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


class _Executable:
    """A program as XLA knows it, with what JAX would know beside: which arguments it takes, where they lie, what the
    results are.

    arguments: the places of those that it takes, in (members, state, fresh, most, data); XLA has left out the others.
    state: shapes of a chunk's state. segment: shapes of a `Segment`.
    """

    def __init__(self, plan: ProgramPlan, code: bytes, arguments: list[int], state: Any, segment: Segment):
        devices = DeviceList(tuple(chunk_devices(plan.blocks)))
        client: Any = jax.local_devices()[0].client
        self._run = client.deserialize_executable(code, executable_devices=devices)
        self._placements = placements(plan)
        self._arguments = arguments
        self.state = state
        self._results, self._tree = jax.tree.flatten((state, segment))

    def __call__(self, *arguments: Any) -> Any:
        spread, whole = self._placements
        placed = jax.tree.leaves((jax.device_put(arguments[:-1], spread), jax.device_put(arguments[-1:], whole)))
        parts = self._run.execute_sharded([placed[i] for i in self._arguments]).disassemble_into_single_device_arrays()
        if len(parts) != len(self._results):
            raise RuntimeError(f"a kept program gave {len(parts)} results instead of {len(self._results)}")
        arrays = [
            jax.make_array_from_single_device_arrays(result.shape, spread, shards)
            for result, shards in zip(self._results, parts, strict=True)
        ]
        return jax.tree.unflatten(self._tree, arrays)


def _read(path: Path, plan: ProgramPlan) -> Any:
    """The program kept there, or None."""
    content = cache.read(path)
    if content is None:
        return None
    try:
        line, _, code = content.partition(b"\n")
        about = json.loads(line)
        if not all(build.loads(*kernel) for kernel in about["kernels"]):
            return None
        state = jax.tree.unflatten(_tree(about["tree"]), [_shape(s) for s in about["state"]])
        segment = Segment(*(_shape(s) for s in about["segment"]))
        executable = _Executable(plan, code, about["arguments"], state, segment)
    except Exception:  # XLA takes its file back under the same versions alone, but promises nothing
        cache.note(cache.ProblemKind.DAMAGED, path)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return executable


def _compiled(lowered: Any, path: Path, state: Any) -> Any:
    """Compile a lowered program, and keep the result."""
    if build.failed():  # another process may have more luck, and must not find a program without kernels
        return lowered.compile()
    kernels = build.called(lowered.as_text())
    with _without_jax_cache():
        compiled = lowered.compile()
    if cache.writable(path.parent):
        with contextlib.suppress(_UnknownError):
            cache.write(path, _written(compiled, kernels, state))
        _tidy(path.parent)
    return compiled


def _written(compiled: Any, kernels: Any, state: Any) -> bytes:
    """A compiled program as a file holds it."""
    executable = compiled._executable
    try:
        taken, constants = sorted(executable._kept_var_idx), compiled._params.const_args
        runtime = compiled.runtime_executable()
        code = runtime.client.serialize_executable(runtime)
    except (AttributeError, RuntimeError):  # another release of JAX
        raise _UnknownError from None
    if constants:
        raise _UnknownError
    leaves, tree = jax.tree.flatten(state)
    _, segment = compiled.out_info
    about = {
        "kernels": kernels,
        "arguments": taken,
        "tree": _tree_described(tree),
        "state": [(a.shape, np.dtype(a.dtype).name) for a in leaves],
        "segment": [(a.shape, np.dtype(a.dtype).name) for a in segment],
    }
    return json.dumps(about).encode() + b"\n" + code


def _shape(described: Any) -> jax.ShapeDtypeStruct:
    shape, dtype = described
    return jax.ShapeDtypeStruct(tuple(shape), np.dtype(dtype))


def _tree_described(tree: Any) -> Any:
    """A tree of tuples, named or not, as JSON: [name of the type or null, children]; null for a leaf."""
    node = tree.node_data()
    if node is None:
        return None
    kind = node[0]
    children = [_tree_described(child) for child in tree.children()]
    if kind is tuple:
        return None, children
    name = f"{kind.__module__}:{kind.__qualname__}"
    if _named_tuple(name) is not kind:
        raise _UnknownError
    return name, children


def _tree(described: Any) -> Any:
    """The inverse of `_tree_described`."""

    def built(node: Any) -> Any:
        if node is None:
            return 0
        name, children = node
        values = [built(child) for child in children]
        return tuple(values) if name is None else _named_tuple(name)(*values)

    return jax.tree.structure(built(described))


def _named_tuple(name: str) -> Any:
    """A type of named tuples in perceptory or Optax: what states are made of, and nothing else."""
    module, _, kind = name.partition(":")
    if module.partition(".")[0] not in ("perceptory", "optax"):
        raise _UnknownError
    loaded = getattr(importlib.import_module(module), kind, None)
    if not (isinstance(loaded, type) and issubclass(loaded, tuple) and hasattr(loaded, "_fields")):
        raise _UnknownError
    return loaded


@contextlib.contextmanager
def _without_jax_cache() -> Iterator[None]:
    """A program that JAX read from its own cache cannot be written again: it lacks its functions (jaxlib 0.10.1)."""
    _switch(1)
    try:
        yield
    finally:
        _switch(-1)


_without: list[int] = [0]  # threads that compile without it
_switching = Lock()


def _switch(change: int) -> None:
    """JAX's cache is off while a thread is at work that must not use it."""
    with _switching:
        before, _without[0] = _without[0], _without[0] + change
        if not (before and _without[0]):
            jax.config.update("jax_enable_compilation_cache", not _without[0])
            compilation_cache.reset_cache()


def _tidy(folder: Path) -> None:
    oldest = time.time() - UNUSED_DAYS * 86400
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
