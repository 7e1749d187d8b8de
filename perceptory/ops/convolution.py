"""Convolution over one axis (series) or two (images), channels last, with the detector and the pooling of its stage.

There are five ways to compute a stage; `PATHS` lists them with the conditions under which each is taken. All give the
same numbers but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from perceptory import backend
from perceptory.errors import InputError
from perceptory.ops import blocked_convolution as blocks
from perceptory.ops.patches import Window, Windows, check_room, correlate, greatest, widened, windows_of
from perceptory.ops.pooling import pool
from perceptory.ops.toom_cook import MAX_POINTS, correlate_toom_cook

MIN_CHANNELS = 6  # in and out: below, the sums before and after cost more than the products that they save
MAX_CHANNELS = 12  # out: beyond, the additional products of a widened kernel cost more than they save


class ConvolutionStage(NamedTuple):
    """One stage of a convolutional network, pool(σ(x * kernel + bias)).

    x: [batch, *space, in].
    kernel: [*k, in, out], not turned around (cross-correlation). With in / g of x's channels there are g groups: output
        channels [j · out / g, (j + 1) · out / g) see those of the inputs that stand likewise.
    bias: [out], or None for 0.
    windows: how the kernel slides, one an axis.
    size: the pool, one number per axis; 1 everywhere is no pooling.
    pooling: "max" or "average".
    activation: σ.
    monotone: σ is nondecreasing, so max(σ(z)) = σ(max(z)) is computed with fewer σ.
    """

    x: jax.Array
    kernel: jax.Array
    bias: jax.Array | None
    windows: Windows
    size: tuple[int, ...]
    pooling: str = "max"
    activation: Callable[..., Any] = lambda z: z
    monotone: bool = True

    @property
    def groups(self) -> int:
        return int(self.x.shape[-1]) // int(self.kernel.shape[-2])

    @property
    def pooled(self) -> bool:
        return any(p != 1 for p in self.size)

    @property
    def pools_first(self) -> bool:
        """Whether the pool may stand before the activation."""
        return self.pooling == "max" and self.monotone

    @property
    def positions(self) -> tuple[int, ...]:
        """Of the kernel, before pooling."""
        return tuple(w.positions(n) for w, n in zip(self.windows, self.x.shape[1:-1], strict=True))


class Path(NamedTuple):
    """One way to compute a stage."""

    name: str
    applies: Callable[[ConvolutionStage], bool]
    compute: Callable[[ConvolutionStage], jax.Array]  # to [batch, *position, out]


def convolve(
    x: jax.Array, kernel: jax.Array, *, stride: Any = 1, padding: Any = "valid", dilation: Any = 1, flip: bool = False
) -> jax.Array:
    """Convolution with a bank of kernels, summed over input channels. Returns [batch, *position, out].

    x: [batch, time, in] or [batch, h, w, in].
    kernel: [k, in, out] or [k, k, in, out].
    stride, padding, dilation: see `windows_of`; zeros stand outside the input.
    flip: True is convolution by definition, S(i, j) = Σ_m Σ_n I(m, n) K(i - m, j - n), with the kernel turned
        around; False is cross-correlation, S(i, j) = Σ_m Σ_n I(i + m, j + n) K(m, n), which libraries call convolution.
    Raises `InputError` where shapes do not fit.
    """
    axes = kernel.ndim - 2
    if axes not in (1, 2) or x.ndim != kernel.ndim or x.shape[-1] != kernel.shape[-2]:
        raise InputError(
            "convolution needs x [batch, time, in] with a kernel [k, in, out], or x [batch, h, w, in] with"
            f" [k, k, in, out], got {list(x.shape)} and {list(kernel.shape)}."
        )
    windows = windows_of(tuple(kernel.shape[:-2]), stride, padding, dilation, axes, x.shape[1:-1])
    kernel = jnp.flip(kernel, tuple(range(axes))) if flip else kernel
    return compute_stage(ConvolutionStage(x, kernel, None, windows, (1,) * axes))


def compute_stage(stage: ConvolutionStage) -> jax.Array:
    """pool(σ(x * kernel + bias)), [batch, *position, out], by the first path of `PATHS` that applies.

    Raises `InputError` where the kernel does not fit into x, or the pool into what the kernel gives.
    """
    check_room(stage.x.shape[1:-1], stage.windows, "a kernel")
    check_room(stage.positions, tuple(Window(p) for p in stage.size), "a pool")
    if stage.groups > 1 and not backend.native():
        return _in_groups(stage)
    return path_of(stage).compute(stage)


def _in_groups(stage: ConvolutionStage) -> jax.Array:
    """Each group as a stage of its own. They are mapped, as the members of a population are: one call of the kernel."""

    def apart(array: jax.Array) -> jax.Array:
        return jnp.moveaxis(array.reshape(*array.shape[:-1], stage.groups, -1), -2, 0)

    def one(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
        return compute_stage(stage._replace(x=x, kernel=kernel, bias=bias))

    bias = jnp.zeros(stage.kernel.shape[-1], stage.kernel.dtype) if stage.bias is None else stage.bias
    y = jnp.moveaxis(jax.vmap(one)(apart(stage.x), apart(stage.kernel), apart(bias)), 0, -2)
    return y.reshape(*y.shape[:-2], -1)


def path_of(stage: ConvolutionStage) -> Path:
    return next(path for path in PATHS if path.applies(stage))


# --- conditions --------------------------------------------------------------------------------------------------


def _in_blocks(stage: ConvolutionStage) -> bool:
    """The kernel in C++ is there for this type of numbers, and the batch fills half a block."""
    weights = (stage.kernel,) if stage.bias is None else (stage.kernel, stage.bias)
    return blocks.pays(stage.x, stage.windows, stage.size, *weights)


def _is_widened(stage: ConvolutionStage) -> bool:
    """There is a pool, the windows of a pool overlap, and there are few output channels."""
    dense = all(w.stride == w.dilation == 1 for w in stage.windows)
    return stage.pooled and dense and stage.kernel.shape[-1] <= MAX_CHANNELS


def _is_toom_cook(stage: ConvolutionStage) -> bool:
    """Neighboring taps along the last axis, not too many, over four positions or more, and enough channels.

    Not where all zeros stand in front (causal): an output would then not depend on the inputs after it in exact
    arithmetic alone, and a great one would disturb earlier outputs by its rounding.
    """
    last = stage.windows[-1]
    dense = last.stride == last.dilation == 1 and 2 <= last.size < MAX_POINTS
    causal = last.before > 0 and last.after == 0
    channels = min(stage.kernel.shape[-2:])
    return dense and not causal and channels >= MIN_CHANNELS and stage.positions[-1] >= 4


# --- computations ------------------------------------------------------------------------------------------------


def _by_library(stage: ConvolutionStage) -> jax.Array:
    """The library's own convolution."""
    space = "HW"[: len(stage.windows)]
    z = lax.conv_general_dilated(
        stage.x,
        stage.kernel,
        window_strides=[w.stride for w in stage.windows],
        padding=[(w.before, w.after) for w in stage.windows],
        rhs_dilation=[w.dilation for w in stage.windows],
        feature_group_count=stage.groups,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )
    y = stage.activation(z if stage.bias is None else z + stage.bias)
    return pool(y, stage.size, kind=stage.pooling) if stage.pooled else y


