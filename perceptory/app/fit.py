"""The main job: from a table to a run folder, and what is said on the way."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perceptory.errors import InputError

DEMO, DEMO_FOLDER = "diabetes", Path("demo-run")


class StoppedError(Exception):
    """Ctrl-C during training; the message says how to go on."""


def fit(options: Mapping[str, Any], argv: list[str]) -> None:
    """`perceptory fit`; `options` by name as typer gives them."""
    from perceptory.app.asked import read
    from perceptory.data import read_table
    from perceptory.results.store import RunFolder

    asked = read(options)
    if options["resume"] and options["overwrite"]:
        raise InputError("--resume and --overwrite exclude each other. Choose one.")
    folder = Path(options["out"] or f"{Path(options['data']).stem}-run")
    RunFolder(folder).prepare(resume=options["resume"], overwrite=options["overwrite"])
    task, weights, groups = options["task"], options["weights"], options["groups"]
    target = (
        None if not options["target"] else options["target"][0] if len(options["target"]) == 1 else options["target"]
    )
    data = read_table(
        options["data"], target, task=task, ignore=options["ignore"], weights=weights, groups=groups
    )  # fmt: skip
    test = None if asked.test is None else _test_rows(asked.test, data, target, weights)
    _work(asked.study(data), data, folder, test=test, options=options, argv=argv)


def demo(options: Mapping[str, Any], argv: list[str]) -> None:
    """`perceptory demo`: the main job on a table that scikit-learn ships."""
    from perceptory.data import load_bundled
    from perceptory.results.store import RunFolder
    from perceptory.studies.presets import default_study

    folder = Path(options["out"] or DEMO_FOLDER)
    overwrite = options["out"] is None or _holds_demo(folder)
    RunFolder(folder).prepare(resume=False, overwrite=overwrite)
    data = load_bundled(DEMO)
    study = default_study(data, "quick" if options["quick"] else "normal")
    print("442 people with diabetes: how far does the disease progress within a year?")
    options = {"json": False, "quiet": False, "resume": False, **options, "overwrite": overwrite}
    _work(study, data, folder, test=None, options=options, argv=argv)


def _holds_demo(folder: Path) -> bool:
    """Whether a folder holds a finished demo, and not a run of the user's own."""
    import json

    from perceptory.data.bundled import BUNDLED

    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((folder / "result.json").read_bytes())
        return bool(found["target"] == BUNDLED[DEMO] and found["data"]["rows"] == 442)
    return False


def _test_rows(path: str, data: Any, target: Any, weights: str | None) -> Any:
    """A file of test rows, read as the study's table was; what would go wrong after the training goes wrong here."""
    from perceptory.data import Encoder, read_table

    try:
        rows = read_table(path, target, task=data.task, weights=weights)
        Encoder.fit(data).transform(rows)
    except InputError as error:
        raise InputError(f"test rows: {error}") from None
    return rows


def _work(study: Any, data: Any, folder: Path, *, test: Any, options: Mapping[str, Any], argv: list[str]) -> None:
    """Run the study, open the sealed rows, say what came out."""
    from rich.console import Console

    from perceptory.app.progress import watching
    from perceptory.app.words import again, data_lines, fitted

    talk = not (options["json"] or options["quiet"])
    if talk:
        print(fitted(data_lines(data)), flush=True)
    new = not folder.exists()
    try:
        with watching(Console(stderr=True), options["quiet"]) as progress:
            result = study.run(
                data, test=test, folder=folder, resume=options["resume"], overwrite=options["overwrite"],
                open_test=True, progress=progress,
            )  # fmt: skip
    except KeyboardInterrupt:
        if not (folder / "study.json").is_file():
            raise StoppedError("stopped before the training began; nothing was written.") from None
        if (folder / "result.json").is_file():
            raise StoppedError(f"stopped after the training; see {folder / 'report.html'}.") from None
        raise StoppedError(f"stopped. What is trained is kept; go on with: {again(argv)}") from None
    except InputError:
        if new:
            _take_back(folder)
        raise
    if options["json"]:
        sys.stdout.write((folder / "result.json").read_text(encoding="utf-8"))
    elif talk:
        _tell(result, folder)


def _take_back(folder: Path) -> None:
    """Remove a folder that this process made and in which no trained network is kept."""
    chunks = folder / "chunks"
    if not any(chunks.glob("*")) and {p.name for p in folder.glob("*")} <= {"study.json", "chunks"}:
        shutil.rmtree(folder, ignore_errors=True)


def _tell(result: Any, folder: Path) -> None:
    from rich.console import Console

    from perceptory.app.words import what_next
    from perceptory.results.summary import count_of, duration, print_summary

    print()
    print_summary(result, Console())
    print(f"\n{count_of(len(result.members), 'network')} trained, {duration(result.seconds)} in all.")
    for what, how in what_next(folder, (folder / "model.safetensors").is_file()):
        print(f"{what:<8} {how}")
