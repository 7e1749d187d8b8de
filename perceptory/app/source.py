"""What DATA is (a table, series in a table, images, arrays), which options go with it, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perceptory.data import ArrayDataset, Dataset, StreamedTable, read_arrays, read_images, read_series, stream_table
from perceptory.data import read_table as read_rows
from perceptory.data.examples import encoder_for
from perceptory.data.images.idx import is_idx
from perceptory.data.series.asked import AUTO
from perceptory.data.series.calendar_inputs import TIMES
from perceptory.data.tables.folders import tables_in
from perceptory.errors import InputError, Setting
from perceptory.notes import in_order_of_time, other_part
from perceptory.registry import Registry
from perceptory.results.codes import AUTOENCODE
from perceptory.studies import defaults

WAYS: Registry[str] = Registry(
    "way of prediction", {"every-step": "every step", "ahead": "ahead", "one-value": "one value"}
)
SEQUENCE = "sequence"  # as --task: the table holds series
KINDS = {
    "table": "a table of single rows",
    "series": "series in a table",
    "images": "images",
    "arrays": "arrays",
}
# Options that say what DATA means, and for what.
OPTIONS = {
    "target": ("table", "series"),
    "ignore": ("table", "series"),
    "missing": ("table", "series"),
    "decimal": ("table", "series"),
    "thousands": ("table", "series"),
    "weights": ("table",),
    "color": ("table", "series"),
    "groups": ("table", "series"),
    "stream": ("table",),
    "predict": ("series",),
    "inputs": ("series",),
    "time": ("series",),
    "series": ("series",),
    "window": ("series",),
    "stride": ("series",),
    "fill": ("series",),
    "spikes": ("series",),
    "horizon": ("series",),
    "season": ("series",),
    "washout": ("series",),
    "known": ("series",),
    "known_ahead": ("series",),
    "static": ("series",),
    "calendar": ("series",),
    "series_weights": ("series",),
    "size": ("images",),
}
CUTTING = (
    "inputs",
    "time",
    "series",
    "window",
    "stride",
)  # which say that a table holds series, where nothing else does
FEW_SERIES = 5  # below it, whole series are too few to be dealt out to folds


@dataclass(frozen=True)
class Source:
    """How to read DATA, and a file of test rows like it."""

    kind: str
    options: Mapping[str, Any]

    def read(self, path: str) -> tuple[Dataset | ArrayDataset, Dataset | ArrayDataset | None]:
        """The data, and their own test part where they have one."""
        data = self._part(path, None, self._task)
        if not any(other_part.describes(note) for note in data.notes):
            return self._whole(data), None
        data = replace(data, notes=tuple(n for n in data.notes if not other_part.describes(n)))
        try:
            return data, _like(data, self._part(path, "test", data.task, data))
        except InputError as error:
            raise InputError("test part: ", error) from None

    def read_test(self, path: str, data: Any) -> Any:
        """A file of test rows; what would go wrong after the training goes wrong here."""
        try:
            return _like(data, self._part(path, None, data.task, data))
        except InputError as error:
            raise InputError("test rows: ", error) from None

    @property
    def _task(self) -> str | None:
        return None if self.options["task"] == SEQUENCE else self.options["task"]

    def _part(
        self, path: str, part: str | None, task: str | None, like: Any = None, together: bool | None = None
    ) -> Any:
        o = self.options
        target = o["target"][0] if len(o["target"]) == 1 else o["target"] or None
        if self.kind == "images":
            return read_images(path, part=part, size=o["size"] if like is None else None, task=task, like=like)
        if self.kind == "arrays":
            if like is not None:
                return read_arrays(path, part=part, like=like)
            return read_arrays(path, part=part, task=task, kind="series" if o["task"] == SEQUENCE else None)
        cells = {"missing": ",".join(o["missing"]), "decimal": o["decimal"], "thousands": o["thousands"]}
        if self.kind == "table":
            if isinstance(like, StreamedTable):
                raise InputError("a streamed table is tested on a share of its own rows. Example: --test 0.1")
            if like is not None:
                return read_rows(path, like=like, weights=o["weights"])
            if target is not None and self._streams(Path(path)):
                return stream_table(path, target, task=task, ignore=o["ignore"], weights=o["weights"], **cells)
            return read_rows(
                path, target, task=task, ignore=o["ignore"], weights=o["weights"], groups=o["groups"],
                color=o["color"], **cells,
            )  # fmt: skip
        if target is None and task != AUTOENCODE:
            raise InputError("name the column to predict. Example: --target y")
        return read_series(
            path, target, predict=o["predict"], inputs=o["inputs"] or None, time=o["time"], series=o["series"],
            groups=o["groups"] if like is None else None, window=self._window, stride=o["stride"],
            horizon=o["horizon"] or 1, season=o["season"], washout=o["washout"] or 0, known=o["known"] or 0,
            known_ahead=o["known_ahead"], static=o["static"], calendar=o["calendar"],
            series_weights=o["series_weights"] or "window",
            fill=o["fill"], spikes=o["spikes"] or "fill",
            task=task, ignore=o["ignore"], together=together, color=o["color"], like=like, **cells,
        )  # fmt: skip

    @property
    def _window(self) -> int | str | None:
        """A single record of a dynamic system is cut where nothing is said of how."""
        o = self.options
        itself = o["predict"] == "every step" and o["window"] is None and o["stride"] is None
        return AUTO if itself else o["window"]

    def _streams(self, path: Path) -> bool:
        """Whether a table is read in pieces: where that is asked for, and where the file is larger than the memory that
        training may hold."""
        o = self.options
        if o["stream"] and o["groups"]:
            raise InputError("--stream does not go with --groups. Leave one of them out.")
        large = path.is_file() and path.stat().st_size > (o["memory"] or defaults.MEMORY) * 2**30
        return bool(o["stream"] or (large and not o["groups"]))

    def _whole(self, data: Any) -> Any:
        """Series that can be studied: more than one example, and parts of them that are fair."""
        if self.kind != "series":
            return data
        if data.rows < 2:
            rows = int(data.lengths[0]) if data.lengths is not None else data.shape[0]
            window = 1 << max(2, min(8, (rows // 12).bit_length() - 1))
            raise InputError(
                f"one series is one example, and a study needs several: cut it into windows. Example: --window {window}"
            )
        few = data.groups is not None and len(set(data.groups.tolist())) < FEW_SERIES
        if self.options["groups"] is None and data.groups is not None and few:
            data = self._part(self.options["data"], None, self._task, together=False)
            data = replace(data, notes=(*data.notes, in_order_of_time()))
        return data


def source_of(options: Mapping[str, Any]) -> Source:
    """What DATA is, after a check that the options are for such data."""
    path = Path(options["data"])
    suffix = path.suffix.lower()
    if suffix == ".npy" and options["task"] != AUTOENCODE:
        raise InputError(
            f"{path.name} holds inputs without targets. Write both into one file: numpy.savez(path, x=..., y=...)."
        )
    kind = "table"
    tables = tables_in(path)
    if not tables and (path.is_dir() or (path.is_file() and is_idx(path.name))):
        kind = "images"
    elif suffix in (".npz", ".npy"):
        kind = "arrays"
    elif options["predict"] is not None or options["task"] == SEQUENCE or _cuts(options):
        kind = "series"
    for name, kinds in OPTIONS.items():
        if kind not in kinds and options[name] not in (None, [], False):
            option = name.replace("_", "-")
            if kind == "table" and "series" in kinds:
                raise InputError(
                    f"--{option} is for series: say what to predict of them with --predict {_or(WAYS)}, or leave "
                    f"--{option} out."
                )
            raise InputError(
                f"--{option} is for {_or(KINDS[k] for k in kinds)}, and {options['data']} holds {KINDS[kind]}. Leave "
                "it out."
            )
    if kind == "images" and options["task"] == SEQUENCE:
        raise InputError(f"--task {SEQUENCE} is for series, and {options['data']} holds images. Leave it out.")
    if kind == "series" and options["predict"] is None and options["task"] != AUTOENCODE:
        raise InputError(
            f"--task {SEQUENCE} needs --predict {_or(WAYS)}: a value at every step (a dynamic system), ahead of a "
            "window (a forecast), or one value a series."
        )
    return Source(kind, options)


def _cuts(options: Mapping[str, Any]) -> bool:
    """Whether the options say that a table without a target holds series."""
    return options["task"] == AUTOENCODE and any(options[name] not in (None, []) for name in CUTTING)


def read_way(text: str) -> str:
    """--predict as `read_series` takes it."""
    return WAYS[re.sub("[ _-]+", "-", text.strip().lower())]


def read_size(text: str) -> tuple[int, int]:
    """--size HxW."""
    sides = re.fullmatch(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*", text)
    if not sides or "0" in (sides[1].lstrip("0") or "0", sides[2].lstrip("0") or "0"):
        raise InputError(Setting("size"), f" needs height x width in pixels, got {text!r}. Example: --size 32x32")
    return int(sides[1]), int(sides[2])


def read_horizon(text: str) -> tuple[int, ...]:
    """--horizon N, N,M,... or FIRST..LAST."""
    steps: list[int] = []
    for part in text.split(","):
        low, dots, high = part.partition("..")
        if not low.strip().isdecimal() or (dots and not high.strip().isdecimal()):
            raise InputError(Setting("horizon"), f" needs numbers of rows, got {text!r}. Example: --horizon 1..12")
        steps += range(int(low), int(high) + 1) if dots else [int(low)]
    if not steps or min(steps) < 1 or len(set(steps)) < len(steps):
        raise InputError(
            Setting("horizon"), f" needs different whole numbers of at least 1, got {text!r}. Example: --horizon 1..12"
        )
    return tuple(steps)


def read_known(text: str) -> int | str:
    """--known N or all."""
    word = text.strip().lower()
    if word != "all" and not word.isdecimal():
        raise InputError(Setting("known"), f" needs a number of steps, or all, got {text!r}. Example: --known 4")
    return word if word == "all" else int(word)


def read_calendar(text: str) -> bool | list[str]:
    """--calendar all, none or TIME,..."""
    word = text.strip().lower()
    if word in ("all", "none"):
        return word == "all"
    names = [re.sub("[ _-]+", " ", part.strip().lower()) for part in text.split(",")]
    return [name for name in names if TIMES[name]]


def read_columns(texts: list[str]) -> list[str]:
    """An option of columns, repeated or with commas between them."""
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def read_static(texts: list[str]) -> list[str] | None:
    """--static COLUMN,... or none; None where nothing is said."""
    names = read_columns(texts)
    return None if not names else [] if names == ["none"] else names


def _like(data: Any, test: Any) -> Any:
    """The test data, after a check that a model of the data takes them."""
    encoder_for(data).transform(test)
    return test


def _or(names: Any) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
