"""Training steps of recurrent networks against eager PyTorch: `python -m benchmarks.recurrent [single|population]`.

One input feature, one output a step, squared error, Adam, float32, both cores. A step here is the bare one: gradient
and Adam inside a loop, nothing else.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

import perceptory as pt
from benchmarks.contenders import Step
from benchmarks.population import header, interleaved, row

# kind, width, time steps, batch, and the targets of a single network and of a population, as shares of PyTorch's time
CASES = (
    ("LSTM", 32, 100, 32, 0.8, 0.4),
    ("LSTM", 64, 100, 32, 0.9, 0.6),
    ("LSTM", 128, 200, 64, 1.0, 0.8),
    ("GRU", 64, 100, 32, 0.9, 0.6),
    ("RNN", 64, 100, 32, 0.9, 0.6),
)


def torch_eager(kind: str, width: int, length: int, batch: int, *, batch_first: bool, steps: int = 5) -> Step:
    """Eager PyTorch with fused Adam on both cores; seconds a step."""
    import torch

    torch.set_num_threads(2)
    net = getattr(torch.nn, kind)(1, width, batch_first=batch_first)
    readout = torch.nn.Linear(width, 1)
    optimizer = torch.optim.Adam([*net.parameters(), *readout.parameters()], fused=True)
    cost = torch.nn.MSELoss()
    shape = (batch, length, 1) if batch_first else (length, batch, 1)
    x, t = torch.randn(shape), torch.randn(shape)

    def run() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            cost(readout(net(x)[0]), t).backward()
            optimizer.step()
        return (time.perf_counter() - start) / steps

    run()
    return run


def bare(
    kind: str,
    width: int,
    length: int,
    batch: int,
    *,
    members: int = 1,
    steps: int = 5,
    split: bool = False,
    mapped: bool = False,
) -> Step:
    """Seconds a network and step. split: a single network's batch is halved over two devices and the halves' gradients
    are averaged. A population of 2 or more is spread over two devices; on each, one member trains after the other, or,
    where `mapped`, all take each step together (`vmap`)."""
    pt.backend.prepare()
    import jax
    import jax.numpy as jnp
    from jax.sharding import Mesh, PartitionSpec

    from perceptory.networks import recurrent
    from perceptory.networks.base import arrays_of, with_arrays

    spec = getattr(recurrent, kind)((width,))

    def build(key: jax.Array) -> Any:
        return spec.build((length, 1), (length, 1), key=key)

    net = build(jax.random.key(0))

    def cost(arrays: Any, x: jax.Array, t: jax.Array) -> jax.Array:
        return jnp.mean((with_arrays(net, arrays)(x) - t) ** 2)

    def train(w: Any, x: jax.Array, t: jax.Array) -> Any:
        def step(carry: tuple, _: None) -> tuple:
            w, s, r, k = carry
            g = jax.grad(cost)(w, x, t)
            if split:
                g = jax.lax.pmean(g, "m")
            k = k + 1
            s = jax.tree.map(lambda s, g: 0.9 * s + 0.1 * g, s, g)
            r = jax.tree.map(lambda r, g: 0.999 * r + 0.001 * g * g, r, g)
            a, b = 1e-3 / (1 - 0.9**k), 1 / (1 - 0.999**k)
            w = jax.tree.map(lambda w, s, r: w - a * s * jax.lax.rsqrt(1e-6 + b * r), w, s, r)
            return (w, s, r, k), None

        zero = jax.tree.map(jnp.zeros_like, w)
        return jax.lax.scan(step, (w, zero, zero, jnp.zeros(())), None, length=steps)[0][0]

    random = np.random.default_rng(0)
    x, t = random.normal(size=(2, members, batch, length, 1)).astype(np.float32)
    w = jax.jit(jax.vmap(lambda k: arrays_of(build(k))))(jax.random.split(jax.random.key(1), members))
    two = len(jax.devices()) >= 2
    each, all_ = PartitionSpec("m"), PartitionSpec()
    mesh = Mesh(jax.devices()[:2], ("m",)) if two else None
    if members == 1:
        w, x, t = jax.tree.map(lambda a: a[0], w), x[0], t[0]
        f, specs, out = train, (all_, each, each), all_
    else:
        f = jax.vmap(train) if mapped else lambda w, x, t: jax.lax.map(lambda one: train(*one), (w, x, t))
        specs, out = (each, each, each), each
    if two and (split or members > 1):
        f = jax.shard_map(f, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False)
    f = jax.jit(f)

    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(f(w, x, t))
        return (time.perf_counter() - start) / (steps * members)

    run()
    return run


def measure(kind: str, width: int, length: int, batch: int, which: tuple[str, ...] = ("single", "population")) -> dict:
    """Median seconds a network and step of each contender."""
    few = 2 if width >= 128 else 5
    runs: dict[str, Step] = {
        f"torch {first}": torch_eager(kind, width, length, batch, batch_first=first, steps=few)
        for first in (True, False)
    }
    if "single" in which:
        runs["single"] = bare(kind, width, length, batch, steps=2 * few)
        runs["split"] = bare(kind, width, length, batch, steps=2 * few, split=True)
    if "population" in which:
        runs["population"] = bare(kind, width, length, batch, members=8, steps=max(1, few // 2))
        runs["population by vmap"] = bare(kind, width, length, batch, members=8, steps=max(1, few // 2), mapped=True)
    taken = interleaved(runs)
    taken["torch"] = min(taken.pop("torch True"), taken.pop("torch False"))
    return taken


def main(which: tuple[str, ...], cases: tuple = CASES) -> None:
    header()
    for kind, width, length, batch, single, population in cases:
        taken = measure(kind, width, length, batch, which)
        torch = taken.pop("torch")
        for name, seconds in taken.items():
            target = population if name.startswith("population") else single
            row(
                f"{kind} {width}, length {length}, batch {batch}: {name}",
                f"{seconds / torch:.2f} of PyTorch ({1e3 * seconds:.2f} of {1e3 * torch:.2f} ms)",
                f"<= {target}",
                seconds / torch <= target,
            )


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or ("single", "population"))
