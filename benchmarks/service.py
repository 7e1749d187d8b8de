"""`perceptory serve` under load, on loopback: one server process, one process that asks.

    python -m benchmarks.service [rate] [rival] [batch] [memory] [malformed] [--seconds 60]

rate: one-row requests at 500 a second, in an open loop: latency counts from when a request was due. rival: most
requests a second over 16 connections, against a pipeline of ten of scikit-learn's networks behind FastAPI.
batch: 10,000 rows in one request, as JSON and as binary tensors, against Model.predict. memory: over 100,000 requests.
malformed: 10,000 requests of altered bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import perceptory as pt

COLUMNS = 11


def table(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    data: dict[str, np.ndarray] = {f"x{k}": rng.normal(size=rows) for k in range(COLUMNS - 1)}
    data["color"] = rng.choice(["red", "green", "blue"], rows)
    return data


def run_folder(folder: Path) -> Path:
    """Ten networks of 64-64 over ten numbers and a category."""
    data = table(2000)
    data["y"] = data["x0"] * data["x1"] + (data["color"] == "red")
    study = pt.Study(pt.MLP((64, 64)), epochs=20, validation=pt.KFold(10))
    study.run(pt.read_table(data, target="y"), folder=folder / "m-run")
    return folder / "m-run"


@contextlib.contextmanager
def serving(command: list[str], pattern: str) -> Iterator[tuple[int, int]]:
    """(port, process) of a server."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(pattern, line)
        if found:
            break
    try:
        yield int(found.group(1)), process.pid  # type: ignore[union-attr]
    finally:
        process.terminate()
        process.wait(60)


def own(run: Path) -> Any:
    command = [sys.executable, "-m", "perceptory", "serve", str(run), "--port", "0"]
    return serving(command, r"http://127\.0\.0\.1:(\d+)/v2")


def post(path: str, body: bytes, headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    return int(head[9:12]), await reader.readexactly(int(length.group(1)) if length else 0)


def one_row(k: int) -> bytes:
    rng = random.Random(k)
    row = {f"x{i}": rng.gauss(0, 1) for i in range(COLUMNS - 1)} | {"color": rng.choice(["red", "green", "blue"])}
    return json.dumps({"dataframe_records": [row]}).encode()


async def open_loop(port: int, rate: float, seconds: float, path: str) -> tuple[np.ndarray, Counter[int]]:
    """Latencies in seconds of requests that are due at a fixed rate, over as many connections as it takes."""
    free: list[tuple[Any, Any]] = []
    bodies = [post(path, one_row(k)) for k in range(200)]
    latencies: list[float] = []
    codes: Counter[int] = Counter()

    async def ask(due: float, body: bytes) -> None:
        reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        writer.write(body)
        status, _ = await answer(reader)
        latencies.append(time.perf_counter() - due)
        codes[status] += 1
        free.append((reader, writer))

    began = time.perf_counter()
    tasks = []
    for k in range(int(rate * seconds)):
        due = began + k / rate
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(ask(due, bodies[k % 200])))
    await asyncio.gather(*tasks)
    for _, writer in free:
        writer.close()
    return np.array(latencies), codes


