"""Loads the kernels: those that came with the package (`make wheel`) where one suits the processor, else compiled once
for this processor by the C++ compiler that is found. With CXX set they are compiled by it in any case.

Nothing happens on import. The first program that could use a kernel decides for the whole process: its programs either
call that kernel or do not. PERCEPTORY_KERNELS=off: they do not. Each kernel is a library of its own for each type of
numbers, so that nobody waits for what is not used.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import hashlib
import importlib.util
import logging
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np

from perceptory import backend, cache

HERE = Path(__file__).parent
PREBUILT = HERE / "prebuilt"  # libraries that came with the package
CALLS = {  # of each kernel, whose source is `name`.cc
    "lstm": ("values", "keeping", "backward"),
    "convolution": ("values", "by_inputs", "by_kernel"),
    "dense": ("forward", "backward", "values", "start", "rows"),
    "columns": ("forward", "backward", "places", "edges", "gaps", "quantiles"),
    "threefry": ("pairs", "bits"),
    "symmetric": ("normal", "product", "solution", "trace"),
    "kernel_ridge": ("likely", "solution", "values"),
    "predict": (),  # no program calls these, but Python itself
    "neurons": (),
    "texts": (),
    "table": (),
}
LEVEL = {
    "symmetric": "-O2",
    "kernel_ridge": "-O2",
    "dense": "-O2",
    "predict": "-O2",
    "neurons": "-O2",
    "texts": "-O2",
}  # else -O3; what unrolls its loops itself is compiled sooner so, and as fast
COMMON = ["-std=c++17", "-fno-math-errno", "-shared", "-fPIC", "-w"]
TYPES = {"float32": [], "float64": ["-DDOUBLE"]}  # and the compiler's flags for them
WORTH = 1_000_000  # numbers for which a kernel is compiled where NumPy needs none
TIME_LIMIT = 120.0  # seconds a compilation may take


class Source(enum.Enum):
    """Where a kernel comes from; the values are how a report says it."""

    PACKAGED = "built into the package for"
    COMPILED = "compiled by"
    NONE = "off:"


class Cause(enum.Enum):
    """Why there is no kernel."""

    SWITCHED_OFF = enum.auto()
    BACKEND = enum.auto()  # XLA's own path is the fast one there
    NO_COMPILER = enum.auto()
    FAILED = enum.auto()  # the compiler, or loading what it made
    NO_ROOM = enum.auto()


@dataclass(frozen=True)
class KernelState:
    """What became of a kernel for one type of numbers. detail: the compiler, or the cause in a few words."""

    source: Source
    detail: str
    cause: Cause | None = None

    def __str__(self) -> str:
        return f"{self.source.value} {self.detail}"


log = logging.getLogger("perceptory")

_locks = {(kernel, dtype): Lock() for kernel in CALLS for dtype in TYPES}
_told: list[KernelState] = []  # what has been said of failures: once a process
_begun: set[tuple[str, str]] = set()  # asked for by `begin`
_states: dict[tuple[str, str], KernelState] = {}
_libraries: dict[tuple[str, str], ctypes.CDLL] = {}


class UnavailableError(RuntimeError):
    """Why there are no kernels, in a few words."""

    def __init__(self, cause: Cause, detail: str):
        super().__init__(detail)
        self.cause = cause


def loads(kernel: str, dtype: str, numbers: float = np.inf) -> bool:
    """Whether the kernel is there for numbers of this type, in programs on the default backend. The first call may
    compile it.

    numbers: how many it is asked to work on, where others do the same; for few it is not compiled, unless that has
        begun.
    """
    if dtype not in TYPES:
        return False
    key = (kernel, dtype)
    if (state := _states.get(key)) is not None:
        return state.source is not Source.NONE
    with _locks[key]:
        if key not in _states:
            try:
                if numbers < WORTH and key not in _begun and _would_compile(kernel, dtype):
                    return False
                _states[key] = _load(kernel, dtype)
            except UnavailableError as error:
                _states[key] = KernelState(Source.NONE, str(error), error.cause)
            except OSError as error:
                _states[key] = KernelState(Source.NONE, str(error), Cause.FAILED)
            if _states[key].cause in (Cause.FAILED, Cause.NO_ROOM) and not _told:
                _told.append(_states[key])
                log.warning(
                    "perceptory: kernels are off (%s), so training is slower and rounds otherwise than with them.",
                    _states[key].detail,
                )
    return _states[key].source is not Source.NONE


def accepts(kernel: str, *arrays: Any, numbers: float = np.inf) -> bool:
    """Whether the kernel is there and computes in the type of these arrays; numbers: as for `loads`, 0 where nobody
    waits for it alone."""
    kinds = {np.dtype(array.dtype).name for array in arrays}
    return len(kinds) == 1 and loads(kernel, kinds.pop(), numbers)


def begin(*wanted: tuple[str, str]) -> None:
    """Have kernels compiled, each with its type of numbers, one after the other, beside what comes before the first
    call of `loads`, which then waits for it."""
    new = [key for key in dict.fromkeys(wanted) if key not in _states and key not in _begun]
    _begun.update(new)
    if new:
        Thread(target=_made_and_loaded, args=(new,), name="perceptory-kernels", daemon=True).start()


def _made_and_loaded(keys: list[tuple[str, str]]) -> None:
    """Compile kernels into the cache folder before the first one is loaded, which waits for JAX."""
    for key in keys:
        with contextlib.suppress(UnavailableError, OSError), _locks[key]:  # `loads` says why
            if backend.cache_folder() is not None and not backend.native() and _would_compile(*key):
                next(_compiled(*key), None)
    for key in keys:
        loads(*key)


def library(kernel: str, dtype: str) -> ctypes.CDLL:
    """The kernel's library; it must be `loads`."""
    return _libraries[kernel, dtype]


