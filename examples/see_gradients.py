"""How gradients flow through deep networks while they are trained, and what perceptory says of it.

Six sigmoid layers, each of which takes a part of the gradient away; then residual connections around relu layers. How
they flow through time is in `adding_problem.py`. `python examples/see_gradients.py FOLDER` keeps the figures.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import perceptory as pt

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
random = np.random.default_rng(0)
x = random.normal(size=(400, 3))
table = pt.read_table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": np.sin(x[:, 0]) + x[:, 1] * x[:, 2]}, "y")
for name, network in {
    "sigmoid": pt.MLP((8,) * 6, activation="sigmoid"),
    "residual relu": pt.MLP((8,) * 6, activation="relu", residual=True),
}.items():
    flow = pt.insight.gradient_flow(network, table, epochs=20)
    print(flow, end="\n\n")
    flow.figure().savefig(folder / f"gradients {name}.png")
