"""What a member and a study are known by: digests of their content, so that neither place nor time matters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from perceptory import backend
from perceptory.data.examples import ExampleEncoder, Examples
from perceptory.data.series.rolled import Ahead
from perceptory.kernels import build
from perceptory.specs import to_json
from perceptory.studies.design import Candidate, StudyDesign
from perceptory.studies.sealing import Sealed
from perceptory.studies.split import Split

PIECE = 1 << 14  # sealed rows that are encoded at once


def member_key(study: StudyDesign, candidate: Candidate, fold: int, seed: int) -> np.ndarray:
    """[2] uint32 from the content of the member: its place among others does not matter."""
    text = json.dumps([study.seed, _one_way(to_json(candidate, strict=False, lean=True)), fold, seed], sort_keys=True)
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=8).digest(), np.uint32)


def _one_way(data: Any) -> Any:
    """Equal numbers written in one way: 2.0 as 2."""
    if isinstance(data, dict):
        return {k: _one_way(v) for k, v in data.items()}
    if isinstance(data, list):
        return [_one_way(v) for v in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


def fingerprint(
    study: StudyDesign, split: Split, encoder: ExampleEncoder, sealed: Sealed, more: Sequence[np.ndarray] = ()
) -> str:
    """A digest of what is asked, of the study rows and of the sealed ones, and of more arrays, for resuming."""
    encoded = split.encoded
    data = sealed.study
    names = [list(map(str, some)) for some in (encoder.feature_names, data.target_names, data.classes or ())]
    asked = [to_json(study, strict=False, lean=True), *names]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode())
    lengths = [part for part in (encoded.lengths, encoded.shares) if part is not None]
    rows = (x for fold in split.folds for x in fold)
    tested = _arrays(sealed.test, encoder)
    for array in (*encoded.digested, encoded.aims, encoded.weights, *lengths, *rows, *tested, *more):
        for part in (block for _, block in array.blocks()) if isinstance(array, Ahead) else (array,):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _arrays(test: Examples | None, encoder: ExampleEncoder) -> Iterator[np.ndarray]:
    """Everything that is computed of sealed rows is computed from these, some rows at a time."""
    for begin in range(0, 0 if test is None else test.rows, PIECE):
        part = test.take(np.arange(begin, min(begin + PIECE, test.rows)))  # type: ignore[union-attr]
        yield from (encoder.transform(part), part.targets, part.row_numbers)
        yield from (extra for extra in (part.weights, part.lengths) if extra is not None)


PROMISE = (
    "The same study of the same data gives the same bits with the same versions, processor, cores, devices, XLA flags,"
    " kernels and memory budget"
)


def environment() -> dict[str, Any]:
    """What bits depend on beside the study and its data: what a run that goes on must find as it was."""
    found = backend.environment() | {"kernels": build.expected()}
    return {name: value for name, value in found.items() if name != "python"}
