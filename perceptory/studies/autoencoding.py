"""What a study of autoencoders adds to its candidates: PCA beside each width of code, and a cost for each column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np

from perceptory.data.examples import ExampleEncoder
from perceptory.data.own_targets import kinds_and_widths
from perceptory.errors import InputError, Setting, Written
from perceptory.networks.autoencoder import PCA, Autoencoder, CodedNetwork
from perceptory.notes import Note, code_not_narrow
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.specs import is_on
from perceptory.studies.design import Candidate
from perceptory.studies.encoded_examples import EncodedExamples


def for_reconstruction(
    candidates: Sequence[Candidate], encoder: ExampleEncoder, encoded: EncodedExamples, *, beside_pca: bool = True
) -> list[Candidate]:
    """The candidates with a cost for each column of the data, and PCA of every width of code among them.

    beside_pca: False leaves PCA out, where one network is trained that is compared with none.

    `InputError` for a network without a code.
    """
    kinds, widths, channels = kinds_and_widths(encoder)
    completed: list[Candidate] = []
    for candidate in candidates:
        if not isinstance(candidate.network, CodedNetwork):
            raise InputError(
                f"the task 'autoencode' needs a network with a code, got {candidate.network.label}. Example: ",
                Setting("networks", Written("[Autoencoder(MLP((64,)), code=8)]", "autoencoder:64:8")),
            )
        cost = candidate.cost
        if isinstance(cost, Reconstruction):
            cost = cost.replace(kinds=kinds, widths=widths, channels=channels)
        completed.append(candidate.replace(cost=cost))
    if not beside_pca or encoded.lengths is not None:  # principal components need examples of one length
        return completed
    first = completed[0]
    known = _codes(c for c in completed if isinstance(c.network, PCA))
    for width in sorted(_codes(completed) - known):
        plain = {"penalty": None, "clip": None, "average": None, "augmentation": None, "start": None}
        completed.append(first.replace(network=PCA(width), **plain))
    return completed


def widths_of_codes(candidates: Sequence[Candidate]) -> np.ndarray | None:
    """[candidate] how many numbers each code has; None where one has none."""
    networks = [c.network for c in candidates]
    if not all(isinstance(network, CodedNetwork) for network in networks):
        return None
    return np.array([network.code for network in networks if isinstance(network, CodedNetwork)])


def only_compared(candidates: Sequence[Candidate]) -> frozenset[int]:
    """Places of candidates that are there for comparison: PCA, where all others are variational, since what is wanted
    then is a model that can be drawn from."""
    pca = frozenset(place for place, c in enumerate(candidates) if isinstance(c.network, PCA))
    others = [c.network for place, c in enumerate(candidates) if place not in pca]
    variational = [n for n in others if isinstance(n, Autoencoder) and is_on(n.variational)]
    return pca if others and len(variational) == len(others) else frozenset()


def check_rule(rule: str, task: str) -> None:
    """`InputError` where a rule speaks of codes and there are none."""
    if rule == "narrow_code" and task != "autoencode":
        raise InputError(Setting("rule", "narrow_code"), f" is for autoencoders, not for {task}. Use another rule.")


def notes_on_codes(candidates: Sequence[Candidate], encoded: EncodedExamples) -> tuple[Note, ...]:
    """A code that holds as many numbers as an example, so that nothing has to be left out."""
    if encoded.task != "autoencode":
        return ()
    inputs = prod(encoded.shape)
    widest = max(_codes(candidates))
    return (code_not_narrow(widest, inputs),) if widest >= inputs else ()


def _codes(candidates: Iterable[Candidate]) -> set[int]:
    return {c.network.code for c in candidates if isinstance(c.network, CodedNetwork)}
