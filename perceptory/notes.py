"""What was made of data that a person should know of: notes, which are facts; their sentences are made here.

A note is its kind and its facts, never its sentence. A kind is a function from the facts to the sentence in pieces (see
`perceptory.errors`), and calling it gives the note:

    note = examples_left_out(3)                 Note("examples_left_out", {"count": 3, "why": "without a target"})
    examples_left_out.describes(note)           True
    str(note), note.said(door)                  its sentence in Python's words, in another door's

Who looks for a note asks for its kind. A new kind is one function below. What stands in `REMARKS` is said of one column
and is a phrase; `about_column` makes a sentence of it. A fact of a remark may be None, where several columns are spoken
of whose facts differ.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

from perceptory.errors import Door, InputError, Piece, Remedy, Setting, Written, python_words, say
from perceptory.registry import Registry
from perceptory.wording import count_of, listed, shown_value

P = ParamSpec("P")


@dataclass(frozen=True)
class Note:
    """kind: a name in `NOTES`. facts: by the names of the kind's arguments; plain values of JSON, lists as tuples."""

    kind: str
    facts: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", {name: _plain(value) for name, value in self.facts.items()})
        inspect.signature(NOTES[self.kind].sentence).bind(**self.facts)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Its sentence in pieces."""
        return NOTES[self.kind].sentence(**self.facts)

    def said(self, door: Door) -> str:
        """Its sentence in a door's words."""
        return say(self.pieces, door)

    def __str__(self) -> str:
        return self.said(python_words)

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.facts.items())))

    def to_json(self) -> dict[str, Any]:
        """Kind, facts and, for those who read the file, the sentence in Python's words."""
        facts = {name: value.to_json() if isinstance(value, Note) else value for name, value in self.facts.items()}
        return {"kind": self.kind, "facts": facts, "sentence": str(self)}

    @classmethod
    def from_json(cls, data: Any) -> Note:
        """The note that `to_json` wrote; its sentence is made anew. `InputError` for what is no note."""
        if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
            raise InputError("a note needs a kind and facts. The file was altered.")
        try:
            facts = {n: cls.from_json(v) if isinstance(v, dict) else v for n, v in data["facts"].items()}
            note = cls(data["kind"], facts)
            str(note)
        except (TypeError, KeyError, AttributeError, ValueError, LookupError):
            raise InputError(f"the facts of a note of the kind {data['kind'][:40]!r} were altered.") from None
        return note


class NoteWarning(UserWarning):
    """A note that Python's users are warned of; another door says `note` in its own words."""

    def __init__(self, note: Note):
        super().__init__(str(note))
        self.note = note


class NoteKind(Generic[P]):
    """A kind of note. Called with the facts it gives the note; `sentence` is the function from facts to pieces."""

    def __init__(self, sentence: Callable[P, tuple[Piece, ...]]):
        self.sentence: Callable[..., tuple[Piece, ...]] = sentence
        self.name = sentence.__name__
        self.__doc__ = sentence.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Note:
        facts = inspect.signature(self.sentence).bind(*args, **kwargs)
        facts.apply_defaults()
        return Note(self.name, facts.arguments)

    def describes(self, note: Note) -> bool:
        """Whether a note is of this kind."""
        return note.kind == self.name


NOTES: Registry[NoteKind[...]] = Registry("kind of note", {})
REMARKS: set[str] = set()


def _kind(sentence: Callable[P, tuple[Piece, ...]]) -> NoteKind[P]:
    kind = NoteKind(sentence)
    NOTES.add(kind.name, kind)
    return kind


def _remark(phrase: Callable[P, tuple[Piece, ...]]) -> NoteKind[P]:
    REMARKS.add(phrase.__name__)
    return _kind(phrase)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_plain(v) for v in value)
    return value.item() if hasattr(value, "item") else value


Names = tuple[str, ...] | list[str]


def joined(remarks: Iterable[Note], door: Door = python_words) -> str:
    """The remarks on a column as one phrase in a door's words, "" where there are none."""
    return say(phrase(remarks), door)


