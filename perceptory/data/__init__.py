"""Data in: tables become a `Dataset`, series, images and arrays an `ArrayDataset`; encoders make inputs of them.

The way of a table: a source is read as it is (`delimited`, `sources` -> `Table`), every column gets its meaning
(`infer`, `targets` -> `Dataset`), test rows are cut off (`partition`), and the study rows teach the encoder which
features to make (`encoding`); a table larger than memory is a `StreamedTable`, read in pieces (`streamed`). The way of
everything else: `arrays`, `series` (by `clock` and `windows`) and `images` (by `idx` and `pictures`) read examples of
one shape (`examples`). Only NumPy is imported here; polars, narwhals, scikit-learn and Pillow come when they are
needed.
"""

from perceptory.data.arrays.dataset import ArrayDataset, ArrayEncoder
from perceptory.data.arrays.reader import read_arrays
from perceptory.data.images.files import load_pictures
from perceptory.data.images.reader import read_images
from perceptory.data.partition import seal
from perceptory.data.series.reader import read_series
from perceptory.data.series.windows import windows
from perceptory.data.tables.bundled import load_bundled
from perceptory.data.tables.column import Column
from perceptory.data.tables.dataset import Dataset
from perceptory.data.tables.encoder import Encoder
from perceptory.data.tables.reader import read_inputs, read_table
from perceptory.data.tables.streamed import StreamedTable, stream_table
from perceptory.data.tables.table import RawColumn, Table

__all__ = [
    "ArrayDataset",
    "ArrayEncoder",
    "Column",
    "Dataset",
    "Encoder",
    "RawColumn",
    "StreamedTable",
    "Table",
    "load_bundled",
    "load_pictures",
    "read_arrays",
    "read_images",
    "read_inputs",
    "read_series",
    "read_table",
    "seal",
    "stream_table",
    "windows",
]