def _by_blocks(stage: ConvolutionStage) -> jax.Array:
    """The kernel in C++, on blocks of examples."""
    x, kernel, axes = stage.x, stage.kernel, len(stage.windows)
    bias = jnp.zeros(kernel.shape[-1], kernel.dtype) if stage.bias is None else stage.bias
    relu = stage.activation is jax.nn.relu
    size = stage.size if stage.pools_first else (1,) * axes
    z = blocks.pooled_correlation(blocks.to_blocks(x), kernel, bias, stage.windows, size, relu)
    z = z if relu else stage.activation(z)
    if stage.pooled and not stage.pools_first:
        planes = pool(z.reshape(-1, *z.shape[2:]), (1,) * (2 - axes) + stage.size, kind=stage.pooling)
        z = planes.reshape(*z.shape[:2], *planes.shape[1:])
    return blocks.from_blocks(z, x.shape[0], axes)


def _by_widened_kernel(stage: ConvolutionStage) -> jax.Array:
    """One matrix product gives all outputs of a pool."""
    wide = widened(stage.kernel, stage.size)
    count, out = wide.shape[-2:]
    windows = tuple(w._replace(size=w.size + p - 1, stride=p) for w, p in zip(stage.windows, stage.size, strict=True))
    z = correlate(_swapped(stage.x), wide.reshape(-1, count * out), windows)
    z = z.reshape(count, out, *z.shape[1:])
    if stage.pools_first:
        return _swapped(stage.activation(_with_bias(stage, greatest(z, count))))
    y = stage.activation(_with_bias(stage, z))
    return _swapped(greatest(y, count) if stage.pooling == "max" else y.mean(0))


def _by_toom_cook(stage: ConvolutionStage) -> jax.Array:
    """Fewer products along the last axis."""
    return _finish(stage, correlate_toom_cook(_swapped(stage.x), stage.kernel, stage.windows))


def _by_windows(stage: ConvolutionStage) -> jax.Array:
    """One matrix product of the kernel and all gathered windows."""
    return _finish(stage, correlate(_swapped(stage.x), stage.kernel.reshape(-1, stage.kernel.shape[-1]), stage.windows))


def _finish(stage: ConvolutionStage, z: jax.Array) -> jax.Array:
    """Bias, detector and pooling of z [out, *position, batch]."""
    if not stage.pooled:
        return _swapped(stage.activation(_with_bias(stage, z)))
    if stage.pools_first:
        return _swapped(stage.activation(_with_bias(stage, pool(z, stage.size))))
    return _swapped(pool(stage.activation(_with_bias(stage, z)), stage.size, kind=stage.pooling))


def _with_bias(stage: ConvolutionStage, z: jax.Array) -> jax.Array:
    """z + bias, of z [..., out, *position, batch]."""
    return z if stage.bias is None else z + stage.bias.reshape(-1, *(1,) * (stage.x.ndim - 1))


def _swapped(x: jax.Array) -> jax.Array:
    """[batch, *space, channel] to [channel, *space, batch]; its own inverse."""
    return jnp.swapaxes(x, 0, -1)


# In order of preference: of each stage the first one that applies. The first is for accelerators, the others for CPUs.
PATHS = (
    Path("library", lambda stage: backend.native(), _by_library),
    Path("blocks", _in_blocks, _by_blocks),
    Path("widened kernel", _is_widened, _by_widened_kernel),
    Path("Toom-Cook", _is_toom_cook, _by_toom_cook),
    Path("windows", lambda stage: True, _by_windows),
)
