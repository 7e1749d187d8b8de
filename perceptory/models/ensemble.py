"""Why the mean of several networks errs less than one: their errors' variance and covariance, measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError
from perceptory.wording import count_of, number


@dataclass(frozen=True)
class ErrorDecomposition:
    """Errors ε_i of k networks on the same rows: v the mean of ε_i², c the mean of ε_i ε_j over pairs i ≠ j.

    The mean of the networks then errs, squared, by v/k + (k - 1) c/k, which is an identity for v and c of the same
    rows; `observed` is what was measured of the mean's predictions. Squared units of the target; of classes the sum
    over classes of squared errors of the probabilities (Brier).
    """

    target: str
    rows: int
    members: tuple[float, ...]  # [k] mean squared error of each network
    v: float
    c: float
    observed: float

    @property
    def k(self) -> int:
        return len(self.members)

    @property
    def predicted(self) -> float:
        """v/k + (k - 1) c/k."""
        return self.of(self.k)

    @property
    def correlation(self) -> float:
        """c/v: 1 where all networks err alike and nothing is gained, 0 where they err apart and the error is v/k."""
        return self.c / self.v if self.v > 0 else float("nan")

    def of(self, k: Any) -> Any:
        """v/k + (k - 1) c/k for another number of such networks."""
        return self.v / k + (k - 1) * self.c / k

    def statement(self) -> str:
        """The numbers in plain words."""
        words = (
            f"On {count_of(self.rows, 'row')} the mean squared error of a single network for {self.target} is v = "
            f"{number(self.v)}, and the errors of two networks have a mean product of c = {number(self.c)} (a "
            f"correlation of {self.correlation:.2f}). The mean of {self.k} networks should then have "
            f"v/k + (k - 1) c/k = {number(self.predicted)}, and it has {number(self.observed)}"
        )
        if self.v > 0:
            words += f": {100 * (1 - self.observed / self.v):.0f} % less than a single network"
        return f"{words}. More networks of this kind would bring it down to {number(max(self.c, 0.0))}, and no further."

    __str__ = statement

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"members": list(self.members)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> ErrorDecomposition:
        return ErrorDecomposition(**(data | {"members": tuple(data["members"])}))


def decompose(errors: Any, *, weights: Any = None, target: str = "the target") -> ErrorDecomposition:
    """v, c and the observed squared error of the mean from errors [member, row], or [member, row, class] (summed over
    classes), of at least two networks on the same rows; weights: [row].

    Raises `InputError` for one network, for no rows and for errors that are not finite.
    """
    e = np.asarray(errors, float)
    e = e[..., None] if e.ndim == 2 else e
    if e.ndim != 3 or len(e) < 2 or not e.shape[1] or not np.isfinite(e).all():
        raise InputError(
            "the decomposition of an ensemble's error needs finite errors [member, row] of at least two networks, got "
            f"the shape {np.shape(errors)}. Train with several folds or seeds."
        )
    k = len(e)
    w = np.ones(e.shape[1]) if weights is None else np.asarray(weights, float)
    w = w / w.sum()
    own = np.einsum("krc,r->k", e**2, w)
    v = float(own.mean())
    observed = float(np.einsum("rc,r->", e.mean(axis=0) ** 2, w))
    # Over pairs, not from the observed error: summed up pair by pair, so that the two sides are found apart.
    products = np.einsum("irc,jrc,r->ij", e, e, w)
    c = float((products.sum() - np.trace(products)) / (k * (k - 1)))
    return ErrorDecomposition(target, int(e.shape[1]), tuple(map(float, own)), v, c, observed)


def ensemble_gains(
    task: str, targets: Any, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None = None
) -> tuple[ErrorDecomposition, ...]:
    """`decompositions`; () where there is one network, or where the outputs are not predictions of the targets
    themselves."""
    if len(outputs) < 2 or (task == "regression" and outputs.shape[1:] != truth.shape):
        return ()
    if not np.isfinite(outputs).all():
        return ()
    return tuple(decompositions(task, targets, truth, outputs, weights))


def decompositions(
    task: str, targets: Any, truth: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None = None
) -> list[ErrorDecomposition]:
    """One for each target (of classes: one in all), from the members' outputs [member, row, out] as `Model.members`
    gives them, and truth [row, out] numbers or [row] class index. Rows of weight 0 and steps of padding are left out.
    """
    if task == "regression":
        errors = outputs - truth
        if errors.ndim == 4:  # a step that counts is a row
            counts = weights > 0 if weights is not None else np.ones(errors.shape[1:3], bool)
            errors, weights = errors[:, counts], None if weights is None else weights[counts]
        return [decompose(errors[..., i], weights=weights, target=str(t)) for i, t in enumerate(targets)]
    errors = outputs - np.eye(outputs.shape[-1])[truth]
    return [decompose(errors, weights=weights, target=str(targets[0]))]
