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
from perceptory.app.stopping import INTERRUPTED
from perceptory.errors import InputError
from perceptory.wording import one_line, shown_value

app = typer.Typer(
    name="perceptory", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

Text = str | None
Texts = list[str]


def _version(wanted: bool) -> None:
    if wanted:
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


def _option(name: str, help: str, metavar: str = " ", panel: str | None = None, short: str | None = None) -> Any:
    """A flag needs no word for its value."""
    return typer.Option(
        name, *([] if short is None else [short]), help=help, metavar=metavar, rich_help_panel=panel, show_default=False
    )


def _of(panel: str) -> Any:
    """Makes the options of `perceptory fit` in one panel of its help."""

    def option(name: str, metavar: str = " ") -> Any:
        return _option(name, h.FIT_OPTIONS[name], metavar, panel)

    return option


table, sequence, search = _of("Data"), _of("Series and images"), _of("Networks")
codes = _of("Without a target (--task autoencode)")
training, judging, output = _of("Training"), _of("Judging"), _of("Output")


@app.command(help=h.FIT)
def fit(
    context: typer.Context,
    data: Annotated[str, typer.Argument(help=h.DATA, metavar="DATA", show_default=False)],
    target: Annotated[Texts, table("--target", "COLUMN")] = [],  # noqa: B006
    task: Annotated[Text, table("--task", "TASK")] = None,
    ignore: Annotated[Texts, table("--ignore", "COLUMN")] = [],  # noqa: B006
    missing: Annotated[Texts, table("--missing", "TEXT,...")] = [],  # noqa: B006
    decimal: Annotated[Text, table("--decimal", "MARK")] = None,
    thousands: Annotated[Text, table("--thousands", "MARK")] = None,
    weights: Annotated[Text, table("--weights", "COLUMN")] = None,
    groups: Annotated[Text, table("--groups", "COLUMN")] = None,
    stream: Annotated[bool, table("--stream")] = False,
    predict: Annotated[Text, sequence("--predict", "WAY")] = None,
    inputs: Annotated[Texts, sequence("--inputs", "COLUMN")] = [],  # noqa: B006
    time: Annotated[Text, sequence("--time", "COLUMN")] = None,
    series: Annotated[Text, sequence("--series", "COLUMN")] = None,
    window: Annotated[int | None, sequence("--window", "N")] = None,
    stride: Annotated[int | None, sequence("--stride", "N")] = None,
    horizon: Annotated[Text, sequence("--horizon", "N")] = None,
    season: Annotated[int | None, sequence("--season", "N")] = None,
    fill: Annotated[Text, sequence("--fill", "HOW")] = None,
    spikes: Annotated[Text, sequence("--spikes", "HOW")] = None,
    known_ahead: Annotated[Texts, sequence("--known-ahead", "COLUMN,...")] = [],  # noqa: B006
    static: Annotated[Texts, sequence("--static", "COLUMN,...")] = [],  # noqa: B006
    calendar: Annotated[Text, sequence("--calendar", "TIME,...")] = None,
    series_weights: Annotated[Text, sequence("--series-weights", "NAME")] = None,
    washout: Annotated[int | None, sequence("--washout", "N")] = None,
    known: Annotated[Text, sequence("--known", "N")] = None,
    size: Annotated[Text, sequence("--size", "HxW")] = None,
    quick: Annotated[bool, search("--quick")] = False,
    thorough: Annotated[bool, search("--thorough")] = False,
    network: Annotated[Texts, search("--network", "NETWORK")] = [],  # noqa: B006
    recursive: Annotated[bool, search("--recursive")] = False,
    activation: Annotated[Texts, search("--activation", "NAME")] = [],  # noqa: B006
    dropout: Annotated[Texts, search("--dropout", "RATE")] = [],  # noqa: B006
    code: Annotated[Texts, codes("--code", "N,...")] = [],  # noqa: B006
    variational: Annotated[Texts, codes("--variational", "BETA")] = [],  # noqa: B006
    sparsity: Annotated[Texts, codes("--sparsity", "STRENGTH")] = [],  # noqa: B006
    tied: Annotated[bool, codes("--tied")] = False,
    color: Annotated[Text, codes("--color", "COLUMN")] = None,
    penalty: Annotated[Texts, search("--penalty", "STRENGTH")] = [],  # noqa: B006
    penalty_p: Annotated[float | None, search("--penalty-p", "P")] = None,
    penalty_mix: Annotated[Texts, search("--penalty-mix", "SHARE")] = [],  # noqa: B006
    penalty_layer: Annotated[Texts, search("--penalty-layer", "LAYER=STRENGTH")] = [],  # noqa: B006
    samples: Annotated[int | None, search("--samples", "N")] = None,
    optimizer: Annotated[Texts, training("--optimizer", "NAME")] = [],  # noqa: B006
    learning_rate: Annotated[Texts, training("--learning-rate", "RATE")] = [],  # noqa: B006
    schedule: Annotated[Text, training("--schedule", "NAME")] = None,
    augment: Annotated[Texts, training("--augment", "NAME")] = [],  # noqa: B006
    start: Annotated[Texts, training("--start", "RUN")] = [],  # noqa: B006
    pretrain: Annotated[Texts, training("--pretrain", "TASK")] = [],  # noqa: B006
    unlabeled: Annotated[Text, training("--unlabeled", "FILE")] = None,
    pretrain_epochs: Annotated[int | None, training("--pretrain-epochs", "N")] = None,
    auxiliary: Annotated[Texts, training("--auxiliary", "COLUMN")] = [],  # noqa: B006
    keep_heads: Annotated[bool, training("--keep-heads")] = False,
    keep_sealed: Annotated[bool, training("--keep-sealed")] = False,
    clip_norm: Annotated[Texts, training("--clip-norm", "LIMIT")] = [],  # noqa: B006
    clip_value: Annotated[Texts, training("--clip-value", "LIMIT")] = [],  # noqa: B006
    average: Annotated[Texts, training("--average", "DECAY")] = [],  # noqa: B006
    cost: Annotated[Text, training("--cost", "NAME")] = None,
    class_weight: Annotated[Text, training("--class-weight", "WEIGHTS")] = None,
    batch_size: Annotated[list[int], training("--batch-size", "ROWS")] = [],  # noqa: B006
    sampling: Annotated[Text, training("--sampling", "NAME")] = None,
    epochs: Annotated[int | None, training("--epochs", "N")] = None,
    patience: Annotated[int | None, training("--patience", "N")] = None,
    precision: Annotated[Text, training("--precision", "NAME")] = None,
    memory: Annotated[float | None, training("--memory", "GIB")] = None,
    cluster: Annotated[Text, training("--cluster", "ADDRESS")] = None,
    validation: Annotated[Text, judging("--validation", "PLAN")] = None,
    folds: Annotated[int | None, judging("--folds", "N")] = None,
    repeats: Annotated[int | None, judging("--repeats", "N")] = None,
    nested: Annotated[Text, judging("--nested", "N|PLAN")] = None,
    seeds: Annotated[int | None, judging("--seeds", "N")] = None,
    score: Annotated[Text, judging("--score", "NAME")] = None,
    rule: Annotated[Text, judging("--rule", "NAME")] = None,
    final: Annotated[Text, judging("--final", "NAME")] = None,
    discard: Annotated[Text, judging("--discard", "NAME")] = None,
    test: Annotated[Text, judging("--test", "SHARE|FILE")] = None,
    seed: Annotated[int | None, judging("--seed", "N")] = None,
    out: Annotated[Text, output("--out", "DIR")] = None,
    resume: Annotated[bool, output("--resume")] = False,
    overwrite: Annotated[bool, output("--overwrite")] = False,
    json: Annotated[bool, output("--json")] = False,
    quiet: Annotated[bool, output("--quiet")] = False,
) -> None:
    from perceptory.app.fit import fit as run

    run(context.params, context.obj)


@app.command(help=h.PREDICT)
def predict(
    run: Annotated[str, typer.Argument(help=h.RUN, metavar="RUN", show_default=False)],
    data: Annotated[Text, typer.Argument(help=h.NEW, metavar="DATA", show_default=False)] = None,
    ahead: Annotated[bool, _option("--ahead", h.AHEAD)] = False,
    coverage: Annotated[float | None, _option("--coverage", h.COVERAGE, "SHARE")] = None,
    future: Annotated[Text, _option("--future", h.FUTURE, "FILE")] = None,
    origins: Annotated[int | None, _option("--origins", h.ORIGINS, "N")] = None,
    out: Annotated[Text, _option("--out", h.PREDICT_OUT, "FILE", short="-o")] = None,
    proba: Annotated[bool, _option("--proba", h.PROBA)] = False,
    members: Annotated[bool, _option("--members", h.MEMBERS)] = False,
    formulas: Annotated[bool, _option("--formulas", h.FORMULAS)] = False,
) -> None:
    from perceptory.app import predict as use

    if ahead:
        refused = {"--proba": proba, "--members": members}
        use.forecast(run, data, out, coverage, origins, future=future, refused=refused, formulas=formulas)
    else:
        only_ahead = {"--origins": origins is not None, "--future": future is not None}
        use.predict(run, use.given(data, only_ahead), out, proba, members, coverage, formulas)


@app.command(help=h.BACKTEST)
def backtest(
    run: Annotated[str, typer.Argument(help=h.RUN, metavar="RUN", show_default=False)],
    data: Annotated[str, typer.Argument(help=h.NEW, metavar="DATA", show_default=False)],
    origins: Annotated[int, _option("--origins", h.BACK_ORIGINS, "N")] = 6,
    every: Annotated[int | None, _option("--every", h.EVERY, "ROWS")] = None,
    coverage: Annotated[float | None, _option("--coverage", h.BACK_COVERAGE, "SHARE")] = None,
    out: Annotated[Text, _option("--out", h.BACK_OUT, "FILE", short="-o")] = None,
) -> None:
    from perceptory.app import predict as use

    use.backtest(run, data, origins, every, coverage, out)


@app.command(help=h.EXPLAIN)
def explain(
    run: Annotated[str, typer.Argument(help=h.RUN, metavar="RUN", show_default=False)],
    data: Annotated[Text, typer.Argument(help=h.EXPLAIN_DATA, metavar="DATA", show_default=False)] = None,
    score: Annotated[Text, _option("--score", h.EXPLAIN_SCORE, "NAME")] = None,
    rows: Annotated[int | None, _option("--rows", h.EXPLAIN_ROWS, "N")] = None,
    repeats: Annotated[int | None, _option("--repeats", h.EXPLAIN_REPEATS, "N")] = None,
    seed: Annotated[int | None, _option("--seed", h.EXPLAIN_SEED, "N")] = None,
    out: Annotated[Text, _option("--out", h.EXPLAIN_OUT, "FILE", short="-o")] = None,
    figure: Annotated[Text, _option("--figure", h.EXPLAIN_FIGURE, "FILE")] = None,
) -> None:
    from perceptory.app import explain as use

    use.explain(run, data, {"score": score, "rows": rows, "repeats": repeats, "seed": seed}, out, figure)


@app.command(help=h.ENCODE)
def encode(
    run: Annotated[str, typer.Argument(help=h.RUN, metavar="RUN", show_default=False)],
    data: Annotated[str, typer.Argument(help=h.NEW, metavar="DATA", show_default=False)],
    out: Annotated[Text, _option("--out", h.PREDICT_OUT, "FILE", short="-o")] = None,
) -> None:
    from perceptory.app import unlabeled as use

    use.encode(run, data, out)


@app.command(help=h.DECODE)
def decode(
    run: Annotated[str, typer.Argument(help=h.RUN, metavar="RUN", show_default=False)],
    codes: Annotated[str, typer.Argument(help=h.CODES, metavar="CODES", show_default=False)],
    out: Annotated[Text, _option("--out", h.EXAMPLES_OUT, "FILE", short="-o")] = None,
) -> None:
    from perceptory.app import unlabeled as use

    use.decode(run, codes, out)


@app.command(help=h.SAMPLE)
def sample(
    run: Annotated[str, typer.Argument(help=h.RUN, metavar="RUN", show_default=False)],
    count: Annotated[int, _option("--count", h.COUNT, "N", short="-n")] = 16,
    seed: Annotated[int, _option("--seed", h.SAMPLE_SEED, "N")] = 0,
    out: Annotated[Text, _option("--out", h.EXAMPLES_OUT, "FILE", short="-o")] = None,
) -> None:
    from perceptory.app import unlabeled as use

    use.sample(run, count, seed, out)


@app.command(help=h.SERVE)
def serve(
    runs: Annotated[Texts, typer.Argument(help=h.RUNS, metavar="RUN", show_default=False)],
    port: Annotated[int, _option("--port", h.PORT, "N")] = 8080,
    host: Annotated[str, _option("--host", h.HOST, "ADDRESS")] = "127.0.0.1",
    token: Annotated[Text, _option("--token", h.TOKEN, "TOKEN")] = None,
    max_mib: Annotated[float, _option("--max-mib", h.MAX_MIB, "N")] = 64,
    max_seconds: Annotated[float, _option("--max-seconds", h.MAX_SECONDS, "N")] = 30,
    max_rows: Annotated[int, _option("--max-rows", h.MAX_ROWS, "N")] = 200_000,
) -> None:
    from perceptory.app import serve as use

    use.serve(runs, host, port, token, {"mib": max_mib, "seconds": max_seconds, "rows": max_rows})


@app.command(help=h.REPORT)
def report(
    run: Annotated[str, typer.Argument(help=h.RUN_FOLDER, metavar="RUN", show_default=False)],
    out: Annotated[Text, _option("--out", h.REPORT_OUT, "FILE")] = None,
) -> None:
    from perceptory.app import predict as use

    use.report(run, out)


@app.command(help=h.EXPORT)
def export(
    run: Annotated[str, typer.Argument(help=h.RUN, metavar="RUN", show_default=False)],
    onnx: Annotated[Text, _option("--onnx", h.EXPORT_ONNX, "FILE")] = None,
    code: Annotated[Text, _option("--code", h.EXPORT_CODE, "FILE")] = None,
    data: Annotated[Text, _option("--data", h.EXPORT_DATA, "DATA")] = None,
    coverage: Annotated[float | None, _option("--coverage", h.EXPORT_COVERAGE, "SHARE")] = None,
    part: Annotated[str, _option("--part", h.EXPORT_PART, "PART")] = "whole",
    lengths: Annotated[bool, _option("--lengths", h.EXPORT_LENGTHS)] = False,
) -> None:
    from perceptory.app import export as use

    use.export(run, onnx, code, data, coverage, part, lengths)


@app.command(help=h.DEMO)
def demo(
    context: typer.Context,
    out: Annotated[Text, _option("--out", h.DEMO_OUT, "DIR")] = None,
    quick: Annotated[bool, _option("--quick", h.FIT_OPTIONS["--quick"])] = False,
) -> None:
    from perceptory.app.fit import demo as run

    run(context.params, context.obj)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 2 for bad input, 128 and its number after a signal, which is 130
    for Ctrl-C and 141 where nobody reads the output. No traceback for any of them."""
    argv = sys.argv[1:] if argv is None else argv
    open_streams()
    try:
        code = _run(argv)
        sys.stdout.flush()
        return code
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # typer's answer to a closed pipe
            return _unread()
        return error.code if isinstance(error.code, int) else 1
    except BrokenPipeError:
        return _unread()
    except OSError as error:
        _silence()
        return _say(f"{error.strerror or error}{f': {shown_value(error.filename)}' if error.filename else ''}.", 2)


def _unread() -> int:
    _silence()
    return _say("stopped, since nobody reads the output any more.", 141)


def _silence() -> None:
    """Standard output is gone or full: what cannot be written must not be tried again when Python ends."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]


def _run(argv: list[str]) -> int:
    clicks = typer.BadParameter.__mro__  # typer's click, its own copy or the package
    refused: Any = next(c for c in clicks if c.__name__ == "ClickException")
    try:
        code = typer.main.get_command(app).main(args=argv, prog_name="perceptory", obj=argv, standalone_mode=False)
        if code == INTERRUPTED:  # typer's answer to Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except InputError as error:
        return _say(error.said(command_line), 2)
    except refused as error:
        return _say(f"{error.format_message().rstrip('.')}. See perceptory --help.", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _say("stopped.", INTERRUPTED)
    except StoppedError as error:
        return _say(str(error), INTERRUPTED)


def _say(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"perceptory: {one_line(sentence)}\n")
        sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
