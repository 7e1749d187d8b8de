"""How fast tables are read, made ready for training, and predicted: `python -m benchmarks.data [ROWS] [ONLY]`.

Each measure has a rival, what it would take without perceptory, and both are timed in turns; given are medians of
seconds and, with their ratio, of processor time, which other processes disturb less. Memory is the peak of a process
of its own that reads a table and trains one network. The files are generated, in a temporary folder. ONLY is a part of
the names of the measures to be taken.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

TURNS = 5
WORDS = ("red", "green", "blue", "yellow", "black", "white", "grey", "pink")


def numbers(rows: int, columns: int, seed: int = 0) -> pl.DataFrame:
    """Normal numbers x0, x1, ... and a target y."""
    random = np.random.default_rng(seed)
    values = {f"x{k}": random.normal(size=rows) for k in range(columns - 1)}
    return pl.DataFrame({**values, "y": random.normal(size=rows)})


def mixed(rows: int) -> pl.DataFrame:
    """13 columns: five numbers, six categories, a date, the target; 5 % of the inputs are missing."""
    random = np.random.default_rng(1)
    columns: dict[str, Any] = {f"n{k}": np.round(random.normal(size=rows), 4) for k in range(5)}
    for k in range(6):
        names = np.array([f"{word} {k}" for word in WORDS[: 3 + k]])
        columns[f"c{k}"] = names[random.integers(len(names), size=rows)]
    columns["day"] = pl.Series(random.integers(17000, 19500, rows), dtype=pl.Int32).cast(pl.Date)
    frame = pl.DataFrame(columns)
    frame = frame.select(
        pl.when(pl.Series(random.random(rows) >= 0.05)).then(pl.col(name)).alias(name) for name in frame.columns
    )
    return frame.with_columns(y=random.normal(size=rows))


def ready(source: Any) -> Any:
    """Read, infer, check, and encode, into the array that the program takes: what a study does before it trains."""
    from perceptory.data import Encoder, read_table
    from perceptory.studies.encoded_examples import encode

    data = read_table(source, "y")
    return encode(data, Encoder.fit(data)).raw(np.float32)


def model_of(frame: pl.DataFrame) -> Any:
    """Ten networks of 64-64, hardly trained: prediction takes as long as if they were."""
    import perceptory as pt

    study = pt.Study(pt.MLP((64, 64)), validation=pt.KFold(10), epochs=1, patience=0, batch_size=256, test=0.0)
    return study.run(pt.read_table(frame.head(2000), "y")).model


Times = tuple[float, float]  # seconds, and those of the processor


def medians(ours: Callable[[], Any], rival: Callable[[], Any], turns: int = TURNS) -> tuple[Times, Times]:
    """Times of both, taken in turns after one call of each."""
    ours(), rival()
    times: tuple[list[Times], list[Times]] = ([], [])
    for _ in range(turns):
        for call, taken in zip((ours, rival), times, strict=True):
            start = time.perf_counter(), time.process_time()
            call()
            taken.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    seconds, processor = ([statistics.median(t[k] for t in each) for each in times] for k in (0, 1))
    return (seconds[0], processor[0]), (seconds[1], processor[1])


def report(name: str, ours: Times, rival: Times, against: str) -> None:
    wall, cpu = (
        f"{a * 1e3:>10.2f} ms {b * 1e3:>10.2f} ms {a / b if b else 0:>7.2f} x" for a, b in zip(ours, rival, strict=True)
    )
    print(f"{name:<44} {wall}   processor {cpu}  {against}", flush=True)


def main(rows: int = 1_000_000, only: str = "") -> None:
    with tempfile.TemporaryDirectory() as folder:
        measures = {
            "CSV of numbers": csv_of_numbers,
            "CSV of every kind": csv_of_every_kind,
            "Parquet of every kind": parquet,
            "wide CSV": wide,
            "long CSV": long,
            "peak of reading": peak_of_reading,
            "prediction": prediction,
            "whole process": whole_process,
            "quick fit": quick_fit,
            "memory of training": memory,
        }
        for name, measure in measures.items():
            if only in name:
                measure(Path(folder), rows)


def csv_of_numbers(folder: Path, rows: int) -> None:
    path = folder / "numbers.csv"
    numbers(rows, 11).write_csv(path)
    report(f"CSV {rows} x 11 numbers", *medians(lambda: ready(path), lambda: pl.read_csv(path)), "polars.read_csv")


def csv_of_every_kind(folder: Path, rows: int) -> None:
    path = folder / "mixed.csv"
    mixed(rows).write_csv(path)
    report(f"CSV {rows} x 13, six categories, a date", *medians(lambda: ready(path), lambda: pl.read_csv(path)), "same")


def parquet(folder: Path, rows: int) -> None:
    path = folder / "mixed.parquet"
    mixed(rows).write_parquet(path)

    def rival() -> Any:
        return pl.read_parquet(path).with_columns(pl.col(pl.Date, pl.Float64).cast(pl.Float64))

    report(f"Parquet {rows} x 13", *medians(lambda: ready(path), rival), "polars.read_parquet, cast to float")


def wide(folder: Path, rows: int) -> None:
    path = folder / "wide.csv"
    for columns in (1000, 5000):
        numbers(2000, columns).write_csv(path)
        ours, rival = medians(lambda: ready(path), lambda: pl.read_csv(path), 3)
        report(f"CSV 2000 x {columns} numbers", ours, rival, "polars.read_csv")


def long(folder: Path, rows: int) -> None:
    path = folder / "long.csv"
    for times in (3, 10):
        numbers(times * rows, 2).write_csv(path)
        ours, rival = medians(lambda: ready(path), lambda: pl.read_csv(path), 3)
        report(f"CSV {times * rows} x 2 numbers", ours, rival, "polars.read_csv")


PEAK = """
def peak():  # of this process alone: what getrusage says begins with what the process that started it held
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
"""

READ = f"""{PEAK}
import sys
from pathlib import Path
from benchmarks.data import ready
import perceptory.studies.encoded_examples
before = peak()
ready(Path(sys.argv[1]))
print(before, peak())
"""


def peak_of_reading(folder: Path, rows: int) -> None:
    for made, name in ((numbers(rows, 11), "numbers"), (mixed(rows), "mixed")):
        path = folder / f"{name}.csv"
        made.write_csv(path)
        before, peak = map(float, output_of("-c", READ, str(path)).split())
        size, what = path.stat().st_size / 2**20, f"peak of reading {made.height} x {made.width} {name}.csv"
        print(
            f"{what:<44} {peak:>10,.0f} MiB {size:>10,.0f} MiB {peak / size:>7.2f} x   the file, {before:,.0f} MiB of"
            " it what is imported",
            flush=True,
        )


def output_of(*arguments: str) -> str:
    """What a process of Python prints."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def prediction(folder: Path, rows: int) -> None:
    frame = mixed(rows)
    model = model_of(frame)
    start = time.perf_counter()
    model.predict(frame.head(1))
    print(f"{'the first row':<44} {(time.perf_counter() - start) * 1e3:>10.2f} ms")
    encoder = model.encoder
    inputs = encoder.transform(frame)
    report(
        f"predict {rows} x 13, ten networks of 64-64",
        *medians(lambda: model.predict(frame), lambda: model.mean(inputs), 3),
        "the networks alone",
    )
    report("encode them", *medians(lambda: encoder.transform(frame), lambda: frame.to_numpy(), 3), "frame.to_numpy()")
    one, row = frame.slice(5, 1), frame.row(5, named=True)
    few = inputs[5:6]
    for what, given in (("a frame", one), ("a pandas frame", one.to_pandas()), ("a dict of values", row)):
        try:
            report(f"one row, {what}", *medians(lambda g=given: model.predict(g), lambda: model.mean(few), 200), "net")
            report(f"one row, {what}, encoding", *medians(lambda g=given: encoder.transform(g), dict, 200), "nothing")
        except ValueError as error:
            print(f"one row, {what}: {error}")


