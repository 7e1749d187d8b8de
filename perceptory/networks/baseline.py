"""What the simple forecasters have in common that stand beside networks."""

from __future__ import annotations

from perceptory.errors import InputError, Setting
from perceptory.layers.arrays import Shape
from perceptory.networks.base import Network


class Baseline(Network):
    """A forecaster that `prime` solves, and whose label tells all of the `Windowed` that is around it."""

    @property
    def solved(self) -> bool:
        return True

    @property
    def speaks(self) -> bool:
        return True


class Continuation(Baseline):
    """A baseline that continues windows of as many steps as in training, with their season, to the horizons."""

    season: int | None
    horizons: tuple[int, ...]

    def check_windows(self, inputs: Shape) -> None:
        """Raise `InputError` where inputs of this shape are no windows of a forecast."""
        if not self.horizons or len(inputs) != 2:
            raise InputError(
                f"{type(self).__name__} is for forecasts of numbers. Read the series with ",
                Setting("predict", "ahead"), ".",
            )  # fmt: skip

    @property
    def fixed_steps(self) -> bool:
        return True

    @property
    def season_words(self) -> str:
        """Of a label, behind what else is continued."""
        return f" and season {self.season}" if self.season not in (None, 1) else ""
