"""What networks for the columns of a table have in common."""

from __future__ import annotations

from typing import Self

from perceptory.errors import InputError
from perceptory.networks.base import Network


class ForTables(Network):
    """A network that tells numbers from columns of 0 and 1 by its field `columns`: of each input 0 for a number, -1 for
    a column of 0 and 1, n for the n-th column of categories. A study fills it in; without it all are numbers."""

    columns: tuple[int, ...]

    def kinds(self, inputs: int) -> tuple[int, ...]:
        """What each of so many inputs is."""
        kinds = self.columns or (0,) * inputs
        if len(kinds) != inputs:
            raise InputError(
                f"{type(self).__name__}.columns says of {len(kinds)} inputs what they are, and there are {inputs}. "
                "Leave it out."
            )
        return kinds

    def parted(self, inputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Places of the numbers, and of all columns of 0 and 1."""
        kinds = self.kinds(inputs)
        numbers = tuple(place for place, kind in enumerate(kinds) if not kind)
        return numbers, tuple(place for place, kind in enumerate(kinds) if kind)

    def for_columns(self, kinds: tuple[int, ...]) -> Self:
        """The spec with what each input is."""
        return self.replace(columns=kinds) if not self.columns else self

    @property
    def unscaled(self) -> tuple[int, ...]:
        """Columns of 0 and 1, whose deviation says how rare they are and not how much they matter."""
        return tuple(i for i, kind in enumerate(self.columns) if kind)
