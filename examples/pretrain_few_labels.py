"""Read handwritten digits from five examples of each, where a thousand more have no label: networks that learn to give
back the pictures first, beside networks that begin from random weights. The study says whether it pays.
"""

import numpy as np
from sklearn.datasets import load_digits

import perceptory as pt

digits = load_digits()
random = np.random.default_rng(1)
pixels, labels = digits.images[..., None].astype(np.uint8), digits.target
few = np.concatenate([random.permutation(np.flatnonzero(labels == digit))[:5] for digit in range(10)])
rest = random.permutation(np.setdiff1d(np.arange(len(labels)), few))
known = pt.read_arrays(pixels[few], labels[few], kind="image")
test = pt.read_arrays(pixels[rest[1000:]], labels[rest[1000:]], kind="image")

# Each fold learns from its own training rows and the rows without labels; no row that it is judged by has a part in it.
study = pt.Study(
    pt.MLP((128,)), optimizer=pt.Adam(pt.Cosine(3e-3)), epochs=40, patience=0, batch_size=20,
    validation=pt.StratifiedKFold(3), unlabeled=pixels[rest[:1000]],
    pretraining=pt.choice(None, pt.Pretraining(pt.Autoencoder(code=24), epochs=20, optimizer=pt.Adam(2e-3))),
)  # fmt: skip
result = study.run(known, test=test)
result.test()
print(result.summary())
