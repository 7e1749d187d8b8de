"""Every kind of network in a study, against eager PyTorch: `python -m benchmarks.networks [name ...]`.

Ours is the product with everything on: rows gathered, shuffled, scaled, validated after each epoch (one row in nine),
best weights kept. PyTorch takes its training step alone, on data that lie ready, in its faster memory layout. Adam,
float32, both cores; contenders take turns in one run, medians. Run it on a quiet machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import perceptory as pt
from benchmarks import contenders, convolutional, rbf, recurrent
from benchmarks.contenders import Step, in_study
from benchmarks.population import header, interleaved, row

MEMBERS = 8


@dataclass(frozen=True)
class Case:
    """A network, its data and the targets: shares of PyTorch's time for one network, and in a population of 8."""

    network: Callable[[], Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]  # () of an autoencoder
    batch: int
    torch: Callable[[], list[Step]]
    single: float
    population: float
    batches: int = 9
    epochs: int = 8  # a member's final predictions, once at its end, are part of what is timed


def _recurrent(kind: str, width: int, length: int, batch: int, single: float, population: float) -> Case:
    def network() -> Any:
        from perceptory.networks import recurrent as specs

        return getattr(specs, kind)((width,))

    def torch() -> list[Step]:
        return [recurrent.torch_eager(kind, width, length, batch, batch_first=first) for first in (True, False)]

    return Case(network, (length, 1), (length, 1), batch, torch, single, population)


def _convolutional(kind: str, batch: int, single: float, population: float) -> Case:
    def torch() -> list[Step]:
        return [convolutional.torch_eager(kind, batch, channels_last=last) for last in (True, False)]

    shape = convolutional.SHAPES[kind]
    return Case(lambda: convolutional.spec_of(kind), shape, (convolutional.OUTPUTS,), batch, torch, single, population)


def _kernels() -> Case:
    def network() -> Any:
        from perceptory.networks.rbf import RBFNetwork

        return RBFNetwork(50, train="all")

    def torch() -> list[Step]:
        return [rbf.torch_eager(8, 50, 32, 300, expanded) for expanded in (False, True)]

    return Case(network, (8,), (1,), 32, torch, 1 / 20, 1 / 40, batches=18, epochs=200)


def _autoencoder() -> Case:
    def network() -> Any:
        return pt.Autoencoder(pt.MLP((256,), "tanh"), code=32)

    def torch() -> list[Step]:
        return [contenders.torch_eager(784, (256, 32, 256), 784, 128, 20)]

    return Case(network, (28, 28, 1), (), 128, torch, 0.7, 0.7, batches=18)


CASES: dict[str, Case] = {
    "LeNet-5, batch 32": _convolutional("lenet", 32, 0.6, 0.45),
    "LeNet-5, batch 128": _convolutional("lenet", 128, 0.9, 0.8),
    "1-D CNN, batch 32": _convolutional("series", 32, 0.7, 0.5),
    "LSTM 32, length 100, batch 32": _recurrent("LSTM", 32, 100, 32, 0.8, 0.4),
    "LSTM 64, length 100, batch 32": _recurrent("LSTM", 64, 100, 32, 0.9, 0.6),
    "LSTM 128, length 200, batch 64": _recurrent("LSTM", 128, 200, 64, 1.0, 0.8),
    "GRU 64, length 100, batch 32": _recurrent("GRU", 64, 100, 32, 0.9, 0.6),
    "RNN 64, length 100, batch 32": _recurrent("RNN", 64, 100, 32, 0.9, 0.6),
    "RBF 50, 8 inputs, batch 32": _kernels(),
    "autoencoder 784-256-32-256-784, batch 128": _autoencoder(),
}


def case_in_study(case: Case, members: int) -> Step:
    """Seconds a network and step of a study's training, everything on."""
    pt.backend.prepare()
    from perceptory.data import read_arrays

    random = np.random.default_rng(0)
    rows = case.batch * case.batches
    n = rows + -(-rows // 9)
    x = random.normal(size=(n, *case.inputs)).astype(np.float32)
    t = random.normal(size=(n, *case.outputs)).astype(np.float32)
    if not case.outputs:
        data: Any = read_arrays(np.uint8(np.clip(64 * x + 96, 0, 255)), task="autoencode", kind="image")
    elif len(case.inputs) == 1:
        data = pt.read_table(x, target=t, task="regression")
    else:
        data = read_arrays(x, t, task="regression", kind="series" if len(case.inputs) == 2 else "image")
    folds = pt.Folds(((tuple(range(rows)), tuple(range(rows, n))),))
    study = pt.Study(
        case.network(), optimizer=pt.Adam(), seeds=members, epochs=case.epochs, patience=case.epochs,
        batch_size=case.batch, test=0.0, validation=folds,
    )  # fmt: skip
    return in_study(study, data)


def measure(name: str, case: Case) -> None:
    runs = {f"torch {i}": run for i, run in enumerate(case.torch())}
    runs |= {"one": case_in_study(case, 1), "population": case_in_study(case, MEMBERS)}
    taken = interleaved(runs)
    torch = min(seconds for who, seconds in taken.items() if who.startswith("torch"))
    for who, words, target in (("one", "one network", case.single), ("population", "8 networks", case.population)):
        share = taken[who] / torch
        few = target < 0.1
        said = f"1/{1 / share:.0f}" if few else f"{share:.2f}"
        row(
            f"{name}: {words}",
            f"{said} of PyTorch ({1e3 * taken[who]:.3g} of {1e3 * torch:.3g} ms)",
            f"<= 1/{1 / target:.0f}" if few else f"<= {target}",
            share <= target,
        )


if __name__ == "__main__":
    header()
    for name in sys.argv[1:] or CASES:
        measure(name, CASES[name])
