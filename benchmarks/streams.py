"""How fast a table larger than memory trains: `python -m benchmarks.streams [ROWS] [TURNS]`.

Parquet of 10 numbers is written into a temporary folder; a network of 64-64 trains on it as a stream and, in turns, on
a part of it that is in memory, and by eager PyTorch on the same files, each in a process of its own. Given are medians
of training rows a second, the stream's also with everything before and after the training, and the most memory that
the processes held.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

PART = 5_000_000  # rows of a file
IN_MEMORY = 2_000_000


def write(folder: Path, rows: int) -> None:
    """Files of nine inputs and a target, in row groups of 131,072 rows."""
    random = np.random.default_rng(0)
    for start in range(0, rows, PART):
        x = random.standard_normal((min(PART, rows - start), 9), dtype=np.float32)
        y = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * random.standard_normal(len(x), dtype=np.float32)
        frame = pl.DataFrame({f"x{k}": x[:, k] for k in range(9)} | {"y": y})
        frame.write_parquet(folder / f"{start // PART:04d}.parquet", row_group_size=1 << 17)


def train(folder: str, how: str) -> dict[str, Any]:
    """Rows a second of training, of the whole study, and the peak of memory in MiB."""
    import perceptory as pt

    begun = time.perf_counter()
    scan = pl.scan_parquet(f"{folder}/*.parquet")
    streams = how == "stream"
    data = pt.stream_table(scan, "y") if streams else pt.read_table(scan.head(IN_MEMORY).collect(), "y")
    study = pt.Study(
        pt.MLP((64, 64)), epochs=1 if streams else 5, patience=0, batch_size=256, test=0.01, optimizer=pt.Adam(1e-3),
        validation=None if streams else pt.HoldOut(0.03),
    )  # fmt: skip
    looks: list[tuple[float, int]] = []
    result = study.run(data, progress=lambda state: looks.append((time.perf_counter(), state["epochs"])))
    seconds = time.perf_counter() - begun
    (first, one), (last, all_) = looks[0], looks[-1]
    rows = result.data.study_rows / len(result.members[0].train_cost) if streams else IN_MEMORY * 0.99 * 0.97
    return {
        "rows/s": rows * (all_ - one) / (last - first),
        "whole rows/s": rows * all_ / seconds,
        "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rmse": result.validation["rmse"],
    }


def torch_loader(folder: str) -> dict[str, Any]:
    """The same network trained by eager PyTorch on the same files: a worker of a DataLoader reads row groups, shuffles
    their rows and hands over whole batches, which spares it the usual step from rows to a batch."""
    import torch
    from torch.utils.data import DataLoader, IterableDataset

    torch.set_num_threads(1)

    class Batches(IterableDataset[Any]):
        def __iter__(self) -> Any:
            for start in range(0, IN_MEMORY // 2, 1 << 17):
                rows = pl.scan_parquet(f"{folder}/*.parquet").slice(start, 1 << 17).collect().to_numpy()
                yield from torch.from_numpy(rows)[torch.randperm(len(rows))].split(256)

    layers = [torch.nn.Linear(9, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1)]
    network = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    done, begun = 0, 0.0
    for number, batch in enumerate(DataLoader(Batches(), batch_size=None, num_workers=1)):
        if number == 100:  # the worker runs
            done, begun = 0, time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(batch[:, :9]), batch[:, 9:]).backward()
        optimizer.step()
        done += len(batch)
    rate = done / (time.perf_counter() - begun)
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"rows/s": rate, "whole rows/s": rate, "MiB": peak / 1024, "rmse": float("nan")}


def main(rows: int = 20_000_000, turns: int = 3) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), rows)
        found: dict[str, list[dict[str, Any]]] = {"stream": [], "memory": [], "torch": []}
        for _ in range(turns):
            for how, results in found.items():
                command = [sys.executable, "-m", "benchmarks.streams", folder, how]
                results.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        for how, results in found.items():
            of = {name: statistics.median(r[name] for r in results) for name in results[0]}
            count = rows if how == "stream" else IN_MEMORY
            print(
                f"{how:<8} {count:>12,} rows  {of['rows/s']:>12,.0f} rows/s in training"
                f"  {of['whole rows/s']:>12,.0f} in all  {of['MiB']:>7,.0f} MiB  rmse {of['rmse']:.4f}"
            )


if __name__ == "__main__":
    if sys.argv[2:] and sys.argv[2] == "torch":
        print(json.dumps(torch_loader(sys.argv[1])))
    elif sys.argv[2:] and sys.argv[2] in ("stream", "memory"):
        print(json.dumps(train(sys.argv[1], sys.argv[2])))
    else:
        main(*map(int, sys.argv[1:]))
