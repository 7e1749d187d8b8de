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
        "tanh": Entry(".ops.activations:TANH", "2 / (1 + e^(-2z)) - 1"),  # [E5]
        "relu": Entry(".ops.activations:RELU", "max(0, z)"),  # [E6]
        "elu": Entry(".ops.activations:ELU", "z for z > 0, else α (e^z - 1), α = 1"),  # [E7]
        "sigmoid": Entry(".ops.activations:SIGMOID", "1 / (1 + e^(-z))"),  # [E4]
        "steep_sigmoid": Entry(".ops.activations:STEEP_SIGMOID", "1 / (1 + e^(-2z))"),  # [E2]
        "linear": Entry(".ops.activations:LINEAR", "z"),
        "threshold": Entry(".ops.activations:THRESHOLD", "1 for z >= 0, else 0 (gradient 0)"),
        "piecewise_linear": Entry(".ops.activations:PIECEWISE_LINEAR", "0, z + 1/2, 1: linear, saturated"),
        "leaky_relu": Entry(".ops.activations:LEAKY_RELU", "z for z > 0, else slope · z, slope = 0.01"),
        "gelu": Entry(".ops.activations:GELU", "z Φ(z), tanh form"),
        "silu": Entry(".ops.activations:SILU", "z / (1 + e^(-z))"),
        "softplus": Entry(".ops.activations:SOFTPLUS", "ln(1 + e^z)"),
        "selu": Entry(".ops.activations:SELU", "λ z for z > 0, else λ α (e^z - 1): λ = 1.0507, α = 1.6733"),
        "mish": Entry(".ops.activations:MISH", "z tanh(ln(1 + e^z))"),
        "softsign": Entry(".ops.activations:SOFTSIGN", "z / (1 + |z|)"),
        "hard_sigmoid": Entry(".ops.activations:HARD_SIGMOID", "slope · z + 1/2 from 0 to 1, slope = 1/6"),
        "softmax": Entry(".ops.activations:SOFTMAX", "e^z / Σ e^z over the units of a layer"),
    },
)
INITIALIZERS: Registry[Any] = Registry(
    "initializer",
    {
        "glorot": Entry(".ops.initializers:glorot", "uniform within ±√(6 / (fan in + fan out))"),
        "he": Entry(".ops.initializers:he", "uniform within ±√(6 / fan in)"),
        "lecun": Entry(".ops.initializers:lecun", "uniform within ±√(3 / fan in)"),
        "small": Entry(".ops.initializers:small", "uniform within ±0.1"),
        "orthogonal": Entry(".ops.initializers:orthogonal", "orthonormal rows or columns"),
        "nguyen_widrow": Entry(".ops.initializers:nguyen_widrow", "slopes side by side over the inputs"),
    },
)
METRICS: Registry[Any] = Registry(
    "score",
    {
        "mse": Entry(".selection.metrics:mse", "mean squared error"),  # [E28]
        "rmse": Entry(".selection.metrics:rmse", "root of the mean squared error"),
        "mae": Entry(".selection.metrics:mae", "mean absolute error"),
        "smape": Entry(".selection.metrics:smape", "symmetric mean absolute error in percent, of forecasts"),
        "mase": Entry(".selection.metrics:mase", "mean absolute error in changes over a season, of forecasts"),
        "owa": Entry(".selection.metrics:owa", "mean of sMAPE and MASE, each relative to M4's Naive2, of forecasts"),
        "r2": Entry(".selection.metrics:r2", "coefficient of determination"),
        "vaf": Entry(".selection.metrics:vaf", "variance accounted for, in percent"),  # [E29]
        "accuracy": Entry(".selection.metrics:accuracy", "share of rows whose class is predicted"),
        "log_loss": Entry(".selection.metrics:log_loss", "mean of -log(probability of the true class)"),
        "auc": Entry(".selection.metrics:auc", "area under the ROC curve"),
        "reconstruction_error": Entry(
            ".selection.metrics:reconstruction_error", "share of the variance not reconstructed"
        ),
        "cost": Entry(".selection.metrics:own_cost", "the cost itself on the validation rows"),
    },
)

# --- specs -------------------------------------------------------------------------------------------------------

