"""The model that a study gives: an ensemble of trained networks with its encoding and scaling, ready for use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perceptory.data.ahead import ahead, in_threads
from perceptory.data.examples import ExampleEncoder
from perceptory.errors import InputError
from perceptory.models.averages import mean_of
from perceptory.models.by_kernel import ByKernel
from perceptory.models.forward import Placed, forward
from perceptory.models.units import in_own_units, window_units

if TYPE_CHECKING:
    from perceptory.data.series.ends import Ends
    from perceptory.export.onnx_file import Exported
    from perceptory.models.anomalies import Anomalies
    from perceptory.models.backtest import Backtest
    from perceptory.models.distribution import Quantiles
    from perceptory.models.forecasts import Forecast
    from perceptory.models.heads import Heads
    from perceptory.models.importance import Importance

ROWS_AT_ONCE = 8192
IN_FLIGHT = 3  # pieces that are computed while the next ones are made ready


@dataclass
class Model:
    """k networks of one structure. Predictions are the mean over them, in the target's own units.

    weights: [k, weight]; in_center, in_factor: [k, in]; out_center, out_scale: [k, target].
    """

    task: str
    targets: tuple[str, ...]
    classes: np.ndarray | None  # the labels as the user gave them
    encoder: ExampleEncoder
    network: Any
    cost: Any
    outputs: tuple[int, ...]  # of a network: (out,), or (time, out) for outputs at each step
    weights: np.ndarray
    in_center: np.ndarray
    in_factor: np.ndarray
    out_center: np.ndarray
    out_scale: np.ndarray
    precision: str = "single"
    facts: dict[str, Any] = field(default_factory=dict)  # what the file says of its origin
    heads: Heads | None = None  # of auxiliary objectives, where the study kept them
    ends: Ends | None = None  # of forecasts, the last window of each series of the study

    def __len__(self) -> int:
        return len(self.weights)

    def __getstate__(self) -> dict[str, Any]:
        of_this_process = ("placed", "by_kernel")
        return {name: value for name, value in self.__dict__.items() if name not in of_this_process}

    @property
    def parts(self) -> tuple[Model, ...]:
        """The models whose networks this one holds, each of one structure: itself, or those of a `WeightedModel`."""
        return (self,)

    @property
    def shares(self) -> np.ndarray | None:
        """[k] the share of each network in the mean; None where all have the same."""
        return None

    def with_facts(self, facts: dict[str, Any]) -> Model:
        """The same model with other facts."""
        return replace(self, facts=facts)

    def __repr__(self) -> str:
        label = getattr(self.network, "label", type(self.network).__name__)
        target = f", target {', '.join(self.targets)}" if self.targets else ""
        return f"Model({self.task}, {len(self)} x {label}{target})"

    def members(self, table: Any) -> np.ndarray:
        """Predictions of each network: [member, row, target] numbers, or [member, row, class] probabilities.

        Of series with a target a step: [member, row, time, target], for any number of steps. Where the cost learned
        more of a target than one number, it is the point prediction (`Cost.point_prediction`): the quantile nearest the
        median, the mean of a Gaussian.
        """
        return self.cost.point_prediction(self.distributions(table))

    def distributions(self, table: Any) -> np.ndarray:
        """As `members`, with all that the cost learned of a target: [member, row, head · target], such as all means and
        then all deviations."""
        one = self.encoder.one(table)
        if one is not None:
            return self.distributions_of(one)
        kernel = self._kernel
        features = None if kernel is None else self.encoder.many(table)
        if kernel is not None and features is not None:
            return kernel.of_features(features, self._in_own_units)
        batches = self.encoder.batches(table, ROWS_AT_ONCE)
        first = next(batches, None)
        if first is None:
            raise InputError("there is no row to predict. Give at least one.")
        parts = [self.distributions_of(first.inputs, first.lengths)]  # compiles, so that threads need not
        if len(first.rows) > 1:
            parts += self._by_batch(lambda batch: self.distributions_of(batch.inputs, batch.lengths), batches)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _by_batch(self, function: Callable[[Any], Any], batches: Iterable[Any]) -> Iterator[Any]:
        """function(batch) of each batch of inputs, in their order: in threads, since XLA works off one thread's calls
        one after the other; not where there is code of the user's, which need not stand that."""
        from perceptory.specs import has_code

        own_code = any(has_code((part.network, part.cost)) for part in self.parts)
        return map(function, ahead(batches)) if own_code else in_threads(function, batches, waiting=1)

    def members_of(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """As `members`, from encoded inputs [row, in] (NaN is missing), or [row, *shape] and lengths [row]."""
        return self.cost.point_prediction(self.distributions_of(inputs, lengths))

    def distributions_of(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """As `distributions`, from encoded inputs."""
        if inputs.shape[-1] != self.in_center.shape[1] or inputs.ndim < 2:
            raise InputError(f"expected inputs [row, {self.in_center.shape[1]}], got shape {inputs.shape}.")
        if not len(inputs):
            raise InputError("there is no row to predict. Give at least one.")
        kernel = self._kernel
        if kernel is not None and lengths is None:
            return kernel.of_inputs(np.asarray(inputs), self._in_own_units)
        from perceptory.training.plan import piece_of

        outputs = self.outputs if len(self.outputs) == 1 else (inputs.shape[1], self.outputs[1])
        if len(inputs) == 1:
            return self._found(self._begun(inputs, lengths, outputs), inputs)
        most = min(ROWS_AT_ONCE, piece_of(self.network, inputs.shape[1:], outputs) // len(self))
        most = 1 << max(4, most.bit_length() - 1)
        parts = []
        begun: deque[tuple[Any, np.ndarray]] = deque()
        for i in range(0, len(inputs), most):
            cut = slice(i, i + most)
            coming = self._begun(inputs[cut], None if lengths is None else lengths[cut], outputs)
            begun.append((coming, inputs[cut]))
            if len(begun) > IN_FLIGHT:
                parts.append(self._found(*begun.popleft()))
        parts += [self._found(*each) for each in begun]
        return np.concatenate(parts, axis=1)

    def _begun(self, inputs: np.ndarray, lengths: np.ndarray | None, outputs: tuple[int, ...]) -> Any:
        """What the networks give for some rows, perhaps still to be computed: an array on the device."""
        from perceptory import backend

        inputs = np.asarray(inputs)
        with backend.precision(self.precision) as dtype:
            given, network, placed = inputs, self.network, Placed.of_model(self, dtype)
            if network.windows is not None:
                inputs, _ = window_units(network, given)
                network = network.sight
            # What all networks' centers have in common is taken off in double precision; what is left is small.
            with np.errstate(over="ignore"):
                x = (inputs - placed.common).astype(dtype)
            # Round the number of rows up to a power of two: few shapes, few compilations.
            rows = len(x) if len(x) == 1 else 1 << max(4, (len(x) - 1).bit_length())
            if rows > len(x):
                x = np.concatenate([x, np.zeros((rows - len(x), *x.shape[1:]), dtype)])
            steps = None if lengths is None else np.pad(np.asarray(lengths, np.int32), (0, rows - len(inputs)))
            run = forward(network, self.cost.without_code(), inputs.shape[1:], outputs, placed.own_code)
            return run(placed.weights, placed.shift, placed.factor, x, steps)

    def _found(self, begun: Any, given: np.ndarray) -> np.ndarray:
        """The distributions of the rows `given`, once `begun` is computed."""
        return self._in_own_units(np.asarray(begun)[:, : len(given)], given)

    @property
    def _kernel(self) -> ByKernel | None:
        return ByKernel.of_model(self)

    def _in_own_units(self, output: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
        """What networks gave on the trained scale as distributions; given: their inputs, where windows tell units."""
        output = output.astype(float)
        if self.task in ("regression", "autoencode"):
            shape = (len(output), *[1] * (output.ndim - 2), -1)
            center, scale = self.out_center.reshape(shape), self.out_scale.reshape(shape)
            return in_own_units(self.network, self.cost, output, (center, scale), given)
        return output

    def mean(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """[row, target] (or [row, time, target], [row, class]) ensemble mean from encoded inputs."""
        return mean_of(self, self.members_of(inputs, lengths))

    def predict(self, table: Any) -> np.ndarray:
        """Numbers [row] (or [row, target] for several targets), or class labels [row]; with a time axis as `members`.

        Of a quantile model the quantile nearest the median, of a Gaussian one the mean; of an
        autoencoder see `reconstruct`.
        """
        if self.task == "autoencode":
            return self.reconstruct(table)
        mean = mean_of(self, self.members(table))
        if self.classes is not None:
            return self.classes[mean.argmax(axis=1)]
        return mean[..., 0] if mean.shape[-1] == 1 else mean

    def predict_quantiles(self, table: Any, levels: Any = None) -> Quantiles:
        """(levels, values [row, target, quantile]) in the target's own units; with a time axis [row, time, ...].

        levels: some of those that a quantile model was trained for (all by default), or any of a Gaussian model, of
        whose members it takes the mixture. `InputError` for a model of another cost.
        """
        from perceptory.models.distribution import check_quantiles, quantiles

        check_quantiles(self.cost, levels)
        return quantiles(self.cost, self.distributions(table), levels, self.shares)

    def predict_deviation(self, table: Any) -> np.ndarray:
        """Standard deviation of each row's target, shaped as `predict`: what a regression knows of its own error.

        Of a model trained by `GaussianLikelihood` what that learned, over the members the mixture's: variance = mean of
        variances + variance of means. Of any other what residuals of rows that were not trained on say of rows like
        this one (`models.intervals`). `InputError` for other tasks, and where no row was held out.
        """
        from perceptory.models.distribution import deviation, knows_deviation
        from perceptory.models.intervals import predict_deviation

        if knows_deviation(self.cost):
            deviations = deviation(self.cost, self.distributions(table), self.shares)
        else:
            deviations = predict_deviation(self, table)
        return deviations[..., 0] if deviations.shape[-1] == 1 else deviations

    def predict_interval(self, table: Any, coverage: float = 0.9) -> np.ndarray:
        """[row, 2] lower and upper ends between which the target lies with probability `coverage`, in its own units.

        As wide as residuals of rows like this one, which were not trained on (`models.intervals`). Several targets:
        [row, target, 2], each with a coverage of its own. `InputError` as `predict_deviation`, and for a coverage that
        so few residuals cannot tell.
        """
        from perceptory.models.intervals import predict_interval

        return predict_interval(self, table, coverage)

    def forecast(
        self,
        data: Any = None,
        *,
        coverage: float | None = None,
        series: Any = None,
        origins: int = 1,
        every: int | None = None,
        future: Any = None,
    ) -> Forecast:
        """The future of series from their ends on: times, values, intervals by horizon (see `Forecast`).

        data: series up to now, a table as in training; by default those of the study itself, up to their last row, of
        which the model keeps the last windows. Of a model with columns that are known ahead the table goes on after the
        end of its series with these columns, or `future` is a table of the rows after the end.
        coverage: with which probability the target lies in an interval; by default 0.9, and no interval where the model
        has held out too few forecasts to tell that. Of a model of quantiles its own levels are given instead.
        series: names of those to forecast; all by default.
        origins: from how many moments of each series, the last of which is its end: a backtest of the model as it is,
        with what came (`Forecast.truth`). every: rows from one origin to the next; by default the longest horizon.

        `InputError` for a model that does not forecast, for a future that is needed and not given, and for a coverage
        beyond what its held-out forecasts can tell.
        """
        from perceptory.models.forecasts import forecast

        return forecast(self, data, coverage, series, origins, every, future)

    def backtest(
        self,
        data: Any,
        *,
        origins: int = 6,
        every: int | None = None,
        coverage: float | None = None,
        series: Any = None,
    ) -> Backtest:
        """Forecasts from several moments of the past beside what came, with scores by origin and horizon (`Backtest`).

        data: the series, a table as in training. origins: from how many moments of each series, the last of which is
        `every` rows before its end; every: from one to the next, by default the longest horizon. coverage, series: as
        in `forecast`. The model stays as it is: what it was trained on is forecast better than what comes, which a
        warning says. Of a study that keeps sealed rows (`Study.keep_sealed`) those are rows that it has not seen.
        `InputError` as `forecast`.
        """
        from perceptory.models.backtest import backtest

        return backtest(self, data, origins, every, coverage, series)

    def importance(
        self, data: Any, *, score: str | None = None, repeats: int | None = None, rows: int | None = None, seed: int = 0
    ) -> Importance:
        """By how much the score gets worse when the values of one column are shuffled among rows (`Importance`), and
        how predictions move with the most important columns (`Effect`). It prints as a table.

        data: rows with their targets that the model was not trained on, or it tells what the networks know by heart: a
            table with the target's column, or what `read_table`, `read_series` or `read_arrays` gave. A category or a
            date is one column, whatever features it has; of series, whole courses of a column are exchanged.
        score: "rmse" (default) or "mae"; of classes "log_loss" (default) or "accuracy". repeats: how often each column
            is shuffled; rows: how many rows, drawn at random, are looked at. By default as many of both as take a
            second or two. seed: of both draws.

        `InputError` for images, autoencoders, series of different lengths, and fewer than two rows. Sources: Breiman
        2001, section 10; Fisher, Rudin & Dominici 2019; effects: Apley & Zhu 2020.
        """
        from perceptory.models.importance import importance

        return importance(self, data, score=score, repeats=repeats, rows=rows, seed=seed)

    # --- without targets: an autoencoder's uses -----------------------------------------------------------------------

    def encode(self, data: Any, member: int | None = None) -> np.ndarray:
        """Codes [row, code] of examples; of a variational autoencoder their means.

        data: whatever `predict` takes.
        member: which network's code, each having one of its own; by default that which validated best.

        `InputError` for a model that predicts a target.
        """
        from perceptory.models.autoencoding import encode

        return encode(self, data, member)

    def decode(self, codes: Any, member: int | None = None) -> Any:
        """The examples that codes [row, code] stand for: a polars data frame of a table's columns, or an array.

        member: the network whose codes these are, as in `encode`.
        """
        from perceptory.data.own_targets import given_back
        from perceptory.models.autoencoding import decode

        return given_back(self.encoder, decode(self, codes, member))

    def reconstruct(self, data: Any, member: int | None = None) -> Any:
        """What is given back of examples, in their own units, shaped as `decode` gives it: decode(encode(data)).

        Of series of another number of steps as many come back as the network gives.
        """
        from perceptory.data.own_targets import given_back
        from perceptory.models.autoencoding import member_of

        place = member_of(self, member)
        return given_back(self.encoder, self.distributions(data)[place])

    def sample(self, count: int, seed: int = 0, member: int | None = None) -> Any:
        """New examples, shaped as `decode` gives them: decoded from codes drawn from the standard normal distribution.

        `InputError` for a model that is not a variational autoencoder, which knows no distribution of codes.
        """
        from perceptory.data.own_targets import given_back
        from perceptory.models.autoencoding import sample

        return given_back(self.encoder, sample(self, count, seed, member))

    def interpolate(self, first: Any, second: Any, steps: int = 8, member: int | None = None) -> Any:
        """Examples on the straight way from the code of one example to that of another, both ends included.

        first, second: one example each, as `predict` takes them. steps: how many, at least 2.
        """
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
            raise InputError(f"steps needs a whole number of at least 2, got {steps!r}.")
        ends = [self.encode(one, member) for one in (first, second)]
        if [len(end) for end in ends] != [1, 1]:
            raise InputError(f"interpolate needs one example at each end, got {len(ends[0])} and {len(ends[1])}.")
        share = np.linspace(0, 1, steps)[:, None]
        return self.decode((1 - share) * ends[0] + share * ends[1], member)

    def anomaly_score(self, data: Any) -> Anomalies:
        """(score, p_value, by_column) of examples, by all networks: how unlike the rest each is (see `Anomalies`).

        p_value compares with rows that were not trained on. `InputError` for a model that predicts a target, and where
        no row was held out.
        """
        from perceptory.data.own_targets import own_targets
        from perceptory.models.anomalies import anomalies
        from perceptory.models.autoencoding import check_autoencoder, errors_of

        check_autoencoder(self)
        inputs, lengths, _ = self.encoder.examples(data)
        targets = own_targets(self.encoder, data, inputs)
        weights = np.ones(targets.shape[:-1])
        if lengths is not None:
            weights = (np.arange(targets.shape[1]) < lengths[:, None]).astype(float)
        return anomalies(self, errors_of(self, inputs, targets, weights, lengths))

    def networks(self) -> list[Any]:
        """The k networks as Equinox modules with their weights: module(x [row, ...]) -> [row, *outputs].

        They take inputs scaled by (x - in_center) · in_factor with 0 where missing, and give linear outputs, which
        `cost.inverse_link` makes predictions on the trained scale: target = out_center + out_scale · prediction. Those
        within `Windowed` take and give what it makes of a window.
        """
        import jax

        from perceptory import backend
        from perceptory.layers.arrays import unpack

        with backend.precision(self.precision) as dtype:
            module = self.network.build(self.encoder.shape, self.outputs, key=jax.random.key(0))
            return [unpack(module, jax.numpy.asarray(one, dtype)) for one in self.weights]

    def arrays(self, member: int = 0) -> dict[str, np.ndarray]:
        """The weights of one network's layers by name, such as "layers.0.weight", in the order of `weights`.

        Dense layers have weight [in, out] and bias [out]; convolutions weight [*kernel, in / groups, out], transposed
        ones [*kernel, in, out]. Recurrent layers have weight [in, gates · H], recurrent [H, gates · H] and bias
        [gates · H], gate by gate: of an LSTM i, f, o, g, of a GRU r, u, n (and extra [H], the bias within the reset
        gate's product); PyTorch's have the axes exchanged, of an LSTM in the order i, f, g, o.
        """
        from perceptory.models.layer_weights import arrays

        return arrays(self, member)

    def with_arrays(self, arrays: Mapping[str, Any], member: int = 0) -> Model:
        """A model in which some arrays of one network are these, under the names and in the shapes of `arrays`.

        Inputs and targets stay scaled as in `networks`. What was measured of the old weights for `predict_interval` and
        `anomaly_score` is left out. `InputError` for a name that the network lacks, or an array of another shape.
        """
        from perceptory.models.layer_weights import with_arrays

        return with_arrays(self, arrays, member)

    def head(self, name: str) -> Model:
        """A model that predicts what an auxiliary objective aimed at, of the same networks: `head("depth").predict`.

        name: of the column, or "next step". Raises `InputError` where the study kept no heads (`Study.keep_heads`).
        """
        if self.heads is None:
            raise InputError(
                "this model has no heads of auxiliary objectives. Ask the study to keep them: keep_heads=True"
            )
        return self.heads.model(self, name)

    def predict_proba(self, table: Any) -> np.ndarray:
        """Probabilities [row, class], classes in the order of `classes`."""
        if self.classes is None:
            what = "an autoencoder" if self.task == "autoencode" else "a regression"
            raise InputError(f"predict_proba needs a classifier, and this model is {what}. Use predict.")
        return mean_of(self, self.members(table))

    def save(self, path: str | Path) -> None:
        """Write a model file (safetensors with a JSON description; no code)."""
        from perceptory.models.model_file import save

        save(self, path)

    def to_onnx(
        self,
        path: str | Path,
        data: Any = None,
        *,
        coverage: float | None = None,
        part: str = "whole",
        lengths: bool | None = None,
    ) -> Exported:
        """Write the whole pipeline as an ONNX graph, from raw columns to predictions: runs without this package.

        One input a column: numbers and truth values double, NaN where missing; categories as texts, "" where missing;
        dates as int64 microseconds since 1970. Series, images and arrays are one input "x"; of forecasts windows, in
        which what is known ahead has its place: `model.encoder.transform(table)` makes them. Outputs: "prediction" as
        `predict` gives it, "probabilities", "quantiles", "deviation", "interval" where the model has them; of an
        autoencoder "code" and what is given back.

        data: rows on which the graph is compared with the model, whatever `predict` takes; by default rows made up. The
            difference is in the file's metadata and in what comes back, which prints.
        coverage: of an output "interval", as `predict_interval` has it. part: of an autoencoder, "encode" or "decode"
            alone. lengths: whether series come with an input "lengths" [row], their real steps; by default where the
            study read whole series of a table.

        `InputError` for a network of your own, and where the package onnx is not installed. Opset 18, IR version 9.
        """
        from perceptory.export.onnx_file import to_onnx
        from perceptory.models.autoencoding import member_of
        from perceptory.models.intervals import check_coverage

        residuals = None if coverage is None else check_coverage(self, coverage)
        member = member_of(self, None) if self.task == "autoencode" else 0
        return to_onnx(
            self, path, data, residuals=residuals, coverage=coverage, part=part, member=member, lengths=lengths
        )

    def to_code(self, path: str | Path) -> Path:
        """Write the networks as one source file, weights included: `path` ends in .py (NumPy alone) or .c (C99, no
        allocation, no library but math.h).

        The Python file has `predict(columns)`, a dict of raw columns; the C file `void predict(const double x[INPUTS],
        double y[OUTPUTS])`, whose inputs are the encoder's features, listed in it, NAN where missing. `InputError` for
        networks that are more than dense layers: these have `to_onnx`.
        """
        from perceptory.export.code_file import to_code

        return to_code(self, path)

    @staticmethod
    def load(path: str | Path, network: Any = None) -> Model:
        """Read a model file, or the one in a run folder; network: the spec, where it is one of your own (`Custom`)."""
        from perceptory.models.model_file import load

        return load(path, network)