def phrase(remarks: Iterable[Note]) -> tuple[Piece, ...]:
    """The remarks on a column as one phrase in pieces, for a sentence that another door may say."""
    pieces = [piece for remark in remarks for piece in ("; ", *remark.pieces)]
    return tuple(pieces[1:])


def in_common(remarks: Sequence[Note]) -> Note:
    """One remark for several columns that have remarks of one kind: facts that differ become None."""
    first, *others = remarks
    facts = {n: v if all(other.facts[n] == v for other in others) else None for n, v in first.facts.items()}
    return Note(first.kind, facts)


# --- how a source was read -----------------------------------------------------------------------------------------


@_kind
def separator(source: str, name: str) -> tuple[Piece, ...]:
    """Cells of a text file are not apart by commas. name: of the sign, such as "semicolons"."""
    return (f"{source} is separated by {name}.",)


@_kind
def read_as_western(source: str, example: str) -> tuple[Piece, ...]:
    """A text file that is not in Unicode. example: a word or sign of it beyond ASCII."""
    return (
        f"{source} is not UTF-8 and is read as Western Windows text (cp1252). If {shown_value(example)} is not what"
        " stands there, save it as UTF-8.",
    )


@_kind
def one_sheet_of(source: str, sheet: str, others: Names) -> tuple[Piece, ...]:
    """Of a workbook one sheet is read."""
    return (f"of {source} the sheet {shown_value(sheet)} is read, not {listed(others, 4)}.",)


@_kind
def empty_lines(source: str, count: int) -> tuple[Piece, ...]:
    return (f"{source} has {count_of(count, 'empty line')} between its rows, left out.",)


@_kind
def meaning_from_some_rows(rows: int) -> tuple[Piece, ...]:
    return (f"What the columns mean was found from {rows:,} rows spread over the table; all others are held to it.",)


@_kind
def streamed(rows: int, portions: int, size: int, judged: int, tested: int) -> tuple[Piece, ...]:
    """rows: that train. portions: of a pass over them, of `size` rows each. judged, tested: rows held in memory."""
    return (
        f"{rows:,} rows were streamed in portions of {size:,}, {portions:,} in a pass; what is called an epoch in the "
        f"history is a portion. Networks were validated on {judged:,} rows after each portion, and tested on "
        f"{tested:,}, both drawn by the rows' places; training scores are those of {size:,} rows.",
    )


@_kind
def decimal_commas(columns: Names) -> tuple[Piece, ...]:
    """Columns whose 1,5 was read as 1.5."""
    return (f"numbers with a decimal comma are read in {listed(columns)}.",)


@_kind
def unit_taken_off(sign: str, columns: Names) -> tuple[Piece, ...]:
    """Columns whose 12.5 % was read as 12.5. sign: the percent sign or currency."""
    return (f"numbers in {sign} are read without that sign in {listed(columns)}.",)


@_kind
def decimals_possible(column: str) -> tuple[Piece, ...]:
    """A column of few different numbers with a comma, in a file whose cells commas part: codes, perhaps."""
    return (
        f"column {column!r} is read as text; a comma in it may stand before decimals",
        Remedy(", and ", Setting("decimal", ","), " reads it so"),
        ".",
    )


@_kind
def thousands_possible(column: str, mark: str, sign: str) -> tuple[Piece, ...]:
    """A column that is read as text, since what stands in its cells may be codes. mark: what the sign is called."""
    return (
        f"column {column!r} is read as text; a {mark} in it may stand between thousands",
        Remedy(", and ", Setting("thousands", sign), " reads it so"),
        ".",
    )


@_kind
def thousands_marked(mark: str, columns: Names) -> tuple[Piece, ...]:
    """Columns whose 1.250 was read as 1250. mark: "comma", "point", "space" or "apostrophe"."""
    return (f"{mark}s are read as marks between thousands in {listed(columns)}.",)


@_kind
def points_as_decimals(column: str) -> tuple[Piece, ...]:
    """Every point is followed by three digits, in a file whose points stand before decimals."""
    return (
        f"column {column!r}: every point is followed by three digits and is read as a decimal point",
        Remedy("; ", Setting("thousands", "."), " reads it as a mark between thousands"),
        ".",
    )


