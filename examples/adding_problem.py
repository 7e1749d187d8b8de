"""What must be remembered: the adding problem, and how far the gradients of three recurrent networks reach back in it.

Two numbers of a long sequence are marked, and the target is their sum; who never looks has a mean squared error of 1/6.
For each network: its error, its learning rate chosen by validation, and, in a figure, the norm of the gradient by the
state h at each time step at several moments of the training. The problem at its usual length (minutes):

    python examples/adding_problem.py --length 200 --examples 20000 --networks LSTM,GRU,RNN --picture adding.png

GRU and LSTM solve it (errors 5e-5 and 4e-4), the simple RNN stays at chance. Yet before training the gradient fades
toward early steps in all three, in the GRU most of all: that alone is no verdict. What differs is what training does.
The gated networks learn to pass the gradient on, until it is nearly as large at the first step as at the last (GRU) or
about a tenth of it (LSTM); the RNN's stays below a ten-millionth at the first step throughout. That goes along with its
failure; it does not prove the cause. The LSTM's gradient by its cell is not in the figure, so its early states may
count for more than ∂J/∂h says.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import perceptory as pt
from perceptory.specs import from_json

CHANCE = 1 / 6


def problem(count: int, length: int, seed: int) -> Any:
    """x [count, length, 2]: numbers from 0 to 1, and marks, one in each half; y [count]: the sum of the marked two."""
    random = np.random.default_rng(seed)
    x = np.zeros((count, length, 2), np.float32)
    x[..., 0] = random.uniform(size=(count, length))
    half = length // 2
    marked = np.stack([random.integers(0, half, count), random.integers(half, length, count)], axis=1)
    np.put_along_axis(x[..., 1], marked, 1, axis=1)
    return pt.read_arrays(x, np.take_along_axis(x[..., 0], marked, axis=1).sum(axis=1), kind="series")


def study_of(kind: str, epochs: int) -> pt.Study:
    """kind: LSTM, GRU or RNN."""
    return pt.Study(
        getattr(pt, kind)((32,)), optimizer=pt.Adam(pt.Cosine(pt.choice(3e-3, 1e-2))), epochs=epochs, patience=0,
        batch_size=64, test=0, validation=pt.HoldOut(0.1), score="mse",
    )  # fmt: skip


def gradients(study: pt.Study, result: Any, data: Any) -> Any:
    """The chosen candidate trained once more, its gradients looked at meanwhile."""
    chosen = from_json(result.candidate(result.best).spec)
    return pt.insight.gradient_flow(
        study.replace(optimizer=chosen.optimizer), data, epochs=study.epochs, records=3, rows=256
    )


def figure_of(flows: list[Any], errors: list[float]) -> Figure:
    """A panel a network: norms over the steps of the sequence, each as a share of the last step's. Shares below 1e-12
    are left out."""
    figure = Figure(figsize=(4.2 * len(flows), 3.8), layout="constrained")
    panels = np.ravel(figure.subplots(1, len(flows), sharey=True, squeeze=False))
    for panel, flow, error in zip(panels, flows, errors, strict=True):
        for record, dashes in zip(range(len(flow.steps)), [":", "--", "-.", "-", "-"], strict=False):
            share = flow.by_time[record, 0] / flow.by_time[record, 0, -1]
            when = "before training" if record == 0 else f"after {flow.steps[record]} updates"
            panel.semilogy(np.arange(len(share)) + 1, np.where(share < 1e-12, np.nan, share), dashes, label=when)
        panel.set(title=f"{flow.label}, error {error:.2g} (chance {CHANCE:.2g})", xlabel="step t of the sequence")
        panel.legend()
    panels[0].set_ylabel("norm of ∂J/∂h at t, share of the last step's")
    return figure


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--length", 30), ("--examples", 1500), ("--epochs", 12)):
        asked.add_argument(name, type=int, default=default)
    asked.add_argument("--networks", default="LSTM,RNN", help="of LSTM, GRU and RNN, apart by commas")
    asked.add_argument("--picture", type=Path, default=Path(tempfile.mkdtemp()) / "adding_problem.png")
    o = asked.parse_args()

    data, test = problem(o.examples, o.length, seed=0), problem(max(200, o.examples // 4), o.length, seed=1)
    flows, errors = [], []
    for kind in o.networks.split(","):
        study = study_of(kind, o.epochs)
        result = study.run(data, test=test)
        flow, error = gradients(study, result, data), result.test()["mse"]
        flows.append(flow)
        errors.append(error)
        print(f"{flow.label}: mean squared error {error:.2g} on new sequences, chance {CHANCE:.2g}")
        for record in (0, -1):
            norms = flow.by_time[record, 0]
            early = np.median(norms[: len(norms) // 2]) / norms[-1]
            print(f"  after {flow.steps[record]:4d} updates: gradient by early states {early:.1e} of that by the last")
    figure_of(flows, errors).savefig(o.picture, dpi=120)
    print(f"gradients over time: {o.picture.name}")


if __name__ == "__main__":
    main()
