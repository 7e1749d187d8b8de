"""Rounds: candidates from an outer optimizer, evaluated as those of a study, kept and found again."""

import numpy as np
import pytest

from perceptory import (
    Halving,
    KFold,
    Linear,
    Nested,
    Study,
    TabularMLP,
    choice,
    integers,
    load_result,
    log_uniform,
    read_table,
    uniform,
)
from perceptory.errors import InputError
from perceptory.networks.mlp import MLP
from perceptory.reports import page
from perceptory.selection.points import at, drawn, filled, options, space

SPACE = Study(
    [Linear(ridge=log_uniform(1e-3, 10.0)), MLP(choice((2,), (3,)), choice("tanh", "relu"), dropout=uniform(0, 0.5))],
    batch_size=integers(4, 9),
)
RIDGES = Study(Linear(ridge=log_uniform(1e-3, 10.0)), validation=KFold(3))  # solved: nothing depends on chance


def table(rows=40):
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 5))
    return read_table(x, x @ np.arange(5.0) + 3 * random.normal(size=rows))


@pytest.fixture(scope="module")
def searched():
    return SPACE.rounds(table())


def test_the_space_has_names_and_conditions(searched):
    names = {"network", "network.values[0].ridge", "batch_size"}
    more = {f"network.values[1].{name}" for name in ("hidden", "activation", "dropout")}
    assert set(searched.space) == names | more
    assert options(searched.space["network"]) == (0, 1)
    assert options(searched.space["network.values[1].activation"]) == ("tanh", "relu")
    point = {"network": 0, "network.values[0].ridge": 0.5, "batch_size": 4}  # what the other network has is left out
    assert searched.candidate(point).network == Linear(ridge=0.5)
    asked = []

    def suggest(name, search):
        asked.append(name)
        return {"network": 1, "batch_size": 5, "network.values[1].hidden": 1}.get(
            name, 0.25 if "drop" in name else "relu"
        )

    assert searched.candidate(suggest).network == MLP((3,), "relu", dropout=0.25)
    assert "network.values[0].ridge" not in asked


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ({"network": 0, "batch_size": 4}, r"lacks network\.values\[0\]\.ridge"),
        ({"network": 2}, r"network takes one of 0, 1, got 2"),
        ({"networks": 1}, r"no 'networks'\. Did you mean 'network'"),
        ({"network": 0, "network.values[0].ridge": 11.0}, r"from 0\.001 to 10, got 11"),
        ({"network": 0, "network.values[0].ridge": 1.0, "batch_size": 4.5}, r"batch_size takes a whole number from 4"),
    ],
)
def test_points_outside_the_space_are_refused(searched, point, said):
    with pytest.raises(InputError, match=said):
        searched.candidate(point)


def test_points_at_random_are_in_the_space_and_new():
    template = (choice(1, 2, 3), choice("a", None))
    random = np.random.default_rng(0)
    points = [drawn(template, random) for _ in range(30)]
    assert {at(template, p) for p in points} == {(a, b) for a in (1, 2, 3) for b in ("a", None)}
    assert filled(7, lambda *_: 0) == 7
    assert space(template).keys() == {"[0]", "[1]"}
    two = Study(Linear(ridge=choice(0.1, 0.2)), validation=KFold(3)).rounds(table())
    assert sorted(p["network.ridge"] for p in two.ask(5)) == [0.1, 0.2]


class Thirds:
    """An outer optimizer for one number: it looks a third to both sides of the best so far."""

    def __init__(self):
        self.known, self.width = {}, 1.9

    def ask(self, count):
        best = min(self.known, key=self.known.get, default=-1.0)
        steps = np.linspace(-self.width, self.width, count) + 1e-3 * len(self.known)
        return [{"network.ridge": float(np.clip(10 ** (best + s), 1e-3, 10))} for s in steps]

    def tell(self, points, scores):
        self.known |= {np.log10(p["network.ridge"]): s for p, s in zip(points, scores, strict=True)}
        self.width /= 3


def test_an_outer_optimizer_finds_what_a_grid_finds():
    rounds, outer = RIDGES.rounds(table()), Thirds()
    rounds.drive(outer, rounds=4, each=4)
    grid = [{"network.ridge": float(ridge)} for ridge in np.logspace(-2.9, 0.9, 12)]
    scores = [score for k in range(0, 12, 4) for score in rounds.evaluate(grid[k : k + 4])]
    assert min(outer.known.values()) <= min(scores) * 1.001
    assert rounds.evaluate(grid[:1]) == scores[:1]  # trained once
    result = rounds.result(open_test=True)
    assert len(result.candidates) == len(rounds.candidates) <= 28
    assert result.estimate.mean == min([*scores, *outer.known.values()])
    assert result.tested["rmse"] > 0


def test_rounds_in_a_folder_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "render", lambda result: "")
    told, folder, data, progress = [], tmp_path / "run", table(), []

    def work(until, stop=False, **more):
        with RIDGES.rounds_in(folder, data, **more) as rounds:
            for _ in range(until):
                told.append(rounds.evaluate(rounds.ask(2)))
            if stop:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(2, stop=True)
    work(4, resume=True, progress=progress.append)
    assert told[:2] == told[2:4]
    assert progress[-1]["members_done"] == 24
    assert len(progress) <= 4  # two rounds were there
    assert len(load_result(folder).candidates) == 8


def test_other_rounds_do_not_take_what_was_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        one_round(tmp_path / "run", 0.5, stop=True)
    with pytest.raises(InputError, match="round 1 asks for other candidates"):
        one_round(tmp_path / "run", 0.7, resume=True)


def one_round(folder, ridge, stop=False, **more):
    with RIDGES.rounds_in(folder, table(), **more) as rounds:
        rounds.evaluate([{"network.ridge": ridge}])
        if stop:
            raise KeyboardInterrupt


def test_networks_are_told_what_columns_are(monkeypatch):
    """As in a study: a network for tables knows which inputs are numbers and which are categories."""
    data = read_table({"a": [float(i) for i in range(20)], "b": list("xyzw" * 5), "y": [i % 7 for i in range(20)]}, "y")
    monkeypatch.setattr("perceptory.studies.rounds.train", lambda records, progress: None)
    rounds = Study(TabularMLP((4,)), validation=KFold(2), test=0).rounds(data)
    rounds.evaluate([{}])
    assert len(rounds.candidates[0].network.columns) > 1


def test_what_needs_all_candidates_is_refused():
    for changes in ({"validation": Nested(KFold(2), KFold(2))}, {"discard": Halving()}):
        with pytest.raises(InputError, match="does not go with rounds"):
            RIDGES.replace(**changes).rounds(table())
    with pytest.raises(InputError, match="no candidate has been evaluated"):
        RIDGES.rounds(table()).result()
