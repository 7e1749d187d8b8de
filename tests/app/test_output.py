"""Where output goes: other encodings, closed and full streams, devices, pipes and links; what may stand in it."""

import contextlib
import errno
import io
import os
import resource
import stat
import subprocess
import sys
import tempfile
import threading

import numpy as np
import polars as pl
import pytest

from perceptory import stream_table, wording
from perceptory.app.cli import _say, main
from perceptory.app.output import _guarded, open_streams, write_data, write_frames
from perceptory.app.rendering import fitted
from perceptory.errors import InputError
from perceptory.models.model_file import write_bytes
from perceptory.runs.spreadsheet import guarded

CITIES = "Zürich,東京,Łódź,Αθήνα,عمان\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252", "cp437"])
@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_predictions_are_utf8_in_any_locale(monkeypatch, encoding, errors):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, errors))
    open_streams()
    write_data(CITIES)
    assert raw.getvalue().decode("utf-8") == CITIES


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_words_lose_no_letter(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    open_streams()
    print(CITIES, end="", flush=True)
    text = raw.getvalue().decode(encoding).encode(encoding).decode(encoding)
    assert "?" not in text
    assert "\\u6771\\u4eac" in text


def shell(command):
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [("> /dev/full", 2, "perceptory: No space left on device"), (">&-", 2, "perceptory: standard output is closed")],
)
def test_what_cannot_be_written_is_no_success(redirection, code, said):
    done = shell(f"{sys.executable} -m perceptory --version {redirection}")
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_is_said(monkeypatch, capsys):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        monkeypatch.setattr(sys, "__stdout__", pipe)
        assert main(["--version"]) == 141
    assert capsys.readouterr().err == "perceptory: stopped, since nobody reads the output any more.\n"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-x", "'-x"),
        ("\t=1", "'\t=1"), ("'=1", "''=1"), ("-1", "-1"), ("+1.5e-3", "+1.5e-3"), ("-1,234.5", "-1,234.5"),
        ("-5%", "-5%"), ("a=1", "a=1"), ("", ""), ("'a", "'a"), ("-1+1", "'-1+1"), ("-", "'-"),
    ],
)  # fmt: skip
def test_no_spreadsheet_runs_a_text(text, cell):
    assert guarded(text) == cell
    frame = _guarded(pl.DataFrame({text: [text, None, "x"], "n": [-1.0, 2.0, 3.0]}))
    assert frame.to_dict(as_series=False) == {cell: [cell, None, "x"], "n": [-1.0, 2.0, 3.0]}


def test_nothing_to_write_needs_no_output(monkeypatch, tmp_path):
    """A closed standard output is no reason to refuse what writes nothing there."""
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["predict", str(tmp_path / "none"), "data.csv"]) == 2


CONTROLS = [
    "a\x1b[2Jb",
    "a\rb",
    "a\x07b",
    "a\u202eb",
    "a\x9b31mb",
    "a\u2028b",
    "a\x00b",
    "a\ud800b",
    "a\x1b]0;title\x07b",
]


@pytest.mark.parametrize("name", CONTROLS)
def test_names_move_no_cursor(name, capsys):
    for text in (fitted([f"target {name}: regression"]), wording.one_line(f"no column {name} here")):
        assert not set(text) & set("\x1b\r\x07\u202e\x9b\u2028\x00\ud800")
        assert text.isprintable()
        assert "a" in text
    assert main(["fit", name + ".nothing", "--target", name]) == 2
    said = capsys.readouterr().err
    assert said[:-1].isprintable()


@pytest.mark.parametrize("name", ["Größe", "東京", "x y", "a\u00a0b", "👩‍🔬", "عمان"])
def test_names_of_all_writings_stay(name):
    assert wording.printable(name) == name


def test_long_sentences_are_cut_in_the_middle(capsys):
    assert _say("x" * 5000, 2) == 2
    said = capsys.readouterr().err
    assert len(said) < 1100
    assert said.startswith("perceptory: ")
    assert " ... " in said
    assert wording.one_line("a" * 1000) == "a" * 1000


def test_a_device_stays_a_device():
    write_bytes("/dev/null", b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(InputError, match=r"cannot write to /dev/full: no space is left on the device\. Make room"):
        write_bytes("/dev/full", b"x")


def test_a_pipe_is_written_to(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_bytes(pipe, b"content")
    reader.join(60)
    assert read == [b"content"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_stays_and_modes_stay(tmp_path):
    (tmp_path / "there").mkdir()
    target, link, dangling = tmp_path / "there" / "file", tmp_path / "link", tmp_path / "dangling"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    dangling.symlink_to(tmp_path / "there" / "other")
    write_bytes(dangling, b"new")
    assert (tmp_path / "there" / "other").read_bytes() == b"new"
    assert sorted(p.name for p in (tmp_path / "there").iterdir()) == ["file", "other"]


def test_a_name_as_long_as_names_may_be(tmp_path):
    path = tmp_path / ("n" * 255)
    write_bytes(path, b"x")
    assert path.read_bytes() == b"x"


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        write_bytes(tmp_path, b"x")
    assert tmp_path.is_dir()


@contextlib.contextmanager
def small_files(size):
    """No file grows beyond so many bytes, not even the one that the tests' own output may go to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_temporary_folder_without_room_is_told_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lines = "".join(f"{k},{k / 7}\n" for k in range(150))
    (tmp_path / "t.csv").write_text(f"x,y\n{lines}")
    told = rf"temporary folder {tmp_path}.*File too large. Make room there, or.*TMPDIR"
    with small_files(100), pytest.raises(InputError, match=told):
        stream_table(tmp_path / "t.csv", "y")
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("name", ["new.csv", "new.parquet"])
def test_a_file_that_may_not_grow_is_one_sentence_and_leaves_nothing(name, tmp_path):
    """What polars writes without Python says of its failure nothing but that it failed."""
    (tmp_path / name).write_bytes(b"older")
    frame = pl.DataFrame({"a": np.random.default_rng(0).normal(size=5000)})
    with small_files(3000), pytest.raises(InputError, match=r"cannot write to .*: File too large"):
        write_frames(str(tmp_path / name), iter([frame, frame]))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {name: b"older"}


def test_a_file_that_cannot_take_its_place_is_not_left(tmp_path, monkeypatch):
    def refuse(*paths):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        write_frames(str(tmp_path / "new.csv"), iter([pl.DataFrame({"a": [1]})]))
    assert list(tmp_path.iterdir()) == []
