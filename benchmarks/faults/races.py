"""Two to four processes at once with one folder: one of them has it, the others are told so, nothing is mixed."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path

from benchmarks.faults.processes import Command
from benchmarks.faults.studies import differences, fit, write_data

WAYS = ([], ["--overwrite"], ["--resume"])
SENTENCES = ("another process writes", "holds a run already", "asked something else")


def try_all(folder: Path, count: int = 40, seed: int = 0) -> Counter[str]:
    """So many races; each process asks for another seed, so that a mixture would be seen."""
    write_data(folder)
    os.chdir(folder)
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    for number in range(4):
        code, said = Command(_command(number, f"whole {number}")).wait()
        if code:
            raise RuntimeError(said)
    for _ in range(count):
        shutil.rmtree("run", ignore_errors=True)
        way = rng.choice(WAYS)
        if way != []:
            shutil.copytree("whole 0", "run")
        processes = []
        for number in range(rng.choice([2, 2, 3, 4])):
            processes.append(Command(_command(number, "run", *way)))
            time.sleep(rng.choice([0.0, 0.0, 0.02, 0.3]))
        ended = [process.wait() for process in processes]
        bad = _judged(ended)
        counts["bad" if bad else f"{' '.join(way) or 'plain'}: sound"] += 1
        counts["refused"] += sum(code == 2 for code, _ in ended)
        if bad:
            print(f"{way}: {bad}", flush=True)
    return counts


def _command(number: int, out: str, *more: str) -> list[str]:
    return fit("table", 5, "--out", out, "--quiet", "--seed", str(number), *more)


def _judged(ended: list[tuple[int, str]]) -> str:
    for code, said in ended:
        if code not in (0, 2) or (code == 2 and not any(s in said for s in SENTENCES)) or "Traceback" in said:
            return f"ended with {code}: {said}"
    if not any(code == 0 for code, _ in ended):
        return "nobody had the folder"
    owners = [number for number in range(4) if not differences(Path("run"), Path(f"whole {number}"))]
    if len(owners) != 1:
        return f"the folder is that of {owners}"
    if [p.name for p in Path("run").iterdir() if p.name.startswith(".")]:
        return "something is left"
    return "" if owners[0] < len(ended) and ended[owners[0]][0] == 0 else "the folder is that of one who was refused"
