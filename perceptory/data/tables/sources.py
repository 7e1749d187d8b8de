"""Everything that is a table, as a `Table`: files, data frames of any library, arrays, dicts of columns."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import numpy as np

from perceptory import files
from perceptory.data.tables.beside import check_alike
from perceptory.data.tables.cells import Reading
from perceptory.data.tables.damaged import damaged
from perceptory.data.tables.dates import DAY, days_of
from perceptory.data.tables.delimited import read_delimited, read_text
from perceptory.data.tables.endings import BINARY, JSON, PACKED, TEXT, WORKBOOKS
from perceptory.data.tables.folders import stacked_tables, tables_in
from perceptory.data.tables.marks import read_cells
from perceptory.data.tables.numbers import floats
from perceptory.data.tables.other_files import read_json, read_workbook, unpacked
from perceptory.data.tables.parquet_pages import check_pages
from perceptory.data.tables.single_row import is_named, is_plain
from perceptory.data.tables.table import (
    RawColumn,
    Table,
    label,
    nothing_at,
    series_of,
    shown_value,
    unique_names,
)
from perceptory.errors import InputError
from perceptory.notes import Note, duration, index_not_read, several_types, time_of_day, unreadable

if TYPE_CHECKING:
    import polars as pl


def as_table(
    source: Any,
    names: Sequence[str] | None = None,
    *,
    reading: Reading | None = None,
    as_text: Collection[str] = (),
) -> Table:
    """Any supported source as a `Table`. Raises `InputError` for the rest.

    names: of the columns of an array. reading: how cells of text are written. as_text: names of columns whose texts
    will be asked for, so that a file is read once.
    """
    if isinstance(source, Table):
        return source if reading is None else _read_cells(source, reading, None)
    delimiter = None
    reading = reading or Reading()
    if isinstance(source, (str, Path)):
        table, delimiter = _read_path(files.path_of(source), frozenset(as_text), reading.decimal != ",")
    elif isinstance(source, Mapping):
        check_alike(source)
        row = bool(source) and all(map(is_plain, source.values()))  # a dict of values is one row
        table = _from_columns([(str(k), [v] if row else v) for k, v in source.items()])
    else:
        source = columns_of_rows(source)
        if isinstance(source, Mapping):
            return as_table(source, names, reading=reading, as_text=as_text)
        frame = _from_frame(source)
        table = frame if frame is not None else _from_array(source, names)
    return _read_cells(table, reading, delimiter)


def _read_path(path: Path, as_text: frozenset[str], numbers: bool) -> tuple[Table, str | None]:
    def read(one: Path) -> tuple[Table, str | None]:
        return read_file(one, as_text, numbers)

    parts = tables_in(path)
    return stacked_tables(parts, read) if parts else read(path)


def columns_of_rows(source: Any) -> Any:
    """A list of dicts or named tuples, a row each, as a dict of columns, None where a row lacks one; all else as is."""
    if is_named(source):
        return source._asdict()
    if isinstance(source, list) and source and all(map(is_named, source)):
        source = [row._asdict() for row in source]
    if not isinstance(source, list) or not source or not all(isinstance(row, Mapping) for row in source):
        return source
    names = dict.fromkeys(name for row in source for name in row)
    return {name: [row.get(name) for row in source] for name in names}


def _read_cells(table: Table, reading: Reading, delimiter: str | None) -> Table:
    columns, notes = read_cells(table.columns, reading, delimiter)
    return replace(table, columns=tuple(columns), notes=(*table.notes, *notes))


def read_file(path: Path, as_text: frozenset[str] = frozenset(), numbers: bool = True) -> tuple[Table, str | None]:
    """Read a CSV, TSV, Parquet or Arrow (Feather) file, packed text, JSON records or a workbook; the end of its name
    says which. Of a file of text the delimiter
    comes back as well; `as_text` and `numbers` as in `read_delimited`."""
    kind = path.suffix.lower()
    if not path.exists():
        raise nothing_at(path)
    if not path.is_file():
        what = "a folder, not a table" if path.is_dir() else "a pipe or a device, which cannot be read twice"
        raise InputError(f"{str(path)!r} is {what}. Give a CSV, TSV, Parquet or Arrow file.")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path.name} is empty. Give a file with a header line and at least one row.")
        if kind in TEXT:
            return read_delimited(path, TEXT[kind], as_text=as_text, numbers=numbers)
        if kind in BINARY:
            return _read_binary(path, BINARY[kind]), None
        if kind in PACKED:
            name, data = unpacked(path)
            return read_text(data, name, TEXT[Path(name).suffix.lower()], as_text=as_text, numbers=numbers)
        if kind in JSON:
            return as_table(read_json(path)).filled(), None
        if kind in WORKBOOKS:
            frame, notes = read_workbook(path)
            table = as_table(frame)
            return replace(table, notes=(*notes, *table.notes)), None
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror or type(error).__name__}.") from None
    raise InputError(
        f"the file name {path.name!r} has to end in one of {', '.join([*TEXT, *BINARY, *JSON, *WORKBOOKS])}, of packed"
        " text .csv.gz and the like, which say how to read it. Save it as CSV or Parquet, or rename it."
    )


def _read_binary(path: Path, kind: str) -> Table:
    import polars as pl

    what = {"parquet": "Parquet", "ipc": "Arrow (Feather version 2)"}[kind]
    if kind == "parquet":
        check_pages(path)
    with damaged(f"{path.name} is not a readable {what} file"):
        frame = (pl.read_parquet if kind == "parquet" else pl.read_ipc)(files.readable(path))
    table = _from_frame(frame)
    if table is None or not table.rows or not table.columns:
        raise InputError(f"{path.name} has no rows.")
    return table


# --- data frames --------------------------------------------------------------------------------------------------


def _from_frame(source: Any) -> Table | None:
    """A pandas, polars or Arrow table (and others that narwhals knows) as a `Table`; None for what is none."""
    import narwhals as nw

    notes: list[Note] = []
    duplicated: frozenset[str] = frozenset()
    source = _whole_table(source)
    given = source
    if nw.dependencies.is_pandas_dataframe(source) or nw.dependencies.is_pyarrow_table(source):
        pandas = nw.dependencies.is_pandas_dataframe(source)
        old = [str(n) for n in (source.columns if pandas else source.column_names)]
        new, notes, duplicated = unique_names(old, "the table")
        given = source.set_axis(new, axis=1) if pandas else source.rename_columns(new)
        if pandas and source.index.name is not None:
            notes.append(index_not_read(str(source.index.name)))
    frame = nw.from_native(given, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise InputError("a table that is not computed yet was given. Call .collect() on it first.")
    if not isinstance(frame, nw.DataFrame):
        return None
    columns = tuple(from_series(frame[name]) for name in frame.columns)
    return Table(columns, len(frame), tuple(notes), duplicated=duplicated)


def _whole_table(source: Any) -> Any:
    """A record batch as a table, and a column by itself as a table of one."""
    if _is_a(source, "pyarrow", "RecordBatch"):
        return sys.modules["pyarrow"].Table.from_batches([source])
    if _is_a(source, "pandas", "Series") or _is_a(source, "polars", "Series"):
        return source.to_frame(source.name if source.name is not None and source.name != "" else "x0")
    return source


def _is_a(value: Any, library: str, path: str) -> bool:
    """Whether a value is of a class of a library, which is not imported for that, and may be half imported."""
    kind: Any = sys.modules.get(library)
    for name in path.split("."):
        kind = getattr(kind, name, None)
    return kind is not None and isinstance(value, kind)


def from_series(series: Any) -> RawColumn:
    """A narwhals series as a `RawColumn`."""
    import narwhals as nw
    import polars as pl

    name, dtype = str(series.name), series.dtype
    if series.implementation.is_polars() or series.implementation.is_pyarrow():
        return from_polars(name, series.to_polars())
    kind = str(getattr(series.to_native(), "dtype", ""))
    if kind.startswith("dictionary<"):  # pandas with Arrow's types
        import pyarrow as pa

        return from_polars(name, pl.Series(pa.array(series.to_native())))
    if kind.startswith("period["):
        return from_series(nw.from_native(series.to_native().dt.to_timestamp(), series_only=True).alias(name))
    if kind.startswith("interval["):
        return RawColumn(name, "label", _texts(name, [None if is_missing(v) else str(v) for v in series.to_list()]))
    if dtype.is_integer():
        null = series.is_null().to_numpy()
        whole = pl.Series(np.ascontiguousarray(series.fill_null(0).to_numpy() if null.any() else series.to_numpy()))
        return _number(name, pl.select(pl.when(~pl.Series(null)).then(whole)).to_series() if null.any() else whole)
    if dtype.is_float():
        return _number(name, pl.Series(np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)))
    if dtype in (nw.Date, nw.Datetime):
        if getattr(dtype, "time_zone", None) is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return from_array(name, np.asarray(series.cast(nw.Datetime("us")).to_numpy()))
    if dtype in (nw.Categorical, nw.Enum):
        native = series.to_native()
        texts = pl.Series([None if is_missing(c) else label(c) for c in native.cat.categories], dtype=pl.String)
        codes = pl.Series(np.asarray(native.cat.codes, np.int64))
        labels = texts.gather(pl.select(pl.when(codes >= 0).then(codes)).to_series())
        return RawColumn(name, "label", labels, of=_kind_of(native.cat.categories.tolist()))
    return from_objects(name, series.to_list())


def _kind_of(categories: list[Any]) -> Literal["texts", "whole numbers", "truth values"]:
    """What the categories of a column are: predicted classes come back as such."""
    if categories and all(isinstance(c, bool | np.bool_) for c in categories):
        return "truth values"
    whole = categories and all(isinstance(c, int | np.integer) and not isinstance(c, bool) for c in categories)
    return "whole numbers" if whole else "texts"


def from_polars(name: str, series: pl.Series) -> RawColumn:
    """A polars series as a `RawColumn`."""
    import polars as pl

    kind = series.dtype
    if kind.is_integer() or kind.is_float():
        return _number(name, series)
    if kind.is_decimal():
        return _number(name, series.cast(pl.Float64))
    if kind == pl.Boolean:
        return RawColumn(name, "boolean", series)
    if kind in (pl.String, pl.Null):
        return RawColumn(name, "text", series.cast(pl.String))
    if kind in (pl.Categorical, pl.Enum):
        return RawColumn(name, "label", series.cast(pl.String))
    if kind == pl.Date:
        return RawColumn(name, "date", series)
    if kind == pl.Datetime:  # with a time zone it is stored in universal time
        return RawColumn(name, "date", floats(series.dt.cast_time_unit("us").cast(pl.Int64)) / DAY)
    if kind == pl.Duration:
        return RawColumn(
            name, "number", floats(series.dt.cast_time_unit("us").cast(pl.Int64)) / 1e6, notes=(duration(),)
        )
    if kind == pl.Time:
        return RawColumn(name, "number", floats(series.cast(pl.Int64)) / 1e9, notes=(time_of_day(),))
    return from_objects(name, series.to_list())


# --- arrays and dicts ---------------------------------------------------------------------------------------------


def _from_array(source: Any, names: Sequence[str] | None) -> Table:
    if hasattr(source, "tocsr"):
        raise InputError("a sparse matrix was given, but a dense table is expected. Call .toarray() on it first.")
    dtype = getattr(source, "dtype", None)
    if getattr(dtype, "names", None) is not None:
        return _from_columns([(name, source[name]) for name in source.dtype.names])
    array = as_array(source)
    if array.ndim != 2:
        raise InputError(
            f"inputs need a table of two dimensions [row, column], got shape {array.shape} from a "
            f"{type(source).__name__}. {_shape_remedy(array)}"
        )
    given = [f"x{k}" for k in range(array.shape[1])] if names is None else [str(n) for n in names]
    if len(given) != array.shape[1]:
        raise InputError(f"{len(given)} names were given for an array of {array.shape[1]} columns.")
    table = _from_columns([(name, array[:, k]) for k, name in enumerate(given)])
    return Table(table.columns, len(array), table.notes, names is not None, table.duplicated)


def _shape_remedy(array: np.ndarray) -> str:
    if array.ndim == 1 and any(isinstance(row, Sequence) and not isinstance(row, str) for row in array[:100]):
        return "Give rows of the same length."
    if array.ndim == 1:
        return "One input column: numpy.reshape(x, (-1, 1)); one row: [x]."
    return "Examples of more than one dimension are read by read_arrays."


def _from_columns(items: Any) -> Table:
    items = list(items)
    names, notes, duplicated = unique_names([name for name, _ in items], "the table")
    columns = [column_of(name, values) for name, (_, values) in zip(names, items, strict=True)]
    lengths = {c.name: len(c) for c in columns}
    if len(set(lengths.values())) > 1:
        short, long = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise InputError(
            f"columns need the same number of rows, but {short!r} has {lengths[short]} and {long!r} {lengths[long]}."
        )
    return Table(tuple(columns), len(columns[0]) if columns else 0, tuple(notes), duplicated=duplicated)


def column_of(name: str, values: Any) -> RawColumn:
    """A list, array or series of one dimension as a `RawColumn`."""
    import narwhals as nw

    series = nw.from_native(as_series(values), pass_through=True, allow_series=True)
    if isinstance(series, nw.Series):
        return from_series(series.alias(name))
    array = as_array(values)
    if array.ndim != 1:
        raise InputError(f"column {name!r} needs one dimension [row], got shape {array.shape}.")
    return from_array(name, array)


def as_series(values: Any) -> Any:
    """A pandas array that is not in a series, such as pd.Categorical, as one, so that it keeps its type."""
    is_one = _is_a(values, "pandas", "api.extensions.ExtensionArray")
    return sys.modules["pandas"].Series(values) if is_one else values


def as_array(source: Any) -> np.ndarray:
    """A NumPy array of a list or array of any library. Lists become objects first, so that 1 and 'a' stay apart.

    What is masked becomes None, in an array and in arrays that stand in a list.
    """
    if isinstance(source, np.ma.MaskedArray):
        objects = np.ma.getdata(source).astype(object)
        objects[np.ma.getmaskarray(source)] = None
        return objects
    if isinstance(source, (list, tuple)) and any(isinstance(part, np.ma.MaskedArray) for part in source):
        source = [as_array(part).tolist() if isinstance(part, np.ma.MaskedArray) else part for part in source]
    if isinstance(source, (str, bytes)) or not (hasattr(source, "__array__") or isinstance(source, Sequence)):
        raise InputError(
            f"a {type(source).__name__} is not a table. Expected a file name, a data frame, a two-dimensional array or "
            "a dict of columns."
        )
    try:
        return np.asarray(source) if hasattr(source, "__array__") else np.array(source, dtype=object)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"a {type(source).__name__} cannot be read as an array: {str(error).rstrip('.')}.") from None


def from_array(name: str, array: np.ndarray) -> RawColumn:
    """A one-dimensional NumPy array of any type as a `RawColumn`."""
    kind = array.dtype.kind
    if kind == "b":
        return RawColumn(name, "boolean", array)
    if kind in "iu":
        return _number(name, series_of(array.astype(array.dtype.newbyteorder("="))))
    if kind == "f":
        return _number(name, series_of(array.astype(np.float64)))
    if kind in "Mm":
        if np.datetime_data(array.dtype)[0] == "generic":
            return from_objects(name, array.tolist())
        missing = np.isnat(array)
        unit = array.astype(f"{kind}8[us]").astype(np.int64)
        values = np.where(missing, math.nan, unit / (DAY if kind == "M" else 1e6))
        if kind == "M":
            return RawColumn(name, "date", values)
        return RawColumn(name, "number", values, (duration(),))
    if kind == "V" and array.dtype.names is None and "float" in array.dtype.name:  # bfloat16 and its kin
        return RawColumn(name, "number", array.astype(np.float64))
    return from_objects(name, array.tolist() if kind in "UOT" else list(array))


def from_objects(name: str, values: list[Any]) -> RawColumn:
    """Python objects as a `RawColumn`, by the types of those that are not missing."""
    import polars as pl

    types = set(map(type, values))
    if types <= {str, NoneType}:
        return RawColumn(name, "text", _texts(name, values))
    if types <= {bool, NoneType}:
        return RawColumn(name, "boolean", pl.Series(values, dtype=pl.Boolean))
    if types <= {int, NoneType} and (whole := _whole(values)) is not None:
        return _number(name, whole)
    if types <= {float, int, NoneType}:
        return _number(name, pl.Series(_floats(name, values, [v is None for v in values], float)))
    return _from_mixed(name, values)


def _from_mixed(name: str, values: list[Any]) -> RawColumn:
    """Objects of several types, or of types that polars does not know: looked at one by one."""
    import polars as pl

    missing = [is_missing(v) for v in values]
    types = {type(v) for v, m in zip(values, missing, strict=True) if not m}

    def texts(convert: Any) -> pl.Series:
        return _texts(name, [None if m else convert(v) for v, m in zip(values, missing, strict=True)])

    if all(issubclass(t, str) for t in types):
        return RawColumn(name, "text", texts(str))
    if all(issubclass(t, (bool, np.bool_)) for t in types):
        truth = [None if m else bool(v) for v, m in zip(values, missing, strict=True)]
        return RawColumn(name, "boolean", pl.Series(truth, dtype=pl.Boolean))
    if all(issubclass(t, (numbers.Real, Decimal, np.bool_)) for t in types):
        if all(issubclass(t, numbers.Integral) for t in types):
            whole = _whole([None if m else int(v) for v, m in zip(values, missing, strict=True)])
            if whole is not None:
                return _number(name, whole)
        return _number(name, pl.Series(_floats(name, values, missing, float)))
    if any(t.__name__ == "Period" and hasattr(t, "to_timestamp") for t in types):
        values = [v.to_timestamp() if hasattr(v, "to_timestamp") else v for v in values]
        types = {type(v) for v, m in zip(values, missing, strict=True) if not m}
    if all(issubclass(t, np.datetime64) for t in types):
        return from_array(
            name, np.array([np.datetime64("NaT") if m else v for v, m in zip(values, missing, strict=True)])
        )
    if all(issubclass(t, date) for t in types):
        return RawColumn(name, "date", _floats(name, values, missing, days_of))
    if all(issubclass(t, time) for t in types):
        return RawColumn(name, "number", _floats(name, values, missing, _seconds_of), notes=(time_of_day(),))
    if all(issubclass(t, UUID | PurePath) or t.__name__ == "Interval" for t in types):
        return RawColumn(name, "label", texts(str))
    if all(issubclass(t, timedelta) for t in types):
        return RawColumn(name, "number", _floats(name, values, missing, timedelta.total_seconds), notes=(duration(),))
    if all(issubclass(t, (str, numbers.Real, Decimal, np.bool_)) for t in types):
        names = sorted(t.__name__ for t in types)
        return RawColumn(name, "text", texts(label), (several_types(names),))
    example = next(t.__name__ for t in types if not issubclass(t, (str, numbers.Real)))
    return RawColumn(name, "other", texts(shown_value), (unreadable(example),))


def _seconds_of(moment: time) -> float:
    """Since midnight."""
    return moment.hour * 3600.0 + moment.minute * 60.0 + moment.second + moment.microsecond / 1e6


def _floats(name: str, values: list[Any], missing: list[bool], convert: Any) -> np.ndarray:
    try:
        return np.array([math.nan if m else convert(v) for v, m in zip(values, missing, strict=True)], np.float64)
    except OverflowError:
        raise InputError(f"column {name!r} holds a whole number that is too large for a float64.") from None


def _texts(name: str, values: list[str | None]) -> pl.Series:
    import polars as pl

    try:
        return pl.Series(values, dtype=pl.String)
    except UnicodeEncodeError:
        raise InputError(f"column {name!r} holds text that is not valid Unicode (half of a surrogate pair).") from None


def _whole(values: list[int | None]) -> pl.Series | None:
    """Whole numbers as integers of 64 bits, or of 128; None where they are larger."""
    import polars as pl

    for kind in (pl.Int64, pl.Int128):
        try:
            return pl.Series(values, dtype=kind)
        except (OverflowError, TypeError, pl.exceptions.PolarsError):
            continue
    return None


def _number(name: str, series: pl.Series) -> RawColumn:
    import polars as pl

    return RawColumn(name, "number", series if series.dtype.is_integer() else series.cast(pl.Float64))


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, NaT, pandas' NA, or what NumPy masks."""
    if value is None:
        return True
    if isinstance(value, (float, np.floating, Decimal)):
        return value != value
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return type(value).__name__ in ("NAType", "NaTType", "MaskedConstant")
