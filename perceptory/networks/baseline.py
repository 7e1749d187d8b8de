"""What the simple forecasters have in common that stand beside networks."""

from __future__ import annotations

from perceptory.networks.base import Network


class Baseline(Network):
    """A forecaster that `prime` solves, and whose label tells all of the `Windowed` that is around it."""

    @property
    def solved(self) -> bool:
        return True

    @property
    def speaks(self) -> bool:
        return True
