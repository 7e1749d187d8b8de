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
from benchmarks.contenders import Step, adam, in_turn, timed
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

    from perceptory.layers.arrays import arrays_of, with_arrays
    from perceptory.networks import recurrent

    spec = getattr(recurrent, kind)((width,))

    def build(key: jax.Array) -> Any:
        return spec.build((length, 1), (length, 1), key=key)

    net = build(jax.random.key(0))

    def cost(arrays: Any, x: jax.Array, t: jax.Array) -> jax.Array:
        return jnp.mean((with_arrays(net, arrays)(x) - t) ** 2)

    train = adam(cost, steps, (lambda g: jax.lax.pmean(g, "device")) if split else lambda g: g)
    random = np.random.default_rng(0)
    x, t = random.normal(size=(2, members, 1, batch, length, 1)).astype(np.float32)
    w = jax.jit(jax.vmap(lambda k: arrays_of(build(k))))(jax.random.split(jax.random.key(1), members))
    if members == 1:
        w, x, t = jax.tree.map(lambda a: a[0], (w, x, t))
        return timed(train, (w, x, t), steps, (None, 1, 1) if split else None)
    return timed(jax.vmap(train) if mapped else in_turn(train), (w, x, t), steps * members, (0, 0, 0))


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
