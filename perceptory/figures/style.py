"""What all plots share: palette, typography, sizes, and the rows that they draw."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from perceptory.errors import InputError
from perceptory.registry import did_you_mean
from perceptory.results.codes import AUTOENCODE
from perceptory.results.result_data import ResultData
from perceptory.results.wording import thing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

INK, MUTED, GRID, PAPER = "#1b1f24", "#636c76", "#dfe3e8", "#ffffff"
BLUE, ORANGE = "#0072b2", "#d55e00"
# Okabe and Ito's palette without its yellow, which is too pale on paper; told apart by dashes too.
LINES: tuple[tuple[str, Any], ...] = (
    (BLUE, "-"),
    (ORANGE, (0, (5, 1.6))),
    ("#009e73", (0, (1.2, 1.2))),
    ("#cc79a7", (0, (5, 1.2, 1.2, 1.2))),
    ("#e69f00", (0, (9, 2))),
    ("#56b4e9", (0, (3, 1, 1, 1, 1, 1))),
    (MUTED, "-"),
    (INK, (0, (2, 3))),
)
MARKERS = "osD^vP*X"
WIDE, TALL = (5.6, 3.9), (5.6, 5.0)  # inches; one width for all, so that type has one size on the page
MANY = 3000  # rows; above it points become counted cells

_RC: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 6),
    "text.color": INK,
    "text.parse_math": False,  # a column may be called "$cost"
    "text.usetex": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.6,
    "savefig.dpi": 150,
}


def styled(plot: Callable[P, R]) -> Callable[P, R]:
    """Decorator: draw under perceptory's style, and leave the caller's matplotlib settings as they were."""

    @wraps(plot)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_RC)
            return plot(*args, **kwargs)

    return drawn


def new_figure(size: tuple[float, float]) -> Figure:
    """An empty figure outside pyplot: nothing is kept alive behind the caller's back."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, facecolor=PAPER, layout="constrained")


def clean(text: object, limit: int = 48) -> str:
    """A name fit for drawing: one line, no control characters, at most `limit` characters."""
    raw = str(text).encode("utf-8", "replace").decode("utf-8")
    line = " ".join("".join(c if c.isprintable() else " " for c in raw).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def footnote(ax: Axes, words: list[str]) -> None:
    """Say under the axes what is not to be seen in the drawing. No words: nothing is drawn."""
    if words:
        ax.figure.supxlabel(". ".join(words) + ".", fontsize=7.5, color=MUTED, x=0.02, ha="left")


def log_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks of a logarithmic axis written as plain numbers, also where it spans less than two decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    decades = np.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0, 3.0) if decades < 3.2 else (1.0,)
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def rows_of(result: ResultData, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target and output of the rows of one part, [row, out] each, for classification [row] and [row, class]; weights
    [row]."""
    if part not in ("validation", "test"):
        raise InputError(
            f"part needs 'validation' or 'test', got {part!r}.{did_you_mean(part, ('validation', 'test'))}"
        )
    chosen = np.asarray(result.predictions.part) == part
    if not chosen.any():
        if part == "test" and result.data.test_rows:
            raise InputError(
                f"the sealed test {thing(result)}s have not been opened: call result.test() first, or draw "
                "part='validation'."
            )
        remedy = " Use part='validation', or seal some in the study." if part == "test" else ""
        raise InputError(f"this result has no {part} predictions to draw.{remedy}")
    p = result.predictions
    weight = np.ones(len(chosen)) if p.weight is None else p.weight
    return np.asarray(p.target)[chosen], np.asarray(p.output)[chosen], weight[chosen]


SUIT = {
    "regression": ("a regression", "predicted_against_true or residuals"),
    "classification": ("a classification", "confusion_matrix, roc or calibration"),
    AUTOENCODE: ("an autoencoder's", "code_curve, errors_by_column, code_map or anomaly_scores"),
}


def need_task(result: ResultData, plot: str, kind: str) -> None:
    """Refuse a plot that does not suit the task. kind: "regression", "classification" or "autoencode"."""
    here = result.task if result.task in SUIT else "classification"
    if here != kind:
        raise InputError(f"{plot} needs {SUIT[kind][0]} result, got task {result.task!r}. Use {SUIT[here][1]}.")


def target_index(result: ResultData, target: int | str) -> int:
    """Place of a target column that is given by place or by name."""
    if isinstance(target, str):
        if target not in result.targets:
            raise InputError(
                f"no target {target!r}.{did_you_mean(target, result.targets)} Known: {', '.join(result.targets)}."
            )
        return result.targets.index(target)
    if isinstance(target, bool) or not 0 <= int(target) < len(result.targets):
        raise InputError(f"target needs a place from 0 to {len(result.targets) - 1} or a name, got {target!r}.")
    return int(target)


def line_style(k: int) -> dict[str, Any]:
    """Color, dashes and marker of the k-th line: told apart without color."""
    color, dashes = LINES[k % len(LINES)]
    return {"color": color, "ls": dashes, "marker": MARKERS[k % len(MARKERS)], "ms": 4, "mfc": "white", "mec": color}
