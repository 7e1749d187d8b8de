"""Data without a target on the command line: what fit says and writes, and what the other commands make of the run."""

from __future__ import annotations

import contextlib
import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from perceptory import Model, figures, insight, read_table
from perceptory.app.cli import main
from perceptory.errors import InputError
from perceptory.runs.result import load_result

TINY = ["--network", "autoencoder:6:2", "--learning-rate", "0.01", "--folds", "2", "--epochs", "3"]


def plane(path, rows=48):
    """A table of four numbers in a plane, with a category, a gap, and a class that is not to be learned."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, 2)) @ random.normal(size=(2, 4))
    lines = [",".join(f"{v:.5f}" for v in row) for row in numbers]
    lines[3] = "," + lines[3].split(",", 1)[1]
    cells = [f"{line},{('red', 'green')[i % 2]},{('p', 'q', 'r')[i % 3]}" for i, line in enumerate(lines)]
    path.write_text("\n".join(["a,b,c,d,color,kind", *cells]) + "\n")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with data.csv and its run, and pictures in digits.npz with the run of a variational model."""
    folder = tmp_path_factory.mktemp("autoencode")
    data = plane(folder / "data.csv")
    options = ["--task", "autoencode", *TINY]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["fit", str(data), "--color", "kind", *options, "--out", str(folder / "run")]) == 0
    (folder / "said.txt").write_text(said.getvalue())
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (40, 4, 4)).astype(np.uint8), np.arange(40) % 4
    np.savez(folder / "pictures.npz", x=x, y=y)
    pictures = [
        str(folder / "pictures.npz"),
        *options,
        "--variational",
        "0.1",
        "--quiet",
        "--out",
        str(folder / "pictures"),
    ]
    assert main(["fit", *pictures]) == 0
    return folder


def rows_of(text):
    return list(csv.DictReader(text.splitlines()))


def test_a_table_without_a_target_says_what_it_would_do(perceptory, tmp_path):
    plane(tmp_path / "data.csv")
    code, _, err = perceptory("fit", "data.csv")
    assert code == 2
    assert "--task autoencode learns a code of few numbers from which all columns are given back" in err
    assert [p.name for p in tmp_path.iterdir()] == ["data.csv"]


def test_fit_says_what_is_kept_and_what_pca_keeps(runs):
    out = (runs / "said.txt").read_text()
    assert out.startswith("48 rows, 4 numeric, 1 categorical, 1 ignored columns, no target: what is learned")
    assert max(map(len, out[out.index("Chosen") : out.index("Report")].splitlines())) <= 80
    assert "A code of 2 numbers keeps" in out
    assert "PCA to 2" in out
    assert "Share of the variance lost" in out
    result = json.loads((runs / "run" / "result.json").read_text())
    assert result["targets"] == ["a", "b", "c", "d", "color"]
    assert result["reconstructions"]["color"] == "kind"


def test_what_is_written_is_read_back_and_all_figures_are_drawn(runs):
    result = load_result(runs / "run")
    assert result.predictions.output.shape == (48, 5)
    assert np.isnan(result.predictions.output[:, 0]).sum() == 1  # the gap is judged nowhere
    written = rows_of((runs / "run" / "predictions.csv").read_text())
    errors = [float(written[0][f"error of {name}"]) for name in result.targets]
    assert float(written[0]["error"]) == pytest.approx(np.nanmean(errors))
    held = result.reconstructions
    assert set(held.row) <= set(result.predictions.row[result.predictions.part == "validation"])
    assert held.colors["kind"] == tuple("pqr"[row % 3] for row in held.code_row)
    for draw in (figures.code_curve, figures.errors_by_column, figures.anomaly_scores, figures.code_map):
        assert draw(result).axes
    assert figures.code_map(result, "a").axes
    page = (runs / "run" / "report.html").read_text()
    for words in (
        "What is given back",
        "colored by kind",
        "Held-out rows beside what is given back",
        "perceptory encode",
    ):
        assert words in page
    assert "No figure here" not in page