SKLEARN = """
import sys, time, numpy as np, polars as pl
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
def read(path, most=None):
    frame = pl.read_parquet(path, n_rows=most)
    return frame.with_columns(pl.col("day").cast(pl.Int32).cast(pl.Float64)).to_pandas()
few = read(sys.argv[1], 2000)
scaled = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
columns = make_column_transformer(
    (scaled, [f"n{k}" for k in range(5)] + ["day"]), (OneHotEncoder(), [f"c{k}" for k in range(6)])
)
x = columns.fit_transform(few)
networks = [
    MLPRegressor(hidden_layer_sizes=(64, 64), activation="tanh", max_iter=1, random_state=k).fit(x, few["y"])
    for k in range(10)
]
start = time.perf_counter()
inputs = columns.transform(read(sys.argv[1]))
mean = np.mean([network.predict(inputs) for network in networks], axis=0)
pl.DataFrame({"prediction": mean}).write_parquet(sys.argv[2])
print(time.perf_counter() - start)
"""


def whole_process(folder: Path, rows: int) -> None:
    """From Parquet to Parquet: `perceptory predict` from its start to its end, and scikit-learn without its start and
    its training."""
    frame, data, run = mixed(rows), folder / "predicted.parquet", folder / "model.safetensors"
    frame.write_parquet(data)
    model_of(frame).save(run)
    ours, theirs = [], []
    for _ in range(2):
        start = time.perf_counter()
        output_of("-m", "perceptory", "predict", str(run), str(data), "--out", str(folder / "out.parquet"))
        ours.append(time.perf_counter() - start)
        theirs.append(float(output_of("-W", "ignore", "-c", SKLEARN, str(data), str(folder / "theirs.parquet"))))
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"{f'predict {rows} x 13, whole process':<44} {a:>10.2f} s  {b:>10.2f} s  {a / b:>7.2f} x   scikit-learn")


