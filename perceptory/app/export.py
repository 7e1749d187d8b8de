"""`perceptory export`: the model of a run as a file that runs without this package."""

from __future__ import annotations

from perceptory.app.unlabeled import check_out
from perceptory.errors import InputError


def export(run: str, onnx: str | None, data: str | None, coverage: float | None, part: str, lengths: bool) -> None:
    """Write what was asked for, and print what it is and how far it is from the model."""
    from perceptory.models.model import Model

    if onnx is None:
        raise InputError("say what to write. Example: --onnx model.onnx")
    check_out(onnx, run, *([] if data is None else [data]))
    model = Model.load(run)
    print(model.to_onnx(onnx, data, coverage=coverage, part=part, lengths=lengths or None))