def possible() -> bool:
    """Whether programs of this process would call kernels, if nothing fails; compiles nothing."""
    if os.environ.get("PERCEPTORY_KERNELS", "on") == "off" or backend.native():
        return False
    try:
        return any(True for _ in _packaged("dense", "float32")) or bool(_compiler())
    except UnavailableError:
        return False


def expected() -> str:
    """What a kernel's state will be in words, if nothing fails; compiles nothing."""
    import jax

    if os.environ.get("PERCEPTORY_KERNELS", "on") == "off":
        return str(KernelState(Source.NONE, "PERCEPTORY_KERNELS=off"))
    if backend.native():
        return str(KernelState(Source.NONE, f"no kernels for {jax.default_backend()}"))
    for level, _ in _packaged("dense", "float32"):
        return str(KernelState(Source.PACKAGED, level))
    try:
        return str(KernelState(Source.COMPILED, _maker(tuple(_compiler()))))
    except UnavailableError as error:
        return str(KernelState(Source.NONE, str(error)))


def failed() -> bool:
    """Whether a kernel that was asked for could not be had although it seemed possible."""
    return possible() and any(state.source is Source.NONE for state in states().values())


def called(text: str) -> tuple[tuple[str, str], ...]:
    """The kernels, each with its type of numbers, that a lowered program calls: what must be `loads` to read it."""
    return tuple(
        (kernel, dtype)
        for kernel, dtype in sorted(_libraries)
        if any(f"@perceptory_{kernel}_{what}_{dtype}" in text for what in CALLS[kernel])
    )


