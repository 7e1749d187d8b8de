"""Decision surfaces and feature maps."""

import numpy as np
import pytest

import perceptory as pt
from perceptory import backend
from perceptory.errors import InputError
from perceptory.insight import decision_surface, feature_maps
from perceptory.insight.maps import responses


def regions(figure):
    return {c.get_gid() for ax in figure.axes for c in ax.collections if (c.get_gid() or "").startswith("region")}


def test_classes_have_regions_hatches_and_marks(classified, read):
    data, model = classified
    figure = read.drawn(decision_surface(model, data, ("a", "b"), resolution=20))
    assert regions(figure) == {"region down", "region mid", "region up"}
    for k, name in enumerate(("down", "mid", "up")):
        (line,) = read.lines(figure, f"rows {name}")
        rows = data.targets == k
        np.testing.assert_allclose(line.get_xdata(), data.columns[0].values[rows])
        assert line.get_marker() == "osD"[k]
    assert len({c.hatches[0] for ax in figure.axes for c in ax.collections if c.get_gid()}) == 3
    words = " ".join(read.texts(figure))
    assert "Held at their medians: c = " in words
    assert "town = " in words


def test_the_columns_that_move_the_prediction_are_chosen(classified, read):
    data, model = classified
    figure = decision_surface(model, data, resolution=10)
    assert {figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()} <= {"a", "b", "c"}
    with pytest.raises(InputError, match=r"no numeric column 'town'"):
        decision_surface(model, data, ("a", "town"))
    with pytest.raises(InputError, match="columns needs two names"):
        decision_surface(model, data, ("a", "a"))
    with pytest.raises(InputError, match="a model of a table and a Dataset"):
        decision_surface(model, np.ones((3, 2)))


def test_a_regression_has_levels(small_table, small_result, read):
    model = small_result.model
    figure = read.drawn(decision_surface(model, small_table, ("a", "b"), resolution=12))
    a, b, c = (column.values for column in small_table.columns)
    grid = np.array([[a.min(), b.min(), np.median(c)], [a.max(), b.max(), np.median(c)]])
    corners = model.mean(grid)[:, 0]
    shown = figure.axes[0].collections[0].levels
    assert shown.min() <= corners.min() + 1e-6
    assert shown.max() >= corners.max() - 1e-6
    assert len(read.lines(figure, "rows")[0].get_xdata()) == 240
    assert figure.axes[0].texts  # numbers on the level lines
    with pytest.raises(InputError, match="target needs one of y"):
        decision_surface(model, small_table, target="z")


@pytest.fixture(scope="module")
def images(make_model):
    random = np.random.default_rng(0)
    x = random.uniform(size=(24, 6, 6, 1)).astype(np.float32)
    data = pt.read_arrays(x, x.mean(axis=(1, 2, 3)), kind="image")
    return x, make_model(data, pt.CNN((3, 4), kernel=2, hidden=()), 1)


def test_feature_maps_are_the_stages_outputs(images, read):
    x, model = images
    seen, stages = responses(model, x[0])
    np.testing.assert_allclose(seen, (x[0] - model.in_center[0]) * model.in_factor[0], rtol=1e-4, atol=1e-5)
    assert [s.shape for s in stages] == [(3, 3, 3), (1, 1, 4)]
    from perceptory.insight.dense_layers import module_of

    module = module_of(model)
    with backend.precision("single"):
        output = np.asarray(module.dense(stages[-1].reshape(1, -1)))
    scaled = (model.members_of(x[:1].astype(float))[0] - model.out_center[0]) / model.out_scale[0]
    np.testing.assert_allclose(output, scaled, rtol=1e-3, atol=1e-4)
    figure = read.drawn(feature_maps(model, x[0, :, :, 0]))
    pictures = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert len(pictures) == 1 + 3 + 4
    np.testing.assert_allclose(pictures[1], stages[0][..., 0])
    assert {ax.get_ylabel() for ax in figure.axes} >= {"input", "stage 1", "stage 2"}


def test_maps_need_a_convolution(classified):
    with pytest.raises(InputError, match="needs a convolutional network, got MLP"):
        feature_maps(classified[1], np.ones(3))
