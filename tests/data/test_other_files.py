"""Files that people bring: packed text, JSON records, workbooks, text that is not Unicode, numbers with units."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import json
import lzma
import zipfile

import numpy as np
import polars as pl
import pytest

from perceptory import InputError, read_table, stream_table
from perceptory.data import Encoder
from perceptory.data.tables.other_encodings import western
from perceptory.data.tables.streamed import tables_of

TEXT = "Größe;Ort;y\n" + "".join(f"{k},5;{'Köln' if k % 3 else 'Zürich'};{k % 7},25\n" for k in range(40))


def written(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def same(first, second):
    assert [c.name for c in first.columns] == [c.name for c in second.columns]
    for one, other in zip(first.columns, second.columns, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(first.targets, second.targets)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return read_table(written(tmp_path_factory.mktemp("plain") / "data.csv", TEXT), "y")


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_packed_text_is_the_text(plain, tmp_path, ending, encoding):
    data, path = TEXT.encode(encoding), tmp_path / f"data.csv.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("sheet/data.csv", data)
            archive.writestr("__MACOSX/data.csv", b"x")
            archive.writestr("README.md", b"x")
    else:
        written(path, {"gz": gzip, "bz2": bz2, "xz": lzma}[ending].compress(data))
    same(read_table(path, "y"), plain)
    encoder = Encoder.fit(plain)
    (table,) = tables_of(path, encoder.reading, encoder.texts)
    np.testing.assert_array_equal(encoder.transform(table), encoder.transform(plain))


def test_zstd(tmp_path):
    data = read_table(written(tmp_path / "data.csv.zst", zstd(TEXT)), "y")
    same(data, read_table(written(tmp_path / "data.csv", TEXT), "y"))


def zstd(text):
    """A frame of one raw block (RFC 8878), which needs no compressor."""
    data = text.encode()
    header = (len(data) << 3 | 1).to_bytes(3, "little")
    return bytes.fromhex("28b52ffd") + b"\xa0" + len(data).to_bytes(4, "little") + header + data


def test_records_of_json(plain, tmp_path):
    frame = pl.DataFrame({c.name: c.values for c in plain.columns} | {"y": plain.targets[:, 0]}, strict=False)
    rows = frame.to_dicts()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    for name, text in (("a.json", json.dumps(rows)), ("a.jsonl", lines), ("a.ndjson", f"{lines}\n\n")):
        same(read_table(written(tmp_path / name, text), "y"), plain)
    mixed = '{"a": 1, "y": 1.5}\n{"a": "x", "y": 2, "b": {"c": 1}}\n{"a": true, "y": 3, "b": [1]}\n'
    read = read_table(written(tmp_path / "mixed.jsonl", mixed), "y")
    assert [c.kind for c in read.columns] == ["categorical", "ignored"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.gz", gzip.compress(b"a,y\n1,2\n", mtime=0), "told by the name before .gz"),
        ("x.csv.gz", gzip.compress(b"a,y\n1,2\n", mtime=0)[:-9], "cannot be unpacked"),
        ("x.csv.bz2", b"BZh", "cannot be unpacked"),
        ("x.csv.xz", b"abc", "cannot be unpacked"),
        ("x.csv.zst", b"\x28\xb5\x2f\xfd\xa0", "zst"),
        ("x.csv.gz", gzip.compress(b"a,y\n1,2\n3\n", mtime=0), "line 3 of x.csv has 1 cell"),
        ("x.zip", b"PK\x03\x04", "cannot be unpacked"),
        ("x.json", b'{"a": [1]}', "one object a row"),
        ("x.json", b"[1, 2]", "record 1 is 1"),
        ("x.json", b"[", "no valid JSON|not valid JSON"),
        ("x.jsonl", b'{"a": 1, "y": 2}\n{"a": }\n', "line 2"),
        ("x.jsonl", b"\n", "no rows|no columns"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_table(written(tmp_path / name, content), "y")
    assert "\n" not in str(caught.value)


def test_an_archive_of_two_tables_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "a,y\n1,2\n")
        archive.writestr("b.csv", "a,y\n1,2\n")
    with pytest.raises(InputError, match=r"two.zip holds 2 tables of text.*'a.csv', 'b.csv'"):
        read_table(tmp_path / "two.zip", "y")


def test_a_workbook_needs_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "perceptory\[excel\]"'):
        read_table(written(tmp_path / "a.xlsx", b"PK"), "y")


def test_a_workbook(tmp_path):
    pytest.importorskip("fastexcel")
    path = workbook(tmp_path / "a.xlsx", {"Daten": [["x", "y"], *([k / 2, k % 3] for k in range(30))], "leer": []})
    data = read_table(path, "y", task="regression")
    np.testing.assert_array_equal(data.columns[0].values, np.arange(30) / 2)
    with pytest.raises(InputError, match="no readable workbook"):
        read_table(written(tmp_path / "b.xlsx", b"PK\x03\x04"), "y")


def workbook(path, sheets):
    """The least that is a workbook, written by hand."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"

    def cell(value):
        return f"<c><v>{value}</v></c>" if not isinstance(value, str) else f'<c t="str"><v>{value}</v></c>'

    numbered = list(enumerate(sheets.items(), start=1))
    names = "".join(f'<sheet name="{n}" sheetId="{k}" r:id="r{k}"/>' for k, (n, _) in numbered)
    links = "".join(
        f'<Relationship Id="r{k}" Type="{office}/worksheet" Target="worksheets/s{k}.xml"/>' for k, _ in numbered
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/vnd.'
            f'openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="{kinds}.worksheet+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}.sheet.main+xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" Type="{office}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr("xl/workbook.xml", f'<workbook {space} xmlns:r="{office}"><sheets>{names}</sheets></workbook>')
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}/relationships">{links}</Relationships>'
        )
        for k, (_, rows) in numbered:
            written_rows = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/s{k}.xml", f"<worksheet {space}><sheetData>{written_rows}</sheetData></worksheet>"
            )
    return path