@_kind
def values_beside(column: str, role: str) -> tuple[Piece, ...]:
    """A column holds the values that were given beside the table."""
    return (f"column {column!r} holds the values that are given as the {role}, so it is no input.",)


@_kind
def in_order_of_dates(column: str, upwards: bool) -> tuple[Piece, ...]:
    """Dates of a column go on from row to row, and test rows are drawn from between them. upwards: in the whole table,
    and not down, or up in each of several parts."""
    sort = "" if upwards else "sort the rows by them and "
    return (
        f"the rows follow the dates in {column!r}, and test rows are drawn from between them. If the model is for later"
        f" dates, {sort}judge it by the last rows, which may be harder",
        Remedy(": ", Setting("validation", Written("RollingOrigin()", "rolling"))),
        ".",
    )


@_kind
def ordered_as_target(column: str, target: str) -> tuple[Piece, ...]:
    """A column rises, or falls, with the target in every row."""
    return (
        f"column {column!r} puts the rows in the same order as the target {target!r} does, as the target in other units"
        " would. If it is known only together with the target, leave it out",
        Remedy(": ", Setting("ignore", column)),
        ".",
    )


@_kind
def ordered_as_later_target(column: str, target: str, rows: int) -> tuple[Piece, ...]:
    """A column rises, or falls, with what the target is so many rows later."""
    later = "1 row" if rows == 1 else f"{rows} rows"
    return (
        f"column {column!r} puts the rows in the same order as the target {target!r} {later} later does, which is to be"
        " forecast. If it is not known before, leave it out",
        Remedy(": ", Setting("ignore", column)),
        ".",
    )


@_kind
def target_in_inputs(channel: str, place: tuple[int, ...]) -> tuple[Piece, ...]:
    """The target of every example is one of its inputs. place: along the axes before the channels, from 0."""
    where = " x ".join(str(p + 1) for p in place)
    return (
        f"the target of every example stands among its inputs, in channel {channel!r} at place {where}: there is "
        "nothing to predict, unless the network is to find it there.",
    )


@_kind
def column_renamed(source: str, name: str, new: str) -> tuple[Piece, ...]:
    return (f"{source} has more than one column {name!r}; one of them is read as {new!r}.",)


@_kind
def columns_named(source: str, names: Names) -> tuple[Piece, ...]:
    """Columns without a name were given one."""
    return (f"{source} has columns without a name; they are read as {listed(names)}.",)


@_kind
def index_not_read(name: str) -> tuple[Piece, ...]:
    """The index of a pandas frame has a name, as if it were a column."""
    return (f"the index {name!r} is not read; reset_index() makes a column of it.",)


@_kind
def other_part(source: str, part: str, examples: str) -> tuple[Piece, ...]:
    """The source holds a second part, which was not read. examples: what it holds, "images" or "examples"."""
    return (f"{source} also holds {part} {examples}", Remedy("; ", Setting("part", part), " reads them"), ".")


@_kind
def transparency_left_out(pictures: int) -> tuple[Piece, ...]:
    return (f"transparency of {count_of(pictures, 'picture')} left out.",)


@_kind
def files_left_aside(count: int, folder: str) -> tuple[Piece, ...]:
    """Files among pictures that are none."""
    return (f"{count_of(count, 'file')} in {folder} that are no PNG or JPEG left aside.",)


# --- targets -------------------------------------------------------------------------------------------------------


@_kind
def without_target(count: int, examples: str, targets: Names = ()) -> tuple[Piece, ...]:
    """Rows, examples or series left out. examples: what one of them is called. targets: where they have names."""
    many = count_of(count, examples) if examples != "series" else f"{count} series"
    what = f"a value of the target{'s' if len(targets) > 1 else ''} {listed(targets)}" if targets else "a target"
    return (f"{many} without {what} left out.",)


@_kind
def target_as_classes(target: str, distinct: int, first: str, last: str) -> tuple[Piece, ...]:
    """Whole numbers read as classes."""
    return (
        f"the target {target!r} holds the whole numbers {first} to {last}, read as classes",
        Remedy("; ", Setting("task", "regression"), " reads it as a number"),
        ".",
    )


