"""From constructor arguments to specs: plain values, and the names that users of scikit-learn's MLP estimators know."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from perceptory.errors import InputError
from perceptory.networks.base import Network
from perceptory.networks.mlp import MLP
from perceptory.objectives.penalties import Penalty, WeightPenalty
from perceptory.optimizers.base import Optimizer
from perceptory.optimizers.first_order import OPTIMIZERS
from perceptory.registry import did_you_mean
from perceptory.selection.search import choice
from perceptory.specs import Search

# Names of MLPClassifier and MLPRegressor that mean the same as one of ours, and those that do not.
SAME = {
    "hidden_layer_sizes": "hidden",
    "solver": "optimizer",
    "learning_rate_init": "learning_rate",
    "max_iter": "epochs",
    "n_iter_no_change": "patience",
}
OTHER = {
    "alpha": "MLP estimators divide it by the rows of a batch; penalty=alpha / (2 * batch rows) is the same",
    "loss": "use cost=",
    "tol": "training ends after `patience` epochs without a better validation cost",
    "early_stopping": "use validation_fraction=0 to train on all rows for all epochs",
    "shuffle": "rows are shuffled; use a Study with sampling= for another order",
    "power_t": "use optimizer=SGD(learning_rate=Exponential(...))",
    "momentum": "use optimizer=Momentum(learning_rate, momentum)",
    "nesterovs_momentum": "use optimizer=Momentum(learning_rate, nesterov=True)",
    "beta_1": "use optimizer=Adam(learning_rate, beta1=beta_1)",
    "beta_2": "use optimizer=Adam(learning_rate, beta2=beta_2)",
    "epsilon": "use optimizer=Adam(learning_rate, eps=epsilon)",
    "max_fun": "use optimizer=LBFGS(trials=...) and epochs=",
}
ARGUMENTS = {
    "networks": "hidden",
    "folds": "cv",
    "validation": "cv",
    "score": "scoring",
    "samples": "n_candidates",
    "seed": "random_state",
}
"""Settings of a study that are arguments by another name here."""
BATCH = 200  # rows a step, as scikit-learn has it; fewer rows make one step an epoch
PRIOR = 4.0  # strength of the penalty "auto" times the number of rows
ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}


def translated(given: Mapping[str, Any], known: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Arguments by their names here. `TypeError` for unknown names, as Python's own, with what to use instead."""
    out: dict[str, Any] = {}
    for name, value in given.items():
        new = SAME.get(name, name)
        if new not in known:
            why = f" ({OTHER[name]})" if name in OTHER else did_you_mean(name, [*known, *SAME])
            raise TypeError(f"{who}() got an unexpected keyword argument {name!r}{why}")
        if new in out:
            raise TypeError(f"{who}() got {name!r} and {new!r}, which are the same")
        out[new] = value
    return out


def network_of(hidden: Any, activation: Any, dropout: Any) -> Any:
    """A network spec as it is; else an MLP of these widths."""
    if isinstance(hidden, Network):
        return hidden
    return MLP(widths(hidden), activation_of(activation), dropout)


def widths(hidden: Any) -> Any:
    """Widths of hidden layers as a tuple: 64 is one layer."""
    if isinstance(hidden, Search):
        return hidden
    if isinstance(hidden, list) or (hasattr(hidden, "tolist") and getattr(hidden, "ndim", 0) == 1):
        hidden = tuple(hidden)
    return hidden if isinstance(hidden, tuple) else (hidden,)


def activation_of(name: Any) -> Any:
    """The name of an activation here; scikit-learn's names mean the same functions."""
    return ACTIVATIONS.get(name, name) if isinstance(name, str) else name


def optimizer_of(optimizer: Any, learning_rate: Any) -> Any:
    """A spec as it is; else the named one, with this learning rate."""
    if isinstance(optimizer, Optimizer | Search):
        return optimizer
    if not isinstance(optimizer, str):
        raise InputError(f'optimizer needs a name or a spec, got {optimizer!r}. Example: optimizer="adam"')
    spec = OPTIMIZERS[optimizer]()
    named = {f.name for f in dataclasses.fields(spec)}  # second-order ones have no rate
    return spec.replace(learning_rate=learning_rate) if "learning_rate" in named else spec


def penalty_of(penalty: Any, rows: float = 0.0) -> Any:
    """None or 0: none; a number: the strength of an L2 penalty; a spec as it is.

    "auto": PRIOR / rows. These are the most probable weights where they have a normal prior of deviation
    1 / √(2 PRIOR), whose part in the mean cost over rows falls as 1 / rows.
    """
    if isinstance(penalty, str):
        if penalty != "auto":
            raise InputError(f'penalty needs a number, "auto" or a spec, got {penalty!r}. Example: penalty=1e-3')
        return WeightPenalty(PRIOR / rows)
    if penalty is None or isinstance(penalty, Penalty):
        return penalty
    if isinstance(penalty, Search):
        return WeightPenalty(penalty)  # type: ignore[arg-type]
    return None if penalty == 0 else WeightPenalty(penalty)


# --- searches ----------------------------------------------------------------------------------------------------


def searched(value: Any) -> Any:
    """A list, tuple or array of values is a choice; anything else stays as it is."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1:
        return choice(*[v.item() if hasattr(v, "item") else v for v in value])
    return value


def networks_of(hidden: Any, activation: Any, dropout: Any) -> Any:
    """Network specs to search: `hidden` is one structure (widths or a spec) or several."""
    several = isinstance(hidden, list | tuple) and any(isinstance(h, tuple | list | Network) for h in hidden)
    structures = list(hidden) if several else [hidden]
    specs = [h for h in structures if isinstance(h, Network)]
    plain = [widths(h) for h in structures if not isinstance(h, Network)]
    names = searched([activation_of(a) for a in activation]) if isinstance(activation, list) else activation
    if not plain:
        return specs
    hidden = choice(*plain) if len(plain) > 1 else plain[0]
    return [*specs, MLP(hidden, activation_of(names), searched(dropout))]
