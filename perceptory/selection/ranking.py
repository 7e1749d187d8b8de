"""Which candidate is best: order by mean validation score, and the choice among the best ones.

A score that is not finite marks a member that diverged (or one whose score is not defined on its validation rows).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perceptory.catalog import RULES
from perceptory.errors import InputError, Setting
from perceptory.wording import count_of, metric_name

LOST = 0.1  # share of the variance that a code may lose by the rule "narrow_code"


@dataclass(frozen=True, eq=False)
class Ranking:
    """Candidates compared. Means, spreads and errors are over finite scores only, nan where there are too few."""

    order: np.ndarray  # [candidate] places in the list of candidates, best first
    mean: np.ndarray  # [candidate] over folds and seeds; nan where every member diverged
    spread: np.ndarray  # [candidate] standard deviation over folds and seeds (n - 1); nan with fewer than two members
    per_fold: np.ndarray  # [candidate, fold] mean over seeds
    standard_error: np.ndarray  # [candidate] of the mean over folds: std(per_fold) / sqrt(folds); nan with one fold
    diverged: np.ndarray  # [candidate] number of members that diverged
    members: int  # members of each candidate
    direction: str  # "min" | "max"
    complexity: np.ndarray | None  # [candidate] number of weights
    codes: np.ndarray | None = None  # [candidate] width of its code, of autoencoders alone
    discarded: frozenset[int] = frozenset()  # candidates that were given up before their last epoch

    def status(self, candidate: int) -> str:
        """ "ok", "partly diverged", "diverged" or "discarded"."""
        if candidate in self.discarded:
            return "discarded"
        bad = int(self.diverged[candidate])
        return "ok" if bad == 0 else "diverged" if bad == self.members else "partly diverged"

    def choose(
        self,
        rule: str = "best",
        score: str = "score",
        ids: Sequence[str] | None = None,
        only_compared: Collection[int] = (),
    ) -> Chosen:
        """Choose a candidate. `score` and `ids` (default c00, c01, ...) are the names that the reason uses;
        `only_compared` are those that cannot be chosen, unless nothing else is left.

        "best": the best mean. "one_standard_error": of the candidates whose mean is within one standard error (of the
        best one's mean over folds) of the best, the one with the fewest weights; equals are told apart by their mean.
        Candidates with diverged members count there only where the best has some itself. "narrow_code": of those whose
        mean reconstruction error is at most a tenth, the best of the narrowest code; the best of all where none is.
        `InputError` for an unknown rule, where all diverged, and where candidates have no code.
        """
        RULES[rule]  # raises for an unknown one
        n = len(self.order)
        names = list(ids) if ids is not None else [f"c{i:02d}" for i in range(n)]
        if len(names) != n:
            raise InputError(f"ids need one name for each of {n} candidates, got {len(names)}.")
        standing = [int(i) for i in self.order if int(i) not in self.discarded]
        eligible = [i for i in standing if i not in only_compared]
        if not any(np.isfinite(self.mean[i]) for i in eligible):
            eligible = standing
        best, n = eligible[0], len(eligible)
        if not np.isfinite(self.mean[best]):
            raise InputError(
                f"{'the only candidate' if n == 1 else f'all {n} candidates'} diverged (no finite {metric_name(score)} "
                "on any validation rows). Use a smaller learning rate, such as a tenth of it, or another score."
            )
        word = "lowest" if self.direction == "min" else "highest"
        reason = "the only candidate" if n == 1 else f"{word} mean validation {metric_name(score)} of {n} candidates"
        chosen = best
        if rule == "one_standard_error" and n > 1:
            chosen, reason = self._simplest(best, reason, names, eligible)
        if rule == "narrow_code" and n > 1:
            chosen, reason = self._narrowest(best, reason, score, eligible)
        if self.diverged[chosen]:
            reason += f"; {self.diverged[chosen]} of its {self.members} trainings diverged"
        return Chosen(chosen, reason)

    def _simplest(self, best: int, reason: str, names: list[str], eligible: list[int]) -> tuple[int, str]:
        if self.complexity is None:
            raise InputError("the rule 'one_standard_error' needs the number of weights of each candidate, got none.")
        error = self.standard_error[best]
        if not np.isfinite(error):
            return best, f"{reason} (one fold has no standard error)"
        sign = 1 if self.direction == "min" else -1
        near = [
            i
            for i in eligible
            if self.status(i) == self.status(best) and sign * (self.mean[i] - self.mean[best]) <= error
        ]
        chosen = min(near, key=lambda i: self.complexity[i])  # type: ignore[index]
        if chosen == best:
            return best, f"{reason}, and the simplest within one standard error"
        return chosen, f"the simplest within one standard error of the best ({names[best]})"

    def _narrowest(self, best: int, reason: str, score: str, eligible: list[int]) -> tuple[int, str]:
        if self.codes is None or score != "reconstruction_error":
            raise InputError(
                Setting("rule", "narrow_code"),
                " is for autoencoders that are judged by their reconstruction error. Use another rule.",
            )
        enough = [i for i in eligible if self.status(i) == self.status(best) and self.mean[i] <= LOST]
        if not enough:
            return best, f"{reason}; none keeps {1 - LOST:.0%} of the variance"
        chosen = min(enough, key=lambda i: (self.codes[i], self.mean[i]))  # type: ignore[index]
        width = count_of(int(self.codes[chosen]), "number")
        return chosen, f"the best with {width}, the narrowest code that keeps {1 - LOST:.0%} of the variance"


@dataclass(frozen=True)
class Chosen:
    """The chosen candidate and why, in words."""

    index: int
    reason: str


def rank(
    scores: Any, direction: str, complexity: Any = None, codes: Any = None, discarded: Collection[int] = ()
) -> Ranking:
    """Compare candidates by their validation scores.

    scores: [candidate, fold, seed], in the score's own units, not finite where a member diverged. complexity:
    [candidate], the number of weights. codes: [candidate], the widths of the codes of autoencoders. discarded: places
    of candidates that were given up. Order: best mean first, then the simpler, then the earlier one; candidates with
    diverged members come after all others, discarded ones after these, those with nothing but diverged ones last.
    """
    s = np.asarray(scores, float)
    if s.ndim != 3 or 0 in s.shape:
        raise InputError(f"scores need the shape [candidate, fold, seed] with at least one each, got {s.shape}.")
    if direction not in ("min", "max"):
        raise InputError(f"direction needs 'min' or 'max', got {direction!r}.")
    weights = None if complexity is None else np.asarray(complexity, float)
    if weights is not None and (weights.shape != s.shape[:1] or not np.isfinite(weights).all()):
        raise InputError(f"complexity needs one finite number for each of {len(s)} candidates, got {weights.shape}.")

    members = s.shape[1] * s.shape[2]
    flat = s.reshape(len(s), members)
    per_fold = _mean(s)
    mean, diverged = _mean(flat), (~np.isfinite(flat)).sum(axis=1)
    folds = np.isfinite(per_fold).sum(axis=1)
    error = _deviation(per_fold) / np.sqrt(np.maximum(folds, 1))
    last = np.where(diverged == 0, 0, np.where(diverged < members, 1, 3))
    given_up = sorted(discarded)
    last[given_up] = np.maximum(last[given_up], 2)
    value = np.nan_to_num(mean if direction == "min" else -mean)  # nan only in those that come last anyway
    order = np.lexsort((np.zeros(len(s)) if weights is None else weights, value, last))
    return Ranking(
        order,
        mean,
        _deviation(flat),
        per_fold,
        error,
        diverged,
        members,
        direction,
        weights,
        codes,
        frozenset(discarded),
    )


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of the finite values along the last axis; nan where there is none."""
    good = np.isfinite(values)
    n = good.sum(axis=-1)
    return np.where(n > 0, np.where(good, values, 0).sum(axis=-1) / np.maximum(n, 1), np.nan)


@np.errstate(over="ignore")
def _deviation(values: np.ndarray) -> np.ndarray:
    """Standard deviation (n - 1) of the finite values along the last axis; nan where there are fewer than two."""
    good = np.isfinite(values)
    n = good.sum(axis=-1)
    off = np.where(good, values - np.nan_to_num(_mean(values))[..., None], 0)
    return np.where(n > 1, np.sqrt((off**2).sum(axis=-1) / np.maximum(n - 1, 1)), np.nan)
