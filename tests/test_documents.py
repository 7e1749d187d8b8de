"""What the documents name is there: files, folders, benchmarks, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = sorted(p.name for p in (ROOT / "perceptory").iterdir() if (p / "__init__.py").exists())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_file_and_link_is_there(document):
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|cc|h))`", text))
    missing = {name for name in named if not any((ROOT / place / name).exists() for place in ("", "perceptory"))}
    links = set(re.findall(r"\]\(([^)#:]+)\)", text))
    missing |= {link for link in links if not (document.parent / link).exists()}
    benchmarks = set(re.findall(r"benchmarks\.(\w+)", text)) - {"NAME"}
    missing |= {
        name for name in benchmarks if not any((ROOT / "benchmarks" / file).exists() for file in (f"{name}.py", name))
    }
    assert not missing


def test_the_layout_names_every_folder():
    layout = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    assert [name for name in FOLDERS if f"| `{name}/` |" not in layout] == []


def test_every_kind_of_input_names_its_tests_at_every_door():
    lines = (ROOT / "docs" / "kinds.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    assert len(rows) == 17
    assert {len(row) for row in rows} == {7}
    assert all(cell.strip() for row in rows for cell in row)
    found = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        found.setdefault(path.stem.removeprefix("test_"), []).append(path.read_text(encoding="utf-8"))
    named = {name for row in rows for cell in row for name in re.findall(r"`(\w+\.test_\w+)`", cell)}
    files = {name: found.get(name.partition(".")[0], []) for name in named}
    missing = {name for name, texts in files.items() if not any(f"def {name.partition('.')[2]}(" in t for t in texts)}
    assert not missing
