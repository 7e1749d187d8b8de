"""Read handwritten digits with a convolutional network; the dropout rate is chosen by validation.

Without an argument: the 1797 small digits that scikit-learn ships. With one: a folder of idx files, such as MNIST's.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import perceptory as pt


def study_of(network: pt.CNN, rate: float, epochs: int, test: float) -> pt.Study:
    return pt.Study(
        network, optimizer=pt.Adam(pt.Cosine(rate)), epochs=epochs, patience=0, batch_size=64,
        validation=pt.HoldOut(0.1), test=test, score="accuracy",
    )  # fmt: skip


def idx_folder(folder: str | Path) -> pt.Result:
    """The part `train` chooses, the part `test` tests."""
    images, test = (pt.read_images(folder, part=part) for part in ("train", "test"))
    network = pt.CNN((16, 32, 64), hidden=(128,), dropout=pt.choice(0.15, 0.3))  # 98,442 weights
    return study_of(network, 2e-3, epochs=12, test=0).run(images, test=test, open_test=True)


def small_digits() -> pt.Result:
    digits = load_digits()
    images = pt.read_arrays(digits.images.astype(np.uint8), digits.target, kind="image")
    network = pt.CNN((8, 16), hidden=(32,), dropout=pt.choice(0.1, 0.3))
    return study_of(network, 1e-2, epochs=15, test=0.2).run(images, open_test=True)


if __name__ == "__main__":
    result = idx_folder(sys.argv[1]) if len(sys.argv) > 1 else small_digits()
    print(result.summary())
