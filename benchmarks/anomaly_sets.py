"""Tables with rare rows, for anomaly detection, and the detectors that ours is measured against, as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tables"
RARE = 0.05  # share of the rare rows, where a set has more of them
ROWS = 2000  # at most


class Task(NamedTuple):
    """A table and which of its rows are rare [row] bool."""

    name: str
    frame: pl.DataFrame
    rare: np.ndarray


def _drawn(name: str, frame: pl.DataFrame, rare: np.ndarray, share: float = RARE, seed: int = 0) -> Task:
    """All normal rows (at most `ROWS`) and as many of the rare ones as make this share."""
    random = np.random.default_rng(seed)
    normal, unusual = (random.permutation(np.flatnonzero(rare == r)) for r in (False, True))
    normal = normal[:ROWS]
    unusual = unusual[: max(1, round(share / (1 - share) * len(normal)))]
    rows = random.permutation(np.concatenate([normal, unusual]))
    return Task(name, frame[rows], rare[rows])


def _numbers(x: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({f"x{k}": x[:, k] for k in range(x.shape[1])})


def _clusters(name: str, columns: int, seed: int) -> Task:
    """As microcalcifications among others in mammograms (6 columns, 2.3 % rare): skewed, correlated columns in three
    clusters, and rare rows that are larger, wider spread and overlap with them."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(3, columns)) * 2
    mixes = random.normal(size=(3, columns, columns)) / np.sqrt(columns)
    of = random.integers(3, size=ROWS)
    normal = centers[of] + np.einsum("nij,nj->ni", mixes[of], random.normal(size=(ROWS, columns)))
    count = round(0.023 * ROWS)
    of = random.integers(3, size=count)
    rare = centers[of] + 1.5 + np.einsum("nij,nj->ni", mixes[of], random.normal(size=(count, columns))) * 1.5
    rare += 0.5 * random.normal(size=rare.shape)
    x = np.concatenate([normal, rare])
    x = np.sign(x) * np.abs(x) ** 1.5
    order = random.permutation(len(x))
    return Task(name, _numbers(x[order]), (np.arange(len(x)) >= ROWS)[order])


def tasks() -> Iterator[Task]:
    """Sets that scikit-learn ships, clusters that are drawn, and tables of `../shared/data` where these are."""
    from sklearn import datasets

    cancer = datasets.load_breast_cancer()
    yield _drawn("breast cancer", _numbers(cancer.data), cancer.target == 0)
    wine = datasets.load_wine()
    yield _drawn("wine", _numbers(wine.data), wine.target == 0, 0.08)
    digits = datasets.load_digits()
    for k in (0, 1, 4, 8):
        yield _drawn(f"digit {k} alone", _numbers(digits.data), digits.target != k, seed=k)
    yield _drawn("digits, 0 rare", _numbers(digits.data), digits.target == 0)
    yield _drawn("digits, 9 rare", _numbers(digits.data), digits.target == 9)
    yield _clusters("clusters of 6", 6, 0)
    yield _clusters("clusters of 12", 12, 1)
    if not SHARED.exists():
        return
    for name, target, rare in (
        ("german_credit", "risk", 2), ("phoneme", "nasal", 1), ("titanic", "survived", 1), ("adult", "income", ">50K"),
    ):  # fmt: skip
        frame = pl.read_csv(SHARED / f"{name}.csv", infer_schema_length=None)
        chosen = (frame[target] == rare).to_numpy()
        frame = frame.drop([c for c in (target, "alive") if c in frame.columns])
        yield _drawn(name, frame.with_columns(pl.col(pl.String).cast(pl.Categorical)), chosen)


# --- the others --------------------------------------------------------------------------------------------------

Detector = Callable[[pl.DataFrame, pl.DataFrame | None, int], np.ndarray]


def encoded(train: pl.DataFrame, test: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as they are with the mean where missing, categories as indicators; all at deviation 1."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    words = [n for n, t in train.schema.items() if not t.is_numeric()]
    rest = [n for n in train.columns if n not in words]
    both = [f.with_columns(pl.col(words).cast(pl.String)).to_pandas() for f in (train, test)] if words else None
    frames = both or [train.to_pandas(), test.to_pandas()]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words), (SimpleImputer(), rest)
    )
    model = make_pipeline(columns, StandardScaler())
    first = model.fit_transform(frames[0])
    return first, model.transform(frames[1])


def isolation_forest(train: pl.DataFrame, test: pl.DataFrame | None, seed: int) -> np.ndarray:
    """The larger, the more unlike; test None scores the training rows, which may hold rare ones."""
    from sklearn.ensemble import IsolationForest

    x, z = encoded(train, train if test is None else test)
    return -IsolationForest(random_state=seed).fit(x).score_samples(z)


def local_outlier_factor(train: pl.DataFrame, test: pl.DataFrame | None, seed: int) -> np.ndarray:
    """As `isolation_forest`."""
    from sklearn.neighbors import LocalOutlierFactor

    x, z = encoded(train, train if test is None else test)
    if test is None:
        return -LocalOutlierFactor().fit(x).negative_outlier_factor_
    return -LocalOutlierFactor(novelty=True).fit(x).score_samples(z)


def principal_components(train: pl.DataFrame, test: pl.DataFrame | None, seed: int) -> np.ndarray:
    """As `isolation_forest`: the squared distance from the components that hold 90 % of the variance."""
    from sklearn.decomposition import PCA

    x, z = encoded(train, train if test is None else test)
    model = PCA(0.9, random_state=seed).fit(x)
    return np.sum((z - model.inverse_transform(model.transform(z))) ** 2, axis=1)


OTHERS: dict[str, Detector] = {
    "IsolationForest": isolation_forest,
    "LocalOutlierFactor": local_outlier_factor,
    "PCA": principal_components,
}
