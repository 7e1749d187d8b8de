"""The main job: from a table to a run folder, and what is said on the way."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from perceptory.errors import InputError

if TYPE_CHECKING:
    from perceptory.notes import Note

DEMO, DEMO_FOLDER = "diabetes", Path("demo-run")


class StoppedError(Exception):
    """Ctrl-C or a like signal during training; the message says how to go on."""


def fit(options: Mapping[str, Any], argv: list[str]) -> None:
    """`perceptory fit`; `options` by name as typer gives them."""
    _begin(options)
    from perceptory.app.options import data_options, read_options
    from perceptory.app.source import source_of
    from perceptory.runs.run_folder import RunFolder

    study_options = read_options(options)
    if options["resume"] and options["overwrite"]:
        raise InputError("--resume and --overwrite exclude each other. Choose one.")
    source = source_of(data_options(options))
    folder = _run_folder(options["data"], options["out"])
    RunFolder(folder).prepare(resume=options["resume"], overwrite=options["overwrite"])
    data, test = source.read(options["data"])
    if test is not None and options["test"] is not None:
        raise InputError(f"{options['data']} holds test examples of its own, which are sealed. Leave --test out.")
    if study_options.test is not None:
        test = source.read_test(study_options.test, data)
    if test is not None:
        study_options = replace(study_options, changes={**study_options.changes, "test": 0.0})
    study, handed = study_options.study(data), _Handed(data, test)
    del data
    _work(study, handed, folder, test=test, options=options, argv=argv)


def _begin(options: Mapping[str, Any]) -> None:
    """Where DATA is a table, and nothing says otherwise, kernels are compiled while JAX is imported."""
    from perceptory.data.tables.endings import named_as_table
    from perceptory.studies.usual import begin_kernels

    others = ("network", "stream", "inputs", "time", "series", "window", "stride", "horizon", "predict", "precision")
    if named_as_table(Path(options["data"])) and options["target"] and not any(options.get(name) for name in others):
        begin_kernels(options["quick"])


def _run_folder(data: str, out: str | None) -> Path:
    """Where the run goes: beside a folder of images, never into it, where it would be taken for a class."""
    from perceptory.data.tables.endings import PACKED

    path = Path(data)
    name = path.resolve().name if path.is_dir() else path.stem
    if path.suffix.lower() in PACKED:  # table.csv.gz
        name = Path(name).stem
    folder = Path(out or f"{name}-run")
    if path.is_dir() and path.resolve() in folder.resolve().parents:
        raise InputError(f"the run folder {folder} would stand among the images of {data}. Name another with --out.")
    return folder


def demo(options: Mapping[str, Any], argv: list[str]) -> None:
    """`perceptory demo`: the main job on a table that scikit-learn ships."""
    from perceptory.studies.usual import begin_kernels, default_study

    begin_kernels(options["quick"])
    from perceptory.data import load_bundled
    from perceptory.runs.run_folder import RunFolder

    folder = Path(options["out"] or DEMO_FOLDER)
    overwrite = options["out"] is None or _holds_demo(folder)
    RunFolder(folder).prepare(resume=False, overwrite=overwrite)
    data = load_bundled(DEMO)
    study = default_study(data, "quick" if options["quick"] else "normal")
    print("442 people with diabetes: how far does the disease progress within a year?")
    options = {"json": False, "quiet": False, "resume": False, **options, "overwrite": overwrite}
    _work(study, _Handed(data), folder, test=None, options=options, argv=argv)


def _holds_demo(folder: Path) -> bool:
    """Whether a folder holds a finished demo, and not a run of the user's own."""
    import json

    from perceptory.data.tables.bundled import BUNDLED

    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        result = json.loads((folder / "result.json").read_bytes())
        return bool(result["target"] == BUNDLED[DEMO] and result["data"]["rows"] == 442)
    return False


