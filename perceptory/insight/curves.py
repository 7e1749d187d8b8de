"""Overfitting: the error over the amount of data and over the size of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.errors import InputError
from perceptory.figures import sizes as plots_sizes
from perceptory.figures.style import (
    BLUE,
    MUTED,
    ORANGE,
    PAPER,
    WIDE,
    clean,
    footnote,
    log_ticks,
    new_figure,
    styled,
)
from perceptory.insight.one_member import study_of
from perceptory.networks.autoencoder import PCA
from perceptory.results.codes import is_pca
from perceptory.runs.result import Result
from perceptory.selection.plans import Folds
from perceptory.specs import count
from perceptory.studies.prepare import prepare
from perceptory.studies.study import Study
from perceptory.wording import metric_name, number, score_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = 6  # by default


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Scores over the number of training rows; nan where a member diverged."""

    sizes: np.ndarray  # [size]
    train: np.ndarray  # [size, run] a run is a fold with a seed
    validation: np.ndarray  # [size, run]
    score: dict[str, str]  # {"name", "direction"}
    label: str

    def table(self) -> str:
        """Means and standard deviations as text."""
        name = metric_name(self.score["name"])
        lines = [f"{self.label}: {name} over the training rows", "   rows   training         validation"]
        for size, a, b in zip(self.sizes, self.train, self.validation, strict=True):
            cells = [f"{number(np.nanmean(v))} ± {number(np.nanstd(v))}".ljust(17) for v in (a, b)]
            lines.append(f"{size:>7}   {''.join(cells)}".rstrip())
        return "\n".join(lines)

    def statement(self) -> str:
        """Whether more rows would help, in plain words."""
        mean, train = np.nanmean(self.validation, axis=1), np.nanmean(self.train, axis=1)
        sign = 1 if self.score["direction"] == "min" else -1
        gain, spread = sign * (mean[-2] - mean[-1]), np.nanstd(self.validation[-1])
        gap = sign * (mean[-1] - train[-1])
        name = metric_name(self.score["name"])
        if gain > spread:
            last = f"from {self.sizes[-2]} to {self.sizes[-1]} rows"
            return f"More rows would help: {last} validation {name} still won {number(gain)}."
        if gap > 2 * spread:
            return (
                f"With all rows the {name} of validation is {number(gap)} worse than of training: the network learns "
                "rows by heart. More rows, fewer weights or a penalty would help."
            )
        return (
            "Training and validation have nearly come together: more rows alone would win little, a larger network "
            "might."
        )

    def __str__(self) -> str:
        return f"{self.table()}\n{self.statement()}"

    def figure(self) -> Figure:
        """Mean and spread of both over the training rows."""
        return _learning(self)


def learning_curve(study: Any, data: Any, sizes: Sequence[int] | None = None, *, progress: Any = None) -> LearningCurve:
    """The score on training and validation rows over the amount of training data.

    Every fold of the study's validation plan is trained on its first 10 %, ..., 100 % of training rows (in a random
    order) and judged on the same validation rows; all sizes, folds and seeds are members of one study.

    study: a `Study` of one candidate, a network spec, or a `Candidate`.
    data: a `Dataset` or `ArrayDataset`; rows that the study would seal are not used.
    sizes: numbers of training rows; None takes six, evenly spaced on a logarithmic axis.
    progress: called with a dict after every segment, as by `Study.run`.

    Raises `InputError` for a study of several candidates for fewer than two sizes, and for sizes larger than a fold.
    """
    design = study_of(study)
    ready = prepare(design, data)
    asked = [c for c in ready.candidates if not isinstance(c.network, PCA)] or ready.candidates
    if len(asked) != 1:
        raise InputError(f"learning_curve needs a study of one candidate, got {len(asked)}. Choose one first.")
    folds = ready.folds
    most = min(len(a) for a, _ in folds)
    if sizes is None:
        sizes = np.unique(np.geomspace(min(most, max(8, most // 20)), most, SIZES).round().astype(int)).tolist()
    wanted = sorted(set(sizes))
    for size in wanted:
        count("sizes", size, 2)
    if len(wanted) < 2 or wanted[-1] > most:
        raise InputError(f"sizes needs at least two numbers of rows, of at most {most} in a fold, got {list(sizes)}.")
    random = np.random.default_rng(design.seed)
    shuffled = [(random.permutation(a), b) for a, b in folds]
    parts = [(np.sort(a[:size]), b) for size in wanted for a, b in shuffled]
    plan = Folds(tuple((tuple(a.tolist()), tuple(b.tolist())) for a, b in parts))
    result = design.replace(validation=plan, test=0).run(ready.data, progress=progress)
    shape = (len(wanted), len(folds), design.seeds)
    train, validation = np.full(shape, np.nan), np.full(shape, np.nan)
    drawn = next((c for c in result.candidates if not is_pca(c)), result.candidates[0])
    for m in result.members:
        if m.candidate != drawn.id:  # PCA, which a study of autoencoders adds
            continue
        at = (*divmod(m.fold, len(folds)), m.seed)
        train[at], validation[at] = m.train_score, m.score
    runs = (len(wanted), -1)
    return LearningCurve(np.array(wanted), train.reshape(runs), validation.reshape(runs), result.score, drawn.label)


def size_curve(source: Study | Result, data: Any = None) -> Figure:
    """The score on training and validation rows over the number of weights, the chosen size marked.

    See `perceptory.figures.sizes.size_curve`.

    source: a `Result` whose candidates differ in size, or a `Study` of such candidates, which is then run.
    data: what a `Study` is run on.

    Raises `InputError` for fewer than three sizes.
    """
    if isinstance(source, Study):
        source = source.run(data)
    if not isinstance(source, Result):
        raise InputError(f"size_curve needs a result, or a study with data, got a {type(source).__name__}.")
    return plots_sizes.size_curve(source)


@styled
def _learning(curve: LearningCurve) -> Figure:
    figure = new_figure(WIDE)
    ax = figure.add_subplot()
    x = curve.sizes.astype(float)
    styles: tuple[Any, ...] = (
        (curve.train, ORANGE, (0, (4, 1.5)), "s", PAPER, "training"),
        (curve.validation, BLUE, "-", "o", BLUE, "validation"),
    )
    for values, color, dashes, marker, face, name in styles:
        mean, spread = np.nanmean(values, axis=1), np.nanstd(values, axis=1)
        ax.errorbar(x, mean, yerr=spread, fmt="none", ecolor=color, elinewidth=1.0, capsize=2.5)
        ax.plot(x, mean, color=color, ls=dashes, marker=marker, ms=4.5, mfc=face, label=f"{name} ± 1 sd", gid=name)
        ax.plot(np.repeat(x, values.shape[1]), values.ravel(), ls="", marker="_", ms=5, mew=0.7, color=MUTED,
                gid=f"{name} runs")  # fmt: skip
    values = np.concatenate([curve.train.ravel(), curve.validation.ravel()])
    values = values[np.isfinite(values)]
    if values.min() > 0 and values.max() > 20 * values.min():
        ax.set_yscale("log")
        log_ticks(ax.yaxis, values.min(), values.max())
    ax.set_xscale("log")
    log_ticks(ax.xaxis, x[0], x[-1])
    ax.set_xlabel("training rows")
    ax.set_ylabel(score_axis(curve.score))
    ax.set_title("Error over the amount of data", loc="left", pad=26)
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8)
    footnote(ax, [f"{clean(curve.label)}; small lines are the folds and seeds"])
    return figure
