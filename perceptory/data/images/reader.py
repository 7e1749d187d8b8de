"""Images: folders of PNG and JPEG files with a subfolder a class, idx files as MNIST comes in, and NumPy files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from perceptory import files
from perceptory.data.arrays.dataset import ArrayDataset, ArrayEncoder
from perceptory.data.arrays.files import PARTS
from perceptory.data.arrays.reader import COLORS, read_arrays
from perceptory.data.arrays.targets import target_of
from perceptory.data.images.files import check_size, load_pictures, pictures_in
from perceptory.data.images.idx import read_idx
from perceptory.data.tables.like import not_learned, targets_like
from perceptory.data.tables.reader import check_no_target
from perceptory.data.tables.table import RawColumn, listed, nothing_at, objects
from perceptory.data.tables.targets import read_target
from perceptory.errors import InputError, Setting
from perceptory.notes import Note, files_left_aside, other_part

FOLDERS = {"train": ("train", "training"), "test": ("test", "testing")}
SIZED = (
    Setting("size"),
    " scales the pictures of a folder; the images of one array all have one size already. Leave it out.",
)
IDX = {"train": ("train",), "test": ("t10k", "test")}  # how the names of the files begin


def read_images(
    source: str | Path,
    *,
    part: str | None = None,
    size: tuple[int, int] | None = None,
    task: str | None = None,
    target: str = "class",
    like: ArrayDataset | None = None,
) -> ArrayDataset:
    """Read images and their classes: inputs [n, height, width, channel] of uint8, 0 to 255, as they are stored.

    source: one of

    - a folder with a subfolder a class, which holds that class's PNG and JPEG files; or with the subfolders train and
      test, which hold such folders;
    - a folder that holds idx files with the names of MNIST (train-images-idx3-ubyte, train-labels-idx1-ubyte,
      t10k-..., plain or .gz), or one such file of images, beside which its labels lie;
    - a `.npz` file, as in `read_arrays`.

    task: as in `read_table`. With "autoencode", which has no target, the pictures of a folder may lie in it without
    subfolders, and idx files of images need no labels; classes that are there color the figures.

    part: "train" (what None means where there are two parts) or "test".
    size: (height, width) to which the images of a folder are scaled. Without it they all need to have one size. They
    are gray where all files are; turned as their camera has noted; transparency is left out.
    like: the data of a study that these images are to test: read with its size, colors, task and classes, so that one
    image or one class is enough.
    Raises `InputError` for everything that cannot be read.
    """
    if not isinstance(source, (str, Path)):
        raise InputError(f"read_images needs a path, got a {type(source).__name__}. Arrays: read_arrays(x, y).")
    path = files.path_of(source)
    task = task if like is None else like.task
    unlabeled = check_no_target(task, None)
    if part is not None:
        part = PARTS[part]
    if size is not None:
        size = check_size(size)
    if not (path.is_dir() or path.is_file()):
        raise nothing_at(path, "file or folder")
    if path.is_file():
        if size is not None:
            raise InputError(*SIZED)
        if path.suffix.lower() == ".npz":
            return _read_arrays((path,), part, task, target, like)
        if "idx" not in path.name:
            raise InputError(
                f"{path.name!r} is no source of images. Give a folder with a subfolder a class, an idx file such as "
                "train-images-idx3-ubyte.gz, or a .npz file."
            )
        if part is not None:
            raise InputError(f"{path.name} is one part by itself. Give its folder, or leave out ", Setting("part"), ".")
        return _read_idx_pair(path, _labels_of(path, unlabeled), (), task, target, like)
    entries = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    idx = [p for p in entries if p.is_file() and re.search("image.*idx[34]", p.name.lower())]
    if idx:
        if size is not None:
            raise InputError(*SIZED)
        return _read_idx_folder(path, idx, part, task, target, like)
    return _read_folder(path, entries, part, size, task, target, like)


# --- idx ----------------------------------------------------------------------------------------------------------


def _read_arrays(
    given: tuple[Any, ...],
    part: str | None,
    task: str | None,
    target: str | None,
    like: ArrayDataset | None,
    color: Any = None,
) -> ArrayDataset:
    if like is not None:
        return read_arrays(*given, part=part, like=like, color=color)
    return read_arrays(*given, part=part, kind="image", task=task, target=target, color=color)


def _read_idx_folder(
    path: Path, images: list[Path], part: str | None, task: str | None, target: str, like: ArrayDataset | None
) -> ArrayDataset:
    by_part = {p: [f for f in images if f.name.lower().startswith(IDX[p])] for p in IDX}
    chosen = part or ("train" if by_part["train"] or not by_part["test"] else "test")
    candidates = by_part[chosen] or ([] if part else images)
    if not candidates:
        raise InputError(
            f"the folder {path.name!r} has no images of the part {chosen!r}: expected a name such as "
            f"{IDX[chosen][0]}-images-idx3-ubyte.gz, found {listed(f.name for f in images)}."
        )
    notes: list[Note] = []
    if part is None and by_part["train"] and by_part["test"]:
        notes.append(other_part(path.name, "test", "images"))
    unlabeled = check_no_target(task, None)
    return _read_idx_pair(candidates[0], _labels_of(candidates[0], unlabeled), tuple(notes), task, target, like)


def _labels_of(images: Path, unlabeled: bool) -> Path | None:
    """The file of labels beside a file of images, plain or zipped; None where there is none and none is needed."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    bare = name.removesuffix(".gz")
    if name == images.name:
        if unlabeled:
            return None
        raise InputError(
            f"{images.name!r} is not named as images are. Expected a name such as train-images-idx3-ubyte.gz."
        )
    for candidate in (name, bare, bare + ".gz"):
        path = images.with_name(candidate)
        if path.is_file():
            return path
    if unlabeled:
        return None
    raise InputError(
        f"there are no labels beside {images.name}: expected {bare} or {bare}.gz in the same folder. Put them there."
    )


