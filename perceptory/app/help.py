"""The texts of the help. Names and defaults in them are read from where they are defined, without JAX."""

from __future__ import annotations

from typing import Any

from perceptory.catalog import (
    ACTIVATIONS,
    AUGMENTATIONS,
    COSTS,
    DISCARDINGS,
    FINALS,
    INITIALIZERS,
    LAYERS,
    METRICS,
    NETWORKS,
    OPTIMIZERS,
    PENALTIES,
    PRECISIONS,
    PRETEXTS,
    RULES,
    SAMPLINGS,
    SCHEDULES,
    VALIDATION_PLANS,
)
from perceptory.registry import Registry
from perceptory.studies import defaults


def _text(text: str) -> str:
    """Paragraphs without line breaks inside: the help wraps them itself."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _list(table: Registry[Any]) -> str:
    return ", ".join(table)


def _written(table: Registry[Any], sign: str = ":") -> str:
    """The names with how their fields are written and what they are: mlp:WIDTHS (feedforward), ..."""
    entries = [(name, table.entry(name)) for name in table]
    return ", ".join(
        name + (sign + e.fields if e.fields else "") + (f" ({e.help})" if e.help else "") for name, e in entries
    )


def _meanings(table: Registry[str]) -> str:
    return "; ".join(f"{name}: {meaning}" for name, meaning in table.items())


FINAL = f"{defaults.FINAL}, of tables weighted unless --network names other networks"


def _default(value: object = "by the size of the data") -> str:
    return f"[dim](default: {value})[/dim]"


PROGRAM = _text("""Neural networks that can be trusted: chosen by cross-validation, measured on sealed rows.

[bold]perceptory fit data.csv --target y[/bold] does the whole job; [bold]perceptory demo[/bold] shows it.""")
FIT = _text("""Train networks on a table, series or images, choose the best, and measure it on sealed rows.

Every candidate network is trained on every fold of the data. The best in validation, or a weighted mean of the best, is
the model, and its error is measured once, on test rows that nothing has touched. With no options but --target the
candidates are chosen by kind and size of the data; an option replaces that part of the choice only.

[bold]Series[/bold] are a table with a row a moment: [bold]--predict every-step[/bold] (a dynamic system),
[bold]ahead[/bold] (a forecast from a window) or [bold]one-value[/bold] (a number or class a series).
[bold]Images[/bold] are a folder with a subfolder of pictures for each class, or idx files as MNIST comes in.
An [bold].npz[/bold] file holds arrays x and y. What these call test is sealed for the test.

[bold]--task autoencode[/bold] needs no target: networks learn to give the data back through a code of few numbers,
beside principal components of the same width. The commands [bold]encode[/bold], [bold]decode[/bold] and
[bold]sample[/bold] use the code, and [bold]predict[/bold] finds what is unlike the rest.

