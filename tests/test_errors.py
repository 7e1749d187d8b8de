"""Sentences in pieces: each door says a setting in its own words, and nobody looks into a sentence."""

import pickle

import pytest

from perceptory.errors import UNSET, InputError, Remedy, Setting


def shell(setting):
    """A door that has three settings."""
    if setting.name not in ("known", "predict", "epochs"):
        return None
    return f"--{setting.name}" if setting.value is UNSET else f"--{setting.name} {setting.value}"


def test_a_plain_sentence_is_the_same_at_every_door():
    error = InputError("the table has no {rows} or known='all'.")
    assert str(error) == error.said(shell) == "the table has no {rows} or known='all'."


def test_a_setting_is_said_in_the_words_of_the_door():
    error = InputError(Setting("known"), " is for ", Setting("predict", "every"), ", not for {braces}.")
    assert str(error) == 'known is for predict="every", not for {braces}.'
    assert error.said(shell) == "--known is for --predict every, not for {braces}."


def test_a_remedy_is_said_where_the_door_has_its_settings():
    error = InputError(
        "too many", Remedy("; ", Setting("known", 3), " helps"), Remedy("; or ", Setting("part", "x")), "."
    )
    assert str(error) == 'too many; known=3 helps; or part="x".'
    assert error.said(shell) == "too many; --known 3 helps."


def test_a_setting_that_a_door_has_not_is_said_in_pythons_words_outside_of_remedies():
    assert InputError("leave ", Setting("part"), " out.").said(shell) == "leave part out."


def test_a_field_is_said_with_its_class_in_python():
    error = InputError(Setting("epochs", owner="Study"), " needs more. Example: ", Setting("epochs", 5, owner="Study"))
    assert str(error) == "Study.epochs needs more. Example: epochs=5"
    assert error.said(shell) == "--epochs needs more. Example: --epochs 5"


def test_an_error_is_a_piece_of_another():
    inner = InputError("leave ", Setting("known"), " out.")
    assert InputError("test rows: ", inner).said(shell) == "test rows: leave --known out."


@pytest.mark.parametrize("error", [InputError("plain"), InputError(Setting("known", "all"), Remedy("!", Setting("x")))])
def test_errors_go_through_pickle(error):
    again = pickle.loads(pickle.dumps(error))
    assert again.pieces == error.pieces
    assert str(again) == str(error)
    assert again.said(shell) == error.said(shell)


def test_what_nobody_reads_is_cut():
    cell, path = "0" * 3000, "/".join(["folder"] * 60)
    said = str(InputError(f"column '{cell}' in {path} holds '{'w ' * 400}'."))
    assert len(said) < 800
    assert path in said
    assert said.startswith("column '000")
    assert said.endswith("w w '.")
