"""Plots of autoencoders: what a width of code keeps, column by column, codes, scores of rows, pictures given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures.style import (
    BLUE,
    INK,
    LINES,
    MARKERS,
    MUTED,
    ORANGE,
    PAPER,
    WIDE,
    clean,
    footnote,
    log_ticks,
    need_task,
    new_figure,
    styled,
)
from perceptory.models.anomalies import row_scores
from perceptory.registry import did_you_mean
from perceptory.results.codes import AUTOENCODE, by_width, code_width, is_pca
from perceptory.results.codes import errors_by_column as column_errors
from perceptory.results.reconstructions import Reconstructions
from perceptory.results.result_data import CandidateResult, ResultData
from perceptory.results.wording import thing
from perceptory.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 24  # of errors by column
CLASSES = 12  # values up to which numbers are told apart as classes


@styled
def code_curve(result: ResultData) -> Figure:
    """Share of the variance that is lost over the width of the code: the best network of each width, and PCA.

    Solid with circles: networks, a bar of one standard deviation over folds and seeds; dashed with squares: PCA. The
    chosen candidate is a diamond. Lower is better.
    """
    need_task(result, "code_curve", AUTOENCODE)
    widths = by_width(result)
    if not widths:
        raise InputError("no candidate of this result has a finite error. See their status.")
    figure = new_figure(WIDE)
    ax = figure.add_subplot()
    for of, color, dashes, marker, words in (
        ("pca", ORANGE, (0, (4, 1.5)), "s", "PCA"),
        ("network", BLUE, "-", "o", "best network ± 1 sd"),
    ):
        drawn: list[CandidateResult] = [c for w in widths if (c := getattr(w, of)) is not None]
        if drawn:
            x, mean = [code_width(c) for c in drawn], [c.mean for c in drawn]
            spread = [c.spread if np.isfinite(c.spread) else 0.0 for c in drawn]
            ax.errorbar(x, mean, yerr=spread, fmt="none", ecolor=color, elinewidth=1.0, capsize=2.5)
            ax.plot(x, mean, color=color, ls=dashes, marker=marker, ms=4.5, mfc=PAPER if of == "pca" else color,
                    label=words, gid=of)  # fmt: skip
    chosen = result.candidate(result.best)
    ax.plot(code_width(chosen), chosen.mean, ls="", marker="D", ms=8, mfc=INK, mec=PAPER, mew=0.7, zorder=5,
            label="chosen", gid="chosen")  # fmt: skip
    ax.set_xscale("log", base=2)
    ax.set_xticks([w.width for w in widths], [str(w.width) for w in widths])
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set_xlabel("width of the code")
    ax.set_ylabel("share of the variance lost, validation")
    ax.set_title("What a code of each width loses", loc="left", pad=26)
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, handletextpad=0.5)
    label = clean(chosen.label, 60)
    footnote(
        ax, [f"Chosen: {label}, which loses {number(chosen.mean)}"] if not is_pca(chosen) else [f"Chosen: {label}"]
    )
    return figure


@styled
def errors_by_column(result: ResultData) -> Figure:
    """Share of the variance of each column (or channel) that is lost, the worst on top, at most 24 of them.

    Filled: validation; open: training; a triangle: test, where it was opened. At 1 the column's mean would do as well.
    """
    need_task(result, "errors_by_column", AUTOENCODE)
    rows = column_errors(result)
    shown = rows[:COLUMNS]
    figure = new_figure((WIDE[0], 1.2 + 0.24 * len(shown)))
    ax = figure.add_subplot()
    y = np.arange(len(shown))
    styles: list[tuple[str, dict[str, Any]]] = [
        ("train", {"marker": "o", "mfc": PAPER, "mec": ORANGE, "mew": 1.3, "label": "training"}),
        ("validation", {"marker": "o", "mfc": BLUE, "mec": PAPER, "label": "validation"}),
        ("test", {"marker": "^", "mfc": INK, "mec": PAPER, "label": "test"}),
    ]
    for part, style in styles:
        values = np.array([np.nan if (v := getattr(r, part)) is None else v for r in shown], float)
        if np.isfinite(values).any():
            ax.plot(values, y, ls="", ms=6, gid=part, **style)
    high = max([v for r in shown for v in r[1:] if v is not None], default=1.0)
    if high > 0.5:
        ax.axvline(1, color=MUTED, lw=0.8, ls=(0, (1, 2)), zorder=0.5)
        high = max(1.0, high)
    ax.set_xlim(-0.02 * high, 1.06 * high or 1.0)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_yticks(y, [clean(r.name, 26) for r in shown])
    ax.grid(axis="both")
    ax.set_xlabel("share of the variance lost")
    ax.set_title(f"What is lost of each {'column' if thing(result) == 'row' else 'channel'}", loc="left", pad=26)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, handletextpad=0.3)
    rest = len(rows) - len(shown)
    footnote(ax, [f"{rest} columns that come back better are not drawn"] if rest else [])
    return figure


@styled
def anomaly_scores(result: ResultData) -> Figure:
    """Distribution of the rows' anomaly scores: of rows that a network was trained on, of held-out rows, of test rows.

    A network that was trained on a row gives it back better than one that was not: scores that new rows are compared
    with have to be those of held-out rows. Cumulative, so that no choice of bins decides what is seen.
    """
    need_task(result, "anomaly_scores", AUTOENCODE)
    parts, part = result.predictions, np.asarray(result.predictions.part)
    scores = row_scores(np.asarray(parts.output, float), _held(result).usual)
    seen = _held(result).train_scores
    lines: list[tuple[str, np.ndarray, str, Any]] = [
        ("trained on", seen, ORANGE, (0, (4, 1.5))),
        ("held out", scores[part == "validation"], BLUE, "-"),
        ("test", scores[part == "test"], INK, (0, (1.2, 1.2))),
    ]
    drawn = [(name, np.sort(v[np.isfinite(v)]), color, dashes) for name, v, color, dashes in lines]
    everything = np.concatenate([v for _, v, _, _ in drawn])
    positive = everything[everything > 0]
    if not len(positive):
        raise InputError("every row is given back without any error, so there is no distribution to draw.")
    low, high = float(np.quantile(positive, 0.002)), float(positive.max())
    figure = new_figure(WIDE)
    ax = figure.add_subplot()
    for name, values, color, dashes in drawn:
        if len(values):
            x = np.concatenate([[low], np.clip(values, low, None), [high]])
            y = np.concatenate([[0], np.arange(1, len(values) + 1), [len(values)]]) / len(values)
            ax.step(x, y, where="post", color=color, ls=dashes, lw=1.8, label=f"{name} ({len(values)})", gid=name)
    held = drawn[1][1]
    if len(held) >= 20:
        limit = float(np.quantile(held, 0.95))
        ax.axvline(limit, color=MUTED, lw=0.8, ls=(0, (1, 2)), zorder=0.5)
        ax.annotate(f"p = 0.05 at {number(limit)}", (limit, 0.02), xytext=(5, 0), textcoords="offset points",
                    fontsize=8, color=MUTED, va="bottom")  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(low, high * 1.05)
    log_ticks(ax.xaxis, low, high)
    ax.set_ylim(0, 1.02)
    ax.grid(axis="y")
    ax.set_xlabel("score: mean over the columns of ln(1 + error / usual error)")
    ax.set_ylabel(f"share of the {thing(result)}s up to this score")
    ax.set_title(f"Scores of {thing(result)}s", loc="left", pad=26)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)
    return figure


@styled
def code_map(result: ResultData, color: str | None = None) -> Figure:
    """Codes of the study's rows on the two principal axes of the codes, by the network that validated best.

    color: a column of the table, or the labels that were given beside the data; by default these labels, or the column
    with the largest share of its variance kept. "" for one color. Numbers get a scale, classes a marker each.
    """
    need_task(result, "code_map", AUTOENCODE)
    held = _held(result)
    name = _color_of(result, held) if color is None else color
    if name and name not in held.colors:
        known = ", ".join(held.colors) or "none"
        raise InputError(f"codes cannot be colored by {name!r}.{did_you_mean(name, held.colors)} Known: {known}.")
    figure = new_figure((WIDE[0], 4.4))
    ax = figure.add_subplot()
    x = held.codes[:, 0]
    flat = held.codes.shape[1] < 2
    y = np.zeros(len(x)) if flat else held.codes[:, 1]
    if flat:  # one axis: the places beside it are only there to tell the rows apart
        y = np.random.default_rng(0).uniform(-1, 1, len(x))
    _dots(ax, x, y, name, held.colors.get(name, ()) if name else ())
    shares = [f"{100 * s:.0f} % of the codes' variance" for s in held.spread]
    ax.set_xlabel(f"principal axis 1 of the code ({shares[0]})")
    if flat:
        ax.set_yticks([])
        ax.set_ylabel("spread out at random")
    else:
        ax.set_ylabel(f"principal axis 2 ({shares[1]})")
    ax.set_title("Codes" + (f", colored by {clean(name, 40)}" if name else ""), loc="left")
    ax.grid()
    every = result.data.study_rows
    footnote(ax, [f"{len(x)} of {every} study {thing(result)}s are drawn"] if len(x) < every else [])
    return figure


@styled
def reconstructed(result: ResultData) -> Figure:
    """Held-out images or series beside what is given back of them: the best and the worst."""
    need_task(result, "reconstructed", AUTOENCODE)
    held = _held(result)
    if held.inputs is None or held.outputs is None or not len(held.row):
        raise InputError(
            "this result holds no images or series that were given back. The report shows rows of a table."
        )
    draw = _pictures_back if result.data.example_kind == "image" else _series_back
    return draw(result, held, held.inputs, held.outputs)


@styled
def samples(result: ResultData) -> Figure:
    """New images or series, decoded from codes that were drawn from the standard normal distribution."""
    need_task(result, "samples", AUTOENCODE)
    drawn = _held(result).samples
    if drawn is None:
        raise InputError("this result holds no samples: these are of variational autoencoders of images and series.")
    if result.data.example_kind == "image":
        return _pictures([drawn[k : k + 8] for k in range(0, len(drawn), 8)], [""] * 2, [[]] * 2)
    figure = new_figure((WIDE[0], 0.6 + 1.0 * drawn.shape[2]))
    axes = figure.subplots(drawn.shape[2], 1, sharex=True, squeeze=False)[:, 0]
    for k, ax in enumerate(axes):
        for i, one in enumerate(drawn[..., k]):
            ax.plot(one, color=LINES[i % len(LINES)][0], ls=LINES[i % len(LINES)][1], lw=1.0)
        ax.set_ylabel(clean(_channels(result)[k], 18), fontsize=8)
        ax.grid(axis="y")
    axes[-1].set_xlabel("step", fontsize=8)
    return figure


def _held(result: ResultData) -> Reconstructions:
    if result.reconstructions is None:
        raise InputError("this result holds no reconstructions to draw. Run the study again.")
    return result.reconstructions


def _channels(result: ResultData) -> tuple[str, ...]:
    return () if result.data.examples is None else result.data.examples.channels


def _color_of(result: ResultData, held: Reconstructions) -> str:
    """The labels that were given, else the column of which most is kept."""
    if held.color is not None:
        return held.color
    return next((r.name for r in reversed(column_errors(result)) if r.name in held.colors), "")


def _dots(ax: Axes, x: np.ndarray, y: np.ndarray, name: str, values: tuple[Any, ...]) -> None:
    """Marks in the colors of the values: a marker for each of a few classes, a scale for numbers."""
    size = 14 if len(x) < 400 else 8
    present = [v for v in values if v is not None]
    numbers = bool(present) and all(isinstance(v, float) for v in present)
    classes = sorted(set(present), key=lambda v: (isinstance(v, str), v))
    if not present:
        ax.scatter(x, y, s=size, color=BLUE, alpha=0.6, linewidths=0, gid="codes")
        return
    if numbers and (len(classes) > CLASSES or any(v != round(v) for v in classes)):
        colors = np.array([np.nan if v is None else v for v in values], float)
        low, high = np.nanquantile(colors, [0.02, 0.98])
        there = np.isfinite(colors)
        ax.scatter(x[~there], y[~there], s=size, facecolors="none", edgecolors=MUTED, linewidths=0.6)
        dots = ax.scatter(x[there], y[there], c=colors[there], s=size, cmap="viridis", vmin=low, vmax=high,
                          linewidths=0, gid="codes")  # fmt: skip
        bar = ax.figure.colorbar(dots, ax=ax, pad=0.02)
        bar.set_label(clean(name, 30), fontsize=8)
        return
    for k, value in enumerate([*classes, *([None] if len(present) < len(values) else [])]):
        here = np.array([v == value for v in values])
        words = "missing" if value is None else f"{value:g}" if isinstance(value, float) else clean(value, 18)
        hue = MUTED if value is None else LINES[k % len(LINES)][0]
        marker = MARKERS[(k + k // len(LINES)) % len(MARKERS)]
        ax.scatter(x[here], y[here], s=size + 4, color=hue, marker=marker, alpha=0.75, linewidths=0, label=words,
                   gid=f"class {words}")  # fmt: skip
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8, handletextpad=0.1, borderpad=0, markerscale=1.3)


def _pictures_back(result: ResultData, held: Reconstructions, inputs: np.ndarray, outputs: np.ndarray) -> Figure:
    half = len(held.row) // 2
    blocks, sides, titles = [], [], []
    for name, cut in (("best", slice(0, half)), ("worst", slice(half, None))):
        blocks += [inputs[cut], outputs[cut]]
        sides += [f"{name}:\noriginal", "given\nback"]
        titles += [[number(s) for s in held.error[cut]], []]
    return _pictures(blocks, sides, titles)


def _pictures(blocks: list[np.ndarray], sides: list[str], titles: list[list[str]]) -> Figure:
    """Rows of pictures in one scale of gray or color."""
    blocks = [b for b in blocks if len(b)]
    everything = np.concatenate([b.reshape(-1) for b in blocks[::2]])  # the originals
    low, high = float(everything.min()), float(everything.max())
    columns = max(len(b) for b in blocks)
    figure = new_figure((WIDE[0], 0.3 + len(blocks) * (WIDE[0] / (columns + 0.8) + 0.1)))
    grid = figure.subplots(len(blocks), columns, squeeze=False)
    for row, block, side, words in zip(grid, blocks, sides, titles, strict=False):
        row[0].set_ylabel(side, fontsize=8, rotation=0, ha="right", va="center")
        for k, ax in enumerate(row):
            ax.set_xticks([])
            ax.set_yticks([])
            for spine in ax.spines.values():
                spine.set_visible(False)
            if k < len(block):
                picture = np.clip((block[k] - low) / ((high - low) or 1), 0, 1)
                colored = picture.shape[-1] in (3, 4)
                ax.imshow(picture[..., :3] if colored else picture[..., 0], cmap="gray", vmin=0, vmax=1,
                          interpolation="nearest")  # fmt: skip
                if k < len(words):
                    ax.set_title(words[k], fontsize=7.5, fontweight="normal", loc="center", pad=2)
    return figure


def _series_back(result: ResultData, held: Reconstructions, inputs: np.ndarray, outputs: np.ndarray) -> Figure:
    channels, count = inputs.shape[2], len(inputs)
    figure = new_figure((WIDE[0] * 1.2, 0.7 + 1.1 * channels))
    axes = figure.subplots(channels, count, sharex=True, sharey="row", squeeze=False)
    for k, row in enumerate(axes):
        for i, ax in enumerate(row):
            ax.plot(inputs[i, :, k], color=INK, lw=1.1, label="original")
            ax.plot(outputs[i, :, k], color=ORANGE, lw=1.3, ls=(0, (3, 1.3)), label="given back")
            ax.grid(axis="y")
        row[0].set_ylabel(clean(_channels(result)[k], 16), fontsize=8)
    for i, ax in enumerate(axes[0]):
        which = "best" if i < count // 2 else "worst"
        ax.set_title(f"{which}: {number(held.error[i])}", fontsize=8, fontweight="normal", loc="left", pad=3)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=2, fontsize=8)
    return figure