A network, optimizer, schedule or validation plan is written [bold]NAME:VALUE:FIELD=VALUE[/bold], such as
[bold]mlp:64,64:relu:dropout=0.1[/bold]. Alternatives, apart by / or given by repeating the option, become candidates,
and so do samples from a range: [bold]mlp:32/64,64:tanh/relu[/bold], [bold]--learning-rate 1e-4..1e-1[/bold].""")

DATA = (
    "Table (.csv, .tsv, .txt, also packed as .csv.gz, .zst, .bz2, .xz or .zip; .parquet, .arrow, .feather, .jsonl,"
    " .json, .xlsx), folder of such tables or of images, idx file, or .npz."
)

FIT_OPTIONS = {
    # Data
    "--target": "Column to predict; repeat it for several numbers. Every table needs it, but for --task autoencode.",
    "--task": (
        "regression, classification, binary, multiclass, sequence for series, or autoencode, which needs no target "
        "[dim](default: found from the target)[/dim]"
    ),
    "--ignore": "Column that is no input. Repeatable.",
    "--missing": (
        "Texts that stand for a missing value, such as [cyan]#REF!,-999[/cyan], beside NA, nan, ? and the like."
    ),
    "--decimal": "Mark before decimals in numbers: . or , [dim](default: found from the cells)[/dim]",
    "--thousands": "Mark between thousands in numbers. [dim](default: found where it is clear)[/dim]",
    "--weights": "Column with a weight for each row.",
    "--groups": "Column that names groups; rows of one group stay on one side of every split.",
    "--stream": (
        "Read the table in pieces while networks train, so that it need not fit into memory. "
        "[dim](default: for files larger than --memory)[/dim]"
    ),
    # Series and images
    "--predict": "every-step, ahead or one-value: the table holds series, and this is what to predict of them.",
    "--inputs": "Input column. Repeatable. [dim](default: all columns not used otherwise)[/dim]",
    "--time": "Column of numbers or dates in equal steps. [dim](default: rows as they come)[/dim]",
    "--series": "Column that tells several series apart.",
    "--window": "Rows of an example. [dim](default: whole series, but parts of a single record; of forecasts two "
    "seasons or horizons)[/dim]",
    "--stride": "Rows from one window to the next. [dim](default: the window; of forecasts 1, or more)[/dim]",
    "--horizon": "Rows ahead to predict: 1, or 1,6,12, or 1..12. [dim](default: 1)[/dim]",
    "--season": "Steps after which forecast series repeat themselves, 1: never. [dim](default: told or found)[/dim]",
    "--spikes": "Values of what is forecast that stand alone, far off all others: fill (by the straight line between "
    "their neighbors), or keep. [dim](default: fill)[/dim]",
    "--fill": "Fill gaps of the time and missing cells: previous, linear, or missing (marked by a further input).",
    "--known-ahead": "Columns whose future is known, such as holidays: forecasts see it. Repeatable.",
    "--static": "Columns with one value a series, such as a region. Repeatable. [dim](default: found)[/dim]",
    "--calendar": (
        "Times as inputs of forecasts: all, none, or some of hour-of-day, day-of-week, month, day-of-year. "
        "[dim](default: none)[/dim]"
    ),
    "--series-weights": (
        "What counts the same in training where series differ in length: window, root (between both) or series. "
        "[dim](default: window)[/dim]"
    ),
    "--washout": "First steps of an example that are not scored, for every-step. [dim](default: 0)[/dim]",
    "--known": "Steps whose measured outputs are inputs: the first N, or all, for narx. [dim](default: 0)[/dim]",
    "--size": "Scale pictures to height x width, such as 32x32.",
    # Networks
    "--quick": "Fewer candidates: an answer in seconds.",
    "--thorough": "More candidates: several minutes.",
    "--network": (
        f"{_written(NETWORKS)}; of the values as many from the left as wanted, or FIELD=VALUE. Initializers: "
        f"{_list(INITIALIZERS)}. Layers of chain: {_written(LAYERS, ',')}. Repeatable. {_default('by the data')}"
    ),
    "--recursive": "Forecasts by one step after the other too, beside those of all horizons at once.",
    "--activation": f"Of the networks that name none: {_list(ACTIVATIONS)}. Repeatable.",
    "--dropout": "Dropout rate of the networks that name none. Repeatable.",
    # Without a target
    "--code": (
        "How many numbers a code has: 8, or 2,4,8 to compare. Of several the narrowest that keeps nine tenths of the "
        f"variance is chosen, unless --rule says otherwise. {_default('by the number of columns')}"
    ),
    "--variational": "β of the evidence bound, such as 1: codes become normally distributed, and sample works.",
    "--sparsity": "λ of a penalty on the absolute values of codes, such as 0.01. Repeatable, or a range.",
    "--tied": "The decoder's weights are the encoder's, transposed.",
    "--color": "Column, such as a known class, that is not learned: the report colors the codes by it.",
    "--penalty": (
        f"Strength λ of the weight penalty, 0 for none, or a penalty: {_written(PENALTIES)}. Repeatable, or a range. "
        f"{_default('none')}"
    ),
    "--penalty-p": "Its norm: 1 gives exact zeros, 2 small weights.",
    "--penalty-mix": "Share of the 1-norm in it: exact zeros and small weights. Repeatable, or a range.",
    "--penalty-layer": "Its strength in one layer instead, by the path of its weights: layers.0=0.01. Repeatable.",
    "--samples": f"How many candidates to draw. {_default('all, or 20 where there are ranges')}",
    # Training
    "--optimizer": f"{_list(OPTIMIZERS)}, such as adam:beta1=0.8. Repeatable. {_default()}",
    "--learning-rate": "Learning rate. Repeatable, or a range.",
    "--schedule": f"Of the learning rate: constant, {_list(SCHEDULES)}; such as step:factor=0.5:pieces=4.",
    "--augment": (
        f"What is done to training batches: {_list(AUGMENTATIONS)}, such as "
        "image:shift=2:rotate=10, table:noise=0.1, series:jitter=0.05:warp=0.2; several are joined by +, and none is "
        f"none. Repeatable. {_default('none')}"
    ),
    "--start": (
        "Begin with the first layers of the networks of a run: RUN, RUN:LAYERS or RUN:LAYERS:frozen (not trained "
        f"further); none is random weights. Repeatable. {_default('none')}"
    ),
    "--pretrain": (
        f"What the networks learn first, from their training rows and --unlabeled: {_written(PRETEXTS)}; none is "
        f"nothing. Repeatable. {_default('none')}"
    ),
    "--unlabeled": "File or folder of rows without the target, for --pretrain.",
    "--pretrain-epochs": f"Epochs of --pretrain. {_default(30)}",
    "--auxiliary": (
        "What the network learns beside the target: COLUMN:WEIGHT:FADE, which is then no input; reconstruction of the"
        " inputs; or next-step of series; such as depth:0/0.1/1:0.5 (weights to choose from, fading over half of the"
        " training)."
        f" Repeat it for several at once. {_default('none')}"
    ),
    "--keep-heads": "Keep what predicts these in the model.",
    "--keep-sealed": (
        "Of forecasts: keep sealed rows out of the model for good. By default it learns from all rows after the test."
    ),
    "--clip-norm": f"Largest norm of a step's gradient. Repeatable, or a range. {_default('none')}",
    "--clip-value": f"Largest entry of a step's gradient. Repeatable, or a range. {_default('none')}",
    "--average": (
        "Keep the average of the weights over epochs, with this decay: 0.9 is over about ten, 1 over all. Repeatable. "
        f"{_default('none')}"
    ),
    "--cost": f"{_list(COSTS)}, such as quantile:0.1,0.5,0.9 or huber:0.5. {_default('what suits the task')}",
    "--class-weight": "balanced: rare classes count as much as frequent ones; or a weight for each class, such as 1,5.",
    "--batch-size": f"Rows a step. Repeatable. {_default('by the number of rows')}",
    "--sampling": f"{_meanings(SAMPLINGS)}. {_default(defaults.SAMPLING)}",
    "--epochs": f"Most epochs of a network. {_default()}",
    "--patience": "Epochs without a better validation cost before a network stops; 0: never; -1: never, and its last "
    f"weights count. {_default()}",
    "--precision": f"{_meanings(PRECISIONS)}. {_default('double for second-order optimizers, else single')}",
    "--memory": f"GiB that training may hold. {_default(defaults.MEMORY)}",
    "--cluster": "Address of a Dask scheduler, whose workers train in place of this process: tcp://HOST:8786.",
    # Judging
    "--validation": f"{_written(VALIDATION_PLANS)}; such as rolling:gap=5. {_default('by the number of rows')}",
    "--folds": "Number of folds.",
    "--repeats": "Repeat the validation plan with other splits.",
    "--nested": "Also measure the whole procedure, choice included: on rows that N outer folds, or a plan, hold out.",
    "--seeds": f"Starts of every network on every fold. {_default()}",
    "--score": (
        f"{_list(METRICS)} "
        f"{_default('rmse, mase or owa for forecasts, log_loss for classes, reconstruction_error without a target')}"
    ),
    "--rule": f"How the winner is chosen. {_meanings(RULES)}. {_default(defaults.RULE)}",
    "--final": f"What the model is. {_meanings(FINALS)}. {_default(FINAL)}",
    "--discard": f"Give up the worst candidates on the way: {_written(DISCARDINGS)}; such as after:0.2:0.5.",
    "--test": (
        f"Share of rows to seal for the test, 0 for none, or a file or folder of test data. {_default(defaults.TEST)}"
    ),
    "--seed": f"Of every random number. {_default(defaults.SEED)}",
    # Output
    "--out": "Run folder. [dim](default: DATA-run)[/dim]",
    "--resume": "Go on with a run that was interrupted; its finished networks are kept.",
    "--overwrite": "Replace the run in the folder.",
    "--json": "Print result.json, and nothing else, on standard output.",
    "--quiet": "Print nothing but errors.",
}
"""The options of `perceptory fit`, as they are written, and the help of each."""

PREDICT = _text("""Predict a table, series, images or arrays with the model of a run; writes CSV or Parquet.

