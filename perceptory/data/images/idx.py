"""The idx format of MNIST: a magic number, the sizes of the axes, then the numbers, all big-endian; plain or gzip."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.errors import InputError

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CHUNK = 1 << 24  # bytes: a header that lies about the size must not reserve what it says


def is_idx(name: str) -> bool:
    """Whether the name of a file says that it is an idx file, of one to four axes."""
    return re.search("idx[1-4]", name) is not None


def read_idx(path: Path) -> np.ndarray:
    """The array of an idx file, in the machine's byte order. Raises `InputError` for everything that is not one."""
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}.")
    try:
        with path.open("rb") as plain:
            zipped = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            return _parse(file, path.name)
    except (OSError, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise InputError(f"{path.name} cannot be read ({reason}). Fetch the file anew.") from None


def _parse(file: Any, name: str) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= head[3] <= 4:
        raise InputError(
            f"{name} is no idx file: it has to begin with two zero bytes, a type and 1 to 4 axes, and begins with "
            f"{head.hex(' ') or 'nothing'}. Give a file such as train-images-idx3-ubyte."
        )
    sizes = file.read(4 * head[3])
    shape = tuple(np.frombuffer(sizes[: len(sizes) // 4 * 4], ">u4").tolist())
    dtype = np.dtype(TYPES[head[2]])
    expected = math.prod(shape) * dtype.itemsize
    if len(shape) < head[3] or expected == 0:
        raise InputError(f"{name} has the axes {shape}, but needs {head[3]} sizes above 0. Fetch the file anew.")
    data = bytearray()
    while len(data) <= expected and (part := file.read(min(CHUNK, expected + 1 - len(data)))):
        data += part
    if len(data) != expected:
        raise InputError(
            f"{name} needs {expected} bytes for the axes {' x '.join(map(str, shape))}, but holds "
            f"{'more' if len(data) > expected else len(data)}. Fetch the file anew."
        )
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
