"""What must be remembered: the adding problem, which gated networks learn at lengths where the simple one does not.

Two numbers of a long sequence are marked, and the target is their sum; who never looks has a mean squared error of 1/6.
The norms of the gradients by the states h_t, before and after training, are drawn to a file: where they vanish, step t
teaches nothing. The last panel shows them over 200 steps at the start, with what `gradient_flow` says of it.

`python examples/adding_problem.py 200 20000 12 adding_problem.png` is the problem at its usual length (minutes).
"""

import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import perceptory as pt
from perceptory.networks.base import unpack
from perceptory.networks.sequences import state_gradients

length, examples, epochs = (int(a) for a in sys.argv[1:4]) if len(sys.argv) > 3 else (30, 2000, 12)
picture = Path(sys.argv[4]) if len(sys.argv) > 4 else Path(tempfile.mkdtemp()) / "adding_problem.png"


def adding(count: int, seed: int, length: int = length) -> tuple[np.ndarray, np.ndarray]:
    """x [count, length, 2]: numbers from 0 to 1, and marks, one in each half; y [count]: the sum of the marked two."""
    random = np.random.default_rng(seed)
    x = np.zeros((count, length, 2), np.float32)
    x[..., 0] = random.uniform(size=(count, length))
    half = length // 2
    marked = np.stack([random.integers(0, half, count), random.integers(half, length, count)], axis=1)
    np.put_along_axis(x[..., 1], marked, 1, axis=1)
    return x, np.take_along_axis(x[..., 0], marked, axis=1).sum(axis=1)


data = pt.read_arrays(*adding(examples, 0), kind="series")
x, y = adding(2000, 1)
figure = Figure(figsize=(13, 3.5), layout="constrained")
panels = figure.subplots(1, 3)
panels[1].sharey(panels[0])
for spec in (pt.LSTM((32,)), pt.GRU((32,)), pt.RNN((32,))):
    study = pt.Study(
        spec, optimizer=pt.Adam(pt.Cosine(pt.choice(3e-3, 1e-2))), epochs=epochs, patience=0, batch_size=64, test=0,
        validation=pt.HoldOut(0.1),
    )  # fmt: skip
    result = study.run(data)
    model = result.model
    error = float(np.mean((model.predict(x) - y) ** 2))
    print(f"{spec.label}: validation {result.validation['rmse'] ** 2:.2g}, test {error:.2g} (mean squared error)")

    new = spec.build(x.shape[1:], (1,), key=jax.random.key(0))
    scaled = jnp.asarray((x[:100] - model.in_center[0]) * model.in_factor[0], jnp.float32)
    goal = jnp.asarray((y[:100, None] - model.out_center[0]) / model.out_scale[0], jnp.float32)
    for panel, network in zip(panels[:2], (new, unpack(new, jnp.asarray(model.weights[0], jnp.float32))), strict=True):
        norms = state_gradients(network, scaled, goal, lambda output, target: jnp.mean((output - target) ** 2))[0]
        panel.semilogy(np.arange(length) + 1, np.maximum(norms, 1e-12), label=spec.label)

long = pt.read_arrays(*adding(120, 2, length=200), kind="series")
for spec, dashes in ((pt.LSTM((32,)), "-"), (pt.RNN((32,)), "--")):
    flow = pt.insight.gradient_flow(spec, long, epochs=1, records=1, rows=50)
    print(flow.findings[0] if flow.findings else flow)
    panels[2].semilogy(np.arange(200) + 1, np.maximum(flow.by_time[0, 0], 1e-16), dashes, label=spec.label)
for panel, title in zip(panels, ("at the start", "after training", "200 steps, at the start"), strict=True):
    panel.set(title=title, xlabel="step t")
panels[0].set_ylabel("norm of the gradient by h at step t")
panels[0].legend()
panels[2].legend()
figure.savefig(picture, dpi=120)
print(f"gradients over time: {picture.name}")
