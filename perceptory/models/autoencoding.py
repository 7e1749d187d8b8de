"""What a model without targets is for: codes, what they stand for, samples, and errors of what is given back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from perceptory.errors import InputError, Setting

BLOCK = 256  # rows that `view_of` takes at once
ROWS_AT_ONCE = 4096


def row_errors(errors: np.ndarray) -> np.ndarray:
    """[...] the mean of errors [..., column] over the columns that have a value; 0 where none has."""
    there = ~np.isnan(errors)
    return np.where(there, errors, 0).sum(axis=-1) / np.maximum(there.sum(axis=-1), 1)


def check_autoencoder(model: Any) -> None:
    """`InputError` for a model of another task."""
    if model.task != "autoencode":
        raise InputError(f"this model predicts {', '.join(model.targets)} and has no code. Use predict.")


def member_of(model: Any, member: int | None) -> int:
    """Which network's code is meant: the one that validated best, or the one that was asked for."""
    check_autoencoder(model)
    if member is None:
        best = model.facts.get("best_member", 0)
        return best if isinstance(best, int) and 0 <= best < len(model) else 0
    if isinstance(member, bool) or not isinstance(member, int | np.integer) or not 0 <= member < len(model):
        raise InputError(f"member needs a number from 0 to {len(model) - 1}, got {member!r}.")
    return int(member)


def encode(model: Any, data: Any, member: int | None) -> np.ndarray:
    """See `Model.encode`."""
    place = member_of(model, member)
    parts = [codes_of(model, x, lengths, place) for x, lengths, _ in model.encoder.batches(data, ROWS_AT_ONCE)]
    return np.concatenate(parts)


def codes_of(model: Any, inputs: np.ndarray, lengths: Any = None, member: int | None = None) -> np.ndarray:
    """[row, code] of encoded examples."""
    from perceptory import backend

    place = member_of(model, member)
    parts = []
    with backend.precision(model.precision) as dtype:
        for start in range(0, len(inputs), ROWS_AT_ONCE):
            x = inputs[start : start + ROWS_AT_ONCE]
            steps = None if lengths is None else np.asarray(lengths[start : start + ROWS_AT_ONCE], np.int32)
            run = _encoding(model.network, x.shape[1:], model.outputs)
            codes = run(model.weights[place].astype(dtype), *rounded_up(_scaled(model, place, x, dtype), steps))
            parts.append(np.asarray(codes, float)[: len(x)])
    return np.concatenate(parts)


def decode(model: Any, codes: Any, member: int | None) -> np.ndarray:
    """Targets [row, target] or [row, time, channel], in their own units, of codes [row, code]."""
    from perceptory import backend

    place = member_of(model, member)
    codes = np.asarray(codes, float)
    width = model.network.code
    if codes.ndim != 2 or codes.shape[1] != width or not len(codes) or not np.isfinite(codes).all():
        raise InputError(f"codes need finite numbers [row, {width}], got an array of the shape {codes.shape}.")
    with backend.precision(model.precision) as dtype:
        run = _decoding(model.network, model.cost, model.encoder.shape, model.outputs)
        output = np.asarray(run(model.weights[place].astype(dtype), *rounded_up(codes.astype(dtype))), float)
        output = output[: len(codes)]
    return np.asarray(model.cost.unscale(output, model.out_center[place], model.out_scale[place]))


def sample(model: Any, count: int, seed: int, member: int | None) -> np.ndarray:
    """Targets of `count` codes drawn from the standard normal distribution."""
    check_autoencoder(model)
    if not getattr(model.network, "variational", 0):
        raise InputError(
            f"{model.network.label} has no distribution of codes to draw from. Train a variational one (",
            Setting("variational", 1.0),
            "), or decode codes of your own.",
        )
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise InputError(f"the number of samples needs to be a whole number above 0, got {count!r}.")
    return decode(model, np.random.default_rng(seed).standard_normal((count, model.network.code)), member)


def errors_of(model: Any, inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray, lengths: Any) -> np.ndarray:
    """[member, row, column] errors of encoded examples, as `Reconstruction.errors` has them; targets in their units,
    NaN where missing; weights [row] or [row, time]."""
    from perceptory import backend

    parts = []
    with backend.precision(model.precision) as dtype:
        for start in range(0, len(inputs), 2048):
            cut = slice(start, start + 2048)
            steps = None if lengths is None else np.asarray(lengths[cut], np.int32)
            run = _erring(model.network, model.cost, inputs.shape[1:], _outputs(model, inputs))
            each = []
            for m in range(len(model)):
                x, t = _scaled(model, m, inputs[cut], dtype), _aims(model, m, targets[cut], dtype)
                given = rounded_up(x, t, weights[cut].astype(dtype), steps)
                each.append(np.asarray(run(model.weights[m].astype(dtype), *given), float)[: len(x)])
            parts.append(np.asarray(each))
    return np.concatenate(parts, axis=1)


