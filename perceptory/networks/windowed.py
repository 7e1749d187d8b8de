"""A network that sees each window of a series relative to the window's own level and scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.errors import InputError, Setting
from perceptory.kernels.stack import Stack
from perceptory.layers.arrays import Shape
from perceptory.networks.base import Network
from perceptory.ops.relative import Relation, change, relative, relative_targets, zeros
from perceptory.registry import Registry
from perceptory.specs import Search, checked, count, flag, remark

LEVELS: Registry[str] = Registry(
    "level",
    {
        "none": "values as they are",
        "last": "less the last value",
        "mean": "less the mean of the window",
        "difference": "from step to step",
        "season": "less the value a season before",
    },
)
SCALES: Registry[str] = Registry(
    "scale",
    {
        "none": "as they are",
        "level": "divided by the mean size",
        "spread": "divided by the standard deviation",
        "season": "divided by the mean change over a season",
    },
)
SAMPLE = 4096  # windows of a fold that tell how large their numbers are


class SeriesFacts(NamedTuple):
    """What networks for forecasts are told of the data. targets: the channel that each target's past stands in.
    horizons: rows ahead, in the order of the outputs. season: steps, 1 where there is none. positive: whether all past
    and future values of the targets are above 0. still, ahead: channels of which the last step tells all, and those
    that hold what is known ahead (`data.series.beside.Beside`); known: those of the same columns' past. turns: of each
    time of the calendar (channel of the sine, of the cosine, angle from one step to the next); None where steps are no
    equal turns. nonnegative: places of the targets that are never below 0."""

    targets: tuple[int, ...]
    horizons: tuple[int, ...]
    season: int
    positive: bool
    still: tuple[int, ...] = ()
    ahead: tuple[int, ...] = ()
    known: tuple[int, ...] = ()
    turns: tuple[tuple[int, int, float], ...] | None = ()
    nonnegative: tuple[int, ...] = ()


def count_or_none(name: Any, value: Any) -> None:
    if value is not None:
        count(name, value)


@dataclass(frozen=True)
class Windowed(Network):
    """A forecaster: `network`, which sees the last `window` steps relative to their own level and scale, and whose
    outputs are put back by the same numbers. So one network serves series of any level, and no series drowns others.

    A value of the target's past is x = b + s · u: u is what the network sees and gives. level: b, see `LEVELS`; scale:
    s, see `SCALES`. Costs are computed from u; what is u = 1 in training windows on average is 1 to the network.

    window: how many of the last steps are looked at; None for all that the data were cut with.
    season: steps of a season; None takes that of the data.
    log: logarithms of the target (all above 0) take the place of its values.
    recursive: the network forecasts one step, which takes the place of the next value, and so on up to the last horizon
    (`networks.rollout`); else all horizons at once. Columns that are not known ahead keep their last value.
    channels, horizons: where the targets' past stands among the inputs, and how far ahead each output is; found in
    the data. still, ahead: which channels hold for a whole window, and which hold what is known ahead; likewise,
    and what recursive forecasts need: known, the past of what is known ahead, and turns, of times of the calendar.
    nonnegative: places of the targets of which no value in training is below 0, so that no forecast is.

    The network gets the targets' channels first and then the others, which are scaled by the fold's training rows.
    Differences and seasonal differences take one step, or one season, off the window. For forecasts of numbers alone.
    Source: reversible instance normalization, Kim et al. 2022; windows divided by their level, Smyl 2020.
    """

    network: Network
    window: int | None = checked(None, check=count_or_none)
    level: str = checked("mean", check=lambda _, value: LEVELS[value])
    scale: str = checked("level", check=lambda _, value: SCALES[value])
    season: int | None = checked(None, check=count_or_none)
    log: bool = checked(False, check=flag)
    channels: tuple[int, ...] = ()
    horizons: tuple[int, ...] = ()
    still: tuple[int, ...] = checked((), neutral=())
    ahead: tuple[int, ...] = checked((), neutral=())
    recursive: bool = checked(False, check=flag, neutral=False)
    known: tuple[int, ...] = checked((), neutral=())
    turns: tuple[tuple[int, int, float], ...] = checked((), neutral=())
    nonnegative: tuple[int, ...] = remark(())

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.network, Network | Search) or isinstance(self.network, Windowed):
            raise InputError(f"network needs a network such as MLP((64,)), got {self.network!r}.")
        if isinstance(self.network, Network) and (self.network.unscaled or self.network.feedback):
            raise InputError(f"{self.network.label} cannot see windows relative to their level. Give it alone.")

    # --- what the data say -------------------------------------------------------------------------------------------

    def for_series(self, facts: SeriesFacts) -> Windowed:
        season = self.season or facts.season
        filled = replace(
            self, network=self.network.for_series(facts), season=season, channels=facts.targets,
            horizons=facts.horizons, still=facts.still, ahead=facts.ahead, known=facts.known,
            turns=facts.turns or (), nonnegative=facts.nonnegative,
        )  # fmt: skip
        if self.recursive and facts.turns is None:
            raise InputError(
                "recursive forecasts do not go with the calendar of business days, which are unequal steps in "
                "a week. Leave ", Setting("calendar"), " out, or recursive."
            )  # fmt: skip
        if self.log and not facts.positive:
            raise InputError("log needs targets above 0, and the data have others. Leave log out.")
        return filled

    @property
    def windows(self) -> Windowed:
        return self

    @property
    def least(self) -> np.ndarray | None:
        """[horizon, target] the least value that a forecast may have; None where all may have any."""
        if not self.nonnegative:
            return None
        floor = np.where(np.isin(np.arange(len(self.channels)), self.nonnegative), 0.0, -np.inf)
        return np.broadcast_to(floor, (len(self.horizons), len(self.channels)))

    @property
    def how(self) -> Relation:
        return Relation(self.level, self.scale, self.season or 1, self.log, self.horizons)

    def steps(self, inputs: Shape) -> Shape:
        """Of what `sight` sees, from the shape of the data's windows."""
        if not self.horizons:
            raise InputError(
                "Windowed is for forecasts of numbers. Read the series with ", Setting("predict", "ahead"), "."
            )
        window, lost = self.window or inputs[0], self.how.lost
        season = self.season or 1
        needed = max(lost + 1, season + 1 if self.scale == "season" or self.level == "season" else 1)
        least = max(needed, window)
        if inputs[0] < least <= season + 1:
            raise InputError(
                f"a season of {season} steps needs windows of at least {least}, and those of the data have {inputs[0]}"
                ". Read them with ", Setting("window", least), ", or with ", Setting("season", 1), ", which is none.",
            )  # fmt: skip
        if window > inputs[0] or window < needed:
            what = f"at least {needed}" if window < needed else f"at most {inputs[0]}, the window of the data"
            raise InputError(f"Windowed needs a window of {what} steps, got {window}. Give another one.")
        return (inputs[0] if self.ahead else window - lost, inputs[1])

    @property
    def sight(self) -> Network:
        """The network that takes what `joined` gives."""
        if not (self.still or self.ahead or self.recursive):
            return self.network
        return _told(self)

    def order(self, channels: int) -> np.ndarray:
        """Which channel of the data each one is that the network sees."""
        return np.array([*self.channels, *(c for c in range(channels) if c not in self.channels)])

    def arranged(self, xp: Any, x: Any) -> tuple[Any, Any]:
        """(targets' past [n, window, target], other channels) of windows [n, time, channel]; the others as long as the
        targets' past, or, where some hold the future, [n, time, channel]."""
        own = x[:, x.shape[1] - (self.window or x.shape[1]) :]
        others = [c for c in range(x.shape[2]) if c not in self.channels]
        return own[:, :, np.array(self.channels)], (x if self.ahead else own)[:, :, np.array(others, int)]

    def joined(self, xp: Any, numbers: Any, others: Any) -> Any:
        """What `sight` sees, of both."""
        if self.ahead:  # all steps: those before the numbers begin are not looked at
            gone = others.shape[1] - numbers.shape[1]
            return xp.concatenate([xp.pad(numbers, ((0, 0), (gone, 0), (0, 0))), others], axis=2)
        return xp.concatenate([numbers, others[:, self.how.lost :]], axis=2) if others.shape[2] else numbers

    def sizes(self, x: Any) -> np.ndarray:
        """[target] the mean size of the numbers in training windows x [n, time, channel]."""
        some = np.asarray(x[:: max(1, len(x) // SAMPLE)])
        with np.errstate(invalid="ignore", divide="ignore"):
            numbers, _ = relative(np, self.how, self.arranged(np, some.astype(float))[0])
            size = 1.25 * np.nanmean(np.abs(numbers), axis=(0, 1))
        return np.where(size > 0, size, 1.0)

    def seen(self, x: Any, rest: Any, t: Any, t_rest: Any, others: Any, factor: Any, cost: Any) -> tuple[Any, Any]:
        """In the program: what the network sees of windows x [n, time, channel] as given, and the targets t
        [n, horizon · target] in the same numbers. rest, t_rest: what rounding took from them. others: x as scaled by
        the training rows. factor: [channel] of the same, which brings numbers to size 1. cost: is told beside the
        targets what it asks for: "zero", the number that a value of 0 has, "change", the mean size of a change over a
        season."""
        how, channels = self.how, np.array(self.channels)
        own = factor[channels]
        past = self.arranged(jnp, x)[0].astype(factor.dtype)
        numbers, units = relative(jnp, how, past, None if rest is None else self.arranged(jnp, rest)[0])
        several = (t.shape[0], len(self.horizons), len(channels))
        low = None if t_rest is None else t_rest.reshape(several)
        aims = relative_targets(jnp, how, t.astype(factor.dtype).reshape(several), units, low) * own
        told = {"zero": lambda: zeros(units), "change": lambda: change(jnp, how, past, units)}
        beside = [jnp.broadcast_to(told[name]() * own, several) for name in cost.context]
        whole = jnp.concatenate([part.reshape(t.shape) for part in (aims, *beside)], axis=1)
        return self.joined(jnp, numbers * own, self.arranged(jnp, others)[1]), whole

    # --- the network within ------------------------------------------------------------------------------------------

    def build(self, inputs: Shape, outputs: Shape, *, key: jax.Array) -> Any:
        return self.sight.build(self.steps(inputs), outputs, key=key)

    @property
    def label(self) -> str:
        if self.network.speaks:
            return self.network.label
        sight = [] if self.window is None else [f"window {self.window}"]
        level = "season " + str(self.season or "") if self.level == "season" else self.level
        sight += [f"{level.strip()}/{self.scale}", *(["log"] if self.log else [])]
        sight += ["recursive"] if self.recursive is True else []
        return f"{self.network.label}, {' '.join(sight)}"

    @property
    def stochastic(self) -> bool:
        return self.network.stochastic

    @property
    def added_cost(self) -> bool:
        return self.network.added_cost

    @property
    def solved(self) -> bool:
        return self.network.solved

    @property
    def learns(self) -> bool:
        return self.network.learns

    @property
    def fixed_steps(self) -> bool:
        return bool(self.ahead) or self.network.fixed_steps

    @property
    def takes_heads(self) -> bool:
        return False

    def hidden_units(self, inputs: Shape, outputs: Shape) -> int:
        return self.sight.hidden_units(self.steps(inputs), outputs)

    def prime(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]], *, key: jax.Array) -> Any:
        return self.sight.prime(module, rows, key=key)

    def calibrate(self, module: Any, rows: Callable[[], tuple[jax.Array, ...]]) -> Any:
        return self.sight.calibrate(module, rows)

    def opening(self, progress: Any) -> Any:
        return self.network.opening(progress)

    def trains(self, name: str) -> bool:
        return self.sight.trains(name)

    def stack(self, inputs: Shape, outputs: Shape) -> Stack | None:
        return self.sight.stack(self.steps(inputs), outputs)


def _told(windows: Windowed) -> Network:
    """The network with a way to what stands beside the past. Places are those of `Windowed.order`."""
    from perceptory.networks.beside import Telling
    from perceptory.networks.rollout import Roll, RollOut

    places = windows.still, windows.ahead, windows.known
    order = windows.order(max(0, *windows.channels, *(c for some in places for c in some)) + 1).tolist()
    still, ahead, known = (tuple(map(order.index, some)) for some in places)
    cut = (windows.window, windows.how.lost) if ahead else (None, 0)
    if not windows.recursive:
        return Telling(windows.network, still, ahead, max(windows.horizons), *cut)
    turns = tuple((windows.still.index(a), windows.still.index(b), angle) for a, b, angle in windows.turns)
    roll = Roll(windows.level, windows.season or 1, windows.horizons, len(windows.channels), known, turns)
    return RollOut(windows.network, still, ahead, roll, *cut)
