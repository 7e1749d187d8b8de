"""Windows that slide over the axes between the first and the last: how convolution and pooling are done on a CPU.

XLA's own convolutions train many times slower there than gathering every window's values and one matrix product do.
Arrays stand as [channel, *space, batch]: with the batch innermost each copy is of whole vectors, the matrices are
wide, and pooling compares vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from itertools import product
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from perceptory.errors import InputError


class Window(NamedTuple):
    """A window along one axis: `size` taps, `dilation` apart, moved by `stride`; zeros stand before and after."""

    size: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def span(self) -> int:
        return (self.size - 1) * self.dilation + 1

    def positions(self, length: Any) -> Any:
        """How many windows fit on an axis of this length."""
        return (length + self.before + self.after - self.span) // self.stride + 1


Windows = tuple[Window, ...]
PADDINGS = ("valid", "same", "causal", "same_upper", "same_lower")
MOST_REACH = 1 << 20  # steps from a kernel's first tap to its last: so many zeros may be added for each channel


def windows_of(
    size: Any,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    axes: int = 2,
    space: tuple[int, ...] | None = None,
) -> Windows:
    """One `Window` per axis. A number holds for all axes, a tuple has one per axis.

    padding: "valid": none; "same": zeros so that stride 1 keeps the length, of an odd number the greater half behind;
    "causal": all of them in front, so that no output sees a later input (one axis only); a number: on both sides, as
    in PyTorch. With these the zeros do not depend on the length, so a padded series has the values of the series alone.
    "same_upper", "same_lower": as many zeros as ceil(length / stride) positions need, of an odd number the greater half
    behind or in front. With a stride above 1 these are often fewer than those of "same", so the windows lie otherwise:
    "same_upper" is what Keras and TensorFlow call "same" and ONNX SAME_UPPER. They need `space`, the lengths.
    """
    sizes, strides, paddings, dilations = (per_axis(v, axes) for v in (size, stride, padding, dilation))
    if "causal" in paddings and axes != 1:
        raise InputError('padding "causal" is for series, one axis, got two. Use "same" or "valid" for images.')
    windows = []
    lengths = (None,) * axes if space is None else space
    for n, s, pad, d, length in zip(sizes, strides, paddings, dilations, lengths, strict=True):
        window = Window(n, s, d)
        extra = window.span - 1
        if extra > MOST_REACH:
            raise InputError(
                f"a convolution of {n} taps with dilation {d} reaches over {extra} steps, and may over {MOST_REACH}."
                " Choose a smaller kernel or dilation."
            )
        check_padding_name("padding", pad)
        if pad in ("same_upper", "same_lower"):
            if length is None:
                raise InputError(f"padding {pad!r} depends on the length, which is not known here. Use a number.")
            extra = max((-(-length // s) - 1) * s + window.span - length, 0)
        half = extra // 2
        zeros = {
            "valid": (0, 0),
            "causal": (extra, 0),
            "same": (half, extra - half),
            "same_upper": (half, extra - half),
            "same_lower": (extra - half, half),
        }
        before, after = zeros.get(pad, (pad, pad))
        windows.append(window._replace(before=before, after=after))
    return tuple(windows)


def check_padding_name(name: str, pad: Any) -> None:
    """Raise `InputError` where a padding is a word that is none of `PADDINGS`."""
    if isinstance(pad, str) and pad not in PADDINGS:
        words = ", ".join(f'"{word}"' for word in PADDINGS)
        raise InputError(name, f" needs {words} or a number, got {pad!r}.")


def per_axis(value: Any, axes: int) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        return (value,) * axes
    if len(value) != axes:
        raise InputError(f"a tuple here needs one entry for each of {axes} axes, got {value!r}.")
    return value


def check_room(space: tuple[int, ...], windows: Windows, what: str) -> None:
    """Raise `InputError` where a window is longer than what it slides over."""
    for length, window in zip(space, windows, strict=True):
        if window.positions(length) < 1:
            raise InputError(
                f"{what} of {window.span} steps does not fit into {length + window.before + window.after}"
                " (zeros included). Use a smaller one, less pooling before it, or larger inputs."
            )


def taps(x: jax.Array, axis: int, window: Window) -> list[jax.Array]:
    """For each tap of the window the values that it sees at all positions of `axis`; no zeros are added."""
    reach = (window._replace(before=0, after=0).positions(x.shape[axis]) - 1) * window.stride + 1
    starts = [tap * window.dilation for tap in range(window.size)]
    return [lax.slice_in_dim(x, s, s + reach, window.stride, axis) for s in starts]


def views(x: jax.Array, windows: Windows) -> list[jax.Array]:
    """For each place in the window, row by row, the values of x [·, *space, ·] that it sees at all positions."""
    parts = [x]
    for axis, window in enumerate(windows, 1):
        parts = [tap for view in parts for tap in taps(view, axis, window)]
    return parts


def gather(x: jax.Array, windows: Windows) -> jax.Array:
    """im2col: x [in, *space, batch] to [place in window · in, *position, batch], places row by row."""
    pads = [(0, 0), *((w.before, w.after) for w in windows), (0, 0)]
    if any(map(any, pads)):
        # The barrier keeps XLA from folding the zeros into every one of the slices that follow.
        x = lax.optimization_barrier(jnp.pad(x, pads))
    for axis in range(len(windows), 0, -1):  # axis by axis: fewer and longer copies than one for each place
        x = jnp.concatenate(taps(x, axis, windows[axis - 1]), axis=0)
    return x


def scatter(patches: jax.Array, windows: Windows, space: Sequence[int]) -> jax.Array:
    """The transpose of `gather`: [place in window · in, *position, batch] to [in, *space, batch], summing overlaps."""
    y = patches
    for axis, (window, length) in enumerate(zip(windows, space, strict=True), 1):
        y = y.reshape(window.size, -1, *y.shape[1:])
        y = scatter_axis([y[tap] for tap in range(window.size)], axis, window, length)
    return y


def scatter_axis(parts: Sequence[jax.Array], axis: int, window: Window, length: int) -> jax.Array:
    """The transpose of `taps`, zeros around included: [..., position, ...] of each tap to their sum [..., length, ...].

    A tap at offset o adds to the places o, o + stride, ...: those of equal o mod stride are summed as whole shifted
    arrays, and the sums are then interleaved.
    """
    stride, shape = window.stride, parts[0].shape
    padded = max(window.before + length, (shape[axis] - 1) * stride + window.span)
    each = -(-padded // stride)

    def shifted(tap: int) -> jax.Array:
        start = tap * window.dilation // stride
        pads = [(0, 0)] * len(shape)
        pads[axis] = (start, each - start - shape[axis])
        return jnp.pad(parts[tap], pads)

    phases = []
    for phase in range(stride):
        added = [shifted(tap) for tap in range(window.size) if tap * window.dilation % stride == phase]
        empty = jnp.zeros((*shape[:axis], each, *shape[axis + 1 :]), parts[0].dtype)
        phases.append(reduce(jnp.add, added) if added else empty)
    whole = interleave(phases, axis)
    return lax.slice_in_dim(whole, window.before, window.before + length, 1, axis)


def interleave(parts: Sequence[jax.Array], axis: int) -> jax.Array:
    """One array that has along `axis` the first entries of all parts, then the second ones, and so on."""
    count = len(parts)
    if count == 1:
        return parts[0]
    zero = jnp.zeros((), parts[0].dtype)

    # Not a stack: jaxlib 0.10.1 compiles a stack of sums of slices wrongly for some shapes (float64, 4 x 5), silently.
    def spread(i: int) -> jax.Array:
        pads = [(0, 0, 0)] * parts[0].ndim
        pads[axis] = (i, count - 1 - i, count - 1)
        return lax.pad(parts[i], zero, pads)

    return reduce(jnp.add, map(spread, range(count)))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def correlate(x: jax.Array, weight: jax.Array, windows: Windows) -> jax.Array:
    """x [in, *space, batch], weight [place in window · in, out] to [out, *position, batch], by one matrix product."""
    return correlate_plain(x, weight, windows)


def correlate_plain(x: jax.Array, weight: jax.Array, windows: Windows) -> jax.Array:
    """`correlate` without a reverse rule of its own."""
    patches = gather(x, windows)
    y = weight.T @ patches.reshape(weight.shape[0], -1)
    return y.reshape(-1, *patches.shape[1:])


def correlate_backward(
    windows: Windows, residuals: tuple[jax.Array, jax.Array], g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """∂J/∂(x, weight) from residuals = (x, weight) and g = ∂J/∂y."""
    x, weight = residuals
    flat = g.reshape(g.shape[0], -1)
    # Gathered again: that is cheaper than to keep the patches, many times the input, out of the cache and read them.
    weight_gradient = gather(x, windows).reshape(weight.shape[0], -1) @ flat.T
    back = (weight @ flat).reshape(weight.shape[0], *g.shape[1:])
    return scatter(back, windows, x.shape[1:-1]), weight_gradient


correlate.defvjp(lambda x, weight, windows: (correlate_plain(x, weight, windows), (x, weight)), correlate_backward)


def first_greatest(parts: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """The elementwise maximum of equal arrays, and which of them gave it: the first one of equals (int8)."""
    best, which = parts[0], jnp.zeros(parts[0].shape, jnp.int8 if len(parts) < 128 else jnp.int32)
    for i, part in enumerate(parts[1:], 1):
        which = jnp.where(part > best, jnp.asarray(i, which.dtype), which)
        best = jnp.maximum(best, part)
    return best, which


def to_winner(which: jax.Array, g: jax.Array, count: int) -> jax.Array:
    """[part, ...]: the gradient g of a maximum, given to the part that gave the value."""
    number = lax.broadcasted_iota(which.dtype, (count,) + (1,) * g.ndim, 0)
    return jnp.where(which[None] == number, g[None], 0)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def greatest(z: jax.Array, count: int) -> jax.Array:
    """The maximum over the first axis, of `count` parts; of equal values the first one alone has the gradient."""
    return first_greatest([z[i] for i in range(count)])[0]


greatest.defvjp(
    lambda z, count: first_greatest([z[i] for i in range(count)]),
    lambda count, which, g: (to_winner(which, g, count),),
)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def greatest_in_windows(x: jax.Array, windows: Windows, space: tuple[int, ...]) -> jax.Array:
    """Max pooling of x [·, *space, ·]; of equal values in a window the first one alone has the gradient."""
    return first_greatest(views(x, windows))[0]


def _greatest_back(windows: Windows, space: tuple[int, ...], which: jax.Array, g: jax.Array) -> tuple[jax.Array]:
    back = to_winner(which, g, prod(w.size for w in windows))
    return (scatter(back.reshape(-1, *g.shape[1:]), windows, space),)


greatest_in_windows.defvjp(lambda x, windows, space: first_greatest(views(x, windows)), _greatest_back)


def widened(kernel: jax.Array, sizes: Sequence[int]) -> jax.Array:
    """kernel [*size, in, out] to [*(size + pool - 1), in, *pool, out]: the outputs of a whole pool by one window.

    A pool's neighboring windows overlap, so to gather what all of them see takes far fewer copies than each alone.
    """
    shifts = product(*(range(p) for p in sizes))
    pads = [[(s, p - 1 - s) for s, p in zip(shift, sizes, strict=True)] for shift in shifts]
    return jnp.stack([jnp.pad(kernel, [*pad, (0, 0), (0, 0)]) for pad in pads], -2)