@_kind
def target_as_number(target: str, distinct: int) -> tuple[Piece, ...]:
    """Few different whole numbers read as a number to predict."""
    return (
        f"the target {target!r} holds {distinct} different whole numbers, read as a number to predict",
        Remedy("; ", Setting("task", "classification"), " reads them as classes"),
        ".",
    )


@_kind
def target_of_truth(target: str) -> tuple[Piece, ...]:
    """True and false, where a regression was asked for."""
    return (f"the target {target!r} holds true and false, read as the numbers 1 and 0.",)


@_kind
def target_of_codes(target: str) -> tuple[Piece, ...]:
    """Whole numbers with zeros in front, such as 007."""
    return (
        f"the target {target!r} holds codes with zeros in front, read as classes",
        Remedy("; ", Setting("task", "regression"), " reads them as numbers"),
        ".",
    )


@_kind
def none_as_class(target: str, word: str, count: int) -> tuple[Piece, ...]:
    """A target of texts one of which is "none"."""
    return (
        f"the target {target!r}: {word!r} in {count_of(count, 'row')} is read as a class",
        Remedy("; ", Setting("missing", word), " leaves these rows out"),
        ".",
    )


@_kind
def targets_of_one_example(shape: tuple[int, ...]) -> tuple[Piece, ...]:
    """Targets [n, out] beside series of as many steps: numbers an example, not a number a step."""
    return (
        f"targets of the shape {shape} are read as {shape[1]} numbers an example; for one number a step give "
        f"them as {(*shape, 1)}.",
    )


@_kind
def one_hot(classes: int) -> tuple[Piece, ...]:
    return (f"targets of zeros and a single 1 in each row are read as {classes} classes, 0 to {classes - 1}.",)


# --- columns and channels ------------------------------------------------------------------------------------------


@_kind
def about_column(column: str, remark: Note) -> tuple[Piece, ...]:
    return (f"column {column!r}: ", *remark.pieces, ".")


@_kind
def digits_lost(column: str, value: str, read: str, role: str) -> tuple[Piece, ...]:
    """Whole numbers of which float64 does not hold every digit. value: one of them; read: what is read for it. role:
    "input" or "target" of a study, or "new" of rows to predict."""
    names = Remedy(". If they are names and no quantity, leave the column out: ", Setting("ignore", column))
    what = "the target" if role == "target" else "column"
    return (
        f"{what} {column!r} holds whole numbers of more digits than are kept: {value} is read as {read}",
        *((names,) if role == "input" else ()),
        ".",
    )


@_kind
def not_an_input(column: str, remark: Note) -> tuple[Piece, ...]:
    """A column that nobody named, left out of the inputs."""
    return (f"column {column!r} is not an input: ", *remark.pieces, ".")


@_kind
def past_not_an_input(column: str) -> tuple[Piece, ...]:
    """The past of a forecast's target is an input, but not where it is text."""
    return (f"the past of {column!r} is not an input, since it holds texts.",)


# Remarks on a column: why it is no input, how it was read, and what was made of it.


@_remark
def no_value() -> tuple[Piece, ...]:
    return ("no value in any row",)


@_remark
def constant(value: str | None) -> tuple[Piece, ...]:
    """value: the one that it always has, None for a date."""
    return (f"constant, carries no information{'' if value is None else f' (always {value[:40]})'}",)


@_remark
def counts_rows() -> tuple[Piece, ...]:
    return ("it only counts the rows",)


@_remark
def identifier(differ: str | None) -> tuple[Piece, ...]:
    """differ: "every value differs" or "nearly every value differs"."""
    return ("identifier" if differ is None else f"{differ} (identifier)",)


@_remark
def ignored_as_asked() -> tuple[Piece, ...]:
    return ("ignored as asked",)


@_remark
def given_beside(role: str | None) -> tuple[Piece, ...]:
    """A column holds values that are given beside the table as well, and is no input."""
    return ("given as the ", role or "target, weights or groups")


@_remark
def auxiliary_target() -> tuple[Piece, ...]:
    return ("an auxiliary target",)


@_remark
def unreadable(type: str | None) -> tuple[Piece, ...]:
    """Values of a type that has no meaning in a table."""
    return (f"values{'' if type is None else f' of type {type}'} cannot be read",)


