"""Members in the middle of a stream, kept in the run folder so that a run that was cut off goes on from there."""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict

import numpy as np

from perceptory.models.model_file import write_bytes
from perceptory.runs.run_folder import CHUNKS, RunFolder
from perceptory.training.streamed import Wave

SECONDS = 60.0  # between two


class StreamCheckpoint:
    """Of one group of a study; the next group's takes its place. `Checkpoint` of `training.streamed`."""

    def __init__(self, store: RunFolder, group: int):
        self._path, self._group = store.path / CHUNKS / "stream.state", group
        self._last = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self._last >= SECONDS

    def keep(self, wave: Wave) -> None:
        from safetensors.numpy import save

        arrays = {f"state.{i:04d}": a for i, a in enumerate(wave.state or [])}
        arrays |= {f"costs.{slot}": np.concatenate(costs) for slot, costs in wave.costs.items() if costs}
        arrays = {name: np.ascontiguousarray(a) for name, a in {"members": wave.members, **arrays}.items()}
        about = json.dumps({"group": self._group, "number": wave.number})
        write_bytes(self._path, save(arrays, metadata={"perceptory": about}))
        self._last = time.monotonic()

    def read(self) -> Wave | None:
        """None where there is none, where it is of another group, or where it cannot be read."""
        from safetensors.numpy import load

        with contextlib.suppress(Exception):
            content = self._path.read_bytes()
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            about, arrays = json.loads(header["__metadata__"]["perceptory"]), load(content)
            if about["group"] == self._group:
                costs = {int(name[6:]): [a] for name, a in arrays.items() if name.startswith("costs.")}
                state = [a for name, a in sorted(arrays.items()) if name.startswith("state.")]
                return Wave(arrays["members"].copy(), int(about["number"]), state, defaultdict(list, costs))
        return None
