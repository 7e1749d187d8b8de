"""Everything that has a name, one line each: the only place to enter a new network, cost, activation, ...

The model file, the command line, its help and the package's exports all read these tables. Nothing is imported before
somebody asks for it, so they cost no time and need no JAX. A file can name only what stands here.

The modules that define a kind give its table with the right type: `perceptory.ops.activations.ACTIVATIONS` is this
one. To enter a thing of your own: `NETWORKS.add("mine", Mine, help="...")`, before files that name it are read.
"""

from __future__ import annotations

from typing import Any

from perceptory.registry import Entry, Registry, WithParameters

# Every spec that a file may hold, by its class: all of those with `classes=SPECS` below.
SPECS: Registry[Any] = Registry("spec")

# --- functions, by name ------------------------------------------------------------------------------------------

ACTIVATIONS: WithParameters[Any] = WithParameters(
    "activation",
    {
        "tanh": Entry("perceptory.ops.activations:TANH", "E5: 2 / (1 + e^(-2z)) - 1"),
        "relu": Entry("perceptory.ops.activations:RELU", "E6: max(0, z)"),
        "elu": Entry("perceptory.ops.activations:ELU", "E7: z for z > 0, else α (e^z - 1), α = 1"),
        "sigmoid": Entry("perceptory.ops.activations:SIGMOID", "E4: 1 / (1 + e^(-z))"),
        "steep_sigmoid": Entry("perceptory.ops.activations:STEEP_SIGMOID", "E2: 1 / (1 + e^(-2z))"),
        "linear": Entry("perceptory.ops.activations:LINEAR", "z"),
        "threshold": Entry("perceptory.ops.activations:THRESHOLD", "1 for z >= 0, else 0 (gradient 0)"),
        "piecewise_linear": Entry("perceptory.ops.activations:PIECEWISE_LINEAR", "0, z + 1/2, 1: linear, saturated"),
        "leaky_relu": Entry("perceptory.ops.activations:LEAKY_RELU", "z for z > 0, else slope · z, slope = 0.01"),
        "gelu": Entry("perceptory.ops.activations:GELU", "z Φ(z), tanh form"),
        "silu": Entry("perceptory.ops.activations:SILU", "z / (1 + e^(-z))"),
        "softplus": Entry("perceptory.ops.activations:SOFTPLUS", "ln(1 + e^z)"),
        "softmax": Entry("perceptory.ops.activations:SOFTMAX", "e^z / Σ e^z over the units of a layer"),
    },
)
INITIALIZERS: Registry[Any] = Registry(
    "initializer",
    {
        "glorot": Entry("perceptory.ops.initializers:glorot", "uniform within ±√(6 / (fan in + fan out))"),
        "he": Entry("perceptory.ops.initializers:he", "uniform within ±√(6 / fan in)"),
        "lecun": Entry("perceptory.ops.initializers:lecun", "uniform within ±√(3 / fan in)"),
        "small": Entry("perceptory.ops.initializers:small", "uniform within ±0.1"),
        "orthogonal": Entry("perceptory.ops.initializers:orthogonal", "orthonormal rows or columns"),
        "nguyen_widrow": Entry("perceptory.ops.initializers:nguyen_widrow", "slopes side by side over the inputs"),
    },
)
METRICS: Registry[Any] = Registry(
    "score",
    {
        "mse": Entry("perceptory.selection.metrics:mse", "mean squared error (E28)"),
        "rmse": Entry("perceptory.selection.metrics:rmse", "root of the mean squared error"),
        "mae": Entry("perceptory.selection.metrics:mae", "mean absolute error"),
        "r2": Entry("perceptory.selection.metrics:r2", "coefficient of determination"),
        "vaf": Entry("perceptory.selection.metrics:vaf", "variance accounted for, in percent (E29)"),
        "accuracy": Entry("perceptory.selection.metrics:accuracy", "share of rows whose class is predicted"),
        "log_loss": Entry("perceptory.selection.metrics:log_loss", "mean of -log(probability of the true class)"),
        "auc": Entry("perceptory.selection.metrics:auc", "area under the ROC curve"),
        "cost": Entry("perceptory.selection.metrics:own_cost", "the cost itself on the validation rows"),
    },
)

# --- specs -------------------------------------------------------------------------------------------------------

