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
    """All problems of these gradients, the worst first."""
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
            "diverged", "training", f"the cost stopped being finite after {count_of(int(flow.steps[-1]), 'step')}.",
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
    if norms[least] * APART >= last:
        return []
    end = f"{flow.layers[-1]} ({number(last)})"
    if norms[least] > 0:
        words = f"at the start, gradients here are up to {_times(last / norms[least])} smaller than in the {end}, "
        words += "so these weights barely learn."
    else:
        words = f"at the start, no gradient arrives in {flow.layers[least]}, unlike in the {end}, "
        words += "so its weights do not learn."
    used = sorted({name for _, name, _ in flow.hidden} - {"relu", "elu"})
    sigma = f"relu or elu in place of {' and '.join(used)}" if used else "relu or elu"
    return [
        Finding(
            "vanishing", ", ".join(flow.layers[i] for i in np.flatnonzero(norms * APART < last)), words,
            f'Take {sigma}, residual=True or norm="batch", or fewer layers.',
        )
    ]  # fmt: skip


def _times(factor: float) -> str:
    """'18,600 times', to three digits; '1.86e+09 times' beyond a million."""
    if factor >= 1e6:
        return f"{factor:.3g} times"
    return f"{float(f'{factor:.3g}'):,.12g} times"


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
            f"at the start, the gradients here ({number(float(flow.norms[0, most]))}) are {_times(ratio[most])} as "
            "large as the weights, so a single step can overwrite them.",
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
    words = f"by step {int(flow.steps[at])} the gradient had grown to {number(float(total[at]))}, "
    words += f"{_times(grew)} its initial size."
    if not finite.all():
        words = f"the gradient was no longer finite at step {int(flow.steps[np.argmin(finite)])}."
    return [Finding("exploding", "during training", words, "Take a smaller learning rate, or clip=ClipByNorm(1.0).")]


def _by_time(flow: GradientFlow) -> list[Finding]:
    if flow.by_time is None:
        return []
    findings = []
    for when, record in (("at the start", 0), ("after training", len(flow.by_time) - 1)):
        for layer, norms in enumerate(flow.by_time[record]):
            # A faint gradient before training is no verdict: gated networks learn to pass it on.
            mended = record == 0 and len(flow.by_time) > 1 and not _faint(flow.by_time[-1][layer])
            findings += _one_layer(norms, layer, len(flow.by_time[record]), when, flow, mended)
    return findings


def _faint(norms: np.ndarray) -> bool:
    """Whether hardly any of the gradient arrives at the first steps, of norms [time]."""
    return not float(np.mean(norms[: max(1, len(norms) // 20)])) > FAINT * float(norms.max())


def reach(norms: np.ndarray) -> int:
    """How many steps back from the end the gradient still reaches a hundredth of its peak, of norms [time]."""
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
                f"the gradient with respect to the state is {_times(first / last)} larger at the first time steps "
                "than at the last.",
                "Take clip=ClipByNorm(1.0), cut the gradient (truncation=...), or take an LSTM or GRU.",
            )
        ]  # fmt: skip
    if _faint(norms) and not flow.every:
        weaker = f"is {_times(top / first)} smaller than its peak" if first > 0 else "is 0"
        so = "Training fixed this." if mended else "The network learns next to nothing from earlier inputs."
        remedy = f"{'Train it longer' if flow.gated else 'Take an LSTM or GRU'}, or give it shorter sequences."
        return [
            Finding(
                "vanishing", where,
                f"the gradient with respect to the state {weaker} by the time it reaches the first time steps; it "
                f"stays above 1 % of the peak only over the last {reach(norms)} of {steps} steps. {so}",
                "Leave it as it is." if mended else remedy,
            )
        ]  # fmt: skip
    return []


_CURES = {
    "dead": "Take a smaller learning rate, leaky_relu or elu, and inputs without far outliers.",
    "saturated": "Start from smaller weights, take a weight penalty or a smaller learning rate, or relu or elu.",
}


def _units(flow: GradientFlow) -> list[Finding]:
    findings = []
    for i, (layer, activation, units) in enumerate(flow.hidden):
        share, start = float(flow.flat[-1, i]), float(flow.flat[0, i])
        count = round(share * units)
        if not count or share < SOME:
            continue
        kind = "dead" if activation == "relu" else "saturated"
        verb = "is" if count == 1 else "are"
        what = f"{verb} 0 on every row" if kind == "dead" else f"{verb} saturated on nearly all rows"
        blocked = "no gradient passes" if kind == "dead" else "hardly any gradient passes"
        words = (
            f"{count} of {count_of(units, f'{activation} unit')} {what}, so {blocked} through "
            f"{'it' if count == 1 else 'them'} (at the start: {round(start * units)})."
        )
        findings.append(Finding(kind, layer, words, _CURES[kind]))
    return findings
