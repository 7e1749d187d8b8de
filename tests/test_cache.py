"""Kept files run as machine code: only whole ones are read, and only from where nobody else could have put them."""

import os
import stat

import numpy as np
import pytest

from perceptory import backend, cache
from perceptory.cache import ProblemKind

as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
CONTENT = np.random.default_rng(0).bytes(500)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """What has been found out about folders so far does not count."""
    cache.usable.cache_clear()
    monkeypatch.setattr(cache, "_problems", {})
    yield
    cache.usable.cache_clear()


def kinds():
    return [problem.kind for problem in cache.problems()]


def test_written_and_read(tmp_path):
    folder = tmp_path / "a" / "b"
    assert cache.usable(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for content in (CONTENT, b"", CONTENT[:7]):
        assert cache.write(folder / "x", content)
        assert cache.read(folder / "x") == content
    assert stat.S_IMODE((folder / "x").stat().st_mode) == 0o600
    assert [p.name for p in folder.iterdir()] == ["x"]  # nothing temporary is left
    assert cache.read(folder / "y") is None
    assert not cache.problems()


def test_altered_bits_and_missing_ends_are_found(tmp_path, caplog):
    path = tmp_path / "x"
    cache.write(path, CONTENT)
    whole = path.read_bytes()
    ends = range(8 * len(CONTENT), 8 * len(whole), 3)
    for bit in (*range(0, 8 * len(CONTENT), 61), *ends):
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        path.write_bytes(altered)
        assert cache.read(path) is None
    for length in (*range(0, len(CONTENT), 50), *range(len(CONTENT), len(whole), 5)):
        path.write_bytes(whole[:length])
        assert cache.read(path) is None
    path.write_bytes(whole + b"more")
    assert cache.read(path) is None
    assert kinds() == [ProblemKind.DAMAGED]
    assert [r.getMessage() for r in caplog.records] == [f"perceptory: {path} is damaged and is made anew."]
    assert cache.write(path, CONTENT)
    assert cache.read(path) == CONTENT
    os.replace(path, tmp_path / "another")
    assert cache.read(tmp_path / "another") is None


def test_what_others_may_write_to_is_not_read(tmp_path, caplog):
    path = tmp_path / "x"
    cache.write(path, CONTENT)
    for mode in (0o620, 0o602, 0o666):
        path.chmod(mode)
        assert cache.read(path) is None
    path.chmod(0o644)
    assert cache.read(path) == CONTENT
    assert kinds() == [ProblemKind.OPEN_TO_OTHERS]
    for name, mode, taken in (("a", 0o777, False), ("b", 0o720, False), ("c", 0o1777, False), ("d", 0o755, True)):
        folder = tmp_path / name
        folder.mkdir()
        folder.chmod(mode)
        assert cache.usable(folder) is taken
    assert "chmod go-w" in caplog.text
    # A folder of one's own, that anybody could put another one in the place of.
    (tmp_path / "a" / "own").mkdir(mode=0o700)
    assert not cache.usable(tmp_path / "a" / "own")
    (tmp_path / "c" / "own").mkdir(mode=0o700)  # the sticky bit, as /tmp has it
    assert cache.usable(tmp_path / "c" / "own")


@as_root
def test_what_belongs_to_others_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "x"
    cache.write(path, CONTENT)
    os.chown(path, 12345, 12345)
    assert cache.read(path) is None
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    assert not cache.usable(folder)
    assert kinds() == [ProblemKind.FOREIGN, ProblemKind.FOREIGN]
    monkeypatch.setenv("PERCEPTORY_CACHE", str(folder))
    assert backend.cache_folder() is None


def test_links_and_pipes_are_not_read(tmp_path):
    cache.write(tmp_path / "x", CONTENT)
    (tmp_path / "link").symlink_to(tmp_path / "x")
    assert cache.read(tmp_path / "link") is None
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert cache.read(tmp_path / "pipe") is None
    assert cache.read(tmp_path) is None


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    assert not cache.usable(tmp_path / "file")
    assert not cache.usable(tmp_path / "file" / "below" / "it")
    assert kinds() == [ProblemKind.NOT_A_FOLDER, ProblemKind.NOT_A_FOLDER]


def test_without_a_home(monkeypatch, caplog):
    monkeypatch.setenv("PERCEPTORY_CACHE", "on")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(backend.Path, "home", home)
    assert backend.cache_folder() is None
    assert backend.cache_folder() is None
    assert len(caplog.records) == 1
    assert kinds() == [ProblemKind.NO_HOME]


def test_no_room(tmp_path, monkeypatch):
    """Nothing is written to a full folder; kernels go to another one."""
    full = tmp_path / "full"
    assert cache.usable(full)
    assert cache.writable(full)
    space = os.statvfs(tmp_path)

    class Full:
        f_frsize, f_bavail = space.f_frsize, 100

    monkeypatch.setattr(os, "statvfs", lambda path: Full if "full" in str(path) else space)
    assert not cache.writable(full)
    assert kinds() == [ProblemKind.FULL]
    monkeypatch.setenv("TMPDIR", str(full))
    monkeypatch.setattr(cache.tempfile, "tempdir", str(full))
    for folder in cache.temporary_folders():
        assert not folder.is_relative_to(full)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fails(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    assert not cache.write(tmp_path / "x", CONTENT)
    assert not list(tmp_path.iterdir())
