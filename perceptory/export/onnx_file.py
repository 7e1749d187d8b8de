"""`Model.to_onnx`: the file of a model's whole pipeline, with what it is of and how far it is from the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perceptory import files
from perceptory.data.tables.encoder import Encoder
from perceptory.errors import InputError, Setting
from perceptory.export.autoencoders import autoencoder
from perceptory.export.columns import describe
from perceptory.export.measure import difference, made_up
from perceptory.export.pipeline import predictor, varies_in_length
from perceptory.registry import Registry
from perceptory.wording import listed

PARTS: Registry[str] = Registry(
    "part", {"whole": "all of it", "encode": "from an example to its code", "decode": "from a code to an example"}
)
KEY = "perceptory"  # of the file's metadata


@dataclass(frozen=True)
class Exported:
    """An ONNX file that was written. inputs, outputs: names with element type and shape, such as "age double [rows]".

    difference: {"rows", "of", "relative", "absolute", "unequal", "runtime"}: how far the outputs are from the model's
    own on so many rows `of` the data given, or rows made up.
    """

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: dict[str, Any]

    def __str__(self) -> str:
        d = self.difference
        apart = f"{d['relative']:.1e} relative, {d['absolute']:.1e} absolute"
        unequal = f", {d['unequal']} classes or truth values differ" if d["unequal"] else ""
        return (
            f"{self.path}\n  inputs   {listed(self.inputs, 8)}\n  outputs  {listed(self.outputs, 8)}\n"
            f"  differs from the model by at most {apart}{unequal}, on {d['rows']} {d['of']} ({d['runtime']})"
        )


def check_installed() -> None:
    """`InputError` where the package onnx is not installed."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise InputError(
            "exporting to ONNX needs the package onnx. Install it: pip install 'perceptory[onnx]'"
        ) from None


def to_onnx(
    model: Any,
    path: str | Path,
    data: Any = None,
    *,
    residuals: Any = None,
    coverage: float | None = None,
    part: str = "whole",
    member: int = 0,
    lengths: bool | None = None,
) -> Exported:
    """Write the graph of a model; see `Model.to_onnx`. residuals: of its intervals; member: which network of an
    autoencoder."""
    check_installed()
    PARTS[part]
    coded = model.task == "autoencode"
    if part != "whole" and not coded:
        raise InputError(Setting("part"), f" {part!r} is for autoencoders, and this model predicts. Leave it out.")
    padded = varies_in_length(model) if lengths is None else bool(lengths)
    if padded and getattr(model.encoder, "kind", "") != "series":
        raise InputError(Setting("lengths"), " are for series, which this model does not take. Leave them out.")
    if coded:
        whole = autoencoder(model, member, None if part == "whole" else part, padded and part != "decode")
    else:
        whole = predictor(model, residuals, padded)
    proto = whole.proto(f"{model!r}, exported by perceptory")
    source, of = _rows(model, data, part, member)
    measured = {"of": of, **difference(model, proto, source, coverage)}
    about = _about(model, part, coverage, measured)
    proto.metadata_props.add(key=KEY, value=json.dumps(about))
    try:
        files.replace(Path(path), proto.SerializeToString())
    except OSError as error:
        raise files.not_written(path, error) from None
    shown = [_shown(list(ends)) for ends in (proto.graph.input, proto.graph.output)]
    return Exported(Path(path), shown[0], shown[1], measured)


def _rows(model: Any, data: Any, part: str, member: int) -> tuple[Any, str]:
    """What the difference is measured on, and what it is called."""
    source, of = (
        (made_up(model), "rows made up from what the model knows") if data is None else (data, "rows of the data")
    )
    return (model.encode(source, member), of) if part == "decode" else (source, of)


def _about(model: Any, part: str, coverage: float | None, measured: dict[str, Any]) -> dict[str, Any]:
    """The file's metadata: what somebody who has the file alone needs to know."""
    classes, coded = None if model.classes is None else model.classes.tolist(), model.task == "autoencode"
    columns = describe(model.encoder) if isinstance(model.encoder, Encoder) else []
    return {
        "task": model.task, "targets": list(model.targets), "classes": classes, "columns": columns,
        "network": [part.network.label for part in model.parts], "networks": 1 if coded else len(model),
        "precision": model.precision, "part": part, "coverage": coverage, "difference": measured,
    }  # fmt: skip


def _shown(ends: Sequence[Any]) -> tuple[str, ...]:
    from onnx import TensorProto

    shown = []
    for one in ends:
        kind = one.type.tensor_type
        shape = ", ".join(d.dim_param or str(d.dim_value) for d in kind.shape.dim)
        shown.append(f"{one.name} {TensorProto.DataType.Name(kind.elem_type).lower()} [{shape}]")
    return tuple(shown)
