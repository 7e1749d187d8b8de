"""Flipped bits in everything that is kept and read again: what was altered is refused or made anew, never believed."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults.studies import differences, fit, without_pictures, write_data
from benchmarks.faults.writes import called


def try_all(folder: Path, count: int = 500, seed: int = 0) -> Counter[str]:
    """So many flipped bits in each kind of file."""
    import perceptory as pt
    from perceptory import cache

    logging.getLogger("perceptory").setLevel(logging.CRITICAL)
    write_data(folder)
    without_pictures()
    os.chdir(folder)
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    assert called(fit("refit", 3, "--out", "whole", "--quiet")) == (0, "")
    whole = Path("whole")
    before = pt.load_result(whole)

    def loads(path: Path) -> str:
        try:
            again = pt.load_result(path.parent)
        except pt.InputError:
            return ""
        return "" if again.predictions.output.tobytes() == before.predictions.output.tobytes() else "other predictions"

    def model(path: Path) -> str:
        try:
            pt.Model.load(path)
        except pt.InputError:
            return ""
        return "an altered model was loaded"

    def cached(path: Path) -> str:
        return "" if cache.read(path) is None else "an altered file was read"

    for name in ("study.json", "result.json", "history.parquet", "predictions.csv"):
        _flipped(name, Path("whole") / name, count, rng, loads, counts)
    _flipped("model.safetensors", whole / "model.safetensors", count, rng, model, counts)
    places = [p for p in Path(os.environ["PERCEPTORY_CACHE"]).rglob("*") if p.is_file() and cache.read(p) is not None]
    for kind, ours in _kinds(places).items():
        _flipped(kind, ours, count, rng, cached, counts, Path("copy") / ours.name)
    _resumed(count, rng, counts)
    return counts


def _kinds(places: list[Path]) -> dict[str, Path]:
    """One file of the cache of each kind."""
    kinds = {}
    for path in places:
        kind = "kernel" if path.suffix == ".so" else "program" if path.parent.name == "programs" else "compiled code"
        kinds[kind] = path
    return kinds


def _flipped(
    kind: str, path: Path, count: int, rng: random.Random, judge: Callable[[Path], str], counts: Counter[str],
    copy: Path | None = None,
) -> None:  # fmt: skip
    """Flip bits of a file, one at a time, or of a copy of it that has its name."""
    content = bytearray(path.read_bytes())
    target = path if copy is None else copy
    target.parent.mkdir(exist_ok=True)
    for _ in range(count):
        place, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        content[place] ^= bit
        target.write_bytes(bytes(content))
        bad = judge(target)
        content[place] ^= bit
        counts[f"{kind}: {'bad' if bad else 'sound'}"] += 1
        if bad:
            print(f"{kind}, bit {bit} of byte {place}: {bad}", flush=True)
    target.write_bytes(bytes(content))


RESUMED = 25  # every so manieth altered part is tried by a run that goes on with it, the others by reading them


def _resumed(count: int, rng: random.Random, counts: Counter[str]) -> None:
    """Runs that are not complete, with a bit of a part flipped, read and gone on with."""
    import json

    from perceptory.runs.run_folder import Request, RunFolder
    from perceptory.studies import groups, keeping

    def store(path: str) -> RunFolder:
        folder = RunFolder(path)
        mark = json.loads(Path("half/study.json").read_bytes())
        folder._key = Request({}, mark["fingerprint"], mark["environment"]).key
        return folder

    interval, flops = keeping.INTERVAL, groups.SEGMENT_FLOPS
    keeping.INTERVAL, keeping.SHARE, groups.SEGMENT_FLOPS = 0.0, 1e9, 1e5
    try:
        _stopped_early()
        for kind in ("members", "refit", "running"):
            parts = [p for p in Path("half/chunks").iterdir() if p.suffix == f".{kind}" or p.name == kind]
            assert parts, kind
            assert all(store("half")._part(part) is not None for part in parts), kind
            for number in range(count):
                part = rng.choice(parts)
                content = bytearray(part.read_bytes())
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
                shutil.rmtree("run", ignore_errors=True)
                if number % RESUMED:
                    path = Path("run/chunks") / part.name
                    path.parent.mkdir(parents=True)
                    path.write_bytes(bytes(content))
                    bad = "" if store("run")._part(path) is None else "an altered part was read"
                    counts[f"part of {kind}: {'bad' if bad else 'sound'}"] += 1
                    continue
                shutil.copytree("half", "run")
                (Path("run/chunks") / part.name).write_bytes(bytes(content))
                code, said = called(fit("refit", 3, "--out", "run", "--quiet", "--resume"))
                left = differences(Path("run"), Path("whole"))
                bad = f"ended with {code}: {said}" if code else f"{left} differ" if left else ""
                counts[f"part of {kind}: {'bad' if bad else 'sound'}"] += 1
                if bad:
                    print(f"part of {kind}: {bad}", flush=True)
    finally:
        keeping.INTERVAL, groups.SEGMENT_FLOPS = interval, flops


def _stopped_early() -> None:
    """`half`: a run that was ended while its refit was at work, with parts of every kind."""
    from perceptory.studies.keeping import Keeping

    class StoppedError(BaseException):
        pass

    kept: list[int] = []
    real = Keeping.add_refitted

    def stop(self: Any, networks: Any) -> None:
        real(self, networks)
        kept.append(1)
        raise StoppedError

    Keeping.add_refitted = stop  # type: ignore[method-assign]
    try:
        with contextlib.suppress(StoppedError):
            called(fit("refit", 3, "--out", "half", "--quiet"))
    finally:
        Keeping.add_refitted = real  # type: ignore[method-assign]
    assert kept
