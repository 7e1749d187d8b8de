"""Every number of one forward and backward pass [E16 to E20], and the three stages [E11] of a fitted network.

`python examples/see_backpropagation.py FOLDER` keeps the two figures.
"""

import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

import perceptory as pt

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

# Two inputs, three tanh neurons, a sigmoid output; t = 1. For both cross entropies dJ/dz of the output is y - t.
network = pt.MLP((3,))
seen = pt.insight.backpropagation(network, x=[0.5, -1.2], t=[1.0], cost="sigmoid", key=jax.random.key(1))
print(seen)
seen.figure().savefig(folder / "backpropagation.png")

x = np.linspace(-3, 3, 200)
data = pt.read_table({"x": x, "y": np.sin(2 * x)}, "y")
model = pt.Study(pt.MLP((6,)), epochs=200, validation=pt.HoldOut(0.2), test=0).run(data).model
stages = pt.insight.neuron_responses(model, (-3, 3))
stages.figure().savefig(folder / "stages.png")
error = np.sqrt(np.mean((stages.y - np.sin(2 * stages.x)) ** 2))
print(f"\nsin(2x) by 6 tanh neurons: the sum of their terms errs by {error:.3f}")