@_remark
def not_plain_numbers(example: str | None, row: int | None = None) -> tuple[Piece, ...]:
    """A column of which most values look like numbers. example: one that is none; row: its, from 1."""
    return (
        f"read as text because of values that are not plain numbers{_such(example, row)}",
        *_as_missing(example, row),
    )


@_remark
def beside_truth(example: str | None, row: int | None) -> tuple[Piece, ...]:
    """A column of true and false with a few other values."""
    return (
        f"read as text because of values beside true and false{_such(example, row)}",
        *_as_missing(example, row),
    )


@_remark
def with_unit(example: str | None, row: int | None) -> tuple[Piece, ...]:
    return (f"read as text because of numbers with a unit{_such(example, row)}",)


def _such(example: str | None, row: int | None) -> str:
    if example is None:
        return ""
    return f", such as {shown_value(example)}{'' if row is None else f' in row {row}'}"


def _as_missing(example: str | None, row: int | None) -> tuple[Piece, ...]:
    """The remedy for a few cells that are unlike all others."""
    if example is None or row is None or "," in example or len(example) > 40:
        return ()
    return (Remedy("; where that stands for a missing value, ", Setting("missing", example), " says so"),)


@_remark
def ambiguous_dates(example: str | None) -> tuple[Piece, ...]:
    such = "" if example is None else f" such as {shown_value(example)}"
    return (f"dates{such} can be read in two ways (write 2020-12-31), so they are read as text",)


@_remark
def moments_as_text(example: str | None) -> tuple[Piece, ...]:
    """Times of day, durations, months, weeks, quarters, years of two digits."""
    such = "" if example is None else f" such as {shown_value(example)}"
    return (f"times{such} are read as text (write dates as 2020-12-31, and times and durations as numbers)",)


@_remark
def several_types(types: Names | None) -> tuple[Piece, ...]:
    return (f"values of several types{'' if types is None else ' (' + ', '.join(types) + ')'} read as text",)


@_remark
def duration() -> tuple[Piece, ...]:
    return ("duration in seconds",)


@_remark
def time_of_day() -> tuple[Piece, ...]:
    return ("time of day in seconds",)


@_remark
def rounded(value: str | None = None, read: str | None = None) -> tuple[Piece, ...]:
    """value: one of a column's whole numbers. read: the float64 number that is read for it."""
    example = "" if value is None or read is None else f", such as {value} to {read}"
    return (f"whole numbers beyond 2^53 are rounded{example}",)


@_remark
def categories_left_out(names: Names | None) -> tuple[Piece, ...]:
    """The rarest of very many categories."""
    return (f"categories without a column of their own{'' if names is None else ': ' + listed(names, 5)}",)


@_remark
def standardized() -> tuple[Piece, ...]:
    return ("standardized",)


@_remark
def truth_standardized() -> tuple[Piece, ...]:
    return ("0 or 1, standardized",)


@_remark
def column_a_category(count: int | None, rare: int | None) -> tuple[Piece, ...]:
    """count: categories that have a column. rare: the rarest ones, which have none."""
    left = "" if rare == 0 else f"; the {'' if rare is None else f'{rare} '}rarest categories have none"
    return (f"a column a category{left}" if count is None else f"{count} columns, one a category{left}",)


@_remark
def days_since_first() -> tuple[Piece, ...]:
    return ("days since the first date, standardized",)


@_remark
def waves(period: str | None) -> tuple[Piece, ...]:
    """period: "year", "week" or "day"."""
    return (f"sine and cosine of {'a period' if period is None else f'the {period}'}",)


@_remark
def missing_as_column() -> tuple[Piece, ...]:
    return ("a column that tells where it is missing",)


READ_AS_TEXT = not_plain_numbers, ambiguous_dates, moments_as_text, several_types, beside_truth, with_unit, identifier
"""Remarks that a person should know of without looking at the columns."""

# --- series --------------------------------------------------------------------------------------------------------


@_kind
def cut_from_rows(examples: int, shortest: int, longest: int, rows: int, series: int) -> tuple[Piece, ...]:
    """How many examples, of how many steps, were made of the rows of a table."""
    steps = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
    several = f" of {series} series" if series > 1 else ""
    return (f"{count_of(examples, 'example')} of {steps} steps from {rows} rows{several}.",)