NETWORKS: Registry[Any] = Registry(
    "network",
    {
        "mlp": Entry(".networks.mlp:MLP", "feedforward", "WIDTHS:ACTIVATION:DROPOUT"),
        "linear": Entry(".networks.linear:Linear", "solved", "RIDGE"),
        "rbf": Entry(".networks.rbf:RBFNetwork", "radial basis functions", "CENTERS"),
        "rnn": Entry(".networks.recurrent:RNN", "for series", "WIDTHS"),
        "gru": Entry(".networks.recurrent:GRU", "for series", "WIDTHS"),
        "lstm": Entry(".networks.recurrent:LSTM", "for series", "WIDTHS"),
        "narx": Entry(".networks.narx:NARX", "for dynamic systems", "WIDTHS"),
        "state_space": Entry(".networks.state_space:StateSpace", "for dynamic systems", "STATES"),
        "arx_residual": Entry(".networks.arx_residual:ARXResidual", "over a linear dynamic model", "NETWORK:LAGS"),
        "windowed": Entry(".networks.windowed:Windowed", "relative to a window's level", "NETWORK:WINDOW:LEVEL:SCALE"),
        "nbeats": Entry(".networks.nbeats:NBEATS", "residual blocks, for forecasts", "BLOCKS:WIDTH:LAYERS"),
        "naive": Entry(".networks.naive:Naive", "the last value or season", "SEASON"),
        "trend": Entry(".networks.trend_season:TrendSeason", "linear in a window's trend and season", "SEASON"),
        "smoothing": Entry(".networks.smoothing:Smoothing", "exponential smoothing of a window", "SEASON"),
        "cnn": Entry(".networks.cnn:CNN", "for series and images", "CHANNELS:KERNEL"),
        "tabular": Entry(
            ".networks.tabular:TabularMLP", "for tables of numbers and categories", "WIDTHS:ACTIVATION:DROPOUT"
        ),
        "kernel": Entry(".networks.kernel_ridge:KernelRidge", "kernel ridge regression, solved", "CENTERS:KERNEL"),
        "thresholds": Entry(
            ".networks.thresholds:ThresholdNetwork", "threshold units, sparse, solved", "BINS:STRENGTH"
        ),
        "autoencoder": Entry(".networks.autoencoder:Autoencoder", "through a narrow code", "ENCODER:CODE"),
        "pca": Entry(".networks.autoencoder:PCA", "the linear autoencoder, solved", "CODE"),
        "chain": Entry(".networks.chain:Chain", "layer by layer", "LAYER,VALUE+LAYER,VALUE"),
    },
    classes=SPECS,
)
# (network, inputs) -> the decoder that mirrors it, by its class; they are made of the parts of those.
MIRRORS: Registry[Any] = Registry(
    "mirror",
    {
        "CNN": Entry(".networks.decoders:mirror_of_stages"),
        "GRU": Entry(".networks.decoders:mirror_of_recurrence"),
        "LSTM": Entry(".networks.decoders:mirror_of_recurrence"),
        "RNN": Entry(".networks.decoders:mirror_of_recurrence"),
    },
)
LAYERS: Registry[Any] = Registry(
    "layer",
    {
        "dense": Entry(".networks.chain_units:DenseLayer", "", "WIDTH,ACTIVATION"),
        "dropout": Entry(".networks.chain_units:DropoutLayer", "in training", "RATE"),
        "noise": Entry(".networks.chain_units:NoiseLayer", "in training", "STD"),
        "norm": Entry(".networks.chain_units:NormLayer", "", "NORM"),
        "flatten": Entry(".networks.chain_units:Flatten", "all axes as one"),
        "embedding": Entry(".networks.embedding:EmbeddingLayer", "vectors of categories", "CATEGORIES,WIDTH,COLUMNS"),
        "reshape": Entry(".networks.chain_units:ReshapeLayer", "", "SHAPE"),
        "residual": Entry(".networks.chain:Residual", "x + f(x)"),
        "convolution": Entry(".networks.chain_layers:ConvolutionLayer", "", "CHANNELS,KERNEL"),
        "transposed": Entry(
            ".networks.chain_places:TransposedConvolutionLayer",
            "a convolution to more places",
            "CHANNELS,KERNEL,STRIDE",
        ),
        "upsampling": Entry(".networks.chain_places:UpsamplingLayer", "each place several times", "SIZE"),
        "pool": Entry(".networks.chain_places:PoolLayer", "", "SIZE,STRIDE,PADDING"),
        "global_pool": Entry(".networks.chain_layers:GlobalPool", "one value a channel", "POOLING"),
        "prelu": Entry(".networks.chain_units:PReLULayer", "relu with learned slopes", "START"),
        "rnn": Entry(".networks.chain_layers:RNNLayer", "", "WIDTH"),
        "gru": Entry(".networks.chain_layers:GRULayer", "", "WIDTH"),
        "lstm": Entry(".networks.chain_layers:LSTMLayer", "", "WIDTH"),
    },
    classes=SPECS,
)
# (builder, module, value) -> value: what a module computes as nodes of an ONNX graph, by its class.
CONVERSIONS: Registry[Any] = Registry(
    "conversion to ONNX",
    {
        "Activate": Entry(".export.units:activation"),
        "BatchNorm": Entry(".export.units:batch_norm"),
        "CodeToSeries": Entry(".export.steps:code_to_series"),
        "Coder": Entry(".export.coder:coder"),
        "Continued": Entry(".export.windows:continued"),
        "Convolution": Entry(".export.places:convolution"),
        "ConvolutionalNetwork": Entry(".export.places:convolutional_network"),
        "Dense": Entry(".export.units:dense"),
        "Dropout": Entry(".export.units:dropout"),
        "Embedding": Entry(".export.units:embedding"),
        "KernelMachine": Entry(".export.tables:kernel_machine"),
        "Kernels": Entry(".export.units:kernels"),
        "LayerNorm": Entry(".export.units:layer_norm"),
        "NARXNetwork": Entry(".export.steps:narx"),
        "Nearest": Entry(".export.places:nearest"),
        "Noise": Entry(".export.units:unchanged"),
        "PReLU": Entry(".export.units:prelu"),
        "OverLinear": Entry(".export.steps:over_linear"),
        "Past": Entry(".export.units:past"),
        "Pool": Entry(".export.places:pool_layer"),
        "Pooled": Entry(".export.places:pooled"),
        "RealSteps": Entry(".export.places:zeros_in_padding"),
        "RecurrentNetwork": Entry(".export.steps:recurrent_network"),
        "Repeat": Entry(".export.windows:repeat"),
        "Reshape": Entry(".export.units:reshape"),
        "ResidualBlocks": Entry(".export.windows:residual_blocks"),
        "RolledOut": Entry(".export.windows:rolled_out"),
        "Sequential": Entry(".export.units:sequential"),
        "Skip": Entry(".export.units:skip"),
        "Smoothed": Entry(".export.windows:smoothed"),
        "StateSpaceNetwork": Entry(".export.steps:state_space"),
        "Steps": Entry(".export.steps:every_step"),
        "Tabular": Entry(".export.tables:tabular"),
        "Thresholds": Entry(".export.tables:thresholds"),
        "Told": Entry(".export.windows:told"),
        "TransposedConvolution": Entry(".export.places:transposed_convolution"),
        "WeightNoise": Entry(".export.units:inner"),
    },
)
# (builder, cost, value) -> value: the inverse link of a cost as nodes, by its class; without one it is the identity.
LINK_CONVERSIONS: Registry[Any] = Registry(
    "inverse link as ONNX",
    {
        "CustomCost": Entry(".export.links:own"),
        "GammaLikelihood": Entry(".export.links:exponential"),
        "GaussianLikelihood": Entry(".export.links:mean_and_deviation"),
        "HeadCost": Entry(".export.links:head"),
        "LabelCrossEntropy": Entry(".export.links:labels"),
        "PoissonLikelihood": Entry(".export.links:exponential"),
        "Quantile": Entry(".export.links:rising_quantiles"),
        "Reconstruction": Entry(".export.links:given_back"),
        "SavedCost": Entry(".export.links:own"),
        "SigmoidCrossEntropy": Entry(".export.links:two_classes"),
        "SigmoidSquaredError": Entry(".export.links:two_classes"),
        "SoftmaxCrossEntropy": Entry(".export.links:classes"),
        "TransformedError": Entry(".export.links:transformed"),
    },
)
COSTS: Registry[Any] = Registry(
    "cost",
    {
        "squared": Entry(".objectives.regression:SquaredError", "½ Σ (y - t)²: the mean"),
        "absolute": Entry(".objectives.regression:AbsoluteError", "Σ |y - t|: the median"),
        "huber": Entry(".objectives.regression:Huber", "squared near 0, absolute beyond", "DELTA"),
        "quantile": Entry(".objectives.distribution:Quantile", "quantiles that do not cross", "LEVELS"),
        "gaussian": Entry(".objectives.distribution:GaussianLikelihood", "mean and deviation"),
        "smape": Entry(".objectives.forecasts:SMAPE", "symmetric percentage error, of forecasts"),
        "scaled": Entry(".objectives.forecasts:ScaledAbsoluteError", "in changes over a season, of forecasts"),
        "poisson": Entry(".objectives.regression:PoissonLikelihood", "counts"),
        "gamma": Entry(".objectives.regression:GammaLikelihood", "amounts above 0, by their share"),
        "transformed": Entry(".objectives.transformed:TransformedError", "squared, of logarithms or places", "BY"),
        "sigmoid": Entry(".objectives.classification:SigmoidCrossEntropy", "two classes"),
        "sigmoid_squared": Entry(".objectives.classification:SigmoidSquaredError", "squared error"),
        "softmax": Entry(".objectives.classification:SoftmaxCrossEntropy", "several classes"),
        "reconstruction": Entry(".objectives.reconstruction:Reconstruction", "of autoencoders"),
        "labels": Entry(".objectives.labels:LabelCrossEntropy", "several yes-or-no labels a row"),
    },
    classes=SPECS,
)
PENALTIES: Registry[Any] = Registry(
    "penalty",
    {"weights": Entry(".objectives.penalties:WeightPenalty", "λ Σ |w|^p", "STRENGTH:P:MIX")},
    classes=SPECS,
)
OPTIMIZERS: Registry[Any] = Registry(
    "optimizer",
    {
        "adam": Entry(".optimizers.first_order:Adam", "moments of the gradient"),
        "adam_eps_root": Entry(
            ".optimizers.first_order:Adam", "ε under root", "", {"eps": 0.0, "eps_root": 1e-6}
        ),  # [E25]
        "adamw": Entry(".optimizers.first_order:AdamW", "Adam with decoupled weight decay"),
        "sgd": Entry(".optimizers.first_order:SGD", "gradient descent on batches"),
        "gradient_descent": Entry(".optimizers.first_order:GradientDescent", "gradient descent on all rows"),
        "momentum": Entry(".optimizers.first_order:Momentum", "gradient descent with momentum"),
        "nesterov": Entry(".optimizers.first_order:Momentum", "momentum that looks ahead", "", {"nesterov": True}),
        "rmsprop": Entry(".optimizers.first_order:RMSProp", "steps by the root mean square"),
        "rmsprop_fourth_root": Entry(
            ".optimizers.first_order:RMSProp", "by a fourth root", "", {"form": "fourth_root"}
        ),
        "lm": Entry(".optimizers.second_order:LevenbergMarquardt", "adaptive damping"),
        "levenberg_marquardt": Entry(".optimizers.second_order:LevenbergMarquardt", "adaptive damping"),
        "gauss_newton": Entry(".optimizers.second_order:GaussNewton", "Gauss-Newton with a line search"),
        "newton": Entry(".optimizers.second_order:Newton", "exact Hessian with a line search"),
        "lbfgs": Entry(".optimizers.second_order:LBFGS", "curvature from the last gradients"),
        "bayesian_regularization": Entry(".optimizers.second_order:BayesianRegularization", "finds its own penalty"),
    },
    classes=SPECS,
)
PRETEXTS: Registry[Any] = Registry(
    "task of pre-training",
    {
        "autoencoder": Entry(".networks.autoencoder:Autoencoder", "gives back the inputs", "CODE"),
        "masked": Entry(".studies.pretraining:Masked", "fills in hidden parts", "CODE:SHARE:PATCH"),
    },
    classes=SPECS,
)
SCHEDULES: Registry[Any] = Registry(
    "schedule",
    {
        "cosine": Entry(".optimizers.schedules:Cosine", "down half a cosine"),
        "cosine_cycles": Entry(".optimizers.schedules:CosineCycles", "up and down, each time twice as long"),
        "flat_cosine": Entry(".optimizers.schedules:FlatCosine", "constant, then down half a cosine"),
        "exponential": Entry(".optimizers.schedules:Exponential", "by an equal factor each step"),
        "step": Entry(".optimizers.schedules:StepDecay", "by a factor after each of some pieces"),
        "warmup": Entry(".optimizers.schedules:WarmUp", "from 0 over the first share"),
    },
    classes=SPECS,
)
AUGMENTATIONS: Registry[Any] = Registry(
    "augmentation",
    {
        "image": Entry(".augmentation.images:ImageAugmentation", "shifts, rotations, flips, ... of images"),
        "series": Entry(".augmentation.series:SeriesAugmentation", "noise, warps, crops, ... of series"),
        "table": Entry(".augmentation.tables:TableAugmentation", "noise on inputs"),
        "mask": Entry(".augmentation.masking:Masking", "hides columns, patches or stretches"),
        "target": Entry(".augmentation.tables:TargetNoise", "noise on targets"),
    },
    classes=SPECS,
)
VALIDATION_PLANS: Registry[Any] = Registry(
    "validation plan",
    {
        "kfold": Entry(".selection.row_plans:KFold"),
        "stratified": Entry(".selection.row_plans:StratifiedKFold"),
        "group": Entry(".selection.row_plans:GroupKFold"),
        "holdout": Entry(".selection.row_plans:HoldOut"),
        "twosets": Entry(".selection.row_plans:TwoSets"),
        "loo": Entry(".selection.row_plans:LeaveOneOut"),
        "blocked": Entry(".selection.time_plans:BlockedKFold", "for rows in order of time"),
        "rolling": Entry(".selection.time_plans:RollingOrigin", "for rows in order of time"),
    },
    classes=SPECS,
)

