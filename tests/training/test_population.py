"""Members in company: the same bits as alone, untouched by neighbors that diverge, one compilation a group."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceptory import SGD, Adam, KFold, Study, WeightPenalty, choice
from perceptory.networks.mlp import MLP
from perceptory.training import driver, pace, population
from perceptory.training import plan as plans
from perceptory.training.driver import train_group
from perceptory.training.pace import Pace
from perceptory.training.plan import MAX_BLOCK, MAX_BLOCKS, chunking, sizes
from perceptory.training.population import program
from perceptory.training.program_cache import cached_program
from perceptory.training.slots import Slots

RATES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2)
CROWD = Study(
    networks=MLP((4,)), optimizer=SGD(choice(*RATES)), epochs=14, patience=3, batch_size=8, validation=KFold(4),
    seeds=2, test=0,
)  # fmt: skip
ARRAYS = ("weights", "train_cost", "validation_cost", "train_output", "validation_output")


def same_bits(a, b):
    assert (a.status, a.epochs, a.best_epoch) == (b.status, b.epochs, b.best_epoch)
    for name in ARRAYS:
        assert np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True), name


def nearly(a, b):
    assert (a.status, a.epochs, a.best_epoch) == (b.status, b.epochs, b.best_epoch)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.fixture(scope="module")
def crowd(apart, sums):
    taken = apart(CROWD, sums(41, noise=2.0))
    return taken, taken.train()


def test_all_members_come_back_once(crowd):
    taken, outcomes = crowd
    assert len(taken.groups) == 1
    assert sorted(outcomes) == list(range(64))
    assert taken.groups[0].plan.chunk >= 64
    assert {o.status for o in outcomes.values()} == {"finished", "stopped"}
    assert len({o.weights.tobytes() for o in outcomes.values()}) == 64  # every one is its own


@pytest.mark.parametrize("place", [0, 21, 63])
def test_a_member_alone_has_the_bits_it_has_among_64(crowd, place):
    taken, outcomes = crowd
    (alone,) = taken.train(waiting=[place]).values()
    same_bits(alone, outcomes[place])


def test_places_in_the_chunk_do_not_matter(crowd):
    taken, outcomes = crowd
    order = np.random.default_rng(0).permutation(64).tolist()
    for place, outcome in taken.train(waiting=order).items():
        same_bits(outcome, outcomes[place])


def test_members_in_chunks_of_another_shape_are_the_same_to_rounding(crowd, apart, sums):
    taken, outcomes = crowd
    few = apart(CROWD.replace(optimizer=SGD(RATES[5]), seeds=1), sums(41, noise=2.0))
    assert few.groups[0].plan.block != taken.groups[0].plan.block
    for place, outcome in few.train().items():
        _, fold, seed = few.groups[0].who[place]
        nearly(outcome, outcomes[taken.groups[0].who.index((5, fold, seed))])


def test_members_that_wait_for_a_slot(crowd, apart, sums):
    """A budget for one block only: members take the slots of those that have finished, at other times."""
    _, outcomes = crowd
    small = apart(CROWD.replace(memory=1e-6), sums(41, noise=2.0))
    assert small.groups[0].plan.chunk < 64
    again = small.train()
    assert sorted(again) == list(range(64))
    for place, outcome in again.items():
        nearly(outcome, outcomes[place])


def test_some_waiting_members_only(crowd):
    taken, outcomes = crowd
    some = taken.train(waiting=[3, 50, 7])
    assert sorted(some) == [3, 7, 50]
    for place, outcome in some.items():
        same_bits(outcome, outcomes[place])


@pytest.fixture(scope="module")
def short(crowd):
    """The crowd in segments of three epochs."""
    taken = crowd[0]
    group = taken.groups[0]
    return dataclasses.replace(
        taken, groups=[dataclasses.replace(group, plan=dataclasses.replace(group.plan, segment=3))]
    )


def test_segments_do_not_matter(crowd, short):
    """A segment that ends in the middle of a run, or beyond the last epoch, changes nothing."""
    told = []
    outcomes = {}
    train_group(
        short.groups[0].plan, short.groups[0].members, short.raw, finished=outcomes.update, progress=told.append
    )
    for place, outcome in outcomes.items():
        nearly(outcome, crowd[1][place])
    assert told == sorted(told)
    assert told[-1] == sum(o.epochs for o in crowd[1].values())


def test_blocks_that_train_in_turn_give_the_same_bits(short, monkeypatch):
    """Where an epoch of all blocks takes too long for one call, some stand still while others train."""
    together = short.train()
    monkeypatch.setattr(pace, "SECONDS", 0.0)
    told, apart = [], {}
    group = short.groups[0]
    train_group(group.plan, group.members, short.raw, finished=apart.update, progress=told.append)
    assert max(np.diff(told)) <= 2 * group.plan.block < len(group.who)  # a block on each of two devices
    for place, outcome in apart.items():
        same_bits(outcome, together[place])


def test_a_segment_takes_about_a_second(short, monkeypatch):
    plan = dataclasses.replace(short.groups[0].plan, segment=1000)
    everywhere, steady = np.arange(plan.chunk), Pace(plan)
    used = plan.blocks // len(plans.chunk_devices(plan.blocks))
    assert Pace(plan).epochs(everywhere).max() == min(pace.FIRST // (plan.batches * used), 1000 // pace.GROWTH) > 1
    monkeypatch.setattr(pace, "FIRST", 0)
    given = []
    for _ in range(5):
        epochs = steady.epochs(everywhere)
        given.append(int(epochs[0]))
        steady.measured(epochs, 0.01 * epochs[0])
    assert given == [1, 8, 64, 100, 100]
    steady.measured(np.ones(plan.chunk), 4.0)  # one epoch of everybody in four seconds
    turns = [steady.epochs(everywhere).reshape(plan.blocks, plan.block) for _ in range(plan.blocks)]
    assert all(turn.max() == 1 and np.any(turn == 0) for turn in turns)
    assert np.all(sum(turns) > 0)


def test_running_members_are_packed_into_as_few_blocks_as_they_fill(short, monkeypatch):
    plan = short.groups[0].plan
    seen = []

    class Counted:
        def __init__(self, *arguments):
            self.run = cached_program(*arguments)
            self.state, self.make = self.run.state, self.run.make

        def __call__(self, members, state, fresh, most, data):
            active = (np.asarray(state.counters)[:, 3] == 0) | np.asarray(fresh)
            by_block = active.reshape(plan.blocks, plan.block).sum(axis=1)
            seen.append(((by_block > 0).sum(), active.sum()))
            return self.run(members, state, fresh, most, data)

    monkeypatch.setattr(driver, "cached_program", Counted)
    short.train()
    assert len(seen) >= 4
    assert seen[-1][1] < 40  # some had stopped before
    assert all(blocks == -(-running // plan.block) for blocks, running in seen), seen


def test_a_segment_ends_with_the_last_block_that_has_something_to_do(crowd):
    plan = dataclasses.replace(crowd[0].groups[0].plan, block=2, blocks=4)
    status = np.array([[1, 1], [0, 1], [1, 2], [1, 1]])
    new, train, no = np.zeros((4, 2), bool), np.full((4, 2), 5), np.zeros((4, 2), int)
    assert population._busy(status, new, train) == 2
    assert population._busy(status, new, no) == 0
    assert population._busy(status, new | (np.arange(4) == 2)[:, None], no) == 3
    assert population._busy(status, new, np.full((4, 2), population.OUTPUTS)) == 4
    slots = Slots(plan, [])
    slots.members[:3] = range(3)
    pause = driver.Pause(11, lambda running, outcomes: None)
    before = np.array([3, 8, 5, 0, 0, 0, 0, 0])
    assert pause.at_most(np.full(8, 2), before, slots, plan)[::2].tolist() == [2, 2, 2, 2]
    # Nobody goes beyond; who is there gives outputs, and blocks without members do nothing.
    at_once = pause.at_most(np.full(8, 50), before, slots, plan)[::2]
    assert at_once.tolist() == [population.OUTPUTS - 3, population.OUTPUTS - 6, 0, 0]


def test_nothing_waits(crowd):
    assert crowd[0].train(waiting=[]) == {}


# --- divergence --------------------------------------------------------------------------------------------------


def test_a_diverging_member_leaves_the_bits_of_the_others_alone(crowd):
    taken, outcomes = crowd
    members = taken.groups[0].members
    numbers = members.numbers.copy()
    bad = [0, 5, 40, 63]
    rate = [i for i, n in enumerate(numbers[0]) if n == np.float32(RATES[0])]
    assert len(rate) == 1
    numbers[bad, rate[0]] = 1e6
    again = taken.train(members=members._replace(numbers=numbers))
    for place, outcome in again.items():
        if place not in bad:
            same_bits(outcome, outcomes[place])
            continue
        assert outcome.status == "diverged"
        assert len(outcome.train_cost) == outcome.epochs < 14
        finite = np.isfinite(outcome.train_cost) & np.isfinite(outcome.validation_cost)
        assert finite[:-1].all()
        # ... and in the last epoch something was not: a cost, or the weights that the epoch led to
        assert outcome.best_epoch < outcome.epochs
        assert np.isfinite(outcome.weights).all()


def test_a_member_that_diverges_late_says_when(apart, sums):
    """A rate just too large: the cost grows from epoch to epoch until it overflows."""
    study = Study(
        networks=MLP(()), optimizer=SGD(choice(2.5, 0.1)), epochs=400, patience=0, batch_size=100, validation=KFold(2),
        test=0,
    )  # fmt: skip
    outcomes = apart(study, sums(30)).train()
    for place in (0, 1):
        o = outcomes[place]
        assert o.status == "diverged"
        assert 5 < o.epochs < 400
        assert not np.isfinite([o.train_cost[-1], o.validation_cost[-1]]).all()
        assert np.isfinite(o.train_cost[:-1]).all()
        assert np.isfinite(o.validation_cost[:-1]).all()
        assert o.best_epoch == 1 + np.argmin(o.validation_cost[:-1])
    for place in (2, 3):
        assert (outcomes[place].status, outcomes[place].epochs) == ("finished", 400)


# --- keys --------------------------------------------------------------------------------------------------------


def test_streams_come_from_content(crowd, apart, sums):
    taken, _ = crowd
    keys = [tuple(k) for k in taken.groups[0].members.key]
    assert len(set(keys)) == 64
    # other candidates beside, another order of them: the keys of the same content stay
    other = apart(CROWD.replace(optimizer=SGD(choice(0.2, 0.7, 0.01))), sums(41, noise=2.0))
    by_content = {
        (other.candidates[c], f, s): k
        for (c, f, s), k in zip(other.groups[0].who, other.groups[0].members.key, strict=True)
    }
    for (c, f, s), key in zip(taken.groups[0].who, keys, strict=True):
        if taken.candidates[c].optimizer.learning_rate in (0.2, 0.01):
            assert tuple(by_content[taken.candidates[c], f, s]) == key
    # another seed of the study: all others
    again = apart(CROWD.replace(seed=1), sums(41, noise=2.0))
    assert not set(keys) & {tuple(k) for k in again.groups[0].members.key}


def test_equal_specs_written_differently_are_one_member(apart, sums):
    one = Study(networks=MLP((2,), dropout=0), penalty=WeightPenalty(1, p=2), optimizer=SGD(1), validation=KFold(2))
    two = Study(
        networks=MLP((2,), dropout=0.0), penalty=WeightPenalty(1.0, p=2.0), optimizer=SGD(1.0), validation=KFold(2)
    )
    assert one == two
    keys = [apart(s, sums(20)).groups[0].members.key for s in (one, two)]
    assert np.array_equal(*keys)


# --- compilations ------------------------------------------------------------------------------------------------


def test_numbers_do_not_compile(apart, sums, compilations):
    """One program for a search over rates, strengths, momenta; none for another study of other numbers and data."""
    study = Study(
        networks=MLP((3,), dropout=choice(0.1, 0.2)), optimizer=Adam(choice(0.01, 0.1), beta1=0.8), epochs=4,
        batch_size=8, penalty=WeightPenalty(choice(0.0, 0.1)), validation=KFold(2), test=0,
    )  # fmt: skip
    first = apart(study, sums(24))
    assert len(first.groups) == 1
    before = program.cache_info().misses
    first.train()
    assert program.cache_info().misses == before + 1
    other = study.replace(
        networks=MLP((3,), dropout=choice(0.3, 0.4)), optimizer=Adam(choice(0.5, 0.003), beta1=0.95), seed=9,
        penalty=WeightPenalty(choice(1.0, 1e-5)),
    )  # fmt: skip
    second = apart(other, sums(24, seed=8))
    with compilations() as counter:
        outcomes = second.train()
    assert counter.count == 0
    assert program.cache_info().misses == before + 1
    assert len(outcomes) == 16


def test_rounds_of_waiting_members_do_not_compile(crowd, apart, sums, compilations):
    small = apart(CROWD.replace(memory=1e-6), sums(41, noise=2.0))
    small.train(waiting=range(8))
    with compilations() as counter:
        small.train()
    assert counter.count == 0


def test_what_is_static_makes_groups(apart, sums):
    study = Study(
        networks=[MLP((choice(2, 3),), choice("tanh", "relu")), MLP((2,), dropout=choice(0.0, 0.1, 0.2))],
        optimizer=Adam(choice(0.1, 0.2)), validation=KFold(2), test=0,
    )  # fmt: skip
    taken = apart(study, sums(20))
    # (2) and (3) wide, tanh or relu; dropout off is the first of them again, dropout on is one more
    assert len(taken.groups) == 5
    assert sum(len(g.who) for g in taken.groups) == 2 * len(taken.candidates) == 2 * 2 * 6
    assert sorted({w for g in taken.groups for w in g.who}) == sorted(w for g in taken.groups for w in g.who)


# --- chunks ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 20_000), st.integers(1, 2**31), st.integers(1, 2**34))
def test_chunks_hold_the_group_within_the_budget(members, bytes_each, budget):
    block, blocks = chunking(members, bytes_each, budget)
    assert 1 <= block <= min(MAX_BLOCK, members)
    assert 1 <= blocks <= MAX_BLOCKS
    assert block * (blocks - 2) < members  # no more than a block or two to spare
    if blocks > 1:
        assert 2 * block * blocks * bytes_each <= budget


def test_chunks_do_not_look_at_the_machine(monkeypatch):
    def no(*_):
        raise RuntimeError("looked at the devices")

    for name in ("local_devices", "devices", "device_count", "local_device_count"):
        monkeypatch.setattr(jax, name, no)
    monkeypatch.setattr(plans, "chunk_devices", no)
    bytes_each = sizes(MLP((4,)), (3,), (1,), 8, 30)
    assert chunking(64, bytes_each, 2**31) == chunking(64, bytes_each, 2**31)


SCRIPT = """
import hashlib, json, sys
import numpy as np
import jax
from perceptory import Adam, KFold, MLP, Study, choice, read_table
random = np.random.default_rng(0)
x = random.normal(size=(50, 3))
data = read_table(x, x @ [1.0, 2.0, 3.0] + random.normal(size=50))
study = Study(networks=MLP((5,)), optimizer=Adam(choice(0.01, 0.03, 0.1)), epochs=8, patience=2, batch_size=8,
              validation=KFold(5), seeds=2)
result = study.run(data)
digest = hashlib.sha256()
for m in sorted(result.members, key=lambda m: (m.candidate, m.fold, m.seed)):
    for a in (m.train_cost, m.validation_cost, np.array([m.score, m.train_score])):
        digest.update(a.tobytes())
digest.update(result.model.weights.tobytes())
digest.update(result.predictions.output.tobytes())
print(json.dumps([len(jax.local_devices()), digest.hexdigest()]))
"""


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the number of CPU devices is what it changes")
def test_one_and_two_devices_give_the_same_bits(capsys):
    """As many as there are here, and another number in a process of its own."""
    here = len(jax.local_devices())
    env = os.environ | {"JAX_NUM_CPU_DEVICES": "2" if here == 1 else "1"}
    other = subprocess.Popen([sys.executable, "-c", SCRIPT], env=env, stdout=subprocess.PIPE, text=True)
    exec(SCRIPT, {})
    results = [json.loads(capsys.readouterr().out), json.loads(other.communicate()[0])]
    assert [devices for devices, _ in results] == [here, 2 if here == 1 else 1]
    assert results[0][1] == results[1][1]
