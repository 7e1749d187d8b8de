"""What is said of a final model of several candidates, in words."""

from __future__ import annotations

from perceptory.results.result_data import ResultData
from perceptory.results.wording import thing
from perceptory.wording import metric_name, number


def mixture_words(result: ResultData) -> str:
    """Shares of the candidates, and what they promise; "" where the final model is of one candidate."""
    mixture = result.mixture
    if mixture is None:
        return ""
    shares = "; ".join(f"{share:.0%} {result.candidate(id).label}" for id, share in mixture.shares.items())
    score, spread = metric_name(result.score["name"]), mixture.spread
    apart = f" ± {number(spread)}" if spread == spread else ""
    return (
        f"Weighted mean: {shares}. Shares were selected on {thing(result)}s that the networks had not trained on; on "
        f"{thing(result)}s that took no part in the selection either the {score} is {number(mixture.mean)}{apart} "
        f"(on those that did {number(mixture.selected)}, which flatters)."
    )