def threads() -> int:
    """Threads for a call that is traced here: the cores that there are for each device of the program."""
    import jax

    mesh = jax.sharding.get_abstract_mesh()
    return max(1, backend.cores() // (1 if mesh.empty else mesh.size))


def states() -> dict[tuple[str, str], KernelState]:
    """What became of each kernel, by name and type of numbers, that a program of this process could use so far."""
    return dict(sorted(_states.items()))


def told() -> dict[str, str]:
    """`states` in words, by "kernel type", of those that programs call: training hangs on no others."""
    return {" ".join(key): str(state) for key, state in states().items() if CALLS[key[0]]}


def status(states: Mapping[str, str] | None = None) -> str:
    """In words, for people: which compiler made the kernels, why they are off, or that nothing could use them yet.
    states: as `told`, whose they are otherwise."""
    sentences = told() if states is None else states
    if len(set(sentences.values())) > 1:
        return "; ".join(f"{kernel} {sentence}" for kernel, sentence in sorted(sentences.items()))
    return next(iter(sentences.values()), "not used")


def _load(kernel: str, dtype: str) -> KernelState:
    """Load a kernel, and have JAX know what programs call of it."""
    if os.environ.get("PERCEPTORY_KERNELS", "on") == "off":
        raise UnavailableError(Cause.SWITCHED_OFF, "PERCEPTORY_KERNELS=off")
    if backend.native():
        raise UnavailableError(Cause.BACKEND, "no kernels but for a CPU")
    for level, path in _packaged(kernel, dtype):
        with contextlib.suppress(OSError):  # made for another C library
            _register(kernel, dtype, ctypes.CDLL(str(path)))
            return KernelState(Source.PACKAGED, level)
    _register(kernel, dtype, _opened(_compiled(kernel, dtype)))
    return KernelState(Source.COMPILED, _maker(tuple(_compiler())))


@lru_cache(maxsize=4)
def _maker(compiler: tuple[str, ...]) -> str:
    """The compiler's name and version."""
    return _output([*compiler, "--version"], 10.0).partition("\n")[0]


def _register(kernel: str, dtype: str, library: ctypes.CDLL) -> None:
    _libraries[kernel, dtype] = library
    if not CALLS[kernel]:
        return
    import jax

    for call in (f"{kernel}_{name}" for name in CALLS[kernel]):
        capsule = jax.ffi.pycapsule(getattr(library, call))
        jax.ffi.register_ffi_target(f"perceptory_{call}_{dtype}", capsule, platform="cpu")


# --- kernels that came with the package --------------------------------------------------------------------------

# Of each kind of processor, best first: the compiler's flag, and what /proc/cpuinfo says of one that can run it.
_V3 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
LEVELS: dict[str, dict[str, tuple[str, frozenset[str]]]] = {
    "x86_64": {"x86-64-v4": ("-march=x86-64-v4", _V4), "x86-64-v3": ("-march=x86-64-v3", _V3)},
    "aarch64": {"armv8-a": ("-march=armv8-a", frozenset({"asimd"}))},
}


def packaged_name(kernel: str, dtype: str, level: str) -> str:
    """Name of a kernel's library in the package: of its sources and of the interface that it was compiled for, so that
    none made from others is loaded."""
    return f"{kernel}-{dtype}-{level}-{_interface()}.so"


def _include() -> str:
    """The folder of XLA's headers: as `jax.ffi.include_dir`, without JAX."""
    place = importlib.util.find_spec("jaxlib")
    if place is None or place.origin is None:
        raise UnavailableError(Cause.FAILED, "jaxlib is not where Python finds it")
    return str(Path(place.origin).parent / "include")


@lru_cache(maxsize=1)
def _interface() -> str:
    header = (Path(_include()) / "xla" / "ffi" / "api" / "c_api.h").read_bytes()
    version = re.findall(rb"#define XLA_FFI_API_M(?:AJOR|INOR) (\d+)", header)
    sources = [path.read_bytes() for path in sorted(HERE.glob("*.cc")) + sorted(HERE.glob("*.h"))]
    return hashlib.blake2b(repr((version, sources, LEVEL)).encode(), digest_size=8).hexdigest()


def _packaged(kernel: str, dtype: str) -> Iterator[tuple[str, Path]]:
    """(level, library) of the package's own that this processor can run, the best first."""
    if os.environ.get("CXX") or not PREBUILT.is_dir():
        return
    abilities = backend.processor_abilities()
    for level, (_, needed) in LEVELS.get(platform.machine().lower(), {}).items():
        path = PREBUILT / packaged_name(kernel, dtype, level)
        if needed <= abilities and path.exists():
            yield level, path


def prebuild(machine: str, compiler: list[str]) -> list[Path]:
    """Compile every kernel for every level of a kind of processor into the package, for a wheel."""
    PREBUILT.mkdir(exist_ok=True)
    libraries = []
    for level, (flag, _) in LEVELS[machine].items():
        for kernel in CALLS:
            for dtype, typed in TYPES.items():
                path = PREBUILT / packaged_name(kernel, dtype, level)
                flags = [LEVEL.get(kernel, "-O3"), flag, *COMMON, "-s", *typed]
                source = str(HERE / f"{kernel}.cc")
                _output([*compiler, *flags, f"-I{_include()}", source, "-o", str(path)], TIME_LIMIT)
                libraries.append(path)
    return libraries


# --- kernels that are compiled here ------------------------------------------------------------------------------


def _opened(paths: Iterator[Path]) -> ctypes.CDLL:
    """The first of these libraries that can be opened."""
    failure: OSError | None = None
    for path in paths:
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:  # made for another C library, or in a folder that nothing may run from
            failure = error
    if failure is not None:
        raise UnavailableError(Cause.FAILED, str(failure))
    raise UnavailableError(Cause.NO_ROOM, "no folder to compile into")


def _command_and_name(kernel: str, dtype: str) -> tuple[list[str], str]:
    """The compiler with its flags, and the name of the library's file in the cache folder."""
    compiler = _compiler()
    native = "-march=native" if platform.machine().lower() in ("x86_64", "amd64", "i686") else "-mcpu=native"
    flags = [LEVEL.get(kernel, "-O3"), native, *COMMON, *TYPES[dtype]]
    parts = (
        [path.read_bytes() for path in (HERE / f"{kernel}.cc", *sorted(HERE.glob("*.h")))],
        shlex.join([*compiler, *flags]),
        _maker(tuple(compiler)),
        backend.version("jaxlib"),
        backend.processor(),
    )
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()
    return [*compiler, *flags], f"kernels-{kernel}-{dtype}-{digest}.so"


@lru_cache(maxsize=64)  # each column of a table asks
def _would_compile(kernel: str, dtype: str) -> bool:
    """Whether loading the kernel would compile it, as its first call found: it came neither with the package nor is it
    in the cache folder."""
    if not possible() or any(True for _ in _packaged(kernel, dtype)):
        return False
    folder, (_, name) = backend.cache_folder(), _command_and_name(kernel, dtype)
    return folder is None or not os.path.exists(folder / name)


def _compiled(kernel: str, dtype: str) -> Iterator[Path]:
    """The kernel's library: that of the cache folder, else, each when the one before cannot be had or opened, one
    compiled into that folder or into one that lives as long as the process."""
    command, name = _command_and_name(kernel, dtype)
    folder = backend.cache_folder()
    if folder is not None and cache.read(folder / name) is not None:
        yield folder / name
    command += [f"-I{_include()}", str(HERE / f"{kernel}.cc")]
    places = iter([folder] if folder is not None and cache.writable(folder) else [])
    for place in chain(places, cache.temporary_folders()):
        if _compile(command, place / name):
            yield place / name


def _compiler() -> list[str]:
    for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++"):
        words = shlex.split(name)
        if words and shutil.which(words[0]):
            return words
    raise UnavailableError(Cause.NO_COMPILER, "no C++ compiler")


def _compile(command: list[str], path: Path) -> bool:
    """Compile the library `path`; False where there is no room for it."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="compiling-", ignore_cleanup_errors=True) as own:
            library = Path(own) / path.name
            # The compiler's own files too: /tmp may be full.
            _output([*command, "-o", str(library)], TIME_LIMIT, {"TMPDIR": own})
            return cache.write(path, library.read_bytes())
    except UnavailableError:
        if cache.writable(path.parent):
            raise
    except OSError:
        pass
    return False


def _output(command: list[str], limit: float, environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(Cause.FAILED, f"{command[0]} took longer than {limit:.0f} s") from None
    if done.returncode:
        lines = done.stderr.splitlines() or [f"exit code {done.returncode}"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise UnavailableError(Cause.FAILED, f"{command[0]} failed: {first.strip()[:200]}")
    return done.stdout


if __name__ == "__main__":  # python -m perceptory.kernels.build MACHINE [COMPILER ...]
    built = prebuild(sys.argv[1], sys.argv[2:] or _compiler())
    print(f"{len(built)} kernels of {sum(path.stat().st_size for path in built) / 1e6:.1f} MB")
