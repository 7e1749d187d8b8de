"""Which files hold tables, told by the ends of their names."""

from __future__ import annotations

from pathlib import Path

TEXT = {".csv": None, ".txt": None, ".dat": None, ".tsv": "\t", ".tab": "\t"}  # with the delimiter where it is told
BINARY = {".parquet": "parquet", ".pq": "parquet", ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc"}
PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")
JSON = (".json", ".jsonl", ".ndjson")
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def named_as_table(path: Path) -> bool:
    """Whether the name of a file says that it is a table."""
    kind, inner = path.suffix.lower(), Path(path.stem).suffix.lower()
    return kind in (*TEXT, *BINARY, *JSON, *WORKBOOKS) or (kind in PACKED and inner in TEXT)