With a model that has no target (--task autoencode), each line says how unlike the rest an example is: its score (the
mean over the columns of ln(1 + error / usual error)), its p_value (the share of held-out examples with at least this
score, small for what is unlike them; of examples like the study's, 5 in 100 lie below 0.05), the error of each column
(1 is that of the column's mean), and what each column of a table is given back as.""")
ENCODE = "The codes of a table, series, images or arrays, by a model without a target (--task autoencode)."
DECODE = "The examples that codes stand for, by a model without a target."
CODES = "Table with the columns code0, code1, ... as encode writes it."
SAMPLE = "New examples like those of the study, from a model that was trained with --variational."
COUNT = "How many. [dim](default: 16)[/dim]"
SAMPLE_SEED = "Of the random numbers. [dim](default: 0)[/dim]"
EXAMPLES_OUT = (
    "File to write: .csv or .parquet; of images .png (a grid) or .npz; of arrays .npz. "
    "[dim](default: standard output, where it is a table)[/dim]"
)
RUN = "Run folder or model file."
NEW = "Table with the input columns of the training, in any order; pictures or their folder; .npz or .npy."
PREDICT_OUT = "CSV or Parquet file to write. [dim](default: standard output)[/dim]"
PROBA = "Probabilities of the classes as well."
FORMULAS = (
    "Write texts that begin with = + - or @ as they are. [dim](default: with ' before them in CSV, since a spreadsheet"
    " would run them)[/dim]"
)
AHEAD = (
    "The future, from the end of the series on: times, values and intervals by step. Without DATA from the end of what "
    "the run was given."
)
COVERAGE = (
    "Give intervals that hold the target with this probability, such as 0.9, and its standard deviation. Of --ahead "
    "intervals are given anyway. [dim](default: 0.9)[/dim]"
)
BACKTEST = (
    "Forecast from several moments of the past and score what came: over all, by origin and by horizon. The model "
    "stays as it is."
)
BACK_ORIGINS = "From how many moments of each series. [dim](default: 6)[/dim]"
EVERY = "Rows from one moment to the next. [dim](default: the longest horizon)[/dim]"
BACK_COVERAGE = "Of the intervals that are looked at. [dim](default: 0.9)[/dim]"
BACK_OUT = "Write every forecast, beside what came, to this file, CSV or Parquet."
FUTURE = "With --ahead: a table of the rows after the end, with the columns that are known ahead."
ORIGINS = (
    "With --ahead and DATA: forecasts from so many moments of the past, a horizon apart, beside what came. "
    "[dim](default: 1, the end)[/dim]"
)
EXPLAIN = _text("""Which columns the model of a run rests on: by how much its error rises when the values of one column
are shuffled among rows, with standard errors, and which columns share information.

Without DATA what fit found on the sealed test rows; with a table that holds the target too, on its rows. Where DATA is
the table of the run itself, its sealed rows alone are looked at. Tables only: in Python, Model.importance tells it of
series by column as well; a picture has no columns.""")
EXPLAIN_DATA = "Table with the input columns and the target."
EXPLAIN_SCORE = "rmse or mae; of classes log_loss or accuracy. [dim](default: rmse, log_loss)[/dim]"
EXPLAIN_ROWS = "Rows to look at, drawn at random. [dim](default: as many as take a second or two)[/dim]"
EXPLAIN_REPEATS = "How often each column is shuffled. [dim](default: as that time allows)[/dim]"
EXPLAIN_SEED = "Of the random numbers. [dim](default: 0)[/dim]"
EXPLAIN_OUT = "CSV or Parquet file for the numbers."
EXPLAIN_FIGURE = (
    "Draw the columns: .png, .svg or .pdf; beside it FILE-effects, how predictions move with the most important ones."
)
MEMBERS = "The prediction of each network of the ensemble as well."
SERVE = "Answer requests over HTTP: predictions, a page to try one, and metrics."
RUNS = "Run folders or model files; NAME=RUN gives one another name in addresses."
HOST = "Address to listen on. Others than this machine's own need --token. [dim](default: 127.0.0.1)[/dim]"
PORT = "Port to listen on; 0 takes a free one. [dim](default: 8080)[/dim]"
TOKEN = "What a request must bring: Authorization: Bearer TOKEN. [dim](default: $PERCEPTORY_TOKEN)[/dim]"
MAX_MIB = "Most MiB of a request. [dim](default: 64)[/dim]"
MAX_SECONDS = "Most seconds until an answer. [dim](default: 30)[/dim]"
MAX_ROWS = "Most rows that may wait to be predicted. [dim](default: 200000)[/dim]"
REPORT = "Draw the report of a finished run again, and print its summary."
RUN_FOLDER = "Run folder of a finished fit."
REPORT_OUT = "HTML file to write. [dim](default: report.html in the run folder)[/dim]"
EXPORT = _text("""Write the model of a run as a file that runs without perceptory.

[bold]--onnx model.onnx[/bold] holds the whole pipeline: one input for each raw column, missing values, categories,
scaling, all networks, predictions in the target's units or class names. What is written says how far it is from the
model.

[bold]--code model.c[/bold] or [bold]model.py[/bold] holds networks of dense layers as source code, weights
included.""")
EXPORT_ONNX = "ONNX file to write."
EXPORT_CODE = "Source file to write, .py (NumPy alone) or .c (C99), of networks of dense layers."
EXPORT_DATA = (
    "Table, pictures or arrays to compare both on. [dim](default: rows made up from what the model knows)[/dim]"
)
EXPORT_COVERAGE = "Give prediction intervals as well, which hold the target with this probability, such as 0.9."
EXPORT_PART = "Of a model without a target: encode or decode alone. [dim](default: whole)[/dim]"
EXPORT_LENGTHS = "Series come with their numbers of real steps. [dim](default: where the study read whole series)[/dim]"
DEMO = "The whole job on a table that scikit-learn ships (diabetes)."
DEMO_OUT = "Run folder. [dim](default: demo-run, written anew each time)[/dim]"
