"""Bodies of the Open Inference Protocol (V2): tensors to columns and back, as JSON or with binary data behind it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.errors import InputError

TYPES = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
    "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
TEXTS = "BYTES"
WHOLE = ("input", "inputs", "input-0", "predict")  # names of a tensor that holds all columns, or examples of any shape


@dataclass
class Asked:
    """What a request asks for. rows: columns by name, or one array of examples; count: how many rows."""

    rows: Any
    count: int
    id: str | None = None
    outputs: tuple[str, ...] = ()  # names; () for all
    binary: frozenset[str] | bool = False  # outputs that are wanted as binary data, or whether all are
    interval: float | None = None  # coverage


def asked_by(body: Any, binary: bytes = b"") -> Asked:
    """What the JSON of a V2 request asks for. binary: what follows it. Raises `InputError` for what is none."""
    if not isinstance(body, dict) or not isinstance(body.get("inputs"), list) or not body["inputs"]:
        raise InputError(
            'a request needs "inputs", a list of tensors: {"inputs": [{"name", "shape", "datatype", "data"}]}.'
        )
    columns: dict[str, Any] = {}
    place = 0
    for tensor in body["inputs"]:
        name, values, place = _tensor(tensor, binary, place)
        if name in columns:
            raise InputError(f"there are two tensors of the name {name!r}. Give each column once.")
        columns[name] = values
    if place != len(binary):
        raise InputError(
            f"{len(binary)} bytes follow the JSON, and its tensors take {place}. Correct binary_data_size."
        )
    rows, count = _rows(columns)
    parameters = _parameters(body)
    outputs = body.get("outputs") or []
    if not isinstance(outputs, list) or not all(
        isinstance(o, dict) and isinstance(o.get("name"), str) for o in outputs
    ):
        raise InputError('"outputs" needs a list of {"name"}. Leave it out for all of them.')
    wanted = frozenset(o["name"] for o in outputs if _parameters(o).get("binary_data"))
    return Asked(
        rows, count, _id(body), tuple(o["name"] for o in outputs),
        wanted if outputs else bool(parameters.get("binary_data_output")), coverage(parameters.get("interval")),
    )  # fmt: skip


def coverage(value: Any) -> float | None:
    """The coverage of the interval that is asked for. Raises `InputError` for what is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InputError(f'"interval" needs a coverage between 0 and 1, such as 0.9, got {value!r}.')
    return float(value)


def _id(body: Mapping[str, Any]) -> str | None:
    value = body.get("id")
    return None if value is None else str(value)


def _parameters(body: Mapping[str, Any]) -> Mapping[str, Any]:
    value = body.get("parameters") or {}
    if not isinstance(value, dict):
        raise InputError('"parameters" needs names and values.')
    return value


def _tensor(tensor: Any, binary: bytes, place: int) -> tuple[str, Any, int]:
    """Name and values of a tensor, and where the next one's binary data begin."""
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise InputError('a tensor needs "name", "shape", "datatype" and "data".')
    name, kind, shape = tensor["name"], tensor.get("datatype"), tensor.get("shape")
    if kind not in TYPES and kind != TEXTS:
        raise InputError(f"tensor {name!r} needs a datatype of {', '.join([*TYPES, TEXTS])}, got {kind!r}.")
    if not isinstance(shape, list) or not shape or not all(type(n) is int and n >= 0 for n in shape):
        raise InputError(f"tensor {name!r} needs a shape, a list of whole numbers, got {shape!r}.")
    size = _parameters(tensor).get("binary_data_size")
    if size is not None:
        if type(size) is not int or not 0 <= size <= len(binary) - place:
            raise InputError(
                f"tensor {name!r} has a binary_data_size of {size!r}, and {len(binary) - place} bytes are left."
            )
        content = binary[place : place + size]
        values = _texts(content, name) if kind == TEXTS else _numbers(content, kind, name)
        place += size
    elif "data" in tensor:
        values = _listed(tensor["data"], kind, name)
    else:
        raise InputError(f'tensor {name!r} has no "data".')
    expected = int(np.prod([int(n) for n in shape], dtype=object))
    if len(values) != expected:
        raise InputError(f"tensor {name!r} has {len(values)} values, and its shape {shape} takes {expected}.")
    return name, _shaped(values, shape), place


def _shaped(values: Any, shape: list[int]) -> Any:
    if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
        return values
    return np.asarray(values, None if isinstance(values, np.ndarray) else object).reshape(shape)


def _listed(data: Any, kind: str, name: str) -> Any:
    """The values of JSON, flat; a list of lists may say the shape once more."""
    if not isinstance(data, list):
        data = [data]
    while data and isinstance(data[0], list):
        if not all(isinstance(part, list) for part in data):
            raise InputError(f"tensor {name!r} mixes values and lists of values in its data.")
        data = [value for part in data for value in part]
    if kind == TEXTS or any(value is None for value in data):
        if any(isinstance(value, list | dict) for value in data):
            raise InputError(f"tensor {name!r} has lists among its values.")
        return data
    try:
        array = np.asarray(data)
        if array.dtype.kind not in "biuf" or array.ndim != 1:
            return data if all(isinstance(v, str | int | float) for v in data) else _refuse(name, kind)
        return array if array.dtype.kind != "O" else data
    except (ValueError, OverflowError):
        return _refuse(name, kind)


