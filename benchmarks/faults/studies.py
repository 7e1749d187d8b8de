"""Small studies of every kind, as the command line runs them, and what two runs of the same study have in common."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FILES = ("study.json", "history.parquet", "predictions.csv", "model.safetensors")


def write_data(folder: Path) -> None:
    """table.csv, series.csv and images.npz."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 300))
    y = np.sin(2 * a) + 0.5 * b + 0.1 * random.normal(size=300)
    rows = [f"{a[i]:.6f},{b[i]:.6f},{('red', 'green', 'blue')[i % 3]},{y[i]:.6f}" for i in range(300)]
    (folder / "table.csv").write_text("\n".join(["a,b,color,y", *rows]) + "\n")
    t = np.arange(400)
    u = np.sin(t / 7) + 0.3 * random.normal(size=400)
    out = np.convolve(u, [0.5, 0.3, 0.2])[:400]
    lines = [f"{k},{u[k]:.6f},{out[k]:.6f}" for k in t]
    (folder / "series.csv").write_text("\n".join(["t,u,y", *lines]) + "\n")
    images = random.integers(0, 255, (120, 8, 8, 1)).astype(np.uint8)
    labels = (images[:, :4].mean((1, 2, 3)) > images[:, 4:].mean((1, 2, 3))).astype(int)
    np.savez(folder / "images.npz", x=images, y=labels)


SEVERAL = ["--folds", "3", "--learning-rate", "0.01/0.003"]
STUDIES: dict[str, list[str]] = {
    "table": ["table.csv", "--target", "y", "--network", "mlp:12/16,8", *SEVERAL],
    "refit": ["table.csv", "--target", "y", "--network", "mlp:12", "--final", "refit", "--seeds", "2", *SEVERAL],
    "second order": ["table.csv", "--target", "y", "--network", "mlp:6/8", "--optimizer", "lm", "--folds", "3"],
    "series": [
        "series.csv", "--target", "y", "--inputs", "u", "--time", "t", "--window", "20", "--stride", "10",
        "--predict", "every-step", "--network", "lstm:8", *SEVERAL,
    ],
    "images": ["images.npz", "--network", "cnn:4:hidden=8", *SEVERAL],
    "autoencoder": ["table.csv", "--task", "autoencode", "--network", "autoencoder:2", *SEVERAL],
}  # fmt: skip
EPOCHS = {
    "table": 300, "refit": 250, "second order": 50, "series": 50, "images": 30, "autoencoder": 250,
}  # fmt: skip


def without_pictures() -> None:
    """Let this process write a page without figures: they take ten times as long as all else, and nothing is written
    while they are drawn."""
    from perceptory.reports import page

    page.render = lambda result: "page"  # type: ignore[assignment]


def fit(name: str, epochs: int, *more: str) -> list[str]:
    """The command's arguments."""
    return ["fit", *STUDIES[name], "--epochs", str(epochs), "--patience", "0", *more]


def differences(run: Path, whole: Path, names: Sequence[str] = FILES) -> list[str]:
    """Files of two runs that differ; of result.json without times and digests."""
    found = [n for n in names if _content(run / n) != _content(whole / n)]
    return found if _timeless(run) == _timeless(whole) else [*found, "result.json"]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _timeless(run: Path) -> Any:
    if not (run / "result.json").exists():
        return None
    result = json.loads((run / "result.json").read_bytes())
    for entry in (result, *result["candidates"]):
        entry.pop("seconds")
    result.pop("digest")
    return result
