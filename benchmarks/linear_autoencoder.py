"""The row of linear autoencoders of `benchmarks.unsupervised`: trained, they are as good as principal components."""

from __future__ import annotations

import time

import numpy as np
import polars as pl


def linear_against_components() -> None:
    """A linear autoencoder's squared error over that of principal components, as trained on all rows, by L-BFGS."""
    from sklearn import datasets, decomposition
    from sklearn.preprocessing import StandardScaler

    import perceptory as pt

    sets = {
        "iris": (datasets.load_iris().data, 2), "diabetes": (datasets.load_diabetes().data, 4),
        "wine": (datasets.load_wine().data, 4), "breast cancer": (datasets.load_breast_cancer().data, 6),
        "digits": (datasets.load_digits().data, 16),
    }  # fmt: skip
    print(f"{'':16s}{'columns':>9s}{'code':>6s}{'error':>9s}{'ratio':>10s}{'seconds':>9s}")
    for name, (x, code) in sets.items():
        x = x[:, x.std(axis=0) > 0]
        z = StandardScaler().fit_transform(x)
        components = decomposition.PCA(code).fit(z)
        best = np.mean((z - components.inverse_transform(components.transform(z))) ** 2)
        linear = pt.Autoencoder(pt.MLP(()), code=code)
        study = pt.Study(linear, optimizer=pt.LBFGS(), epochs=150, patience=0, test=0.0)
        start = time.perf_counter()
        model = pt.train_further(study, pt.read_table(x, task="autoencode")).model
        seconds = time.perf_counter() - start
        back = model.reconstruct(x).select(pl.all().cast(pl.Float64)).to_numpy()
        error = np.mean(((back - x) / x.std(axis=0)) ** 2)
        print(f"{name:16s}{x.shape[1]:9d}{code:6d}{error:9.4f}{error / best:10.6f}{seconds:9.1f}", flush=True)