def test_western_windows_text_is_read_and_told(plain, tmp_path):
    data = read_table(written(tmp_path / "data.csv", TEXT.encode("cp1252")), "y")
    same(data, plain)
    assert "data.csv is not UTF-8 and is read as Western Windows text (cp1252). If 'Größe'" in str(data.notes[0])


@pytest.mark.parametrize(
    "text",
    ["Länge [µm]; 5 €; 12 °C; m²; ½", "créée; l’été; cœur; naïve; «oui»; ¿Qué?; ¡Órale!", "„Zitat“ – Señor; ÄÖÜ"],
)
def test_words_of_the_west(text):
    assert western(text.encode("cp1252"))[0] == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Москва", "cp1251"), ("Łódź; Wrocław", "cp1250"), ("東京", "shift_jis"), ("北京", "gbk"), ("서울", "cp949"),
        ("Ελλάδα", "cp1253"), ("Größe", "cp850"), ("Größe", "mac_roman"), ("İstanbul; şehir", "cp1254"),
        ("שלום", "cp1255"), ("Köln", "utf-8"), ("Größe Ünï", "utf-8"),
    ],
)  # fmt: skip
def test_other_encodings_are_not_taken_for_it(text, encoding):
    assert western(text.encode(encoding)) is None


@pytest.mark.parametrize(
    ("cell", "unit", "value"),
    [
        ("{:.1f} %", "%", 1), ("{:.1f}‰", "‰", 1), ("${:,.1f}", "$", 1), ("-${:,.1f}", "$", -1),
        ("EUR {:.1f}", "EUR", 1), ("(${:,.1f})", "$", -1), ("\u2212{:.1f}\u00a0€", "€", -1), ("£-{:.1f}", "£", -1),
    ],
)  # fmt: skip
def test_percent_and_currency_are_units_of_numbers(cell, unit, value):
    numbers = np.arange(60) * 123.5
    table = {"x": ["NA", *[cell.format(v) for v in numbers[1:]]], "y": np.cos(numbers)}
    data = read_table(table, "y")
    (column,) = data.columns
    assert (column.kind, column.unit) == ("numeric", unit)
    np.testing.assert_array_equal(column.values, [np.nan, *(value * numbers[1:])])
    encoder = Encoder.from_json(json.loads(json.dumps(Encoder.fit(data).to_json())))
    for given in ([cell.format(2469)], value * 2469):
        assert encoder.transform({"x": given})[0, 0] == value * 2469
    other = "%" if unit != "%" else "€"
    with pytest.raises(InputError, match=f"held numbers with '.*written with '{other}'"):
        encoder.transform({"x": [f"5 {other}", f"6 {other}"]})
    with pytest.raises(InputError, match="held numbers without a unit"):
        Encoder.fit(read_table({"x": numbers, "y": np.cos(numbers)}, "y")).transform({"x": [f"5 {other}"]})


def test_decimal_commas_and_thousands_stand_beside_a_currency(tmp_path):
    rows = "".join(f"{k}.234,5{k % 10} €;{k}\n" for k in range(1, 60))
    data = read_table(written(tmp_path / "a.csv", "x;y\n" + rows), "y")
    assert data.columns[0].values[:2].tolist() == [1234.51, 2234.52]
    streamed = stream_table(tmp_path / "a.csv", "y")
    assert (streamed.columns[0].kind, streamed.columns[0].unit) == ("numeric", "€")
    table = streamed.table(streamed.frame(0, 59))
    np.testing.assert_array_equal(Encoder.fit(streamed.head).transform(table)[:, 0], data.columns[0].values)


def test_few_numbers_with_a_comma_are_told(tmp_path):
    rows = "".join(f'"{k}","{k % 5},5"\n' for k in range(40))
    data = read_table(written(tmp_path / "a.csv", f'"a","y"\n{rows}'), "y")
    assert data.task == "multiclass"
    assert [str(n) for n in data.notes] == [
        "column 'y' is read as text; a comma in it may stand before decimals, and decimal=\",\" reads it so."
    ]
    assert read_table(tmp_path / "a.csv", "y", decimal=",").task == "regression"


def test_more_units_than_one_are_refused_with_both_rows():
    cells = [f"{k}.5 %" if k != 7 else "7.5" for k in range(40)]
    with pytest.raises(InputError, match=r"more than one unit: '0.5 %' in row 1 and '7.5' in row 8.*ignore=\"x\""):
        read_table({"x": cells, "y": np.arange(40.0)}, "y")
    with pytest.raises(InputError, match=r"the target 'y' holds numbers in more than one unit"):
        read_table({"y": cells, "x": np.arange(40.0)}, "y")
