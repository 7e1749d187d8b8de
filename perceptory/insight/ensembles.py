"""The error of an ensemble taken apart, of a model on data or of a result on its sealed rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perceptory.data.examples import Examples
from perceptory.errors import InputError
from perceptory.figures.ensemble import ensemble_error
from perceptory.models.ensemble import ErrorDecomposition, decompositions
from perceptory.models.model import Model
from perceptory.results.codes import AUTOENCODE
from perceptory.runs.result import Result
from perceptory.studies.encoded_examples import encode

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class EnsembleError(ErrorDecomposition):
    """An `ErrorDecomposition` that draws itself."""

    def figure(self) -> Figure:
        """See `perceptory.figures.ensemble.ensemble_error`."""
        return ensemble_error(self)


def error_decomposition(source: Model | Result, data: Any = None, *, target: int | str = 0) -> EnsembleError:
    """v, c and k of the members' errors on common rows: v/k + (k - 1) c/k beside the observed error of their mean.

    The answer prints as a sentence and draws itself (`figure()`).

    source: a `Model`, or a `Result` whose sealed rows have been opened (`result.test()`).
    data: a `Dataset` or `ArrayDataset` whose rows none of the networks was trained on; for a `Result`, None takes its
        sealed rows.
    target: which of several targets, by place or name.

    Raises `InputError` for a model of one network, data of another task, and sealed rows that have not been opened.
    """
    if isinstance(source, Result) and data is None:
        errors = source.ensemble
        if not errors:
            raise InputError(
                "error_decomposition needs rows that no network trained on and at least two networks: call "
                "result.test() first, or give a model and data."
            )
    else:
        model = source.model if isinstance(source, Result) else source
        if not isinstance(model, Model) or not isinstance(data, Examples):
            raise InputError(
                f"error_decomposition needs a model and a dataset, got {type(source).__name__} and "
                f"{type(data).__name__}. Example: error_decomposition(result.model, read_table(path, target='y'))"
            )
        if model.task == AUTOENCODE:
            raise InputError("an autoencoder's networks are used one by one, so their mean has no error to take apart.")
        if data.task != model.task:
            raise InputError(f"the model is for {model.task}, and the data are for {data.task}. Read them alike.")
        table = encode(data, model.encoder)
        outputs = model.members_of(table.inputs, table.lengths)
        errors = tuple(decompositions(model.task, model.targets, table.truth, outputs, table.weights))
    names = [d.target for d in errors]
    place = names.index(target) if target in names else target
    if not isinstance(place, int) or not 0 <= place < len(errors):
        raise InputError(f"target needs one of {', '.join(names)} or its place, got {target!r}.")
    return EnsembleError(**vars(errors[place]))
