"""Compiles the kernels with the C++ compiler that is found, once for a processor, and loads them.

Nothing happens on import. The first program that could use a kernel decides for the whole process: its programs either
call that kernel or do not. PERCEPTORY_KERNELS=off: they do not. Each kernel is a library of its own for each type of
numbers, so that nobody waits for what is not used.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np

from perceptory import backend

HERE = Path(__file__).parent
CALLS = {  # of each kernel, whose source is `name`.cc
    "lstm": ("values", "keeping", "backward"),
    "convolution": ("values", "by_inputs", "by_kernel"),
    "dense": ("forward", "backward"),
    "symmetric": ("normal", "product", "solution", "trace"),
}
LEVEL = {"dense": "-O2"}  # else -O3; what unrolls its loops itself is compiled sooner so, and as fast
TYPES = {"float32": [], "float64": ["-DDOUBLE"]}  # and the compiler's flags for them
TIME_LIMIT = 120.0  # seconds a compilation may take

_lock = Lock()
_status: dict[tuple[str, str], str] = {}
_libraries: dict[tuple[str, str], ctypes.CDLL] = {}


class UnavailableError(RuntimeError):
    """Why there are no kernels, in a few words."""


def loads(kernel: str, dtype: str) -> bool:
    """Whether the kernel is there for numbers of this type, in programs on the default backend. The first call may
    compile it."""
    key = (kernel, dtype)
    if dtype not in TYPES:
        return False
    with _lock:
        if key not in _status:
            try:
                _status[key] = f"compiled by {_load(kernel, dtype)}"
            except (UnavailableError, OSError) as why:
                _status[key] = f"off: {why}"
    return not _status[key].startswith("off")


def accepts(kernel: str, *arrays: Any) -> bool:
    """Whether the kernel is there and computes in the type of these arrays."""
    kinds = {np.dtype(array.dtype).name for array in arrays}
    return len(kinds) == 1 and loads(kernel, *kinds)


def begin(kernel: str, dtype: str) -> None:
    """Have the kernel compiled beside what comes before the first call of `loads`, which then waits for it."""
    if (kernel, dtype) not in _status:
        Thread(target=loads, args=(kernel, dtype), daemon=True).start()


def library(kernel: str, dtype: str) -> ctypes.CDLL:
    """The kernel's library; it must be `loads`."""
    return _libraries[kernel, dtype]


def possible() -> bool:
    """Whether programs of this process would call kernels, if nothing fails; compiles nothing."""
    if os.environ.get("PERCEPTORY_KERNELS", "on") == "off" or backend.native():
        return False
    try:
        return bool(_compiler())
    except UnavailableError:
        return False


def failed() -> bool:
    """Whether a kernel that was asked for could not be had although it seemed possible."""
    return possible() and any(words.startswith("off") for words in _status.values())


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


def status() -> str:
    """In words: which compiler made the kernels, why they are off, or that nothing has asked for them yet."""
    if len(set(_status.values())) > 1:
        return "; ".join(f"{kernel} {dtype} {words}" for (kernel, dtype), words in sorted(_status.items()))
    return next(iter(_status.values()), "not used")


def _load(kernel: str, dtype: str) -> str:
    """Load a kernel into JAX; the compiler's name and version."""
    import jax

    if os.environ.get("PERCEPTORY_KERNELS", "on") == "off":
        raise UnavailableError("PERCEPTORY_KERNELS=off")
    if backend.native():
        raise UnavailableError(f"no kernels for {jax.default_backend()}")
    source = HERE / f"{kernel}.cc"
    compiler = _compiler()
    maker = _output([*compiler, "--version"], 10.0).partition("\n")[0]
    native = "-march=native" if platform.machine().lower() in ("x86_64", "amd64", "i686") else "-mcpu=native"
    flags = [LEVEL.get(kernel, "-O3"), native, "-std=c++17", "-shared", "-fPIC", "-w", *TYPES[dtype]]
    parts = (
        [path.read_bytes() for path in (source, *sorted(HERE.glob("*.h")))],
        shlex.join([*compiler, *flags]),
        maker,
        backend.version("jaxlib"),
        backend.processor(),
    )
    name = hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()
    path = _folder() / f"kernels-{kernel}-{dtype}-{name}.so"
    command = [*compiler, *flags, f"-I{jax.ffi.include_dir()}", str(source)]
    if not path.exists():
        _compile(command, path)
    try:
        found = ctypes.CDLL(str(path))
    except OSError:  # cut short by a crash or a full disk
        _compile(command, path)
        found = ctypes.CDLL(str(path))
    for call in (f"{kernel}_{what}" for what in CALLS[kernel]):
        capsule = jax.ffi.pycapsule(getattr(found, call))
        jax.ffi.register_ffi_target(f"perceptory_{call}_{dtype}", capsule, platform="cpu")
    _libraries[kernel, dtype] = found
    return maker


def _compiler() -> list[str]:
    for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++"):
        words = shlex.split(name)
        if words and shutil.which(words[0]):
            return words
    raise UnavailableError("no C++ compiler")


def _compile(command: list[str], path: Path) -> None:
    """Several processes may do so at once: each writes a file of its own, and the last to rename it wins."""
    own = path.with_name(f"{path.stem}-{uuid.uuid4().hex}.tmp")
    try:
        _output([*command, "-o", str(own)], TIME_LIMIT)
        os.replace(own, path)
    finally:
        own.unlink(missing_ok=True)


def _output(command: list[str], limit: float) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{command[0]} took longer than {limit:.0f} s") from None
    if done.returncode:
        lines = done.stderr.splitlines() or [f"exit code {done.returncode}"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise UnavailableError(f"{command[0]} failed: {first.strip()[:200]}")
    return done.stdout


def _folder() -> Path:
    """The cache folder; where there is none, or none that can be written to, one that lives as long as the process."""
    if os.environ.get("PERCEPTORY_CACHE", "on") != "off":
        folder = backend.cache_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            pass
        else:
            if os.access(folder, os.W_OK):
                return folder
    own = tempfile.mkdtemp(prefix="perceptory-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)