class View(NamedTuple):
    """What one network makes of examples. codes: [row, code]; outputs: [row, target] or [row, time, channel], in the
    targets' units; errors: [row, column]."""

    codes: np.ndarray
    outputs: np.ndarray
    errors: np.ndarray


def view_of(
    model: Any, member: int, inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray, lengths: Any
) -> View:
    """All three of encoded examples by one network, in blocks of one size, so that it is compiled once; targets and
    weights as in `errors_of`."""
    from perceptory import backend

    parts = []
    with backend.precision(model.precision) as dtype:
        run = _viewing(model.network, model.cost, inputs.shape[1:], _outputs(model, inputs))
        for start in range(0, len(inputs), BLOCK):
            places = np.arange(start, start + BLOCK) % len(inputs)  # what is too much is cut off again
            x, t = _scaled(model, member, inputs[places], dtype), _aims(model, member, targets[places], dtype)
            steps = None if lengths is None else np.asarray(lengths[places], np.int32)
            given = model.weights[member].astype(dtype), x, t, weights[places].astype(dtype), steps
            parts.append([np.asarray(part, float) for part in run(*given)])
    codes, outputs, errors = (np.concatenate(part)[: len(inputs)] for part in zip(*parts, strict=True))
    outputs = np.asarray(model.cost.unscale(outputs, model.out_center[member], model.out_scale[member]))
    return View(codes, outputs, errors)


def _scaled(model: Any, member: int, inputs: np.ndarray, dtype: Any) -> np.ndarray:
    """Encoded inputs on one network's scale, 0 where missing."""
    x = (inputs - model.in_center[member]) * model.in_factor[member]
    return np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf).astype(dtype)


def _aims(model: Any, member: int, targets: np.ndarray, dtype: Any) -> np.ndarray:
    """Targets on one network's scale, NaN where missing."""
    scaled: np.ndarray = ((targets - model.out_center[member]) / model.out_scale[member]).astype(dtype)
    return scaled


def rounded_up(*parts: np.ndarray | None) -> tuple[np.ndarray | None, ...]:
    """Arrays [row, ...] with rows of zeros up to a power of two: few shapes, few compilations."""
    rows = next(len(part) for part in parts if part is not None)
    more = (1 << max(4, (rows - 1).bit_length())) - rows
    return tuple(None if p is None else np.pad(p, ((0, more), *[(0, 0)] * (p.ndim - 1))) for p in parts)


def _outputs(model: Any, inputs: np.ndarray) -> tuple[int, ...]:
    return model.outputs if len(model.outputs) == 1 else (inputs.shape[1], model.outputs[1])


def _built(network: Any, inputs: tuple[int, ...], outputs: tuple[int, ...], weights: Any) -> Any:
    import jax

    from perceptory.layers.arrays import unpack

    return unpack(network.build(inputs, outputs, key=jax.random.key(0)), weights)


@lru_cache(maxsize=64)
def _encoding(network: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Any:
    import jax

    return jax.jit(lambda w, x, lengths: _built(network, inputs, outputs, w).encode(x, lengths))


@lru_cache(maxsize=64)
def _decoding(network: Any, cost: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Any:
    import jax

    return jax.jit(lambda w, code: cost.inverse_link(_built(network, inputs, outputs, w).decode(code)))


@lru_cache(maxsize=64)
def _viewing(network: Any, cost: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Any:
    import jax

    def view(weights: Any, x: Any, t: Any, w: Any, lengths: Any) -> Any:
        net = _built(network, inputs, outputs, weights)
        code = net.encode(x, lengths)
        output = net.decode(code, lengths)
        return code, cost.inverse_link(output), cost.errors(output, t, w)

    return jax.jit(view)


@lru_cache(maxsize=64)
def _erring(network: Any, cost: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Any:
    import jax

    from perceptory.layers.base import call

    def errors(weights: Any, x: Any, t: Any, w: Any, lengths: Any) -> Any:
        net = _built(network, inputs, outputs, weights)
        return cost.errors(call(net, x, None, lengths=lengths), t, w)

    return jax.jit(errors)
