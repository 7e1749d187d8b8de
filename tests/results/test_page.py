"""The report: whole, safe, small."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from perceptory.errors import InputError
from perceptory.figures import of_results as plots
from perceptory.figures.svg import to_svg
from perceptory.reports.page import headline, render, spec_words, write_report

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


@pytest.mark.parametrize("name", NAMES, ids=lambda n: n[:-7])
def test_report_is_whole_and_loads_nothing(request, name):
    text = render(request.getfixturevalue(name))
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
    page = Page(render(result))
    assert page.tags.count("figure") == page.tags.count("svg") == figures
    order = ["asked", "data", "ranking", "learning", "predictions", "numbers", "use", "notes", "environment"]
    assert [i for i in page.ids if i in order] == order
    words = "".join(page.words)
    for c in result.candidates:
        assert c.label in words
    assert (
        f"{len(result.members)}networks trained" in re.sub(r"\s*\n\s*", "", words) or str(len(result.members)) in words
    )


def test_report_tells_numbers(regression_result):
    words = "".join(Page(render(regression_result)).words)
    assert f"(RMSE) of {regression_result.tested['rmse']:.3f} on 150 sealed test rows" in words
    assert "always saying the mean would err by" in words
    assert "perceptory predict concrete-run new.csv" in words
    assert "Model.load('concrete-run/model.safetensors')" in words
    assert "10 of 80 training runs diverged" in words
    assert "MLP(hidden=(32, 32), activation='tanh', dropout=0.0)" in words
    assert "0.10.1" in words


def test_names_cannot_become_markup(make_result):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    result = make_result("binary", targets=(evil,), classes=(evil, "</svg><b>"))
    result.folder = evil
    result.candidates[0].label = result.rule = evil
    result.data["columns"][0] = {"name": evil, "kind": evil, "made": evil, "note": evil}
    result.data["notes"] = [evil]
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


def test_unopened_and_absent_test_rows(make_result):
    text = render(make_result(opened=False))
    assert "150 sealed test rows have not been opened" in text
    assert "No test rows were sealed" in render(make_result(test_rows=0))


def test_long_tables_are_folded(make_result):
    text = render(make_result(columns=41, candidates=33))
    assert text.count("<details>") == 2
    assert "What was made of each of the 41 columns" in text
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
    assert f"names the right diagnosis for {100 * binary_result.tested['accuracy']:.1f} % of 150 sealed" in headline(
        binary_result
    )
    many = make_result(targets=("a", "b", "c", "d"))
    assert "predicts 4 targets" in headline(many)
    assert "and 1 more target below" in headline(many)


def test_spec_words():
    data = {"kind": "MLP", "hidden": [8], "rate": {"kind": "choice", "values": [0.1, 1]}, "name": "a"}
    assert spec_words(data) == "MLP(hidden=(8,), rate=choice(0.1, 1), name='a')"


def test_write_report(regression_result, tmp_path):
    path = write_report(regression_result, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == render(regression_result)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.stat().st_mode & 0o444 == 0o444
    with pytest.raises(InputError, match="does not exist"):
        write_report(regression_result, tmp_path / "absent" / "report.html")
