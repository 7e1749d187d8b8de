"""Notes: kinds and facts, from which every door makes its own sentence, also after a file."""

import json
import re
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from perceptory import notes, read_series
from perceptory.app.door import command_line
from perceptory.errors import InputError, Setting
from perceptory.notes import NOTES, REMARKS, Note, in_common, joined

SAMPLES = {
    str | None: "a",
    int | None: 3,
    notes.Names | None: ("a", "b"),
    Note: notes.no_value(),
    str: "a",
    int: 3,
    bool: True,
    float: 1.5,
    notes.Names: ("a", "b"),
    tuple[int, ...]: (6, 4),
}


def shell(setting: Setting) -> str | None:
    return f"--{setting.name} {setting.value}" if setting.name == "task" else None


def a_note(kind):
    hints = get_type_hints(kind.sentence)
    hints.pop("return")
    return kind(**{name: SAMPLES[hint] for name, hint in hints.items()})


@pytest.mark.parametrize("name", NOTES)
def test_every_kind_is_one_sentence_and_comes_back_from_json(name):
    note = a_note(NOTES[name])
    assert NOTES[name].describes(note)
    assert name in REMARKS or str(note)[-1] in ".?"
    assert "None" not in str(note)
    assert "\n" not in str(note)
    text = json.dumps(note.to_json())
    again = Note.from_json(json.loads(text))
    assert again == note
    assert hash(again) == hash(note)
    assert again.said(shell) == note.said(shell)
    assert json.loads(text)["sentence"] == str(note)


def test_each_door_says_a_note_in_its_words():
    note = notes.target_as_classes("y", 3, "0", "2")
    assert str(note) == (
        "the target 'y' holds the whole numbers 0 to 2, read as classes; task=\"regression\" reads it as a number."
    )
    assert "read as classes; --task regression reads" in note.said(shell)
    part = notes.other_part("a.npz", "test", "examples")
    assert str(part) == 'a.npz also holds test examples; part="test" reads them.'
    assert part.said(shell) == "a.npz also holds test examples."


@pytest.mark.parametrize("name", sorted(REMARKS))
def test_a_remark_on_several_columns_leaves_out_what_differs(name):
    """A fact that differs is None, and no sentence says None."""
    kind = NOTES[name]
    remark = a_note(kind)
    assert in_common([remark, remark]) == remark
    for fact, value in remark.facts.items():
        other = Note(name, {**remark.facts, fact: value + 1 if isinstance(value, int) else (value, "b") and "other"})
        merged = in_common([remark, other, remark])
        assert merged.facts == {**remark.facts, fact: None}
        assert "None" not in str(merged)


def test_remarks_on_columns_are_joined():
    assert joined([]) == ""
    assert joined([notes.identifier("every value differs"), notes.duration()]) == (
        "every value differs (identifier); duration in seconds"
    )


def test_remarks_are_joined_in_a_doors_words():
    remarks = [notes.duration(), notes.not_plain_numbers("n/v", 3)]
    assert joined(remarks, command_line).endswith("where that stands for a missing value, --missing n/v says so")
    table = {"u": ["n/v", "q", *map(str, range(8))] * 4, "v": range(40), "y": range(40)}
    with pytest.raises(InputError) as error:
        read_series(table, "y", predict="every step", window=5)
    assert "such as 'n/v' in row 1; where that stands for a missing value, --missing n/v says" in error.value.said(
        command_line
    )


def test_python_is_warned_of_notes_and_not_of_their_sentences():
    """So that the command line says them in its own words."""
    package = Path(notes.__file__).parent
    said = [path for path in package.rglob("*.py") if re.search(r"warn\(\s*str\(", path.read_text("utf-8"))]
    assert said == []


def test_facts_are_plain_values():
    note = notes.one_hot(np.int64(4))
    assert note.facts == {"classes": 4}
    assert type(note.facts["classes"]) is int
    assert notes.columns_not_used(["a", "b"]).facts == {"names": ("a", "b")}


def test_facts_that_a_kind_has_not_are_refused():
    with pytest.raises(TypeError):
        Note("one_hot", {"rows": 3})
    with pytest.raises(InputError, match="unknown kind of note"):
        Note("one_hots", {"classes": 3})


@pytest.mark.parametrize(
    "altered",
    [
        None,
        "a sentence",
        {},
        {"kind": 3, "facts": {}},
        {"kind": "no such", "facts": {}},
        {"kind": "one_hot"},
        {"kind": "one_hot", "facts": []},
        {"kind": "one_hot", "facts": {"classes": "four"}},
        {"kind": "one_hot", "facts": {"classes": 4, "more": 1}},
        {"kind": "decimal_commas", "facts": {"columns": 4}},
    ],
)
def test_an_altered_note_of_a_file_is_refused(altered):
    with pytest.raises(InputError):
        Note.from_json(altered)
