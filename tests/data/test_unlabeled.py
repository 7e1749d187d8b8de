"""Data without a target: every reader takes the task autoencode, and what is known of the examples colors figures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import perceptory as pt
from perceptory import InputError


def pictures(folder, count=6):
    folder.mkdir(parents=True)
    for k in range(count):
        Image.fromarray(np.full((3, 4), 20 * k, np.uint8)).save(folder / f"{k}.png")
    return folder


def test_pictures_need_no_classes_and_classes_color(tmp_path):
    flat = pt.read_images(pictures(tmp_path / "flat"), task="autoencode")
    assert (flat.task, flat.inputs.shape, flat.labels) == ("autoencode", (6, 3, 4, 1), None)
    pictures(tmp_path / "sorted" / "one", 2)
    in_classes = pt.read_images(tmp_path / "sorted", task="autoencode")
    assert list(in_classes.labels.values) == ["one", "one"]
    with pytest.raises(InputError, match="or choose task"):
        pt.read_images(tmp_path / "flat")
    tested = pt.read_images(tmp_path / "flat", like=flat)
    assert (tested.task, tested.inputs.shape) == ("autoencode", (6, 3, 4, 1))


def test_arrays_need_no_targets_and_those_of_a_file_color(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(5, 4, 2)), np.array(list("aabbb"))
    np.savez(tmp_path / "with.npz", x=x, y=y)
    np.savez(tmp_path / "without.npz", x=x)
    assert list(pt.read_arrays(tmp_path / "with.npz", task="autoencode").labels.values) == list(y)
    data = pt.read_arrays(tmp_path / "without.npz", task="autoencode")
    assert (data.kind, data.labels, data.take(np.array([0, 2])).rows) == ("series", None, 2)
    assert list(pt.read_arrays(x, task="autoencode", color=y).take(np.array([4, 0])).labels.values) == ["b", "a"]
    with pytest.raises(InputError, match="color is for task"):
        pt.read_arrays(x, y, color=y)
    with pytest.raises(InputError, match="class needs one value"):
        pt.read_arrays(x, task="autoencode", color=y[:3])


def test_series_are_windows_or_whole_and_new_tables_are_cut_alike():
    table = {"t": np.arange(12), "u": np.sin(np.arange(12.0)), "kind": ["a"] * 6 + ["b"] * 6}
    data = pt.read_series(table, task="autoencode", time="t", window=4, stride=4, color="kind")
    assert (data.inputs.shape, data.channels, data.target_names) == ((3, 4, 1), ("u",), ())
    assert list(data.labels.values) == ["a", "a", "b"]
    inputs, lengths, rows, *_ = data.plan.cut({"t": np.arange(9), "u": np.ones(9)}, data.channels)
    assert (inputs.shape, lengths, rows.tolist()) == ((2, 4, 1), None, [0, 4])
    whole = pt.read_series(table, task="autoencode", series="kind", inputs="u")
    assert whole.inputs.shape == (2, 6, 1)
    for given, words in (({"target": "u"}, "has no target"), ({"predict": "ahead"}, "Leave out predict")):
        with pytest.raises(InputError, match=words):
            pt.read_series(table, task="autoencode", window=4, **given)


def test_a_column_that_colors_is_not_learned():
    table = {"a": [1.0, 2, 3, 4], "b": [2.0, 1, 4, 3], "class": list("xyxy")}
    data = pt.read_table(table, task="autoencode", color="class")
    assert [c.name for c in data.columns if c.kind != "ignored"] == ["a", "b"]
    assert list(data.take(np.array([3, 0])).labels.values) == ["y", "x"]
    assert pt.read_table({**table, "a": [1.0, 2, 3, 5]}, like=data).rows == 4
    with pytest.raises(InputError, match="color is for task"):
        pt.read_table(table, "a", color="class")
