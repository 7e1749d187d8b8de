"""`perceptory export`: the model of a run as a file that runs without this package."""

from __future__ import annotations

from pathlib import Path

from perceptory.errors import InputError


def export(
    run: str,
    onnx: str | None,
    code: str | None,
    data: str | None,
    coverage: float | None,
    part: str,
    lengths: bool,
) -> None:
    """Write what was asked for, and print what it is and how far it is from the model."""
    from perceptory.models.model import Model

    if onnx is None and code is None:
        raise InputError("say what to write. Example: --onnx model.onnx, or --code model.c")
    for option, out in (("--onnx", onnx), ("--code", code)):
        if out is not None and Path(out).is_dir():
            raise InputError(f"{option} needs a file, and {out} is a folder. Example: {option} {out}/model.onnx")
        for read in (run, data):
            if (
                out is not None
                and read is not None
                and Path(out).exists()
                and Path(read).exists()
                and Path(out).samefile(read)
            ):
                raise InputError(f"{option} would write over {read}, which is read here. Choose another file.")
    if onnx is None and (data, coverage, part, lengths) != (None, None, "whole", False):
        raise InputError("--data, --coverage, --part and --lengths are of --onnx. Leave them out, or add it.")
    model = Model.load(run)
    if onnx is not None:
        print(model.to_onnx(onnx, data, coverage=coverage, part=part, lengths=lengths or None))
    if code is not None:
        print(model.to_code(code))
