"""Training steps of convolutional networks against eager PyTorch: `python -m benchmarks.convolutional [case ...]`.

Relu and max pooling (the series: none, and an average over time at the end), ten outputs, squared error, Adam,
float32, both cores. The autoencoder goes through 16 numbers and back by transposed convolutions. A step here is the
bare one: gradient and Adam inside a loop, on data that stand in memory.
"""

from __future__ import annotations

import sys
import time
from math import prod
from typing import Any, NamedTuple

import numpy as np

import perceptory as pt
from benchmarks.contenders import Step, adam, in_turn, timed
from benchmarks.population import header, interleaved, row


class Case(NamedTuple):
    """single, population: targets, as shares of PyTorch's time a network and step."""

    kind: str
    batch: int
    single: float
    population: float


CASES = {
    "lenet-32": Case("lenet", 32, 0.6, 0.45),
    "lenet-128": Case("lenet", 128, 0.9, 0.8),
    "series-32": Case("series", 32, 0.7, 0.5),
    "autoencoder-128": Case("autoencoder", 128, 0.9, 0.8),
}
SHAPES = {"lenet": (28, 28, 1), "series": (256, 1), "autoencoder": (28, 28, 1)}
OUTPUTS, CODE = 10, 16
MEMBERS = 8


def torch_network(kind: str) -> Any:
    from torch import nn

    if kind == "lenet":
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, OUTPUTS),
        )  # fmt: skip
    if kind == "autoencoder":
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(1568, 64), nn.ReLU(), nn.Linear(64, CODE),
            nn.Linear(CODE, 64), nn.ReLU(), nn.Linear(64, 1568), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, 2, 1), nn.Flatten(),
        )  # fmt: skip
    # One axis as an image of one row, which is PyTorch's faster way and the only one with a channels-last layout.
    stages = [
        part for i in (1, 32, 32) for part in (nn.Conv2d(i, 32, (1, 5), padding=(0, 2)), nn.ReLU())
    ]  # fmt: skip
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, OUTPUTS))


def torch_eager(kind: str, batch: int, *, channels_last: bool, steps: int = 5) -> Step:
    """Eager PyTorch with fused Adam on both cores; seconds a step."""
    import torch

    torch.set_num_threads(2)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = torch_network(kind).to(memory_format=layout)
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    cost = torch.nn.MSELoss()
    *space, channels = SHAPES[kind]
    x = torch.randn(batch, channels, *(space if len(space) == 2 else (1, *space))).to(memory_format=layout)
    t = torch.randn(batch, *outputs_of(kind))

    def run() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            cost(net(x), t).backward()
            optimizer.step()
        return (time.perf_counter() - start) / steps

    run()
    return run


def outputs_of(kind: str) -> tuple[int, ...]:
    return (prod(SHAPES[kind]),) if kind == "autoencoder" else (OUTPUTS,)


def spec_of(kind: str) -> Any:
    from perceptory.networks.autoencoder import Autoencoder
    from perceptory.networks.cnn import CNN

    if kind == "autoencoder":
        return Autoencoder(CNN((16, 32)), CODE)
    if kind == "lenet":
        return CNN((6, 16), kernel=5, padding=("same", "valid"), hidden=(120, 84))
    return CNN((32, 32, 32), kernel=5, pool=1, head="global", pooling="average", hidden=())


def bare(kind: str, batch: int, *, way: str = "single", steps: int = 10) -> Step:
    """Seconds a network and step.

    way: "single": one network on one device; "split": its batch halved over two devices, the halves' gradients
    averaged; "mapped": a population in two halves, one a device, each mapped by vmap; "turns": the same, each device
    taking its networks one after the other (blocks of one).
    """
    pt.backend.prepare()
    import jax
    import jax.numpy as jnp

    from perceptory.layers.arrays import pack, unpack

    spec, shape, outputs = spec_of(kind), SHAPES[kind], outputs_of(kind)
    net = spec.build(shape, outputs, key=jax.random.key(0))

    def cost(w: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
        return jnp.mean((unpack(net, w)(x) - t) ** 2)

    train = adam(cost, combine=(lambda g: jax.lax.pmean(g, "device")) if way == "split" else lambda g: g)
    members = MEMBERS if way in ("mapped", "turns") else 1
    random = np.random.default_rng(0)
    x = random.normal(size=(members, steps, batch, *shape)).astype(np.float32)
    t = random.normal(size=(members, steps, batch, *outputs)).astype(np.float32)
    w = jnp.stack([pack(spec.build(shape, outputs, key=jax.random.key(i))) for i in range(members)])
    data = (w, x, t) if members > 1 else (w[0], x[0], t[0])
    f = {"mapped": jax.vmap(train), "turns": in_turn(train)}.get(way, train)
    shared = {"single": None, "split": (None, 1, 1)}.get(way, (0, 0, 0))
    return timed(f, data, steps * members, shared)


def measure(kind: str, batch: int, ways: tuple[str, ...] = ("single", "split", "mapped", "turns")) -> dict[str, float]:
    """Median seconds a network and step of each contender; "torch" is the faster of its two memory layouts."""
    runs: dict[str, Step] = {f"torch {last}": torch_eager(kind, batch, channels_last=last) for last in (True, False)}
    runs |= {way: bare(kind, batch, way=way) for way in ways}
    taken = interleaved(runs)
    taken["torch"] = min(taken.pop("torch True"), taken.pop("torch False"))
    return taken


def main(names: tuple[str, ...]) -> None:
    header()
    for name in names:
        kind, batch, single, population = CASES[name]
        taken = measure(kind, batch)
        torch = taken.pop("torch")
        for way, seconds in taken.items():
            target = population if way in ("mapped", "turns") else single
            row(
                f"{name}: {way}",
                f"{seconds / torch:.2f} of PyTorch ({1e3 * seconds:.2f} of {1e3 * torch:.2f} ms)",
                f"<= {target}",
                seconds / torch <= target,
            )


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or tuple(CASES))
