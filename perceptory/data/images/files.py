"""Picture files: PNG and JPEG, read by Pillow into one array of bytes."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from perceptory.data.ahead import in_threads
from perceptory.data.aligned import aligned_empty
from perceptory.data.tables.delimited import counted
from perceptory.errors import InputError, Setting
from perceptory.files import path_of
from perceptory.notes import Note, transparency_left_out
from perceptory.specs import count

ENDINGS = (".png", ".jpg", ".jpeg")
GRAY = ("1", "L", "LA")
TURNING, QUARTERS = 0x0112, (5, 6, 7, 8)  # the note of a camera, and what says that height and width change places
TOGETHER = 16  # files that a thread reads one after the other
PART_BYTES = 64 << 20  # of pictures that are predicted at once
T = TypeVar("T")


def load_pictures(
    files: str | Path | Sequence[str | Path], *, size: tuple[int, int] | None = None, channels: int | None = None
) -> tuple[np.ndarray, list[Note]]:
    """Pictures [n, height, width, channel] uint8, 0 to 255, and notes on what was done to them.

    files: paths, in the order of the result, or a folder, whose PNG and JPEG files are taken in the order of their
    names. size: (height, width) to scale to; without it all pictures need one size. channels: 1 (gray) or 3 (red,
    green, blue) to turn them into; by default 1 where all files are gray. Transparency is left out, the turning that a
    camera has noted is done. Raises `InputError` for files that cannot be read, with the first one's name.

    Files are decoded in threads, each straight into its place of the result.
    """
    paths = _paths(files)
    size = None if size is None else check_size(size)
    shape = size if size is not None and channels is not None else None
    if shape is None and (found := _as_the_first(paths, size, channels)) is not None:
        return found
    if shape is None:
        with _bombs_refused():
            heads = [head for some in in_threads(_heads, _some(paths)) for head in some]
        shape = _one_size(paths, [size or head.size for head in heads])
        channels = channels or (1 if all(head.gray for head in heads) else 3)
    inputs, clear = _decoded(paths, size, (*shape, channels or 1))
    return inputs, [transparency_left_out(clear)] if clear else []


def _as_the_first(
    paths: Sequence[Path], size: tuple[int, int] | None, channels: int | None
) -> tuple[np.ndarray, list[Note]] | None:
    """As `load_pictures`, where all files are of the size and the colors of the first one, so that each is opened once;
    None where they are not, or one cannot be read."""
    try:
        with _bombs_refused():
            head = _opened(paths[0], _head)
        gray = channels is None and head.gray
        inputs, clear = _decoded(paths, size, (*(size or head.size), channels or (1 if gray else 3)), gray)
    except InputError:  # of the first file that is to be named
        return None
    return inputs, [transparency_left_out(clear)] if clear else []


def pictures_by_part(
    files: str | Path | Sequence[str | Path], shape: tuple[int, int, int], rows: int
) -> Iterator[tuple[int, np.ndarray, list[Note]]]:
    """As `load_pictures`, scaled to a shape (height, width, channel), no more than so many and some megabytes at a
    time: the place of the first one among the files, pictures, notes."""
    paths = _paths(files)
    each = max(1, min(rows, PART_BYTES // (shape[0] * shape[1] * shape[2])))
    for start in range(0, len(paths), each):
        inputs, clear = _decoded(paths[start : start + each], shape[:2], shape)
        yield start, inputs, [transparency_left_out(clear)] if clear else []


def _paths(files: Any) -> list[Path]:
    if isinstance(files, (str, Path)):
        folder = path_of(files)
        paths = pictures_in(folder)[0] if folder.is_dir() else [folder]
    elif isinstance(files, Sequence) and all(isinstance(f, (str, Path)) for f in files):
        paths = [Path(f) for f in files]
    else:
        raise InputError(f"load_pictures needs a path or a list of paths, got a {type(files).__name__}.")
    if not paths:
        raise InputError("there are no PNG or JPEG files to read. Give at least one.")
    return paths


def _some(items: Sequence[T]) -> list[Sequence[T]]:
    """The items, a few together: a thread is asked for more than one small picture."""
    return [items[start : start + TOGETHER] for start in range(0, len(items), TOGETHER)]


def _decoded(
    paths: Sequence[Path], size: tuple[int, int] | None, shape: tuple[int, int, int], gray: bool = False
) -> tuple[np.ndarray, int]:
    """Pictures [n, *shape], scaled where a size is given, and how many of them were transparent. gray: whether one with
    colors raises `InputError`."""
    inputs = aligned_empty((len(paths), *shape), np.uint8)
    wrong: dict[int, tuple[int, int]] = {}

    def decode(places: Sequence[int]) -> int:
        clear = 0
        for place in places:
            array, was_clear = _read(paths[place], size, shape[2], gray)
            clear += was_clear
            if array.shape[:2] == shape[:2]:
                inputs[place] = array if array.ndim == 3 else array[..., None]
            else:
                wrong[place] = array.shape[:2]  # turned, as only the end of its file tells
        return clear

    with _bombs_refused():
        clear = sum(in_threads(decode, _some(range(len(paths)))))
    if wrong:
        _one_size(paths, [wrong.get(place, shape[:2]) for place in range(len(paths))])
    return inputs, clear


def _one_size(paths: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The size (height, width) that all pictures have; `InputError` where they have several."""
    counts = Counter(sizes)
    if len(counts) == 1:
        return sizes[0]
    first = dict(zip(reversed(sizes), reversed(paths), strict=True))
    shown = [
        f"{h} x {w} ({counted(n, 'file')}, such as {'/'.join(first[h, w].parts[-2:])})"
        for (h, w), n in counts.most_common(3)
    ]
    more = f" and {len(counts) - 3} more" if len(counts) > 3 else ""
    raise InputError(
        f"pictures need one size, but have {len(counts)} (height x width): {', '.join(shown)}{more}. Give ",
        Setting("size", counts.most_common(1)[0][0]),
        " to scale them, or crop them.",
    )


