"""Picture files: PNG and JPEG, read by Pillow into one array of bytes."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perceptory.data.tables.delimited import counted
from perceptory.errors import InputError, Setting
from perceptory.notes import Note, transparency_left_out
from perceptory.specs import count

ENDINGS = (".png", ".jpg", ".jpeg")
GRAY = ("1", "L", "LA")


def load_pictures(
    files: str | Path | Sequence[str | Path], *, size: tuple[int, int] | None = None, channels: int | None = None
) -> tuple[np.ndarray, list[Note]]:
    """Pictures [n, height, width, channel] uint8, 0 to 255, and notes on what was done to them.

    files: paths, in the order of the result, or a folder, whose PNG and JPEG files are taken in the order of their
    names. size: (height, width) to scale to; without it all pictures need one size. channels: 1 (gray) or 3 (red,
    green, blue) to turn them into; by default 1 where all files are gray. Transparency is left out, the turning that a
    camera has noted is done. Raises `InputError` for files that cannot be read, with the first one's name.
    """
    if isinstance(files, (str, Path)):
        folder = Path(files)
        paths = pictures_in(folder)[0] if folder.is_dir() else [folder]
    elif isinstance(files, Sequence) and all(isinstance(f, (str, Path)) for f in files):
        paths = [Path(f) for f in files]
    else:
        raise InputError(f"load_pictures needs a path or a list of paths, got a {type(files).__name__}.")
    if not paths:
        raise InputError("there are no PNG or JPEG files to read. Give at least one.")
    size = None if size is None else check_size(size)
    pictures = [_read(path, size, channels) for path in paths]
    sizes = Counter(a.shape[:2] for a, _ in pictures)
    if len(sizes) > 1:
        first = {s: p for (a, _), p in zip(reversed(pictures), reversed(paths), strict=True) for s in [a.shape[:2]]}
        shown = [
            f"{h} x {w} ({counted(n, 'file')}, such as {'/'.join(first[h, w].parts[-2:])})"
            for (h, w), n in sizes.most_common(3)
        ]
        more = f" and {len(sizes) - 3} more" if len(sizes) > 3 else ""
        height, width = sizes.most_common(1)[0][0]
        raise InputError(
            f"pictures need one size, but have {len(sizes)} (height x width): {', '.join(shown)}{more}. Give ",
            Setting("size", (height, width)),
            " to scale them, or crop them.",
        )
    colored = channels == 3 or any(a.ndim == 3 for a, _ in pictures)
    clear = sum(c for _, c in pictures)
    inputs = np.empty((len(pictures), *next(iter(sizes)), 3 if colored else 1), np.uint8)
    for place, (array, _) in enumerate(pictures):
        inputs[place] = array if array.ndim == 3 else array[..., None]
    return inputs, [transparency_left_out(clear)] if clear else []


def pictures_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """The PNG and JPEG files of a folder, by name, and its other files (hidden ones are not looked at)."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    pictures = [p for p in files if p.suffix.lower() in ENDINGS]
    return pictures, [p for p in files if p.suffix.lower() not in ENDINGS and p.name != "Thumbs.db"]


def check_size(size: Any) -> tuple[int, int]:
    """(height, width), both at least 1; `InputError` for anything else."""
    if not isinstance(size, Sequence) or isinstance(size, str) or len(size) != 2:
        raise InputError(Setting("size"), f" needs (height, width), got {size!r}. Example: ", Setting("size", (32, 32)))
    count("the height in size", size[0])
    count("the width in size", size[1])
    return int(size[0]), int(size[1])


def _read(path: Path, size: tuple[int, int] | None, channels: int | None) -> tuple[np.ndarray, bool]:
    """One picture, [height, width] or [height, width, 3], and whether it was transparent."""
    from PIL import Image, ImageOps

    where = "/".join(path.parts[-2:])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                mode = image.mode
                clear = "A" in mode or "transparency" in image.info
                gray = channels == 1 or (channels is None and mode in GRAY)
                picture = ImageOps.exif_transpose(image).convert("L" if gray else "RGB")
                if size is not None and picture.size != size[::-1]:
                    picture = picture.resize(size[::-1], Image.Resampling.BILINEAR)
                array = np.asarray(picture)
    except Exception as error:  # what Pillow raises for strange bytes is no closed list
        reason = " ".join(str(error).replace(str(path), where).split())[:100] or type(error).__name__
        raise InputError(f"the picture {where} cannot be read ({reason}). Write it anew, or remove it.") from None
    if mode.startswith(("I", "F")):
        raise InputError(
            f"the picture {where} has more than 8 bits a pixel (mode {mode}), which would be cut off. Read it with "
            "another program and give the array to read_arrays."
        )
    return array, clear
