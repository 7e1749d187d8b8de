"""The command `perceptory`. Nothing heavy is imported before a command needs it: help comes at once."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer

from perceptory import __version__
from perceptory.app import help as h
from perceptory.app.door import command_line
from perceptory.app.fit import StoppedError
from perceptory.app.output import open_streams
from perceptory.errors import InputError
from perceptory.wording import one_line

app = typer.Typer(
    name="perceptory", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

Text = str | None
Texts = list[str]


def _version(asked: bool) -> None:
    if asked:
        print(f"perceptory {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True, help=h.PROGRAM)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def _of(panel: str | None) -> Any:
    """Makes the options of one panel of the help; a flag needs no word for its value."""

    def option(name: str, help: str, metavar: str = " ") -> Any:
        return typer.Option(name, help=help, metavar=metavar, rich_help_panel=panel, show_default=False)

    return option


table, sequence, search = _of("Data"), _of("Series and images"), _of("Networks")
training, judging, output, plain = _of("Training"), _of("Judging"), _of("Output"), _of(None)


@app.command(help=h.FIT)
def fit(
    context: typer.Context,
    data: Annotated[str, typer.Argument(help=h.DATA, metavar="DATA", show_default=False)],
    target: Annotated[Texts, table("--target", h.TARGET, "COLUMN")] = [],  # noqa: B006
    task: Annotated[Text, table("--task", h.TASK, "TASK")] = None,
    ignore: Annotated[Texts, table("--ignore", h.IGNORE, "COLUMN")] = [],  # noqa: B006
    missing: Annotated[Texts, table("--missing", h.MISSING, "TEXT,...")] = [],  # noqa: B006
    decimal: Annotated[Text, table("--decimal", h.DECIMAL, "MARK")] = None,
    thousands: Annotated[Text, table("--thousands", h.THOUSANDS, "MARK")] = None,
    weights: Annotated[Text, table("--weights", h.WEIGHTS, "COLUMN")] = None,
    groups: Annotated[Text, table("--groups", h.GROUPS, "COLUMN")] = None,
    predict: Annotated[Text, sequence("--predict", h.PREDICT_WAY, "WAY")] = None,
    inputs: Annotated[Texts, sequence("--inputs", h.INPUTS, "COLUMN")] = [],  # noqa: B006
    time: Annotated[Text, sequence("--time", h.TIME, "COLUMN")] = None,
    series: Annotated[Text, sequence("--series", h.SERIES, "COLUMN")] = None,
    window: Annotated[int | None, sequence("--window", h.WINDOW, "N")] = None,
    stride: Annotated[int | None, sequence("--stride", h.STRIDE, "N")] = None,
    horizon: Annotated[Text, sequence("--horizon", h.HORIZON, "N")] = None,
    washout: Annotated[int | None, sequence("--washout", h.WASHOUT, "N")] = None,
    known: Annotated[Text, sequence("--known", h.KNOWN, "N")] = None,
    size: Annotated[Text, sequence("--size", h.SIZE, "HxW")] = None,
    quick: Annotated[bool, search("--quick", h.QUICK)] = False,
    thorough: Annotated[bool, search("--thorough", h.THOROUGH)] = False,
    network: Annotated[Texts, search("--network", h.NETWORK, "NETWORK")] = [],  # noqa: B006
    activation: Annotated[Texts, search("--activation", h.ACTIVATION, "NAME")] = [],  # noqa: B006
    dropout: Annotated[Texts, search("--dropout", h.DROPOUT, "RATE")] = [],  # noqa: B006
    penalty: Annotated[Texts, search("--penalty", h.PENALTY, "STRENGTH")] = [],  # noqa: B006
    penalty_p: Annotated[float | None, search("--penalty-p", h.PENALTY_P, "P")] = None,
    penalty_mix: Annotated[Texts, search("--penalty-mix", h.PENALTY_MIX, "SHARE")] = [],  # noqa: B006
    penalty_layer: Annotated[Texts, search("--penalty-layer", h.PENALTY_LAYER, "LAYER=STRENGTH")] = [],  # noqa: B006
    samples: Annotated[int | None, search("--samples", h.SAMPLES, "N")] = None,
    optimizer: Annotated[Texts, training("--optimizer", h.OPTIMIZER, "NAME")] = [],  # noqa: B006
    learning_rate: Annotated[Texts, training("--learning-rate", h.LEARNING_RATE, "RATE")] = [],  # noqa: B006
    schedule: Annotated[Text, training("--schedule", h.SCHEDULE, "NAME")] = None,
    augment: Annotated[Texts, training("--augment", h.AUGMENT, "NAME")] = [],  # noqa: B006
    clip_norm: Annotated[Texts, training("--clip-norm", h.CLIP_NORM, "LIMIT")] = [],  # noqa: B006
    clip_value: Annotated[Texts, training("--clip-value", h.CLIP_VALUE, "LIMIT")] = [],  # noqa: B006
    average: Annotated[Texts, training("--average", h.AVERAGE, "DECAY")] = [],  # noqa: B006
    cost: Annotated[Text, training("--cost", h.COST, "NAME")] = None,
    class_weight: Annotated[Text, training("--class-weight", h.CLASS_WEIGHT, "WEIGHTS")] = None,
    batch_size: Annotated[list[int], training("--batch-size", h.BATCH_SIZE, "ROWS")] = [],  # noqa: B006
    sampling: Annotated[Text, training("--sampling", h.SAMPLING, "NAME")] = None,
    epochs: Annotated[int | None, training("--epochs", h.EPOCHS, "N")] = None,
    patience: Annotated[int | None, training("--patience", h.PATIENCE, "N")] = None,
    precision: Annotated[Text, training("--precision", h.PRECISION, "NAME")] = None,
    memory: Annotated[float | None, training("--memory", h.MEMORY, "GIB")] = None,
    validation: Annotated[Text, judging("--validation", h.VALIDATION, "PLAN")] = None,
    folds: Annotated[int | None, judging("--folds", h.FOLDS, "N")] = None,
    repeats: Annotated[int | None, judging("--repeats", h.REPEATS, "N")] = None,
    seeds: Annotated[int | None, judging("--seeds", h.SEEDS, "N")] = None,
    score: Annotated[Text, judging("--score", h.SCORE, "NAME")] = None,
    rule: Annotated[Text, judging("--rule", h.RULE, "NAME")] = None,
    final: Annotated[Text, judging("--final", h.FINAL, "NAME")] = None,
    test: Annotated[Text, judging("--test", h.TEST, "SHARE|FILE")] = None,
    seed: Annotated[int | None, judging("--seed", h.SEED, "N")] = None,
    out: Annotated[Text, output("--out", h.OUT, "DIR")] = None,
    resume: Annotated[bool, output("--resume", h.RESUME)] = False,
    overwrite: Annotated[bool, output("--overwrite", h.OVERWRITE)] = False,
    json: Annotated[bool, output("--json", h.JSON)] = False,
    quiet: Annotated[bool, output("--quiet", h.QUIET)] = False,
) -> None:
    from perceptory.app.fit import fit as run

    run(context.params, context.obj)


@app.command(help=h.PREDICT)
def predict(
    run: Annotated[str, typer.Argument(help=h.RUN, metavar="RUN", show_default=False)],
    data: Annotated[str, typer.Argument(help=h.NEW, metavar="DATA", show_default=False)],
    out: Annotated[Text, plain("--out", h.PREDICT_OUT, "FILE")] = None,
    proba: Annotated[bool, plain("--proba", h.PROBA)] = False,
    members: Annotated[bool, plain("--members", h.MEMBERS)] = False,
) -> None:
    from perceptory.app import predict as use

    use.predict(run, data, out, proba, members)


@app.command(help=h.REPORT)
def report(
    run: Annotated[str, typer.Argument(help=h.RUN_FOLDER, metavar="DIR", show_default=False)],
    out: Annotated[Text, plain("--out", h.REPORT_OUT, "FILE")] = None,
) -> None:
    from perceptory.app import predict as use

    use.report(run, out)


@app.command(help=h.DEMO)
def demo(
    context: typer.Context,
    out: Annotated[Text, plain("--out", h.DEMO_OUT, "DIR")] = None,
    quick: Annotated[bool, plain("--quick", h.QUICK)] = False,
) -> None:
    from perceptory.app.fit import demo as run

    run(context.params, context.obj)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 2 for bad input, 130 after Ctrl-C. No traceback for either."""
    argv = sys.argv[1:] if argv is None else argv
    open_streams()
    try:
        code = _run(argv)
        sys.stdout.flush()
        return code
    except SystemExit as error:  # typer's answer to a closed pipe
        return error.code if isinstance(error.code, int) else 1
    except OSError as error:
        # Standard output is gone or full: what cannot be written must not be tried again when Python ends.
        with contextlib.suppress(OSError, AttributeError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 141
        return _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.", 2)


def _run(argv: list[str]) -> int:
    clicks = typer.BadParameter.__mro__  # typer's click, its own copy or the package
    refused: Any = next(c for c in clicks if c.__name__ == "ClickException")
    try:
        code = typer.main.get_command(app).main(args=argv, prog_name="perceptory", obj=argv, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except InputError as error:
        return _say(error.said(command_line), 2)
    except refused as error:
        return _say(f"{error.format_message().rstrip('.')}. See perceptory --help.", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _say("stopped.", 130)
    except StoppedError as error:
        return _say(str(error), 130)


def _say(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"perceptory: {one_line(sentence)}\n")
        sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
