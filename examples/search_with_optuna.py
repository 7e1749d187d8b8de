"""An outer optimizer says which candidates come next: Optuna's, eight at a time, each on all folds in one program.

Optuna is no dependency of perceptory: `pip install optuna`. Without it the points are drawn at random.
"""

from typing import Any

import perceptory as pt
from perceptory.selection.points import options
from perceptory.selection.search import Choice, Integers, LogUniform

try:
    import optuna
except ImportError:
    optuna = None


class Outer:
    """Optuna as what `Rounds.drive` takes: `ask` for points, `tell` their scores."""

    def __init__(self, seed: int):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self.study = optuna.create_study(direction="minimize", sampler=sampler)
        self.trials: list[Any] = []

    def ask(self, count):
        self.trials = [self.study.ask() for _ in range(count)]
        return [suggest(trial) for trial in self.trials]

    def tell(self, points, scores):
        for trial, score in zip(self.trials, scores, strict=True):
            self.study.tell(trial, score if score == score else None, state=None if score == score else FAILED)


def suggest(trial):
    """A function (name, search value) -> value, by one of Optuna's trials."""

    def value(name, search):
        if isinstance(search, Choice):
            return trial.suggest_categorical(name, options(search))
        if isinstance(search, Integers):
            return trial.suggest_int(name, search.low, search.high)
        return trial.suggest_float(name, search.low, search.high, log=isinstance(search, LogUniform))

    return value


if optuna:
    FAILED = optuna.trial.TrialState.FAIL

study = pt.Study(
    pt.MLP(pt.choice((8,), (16,))), optimizer=pt.Adam(pt.log_uniform(1e-3, 1e-1)),
    penalty=pt.WeightPenalty(pt.log_uniform(1e-5, 1e-1)), validation=pt.KFold(5), epochs=40, patience=10,
)  # fmt: skip
rounds = study.rounds(pt.load_bundled("diabetes"))
print("Searched:", ", ".join(f"{name} in {search}" for name, search in rounds.space.items()))
if optuna:
    rounds.drive(Outer(seed=0), rounds=3, each=8)
else:
    rounds.evaluate(rounds.ask(24))
result = rounds.result(open_test=True)
print(result)