async def closed_loop(port: int, count: int, connections: int, path: str) -> float:
    """Requests a second, each connection asking as soon as it has its answer."""
    bodies = [post(path, one_row(k)) for k in range(200)]

    async def client(n: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for k in range(n):
            writer.write(bodies[k % 200])
            status, body = await answer(reader)
            assert status == 200, body
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(count // connections) for _ in range(connections)))
    return count / (time.perf_counter() - began)


def rate(run: Path, seconds: float) -> None:
    with own(run) as (port, _):
        asyncio.run(open_loop(port, 500, 3, "/invocations"))
        latencies, codes = asyncio.run(open_loop(port, 500, seconds, "/invocations"))
    p50, p99, most = 1000 * np.quantile(latencies, [0.5, 0.99, 1.0])
    told = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, longest {most:.1f} ms; {dict(codes)}"
    print(f"rate: 500 a second for {seconds:.0f} s: {told}")


RIVAL = """
import sys
import numpy as np, pandas as pd, uvicorn, socket
from fastapi import FastAPI, Request
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from benchmarks.service import COLUMNS, table
data = pd.DataFrame(table(2000))
y = data["x0"] * data["x1"] + (data["color"] == "red")
numbers = [f"x{k}" for k in range(COLUMNS - 1)]
categories = OneHotEncoder(handle_unknown="ignore")
columns = ColumnTransformer([("n", StandardScaler(), numbers), ("c", categories, ["color"])])
ten = [MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=20, random_state=k) for k in range(10)]
nets = VotingRegressor([(str(k), net) for k, net in enumerate(ten)])
model = make_pipeline(columns, nets).fit(data, y)
app = FastAPI()
@app.post("/invocations")
def predict(body: dict) -> dict:
    return {"predictions": model.predict(pd.DataFrame(body["dataframe_records"])).tolist()}
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
print("port", listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listening])
"""


def rival(run: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", RIVAL]
    with own(run) as (port, _), serving(command, r"port (\d+)") as (other, _):
        asyncio.run(closed_loop(port, 1600, 16, "/invocations"))
        asyncio.run(closed_loop(other, 160, 16, "/invocations"))
        ours, theirs = [], []
        for _ in range(3):
            ours.append(asyncio.run(closed_loop(port, 3200, 16, "/invocations")))
            theirs.append(asyncio.run(closed_loop(other, 480, 16, "/invocations")))
    a, b = np.median(ours), np.median(theirs)
    print(f"rival: {a:.0f} requests a second against {b:.0f} of scikit-learn behind FastAPI: {a / b:.1f} times")


def batch(run: Path, rows: int = 10_000) -> None:
    import polars as pl

    data = table(rows)
    frame = pl.DataFrame(data)
    model = pt.Model.load(run)
    plain = json.dumps({"inputs": {name: values.tolist() for name, values in data.items()}}).encode()
    inputs, binary = [], b""
    for name, values in data.items():
        if name == "color":
            content = b"".join(len(t).to_bytes(4, "little") + t for t in (v.encode() for v in values))
            kind = "BYTES"
        else:
            content, kind = values.tobytes(), "FP64"
        parameters = {"binary_data_size": len(content)}
        inputs.append({"name": name, "shape": [rows], "datatype": kind, "parameters": parameters})
        binary += content
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    requests = {
        "JSON": post("/invocations", plain),
        "binary": post("/v2/models/m/infer", head + binary, f"Inference-Header-Content-Length: {len(head)}\r\n"),
    }

    async def ask(port: int) -> dict[str, list[float]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
        times: dict[str, list[float]] = {"predict": [], **{name: [] for name in requests}}
        for _ in range(12):
            began = time.perf_counter()
            model.predict(frame)
            times["predict"].append(time.perf_counter() - began)
            for name, request in requests.items():
                began = time.perf_counter()
                writer.write(request)
                status, _ = await answer(reader)
                assert status == 200
                times[name].append(time.perf_counter() - began)
        writer.close()
        return times

    with own(run) as (port, _):
        times = asyncio.run(ask(port))
    medians = {name: 1000 * float(np.median(t[2:])) for name, t in times.items()}
    said = ", ".join(f"{name} {ms:.1f} ms ({ms / medians['predict']:.2f})" for name, ms in medians.items())
    print(f"batch of {rows} rows: {said}")


def resident(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def memory(run: Path, count: int) -> None:
    with own(run) as (port, pid):
        asyncio.run(closed_loop(port, 5000, 16, "/invocations"))
        seen = [resident(pid)]
        for _ in range(5):
            asyncio.run(closed_loop(port, count // 5, 16, "/invocations"))
            seen.append(resident(pid))
    print(f"memory over {count} requests: {', '.join(f'{m:.0f}' for m in seen)} MiB")


def malformed(run: Path, count: int) -> None:
    good, rng = one_row(0), random.Random(0)

    async def ask(port: int) -> Counter[int]:
        codes: Counter[int] = Counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(count):
            body = bytearray(good)
            for _ in range(rng.randint(1, 8)):
                body[rng.randrange(len(body))] = rng.randrange(256)
            if rng.random() < 0.3:
                del body[rng.randrange(len(body)) :]
            writer.write(post("/invocations", bytes(body)))
            status, _ = await answer(reader)
            codes[status] += 1
        writer.close()
        return codes

    with own(run) as (port, pid):
        asyncio.run(closed_loop(port, 1600, 16, "/invocations"))
        before = resident(pid)
        codes = asyncio.run(ask(port))
        after = resident(pid)
    print(f"malformed: {count} requests: {dict(codes)}; {before:.0f} MiB before, {after:.0f} after")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=100_000)
    options = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", str(Path(pt.__file__).parents[1]))
    with tempfile.TemporaryDirectory() as folder:
        run = run_folder(Path(folder))
        parts = {
            "rate": lambda: rate(run, options.seconds),
            "rival": lambda: rival(run),
            "batch": lambda: batch(run),
            "memory": lambda: memory(run, options.count),
            "malformed": lambda: malformed(run, options.count // 10),
        }
        for name in options.parts or parts:
            parts[name]()


if __name__ == "__main__":
    main()
