"""The autoencoders that `fit` compares where nothing is asked; chosen by measurement."""

from __future__ import annotations

from math import ceil, prod
from typing import Any

import numpy as np

from perceptory.data.examples import Examples
from perceptory.networks.autoencoder import Autoencoder
from perceptory.networks.base import Network
from perceptory.networks.cnn import CNN
from perceptory.networks.mlp import MLP
from perceptory.networks.recurrent import GRU
from perceptory.selection.search import choice

DENSE = 2000  # numbers of a series up to which a dense encoder is worth its weights
RULE = "narrow_code"  # the wider a code, the smaller its error: the best alone would always be the widest
WIDEST = 32  # numbers of a code, twice as many where the effort is thorough
WIDTHS = {"quick": 2, "normal": 3, "thorough": 5}  # how many widths are compared, each half of the one before


def code_widths(size: int, effort: str) -> list[int]:
    """Widths of codes that are compared for examples of `size` columns or numbers, the narrowest first."""
    widest = min(WIDEST * (2 if effort == "thorough" else 1), ceil(size / 2))
    return sorted({ceil(widest / 2**k) for k in range(WIDTHS[effort])})


def code_networks(data: Examples, effort: str) -> list[Network]:
    """Autoencoders of every width, with one encoder or two that suit the data; a study adds PCA of each width."""
    size = columns_of(data)
    widths = code_widths(size, effort)
    width: Any = widths[0] if len(widths) == 1 else choice(*widths)
    return [Autoencoder(encoder, width) for encoder in _encoders(data, effort)]


def columns_of(data: Any) -> int:
    """How many columns a row has, or numbers an example."""
    return max(1, sum(c.kind != "ignored" for c in data.columns)) if data.kind == "table" else prod(data.shape)


def _encoders(data: Any, effort: str) -> list[Network]:
    quick, thorough = effort == "quick", effort == "thorough"
    if data.kind == "image":
        stages = min(3, max(1, int(np.log2(max(2, min(data.shape[:2]) / 4)))))
        convolutional = CNN(tuple(8 << k for k in range(stages)), hidden=(64,))
        if min(data.shape[:2]) < 8:
            return [MLP((128,), "relu")]
        return [MLP((256, 64), "relu"), *([] if quick else [convolutional])]
    if data.kind == "series":
        temporal = CNN((16, 32), hidden=(32,), head="flatten")
        recurrent: list[Network] = [GRU((32,))]
        if data.lengths is not None:
            return recurrent
        dense = [MLP((64,), "tanh")] if prod(data.shape) <= DENSE else []
        return [*dense, *([temporal] if data.shape[0] >= 8 else []), *([] if quick else recurrent)]
    deep = [MLP((128, 64), "relu")]
    return [MLP((64,), "tanh"), *([] if quick else deep), *([MLP((256, 128, 64), "relu")] if thorough else [])]
