"""The protocols of the published records: what trains, what judges, what is tested."""

import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def records():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent.parent / "examples"))
        import published_records

        yield published_records
        for name in ("published_records", "identify_a_system", "wiener_model"):
            sys.modules.pop(name, None)


CASES = {  # rows of training and test, first scored step, scale of y
    "cascaded_tanks": (1024, 1024, 5, 1),
    "silverbox": (65_062, 21_688, 50, 1000),
    "coupled_drives_1": (400, 100, 4, 1),
    "coupled_drives_2": (400, 100, 4, 1),
}


def columns_of(name):
    """Rows like the real record's; y says where it stands, so that a cut shows."""
    if name == "cascaded_tanks":
        return {f"{k}_{part}": np.arange(1024.0) + 5000 * (part == "test") for k in "uy" for part in ("train", "test")}
    rows = 131_072 if name == "silverbox" else 500
    return {"u": np.arange(rows) / 7, "y": np.arange(rows, dtype=float)}


@pytest.mark.parametrize("name", CASES)
def test_train_and_test_records_are_those_of_the_protocol(records, name):
    trained, tested, given, scale = CASES[name]
    protocol = records.PROTOCOLS[name]
    train, test = protocol.divide(columns_of(name))
    assert (len(train["y"]), len(test["y"])) == (trained, tested)
    first = {"silverbox": 40_650}.get(name, 0)
    assert train["y"][0] == scale * first
    assert test["y"][0] == {"cascaded_tanks": 5000}.get(name, scale * (first + trained))
    whole = protocol.data(test, whole=True)
    assert whole.inputs.shape == (1, tested, 2)
    assert np.flatnonzero(whole.weights[0])[0] == given == protocol.given
    if name != "silverbox":  # y is told for the first steps alone
        assert np.all(whole.inputs[0, given:, 1] == test["y"][given - 1])


@pytest.mark.parametrize("name", CASES)
def test_what_judges_shares_no_step_with_what_trains(records, name):
    protocol = records.PROTOCOLS[name]
    train, _ = protocol.divide(columns_of(name))
    data = protocol.data(train)
    folds = records.blocks(data, len(train["y"]), *protocol.folds).folds
    assert len(folds) == protocol.folds[1]
    for trains, judges in folds:
        steps = [set() if not len(part) else set.union(*(set(range(*data.timeline.seen[i])) for i in part))
                 for part in (trains, judges)]  # fmt: skip
        assert steps[0]
        assert steps[1]
        assert not steps[0] & steps[1]
    assert protocol.study().networks
