"""What was made of data that a person should know of: notes, which are facts; their sentences are made here.

A note is its kind and its facts, never its sentence. A kind is a function from the facts to the sentence in pieces (see
`perceptory.errors`), and calling it gives the note:

    note = examples_left_out(3)                 Note("examples_left_out", {"count": 3, "why": "without a target"})
    examples_left_out.describes(note)           True
    str(note), note.said(door)                  its sentence in Python's words, in another door's

Who looks for a note asks for its kind. A new kind is one function below.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

from perceptory.errors import Door, InputError, Piece, Remedy, Setting, python_words, say
from perceptory.registry import Registry
from perceptory.wording import count_of, listed, shown_value

P = ParamSpec("P")


@dataclass(frozen=True)
class Note:
    """kind: a name in `NOTES`. facts: by the names of the kind's arguments; plain values of JSON, lists as tuples."""

    kind: str
    facts: Mapping[str, Any]

    def __post_init__(self):
        object.__setattr__(self, "facts", {name: _plain(value) for name, value in self.facts.items()})
        inspect.signature(NOTES[self.kind].sentence).bind(**self.facts)

    def said(self, door: Door) -> str:
        """Its sentence in a door's words."""
        return say(NOTES[self.kind].sentence(**self.facts), door)

    def __str__(self) -> str:
        return self.said(python_words)

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.facts.items())))

    def to_json(self) -> dict[str, Any]:
        """Kind, facts and, for those who read the file, the sentence in Python's words."""
        return {"kind": self.kind, "facts": dict(self.facts), "sentence": str(self)}

    @classmethod
    def from_json(cls, data: Any) -> Note:
        """The note that `to_json` wrote; its sentence is made anew. `InputError` for what is no note."""
        if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
            raise InputError("a note needs a kind and facts. The file was altered.")
        try:
            note = cls(data["kind"], data["facts"])
            str(note)
        except (TypeError, KeyError, AttributeError, ValueError, LookupError):
            raise InputError(f"the facts of a note of the kind {data['kind'][:40]!r} were altered.") from None
        return note


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


NOTES: Registry[NoteKind] = Registry("kind of note", {})


def _kind(sentence: Callable[P, tuple[Piece, ...]]) -> NoteKind[P]:
    kind = NoteKind(sentence)
    NOTES.add(kind.name, kind)
    return kind


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_plain(v) for v in value)
    return value.item() if hasattr(value, "item") else value


Names = tuple[str, ...] | list[str]

# --- how a source was read -----------------------------------------------------------------------------------------


@_kind
def separator(source: str, name: str) -> tuple[Piece, ...]:
    """Cells of a text file are not apart by commas. name: of the sign, such as "semicolons"."""
    return (f"{source} is separated by {name}.",)


@_kind
def empty_lines(source: str, count: int) -> tuple[Piece, ...]:
    return (f"{source} has {count_of(count, 'empty line')} between its rows, left out.",)


@_kind
def decimal_commas(columns: Names) -> tuple[Piece, ...]:
    """Columns whose 1,5 was read as 1.5."""
    return (f"numbers with a decimal comma are read in {listed(columns)}.",)


@_kind
def commas_and_points(comma: str, point: str) -> tuple[Piece, ...]:
    """One column has decimal commas and another has points, so those with commas stay texts."""
    return (
        f"column {comma!r} has numbers with a comma and column {point!r} numbers with a point;"
        " those with a comma are read as text.",
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
def without_target(count: int, examples: str, target: str | None = None) -> tuple[Piece, ...]:
    """Rows, examples or series left out. examples: what one of them is called. target: the only one, if it is known."""
    many = count_of(count, examples) if examples != "series" else f"{count} series"
    what = "a target" if target is None else f"a value of the target {target!r}"
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
def read_as_text(column: str, example: str) -> tuple[Piece, ...]:
    """A column of which some values are numbers. example: one that is none."""
    return (
        f"column {column!r}: read as text because of values that are not plain numbers, such as "
        f"{shown_value(example)}.",
    )


@_kind
def ambiguous_dates(column: str, example: str) -> tuple[Piece, ...]:
    return (
        f"column {column!r}: dates such as {example!r} can be read in two ways (write 2020-12-31), so they are read as "
        "text.",
    )


@_kind
def several_types(column: str, types: Names) -> tuple[Piece, ...]:
    return (f"column {column!r}: values of several types ({', '.join(types)}) read as text.",)


@_kind
def not_an_input(column: str, reason: str) -> tuple[Piece, ...]:
    """A column that nobody named, left out of the inputs."""
    return (f"column {column!r} is not an input: {reason}.",)


@_kind
def past_not_an_input(column: str) -> tuple[Piece, ...]:
    """The past of a forecast's target is an input, but not where it is text."""
    return (f"the past of {column!r} is not an input, since it holds texts.",)


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
def in_order_of_time() -> tuple[Piece, ...]:
    return ("the examples of all series stand in the order of time: the last ones are sealed for the test.",)


@_kind
def shares_sealed_steps(count: int) -> tuple[Piece, ...]:
    """Examples left out of the study, since they share steps with sealed ones."""
    many = "examples that share" if count > 1 else "example that shares"
    return (f"{count} {many} steps with sealed ones left out of the study.",)


# --- new data against those of the training ------------------------------------------------------------------------


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
def other_range(low: float, high: float, trained_low: float, trained_high: float) -> tuple[Piece, ...]:
    """Inputs so far from the training's that their units may differ."""
    return (
        f"the inputs run from {low:g} to {high:g}, and from {trained_low:g} to {trained_high:g} in training: are they "
        "in the same units?",
    )
