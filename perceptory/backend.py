"""Devices, precision, the compilation cache, and the guard against JAX releases that compute wrong numbers.

Importing perceptory imports this module first, before JAX; it changes only what the user has not set.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import warnings
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

from perceptory import cache
from perceptory.errors import InputError

# jaxlib releases whose CPU backend fuses a batched product with a following reduction wrongly (jax-ml/jax#39103):
# the sum of vmapped matrix-vector products comes out off by a few parts in a million, silently.
FAULTY_JAXLIB = frozenset({"0.10.2"})
FAULTY_FUSION_OFF = "--xla_cpu_experimental_ynn_fusion_type=-reduce"

# On loading a cached program XLA logs its own tuning preferences ("prefer-no-gather") as features that the machine
# lacks, a page for each program. The cache folder is named after the processor, so a true mismatch cannot occur.
# Where JAX was imported first it is too late for the log level, and there is no cache unless the user sets one.
_first = "jax" not in sys.modules
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_prepared = False
_forked = False  # from a process in which JAX had started


def _in_child() -> None:
    global _forked
    _forked = _forked or _started()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def prepare() -> None:
    """Set up JAX once: one CPU device a core, a persistent compilation cache, the guard. Later calls do nothing.

    Raises `InputError` in a process that was forked from one in which JAX had started: it would stand still for ever.
    """
    global _prepared
    if _forked:
        raise InputError(
            "this process was forked from one that has computed already, and its threads are not here to go on."
            ' Start it anew, by multiprocessing.get_context("spawn") or joblib\'s "loky".'
        )
    if _prepared:
        return
    _prepared = True
    import jax

    config: Any = jax.config  # its attributes are made at run time
    flags = os.environ.get("XLA_FLAGS", "")
    chosen = "JAX_NUM_CPU_DEVICES" in os.environ or re.search("xla_force_host_platform_device_count", flags)
    if not _started() and not chosen and config.jax_num_cpu_devices == -1:
        config.update("jax_num_cpu_devices", cores())
    if _first and config.jax_compilation_cache_dir is None:
        folder = cache_folder()
        if folder is not None and _jax_cache_in(folder):
            config.update("jax_compilation_cache_dir", str(folder))
            config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


class _Entries:
    """JAX's cache of executables in a folder of ours. JAX's own reads whatever stands there: it warns of a damaged file
    in every run and never replaces it, and checks no owner."""

    def __init__(self, folder: Path):
        self._path = folder

    def get(self, key: str) -> bytes | None:
        return cache.read(self._path / f"{key}-cache")

    def put(self, key: str, value: bytes) -> None:
        if cache.writable(self._path):
            cache.write(self._path / f"{key}-cache", value)


def _jax_cache_in(folder: Path) -> bool:
    """Have JAX keep its executables there through `_Entries`. False where this release of JAX has no place for that:
    then there is no cache rather than one that reads what nobody has checked."""
    from jax._src import compilation_cache

    files_of = getattr(compilation_cache, "get_file_cache", None)
    if files_of is None:
        return False

    def get_file_cache(path: str) -> Any:
        return (_Entries(folder), path) if path == str(folder) else files_of(path)

    compilation_cache.get_file_cache = get_file_cache
    return True


def guard(jaxlib: str, *, started: bool) -> bool:
    """Turn the faulty fusion off for an affected jaxlib, or warn where the backend has started. True if affected."""
    if jaxlib not in FAULTY_JAXLIB:
        return False
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_experimental_ynn_fusion_type" in flags:
        return True
    if started:
        warnings.warn(
            f"jaxlib {jaxlib} computes wrong sums on CPU and JAX has started already: import perceptory before the"
            f" first JAX computation, set XLA_FLAGS={FAULTY_FUSION_OFF}, or install jaxlib 0.10.1.",
            RuntimeWarning,
            stacklevel=3,
        )
    else:
        os.environ["XLA_FLAGS"] = f"{flags} {FAULTY_FUSION_OFF}".strip()
    return True


def _started() -> bool:
    bridge = sys.modules.get("jax._src.xla_bridge")
    asked = getattr(bridge, "backends_are_initialized", None)  # another thread may be importing it right now
    return bool(asked and asked())


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def cache_folder() -> Path | None:
    """Where compiled programs are kept between runs: $PERCEPTORY_CACHE, else the user's cache folder. None where that
    is switched off, or where there is no such folder that only this user can write to."""
    chosen = os.environ.get("PERCEPTORY_CACHE") or "on"
    if chosen == "off":
        return None
    if chosen == "on":
        try:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        except RuntimeError:  # an unknown user without $HOME
            cache.note(cache.ProblemKind.NO_HOME)
            return None
        folder = base / "perceptory" / f"{version('jaxlib')}-{processor()}"
    else:
        folder = Path(chosen)
    folder = folder.absolute()
    return folder if cache.usable(folder) else None


def processor() -> str:
    """A short digest of the processor's features: machine code compiled for one must not run on another."""
    import hashlib
    import platform

    text = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        text += next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def processor_abilities() -> frozenset[str]:
    """What the processor can do, in the words of Linux; none of it elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("flags", "features")):
                return frozenset(line.partition(":")[2].split())
    return frozenset()


@contextlib.contextmanager
def precision(name: str) -> Iterator[Any]:
    """Compute in 'single' or 'double' precision within the block; yields the dtype."""
    prepare()
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(name == "double"):
        yield jnp.float64 if name == "double" else jnp.float32


def environment() -> dict[str, Any]:
    """Versions and devices, for the run folder."""
    import platform

    prepare()
    import jax

    packages = ("perceptory", "jax", "jaxlib", "equinox", "optax", "numpy")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "platform": f"{platform.system()} {platform.machine()}",
        "backend": jax.default_backend(),
        "devices": [str(d.device_kind) for d in jax.local_devices()],
        "cores": cores(),
        "processor": processor(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


guard(version("jaxlib"), started=_started())


def native() -> bool:
    """Whether convolution and recurrence take the library's own path: everywhere but on a CPU, where it is slow."""
    if not _started() and not _plugins():
        return False
    import jax

    return jax.default_backend() != "cpu"


@lru_cache(maxsize=1)
def _plugins() -> bool:
    """Whether there may be anything but a CPU: JAX knows of it by a package of its own, which can be seen without
    importing JAX."""
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return False
    named = any(os.environ.get(name) for name in ("PJRT_NAMES_AND_LIBRARY_PATHS", "JAX_PLATFORMS"))
    packaged = any(find_spec(name) is not None for name in ("jax_plugins", "libtpu"))
    return named or packaged or bool(entry_points(group="jax_plugins"))


# Tracing makes many objects that stay: by Python's own threshold (700) a twentieth of a cold fit goes into looking
# at them again and again.
COLLECT_AFTER = 10_000
_collected: list[tuple[int, int, int]] = []  # for each block of `seldom_collected` the thresholds outside all of them
_collecting = Lock()


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Within the block, which may be one in several threads, Python looks for garbage in cycles more seldom."""
    with _collecting:
        _collected.append(_collected[0] if _collected else gc.get_threshold())
        often, *others = _collected[0]
        if often:  # else it never looks
            gc.set_threshold(max(often, COLLECT_AFTER), *others)
    try:
        yield
    finally:
        with _collecting:
            before = _collected.pop()
            if not _collected:
                gc.set_threshold(*before)
