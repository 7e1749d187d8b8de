"""Array aliases and the glossary of shape letters.

Shape names used in docstrings: `row` rows of a table, `in` input features after encoding, `out` network outputs,
`member` training runs, `epoch` epochs, `weight` all trainable numbers of one network in one flat vector,
`batch` rows of one step, `fold` pairs of training and validation rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

Array = jax.Array
Numbers = np.ndarray
Progress = Callable[[dict[str, Any]], None]
