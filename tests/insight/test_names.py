"""The package as a user finds it."""

import subprocess
import sys

import pytest

import perceptory as pt
from perceptory import insight


def test_every_name_is_there():
    assert pt.insight is insight
    assert "insight" in dir(pt)
    assert set(dir(insight)) >= {
        "approximation_study", "backpropagation", "decision_surface", "error_decomposition", "feature_maps",
        "gradient_flow", "learning_curve", "neuron_responses", "size_curve", "weight_histograms",
    }  # fmt: skip
    for name in dir(insight):
        thing = getattr(insight, name)
        assert callable(thing)
        assert thing.__doc__
    with pytest.raises(AttributeError, match="no attribute 'gradients'"):
        _ = insight.gradients


def test_it_is_loaded_when_it_is_named():
    code = "import sys, perceptory; assert 'perceptory.insight' not in sys.modules; perceptory.insight.size_curve"
    subprocess.run([sys.executable, "-c", code], check=True)
