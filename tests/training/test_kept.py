"""Programs kept between processes: the same bits without tracing, and compiled anew where they cannot be read."""

import jax
import numpy as np
import optax
import pytest

from perceptory import MLP, SGD, KFold, Optax, Study, choice
from perceptory.training import kept

STUDY = Study(MLP((3,)), optimizer=SGD(choice(0.05, 0.1)), epochs=3, batch_size=8, validation=KFold(2), test=0)


@pytest.fixture
def folder(tmp_path):
    """A cache folder, as a process of its own would have it."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    kept._ready.cache_clear()
    yield tmp_path / "programs"
    jax.config.update("jax_compilation_cache_dir", before)
    kept._ready.cache_clear()


def train(taken):
    kept._ready.cache_clear()
    return taken.train()


def test_read_back_in_place_of_tracing(folder, apart, sums, monkeypatch):
    taken = apart(STUDY, sums())
    first = train(taken)
    assert len(list(folder.iterdir())) == 1
    with monkeypatch.context() as forbidden:
        forbidden.setattr(kept, "program", None)
        forbidden.setattr(kept, "empty_state", None)
        second = train(taken)
    assert len(first) == 4
    for place, outcome in first.items():
        assert np.array_equal(outcome.weights, second[place].weights)
        assert np.array_equal(outcome.validation_output, second[place].validation_output)

    # Cut short by a crash: compiled and written again.
    path = next(folder.iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    third = train(taken)
    assert np.array_equal(first[0].weights, third[0].weights)
    assert len(path.read_bytes()) > 1000

    # Other shapes, other kinds, other sources: other names.
    def name(study, rows=40):
        group = apart(study, sums(rows)).groups[0]
        return kept._path(group.plan, group.members, apart(study, sums(rows)).raw)

    names = [name(STUDY), name(STUDY, 48), name(STUDY.replace(networks=MLP((4,)))), name(STUDY.replace(batch_size=4))]
    monkeypatch.setattr(kept, "_surroundings", lambda: "another version")
    names.append(name(STUDY))
    assert len(set(names)) == 5
    assert name(STUDY.replace(optimizer=Optax(optax.sgd(0.1)))) is None  # a function of the user's has no name


def test_a_folder_that_cannot_be_written_does_not_stop_a_study(folder, apart, sums):
    folder.write_text("a file in its place")
    assert len(train(apart(STUDY, sums()))) == 4


def test_programs_not_used_for_long_are_removed(folder, tmp_path):
    import os

    folder.mkdir()
    for name, days in (("old", 40), ("new", 1)):
        (folder / name).touch()
        age = kept.time.time() - days * 86400
        os.utime(folder / name, (age, age))
    kept._tidy(folder)
    assert [p.name for p in folder.iterdir()] == ["new"]