@_kind
def rows_in_no_window(count: int, side: str) -> tuple[Piece, ...]:
    """side: "before the first" or "after the last"."""
    return (f"{count_of(count, 'row')} {side} whole window left out.",)


@_kind
def few_windows(count: int, stride: int) -> tuple[Piece, ...]:
    """Windows that do not overlap are few; with this stride they overlap and are more."""
    return (
        f"{count_of(count, 'window')} are few",
        Remedy("; windows that overlap are more: ", Setting("stride", stride)),
        ".",
    )


@_kind
def series_too_short(count: int, first: str, needed: int) -> tuple[Piece, ...]:
    """Series of forecasts that give no example."""
    return (
        f"{count} series of fewer than {needed} rows left out (the first {first!r}); a shorter window takes them in",
        Remedy(": ", Setting("window")),
        ".",
    )


@_kind
def series_not_forecast(count: int, first: str, needed: int) -> tuple[Piece, ...]:
    """Of new series those that are shorter than the window that a model looks at."""
    them = f"series {first!r} is" if count == 1 else f"{count} series (the first {first!r}) are"
    return (f"{them} not forecast: fewer than {needed} rows, the window of the model.",)


@_kind
def beyond_what_was_learned(target: str, last: float, low: float, high: float) -> tuple[Piece, ...]:
    """A forecast from a level that no row of the study had, by a model of values that return to their mean."""
    return (
        f"the last value of {target!r} is {last:.4g}, beyond all that the model has learned from ({low:.4g} to "
        f"{high:.4g}), and its forecast returns there. If the level has changed for good, fit again on all rows up "
        "to now, none of them sealed for good.",
    )


@_kind
def own_rows_left_out(count: int) -> tuple[Piece, ...]:
    """Rows that a model was trained on, in a table that it is to be judged by."""
    return (f"this is the table of the run itself: only the {count_of(count, 'row')} that it sealed are looked at.",)


@_kind
def too_few_for_intervals() -> tuple[Piece, ...]:
    """A forecast without the usual intervals."""
    return ("there are no intervals, for the model has held out too few forecasts to tell those of 90 %.",)


@_kind
def in_order_of_time() -> tuple[Piece, ...]:
    return ("the examples of all series stand in the order of time: the last ones are sealed for the test.",)


@_kind
def leap_days_left_out(column: str) -> tuple[Piece, ...]:
    """A calendar of 365 days is equal steps; filled in, 29 February is a row like the others."""
    return (
        f"the days of {column!r} leave out 29 February, and count as equal steps",
        Remedy("; ", Setting("fill", "linear"), " puts it in"),
        ".",
    )


@_kind
def filled_in(count: int, places: int, where: str, dropped: int, how: str) -> tuple[Piece, ...]:
    """Rows that were put in where series had gaps, and rows left out whose time stood before."""
    added = f"{count_of(count, 'missing row')} filled in ({how}) at {count_of(places, 'place')}" if count else ""
    left = f"{count_of(dropped, 'row')} left out whose time stood before" if dropped else ""
    return (f"{'; '.join(filter(None, (added, left)))}, the first in {where}.",)


@_kind
def cells_filled(columns: Names, how: str) -> tuple[Piece, ...]:
    """Missing cells of columns of series that were filled in."""
    return (f"missing values of {listed(columns)} filled in ({how}).",)


@_kind
def targets_missing(count: int) -> tuple[Piece, ...]:
    return (f"{count_of(count, 'forecast')} left out whose target is missing.",)


@_kind
def taken_for_static(columns: Names) -> tuple[Piece, ...]:
    """Columns with one value a series."""
    them = f"{listed(columns)} {'is' if len(columns) == 1 else 'are'}"
    return (
        f"{them} the same in all rows of each series, and given with each window",
        Remedy(", unless others are named (", Setting("static"), ")"),
        ".",
    )


@_kind
def static_left_out(column: str) -> tuple[Piece, ...]:
    """A column that only says which series it is."""
    return (f"column {column!r} is not an input: it has one value a series, and tells nothing that series share.",)


