"""The study that a person asks for and runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perceptory.data.examples import Examples
from perceptory.runs.result import Result
from perceptory.studies.design import StudyDesign
from perceptory.studies.run import run

if TYPE_CHECKING:
    from perceptory.studies.rounds import Rounds


@dataclass(frozen=True)
class Study(StudyDesign):
    """Which networks, how trained, how judged. `run` trains every candidate on every fold with every seed.

    networks: specs, their numbers may be search values (`choice`, `uniform`, `log_uniform`, `integers`).
    cost: None takes the task's own. optimizer, penalty: likewise searched. samples: how many candidates are drawn
    where not all search values are choices (20 by default), or out of a grid.
    validation: None chooses by the number of rows (stratified for classes, by groups where given); `Nested` measures
    the whole procedure, choice included, on rows that an outer plan holds out.
    seeds: starts per fold. epochs: most epochs. patience: epochs without a better validation cost before a member
    stops (0: never); its best weights count either way. -1: all epochs, and the last weights count, so that few
    validation rows, which would choose the epoch that suits them, flatter no network.
    batch_size: rows a step; None chooses by the number of rows. sampling: "shuffle" or "replacement".
    test: share of the rows sealed off before the study sees the data.
    discard: `Halving` or `DiscardAfter`: which candidates are given up on the way, by their mean score over all folds.
    score: what candidates are ranked by; None takes rmse for regression, log_loss for classes; "cost" takes the cost
    itself on the validation rows, on the trained scale: a likelihood, or the pinball cost of quantiles.
    rule: "best" or "one_standard_error". final: "folds", "refit", or "weighted": an ensemble of several candidates,
    with shares by greedy selection on held-out rows (`selection.greedy`), or "weighted_by_error", by how little each
    errs there. precision: "single" or "double"; None takes
    double where an optimizer of second order wants it, else single.
    memory: GiB that training may hold. seed: of every random number of the study.
    clip: `ClipByNorm` or `ClipByValue`, of every step's gradient. average: `WeightAverage`, whose averaged weights are
    what is validated and kept. augmentation: what is done to each training batch, one or a tuple of several:
    `ImageAugmentation`, `SeriesAugmentation`, `TableAugmentation`, `TargetNoise`. All three are searched like the
    penalty; None is off.
    start: `Pretrained`, the first layers of a network that was trained before; `choice(None, Pretrained(...))` puts it
    beside starts from random weights, so that the study itself says whether it pays.
    pretraining: what each network learns first, from its training rows and the `unlabeled` ones and from no other:
    `Autoencoder(code=32)`, `Masked(code=32)`, `Supervised()`, or one of them with its own epochs and rates
    (`Pretraining`). Searched like the start, in whose place it stands. unlabeled: rows without the target, as whatever
    the model could predict: a file, data frame, array, folder of pictures, or examples as they are read.
    keep_sealed: of forecasts, whether the model never learns from the sealed rows. By default, once they are opened,
    what was chosen is trained anew on all rows (of fewer than 20,000 windows), since the sealed ones are the latest;
    what the test says is of the model before.
    auxiliary: `Auxiliary`, one or a list of several: what else the networks learn to predict, on heads beside the
    target's output; weights and all else are searched. keep_heads: whether the model keeps them (`Model.head`).
    """

    def run(
        self,
        data: Any,
        *,
        test: Examples | None = None,
        folder: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        open_test: bool = False,
        progress: Callable[[dict[str, Any]], None] | None = None,
        executor: Any = None,
    ) -> Result:
        """Train and choose; returns a `Result`. The sealed test rows stay sealed until `Result.test()`.

        data: a `Dataset` (`read_table`). test: a second `Dataset` to seal instead of a share of the rows.
        folder: where finished members are kept while it runs, so that resume=True goes on after a crash; it is a whole
        run folder at the end. open_test: open the sealed rows when everything has been chosen, as `Result.test` does.
        progress: called with a dict after every segment.
        executor: what trains the networks in place of this process: Dask's client, or an engine that is like a
        `concurrent.futures.Executor`. Where its workers are on other machines, this one trains too. The study gives the
        same bits as here where their processors are alike; where not, `result.environment["cluster"]` says by how much
        numbers differ. A worker that is lost costs the networks in its hands, which are trained again.
        """
        return run(
            self,
            data,
            test=test,
            folder=folder,
            resume=resume,
            overwrite=overwrite,
            open_test=open_test,
            progress=progress,
            executor=executor,
        )

    def rounds(
        self, data: Any, *, test: Examples | None = None, progress: Callable[[dict[str, Any]], None] | None = None
    ) -> Rounds:
        """The study round by round, for an outer optimizer that says which candidates come next (`Rounds`).

        Arguments as of `run`. With a run folder: `rounds_in`.
        """
        from perceptory.studies.rounds import Rounds

        return Rounds(self, data, test, progress=progress)

    def rounds_in(
        self,
        folder: str | Path,
        data: Any,
        *,
        test: Examples | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> AbstractContextManager[Rounds]:
        """`rounds` in a run folder, for a `with` block: what is trained is kept, and the folder is whole at its end.

        resume: what was evaluated before is not trained again, where the rounds ask for the same candidates.
        """
        from perceptory.studies.rounds import in_folder

        return in_folder(self, data, folder, test=test, resume=resume, overwrite=overwrite, progress=progress)
