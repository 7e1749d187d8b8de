"""What is wrong with a network's gradients, in plain words, and what to change."""

from __future__ import annotations

import numpy as np

from perceptory.insight.gradient_norms import Finding, GradientFlow
from perceptory.wording import count_of, number

APART = 1e3  # times that gradients of one network may differ before they are said to vanish or explode
OVERTURNED = 100.0  # times its weight that a gradient may be
GROWN = 1e3  # times that a gradient may grow during training
REACH = 0.01  # of the greatest gradient over time: what is below teaches next to nothing
FAINT = 1e-3
SOME = 0.1  # share of a layer's units


def findings_of(flow: GradientFlow) -> tuple[Finding, ...]:
    """Everything that is worth saying, the worst first."""
    return (
        *_diverged(flow),
        *_by_layer(flow),
        *_too_large(flow),
        *_over_training(flow),
        *_by_time(flow),
        *_units(flow),
    )


def _diverged(flow: GradientFlow) -> list[Finding]:
    if not flow.diverged:
        return []
    return [
        Finding(
            "diverged", "training", f"the cost was no longer finite after {count_of(int(flow.steps[-1]), 'step')}.",
            "Take a smaller learning rate, clip=ClipByNorm(1.0), or smaller starting weights.",
        )
    ]  # fmt: skip


def _by_layer(flow: GradientFlow) -> list[Finding]:
    """The faintest against the last layer, at the start of training: later, one that has learned may rest."""
    norms = flow.norms[0]
    if len(norms) < 2 or not np.isfinite(norms).all() or norms.max() == 0:
        return []
    last = float(norms[-1])
    least = int(np.argmin(norms[:-1]))
    found = []
    if norms[least] * APART < last:
        factor = f"1/{last / norms[least]:.3g}" if norms[least] > 0 else "none"
        used = sorted({name for _, name, _ in flow.hidden} - {"relu", "elu"})
        sigma = f"relu or elu in place of {' and '.join(used)}" if used else "relu or elu"
        found.append(
            Finding(
                "vanishing", ", ".join(flow.layers[i] for i in np.flatnonzero(norms * APART < last)),
                f"at the start a weight here gets as little as {factor} of the gradient of the {flow.layers[-1]}'s "
                f"({number(last)}): it hardly learns.",
                f'Take {sigma}, residual=True or norm="batch", or fewer layers.',
            )
        )  # fmt: skip
    return found


def _too_large(flow: GradientFlow) -> list[Finding]:
    """Gradient against weight at the start. In a deep network of large weights every layer's gradient explodes alike,
    so that layers cannot be held against each other."""
    ratio = flow.norms[0] / np.maximum(flow.weights[0], 1e-12)
    if np.isnan(ratio).any() or not ratio.max() > OVERTURNED:
        return []
    most = int(np.argmax(ratio))
    return [
        Finding(
            "exploding", flow.layers[most],
            f"at the start the gradient of a weight here ({number(float(flow.norms[0, most]))}) is {ratio[most]:.3g} "
            "times the weight itself: a step overturns it.",
            'Start from smaller weights (initializer="glorot"), take norm="batch", or clip=ClipByNorm(1.0).',
        )
    ]  # fmt: skip


def _over_training(flow: GradientFlow) -> list[Finding]:
    total = np.sqrt((flow.norms**2).sum(axis=1))
    finite = np.isfinite(total)
    start = total[0]
    if not np.isfinite(start) or start == 0 or not finite.any():
        return []
    at = int(np.argmax(np.where(finite, total, -1)))
    grew = total[at] / start
    if grew < GROWN and finite.all():
        return []
    words = (
        f"the gradient grew to {number(float(total[at]))}, {grew:.3g} times its start, by step {int(flow.steps[at])}."
    )
    if not finite.all():
        words = f"the gradient was no longer finite at step {int(flow.steps[np.argmin(finite)])}."
    return [Finding("exploding", "during training", words, "Take a smaller learning rate, or clip=ClipByNorm(1.0).")]


def _by_time(flow: GradientFlow) -> list[Finding]:
    if flow.by_time is None:
        return []
    found = []
    for when, record in (("at the start", 0), ("after training", len(flow.by_time) - 1)):
        for layer, norms in enumerate(flow.by_time[record]):
            # A faint gradient before training is no verdict: gated networks learn to pass it on.
            mended = record == 0 and len(flow.by_time) > 1 and not _faint(flow.by_time[-1][layer])
            found += _one_layer(norms, layer, len(flow.by_time[record]), when, flow, mended)
    return found


def _faint(norms: np.ndarray) -> bool:
    """Whether next to nothing of the gradient arrives at the first steps, of norms [time]."""
    return not float(np.mean(norms[: max(1, len(norms) // 20)])) > FAINT * float(norms.max())


def reach(norms: np.ndarray) -> int:
    """How many steps back from the end the gradient stays above a hundredth of its greatest, of norms [time]."""
    top = float(np.max(norms))
    above = np.flatnonzero(norms >= REACH * top) if top > 0 else np.zeros(0, int)
    return len(norms) - int(above[0]) if len(above) else 0


def _one_layer(
    norms: np.ndarray, layer: int, layers: int, when: str, flow: GradientFlow, mended: bool
) -> list[Finding]:
    steps = len(norms)
    where = f"time, {when}" + (f", layer {layer + 1}" if layers > 1 else "")
    if steps < 3 or not np.isfinite(norms).all() or norms.max() == 0:
        return []
    first, last, top = float(np.mean(norms[: max(1, steps // 20)])), float(norms[-1]), float(norms.max())
    if first > APART * last and last > 0 and not flow.every:
        return [
            Finding(
                "exploding", where,
                f"the gradient by the state of the first steps is {first / last:.3g} times that of the last one.",
                "Take clip=ClipByNorm(1.0), cut the gradient (truncation=...), or take an LSTM or GRU.",
            )
        ]  # fmt: skip
    if _faint(norms) and not flow.every:
        ratio = f"1/{top / first:.3g}" if first > 0 else "none"
        so = "which training has mended" if mended else "and earlier inputs teach next to nothing"
        remedy = f"{'Train it longer' if flow.gated else 'Take an LSTM or GRU'}, or give it shorter sequences."
        return [
            Finding(
                "vanishing", where,
                f"of the gradient by the state, {ratio} arrives at the first steps; it stays above a hundredth of its "
                f"greatest for the last {reach(norms)} of {steps} steps, {so}.",
                "Leave it as it is." if mended else remedy,
            )
        ]  # fmt: skip
    return []


_CURES = {
    "dead": "Take a smaller learning rate, leaky_relu or elu, and inputs without far outliers.",
    "saturated": "Start from smaller weights, take a weight penalty or a smaller learning rate, or relu or elu.",
}


def _units(flow: GradientFlow) -> list[Finding]:
    found = []
    for i, (layer, activation, units) in enumerate(flow.hidden):
        share, start = float(flow.flat[-1, i]), float(flow.flat[0, i])
        count = round(share * units)
        if not count or share < SOME:
            continue
        kind = "dead" if activation == "relu" else "saturated"
        what = "0 for every row" if kind == "dead" else "at the flat ends of the function for nearly all rows"
        words = (
            f"{count} of {count_of(units, f'{activation} unit')} {'is' if count == 1 else 'are'} {what}, so no "
            f"gradient passes ({round(start * units)} at the start)."
        )
        found.append(Finding(kind, layer, words, _CURES[kind]))
    return found
