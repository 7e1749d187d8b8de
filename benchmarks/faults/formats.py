"""Of every format that is read or written: a good file, how it is altered, and what reads it.

Model files and what a run folder holds are signed anew after they were altered, so that what looks at their content is
tried and not their digest alone.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.faults.writes import called

VALUES: list[Any] = [
    0, -1, 1, 2**31, 2**63, 10**30, 0.5, 1e308, float("nan"), "", "x", "\x00", None, True, [], {}, [1], {"kind": "MLP"},
]  # fmt: skip
CELLS = [
    b"", b"inf", b"1e999", b'"', b"\xff", b"9" * 400, b"=1", b"2020-13-40", b"a\x0bb", b"\xe2\x80\xa8", b"0" * 3000,
    b"#REF!", b"1,234", b"12 kg", b"<0.01", b"1_0", b"0x1p3", b"nan", b"-", b"\x00", b"\xef\xbb\xbf1", b"TRUE",
]  # fmt: skip


class Format(NamedTuple):
    """share: of all altered files that are of this format."""

    share: float
    content: bytes
    alter: Callable[[random.Random, bytes], bytes]
    read: Callable[[Path], Any]


def formats(folder: Path) -> dict[str, Format]:
    """Of each format, by the name of its altered file. The folder holds what `write_data` writes, and two runs: of
    networks of one structure, and of a mixture with a kernel machine."""
    return {**_tables(), **_arrays(), **_pictures(folder), **_runs()}


def _tables() -> dict[str, Format]:
    import polars as pl

    import perceptory as pt

    text = Path("table.csv").read_bytes()[:1500]
    frame, parquet, arrow = pl.read_csv("table.csv"), io.BytesIO(), io.BytesIO()
    frame.write_parquet(parquet)
    frame.write_ipc(arrow)

    def read(path: Path) -> Any:
        return pt.read_table(path, "y")

    def stream(path: Path) -> Any:
        return pt.stream_table(path, "y")

    def predict(path: Path) -> Any:
        code, said = called(["predict", "run", str(path), "--out", "predicted.csv"])
        if code not in (0, 2) or (code == 2 and said.count("\n") != 1):
            raise RuntimeError(f"ended with {code}: {said!r}")

    def series(path: Path) -> Any:
        return pt.read_series(path, "y", predict="ahead", window=5)

    return {
        "table.csv": Format(0.17, text, cells(b","), read),
        "table.tsv": Format(0.08, text.replace(b",", b"\t"), cells(b"\t"), read),
        "series.csv": Format(0.05, Path("series.csv").read_bytes()[:1500], cells(b","), series),
        "predict.csv": Format(0.005, text, cells(b","), predict),
        "table.parquet": Format(0.04, parquet.getvalue(), flipped, read),
        "table.arrow": Format(0.06, arrow.getvalue(), flipped, read),
        "stream.parquet": Format(0.01, parquet.getvalue(), flipped, stream),
        "stream.arrow": Format(0.01, arrow.getvalue(), flipped, stream),
    }


def _arrays() -> dict[str, Format]:
    import perceptory as pt

    npz, npy = io.BytesIO(), io.BytesIO()
    np.savez(npz, x=np.ones((12, 4, 4, 1), np.uint8), y=np.arange(12) % 2)
    np.save(npy, np.ones((12, 3)))
    idx = b"\0\0\x08\3" + b"".join(n.to_bytes(4, "big") for n in (12, 4, 4)) + bytes(192)

    def images(path: Path) -> Any:
        beside = path.with_name(path.name.replace("images-idx3", "labels-idx1").removesuffix(".gz"))
        if not beside.exists():
            beside.write_bytes(b"\0\0\x08\1" + (12).to_bytes(4, "big") + bytes(k % 2 for k in range(12)))
        return pt.read_images(path)

    return {
        "arrays.npz": Format(0.13, npz.getvalue(), flipped, lambda path: pt.read_arrays(path)),
        "array.npy": Format(0.1, npy.getvalue(), flipped, lambda path: pt.read_arrays(path, np.arange(12.0))),
        "train-images-idx3-ubyte": Format(0.1, idx, flipped, images),
        "t10k-images-idx3-ubyte.gz": Format(0.03, gzip.compress(idx), flipped, images),
    }


def _pictures(folder: Path) -> dict[str, Format]:
    from PIL import Image

    import perceptory as pt

    pictures = folder / "pictures"
    found = {}
    for kind, share in (("PNG", 0.04), ("JPEG", 0.02), ("BMP", 0.01)):
        file = io.BytesIO()
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file, kind)
        found[f"picture.{kind.lower()}"] = (share, file.getvalue())
    for label in ("a", "b"):
        (pictures / label).mkdir(parents=True, exist_ok=True)
        for k in range(3):
            (pictures / label / f"{k}.png").write_bytes(found["picture.png"][1])

    def read(path: Path) -> Any:
        changed = pictures / "a" / f"0{path.suffix}"
        (pictures / "a" / "0.png").unlink(missing_ok=True)
        changed.write_bytes(path.read_bytes())
        try:
            return pt.read_images(pictures)
        finally:
            changed.unlink()

    return {name: Format(share, content, flipped, read) for name, (share, content) in found.items()}


def _runs() -> dict[str, Format]:
    import perceptory as pt
    from perceptory import files
    from perceptory.runs.contents import opened, signed

    run = Path("run")
    names = ("study.json", "result.json", "history.parquet", "predictions.csv")
    before = {name: (run / name).read_bytes() for name in names}

    @contextlib.contextmanager
    def put(contents: dict[str, bytes]) -> Iterator[None]:
        try:
            for name, content in contents.items():
                (run / name).write_bytes(content)
            yield
        finally:
            for name in contents:
                (run / name).write_bytes(before[name])

    def read(path: Path) -> Any:
        with put({path.name.partition("-")[0]: path.read_bytes()}):
            return pt.load_result(run).summary()

    def read_signed(path: Path) -> Any:
        name, content = path.name.partition("-")[0], path.read_bytes()
        result = opened(before["result.json"])
        result["files"][name] = files.digest(content)
        with put({name: content, "result.json": signed(result)}):
            return pt.load_result(run).summary()

    predictions = cells(b",")
    model = (run / "model.safetensors").read_bytes()
    mixture = Path("mixture", "model.safetensors").read_bytes()
    return {
        "model.safetensors": Format(0.04, model, altered_model, pt.Model.load),
        "mixture.safetensors": Format(0.02, mixture, altered_model, pt.Model.load),
        "bytes.safetensors": Format(0.005, model, flipped, pt.Model.load),
        "result.json-bytes": Format(0.06, before["result.json"], flipped, read),
        "result.json-signed": Format(0.01, before["result.json"], altered_json, read),
        "study.json-signed": Format(0.003, before["study.json"], altered_json, read),
        "history.parquet-signed": Format(0.005, before["history.parquet"], flipped, read_signed),
        "predictions.csv-signed": Format(0.002, before["predictions.csv"], predictions, read_signed),
    }


# --- how files are altered -------------------------------------------------------------------------------------------


def flipped(rng: random.Random, content: bytes) -> bytes:
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


def cells(delimiter: bytes) -> Callable[[random.Random, bytes], bytes]:
    """Cells of a text replaced, and bytes of it at times."""

    def alter(rng: random.Random, content: bytes) -> bytes:
        lines = content.split(b"\n")
        for _ in range(rng.choice([1, 2, 4])):
            row = rng.randrange(len(lines))
            parts = lines[row].split(delimiter)
            parts[rng.randrange(len(parts))] = rng.choice(CELLS)
            lines[row] = delimiter.join(parts)
        data = b"\n".join(lines)
        return flipped(rng, data) if rng.random() < 0.3 else data

    return alter


def _changed(rng: random.Random, value: Any) -> Any:
    """JSON data with one entry changed, or a few."""
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


def altered_json(rng: random.Random, content: bytes) -> bytes:
    """Entries of a signed file changed, and signed anew."""
    from perceptory.runs.contents import opened, signed

    return signed(_changed(rng, opened(content)))


def altered_model(rng: random.Random, content: bytes) -> bytes:
    """Entries of a model file's description changed, and its checksum made anew."""
    from safetensors.numpy import load, save

    from perceptory.models.model_file import _checksum

    length = int.from_bytes(content[:8], "little")
    description = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["perceptory"])
    tensors = load(content)
    description.pop("checksum")
    description = _changed(rng, description)
    text = json.dumps(description | {"checksum": _checksum(tensors, description)})
    return save(tensors, metadata={"perceptory": text})