def test_figures_and_findings_that_need_a_target_refuse(runs):
    result = load_result(runs / "run")
    for draw in (figures.confusion_matrix, figures.roc, figures.calibration, figures.residuals, figures.over_time,
                 figures.predicted_against_true, figures.few_examples, figures.samples,
                 figures.reconstructed, insight.error_decomposition):  # fmt: skip
        with pytest.raises(InputError):
            draw(result)
    model, data = Model.load(runs / "run"), read_table(runs / "data.csv", task="autoencode", color="kind")
    for use in (insight.decision_surface, insight.error_decomposition, Model.predict_interval, Model.predict_proba):
        with pytest.raises(InputError, match=r"autoencoder|gives back its inputs"):
            use(model, data)
    with pytest.raises(InputError, match=r"'kinds'.*Did you mean 'kind'"):
        figures.code_map(result, "kinds")


def test_predict_encode_and_decode_a_table(perceptory, runs):
    code, out, _ = perceptory("predict", runs / "run", runs / "data.csv", "--members")
    scores = rows_of(out)
    assert code == 0
    assert len(scores) == 48
    assert {"row", "score", "p_value", "score (network 1)", "error of a", "a given back", "color given back"} <= scores[
        0
    ].keys()
    assert all(0 < float(row["p_value"]) <= 1 for row in scores)
    assert perceptory("encode", runs / "run", runs / "data.csv", "-o", "codes.csv")[0] == 0
    code, out, _ = perceptory("decode", runs / "run", "codes.csv")
    back = rows_of(out)
    assert code == 0
    assert [row["color"] for row in back] == [row["color given back"] for row in scores]
    np.testing.assert_allclose([float(r["b"]) for r in back], [float(r["b given back"]) for r in scores], atol=1e-4)


def test_pictures_are_sampled_into_a_grid_or_an_array(perceptory, runs, tmp_path):
    assert perceptory("sample", runs / "pictures", "-n", "5", "-o", "new.png")[0] == 0
    with Image.open(tmp_path / "new.png") as grid:
        assert grid.size == (3 * 64 + 4, 2 * 64 + 2)
    assert perceptory("sample", runs / "pictures", "-n", "5", "-o", "new.npz")[0] == 0
    with np.load(tmp_path / "new.npz") as drawn:
        assert drawn["x"].shape == (5, 4, 4, 1)
    result = load_result(runs / "pictures")
    assert result.candidate(result.best).spec["network"]["variational"] == 0.1  # PCA is compared only
    assert result.reconstructions.color == "class"  # the labels of the file are not learned
    assert figures.samples(result).axes
    assert figures.reconstructed(result).axes
    code, out, _ = perceptory("predict", runs / "pictures", runs / "pictures.npz")
    assert code == 0
    assert rows_of(out)[0].keys() == {"row", "score", "p_value", "error of gray"}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("sample", "run", "-n", "3"), "no distribution of codes to draw from. Train a variational one (--variational"),
        (("sample", "pictures"), "images need a file to go to"),
        (("sample", "pictures", "-n", "0", "-o", "x.png"), "a whole number above 0"),
        (("decode", "run", "data.csv"), "no column of codes 'code0'"),
        (("predict", "run", "data.csv", "--proba"), "this one gives back its inputs"),
        (("fit", "data.csv", "--target", "a", "--code", "2"), "--code is for --task autoencode"),
        (("fit", "data.csv", "--target", "a", "--task", "autoencode"), "has no target, and --target was given"),
        (("fit", "data.csv", "--task", "autoencode", "--code", "0"), "--code needs a whole number of at least 1"),
        (("fit", "data.csv", "--task", "autoencode", "--network", "mlp:4"), "Example: --network autoencoder:64:8"),
        (("fit", "data.csv", "--target", "a", "--rule", "narrow-code"), "--rule narrow_code is for autoencoders"),
        (("fit", "data.csv", "--task", "autoencode", "--ignore", "a", "--ignore", "b", "--ignore", "c", "--ignore", "d",
          "--ignore", "color", "--ignore", "kind"), "no"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_gets_one_sentence(perceptory, runs, argv, words, monkeypatch, tmp_path):
    given = [str(runs / a) if (runs / a).exists() else a for a in argv]
    code, out, err = perceptory(*given)
    assert (code, out.count("\n") < 8) == (2, True)
    assert words in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_model_of_a_target_has_no_code(perceptory, run):
    code, out, err = perceptory("encode", run, run.parent / "data.csv")
    assert (code, out) == (2, "")
    assert "predicts y and has no code" in err
