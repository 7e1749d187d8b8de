"""Bad input: one sentence on standard error, exit code 2, nothing written."""

from __future__ import annotations

import os

import pytest

from tests.app.conftest import TINY, table

GOOD = ("fit", "data.csv", "--target", "y", *TINY)


@pytest.fixture
def refused(perceptory, tmp_path):
    """Call, expect a refusal that leaves the folder as it was; gives the sentence."""

    def call(*argv: object) -> str:
        before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
        code, out, err = perceptory(*argv)
        assert code == 2
        assert err.startswith("perceptory: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert "Traceback" not in out + err
        assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
        return err

    return call


FILES = {
    "empty.csv": (b"", "is empty"),
    "binary.csv": (bytes(range(256)) * 8, "is binary"),
    "ragged.csv": (b"a,y\n1,2\n3\n4,5\n", "line 3 of ragged.csv has 1 cell"),
    "header.csv": (b"a,y\n", "row"),
    "constant.csv": (b"a,y\n1,3\n2,3\n3,3\n4,3\n", "'y'"),
    "missing.csv": (b"a,y\n1,\n2,\n3,\n", "missing in all 3 rows"),
    "infinite.csv": (b"a,y\n1,2\n2,inf\n3,4\n4,5\n", "'y'"),
    "featureless.csv": (b"a,y\n1,2\n1,3\n1,4\n1,5\n", "no feature is left"),
    "cyrillic.csv": ("name,y\nМосква,1\nЛондон,2\n".encode("cp1251"), "UTF-8"),
}


@pytest.mark.parametrize("name", FILES)
def test_tables_that_cannot_be_used(refused, tmp_path, name):
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    assert words in refused("fit", name, "--target", "y", *TINY)


def test_file_missing(refused):
    assert "there is no file 'nowhere.csv'" in refused("fit", "nowhere.csv", "--target", "y")


def test_target_absent(refused, tmp_path):
    table(tmp_path / "data.csv")
    assert "Did you mean 'color'?" in refused("fit", "data.csv", "--target", "colour")
    assert "Its columns are: 'a', 'b', 'color', 'y'." in refused("fit", "data.csv")


OPTIONS = {
    "--folds 33": "33 folds need at least 33 rows, got 32",
    "--folds 1": "--folds needs a whole number of at least 2, got 1",
    "--network mlp:-3": "--network 'mlp:-3': MLP.hidden needs positive widths, got (-3,)",
    "--network mlp:32,0:relu": "needs positive widths, got (32, 0)",
    "--network mlp:8/0": "needs positive widths, got (0,)",
    "--network mlp:8:rleu": "unknown activation 'rleu'. Did you mean 'relu'?",
    "--network mlp:8:relu:dropout=1": "MLP.dropout needs a number of at least 0 and below 1",
    "--network mlp:8:dropot=0.1": "mlp has no field 'dropot'. Did you mean 'dropout'?",
    "--network mlp:8:relu:0:he:no:none:0:0:0:5": "one part too many",
    "--network mlp:3x2": "hidden needs whole numbers, got '3x2'",
    "--network cnn:8,16:kernel=5,3,3": "CNN.kernel needs one entry, or one for each of the 2 stages",
    "--network gru:8:dropout=2": "GRU.dropout needs a number of at least 0 and below 1",
    "--network cnn:8:kernel=3xx": "kernel needs whole numbers, got ''",
    "--network mpl:8": "unknown network 'mpl'. Did you mean 'mlp'?",
    "--activation taanh": "unknown activation 'taanh'. Did you mean 'tanh'?",
    "--dropout 1.5": "--dropout needs a number of at least 0 and below 1, got 1.5",
    "--optimizer adamm": "unknown optimizer 'adamm'. Did you mean 'adam'?",
    "--optimizer adam:bta1=0.3": "Did you mean 'beta1'?",
    "--learning-rate -1": "--learning-rate needs a number above 0, got -1.0",
    "--learning-rate fast": "--learning-rate needs numbers, got 'fast'",
    "--learning-rate 1e-1..1e-3": "needs low below high",
    "--schedule cosin": "Did you mean 'cosine'?",
    "--clip-norm 0": "--clip-norm needs a number above 0, got 0.0",
    "--clip-value small": "--clip-value needs numbers, got 'small'",
    "--average 1.5": "--average needs a number from 0 to 1, got 1.5",
    "--augment noise:1": "unknown augmentation 'noise'",
    "--augment image:flip=2": "ImageAugmentation.flip needs a probability from 0 to 1, got 2.0",
    "--augment table:nois=1": "Did you mean 'noise'?",
    "--auxiliary nothing": "there is no column 'nothing' to aim at",
    "--auxiliary y": "the auxiliary target 'y' is the target itself",
    "--auxiliary a:-1": "--auxiliary needs a number of at least 0, got -1.0",
    "--auxiliary a:0.1:2": "--auxiliary needs a share of the training above 0 and at most 1, got 2.0",
    "--augment image:shift=2": "ImageAugmentation is for images, but the data are a table. Use TableAugmentation.",
    "--pretrain masked:0": "Masked.code needs a whole number of at least 1, got 0",
    "--pretrain mask": "Did you mean 'masked'?",
    "--unlabeled more.csv": "--unlabeled goes with --pretrain",
    "--pretrain masked --unlabeled more.csv": "there is no file or folder more.csv for --unlabeled",
    "--pretrain masked --pretrain-epochs 0": "--pretrain-epochs needs a whole number of at least 1",
    "--start nowhere:2": "--start there is no model file nowhere",
    "--penalty -1": "--penalty needs a number of at least 0",
    "--penalty-layer layers.0": "needs a layer and its strength, got 'layers.0'. Example: layers.0=0.01",
    "--penalty-layer layers.0=-1": "--penalty-layer needs a number of at least 0, got -1.0",
    "--penalty-layer layers.9=1": "layers.9",
    "--penalty-mix 2": "--penalty-mix needs a share from 0 to 1, got 2.0",
    "--penalty-p 0.5": "--penalty-p needs a number of at least 1",
    "--batch-size 0": "--batch-size needs a whole number of at least 1",
    "--epochs 0": "--epochs needs a whole number of at least 1",
    "--epochs many": "--epochs",
    "--seeds 0": "--seeds needs",
    "--patience -2": "--patience needs",
    "--memory nan": "--memory needs",
    "--precision half": "unknown precision 'half'",
    "--validation kfld": "Did you mean 'kfold'?",
    "--validation loo": "--folds does not go with --validation loo",
    "--validation group": "Add --groups COLUMN",
    "--validation kfold:5": "given twice",
    "--groups nothing": "'nothing'",
    "--ignore nothing": "'nothing'",
    "--task regresion": "Did you mean 'regression'?",
    "--task binary": "'y'",
    "--cost square": "Did you mean 'squared'?",
    "--cost softmax": "does not suit regression",
    "--cost quantile:0.9,0.1": "needs rising numbers between 0 and 1",
    "--cost poisson:2": "one part too many",
    "--class-weight even": "--class-weight needs balanced or a weight of at least 0 for each class, got 'even'",
    "--class-weight balanced": "--class-weight goes with the costs sigmoid and softmax, not with SquaredError",
    "--score rmsee": "Did you mean 'rmse'?",
    "--score auc": "is for another task than regression",
    "--rule bst": "Did you mean 'best'?",
    "--final fold": "Did you mean 'folds'?",
    "--test 1": "--test needs a share",
    "--test more.csv": "a file of test rows, got 'more.csv'",
    "--quick --thorough": "--quick and --thorough exclude each other",
    "--resume --overwrite": "--resume and --overwrite exclude each other",
    "--epoch 3": "--epochs",
}


@pytest.mark.parametrize("options", OPTIONS)
def test_options_that_cannot_be_used(refused, tmp_path, options):
    table(tmp_path / "data.csv")
    assert OPTIONS[options] in refused(*GOOD, *options.split())


def test_a_class_with_fewer_rows_than_folds(refused, tmp_path):
    rows = [f"{i},{'rare' if i < 2 else 'often'}" for i in range(40)]
    (tmp_path / "data.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    assert "rare" in refused("fit", "data.csv", "--target", "y", *TINY, "--validation", "stratified", "--folds", "5")


def test_test_rows_that_lack_a_column_are_found_before_training(refused, tmp_path):
    table(tmp_path / "data.csv")
    (tmp_path / "test.csv").write_text("a,color,y\n1,red,2\n2,green,3\n")
    assert "test rows: the table lacks the column 'b'" in refused(*GOOD, "--test", "test.csv")


def test_output_folder(refused, run, tmp_path):
    table(tmp_path / "data.csv")
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    assert "not a run folder" in refused(*GOOD, "--out", other)
    assert "is a file" in refused(*GOOD, "--out", other / "mine.txt")
    assert "holds a run already" in refused(*GOOD, "--out", run)
    assert "asked something else" in refused(*GOOD, "--epochs", "7", "--out", run, "--resume")
    assert "cannot write to" in refused(*GOOD, "--out", "/proc/nowhere/run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_not_writable(refused, tmp_path):
    table(tmp_path / "data.csv")
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot write to" in refused(*GOOD, "--out", "locked/run")


def test_predict(refused, run, tmp_path):
    data = run.parent / "data.csv"
    (tmp_path / "less.csv").write_text("a,color\n1,red\n")
    (tmp_path / "typed.csv").write_text("a,b,color\n1,many,red\n")
    assert "the table lacks the column 'b'" in refused("predict", run, "less.csv")
    assert "'b'" in refused("predict", run, "typed.csv")
    assert "there is no model file" in refused("predict", "nowhere", data)
    assert "--proba needs a model of classes" in refused("predict", run, data, "--proba")
    (tmp_path / "copy.csv").write_bytes(data.read_bytes())
    assert "would write over copy.csv" in refused("predict", run, "copy.csv", "--out", "copy.csv")
    assert "is a folder" in refused("predict", run, data, "--out", tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "altered", "foreign", "empty"])
def test_damaged_model_file(refused, run, tmp_path, damage):
    content = (run / "model.safetensors").read_bytes()
    altered = bytearray(content)
    altered[-3] ^= 1
    broken = {"truncated": content[:-9], "altered": bytes(altered), "foreign": b"a,b\n1,2\n" * 9, "empty": b""}
    (tmp_path / "model.safetensors").write_bytes(broken[damage])
    assert "Take another copy" in refused("predict", "model.safetensors", run.parent / "data.csv")


def test_report_of_no_run(refused, run, tmp_path):
    assert "not a run folder" in refused("report", tmp_path)
    assert "is a folder" in refused("report", run, "--out", tmp_path)


def test_usage(refused):
    assert "No such command 'fitt'" in refused("fitt")
    assert "Missing argument" in refused("fit")
