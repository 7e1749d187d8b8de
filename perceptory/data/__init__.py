"""Tables in: files, data frames and arrays become a `Dataset`; an `Encoder` makes network inputs of its columns.

The way of a table: a source is read as it is (`delimited`, `sources` -> `Table`), every column gets its meaning
(`infer`, `targets` -> `Dataset`), test rows are cut off (`partition`), and the study rows teach the encoder which
features to make (`encoding`). Only NumPy is imported here; polars, narwhals and scikit-learn come when they are needed.
"""

from perceptory.data.bundled import load_bundled
from perceptory.data.dataset import Column, Dataset
from perceptory.data.encoding import Encoder
from perceptory.data.partition import seal
from perceptory.data.reader import read_inputs, read_table
from perceptory.data.table import RawColumn, Table

__all__ = [
    "Column",
    "Dataset",
    "Encoder",
    "RawColumn",
    "Table",
    "load_bundled",
    "read_inputs",
    "read_table",
    "seal",
]
