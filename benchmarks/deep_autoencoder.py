"""MNIST through thirty numbers: 784-1000-500-250-30 and back, as Hinton & Salakhutdinov (2006, Science 313) had it.

A row of `python -m benchmarks.unsupervised`; by itself: `python -m benchmarks.deep_autoencoder [EPOCHS]`. MNIST is read
from ../shared/data/mnist. The error is the squared difference to the test images, pixels from 0 to 1, summed over an
image: published 3.00 for the network and 13.87 for PCA. Nothing is chosen by the test images.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

FOLDER = Path("../shared/data/mnist")
PUBLISHED, PUBLISHED_PCA = 3.00, 13.87
SECONDS = 600
EPOCHS = 75


def squared_error(model, images) -> float:
    """Summed over an image, the mean over images."""
    given = model.reconstruct(images)
    return float(np.mean(np.sum(((given - np.asarray(images.inputs, float)) / 255) ** 2, axis=(1, 2, 3))))


def deep_autoencoder(epochs: int = EPOCHS) -> None:
    """MNIST, thirty numbers an image: squared error on the test images."""
    import perceptory as pt

    if not FOLDER.exists():
        print(f"MNIST is not in {FOLDER}, so this row is left out")
        return
    train, test = (pt.read_images(FOLDER, part=part, task="autoencode") for part in ("train", "test"))
    study = pt.Study(
        pt.Autoencoder(pt.MLP((1000, 500, 250), "silu"), code=30), optimizer=pt.Adam(pt.Cosine(2e-3)), epochs=epochs,
        patience=0, batch_size=128, validation=pt.HoldOut(0.05), test=0.0,
    )  # fmt: skip
    start = time.perf_counter()
    network = study.run(train).model
    seconds = time.perf_counter() - start
    principal = pt.Study(pt.PCA(30), validation=pt.HoldOut(0.05), test=0.0).run(train).model
    print(f"{'':24s}{'ours':>8s}{'published':>12s}")
    print(f"{'autoencoder':24s}{squared_error(network, test):8.2f}{PUBLISHED:12.2f}")
    print(f"{'PCA':24s}{squared_error(principal, test):8.2f}{PUBLISHED_PCA:12.2f}")
    print(f"{seconds:.0f} s for {epochs} epochs (target: {PUBLISHED} within {SECONDS} s)")


if __name__ == "__main__":
    deep_autoencoder(int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS)
