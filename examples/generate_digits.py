"""Generate handwritten digits: a variational autoencoder, whose codes are drawn from a normal distribution.

`python examples/generate_digits.py FOLDER` keeps the picture: drawn digits, and the way from a 0 to a 1.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_digits

import perceptory as pt

mpl.use("agg")
import matplotlib.pyplot as plt

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
digits = load_digits().images
study = pt.Study(
    pt.Autoencoder(pt.MLP((128,), "relu"), code=8, variational=0.2), optimizer=pt.Adam(pt.Cosine(5e-3)), epochs=100,
    patience=0, batch_size=64, test=0.0,
)  # fmt: skip
model = pt.train_further(study, pt.read_arrays(digits, kind="image", task="autoencode"), validation=0.1).model

drawn = model.sample(40, seed=0)[..., 0]
way = model.interpolate(digits[:1], digits[1:2], steps=10)[..., 0]
codes = model.encode(digits)
print(f"codes: means {codes.mean(axis=0).round(1).tolist()}, deviations {codes.std(axis=0).round(1).tolist()}")
nearest = [np.sqrt(np.mean((digits - one) ** 2, axis=(1, 2))).min() for one in drawn]
apart = [np.sort(np.sqrt(np.mean((digits - one) ** 2, axis=(1, 2))))[1] for one in digits[:200]]
print(f"to the nearest real digit: {np.mean(nearest):.2f} from a drawn one, {np.mean(apart):.2f} from a real one")

figure, axes = plt.subplots(5, 10, figsize=(8, 4.2), layout="constrained")
for ax, picture in zip(axes.flat, np.concatenate([drawn, way]), strict=True):
    ax.imshow(picture, cmap="gray_r", vmin=0, vmax=16)
    ax.set_axis_off()
figure.savefig(folder / "generated.png", dpi=100)