@_kind
def taken_for_time(column: str, others: Names) -> tuple[Piece, ...]:
    """A column that counts the time; as an input, the number of the year would be what a network goes by."""
    also = f", and {listed(others)} left out" if others else ""
    return (
        f"column {column!r} is taken for the time{also}: it is no input",
        Remedy(", unless it is named (", Setting("inputs", [column]), ")"),
        ".",
    )


@_kind
def training_scores_of_some(rows: int, of: int) -> tuple[Piece, ...]:
    """Forecasts so many that only some of those trained on are scored: those of the fold with most."""
    return (
        f"training scores are those of {rows:,} forecasts spread over the {of:,} that a network trains on; all others "
        "are of all.",
    )


@_kind
def sealed_ends(least: int, most: int, series: int, untested: int) -> tuple[Piece, ...]:
    """Rows at the end of each series that are what forecasts are tested on; untested: series too short for that."""
    rows = f"{most}" if least == most else f"{least} to {most}"
    each = f" of each of {series} series" if series > 1 else ""
    end = f"last {rows} rows{each} are" if most > 1 else f"last row{each} is"
    short = f"; {untested} series are too short to be tested" if untested else ""
    return (f"the {end} sealed for the test{short}.",)


@_kind
def learned_from_all() -> tuple[Piece, ...]:
    """The model that is kept has learned from the sealed rows as well, once they had been opened."""
    return (
        "after the test the model was trained anew on all rows, the sealed ones too, so that forecasts begin with the "
        "latest; the test numbers are of the model before",
        Remedy(". To keep that one: ", Setting("keep_sealed", True)),
        ".",
    )


@_kind
def tested_on_what_was_learned() -> tuple[Piece, ...]:
    """A backtest of a model that has learned from all rows of its study, on these rows."""
    return (
        "the model has learned from these rows, the sealed ones too, so its scores flatter. The report has honest ones "
        "of the sealed rows; a model that was fitted with ",
        Setting("keep_sealed", True),
        " gives them here.",
    )


@_kind
def shares_sealed_steps(count: int) -> tuple[Piece, ...]:
    """Examples left out of the study, since they have seen what is sealed."""
    many = "examples that have" if count > 1 else "example that has"
    return (f"{count} {many} seen sealed steps left out of the study.",)


@_kind
def classes_only_tested(classes: Names) -> tuple[Piece, ...]:
    """Classes that no study row holds, so that no network can have learned them."""
    what, them = ("classes", "them") if len(classes) > 1 else ("class", "it")
    return (
        f"only test rows hold the {what} {listed(classes)}: no network has learned {them}, so their rows "
        "count as wrong.",
    )


@_kind
def classes_not_learned(classes: Names, rows: int, share: float, examples: str = "row") -> tuple[Piece, ...]:
    """Test rows of classes that the study's data have not. share: of all test rows, by weight."""
    what = "classes" if len(classes) > 1 else "a class"
    return (
        f"{count_of(rows, f'test {examples}')} of {what} that the study has not ({listed(classes, 5)}) "
        f"{'count' if rows > 1 else 'counts'} as wrong in the accuracy, and no other score can be computed of "
        f"{'them' if rows > 1 else 'it'}.",
    )


@_kind
def tested_on_one_class(name: str) -> tuple[Piece, ...]:
    """Scores that compare classes say nothing of one."""
    return (
        f"the test rows are all of the class {name!r}: AUC cannot be computed of them, and their accuracy is the share "
        "of this class that is found.",
    )


@_kind
def tested_on_constant(target: str) -> tuple[Piece, ...]:
    """Scores that divide by the deviation of the target are not defined."""
    return (
        f"the target {target!r} has one value in all test rows: R2 and VAF cannot be computed of them, other "
        "scores can.",
    )


@_kind
def perhaps_missing(column: str, value: str, rows: int) -> tuple[Piece, ...]:
    """A number such as -999 stands in several rows, far away from all others."""
    return (
        f"column {column!r} holds {value} in {rows} rows, far away from all other values, read as a number",
        Remedy("; if it stands for a missing value, say so: ", Setting("missing", value)),
        ".",
    )


