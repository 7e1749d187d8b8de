"""Every figure of a result: functions of a `Result` (`fan` of a `Model`) that return a matplotlib `Figure`.

They are drawn to be read without color (line styles, markers, direct labels) and on paper. None of them touches
pyplot, so nothing is kept alive and no window opens; `figure.savefig("name.pdf")` writes one to a file.
"""

from perceptory.figures.auxiliary import auxiliary_curves
from perceptory.figures.classification import calibration, confusion_matrix, roc
from perceptory.figures.codes import (
    anomaly_scores,
    code_curve,
    code_map,
    errors_by_column,
    reconstructed,
    samples,
)
from perceptory.figures.distribution import fan
from perceptory.figures.ensemble import ensemble_error
from perceptory.figures.examples import few_examples, over_time
from perceptory.figures.forecasts import last_forecasts
from perceptory.figures.horizons import error_by_horizon
from perceptory.figures.importance import effects, importance
from perceptory.figures.regression import predicted_against_true, residuals
from perceptory.figures.sizes import size_curve
from perceptory.figures.study import learning_curves, ranking

__all__ = [
    "anomaly_scores",
    "auxiliary_curves",
    "calibration",
    "code_curve",
    "code_map",
    "confusion_matrix",
    "effects",
    "ensemble_error",
    "error_by_horizon",
    "errors_by_column",
    "fan",
    "few_examples",
    "importance",
    "last_forecasts",
    "learning_curves",
    "over_time",
    "predicted_against_true",
    "ranking",
    "reconstructed",
    "residuals",
    "roc",
    "samples",
    "size_curve",
]