def _refuse(name: str, kind: str) -> Any:
    raise InputError(f"tensor {name!r} of {kind} has values that are neither numbers nor texts.")


def _numbers(content: bytes, kind: str, name: str) -> np.ndarray:
    dtype = np.dtype(TYPES[kind]).newbyteorder("<")
    if len(content) % dtype.itemsize:
        raise InputError(f"tensor {name!r} has {len(content)} bytes, which is no whole number of {kind}.")
    return np.frombuffer(content, dtype)


def _texts(content: bytes, name: str) -> list[str]:
    """Texts, each behind its length in four bytes."""
    texts, place = [], 0
    try:
        while place < len(content):
            (length,) = struct.unpack_from("<I", content, place)
            if place + 4 + length > len(content):
                raise InputError(f"tensor {name!r} has a text of {length} bytes, which its data do not hold.")
            texts.append(content[place + 4 : place + 4 + length].decode())
            place += 4 + length
    except (struct.error, UnicodeDecodeError):
        raise InputError(f"tensor {name!r} has texts that are cut short or not UTF-8.") from None
    return texts


def _rows(columns: dict[str, Any]) -> tuple[Any, int]:
    """Columns by name, or the one array of examples, and how many rows that is."""
    if len(columns) == 1:
        ((name, values),) = columns.items()
        if isinstance(values, np.ndarray) and (values.ndim > 1 or name in WHOLE):
            return values, len(values)
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"tensors differ in their number of rows: {counts}. Give each column the same.")
    for name, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim > 1:
            raise InputError(f"tensor {name!r} has the shape {list(values.shape)} beside others. A column is [rows].")
    return columns, next(iter(counts.values()))


# --- answers ---------------------------------------------------------------------------------------------------------


def datatype_of(values: Any) -> str:
    """The protocol's word for an array's type."""
    dtype = np.asarray(values).dtype
    return next((name for name, kind in TYPES.items() if np.dtype(kind) == dtype), TEXTS)


def tensor_of(name: str, values: Any, binary: bool) -> tuple[dict[str, Any], bytes]:
    """A tensor of an answer, and the binary data that follow."""
    array = np.asarray(values)
    tensor: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": datatype_of(array)}
    if not binary:
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            array = array.astype(object)
            array[~np.isfinite(np.asarray(values))] = None  # JSON has no such numbers
        return tensor | {"data": array.ravel().tolist()}, b""
    if tensor["datatype"] == TEXTS:
        content = b"".join(struct.pack("<I", len(t)) + t for t in (str(v).encode() for v in array.ravel()))
    else:
        content = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    return tensor | {"parameters": {"binary_data_size": len(content)}}, content


def rows_of_frame(body: Any) -> tuple[Any, int, float | None]:
    """Columns by name, number of rows and the interval's coverage, of a request to /invocations."""
    if not isinstance(body, dict):
        raise InputError('a request needs "dataframe_split", "dataframe_records", "inputs" or "instances".')
    given = [key for key in ("dataframe_split", "dataframe_records", "inputs", "instances") if key in body]
    if len(given) != 1:
        raise InputError(
            f'a request needs one of "dataframe_split", "dataframe_records", "inputs", "instances", got {given}.'
        )
    parameters = body.get("params") or body.get("parameters") or {}
    wanted = coverage(parameters.get("interval") if isinstance(parameters, dict) else None)
    value = body[given[0]]
    if given[0] == "dataframe_split":
        rows, count = _split(value)
    elif isinstance(value, dict):
        rows, count = _columns(value)
    else:
        rows, count = _records(value, given[0])
    return rows, count, wanted


def _split(value: Any) -> tuple[dict[str, list[Any]], int]:
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("columns"), list)
        or not isinstance(value.get("data"), list)
    ):
        raise InputError('"dataframe_split" needs "columns", a list of names, and "data", a list of rows.')
    names, data = [str(name) for name in value["columns"]], value["data"]
    if len(set(names)) < len(names):
        raise InputError(f"columns need different names, got {names}.")
    for k, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(names):
            raise InputError(f"row {k} of the data needs {len(names)} values, as there are columns.")
    return {name: [row[k] for row in data] for k, name in enumerate(names)}, len(data)


def _columns(value: dict[str, Any]) -> tuple[dict[str, list[Any]], int]:
    columns = {name: values if isinstance(values, list) else [values] for name, values in value.items()}
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) != 1:
        raise InputError(f"columns differ in their number of rows: {counts}.")
    return columns, next(iter(counts.values()))


def _records(value: Any, key: str) -> tuple[Any, int]:
    if not isinstance(value, list) or not value:
        raise InputError(f'"{key}" needs a list of rows.')
    if all(isinstance(row, dict) for row in value):
        names = dict.fromkeys(name for row in value for name in row)
        return {str(name): [row.get(name) for row in value] for name in names}, len(value)
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        raise InputError(
            f'"{key}" needs rows that are all names with values, or arrays of numbers of one shape.'
        ) from None
    return array, len(array)