@_kind
def tested_far_off(target: str, row: int, value: float) -> tuple[Piece, ...]:
    """One test value is far away from all values of the study. row: of what the test rows were read from, from 1."""
    return (
        f"of the target {target!r} the test rows hold {value:.3g} in row {row}, more than a million times as far off "
        "as the study's values reach, and the test errors are those of this row: correct it, or leave it out.",
    )


@_kind
def spike_in_series(
    column: str, row: int, value: float, deviations: float, series: str, others: int, how: str
) -> tuple[Piece, ...]:
    """A value of a series that is forecast is far away from all others. others: how many more there are. how: "fill"
    where the straight line between its neighbors stands in its place, or "keep"."""
    own = f"series {series!r}" if series else "the series"
    also = f", as {count_of(others, 'more value')}" if others else ""
    start = f"column {column!r} holds {value:.3g} in row {row}, {deviations:g} deviations away from all other values "
    if how == "keep":
        return (f"{start}of {own}{also}. If it is a mistake, correct it, or leave ", Setting("spikes", "keep"), " out.")
    return (
        f"{start}of {own}{also}. It is taken for a mistake: the straight line between its neighbors stands in its "
        "place, in forecasts and in scores",
        Remedy(". If it is none, keep it (", Setting("spikes", "keep"), ")"),
        ".",
    )


@_kind
def value_far_off(column: str, row: int, value: float) -> tuple[Piece, ...]:
    """One value of a column of numbers is far away from all others."""
    return (
        f"column {column!r} holds {value:.3g} in row {row}, more than a million times as far off as its other values: "
        "correct it, or leave the row out.",
    )


@_kind
def beyond_memory(needed: float, budget: float, table: bool) -> tuple[Piece, ...]:
    """In GiB, of a study's data and networks. table: whether the examples are rows of a table."""
    stream = (" Or read the table in pieces: stream_table in Python, --stream on the command line.",) if table else ()
    return (
        f"data and networks take up to {needed:g} GiB, which is more than the budget of {budget:g}. Allow it with ",
        Setting("memory", needed),
        ".",
        *stream,
    )


# --- new data against those of the training ------------------------------------------------------------------------


@_kind
def code_not_narrow(code: int, inputs: int) -> tuple[Piece, ...]:
    """code: the widest one of a study."""
    return (
        f"a code of {code} numbers is as wide as an example, which has {inputs}: it"
        " can give everything back without having learned anything, unless noise or a penalty prevents it.",
    )


@_kind
def columns_not_used(names: Names) -> tuple[Piece, ...]:
    return (f"columns that the model does not use are ignored: {listed(names)}.",)


@_kind
def unseen_categories(column: str, count: int, categories: Names) -> tuple[Piece, ...]:
    """count: values that are of none of the known categories. categories: the different ones among them."""
    return (
        f"column {column!r} has {count} values that training did not have ({listed(categories, 5)}); they are read as "
        "none of the known categories.",
    )


@_kind
def other_channels(names: Names, trained: Names) -> tuple[Piece, ...]:
    return (
        f"the channels are called {listed(names)}, and were {listed(trained)} in training; they are matched by their "
        "order.",
    )


@_kind
def features_begin_at_zero(names: Names) -> tuple[Piece, ...]:
    """Features that the model of a start (`Pretrained`) has not met."""
    return (f"the layers to begin with have not met {listed(names, 5)}; its weights begin at 0.",)


@_kind
def unlabeled_rows(count: int, known: int) -> tuple[Piece, ...]:
    """known: those that are rows of the study or sealed rows as well."""
    others = f"; {known} were left out, since they are rows of the study as well" if known else ""
    return (f"{count_of(count, 'row')} without the target took part in pre-training{others}.",)


@_kind
def features_without_use(names: Names) -> tuple[Piece, ...]:
    """Features of the model of a start that the study does not have."""
    return (f"the layers to begin with also knew {listed(names, 5)}, of which the study rows have none.",)


@_kind
def other_range(low: float, high: float, trained_low: float, trained_high: float) -> tuple[Piece, ...]:
    """Inputs so far from the training's that their units may differ."""
    return (
        f"the inputs run from {low:g} to {high:g}, and from {trained_low:g} to {trained_high:g} in training: are they "
        "in the same units?",
    )
