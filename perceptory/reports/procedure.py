"""What is said of a study's procedure, in words: of a final model of several candidates, of nested validation."""

from __future__ import annotations

from collections import Counter

from perceptory.results.result_data import ResultData
from perceptory.results.wording import thing
from perceptory.wording import count_of, metric_name, number


def mixture_words(result: ResultData) -> str:
    """How the shares of candidates were selected, and what they promise; "" where the final model is of one candidate
    because it was asked for."""
    mixture = result.mixture
    if mixture is None:
        return ""
    if len(result.candidates) == 1:
        return ""
    rows, score, spread = f"{thing(result)}s", metric_name(result.score["name"]), mixture.spread
    apart = f" ± {number(spread)}" if spread == spread else ""
    taken, selected = number(mixture.mean), number(mixture.selected)
    sign = 1 if result.score["direction"] == "min" else -1
    flatters = ", which flatters" if sign * mixture.selected < sign * mixture.mean else ""
    return (
        f"{'One candidate got all of the share. ' if len(mixture.shares) == 1 else ''}"
        f"Shares were selected on {rows} that the networks had not trained on. On {rows} that took no part in the "
        f"selection, the {score} is {taken}{apart}; on those that did it is "
        f"{'the same' if selected == taken else selected + flatters}."
    )


def nested_words(result: ResultData) -> str:
    """The error of the whole procedure beside the naive number; "" where validation is not nested."""
    nested = result.nested
    if nested is None:
        return ""
    folds, name = count_of(len(nested.folds), "outer fold"), metric_name(nested.score)
    apart = f" ± {number(nested.spread)}" if nested.spread == nested.spread else ""
    found = Counter(" + ".join(result.candidate(id).label for id in fold.chosen) for fold in nested.folds)
    chosen = "; ".join(f"{label} ({count} of {len(nested.folds)})" for label, count in found.most_common(3))
    more = f"; and {len(found) - 3} other choices" if len(found) > 3 else ""
    naive = f", where the validation of the choice promises {number(result.estimate.mean)}"
    return (
        f"Nested validation: the whole procedure, choice included, errs by a {name} of {number(nested.mean)}{apart} "
        f"(mean and standard deviation of {folds}){naive if nested.score == result.score['name'] else ''}. "
        f"Chosen there: {chosen}{more}. {count_of(nested.networks, 'network')} trained for it."
    )


def discarded_words(result: ResultData) -> str:
    """Who was given up on the way, and when; "" where nobody was."""
    out = {c.id for c in result.candidates if c.status == "discarded"}
    if not out:
        return ""
    after = Counter({id: max(m.epochs for m in result.members if m.candidate == id) for id in out})
    at = "; ".join(
        f"{count_of(list(after.values()).count(epochs), 'candidate')} after {count_of(epochs, 'epoch')}"
        for epochs in sorted(set(after.values()))
    )
    all_of_them = count_of(len(result.candidates), "candidate")
    return (
        f"Discarded on the way, by the mean over all folds: {len(out)} of {all_of_them} ({at}). Their scores are those "
        "of that time."
    )
