"""How far a graph's outputs are from the model's own: measured on rows when it is made, and kept in the file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from perceptory.data.tables.encoder import Encoder
from perceptory.export.columns import feeds, used_columns
from perceptory.export.pipeline import ARRAY, CODE, LENGTHS

ROWS_AT_ONCE = 4096
MADE_UP = 256  # rows where no data are given


def run_graph(proto: Any, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by name, some thousand rows at a time: by onnxruntime, or where it is not installed by the reference
    evaluator of the package onnx."""
    evaluator, rows = _evaluator(proto), len(next(iter(arrays.values())))
    parts = []
    for start in range(0, rows, ROWS_AT_ONCE):
        parts.append(evaluator.run(None, {k: v[start : start + ROWS_AT_ONCE] for k, v in arrays.items()}))
    return {one.name: np.concatenate([part[i] for part in parts]) for i, one in enumerate(proto.graph.output)}


def _evaluator(proto: Any) -> Any:
    try:
        from onnxruntime import InferenceSession
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(proto)
    return InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def runtime() -> str:
    """What `run_graph` runs on, with its version."""
    try:
        import onnxruntime
    except ImportError:
        import onnx

        return f"onnx {onnx.__version__} reference evaluator"
    return f"onnxruntime {onnxruntime.__version__}"


def graph_inputs(model: Any, proto: Any, source: Any) -> dict[str, np.ndarray]:
    """Whatever `Model.predict` takes as the inputs of the model's graph."""
    if isinstance(model.encoder, Encoder):
        return feeds(model.encoder, source)
    given = model.encoder.examples(source)
    types = {one.name: one.type.tensor_type.elem_type for one in proto.graph.input}
    arrays = {ARRAY: np.asarray(given.inputs, np.float32 if types[ARRAY] == 1 else np.float64)}
    if LENGTHS in types:
        steps = np.full(len(given.inputs), given.inputs.shape[1], np.int64)
        arrays[LENGTHS] = steps if given.lengths is None else np.asarray(given.lengths, np.int64)
    return arrays


def expected(model: Any, proto: Any, source: Any, coverage: float | None) -> dict[str, np.ndarray]:
    """What the model itself says for each of the graph's outputs."""
    wanted = {one.name.rstrip("_"): one.name for one in proto.graph.output}
    ways: dict[str, Any] = {
        "prediction": lambda: model.predict(source),
        "probabilities": lambda: model.predict_proba(source),
        "quantiles": lambda: model.predict_quantiles(source).values,
        "deviation": lambda: model.predict_deviation(source),
        "interval": lambda: model.predict_interval(source, coverage),
        CODE: lambda: model.encode(source),
    }
    if model.task == "autoencode":  # a column may be called as any of the others
        ways = {CODE: ways[CODE]}
    found = {name: np.asarray(ways[key]()) for key, name in wanted.items() if key in ways}
    others = [name for name in wanted.values() if name not in found]
    if others:
        back = model.decode(source) if CODE not in found else model.reconstruct(source)
        found |= _given_back(others, back)
    return found


def _given_back(names: list[str], back: Any) -> dict[str, np.ndarray]:
    if isinstance(back, np.ndarray):
        return {names[0]: back}
    import polars as pl

    columns = {}
    for name, series in zip(names, back.get_columns(), strict=True):
        if series.dtype.is_temporal():
            series = series.cast(pl.Datetime("us")).cast(pl.Int64)
        columns[name] = np.asarray(series.fill_null("") if series.dtype == pl.String else series)
    return columns


def difference(
    model: Any, proto: Any, source: Any, coverage: float | None = None, floors: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """The greatest difference between the graph's outputs and the model's own.

    {"rows", "relative", "absolute", "unequal"}: relative to the value or, where that is nearer to 0, to the spread of
    the output's values; unequal counts classes and truth values that differ.
    """
    if CODE in {one.name for one in proto.graph.input}:
        arrays = {CODE: np.asarray(source, float)}
    else:
        arrays = graph_inputs(model, proto, source)
    got = run_graph(proto, arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of categories that are made up
        want = expected(model, proto, source, coverage)
    relative = absolute = 0.0
    unequal = 0
    for name, values in want.items():
        mine = got[name]
        if values.dtype.kind == "i" and not name.startswith("prediction"):  # moments, which may be rounded otherwise
            mine, values = mine.astype(float), values.astype(float)
        if values.dtype.kind != "f":
            unequal += int(np.sum(mine.astype(values.dtype) != values))
            continue
        with np.errstate(invalid="ignore"):  # what both hold to be infinite is the same
            apart = np.where(mine == values, 0.0, np.abs(mine - values))
        size = np.maximum(np.abs(values), max(float(np.std(values)), (floors or {}).get(name, 0.0), 1e-300))
        absolute, relative = max(absolute, float(apart.max())), max(relative, float(np.max(apart / size)))
    rows = len(next(iter(arrays.values())))
    return {"rows": rows, "relative": relative, "absolute": absolute, "unequal": unequal, "runtime": runtime()}


# --- rows where there are none ------------------------------------------------------------------------------------


def made_up(model: Any, rows: int = MADE_UP) -> Any:
    """Rows like those that the model knows, by its scaling and categories, with missing values and texts that it has
    never seen."""
    rng = np.random.default_rng(0)
    first = model.parts[0]
    center, factor = first.in_center.mean(axis=0), first.in_factor.mean(axis=0)
    spread = np.where(factor == 0, 0.0, 1 / np.where(factor == 0, 1, factor))
    if not isinstance(model.encoder, Encoder):
        shape = model.encoder.shape
        unscaled = list(first.network.unscaled)
        x = center + spread * rng.normal(size=(rows, *shape))
        if any(part.network.windows is not None and part.network.windows.log for part in model.parts):
            x = np.abs(x) + 0.1 * spread  # what has a logarithm
        x[..., unscaled] = np.clip(np.round(np.abs(x[..., unscaled])), model.encoder.low, model.encoder.high)
        return x
    columns: dict[str, Any] = {}
    place = 0
    for plan in used_columns(model.encoder):
        columns[plan.name] = _column(plan, center[place], spread[place], rows, rng)
        place += len(plan.features)
    return columns


def _column(plan: Any, center: float, spread: float, rows: int, rng: np.random.Generator) -> Any:
    import polars as pl

    gone = rng.random(rows) < 0.1
    if plan.kind == "categorical":
        texts = [*plan.categories, "a text that the model has never seen"]
        return pl.Series(
            [None if g else texts[i] for i, g in zip(rng.integers(0, len(texts), rows), gone, strict=True)]
        )
    values = center + spread * rng.normal(size=rows)
    if plan.kind == "boolean":
        return pl.Series([None if g else bool(v > center) for v, g in zip(values, gone, strict=True)], dtype=pl.Boolean)
    if plan.kind == "numeric":
        return pl.Series(np.where(gone, np.nan, values)).fill_nan(None)
    micros = np.round((values + plan.origin) * 86400) * 1_000_000
    series = pl.Series([None if g else int(m) for m, g in zip(micros, gone, strict=True)], dtype=pl.Int64)
    return series.cast(pl.Datetime("us"))
