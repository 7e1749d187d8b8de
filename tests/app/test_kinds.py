"""Kinds of input that other tools read in silence, by the command line: what a study is given, or the sentence."""

import contextlib

import numpy as np
import pytest

from perceptory.app.cli import main
from perceptory.data.examples import taken_over
from perceptory.studies import study as studies

ROWS = 60
X, Z = np.random.default_rng(0).normal(size=(2, ROWS)).round(4)
PLACE = np.random.default_rng(1).permutation(ROWS)


class Read(Exception):  # noqa: N818
    """Data were read, and nothing is trained here."""


@pytest.fixture
def fit(tmp_path, monkeypatch, capsys):
    """fit(columns, *options) -> (the study's data, what was said); of a refusal (None, its sentence)."""
    got = {}

    def stop(study, data, **more):
        got.update(data=taken_over(data), test=more.get("test"))
        raise Read

    monkeypatch.setattr(studies, "run", stop)
    monkeypatch.chdir(tmp_path)

    def written(name, columns):
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns), *(",".join(f'"{c}"' if "," in str(c) else str(c) for c in row) for row in rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return name

    def call(columns, *options, test=None):
        argv = ["fit", written("data.csv", columns), "--target", "y", "--out", "run", *options]
        argv += [] if test is None else ["--test", written("test.csv", test)]
        got.clear()
        with contextlib.suppress(Read):
            assert main(argv) == 2
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return got, said.out + said.err

    return call


def table(**columns):
    return {"x": X, "z": Z, "y": (X + Z).round(4)} | columns


CODES = ["007", "7", "01067", "10115"]
READ = {  # columns, options -> what the data are
    "codes are classes": (table(y=CODES * 15), (), lambda d: sorted(d.classes) == sorted(CODES)),
    "percent and money": (
        table(p=[f"{k % 30}.5 %" for k in range(ROWS)], y=[f"${k + 1},250.50" for k in range(ROWS)]), (),
        "numbers in % are read without that sign in 'p'",
    ),
    "codes beside exponents": (
        table(y=["007", "7", "1E3"] * 20), (), lambda d: sorted(d.classes) == ["007", "1E3", "7"],
    ),
    "groups are texts": (table(g=["01", "1", "1.0"] * 20), ("--groups", "g"), lambda d: len(set(d.groups)) == 2),
    "whole numbers beyond float64": (
        table(g=[2**53, 2**53 + 1] * 30), ("--groups", "g"), lambda d: len(set(d.groups)) == 2,
    ),
    "numbers of rows": (
        table(w=[0, 1, 2] * 20), ("--weights", "w"),
        lambda d: (d.weights.tolist(), [c.name for c in d.columns]) == ([0, 1, 2] * 20, ["x", "z"]),
    ),
    "a copy of the target": (table(copy=(X + Z).round(4)), (), "'copy' puts the rows in the same order"),
    "an index that came along": (
        table(id=PLACE, y=np.where(PLACE < 30, "a", "b")), (), lambda d: d.columns[-1].kind == "ignored",
    ),
    "a class called none": (table(y=["none", "some"] * 30), (), lambda d: d.classes == ("none", "some")),
    "-999": (table(x=np.where(PLACE % 8 == 0, -999, X)), (), "stands for a missing value, say so: --missing -999"),
    "a typographic minus": (
        table(x=[str(v).replace("-", "\u2212") for v in X]), (), lambda d: d.columns[0].values.tolist() == X.tolist(),
    ),
    "yes and no": (table(y=["yes", "no"] * 30), (), lambda d: d.task == "binary"),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_is_read(fit, case):
    columns, options, expected = READ[case]
    got, said = fit(columns, *options)
    assert expected in said if isinstance(expected, str) else expected(got["data"])


CELL = [str(v) for v in X]
REFUSED = {  # columns, options, the sentence, options that make it work (None: only other data do)
    "an error cell": (table(x=[*CELL[:5], "#REF!", *CELL[6:]]), (), "'#REF!' in row 6", ("--missing", "#REF!")),
    "an error among targets": (table(y=[*CELL[:5], "#N/A!", *CELL[6:]]), (), "in row 6", ("--missing", "#N/A!")),
    "below a limit": (table(x=["<0.01", *CELL[1:]]), (), "'<0.01' in row 1", ("--missing", "<0.01")),
    "a unit": (table(x=[f"{v} kg" for v in CELL]), (), "a unit, such as", ("--ignore", "x")),
    "two units": (
        table(x=[f"{k}.5 {'%' if k % 2 else '€'}" for k in range(ROWS)]), (), "'0.5 €' in row 1 and '1.5 %' in row 2",
        ("--ignore", "x"),
    ),
    "three digits behind every mark": (
        table(x=[f"{k % 9 + 1},{100 + k}" for k in range(ROWS)], z=PLACE, y=PLACE % 50),
        (), "--decimal", ("--decimal", ","),
    ),
    "an infinite number": (table(x=[*CELL[:5], "inf", *CELL[6:]]), (), "infinite value (first in row 6)", None),
    "a name in another case": (
        {"x": X, "Y": Z}, (), "Did you mean 'Y'?", None,
    ),
    "negative weights": (table(w=X), ("--weights", "w"), "weights need numbers of at least 0", None),
    "a target twice": (table(), ("--ignore", "y"), "cannot be both the target and ignored", None),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_and_that_the_remedy_works(fit, case):
    columns, options, sentence, remedy = REFUSED[case]
    got, said = fit(columns, *options)
    assert not got
    assert sentence in said
    if remedy is not None:
        assert fit(columns, *options, *remedy)[0]


def test_rows_to_test_are_read_as_the_study_reads_them(fit):
    data = table(y=["1", "2", "7"] * 20, k=["a", "b", ""] * 20)
    one = {"z": [1], "k": ["c"], "x": [2], "y": ["7.0"]}
    got, _ = fit(data, "--task", "classification", test=one)
    assert got["test"].targets.tolist() == [2]
    got, said = fit(data, "--task", "classification", test=one | {"y": ["9"]})
    assert not got
    assert "classes that the study has not: '9'" in said