DISCARDINGS: Registry[Any] = Registry(
    "way to discard",
    {
        "halving": Entry(".selection.discarding:Halving", "successive halving"),
        "after": Entry(".selection.discarding:DiscardAfter", "once, after a share of the epochs"),
    },
    classes=SPECS,
)

# --- what has no name on the command line ------------------------------------------------------------------------


def _by_name(kind: str, modules: dict[str, str], classes: Registry[Any] | None = None) -> Registry[Any]:
    """A table of things under their own names, from the names of each module."""
    lines = [(name, Entry[Any](f".{m}:{name}")) for m, names in modules.items() for name in names.split()]
    return Registry(kind, dict(lines), classes=classes)


OTHER_SPECS = _by_name(
    "spec",
    {
        "networks.decoders": "CNNDecoder RecurrentDecoder",
        "objectives.auxiliary": "Auxiliary NextStep",
        "optimizers.averaging": "WeightAverage",
        "optimizers.clipping": "ClipByNorm ClipByValue",
        "selection.nested": "Nested",
        "selection.plans": "Folds Repeated Splitter",
        "studies.design": "Candidate",
        "studies.pretrained": "Pretrained",
        "studies.pretraining": "Pretraining Supervised",
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
        "studies.pretrained": "KnownModel",
        "studies.reuse": "LayerRate",
    },
    SPECS,
)
OTHER_NAMES = _by_name(
    "name",
    {
        "errors": "InputError",
        "data": "ArrayDataset Dataset StreamedTable load_bundled load_pictures read_arrays read_images read_series "
        "read_table stream_table",
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
        "estimators": "NetworkAutoencoder NetworkAutoencoderCV NetworkClassifier NetworkClassifierCV NetworkRegressor"
        " NetworkRegressorCV SequenceRegressor",
        "studies.one_network": "Trained train_further",
        "studies.usual": "default_study",
    },
)
INSIGHT_NAMES = _by_name(
    "name",
    {
        "insight.agreement": "AuxiliaryAgreement auxiliary_agreement",
        "insight.approximation": "approximation_study ridge_function",
        "insight.approximation_curves": "ApproximationStudy Slope fitted_slope",
        "insight.backward": "backpropagation",
        "insight.backward_pass": "Backpropagation LayerGradients",
        "insight.curves": "LearningCurve learning_curve size_curve",
        "insight.ensembles": "error_decomposition",
        "insight.flow": "gradient_flow",
        "insight.gradient_norms": "Finding GradientFlow",
        "insight.maps": "feature_maps",
        "insight.neurons": "NeuronResponses neuron_responses weight_histograms",
        "insight.surface": "decision_surface",
    },
)

