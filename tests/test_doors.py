"""One refusal through three doors: Python, the command line and an estimator, each in the words of its own."""

import inspect

import numpy as np
import pytest

from perceptory import Study, read_series, read_table
from perceptory.app.cli import fit, main
from perceptory.app.door import command_line
from perceptory.app.help import FIT_OPTIONS
from perceptory.errors import InputError, Setting
from perceptory.estimators import NetworkClassifierCV, NetworkRegressor, NetworkRegressorCV

X = np.random.default_rng(0).normal(size=(40, 2))
HUGE = np.where(np.arange(40) < 12, 1e60 * X[:, 0], X[:, 0])
Y = X[:, 0] - X[:, 1]


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Calls the command line; the sentence on standard error, without the program's name."""
    monkeypatch.chdir(tmp_path)
    np.savetxt(tmp_path / "data.csv", np.stack([HUGE, X[:, 1], Y], axis=1), delimiter=",", header="a,b,y", comments="")
    np.savetxt(tmp_path / "series.csv", X, delimiter=",", header="u,y", comments="")

    def call(*arguments):
        assert main(["fit", *arguments]) == 2
        said = capsys.readouterr().err
        assert said.startswith("perceptory: ")
        assert said.count("\n") == 1
        return said.removeprefix("perceptory: ").strip()

    return call


def refusal(call):
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_a_field_of_the_study(shell):
    end = " needs a whole number of at least 1, got 0."
    assert refusal(lambda: Study(epochs=0)) == "Study.epochs" + end
    assert shell("data.csv", "--target", "y", "--epochs", "0") == "--epochs" + end
    assert refusal(lambda: NetworkRegressor(epochs=0).fit(X, Y)) == "epochs" + end
    assert refusal(lambda: NetworkRegressorCV(epochs=0).fit(X, Y)) == "epochs" + end


def test_a_remedy_is_a_setting(shell):
    """A value that only double precision holds."""
    data = read_table({"a": HUGE, "b": X[:, 1], "y": Y}, "y")
    python = refusal(lambda: Study(precision="single").run(data))
    assert python.endswith('or choose precision="double".')
    assert shell("data.csv", "--target", "y", "--precision", "single").endswith("or choose --precision double.")
    x = np.stack([HUGE, X[:, 1]], axis=1)
    assert refusal(lambda: NetworkRegressor(precision="single").fit(x, Y)).endswith(python[python.index(", and") :])


def test_too_many_folds(shell, tmp_path):
    """The number of folds is an argument by another name in an estimator."""
    labels = ["p", "q"] * 18 + ["r"] * 4
    rows = "".join(f"{a:g},{b:g},{c}\n" for (a, b), c in zip(X, labels, strict=True))
    (tmp_path / "classes.csv").write_text("a,b,y\n" + rows)
    from perceptory.selection.plans import StratifiedKFold

    data = read_table({"a": X[:, 0], "b": X[:, 1], "y": labels}, "y")
    study = Study(validation=StratifiedKFold(10), test=0)
    assert "use fewer folds (folds=4)" in refusal(lambda: study.run(data))
    said = shell("classes.csv", "--target", "y", "--validation", "stratified:10", "--test", "0")
    assert "use fewer folds (--folds 4)" in said
    plan = StratifiedKFold(10)
    classifier = NetworkClassifierCV()
    classifier._plan = lambda *args: plan
    assert "use fewer folds (cv=4)" in refusal(lambda: classifier.fit(X, np.array(labels)))


def test_settings_of_series(shell):
    table = {"u": X[:, 0], "y": X[:, 1]}
    python = refusal(lambda: read_series(table, "y", predict="ahead", window=4, known=2))
    assert python == "known is for predict=\"every step\", not for 'ahead'. Leave it out."
    said = shell("series.csv", "--target", "y", "--predict", "ahead", "--window", "4", "--known", "2")
    assert said == "--known is for --predict every-step, not for 'ahead'. Leave it out."


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (Setting("known", "all"), "--known all"),
        (Setting("predict", "one value"), "--predict one-value"),
        (Setting("size", (32, 16)), "--size 32x16"),
        (Setting("learning_rate", 0.01), "--learning-rate 0.01"),
        (Setting("ignore", ["a b", "c"]), "--ignore 'a b' --ignore c"),
        (Setting("resume", True), "--resume"),
        (Setting("window"), "--window"),
        (Setting("epochs", owner="Study"), "--epochs"),
        (Setting("networks"), "--network"),
        (Setting("dropout", owner="MLP"), None),
        (Setting("lengths"), None),
        (Setting("part", "test"), None),
        (Setting("cost", object()), None),
        (Setting("predict", "never"), None),
    ],
)
def test_the_command_lines_words(setting, words):
    assert command_line(setting) == words


def test_an_option_of_fit_is_one_that_messages_know():
    parameters = inspect.signature(fit).parameters.keys() - {"context", "data"}
    assert {"--" + name.replace("_", "-") for name in parameters} == FIT_OPTIONS.keys()


def test_texts_in_a_table_have_their_remedy_by_what_they_hold():
    """Not by what scikit-learn's sentence says."""
    texts = np.array([["a", 1.0], ["b", 2.0]] * 10, dtype=object)
    with pytest.raises(ValueError, match="Text columns need encoding"):
        NetworkRegressor().fit(texts, Y[:20])
    with pytest.raises(ValueError, match="infinity") as error:
        NetworkRegressor().fit(np.full((20, 2), np.inf), Y[:20])
    assert "Text columns" not in str(error.value)
