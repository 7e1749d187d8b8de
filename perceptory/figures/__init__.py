"""Every figure of a result: functions of a `Result` (`fan` of a `Model`) that return a matplotlib `Figure`.

They are drawn to be read without color (line styles, markers, direct labels) and on paper. None of them touches
pyplot, so nothing is kept alive and no window opens; `figure.savefig("name.pdf")` writes one to a file.
"""

from perceptory.figures.classification import calibration, confusion_matrix, roc
from perceptory.figures.distribution import fan
from perceptory.figures.ensemble import ensemble_error
from perceptory.figures.examples import few_examples, over_time
from perceptory.figures.regression import predicted_against_true, residuals
from perceptory.figures.sizes import size_curve
from perceptory.figures.study import learning_curves, ranking

__all__ = [
    "calibration",
    "confusion_matrix",
    "ensemble_error",
    "fan",
    "few_examples",
    "learning_curves",
    "over_time",
    "predicted_against_true",
    "ranking",
    "residuals",
    "roc",
    "size_curve",
]
