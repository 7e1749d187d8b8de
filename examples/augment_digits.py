"""Read handwritten digits from few examples: what moving, turning and scaling the training images brings.

With an argument, such as digits.png, it also draws there what the network sees of eight digits.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

import perceptory as pt

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
pixels = np.pad(digits.images, ((0, 0), (1, 1), (1, 1))).astype(np.uint8)[order]  # room to move
few = pt.read_arrays(pixels[:500], digits.target[order[:500]], kind="image")
rest = pt.read_arrays(pixels[500:], digits.target[order[500:]], kind="image")

# A digit of 8 x 8 pixels moves by half a pixel, turns and grows a little; mirrored it is no digit, so flip stays 0.
moves = pt.ImageAugmentation(shift=0.5, rotate=10, scale=0.1, erase=0.1, noise=0.1)
study = pt.Study(
    pt.CNN((8, 16), hidden=(32,)), optimizer=pt.Adam(pt.Cosine(1e-2)), epochs=60, patience=0, batch_size=32,
    validation=pt.HoldOut(0.4), augmentation=pt.choice(None, moves), average=pt.WeightAverage(0.8), score="log_loss",
)  # fmt: skip
result = study.run(few, test=rest)
result.test()
print(result.summary())

if len(sys.argv) > 1:
    import matplotlib.pyplot as plt

    given = pixels[:8, :, :, None]
    figure, axes = plt.subplots(4, 8, figsize=(8, 4.2), layout="constrained")
    for k, (row, batch) in enumerate(zip(axes, [given, *pt.preview(moves, given, times=3)], strict=True)):
        for ax, image in zip(row, batch, strict=True):
            ax.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=16)
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].set_ylabel(f"in step {k}" if k else "given")
    figure.savefig(sys.argv[1], dpi=120)
