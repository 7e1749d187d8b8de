"""Programs compiled ahead are those that training takes, once each, to the same bits; failures wait for their turn."""

import threading

import pytest

from perceptory import MLP, SGD, KFold, Study, backend, choice
from perceptory.training import ahead
from perceptory.training import program_cache as kept

STUDY = Study(
    MLP((3,), activation=choice("tanh", "relu", "elu")), optimizer=SGD(0.05), epochs=3, batch_size=8,
    validation=KFold(2), test=0,
)  # fmt: skip


@pytest.fixture
def anew(monkeypatch):
    """Nothing is compiled yet; [thread, plan] of each program that is."""
    made, own = [], kept.Program._made

    def noted(self, turn):
        made.append((threading.current_thread().name, self._plan))
        return own(self, turn)

    monkeypatch.setattr(kept.Program, "_made", noted)
    monkeypatch.setattr(kept, "_path", lambda *_: None)
    kept._ready.cache_clear()
    yield made
    kept._ready.cache_clear()


def scores(result):
    return [(c.id, c.per_fold) for c in result.candidates]


def test_each_program_is_made_once_and_bits_are_the_same(anew, sums, monkeypatch):
    monkeypatch.setattr(backend, "cores", lambda: 2)
    with_thread = STUDY.run(sums())
    assert len({plan for _, plan in anew}) == len(anew) == 3
    assert threading.active_count() == 1 or all("compiling" not in t.name for t in threading.enumerate())
    kept._ready.cache_clear()
    monkeypatch.setattr(backend, "cores", lambda: 1)
    alone = STUDY.run(sums())
    assert [name for name, _ in anew[3:]] == ["MainThread"] * 3
    assert scores(with_thread) == scores(alone)


def test_training_takes_what_was_compiled_ahead(anew, apart, sums):
    taken = apart(STUDY, sums())
    ahead.compile_for(taken.groups[0].plan, taken.groups[0].members, taken.raw)
    taken.train()
    assert len(anew) == 1


def test_what_fails_waits_for_its_turn(anew, sums, monkeypatch):
    def failing(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr(ahead, "compile_for", failing)
    STUDY.run(sums())
    assert [name for name, _ in anew] == ["MainThread"] * 3


def test_only_a_few_are_ahead(anew, apart, sums, monkeypatch):
    monkeypatch.setattr(backend, "cores", lambda: 2)
    monkeypatch.setattr(ahead, "LEAD", 1)
    compiled, more = [], threading.Semaphore(0)

    def noted(plan, *_):
        compiled.append(plan)
        more.release()

    monkeypatch.setattr(ahead, "compile_for", noted)
    taken = apart(STUDY, sums())
    groups = [(group.plan, group.members) for group in taken.groups]
    with ahead.compiled_ahead(groups, taken.raw, "single") as begins:
        more.acquire()
        assert not more.acquire(timeout=0.1)
        begins()
        more.acquire()
        assert len(compiled) == 2
