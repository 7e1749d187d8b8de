"""Compress handwritten digits to a few numbers and back; principal components of the same width beside them.

`python examples/compress_digits.py FOLDER` keeps the pictures.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_digits

import perceptory as pt
from perceptory.figures import code_curve

mpl.use("agg")
import matplotlib.pyplot as plt

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
digits = load_digits().images
data = pt.read_arrays(digits, kind="image", task="autoencode")
study = pt.Study(
    pt.Autoencoder(pt.MLP((128,), "relu"), code=pt.choice(4, 16)), optimizer=pt.Adam(pt.Cosine(5e-3)), epochs=60,
    patience=0, batch_size=64, validation=pt.HoldOut(0.2), test=0.2,
)  # fmt: skip
result = study.run(data, open_test=True)
for candidate in sorted(result.candidates, key=lambda c: c.label):
    print(f"{candidate.mean:6.1%} of the variance lost by {candidate.label.split(',')[0]}")
print(
    f"sealed digits, {result.candidate(result.best).label.split(',')[0]}: {result.tested['reconstruction_error']:.1%}"
)

shown = digits[np.arange(10)]
given_back = result.model.reconstruct(shown)[..., 0]
figure, axes = plt.subplots(2, 10, figsize=(8, 1.9), layout="constrained")
for k, (first, second) in enumerate(zip(shown, given_back, strict=True)):
    axes[0, k].imshow(first, cmap="gray_r", vmin=0, vmax=16)
    axes[1, k].imshow(second, cmap="gray_r", vmin=0, vmax=16)
for ax in axes.flat:
    ax.set_axis_off()
figure.savefig(folder / "compressed.png", dpi=100)
code_curve(result).savefig(folder / "widths.png")
