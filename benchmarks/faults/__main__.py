"""python -m benchmarks.faults [PART ...] [--count N] [--seed S]

Parts: kills, stops, writes, outputs, races, flips, memory, mutations; all of them by default. Prints what is bad and
counts at the end.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
from pathlib import Path

PARTS = ("writes", "outputs", "flips", "memory", "races", "stops", "kills", "mutations")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to try; all by default")
    parser.add_argument("--count", type=int, help="how many trials, where a part has no number of its own")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    here = Path.cwd()
    for part in options.parts or PARTS:
        tried = importlib.import_module(f"benchmarks.faults.{part}")
        with tempfile.TemporaryDirectory(prefix="perceptory-faults-") as folder:
            how = {} if part == "writes" else {"seed": options.seed}
            if options.count is not None and part != "writes":
                how["count"] = options.count
            counts = tried.try_all(Path(folder).resolve(), **how)
            os.chdir(here)
        print(f"{part}: {dict(sorted(counts.items()))}", flush=True)


if __name__ == "__main__":
    main()
