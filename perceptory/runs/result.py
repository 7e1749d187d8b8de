"""The result that a person holds: the outcome of a study, which can be tested, saved and summed up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perceptory import files
from perceptory.reports.summary import summary
from perceptory.results.result_data import ResultData
from perceptory.results.sealed_test import SealedTest
from perceptory.runs.reading import read_run
from perceptory.runs.run_folder import Request, RunFolder


@dataclass(repr=False)
class Result(ResultData):
    """The whole outcome of a study; `print(result.summary())` tells it.

    study: what was asked, as JSON data. best: id of the chosen candidate, rule: why it was chosen. candidates: best
    first. members: every training with its costs. train, validation, tested: metrics of the chosen candidate; `tested`
    is None until `test`. predictions: of every row. data: what is known of the data. ensemble: what the mean of the
    networks gains on the sealed rows. importance: of their columns, where that is quickly known (`Model.importance`
    always tells it). model: the final `Model`. folder: where it is written. sealed: the sealed rows, until they are
    opened.
    """

    sealed: SealedTest | None = None

    def test(self) -> dict[str, Any] | None:
        """Open the sealed test rows, once, and record their metrics; later calls return the recorded numbers.

        None where no row was sealed. Of forecasts `model` is then one that has learned from all rows, which the notes
        say (`Study.keep_sealed`). With a run folder, its files are written anew with the test numbers in them.
        """
        if self.tested is None and self.sealed is not None and self.model is not None:
            opened = self.sealed.open(self.model)
            self.importance = self.sealed.importance(self.model, self.score["name"])
            learned = self.sealed.learned_from(self.model)
            self.sealed = None
            self.tested, self.ensemble = opened.metrics, opened.ensemble
            self.forecasts = opened.forecasts or self.forecasts
            self.predictions = self.predictions + opened.predictions
            if learned is not None:
                self.model, note = learned
                self.data = replace(self.data, notes=(*self.data.notes, note))
            if self.folder is not None:
                RunFolder(self.folder).rewrite(self)
        return self.tested

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the run folder (study.json, result.json, history.parquet, model.safetensors, predictions.csv,
        report.html). A folder that holds a run is refused unless `overwrite`."""
        store = RunFolder(folder)
        store.prepare(resume=False, overwrite=overwrite)
        with store.writing(Request(self.study, self.fingerprint, self.environment), overwrite=overwrite):
            self.write(store)

    def write(self, store: RunFolder) -> None:
        """Complete a run folder that is being written; it is this result's folder from then on."""
        before, self.folder = self.folder, str(store.path)  # the report names the folder
        try:
            store.complete(self)
        except BaseException:
            self.folder = before
            raise

    def summary(self) -> str:
        """The result in plain text."""
        return summary(self)


def load_result(folder: str | Path) -> Result:
    """Read a complete run folder back into a `Result` (its sealed rows stay with the run that sealed them)."""
    return Result(**read_run(files.path_of(folder)))
