"""The report: whole, safe, small."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import perceptory as pt
from perceptory import figures as plots
from perceptory.errors import InputError
from perceptory.figures import svg
from perceptory.figures.svg import to_svg
from perceptory.notes import columns_not_used
from perceptory.reports.headline import headline
from perceptory.reports.page import render, write_report
from perceptory.reports.request import plan_words, request_lines, spec_words
from perceptory.selection.plans import plan_json
from perceptory.specs import to_json

NAMES = ["regression_result", "two_target_result", "binary_result", "multiclass_result"]
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Tags, ids and text of a page; fails where tags do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.loads, self.open, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "data", "srcset"):
                self.loads.append(value)
            assert not name.startswith("on")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


PAGES: dict[int, str] = {}


def rendered(result):
    """The page of a result that stays as it is, made once."""
    if id(result) not in PAGES:
        PAGES[id(result)] = render(result)
    return PAGES[id(result)]


@pytest.fixture
def unwritten(monkeypatch):
    """Figures are drawn and not written: the test reads words."""
    monkeypatch.setattr(svg, "to_svg", lambda figure, key, words: "<svg/>")


@pytest.mark.parametrize("name", NAMES, ids=lambda n: n[:-7])
def test_report_is_whole_and_loads_nothing(request, name):
    text = rendered(request.getfixturevalue(name))
    page = Page(text)
    assert "http://" not in text
    assert "https://" not in text
    assert all(load.startswith(("#", "data:image/png;base64,")) for load in page.loads)
    assert not re.search(r"@import|@font-face|url\((?!#)", text)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    assert {load[1:] for load in page.loads if load.startswith("#")} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert len(text) < 3_000_000


@pytest.mark.parametrize(
    ("name", "figures"),
    list(zip(NAMES, [5, 7, 6, 6], strict=True)),
    ids=["one target", "two targets", "binary", "multiclass"],
)
def test_report_has_its_figures_in_order(request, name, figures):
    result = request.getfixturevalue(name)
    page = Page(rendered(result))
    assert page.tags.count("figure") == page.tags.count("svg") == figures
    order = ["notes", "numbers", "predictions", "ranking", "learning", "data", "use", "asked", "environment"]
    assert [i for i in page.ids if i in order] == order
    words = "".join(page.words)
    for c in result.candidates:
        assert c.label in words
    assert (
        f"{len(result.members)}networks trained" in re.sub(r"\s*\n\s*", "", words) or str(len(result.members)) in words
    )


def test_report_tells_numbers(regression_result):
    words = "".join(Page(rendered(regression_result)).words)
    assert f"(RMSE) of {regression_result.tested['rmse']:.3f} on 150 sealed test rows" in words
    assert "always predicting the mean would give" in words
    assert "perceptory predict concrete-run new.csv" in words
    assert "Model.load('concrete-run/model.safetensors')" in words
    assert "10 of 80 training runs diverged" in words
    assert spec_words(regression_result.study["networks"][0]) in words
    assert "0.10.1" in words


def test_names_cannot_become_markup(make_result):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    result = make_result("binary", targets=(evil,), classes=(evil, "</svg><b>"))
    result.folder = evil
    result.candidates[0].label = result.rule = evil
    column = {"name": evil, "kind": evil, "made": evil, "note": evil}
    result.data = dataclasses.replace(
        result.data, columns=(column, *result.data.columns[1:]), notes=(columns_not_used([evil]),)
    )
    result.study[evil] = evil
    result.environment[evil] = evil
    page = Page(render(result))
    assert not {"script", "img", "b"} & set(page.tags)
    assert evil in "".join(page.words)


def test_svg_text_escapes_names(make_result):
    result = make_result(targets=('</svg><script>&"$',))
    svg = to_svg(plots.predicted_against_true(result), "k", 'a "b" <c>')
    assert "<script" not in svg
    assert "true &lt;/svg&gt;&lt;script&gt;&amp;" in svg
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in svg


def test_svg_follows_the_theme_and_is_the_same_each_time(regression_result):
    first, second = (to_svg(plots.ranking(regression_result), "k", "words") for _ in range(2))
    assert first == second
    assert "var(--ink)" in first
    assert "var(--font)" in first
    assert "#1b1f24" not in first
    assert "DejaVu" not in first


@pytest.mark.usefixtures("unwritten")
def test_unopened_and_absent_test_rows(make_result):
    text = render(make_result(opened=False))
    assert "150 sealed test rows have not been opened" in text
    assert "No test rows were sealed" in render(make_result(test_rows=0))


@pytest.mark.usefixtures("unwritten")
def test_long_tables_are_folded(make_result):
    text = render(make_result(columns=41, candidates=33))
    assert text.count("<details>") == 2
    assert "How each of the 41 columns is encoded" in text
    assert "3 more candidates" in text
    assert "<details>" not in render(make_result(columns=40))


def test_report_where_everything_diverged(make_result):
    result = make_result(candidates=1)
    c = result.candidates[0]
    c.mean = c.spread = c.train = np.nan
    c.per_fold, c.status = [np.nan] * 5, "diverged"
    for m in result.members:
        m.status, m.best_epoch = "diverged", 0
        m.train_cost, m.validation_cost = np.full(2, np.nan), np.full(2, np.nan)
    result.predictions.output[:] = np.nan
    result.train = result.validation = result.tested = {"rmse": np.nan, "r2": np.nan}
    words = "".join(Page(render(result)).words)
    assert words.count("No figure here") == 3
    assert "n/a" in words


def test_large_tables_stay_small(make_result):
    result = make_result(rows=50_000, test_rows=10_000, folds=10, seeds=3, epochs=400)
    assert len(render(result).encode()) < 1_500_000


def test_headline_of_classes(binary_result, make_result):
    assert f"predicts diagnosis correctly for {100 * binary_result.tested['accuracy']:.1f} % of 150 sealed" in headline(
        binary_result
    )
    many = make_result(targets=("a", "b", "c", "d"))
    assert "predicts 4 targets" in headline(many)
    assert "and 1 more target below" in headline(many)


def test_specs_are_written_without_their_defaults():
    assert spec_words(to_json(pt.MLP((32, 32), "relu"))) == "MLP((32, 32), activation='relu')"
    adam = pt.Adam(pt.Cosine(pt.log_uniform(1e-3, 1e-1)))
    assert spec_words(to_json(adam)) == "Adam(Cosine(log_uniform(0.001, 0.1)))"
    assert spec_words(to_json(pt.SoftmaxCrossEntropy())) == "SoftmaxCrossEntropy()"
    unknown = {"kind": "Unknown", "hidden": [8], "rate": {"kind": "Choice", "values": [0.1, 1]}, "name": "a"}
    assert spec_words(unknown) == "Unknown(hidden=(8,), rate=choice(0.1, 1), name='a')"


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (pt.KFold(5), "5-fold"),
        (pt.KFold(5, shuffle=False), "5-fold, in the order of the rows"),
        (pt.HoldOut(0.25), "a share of 0.2500 held out"),
        (pt.BlockedKFold(4, gap=2), "4 blocks of time, 2 left out between"),
        (pt.Repeated(pt.StratifiedKFold(3), 2), "3-fold, classes in equal shares, 2 times"),
        (pt.Folds((((0,), (1,)),)), "Folds((((0,), (1,)),))"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_plans_in_words(plan, words):
    assert plan_words(plan_json(plan)) == words


def test_what_was_asked_is_what_differs_and_what_the_defaults_came_to(make_result):
    result = make_result()
    study = pt.Study([pt.MLP((8,))], seeds=2, epochs=50, clip=pt.ClipByNorm(2.0), batch_size=64)
    result.study = to_json(study)
    result.data = dataclasses.replace(result.data, validation=to_json(pt.KFold(10)))
    lines = {name: [words for words, _ in lines] for name, lines in request_lines(result)}
    assert lines == {
        "networks": ["MLP((8,))"],
        "cost": ["its own (by default for regression)"],
        "optimizer": ["Adam(0.01)"],
        "batch size": ["64"],
        "clip": ["ClipByNorm(2.0)"],
        "training": ["at most 50 epochs; a network stops after 30 without a better validation cost"],
        "validation": ["10-fold (by default for 550 rows), 2 starts a fold"],
        "score": ["RMSE, smaller is better (by default for regression)"],
        "final model": ["the mean of the 10 networks of the chosen candidate"],
    }


def test_write_report(regression_result, tmp_path):
    path = write_report(regression_result, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == rendered(regression_result)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.stat().st_mode & 0o444 == 0o444
    with pytest.raises(InputError, match="does not exist"):
        write_report(regression_result, tmp_path / "absent" / "report.html")
