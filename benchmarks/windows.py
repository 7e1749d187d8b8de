"""Windows of many series: memory of a study, and the time of an epoch beside windows that stand in memory.

`python -m benchmarks.windows` trains an MLP on windows of 64 steps of 10,000 series of length 500 (`--series`,
`--length`, `--window`) and prints the most memory that the process has held, and the time of an epoch a million windows
beside that of a tenth of the same windows, copied, as any other examples. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any


def series(count: int, length: int, seed: int = 0) -> dict[str, Any]:
    """A long table of seasonal series of all levels."""
    import numpy as np

    random = np.random.default_rng(seed)
    level = np.exp(random.normal(3, 2, (count, 1)))
    phase = random.uniform(0, 2 * np.pi, (count, 1))
    y = level * (3 + np.sin(2 * np.pi * np.arange(length) / 24 + phase) + random.normal(0, 0.2, (count, length)))
    return {"series": np.repeat(np.arange(count), length), "y": y.ravel()}


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Memory in GiB, windows, and seconds an epoch of one study in this process."""
    import dataclasses

    import numpy as np

    import perceptory as pt
    from perceptory.data import read_series

    began = time.perf_counter()
    data = read_series(
        series(options.count, options.length), "y", predict="ahead", series="series", window=options.window,
        stride=options.stride, horizon=range(1, options.horizon + 1), season=24,
    )  # fmt: skip
    if options.copied:
        data = dataclasses.replace(data, inputs=np.asarray(data.inputs))
    read = time.perf_counter() - began
    network = pt.MLP((32,), "relu") if options.plain else pt.Windowed(pt.MLP((32,), "relu"))
    looks: list[tuple[float, float, int]] = []
    study = pt.Study(
        networks=network, epochs=options.epochs, patience=0, validation=pt.RollingOrigin(1), batch_size=256
    )

    def watch(state: dict[str, Any]) -> None:
        looks.append((time.perf_counter(), time.process_time(), state["epochs"]))

    result = study.run(data, progress=watch)
    rows = result.data.study_rows
    (begun, spent, first), (ended, worked, last) = looks[0], looks[-1]
    epochs = max(1, last - first)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "windows": data.rows, "study": rows, "read_s": read, "peak_gib": peak, "run_s": result.seconds,
        "epochs": epochs, "epoch_s": (ended - begun) / epochs, "epoch_processor_s": (worked - spent) / epochs,
        "processor_us_a_window": 1e6 * (worked - spent) / epochs / rows,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", dest="count", type=int, default=10_000)
    parser.add_argument("--length", type=int, default=500)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--horizon", type=int, default=1)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="an MLP of the windows as they are")
    parser.add_argument("--copied", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options)))
        return
    for count, copied in ((options.count, False), (options.count // 10, True), (options.count // 10, False)):
        argv = [sys.executable, "-m", "benchmarks.windows", "--one", "--series", str(count)]
        for name in ("length", "window", "horizon", "stride", "epochs"):
            argv += [f"--{name}", str(getattr(options, name))]
        argv += ["--plain"] * options.plain + ["--copied"] * copied
        found = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        print(
            f"{count} series, windows {'copied' if copied else 'cut in the program'}: {json.dumps(found)}", flush=True
        )


if __name__ == "__main__":
    main()
