"""What a member and a study are known by: digests of their content, so that neither place nor time matters."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from perceptory.specs import to_json
from perceptory.studies.design import Candidate, StudyDesign
from perceptory.studies.split import Split


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


def fingerprint(study: StudyDesign, split: Split) -> str:
    """A digest of what is asked and of the study rows, for resuming."""
    encoded = split.encoded
    digest = hashlib.sha256(json.dumps(to_json(study, strict=False, lean=True), sort_keys=True).encode())
    lengths = () if encoded.lengths is None else (encoded.lengths,)
    rows = (x for fold in split.folds for x in fold)
    for array in (encoded.inputs, encoded.targets, encoded.weights, *lengths, *rows):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
