"""Data in: tables become a `Dataset`, series, images and arrays an `ArrayDataset`; encoders make inputs of them.

The way of a table: a source is read as it is (`delimited`, `sources` -> `Table`), every column gets its meaning
(`infer`, `targets` -> `Dataset`), test rows are cut off (`partition`), and the study rows teach the encoder which
features to make (`encoding`). The way of everything else: `arrays`, `series` (by `clock` and `windows`) and `images`
(by `idx` and `pictures`) read examples of one shape (`examples`). Only NumPy is imported here; polars, narwhals,
scikit-learn and Pillow come when they are needed.
"""

from perceptory.data.arrays import read_arrays
from perceptory.data.bundled import load_bundled
from perceptory.data.dataset import Column, Dataset
from perceptory.data.encoding import Encoder
from perceptory.data.examples import ArrayDataset, ArrayEncoder
from perceptory.data.images import read_images
from perceptory.data.partition import seal
from perceptory.data.pictures import load_pictures
from perceptory.data.reader import read_inputs, read_table
from perceptory.data.series import read_series
from perceptory.data.table import RawColumn, Table
from perceptory.data.windows import windows

__all__ = [
    "ArrayDataset",
    "ArrayEncoder",
    "Column",
    "Dataset",
    "Encoder",
    "RawColumn",
    "Table",
    "load_bundled",
    "load_pictures",
    "read_arrays",
    "read_images",
    "read_inputs",
    "read_series",
    "read_table",
    "seal",
    "windows",
]