def _read_idx_pair(
    images: Path,
    labels: Path | None,
    notes: tuple[Note, ...],
    task: str | None,
    target: str,
    like: ArrayDataset | None,
) -> ArrayDataset:
    if labels is None:
        dataset = _read_arrays((read_idx(images), None), None, task, None, like)
        return replace(dataset, notes=(*notes, *dataset.notes))
    x, y = read_idx(images), read_idx(labels)
    if x.ndim not in (3, 4) or y.ndim != 1 or len(x) != len(y):
        raise InputError(
            f"{images.name} and {labels.name} need images [n, height, width] and labels [n] with the same n, got the "
            f"axes {x.shape} and {y.shape}."
        )
    if check_no_target(task, None):
        dataset = _read_arrays((x, None), None, task, None, like, color=y)
    else:
        dataset = _read_arrays((x, y), None, task or "classification", target, like)
    return replace(dataset, notes=(*notes, *dataset.notes))


# --- folders of pictures ------------------------------------------------------------------------------------------


def _read_folder(
    path: Path,
    entries: list[Path],
    part: str | None,
    size: tuple[int, int] | None,
    task: str | None,
    target: str,
    like: ArrayDataset | None,
) -> ArrayDataset:
    path, folders, notes = _part_of(path, {p.name: p for p in entries if p.is_dir()}, part)
    unlabeled = check_no_target(task, None)
    if unlabeled and not folders:
        files, others = pictures_in(path)
        labels = None
        notes += [files_left_aside(len(others), path.name)] if others else []
        if not files:
            raise InputError(f"the folder {path.name!r} holds no PNG or JPEG files. Put the pictures into it.")
    else:
        files, labels, aside = _sorted_pictures(path, folders)
        notes += aside
    if not unlabeled and len(folders) < (2 if like is None else 1):
        raise InputError(
            f"the folder {path.name!r} needs a subfolder for each of at least two classes, but has "
            f"{listed(folders) if folders else 'none'}. Sort the pictures into a folder a class, or choose ",
            Setting("task", "autoencode"),
            ", which needs no classes.",
        )
    if like is None:
        inputs, more = load_pictures(files, size=size)
    else:
        height, width, channels = like.shape
        inputs, more = load_pictures(files, size=(height, width), channels=channels)
    if unlabeled:
        dataset = _read_arrays((inputs, None), None, task, None, like, None if labels is None else objects(labels))
        return replace(dataset, notes=(*notes, *more, *dataset.notes))
    column = RawColumn(target, "label", objects(labels or []))
    if like is None:
        of_target = read_target([column], task)
    else:
        found = targets_like([column], like, len(column))
        of_target, inputs = target_of(like, found.values[found.has]), inputs if found.has.all() else inputs[found.has]
        target = like.target_names[0]
        more = [*more, *(not_learned(column, found.unknown, found.has, None, "image") if found.unknown.any() else [])]
    dataset = ArrayDataset(
        inputs, COLORS[inputs.shape[-1]], (target,), of_target.task, of_target.targets, of_target.classes,
        of_target.class_values, notes=(*notes, *more, *of_target.notes), kind="image",
    )  # fmt: skip
    if like is None:
        ArrayEncoder.fit(dataset)
    return dataset


def _part_of(path: Path, folders: dict[str, Path], part: str | None) -> tuple[Path, dict[str, Path], list[Note]]:
    """The folder of the part that is meant, its subfolders, and a note where there is another part."""
    nested = {n: p for n, p in folders.items() if not pictures_in(p)[0]}  # "train" may be a class, beside "bus"
    parts = {p: nested[n] for p, names in FOLDERS.items() for n in nested if n.lower() in names}
    notes: list[Note] = []
    if "train" in parts or (part and parts):
        chosen = part or "train"
        if chosen not in parts:
            raise InputError(
                f"the folder {path.name!r} has no subfolder {chosen!r}. Its subfolders are: {listed(folders)}."
            )
        if part is None and len(parts) > 1:
            notes.append(other_part(path.name, "test", "images"))
        path = parts[chosen]
        folders = {p.name: p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")}
    elif part is not None:
        raise InputError(
            f"the folder {path.name!r} has no subfolders train and test, so there is no part {part!r}. Leave out ",
            Setting("part"),
            ".",
        )
    return path, folders, notes


def _sorted_pictures(path: Path, folders: dict[str, Path]) -> tuple[list[Path], list[str], list[Note]]:
    """The pictures of every subfolder, the name of the subfolder of each, and notes on other files."""
    files: list[Path] = []
    labels: list[str] = []
    notes: list[Note] = []
    for name, folder in folders.items():
        pictures, others = pictures_in(folder)
        if not pictures:
            inner = " but subfolders" if any(p.is_dir() for p in folder.iterdir()) else ""
            raise InputError(
                f"the subfolder {name!r} of {path.name!r} holds no PNG or JPEG files{inner}. Each subfolder holds the "
                "pictures of one class; remove it, or move pictures into it."
            )
        if others:
            notes.append(files_left_aside(len(others), name))
        files += pictures
        labels += [name] * len(pictures)
    return files, labels, notes