NETWORKS: Registry[Any] = Registry(
    "network",
    {
        "mlp": Entry("perceptory.networks.mlp:MLP", "feedforward", "WIDTHS:ACTIVATION:DROPOUT"),
        "linear": Entry("perceptory.networks.mlp:MLP", "without hidden layers", "", {"hidden": ()}),
        "rbf": Entry("perceptory.networks.rbf:RBFNetwork", "radial basis functions", "CENTERS"),
        "rnn": Entry("perceptory.networks.recurrent:RNN", "for series", "WIDTHS"),
        "gru": Entry("perceptory.networks.recurrent:GRU", "for series", "WIDTHS"),
        "lstm": Entry("perceptory.networks.recurrent:LSTM", "for series", "WIDTHS"),
        "narx": Entry("perceptory.networks.narx:NARX", "for dynamic systems", "WIDTHS"),
        "state_space": Entry("perceptory.networks.state_space:StateSpace", "for dynamic systems", "STATES"),
        "cnn": Entry("perceptory.networks.cnn:CNN", "for series and images", "CHANNELS:KERNEL"),
        "chain": Entry("perceptory.networks.chain:Chain", "layer by layer", "LAYER,VALUE+LAYER,VALUE"),
    },
    classes=SPECS,
)
LAYERS: Registry[Any] = Registry(
    "layer",
    {
        "dense": Entry("perceptory.networks.chain:DenseLayer", "", "WIDTH,ACTIVATION"),
        "dropout": Entry("perceptory.networks.chain:DropoutLayer", "in training", "RATE"),
        "noise": Entry("perceptory.networks.chain:NoiseLayer", "in training", "STD"),
        "norm": Entry("perceptory.networks.chain:NormLayer", "", "NORM"),
        "flatten": Entry("perceptory.networks.chain:Flatten", "all axes as one"),
        "residual": Entry("perceptory.networks.chain:Residual", "x + f(x)"),
        "convolution": Entry("perceptory.networks.chain_layers:ConvolutionLayer", "", "CHANNELS,KERNEL"),
        "pool": Entry("perceptory.networks.chain_layers:GlobalPool", "one value a channel", "POOLING"),
        "rnn": Entry("perceptory.networks.chain_layers:RNNLayer", "", "WIDTH"),
        "gru": Entry("perceptory.networks.chain_layers:GRULayer", "", "WIDTH"),
        "lstm": Entry("perceptory.networks.chain_layers:LSTMLayer", "", "WIDTH"),
    },
    classes=SPECS,
)
COSTS: Registry[Any] = Registry(
    "cost",
    {
        "squared": Entry("perceptory.objectives.regression:SquaredError"),
        "absolute": Entry("perceptory.objectives.regression:AbsoluteError"),
        "huber": Entry("perceptory.objectives.regression:Huber", "", "LIMIT"),
        "quantile": Entry("perceptory.objectives.distribution:Quantile", "", "LEVELS"),
        "gaussian": Entry("perceptory.objectives.distribution:GaussianLikelihood"),
        "poisson": Entry("perceptory.objectives.regression:PoissonLikelihood"),
        "sigmoid": Entry("perceptory.objectives.classification:SigmoidCrossEntropy"),
        "sigmoid_squared": Entry("perceptory.objectives.classification:SigmoidSquaredError"),
        "softmax": Entry("perceptory.objectives.classification:SoftmaxCrossEntropy"),
        "labels": Entry("perceptory.objectives.labels:LabelCrossEntropy"),
    },
    classes=SPECS,
)
PENALTIES: Registry[Any] = Registry(
    "penalty",
    {"weights": Entry("perceptory.objectives.penalties:WeightPenalty", "λ Σ |w|^p", "STRENGTH:P:MIX")},
    classes=SPECS,
)
OPTIMIZERS: Registry[Any] = Registry(
    "optimizer",
    {
        "adam": Entry("perceptory.optimizers.first_order:Adam"),
        "adam_eps_root": Entry("perceptory.optimizers.first_order:Adam", "", "", {"eps": 0.0, "eps_root": 1e-6}),
        "adamw": Entry("perceptory.optimizers.first_order:AdamW"),
        "sgd": Entry("perceptory.optimizers.first_order:SGD"),
        "gradient_descent": Entry("perceptory.optimizers.first_order:GradientDescent"),
        "momentum": Entry("perceptory.optimizers.first_order:Momentum"),
        "nesterov": Entry("perceptory.optimizers.first_order:Momentum", "", "", {"nesterov": True}),
        "rmsprop": Entry("perceptory.optimizers.first_order:RMSProp"),
        "rmsprop_fourth_root": Entry("perceptory.optimizers.first_order:RMSProp", "", "", {"form": "fourth_root"}),
        "lm": Entry("perceptory.optimizers.second_order:LevenbergMarquardt"),
        "levenberg_marquardt": Entry("perceptory.optimizers.second_order:LevenbergMarquardt"),
        "gauss_newton": Entry("perceptory.optimizers.second_order:GaussNewton"),
        "newton": Entry("perceptory.optimizers.second_order:Newton"),
        "lbfgs": Entry("perceptory.optimizers.second_order:LBFGS"),
        "bayesian_regularization": Entry("perceptory.optimizers.second_order:BayesianRegularization"),
    },
    classes=SPECS,
)
SCHEDULES: Registry[Any] = Registry(
    "schedule",
    {
        "cosine": Entry("perceptory.optimizers.schedules:Cosine"),
        "exponential": Entry("perceptory.optimizers.schedules:Exponential"),
        "step": Entry("perceptory.optimizers.schedules:StepDecay"),
        "warmup": Entry("perceptory.optimizers.schedules:WarmUp"),
    },
    classes=SPECS,
)
AUGMENTATIONS: Registry[Any] = Registry(
    "augmentation",
    {
        "image": Entry("perceptory.augmentation.images:ImageAugmentation"),
        "series": Entry("perceptory.augmentation.series:SeriesAugmentation"),
        "table": Entry("perceptory.augmentation.tables:TableAugmentation"),
        "target": Entry("perceptory.augmentation.tables:TargetNoise"),
    },
    classes=SPECS,
)
VALIDATION_PLANS: Registry[Any] = Registry(
    "validation plan",
    {
        "kfold": Entry("perceptory.selection.row_plans:KFold"),
        "stratified": Entry("perceptory.selection.row_plans:StratifiedKFold"),
        "group": Entry("perceptory.selection.row_plans:GroupKFold"),
        "holdout": Entry("perceptory.selection.row_plans:HoldOut"),
        "twosets": Entry("perceptory.selection.row_plans:TwoSets"),
        "loo": Entry("perceptory.selection.row_plans:LeaveOneOut"),
        "blocked": Entry("perceptory.selection.time_plans:BlockedKFold", "for rows in order of time"),
        "rolling": Entry("perceptory.selection.time_plans:RollingOrigin", "for rows in order of time"),
    },
    classes=SPECS,
)

