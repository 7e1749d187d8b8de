"""What a person can see of a network and its training: each function returns numbers that print, and a figure of them.

They stand above the studies and change nothing: a model, a study or a module goes in as it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLACES = {
    "perceptory.insight.backward": ("Backpropagation", "LayerGradients", "backpropagation"),
    "perceptory.insight.approximation": (
        "ApproximationStudy",
        "Slope",
        "approximation_study",
        "fitted_slope",
        "ridge_function",
    ),
    "perceptory.insight.curves": ("LearningCurve", "learning_curve", "size_curve"),
    "perceptory.insight.ensembles": ("error_decomposition",),
    "perceptory.insight.findings": ("Finding",),
    "perceptory.insight.flow": ("GradientFlow", "gradient_flow"),
    "perceptory.insight.maps": ("feature_maps",),
    "perceptory.insight.neurons": ("NeuronResponses", "neuron_responses", "weight_histograms"),
    "perceptory.insight.surface": ("decision_surface",),
}
_PLACE = {name: place for place, names in _PLACES.items() for name in names}

__all__ = sorted(_PLACE)


def __getattr__(name: str) -> Any:
    if name not in _PLACE:
        raise AttributeError(f"module 'perceptory.insight' has no attribute {name!r}")
    value = getattr(import_module(_PLACE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
