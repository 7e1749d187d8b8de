"""Series: `SequenceRegressor`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, validate_data

from perceptory.data import ArrayDataset, ArrayEncoder
from perceptory.data.arrays.checks import check_beside, one_place, unmasked
from perceptory.errors import InputError
from perceptory.estimators.base import IntervalMixin
from perceptory.estimators.single_network import SingleNetwork
from perceptory.estimators.targets import Targets, names_for
from perceptory.estimators.values import examples
from perceptory.networks.base import Network
from perceptory.notes import NoteWarning, target_in_inputs
from perceptory.registry import Registry as Names

CELLS: Names[str] = Names("cell", {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"})


class SequenceRegressor(IntervalMixin, RegressorMixin, SingleNetwork):
    """A recurrent network for regression on series.

    X: [row, time, channel], or [row, time] for a single channel; at prediction there may be another number of steps.
    y: [row] or [row, target] for a number after the last step, [row, time, target] for numbers at each step.

    hidden: widths of the recurrent layers, or a network spec for series (`LSTM`, `GRU`, `Chain`, ...). cell: "lstm",
    "gru" or "rnn". bidirectional: each layer also runs from the last step to the first. The other arguments and
    attributes are those of `NetworkRegressor`.
    """

    def __init__(
        self,
        hidden: Any = (32,),
        *,
        cell: str = "lstm",
        bidirectional: bool = False,
        dropout: Any = 0.0,
        optimizer: Any = "adam",
        learning_rate: Any = 1e-2,
        penalty: Any = 0.0,
        cost: Any = None,
        batch_size: Any = "auto",
        epochs: int = 100,
        patience: int = 20,
        validation_fraction: float = 0.1,
        precision: str = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        **familiar: Any,
    ):
        self._store(locals(), familiar)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        tags.input_tags.three_d_array = True
        return tags

    def _network(self) -> Any:
        if isinstance(self.hidden, Network):
            return self.hidden
        from perceptory.estimators.translation import widths
        from perceptory.networks import recurrent

        spec = getattr(recurrent, CELLS[self.cell])
        return spec(widths(self.hidden), bidirectional=self.bidirectional, dropout=self.dropout)

    def _targets(self, y: Any, known: Any = None) -> Targets:
        if _axes(y) == 3:
            values = check_array(unmasked(y), allow_nd=True, dtype=np.float64, input_name="y")
            return Targets("regression", values, names_for(None, values.shape[2]), values.shape[2] == 1)
        return super()._targets(y)

    def _inputs(self, X: Any, *, reset: bool = False) -> Any:
        X, kinds = examples(X), (np.float64, np.float32)
        if _axes(X) != 3:
            return validate_data(self, X, reset=reset, dtype=kinds)
        array = check_array(X, allow_nd=True, dtype=kinds, estimator=self, input_name="X")
        if reset:
            self.n_features_in_ = array.shape[2]
        elif array.shape[2] != self.n_features_in_:
            raise InputError(
                f"X has {array.shape[2]} features, but {type(self).__name__} is expecting {self.n_features_in_}"
                " features as input."
            )
        return array

    def _leave_out(self, inputs: Any, targets: Targets, beside: dict[str, Any]) -> None:
        x = _channels(inputs)
        names = tuple(f"x{k}" for k in range(x.shape[-1]))
        check_beside(x, names, {"target": targets.values, **beside})
        place = one_place(x, targets.values)
        if place is not None:
            warnings.warn(NoteWarning(target_in_inputs(names[place[-1]], place[:-1])), stacklevel=5)

    def _encoded(self, X: Any) -> tuple[np.ndarray, np.ndarray | None]:
        return _channels(self._inputs(X)), None

    def _dataset(self, inputs: Any, targets: Targets, weights: np.ndarray | None, groups: Any = None) -> Any:
        x = _channels(inputs)
        names = tuple(f"x{k}" for k in range(x.shape[-1]))
        encoder = ArrayEncoder("series", x.shape[1:], names, targets.names, float(x.min()), float(x.max()))
        return ArrayDataset(
            inputs=x,
            channels=names,
            target_names=targets.names,
            task="regression",
            targets=targets.values,
            weights=weights,
            kind="series",
            encoder=encoder,
        )


def _axes(values: Any) -> int:
    return np.ndim(values) if isinstance(values, list | tuple) else getattr(values, "ndim", 2)


def _channels(x: np.ndarray) -> np.ndarray:
    return x[..., None] if x.ndim == 2 else x