# --- what has no name on the command line ------------------------------------------------------------------------


def _by_name(kind: str, modules: dict[str, str], classes: Registry[Any] | None = None) -> Registry[Any]:
    """A table of things under their own names, from the names of each module."""
    lines = [(name, Entry[Any](f"perceptory.{m}:{name}")) for m, names in modules.items() for name in names.split()]
    return Registry(kind, dict(lines), classes=classes)


OTHER_SPECS = _by_name(
    "spec",
    {
        "optimizers.averaging": "WeightAverage",
        "optimizers.clipping": "ClipByNorm ClipByValue",
        "selection.plans": "Folds Repeated Splitter",
        "studies.design": "Candidate",
        "studies.study": "Study",
    },
    SPECS,
)
# Users write `choice(...)`, `uniform(...)` and dictionaries of strengths; a `CustomCost` is saved as a `SavedCost`.
INNER_SPECS = _by_name(
    "spec",
    {
        "objectives.custom": "SavedCost",
        "objectives.penalties": "LayerStrength",
        "selection.search": "Choice Integers LogUniform Uniform",
    },
    SPECS,
)
OTHER_NAMES = _by_name(
    "name",
    {
        "errors": "InputError",
        "data": "ArrayDataset Dataset load_bundled load_pictures read_arrays read_images read_series read_table",
        "augmentation.base": "Augmentation",
        "augmentation.preview": "preview",
        "networks.base": "Network",
        "networks.custom": "Custom",
        "objectives.base": "Cost",
        "objectives.custom": "CustomCost",
        "objectives.penalties": "Penalty",
        "optimizers.first_order": "Optax",
        "optimizers.least_squares": "LeastSquares least_squares",
        "selection.search": "choice integers log_uniform uniform",
        "models.model": "Model",
        "runs.result": "Result load_result",
        "estimators": "NetworkClassifier NetworkClassifierCV NetworkRegressor NetworkRegressorCV SequenceRegressor",
        "studies.one_network": "Trained train_further",
        "studies.presets": "default_study",
    },
)
INSIGHT_NAMES = _by_name(
    "name",
    {
        "insight.approximation": "ApproximationStudy Slope approximation_study fitted_slope ridge_function",
        "insight.backward": "Backpropagation LayerGradients backpropagation",
        "insight.curves": "LearningCurve learning_curve size_curve",
        "insight.ensembles": "error_decomposition",
        "insight.findings": "Finding",
        "insight.flow": "GradientFlow gradient_flow",
        "insight.maps": "feature_maps",
        "insight.neurons": "NeuronResponses neuron_responses weight_histograms",
        "insight.surface": "decision_surface",
    },
)

# What `import perceptory as pt` gives as pt.X.
EXPORTED = (
    NETWORKS, LAYERS, COSTS, PENALTIES, OPTIMIZERS, SCHEDULES, AUGMENTATIONS, VALIDATION_PLANS,
    OTHER_SPECS, OTHER_NAMES,
)  # fmt: skip

# --- words that a study's fields take, with what they mean -------------------------------------------------------

RULES: Registry[str] = Registry(
    "rule",
    {
        "best": "the best mean score",
        "one_standard_error": "the fewest weights among those within one standard error of the best mean score",
    },
)
FINALS: Registry[str] = Registry(
    "final model", {"folds": "ensemble of the chosen candidate's fold members", "refit": "trained on all study rows"}
)
PRECISIONS: Registry[str] = Registry("precision", {"single": "float32", "double": "float64"})
SAMPLINGS: Registry[str] = Registry(
    "sampling", {"shuffle": "every row once an epoch", "replacement": "rows drawn (E21)"}
)