QUICK = """
import sys, time
begun, trained = time.perf_counter(), []
from perceptory.studies import run
train_group = run.train_group
def timed(*arguments, **more):
    start = time.perf_counter()
    train_group(*arguments, **more)
    trained.append(time.perf_counter() - start)
run.train_group = timed
sys.argv[1:] = ["fit", sys.argv[1], "--target", "y", "--quick", "--network", "mlp:16", "--out", sys.argv[2]]
from perceptory.__main__ import main
try:
    main()
except SystemExit:
    pass
print(time.perf_counter() - begun, sum(trained))
"""


def quick_fit(folder: Path, rows: int) -> None:
    """`fit --quick` of a CSV with its report, and of it the training of its groups, compilation included."""
    path = folder / "quick.csv"
    numbers(rows, 10).write_csv(path)
    whole, training = map(float, output_of("-c", QUICK, str(path), str(folder / "run")).split()[-2:])
    what = f"fit --quick --network mlp:16, {rows} x 10"
    print(
        f"{what:<44} {whole:>10.2f} s  {training:>10.2f} s  {whole - training:>7.2f} s   more than training", flush=True
    )


TRAINED = f"""{PEAK}
import sys
import perceptory as pt
study = pt.Study(pt.MLP((16,)), epochs=1, patience=0, memory=float(sys.argv[2]))
study.replace(validation=pt.HoldOut(0.2)).run(pt.read_table(sys.argv[1], "y"))
print(peak())
"""


def memory(folder: Path, rows: int) -> None:
    for made, name in ((numbers(rows, 20), "numbers"), (mixed(rows), "mixed"), (numbers(rows // 50, 2000), "wide")):
        path = folder / f"{name}.parquet"
        made.write_parquet(path)
        made.write_csv(path.with_suffix(".csv"))
        for kind, budget in ((".csv", "2"), (".parquet", "2"), (".parquet", "0.25")):
            peak = float(output_of("-c", TRAINED, str(path.with_suffix(kind)), budget))
            cells = made.estimated_size() / 2**20
            print(
                f"memory, {made.height} x {made.width} {name}{kind}, budget {budget} GiB: {peak:,.0f} MiB at most",
                end="",
            )
            print(f", {cells:,.0f} as a frame of polars")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2] if len(sys.argv) > 2 else "")
