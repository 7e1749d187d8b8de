"""perceptory: neural networks that can be trusted.

A study trains every candidate on every fold with every seed in one compiled program, chooses by validation, measures
the choice once on sealed test rows, and gives a model with its report. Names are loaded when they are first used, so
that importing the package, and asking the command line for help, stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from perceptory import backend  # first of all: it must set up XLA before JAX is imported

__version__ = "0.1.0"

_PLACES = {
    "perceptory.errors": ("InputError",),
    "perceptory.data": (
        "ArrayDataset",
        "Dataset",
        "load_bundled",
        "load_pictures",
        "read_arrays",
        "read_images",
        "read_series",
        "read_table",
    ),
    "perceptory.augmentation.base": ("Augmentation",),
    "perceptory.augmentation.images": ("ImageAugmentation",),
    "perceptory.augmentation.tables": ("TableAugmentation", "TargetNoise"),
    "perceptory.augmentation.preview": ("preview",),
    "perceptory.augmentation.series": ("SeriesAugmentation",),
    "perceptory.networks.base": ("Network",),
    "perceptory.networks.chain": (
        "Chain",
        "DenseLayer",
        "DropoutLayer",
        "Flatten",
        "NoiseLayer",
        "NormLayer",
        "Residual",
    ),
    "perceptory.networks.chain_layers": ("ConvolutionLayer", "GlobalPool", "GRULayer", "LSTMLayer", "RNNLayer"),
    "perceptory.networks.cnn": ("CNN",),
    "perceptory.networks.custom": ("Custom",),
    "perceptory.networks.mlp": ("MLP",),
    "perceptory.networks.narx": ("NARX",),
    "perceptory.networks.rbf": ("RBFNetwork",),
    "perceptory.networks.recurrent": ("GRU", "LSTM", "RNN"),
    "perceptory.networks.state_space": ("StateSpace",),
    "perceptory.objectives.table": (
        "Cost",
        "SquaredError",
        "AbsoluteError",
        "Huber",
        "LabelCrossEntropy",
        "Quantile",
        "GaussianLikelihood",
        "PoissonLikelihood",
        "SigmoidCrossEntropy",
        "SigmoidSquaredError",
        "SoftmaxCrossEntropy",
        "CustomCost",
    ),
    "perceptory.objectives.penalties": ("WeightPenalty",),
    "perceptory.optimizers.first_order": (
        "Adam",
        "AdamW",
        "GradientDescent",
        "Momentum",
        "Optax",
        "RMSProp",
        "SGD",
    ),
    "perceptory.optimizers.averaging": ("WeightAverage",),
    "perceptory.optimizers.clipping": ("ClipByNorm", "ClipByValue"),
    "perceptory.optimizers.least_squares": ("LeastSquares", "least_squares"),
    "perceptory.optimizers.second_order": (
        "BayesianRegularization",
        "GaussNewton",
        "LBFGS",
        "LevenbergMarquardt",
        "Newton",
    ),
    "perceptory.optimizers.schedules": ("Cosine", "Exponential", "StepDecay", "WarmUp"),
    "perceptory.selection.search": ("choice", "integers", "log_uniform", "uniform"),
    "perceptory.selection.plans": (
        "BlockedKFold",
        "Folds",
        "GroupKFold",
        "HoldOut",
        "KFold",
        "LeaveOneOut",
        "Repeated",
        "RollingOrigin",
        "Splitter",
        "StratifiedKFold",
        "TwoSets",
    ),
    "perceptory.models.model": ("Model",),
    "perceptory.results.result": ("Result",),
    "perceptory.runs.run_folder": ("load_result",),
    "perceptory.estimators": (
        "NetworkClassifier",
        "NetworkClassifierCV",
        "NetworkRegressor",
        "NetworkRegressorCV",
        "SequenceRegressor",
    ),
    "perceptory.studies.one_network": ("Trained", "train_further"),
    "perceptory.studies.design": ("Candidate",),
    "perceptory.studies.study": ("Study",),
    "perceptory.studies.presets": ("default_study",),
}
_PLACE = {name: place for place, names in _PLACES.items() for name in names}

_PACKAGES = ("insight",)  # loaded when they are first named, as names are

__all__ = ["__version__", "backend", *_PACKAGES, *sorted(_PLACE)]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"perceptory.{name}")
    if name not in _PLACE:
        raise AttributeError(f"module 'perceptory' has no attribute {name!r}")
    value = getattr(import_module(_PLACE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
