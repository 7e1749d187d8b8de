"""What callbacks of scikit-learn and `verbose` are told while a network or a study is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.callback import ProgressBar

from perceptory.studies.one_network import TrainingUpdate

LINES = 10  # that verbose=1 writes; verbose=2 writes one an epoch


def wants_each(estimator: Any) -> bool:
    """Whether a callback has to be asked after every single epoch, rather than told of several at a time: all but
    progress bars may want the network of that epoch, or stop there."""
    return any(not isinstance(c, ProgressBar) for c in getattr(estimator, "_skl_callbacks", []))


def watcher(
    estimator: Any, context: Any, epochs: int, fit_data: dict[str, Any]
) -> Callable[[TrainingUpdate], bool] | None:
    """`watch` for `train_further`: a task "epoch" of the fit's callback context for each epoch, and lines of text.

    fit_data: X, y and metadata for the callbacks.
    """
    callbacks, verbose = getattr(estimator, "_skl_callbacks", []), int(estimator.verbose)
    if not callbacks and not verbose:
        return None
    done = 0

    def watch(update: TrainingUpdate) -> bool:
        nonlocal done
        stop = False
        for i, (train, validation) in enumerate(zip(update.train_cost, update.validation_cost, strict=True), 1):
            done += 1
            if verbose and (verbose > 1 or done == epochs or done % max(1, epochs // LINES) == 0):
                judged = "" if validation != validation else f", validation {validation:.6g}"
                print(f"epoch {done} of {epochs}: cost {train:.6g}{judged}")
            if not callbacks:
                continue
            task = context.subcontext(task_name="epoch")
            reconstruct = (lambda: {"model_": update.model()}) if i == len(update.train_cost) else None
            task.call_on_fit_task_begin(estimator=estimator, **fit_data)
            stop |= bool(
                task.call_on_fit_task_end(estimator=estimator, reconstruction_attributes=reconstruct, **fit_data)
            )
        return stop

    return watch


def study_progress(estimator: Any, context: Any, fit_data: dict[str, Any]) -> Callable[[dict[str, Any]], None] | None:
    """`progress` for `Study.run`: a task "network" for each trained network, and lines of text."""
    callbacks, verbose = getattr(estimator, "_skl_callbacks", []), int(estimator.verbose)
    if not callbacks and not verbose:
        return None
    done = 0

    def progress(state: dict[str, Any]) -> None:
        nonlocal done
        if verbose and (state["members_done"] > done or verbose > 1):
            print(
                f"{state['members_done']} of {state['members']} networks, {state['epochs']} epochs: "
                f"best {state['score']} {state['best']:.6g}"
            )
        while callbacks and done < state["members_done"]:
            done += 1
            task = context.subcontext(task_name="network")
            task.call_on_fit_task_begin(estimator=estimator, **fit_data)
            task.call_on_fit_task_end(estimator=estimator, **fit_data)
        done = state["members_done"]

    return progress