class _Handed:
    """Data that the study takes over, so that they are not held twice, and what is said of them."""

    def __init__(self, data: Any, test: Any = None):
        from perceptory.app.door import command_line
        from perceptory.app.rendering import fitted
        from perceptory.data.examples import Examples, HandedOver
        from perceptory.data.words import data_lines

        self.lines = fitted(data_lines(data, test, command_line))
        self.notes = tuple(data.notes)
        self.data = HandedOver(data) if isinstance(data, Examples) else data


def _work(study: Any, handed: _Handed, folder: Path, *, test: Any, options: Mapping[str, Any], argv: list[str]) -> None:
    """Run the study, open the sealed rows, say what came out."""
    from rich.console import Console

    from perceptory.app.cluster import cluster_at
    from perceptory.app.output import write_data
    from perceptory.app.progress import watching
    from perceptory.app.rendering import again
    from perceptory.app.stopping import saying

    talk = not (options["json"] or options["quiet"])
    if talk:
        print(handed.lines, flush=True)
    stopped = partial(_stopped, folder, again(argv))
    quiet = options["quiet"]
    Thread(target=_import_drawing, daemon=True).start()
    try:
        with (
            cluster_at(options.get("cluster")) as executor,
            _unlogged(quiet),
            watching(Console(stderr=True), quiet) as progress,
            saying(stopped),
        ):
            result = study.run(
                handed.data, test=test, folder=folder, resume=options["resume"], overwrite=options["overwrite"],
                open_test=True, progress=progress, executor=executor,
            )  # fmt: skip
    except KeyboardInterrupt:
        raise StoppedError(stopped()) from None
    if options["json"]:
        write_data((folder / "result.json").read_text(encoding="utf-8"))
    elif talk:
        _tell(result, folder, handed.notes)


def _import_drawing() -> None:
    """What the report is drawn with takes half a second to import, which networks can train meanwhile."""
    for name in ("matplotlib.figure", "matplotlib.backends.backend_svg", "jinja2"):
        with contextlib.suppress(ImportError):  # which the report will say
            import_module(name)


@contextlib.contextmanager
def _unlogged(quiet: bool) -> Iterator[None]:
    """Under --quiet no warnings: a cache that cannot be used is no failure. Notes are said in the command line's
    words."""
    from perceptory.app.door import command_line
    from perceptory.notes import Note

    def in_own_words(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(a.said(command_line) if isinstance(a, Note) else a for a in record.args)
        return True

    logger = logging.getLogger("perceptory")
    level = logger.level
    if quiet:
        logger.setLevel(logging.ERROR)
    logger.addFilter(in_own_words)
    try:
        yield
    finally:
        logger.removeFilter(in_own_words)
        logger.setLevel(level)


def _stopped(folder: Path, again: str) -> str:
    """What is said where a run is stopped; again: the command that goes on."""
    if (folder / "result.json").is_file():
        return f"stopped after the training; see {folder / 'report.html'}."
    if not any((folder / "chunks").glob("*")):
        return "stopped before anything was trained; nothing is kept."
    return f"stopped. What is trained is kept; go on with: {again}"


def _tell(result: Any, folder: Path, said: Collection[Note]) -> None:
    """What came out, and what to do with it. said: notes that stand above."""
    from rich.console import Console

    from perceptory.app.door import command_line
    from perceptory.app.rendering import what_next
    from perceptory.reports.examples import new_data
    from perceptory.reports.summary import print_summary
    from perceptory.wording import count_of, duration

    print()
    print_summary(result, Console(), command_line, said)
    print(f"\n{count_of(len(result.members), 'network')} trained, {duration(result.seconds)} in all.")
    stem, dot, ending = new_data(result)[0].partition(".")
    new = stem.upper() + dot + ending if (folder / "model.safetensors").is_file() else None
    ahead, explained = result.data.predict == "ahead", result.importance is not None
    plan = getattr(getattr(result.model, "encoder", None), "plan", None)
    future = plan is not None and bool(plan.beside.known_ahead)
    for step, file_or_command in what_next(folder, new, result.task, ahead, explained, future):
        print(f"{step:<8} {file_or_command}")
