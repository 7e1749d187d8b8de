"""What second-order optimizers need of a study, before anything is trained."""

from __future__ import annotations

from math import isqrt
from typing import Any

import jax
import jax.numpy as jnp

from perceptory.errors import InputError
from perceptory.layers.arrays import pack, unpack
from perceptory.layers.base import call
from perceptory.networks.base import layout
from perceptory.optimizers.descent import second, traceable
from perceptory.optimizers.second_order import SecondOrder
from perceptory.studies.study import Candidate, Study
from perceptory.training.plan import MATRICES

MOST_WEIGHTS = 4096  # a factorization of so many takes seconds
GIBIBYTE = 2.0**30


def with_precision(study: Study) -> Study:
    """The study with its precision said."""
    return study.replace(precision=study.arithmetic)


def check_second_order(candidate: Candidate) -> None:
    """`InputError` for what does not go with an optimizer that compares the whole cost before and after a step."""
    optimizer, network, penalty = candidate.optimizer, candidate.network, candidate.penalty
    if not isinstance(optimizer, SecondOrder) or network.solved:
        return
    name = optimizer.label
    if network.stochastic:
        raise InputError(
            f"{name} compares the cost before and after a step, and {network.label} changes it by chance or by the"
            " batch (dropout, noise, batch normalization). Leave that out, or use a first-order optimizer such as Adam."
        )
    for field in ("clip", "average", "augmentation"):
        if getattr(candidate, field) is not None:
            raise InputError(f"{name} takes no {field}: it has no single batches and gradients. Leave it out.")
    _check_penalty(name, optimizer, penalty)
    if not candidate.cost.exact:
        raise InputError(
            f"{name} needs the gradient of the very cost that it lowers, and that of {candidate.cost.label} is another."
            " Use GaussianLikelihood(beta=0), or a first-order optimizer such as Adam."
        )
    if optimizer.matrix == "gauss_newton":
        one = jax.ShapeDtypeStruct((1, 1), jnp.float32)
        outputs = jax.ShapeDtypeStruct((1, candidate.cost.heads), jnp.float32)
        jax.eval_shape(candidate.cost.curvature, outputs, one)  # raises where the cost has none


def _check_penalty(name: str, optimizer: Any, penalty: Any) -> None:
    if penalty is None:
        return
    if optimizer.evidence:
        raise InputError(f"{name} finds the strength of its own penalty. Leave the weight penalty out.")
    least = 2 if optimizer.matrix else 1
    if penalty.zeros or not (penalty.p >= least and penalty.p > 1):
        needs = "at least 2" if optimizer.matrix else "above 1"
        raise InputError(
            f"{name} needs a weight penalty with a smooth slope, p {needs} and no mix, got {penalty.label}. Use p=2, or"
            " a first-order optimizer such as Adam."
        )


def check_hessian(optimizer: Any, network: Any, cost: Any, shapes: tuple[Any, Any], targets: Any) -> None:
    """`InputError` where the optimizer takes the exact Hessian and the network's own backward rules have none."""
    if getattr(optimizer, "matrix", None) != "hessian" or network.solved:
        return
    inputs, outputs = shapes
    module = network.build(inputs, outputs, key=jax.random.key(0))

    def of(vector: Any, x: Any, t: Any) -> Any:
        return jnp.sum(cost.per_row(call(unpack(module, vector), x, None), t))

    def hessian(vector: Any, x: Any, t: Any) -> Any:
        return jax.vmap(lambda v: second(lambda v: jax.grad(of)(v, x, t), v))(vector[None])

    if not traceable(hessian, pack(module), jnp.zeros((2, *inputs)), jnp.zeros((2, *targets))):
        raise InputError(
            f"{optimizer.label} needs second derivatives, which {network.label} has none of: its backward rules are its"
            " own. Use the optimizer lm or lbfgs."
        )


def check_size(optimizer: Any, network: Any, shapes: tuple[Any, Any], members: int, memory: float) -> None:
    """`InputError` where a matrix of weights by weights is out of reach. members: in hand at once; memory: in GiB."""
    if not isinstance(optimizer, SecondOrder) or optimizer.matrix is None or network.solved:
        return
    where = layout(network, *shapes)
    weights = int(where.vector([network.trains(n) for n in where.names]).sum())
    fits = min(MOST_WEIGHTS, isqrt(int(memory * GIBIBYTE / (8 * MATRICES))))
    if weights <= fits:
        return
    one = 8 * weights**2 / GIBIBYTE
    raise InputError(
        f"{optimizer.label} takes a matrix of weights by weights: with the {weights:,} weights of {network.label} it"
        f" holds {one:.3g} GiB for one network and {one * members:.3g} GiB for the {members} of its group. Up to"
        f" {fits:,} weights are possible. Take a smaller network, or the optimizer lbfgs or adam."
    )
