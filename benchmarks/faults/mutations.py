"""Altered files of every format that is read: a sentence or a sound reading, soon, and never a crash.

Model files and result.json are signed anew after they were altered, so that what looks at their content is tried and
not their digest alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.studies import fit, write_data
from benchmarks.faults.writes import called

SECONDS = 5.0  # of CPU that a file may take
VALUES: list[Any] = [
    0, -1, 1, 2**31, 2**63, 10**30, 0.5, 1e308, float("nan"), "", "x", "\x00", None, True, [], {}, [1], {"kind": "MLP"},
]  # fmt: skip
CELLS = [
    b"",
    b"inf",
    b"1e999",
    b'"',
    b"\xff",
    b"9" * 400,
    b"=1",
    b"2020-13-40",
    b"a\x0bb",
    b"\xe2\x80\xa8",
    b"0" * 3000,
]


def try_all(folder: Path, count: int = 10_000, seed: int = 0) -> Counter[str]:
    """So many altered files of each format."""
    warnings.simplefilter("ignore")
    write_data(folder)
    os.chdir(folder)
    assert called(fit("refit", 2, "--out", "run", "--quiet")) == (0, "")
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    for name, (content, alter, read) in _formats(folder).items():
        path = Path("altered") / name
        path.parent.mkdir(exist_ok=True)
        for _ in range(count):
            altered = alter(rng, content)
            path.write_bytes(altered)
            begun = time.process_time()
            bad = _tried(read, path)
            took = time.process_time() - begun
            if took > SECONDS:
                bad = f"took {took:.1f} s"
            counts[f"{name}: {'bad' if bad else 'sound'}"] += 1
            if bad:
                print(f"{name}: {bad}; {len(altered)} bytes, of which the first are {altered[:80]!r}", flush=True)
    return counts


def _tried(read: Callable[[Path], Any], path: Path) -> str:
    from perceptory import InputError

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            read(path)
    except InputError as error:
        return (
            "" if len(str(error)) < 1500 and "\n" not in str(error) else f"a sentence of {len(str(error))} characters"
        )
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


def _formats(folder: Path) -> dict[str, tuple[bytes, Callable[..., bytes], Callable[[Path], Any]]]:
    """Of each format a good file, how it is altered, and what reads it."""
    import polars as pl
    from PIL import Image

    import perceptory as pt

    table = Path("table.csv").read_bytes()
    frame = pl.read_csv("table.csv")
    files: dict[str, io.BytesIO] = {name: io.BytesIO() for name in ("parquet", "arrow", "png", "npz")}
    frame.write_parquet(files["parquet"])
    frame.write_ipc(files["arrow"])
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(files["png"], "PNG")
    np.savez(files["npz"], x=np.ones((12, 4, 4, 1), np.uint8), y=np.arange(12) % 2)
    idx = b"\0\0\x08\3" + b"".join(n.to_bytes(4, "big") for n in (12, 4, 4)) + bytes(192)

    def read_table(path: Path) -> Any:
        return pt.read_table(path, "y")

    def read_run(path: Path) -> Any:
        target = Path("run") / path.name.partition("-")[0]
        before = target.read_bytes()
        target.write_bytes(path.read_bytes())
        try:
            return pt.load_result("run").summary()
        finally:
            target.write_bytes(before)

    pictures = folder / "pictures"
    for label in ("a", "b"):
        (pictures / label).mkdir(parents=True, exist_ok=True)
        for k in range(3):
            (pictures / label / f"{k}.png").write_bytes(files["png"].getvalue())

    def read_picture(path: Path) -> Any:
        (pictures / "a" / "0.png").write_bytes(path.read_bytes())
        return pt.read_images(pictures)

    return {
        "table.csv": (table[:1500], _cells, read_table),
        "table.parquet": (files["parquet"].getvalue(), _bytes, read_table),
        "table.arrow": (files["arrow"].getvalue(), _bytes, read_table),
        "arrays.npz": (files["npz"].getvalue(), _bytes, lambda path: pt.read_arrays(path)),
        "picture.png": (files["png"].getvalue(), _bytes, read_picture),
        "images-idx3-ubyte": (idx, _bytes, lambda path: pt.read_images(path.parent)),
        "model.safetensors": (Path("run/model.safetensors").read_bytes(), _model, pt.Model.load),
        "result.json-signed": (Path("run/result.json").read_bytes(), _signed, read_run),
        "result.json-bytes": (Path("run/result.json").read_bytes(), _bytes, read_run),
        "study.json-signed": (Path("run/study.json").read_bytes(), _signed, read_run),
    }


def _bytes(rng: random.Random, content: bytes) -> bytes:
    """Bits flipped, a piece cut out, doubled or cut off."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0 if data:
                data[min(place, len(data) - 1)] ^= 1 << rng.randrange(8)
            case 1:
                del data[place : place + rng.randrange(20)]
            case 2:
                data[place:place] = data[place : place + rng.randrange(200)]
            case _:
                data = data[:place] if rng.random() < 0.2 else data
                data[place : place + 4] = rng.randbytes(4)
    return bytes(data)


def _cells(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    for _ in range(rng.choice([1, 2, 4])):
        row = rng.randrange(len(lines))
        cells = lines[row].split(b",")
        cells[rng.randrange(len(cells))] = rng.choice(CELLS)
        lines[row] = b",".join(cells)
    data = b"\n".join(lines)
    return _bytes(rng, data) if rng.random() < 0.3 else data


def _changed(rng: random.Random, value: Any) -> Any:
    """JSON data with one entry changed."""
    places = []

    def walk(holder: Any) -> None:
        for key, below in holder.items() if isinstance(holder, dict) else enumerate(holder):
            places.append((holder, key))
            if isinstance(below, dict | list):
                walk(below)

    walk(value)
    for holder, key in rng.sample(places, min(len(places), rng.choice([1, 1, 2, 3]))):
        with contextlib.suppress(LookupError):  # it went with another change
            if rng.random() < 0.15:
                del holder[key]
            else:
                holder[key] = rng.choice(VALUES)
    return value


def _signed(rng: random.Random, content: bytes) -> bytes:
    from perceptory.runs.contents import opened, signed

    return signed(_changed(rng, opened(content)))


def _model(rng: random.Random, content: bytes) -> bytes:
    from safetensors.numpy import load, save

    from perceptory.models.model_file import _checksum

    length = int.from_bytes(content[:8], "little")
    description = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["perceptory"])
    tensors = load(content)
    description.pop("checksum")
    description = _changed(rng, description)
    text = json.dumps(description | {"checksum": _checksum(tensors, description)})
    return save(tensors, metadata={"perceptory": text})
