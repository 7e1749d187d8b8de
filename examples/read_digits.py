"""Read handwritten digits with a convolutional network; the dropout rate is chosen by validation.

Without an argument: the 1797 small digits that scikit-learn ships. With one: a folder of idx files, such as MNIST's.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

import perceptory as pt

if len(sys.argv) > 1:
    images, test = (pt.read_images(sys.argv[1], part=part) for part in ("train", "test"))
    network, epochs = pt.CNN((16, 32, 64), hidden=(128,), dropout=pt.choice(0.15, 0.3)), 12  # 98,442 weights
else:
    digits = load_digits()
    images, test = pt.read_arrays(digits.images.astype(np.uint8), digits.target, kind="image"), None
    network, epochs = pt.CNN((8, 16), hidden=(32,), dropout=pt.choice(0.1, 0.3)), 15

study = pt.Study(
    network, optimizer=pt.Adam(pt.Cosine(2e-3 if test else 1e-2)), epochs=epochs, patience=0, batch_size=64,
    validation=pt.HoldOut(0.1), test=0.2 if test is None else 0, score="accuracy",
)  # fmt: skip
result = study.run(images, test=test)
result.test()
print(result.summary())
