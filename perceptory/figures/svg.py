"""A figure as a piece of a web page: inline SVG whose text is text and whose colors follow the page's theme."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from perceptory.figures.style import BLUE, GRID, INK, MUTED, ORANGE, PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_THEME = {INK: "ink", MUTED: "muted", GRID: "line", PAPER: "paper", BLUE: "blue", ORANGE: "orange"}
_COLOR = re.compile("|".join(_THEME), re.IGNORECASE)
_DIGITS = re.compile(r"(\.\d\d)\d+")  # a hundredth of a point is finer than any printer
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT = re.compile(r"'DejaVu Sans'(, *'[^']*')*")


def to_svg(figure: Figure, key: str, words: str) -> str:
    """Inline SVG of a figure. `key` keeps its ids apart from other figures'; `words` say it to a screen reader.

    Nothing in it is loaded from anywhere: no style sheet, no font, no namespace address.
    """
    import matplotlib as mpl

    stream = io.BytesIO()
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": key, "text.parse_math": False}),
        warnings.catch_warnings(),
    ):
        # A glyph that the measuring font lacks is drawn by the reader's own font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(stream, format="svg", dpi=200, metadata={"Date": None})
    root = ET.fromstring(stream.getvalue())
    used = _references(root)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        _localize(element, key, used)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", words)
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    return ET.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _references(root: ET.Element) -> set[str]:
    used = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            used.update(_REFERENCE.findall(value))
            if _local(name) == "href" and value.startswith("#"):
                used.add(value[1:])
    return used


def _localize(element: ET.Element, key: str, used: set[str]) -> None:
    """Drop name spaces and idle ids, make the others the figure's own, put theme colors in."""
    element.tag = _local(element.tag)
    if element.tag != "text":
        element.text = (element.text or "").strip() or None
    element.tail = None
    attributes = dict(element.attrib)
    element.attrib.clear()
    for raw, value in attributes.items():
        name = _local(raw)
        if name == "id":
            if value not in used:
                continue
            value = f"{key}-{value}"
        elif name == "href" and value.startswith("#"):
            value = f"#{key}-{value[1:]}"
        elif name in ("d", "points", "x", "y", "transform", "width", "height"):
            # A rotation is an angle: it and long chains of transforms keep their digits.
            value = value if "rotate" in value or "scale" in value else _DIGITS.sub(r"\1", value)
        else:
            value = _REFERENCE.sub(rf"url(#{key}-\1)", value)
            if name in ("style", "fill", "stroke"):
                value = _COLOR.sub(lambda m: f"var(--{_THEME[m.group(0).lower()]})", value)
                value = _FONT.sub("var(--font)", value)
        element.set(name, value)