# What `import perceptory as pt` gives as pt.X.
EXPORTED = (
    NETWORKS, LAYERS, COSTS, PENALTIES, OPTIMIZERS, SCHEDULES, AUGMENTATIONS, VALIDATION_PLANS, DISCARDINGS,
    PRETEXTS, OTHER_SPECS, OTHER_NAMES,
)  # fmt: skip

# --- words that a study's fields take, with what they mean -------------------------------------------------------

RULES: Registry[str] = Registry(
    "rule",
    {
        "best": "the best mean score",
        "one_standard_error": "the fewest weights among those within one standard error of the best mean score",
        "narrow_code": "of autoencoders, the best of the narrowest code that keeps nine tenths of the variance",
    },
)
FINALS: Registry[str] = Registry(
    "final model",
    {
        "folds": "ensemble of the chosen candidate's fold members",
        "refit": "trained on all study rows",
        "weighted": "weighted ensemble of the fold members of several candidates",
        "weighted_refit": "the same, each candidate trained anew on all study rows",
        "weighted_by_error": "fold members of all candidates, weighted by the fourth power of their inverse errors",
    },
)
PRECISIONS: Registry[str] = Registry("precision", {"single": "float32", "double": "float64"})
SAMPLINGS: Registry[str] = Registry(
    "sampling",
    {"shuffle": "every row once an epoch", "replacement": "rows drawn"},  # [E21]
)
