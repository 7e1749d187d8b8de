"""Predictions of an exported graph in onnxruntime beside the model's own, side by side in one process.

python -m benchmarks.export [ROWS]: raw columns to predictions, in portions of 8192 rows and all at once.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

PORTION = 8192
REPEATS = 5


class Way(NamedTuple):
    """Seconds of one way to predict, by the clock and of all processors: medians."""

    seconds: float
    processor: float


def columns_of(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Twelve numbers, some of them missing, two categories and a date."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {f"x{i}": rng.normal(10 * i, 1 + i, rows) for i in range(12)}
    columns["x0"] = np.where(rng.random(rows) < 0.1, np.nan, columns["x0"])
    columns["color"] = np.array(["red", "green", "blue", "never"], object)[rng.integers(0, 3, rows)]
    columns["place"] = np.array([f"place {i}" for i in range(30)], object)[rng.integers(0, 30, rows)]
    columns["day"] = np.datetime64("2020-01-01", "us") + rng.integers(0, 1000, rows).astype("timedelta64[D]")
    return columns


def trained(networks: Any, folds: int) -> Any:
    """The model of a small study of them; its accuracy is of no matter here."""
    import perceptory as pt

    columns = columns_of(2000)
    x = np.stack([np.nan_to_num(columns[f"x{i}"]) for i in range(12)])
    columns["y"] = np.tanh(x[1]) + x[3] * (columns["color"] == "red") + np.sin(x[5])
    study = pt.Study(networks, validation=pt.KFold(folds), epochs=3)
    return study.run(pt.read_table(columns, "y")).model


def compare(ways: dict[str, Callable[[], Any]]) -> dict[str, Way]:
    """Medians of interleaved runs, after one of each that does not count."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for repeat in range(REPEATS + 1):
        for name, run in ways.items():
            clock, processor = time.perf_counter(), time.process_time()
            run()
            if repeat:
                taken[name].append((time.perf_counter() - clock, time.process_time() - processor))
    return {name: Way(*map(statistics.median, zip(*each, strict=True))) for name, each in taken.items()}


def measure(networks: Any, folds: int, rows: int) -> None:
    """Prints the time of each way for one model."""
    import polars as pl
    from onnxruntime import InferenceSession, SessionOptions

    from perceptory.export.columns import feeds

    model = trained(networks, folds)
    columns = columns_of(rows, 1)
    frame = pl.DataFrame({name: pl.Series(values.tolist() if values.dtype == object else values)
                          for name, values in columns.items()})  # fmt: skip
    with TemporaryDirectory() as folder:
        exported = model.to_onnx(f"{folder}/model.onnx", frame.head(4096))
        options = SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads take no processor
        session = InferenceSession(exported.path, options, providers=["CPUExecutionProvider"])
    arrays = feeds(model.encoder, frame)

    def in_portions() -> np.ndarray:
        parts = range(0, rows, PORTION)
        return np.concatenate([session.run(None, {k: v[i : i + PORTION] for k, v in arrays.items()})[0] for i in parts])

    ways: dict[str, Callable[[], Any]] = {
        "the model, from a data frame": lambda: model.predict(frame),
        "onnxruntime, from arrays, portions": in_portions,
        "onnxruntime, from arrays, at once": lambda: session.run(None, arrays)[0],
    }
    print(f"{model!r}, {rows} rows; {exported.difference['relative']:.1e} apart")
    for name, way in compare(ways).items():
        print(f"  {name:36s} {way.seconds:8.3f} s   {way.processor:8.3f} s of processors", flush=True)


def main(rows: int = 1_000_000) -> None:
    import perceptory as pt

    for networks, folds in ((pt.MLP((64, 64)), 10), (pt.MLP((32, 32), "relu"), 3), (pt.Linear(), 10)):
        measure(networks, folds, rows)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