def pictures_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """The PNG and JPEG files of a folder, by name, and its other files (hidden ones are not looked at)."""
    with os.scandir(folder) as entries:  # which knows what is a file without asking for each
        names = sorted(e.name for e in entries if not e.name.startswith(".") and e.is_file())
    files = [folder / name for name in names]
    pictures = [p for p in files if p.suffix.lower() in ENDINGS]
    return pictures, [p for p in files if p.suffix.lower() not in ENDINGS and p.name != "Thumbs.db"]


def check_size(size: Any) -> tuple[int, int]:
    """(height, width), both at least 1; `InputError` for anything else."""
    if not isinstance(size, Sequence) or isinstance(size, str) or len(size) != 2:
        raise InputError(Setting("size"), f" needs (height, width), got {size!r}. Example: ", Setting("size", (32, 32)))
    count("the height in size", size[0])
    count("the width in size", size[1])
    return int(size[0]), int(size[1])


class _Head(NamedTuple):
    """What the beginning of a file tells: (height, width) as it is turned, and whether it is gray."""

    size: tuple[int, int]
    gray: bool


@contextmanager
def _bombs_refused() -> Iterator[None]:
    """No warnings but that of a file of far too many pixels, which is an error: around all threads, whose filters are
    one."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _heads(paths: Sequence[Path]) -> list[_Head]:
    return [_opened(path, _head) for path in paths]


def _head(image: Any) -> _Head:
    height, width = image.size[::-1]
    # Where a PNG file tells of turning behind the picture, it would have to be decoded here.
    turned = (image.format != "PNG" or "exif" in image.info) and image.getexif().get(TURNING, 1) in QUARTERS
    return _Head((width, height) if turned else (height, width), image.mode in GRAY)


def _opened(path: Path, use: Callable[[Any], T]) -> T:
    """What is made of a picture; `InputError` where its file cannot be read, or holds more than bytes."""
    from PIL import Image

    where = "/".join(path.parts[-2:])
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            mode, found = image.mode, use(image)
    except Exception as error:  # what Pillow raises for strange bytes is no closed list
        reason = " ".join(str(error).replace(str(path), where).split())[:100] or type(error).__name__
        raise InputError(f"the picture {where} cannot be read ({reason}). Write it anew, or remove it.") from None
    if mode.startswith(("I", "F")):
        raise InputError(
            f"the picture {where} has more than 8 bits a pixel (mode {mode}), which would be cut off. Read it with "
            "another program and give the array to read_arrays."
        )
    return found


def _read(path: Path, size: tuple[int, int] | None, channels: int, gray_alone: bool = False) -> tuple[np.ndarray, bool]:
    """One picture, [height, width] or [height, width, 3], and whether it was transparent. gray_alone: no colors."""
    from PIL import Image, ImageOps

    def read(image: Any) -> tuple[np.ndarray, bool]:
        clear = "A" in image.mode or "transparency" in image.info
        if gray_alone and image.mode not in GRAY:
            raise InputError("this picture has colors, and the first one has none. Give channels.")
        mode = "L" if channels == 1 or image.mode in GRAY else "RGB"
        picture = ImageOps.exif_transpose(image) if image.getexif().get(TURNING, 1) != 1 else image  # or a copy is made
        picture = picture if picture.mode == mode else picture.convert(mode)
        if size is not None and picture.size != size[::-1]:
            picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(picture), clear

    return _opened(path, read)
