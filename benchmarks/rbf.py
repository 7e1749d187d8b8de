"""Seconds of a training step of kernel neurons, trained fully: eager PyTorch, one network, a population of 8.

python -m benchmarks.rbf [--rounds 9]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import perceptory as pt
from benchmarks.contenders import Step


def torch_eager(inputs: int, centers: int, batch: int, steps: int, expanded: bool) -> Step:
    """Eager PyTorch with fused Adam on both cores; `expanded` computes distances by a matrix product."""
    import torch

    torch.set_num_threads(2)
    c = torch.nn.Parameter(torch.randn(centers, inputs))
    narrowness = torch.nn.Parameter(torch.full((centers,), 0.3))
    output = torch.nn.Linear(centers, 1)
    optimizer = torch.optim.Adam([c, narrowness, *output.parameters()], fused=True)
    x, t = torch.randn(batch, inputs), torch.randn(batch, 1)

    def run() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            if expanded:
                d = (x * x).sum(1, keepdim=True) - 2 * x @ c.T + (c * c).sum(1)
            else:
                d = ((x[:, None] - c) ** 2).sum(-1)
            y = output(torch.exp(-d * narrowness**2))
            (0.5 * ((y - t) ** 2).mean()).backward()
            optimizer.step()
        return (time.perf_counter() - start) / steps

    return run


def bare(inputs: int, centers: int, batch: int, members: int, steps: int) -> Step:
    """Our network in the smallest training program: batches in order, Adam on one vector, members over two devices."""
    import jax
    import jax.numpy as jnp
    from jax.sharding import Mesh, PartitionSpec

    from perceptory.networks.base import pack, unpack
    from perceptory.networks.rbf import RBFNetwork

    pt.backend.prepare()
    spec, batches = RBFNetwork(centers, train="all"), 32
    net = spec.build((inputs,), (1,), key=jax.random.key(0))

    def cost(w: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
        return 0.5 * jnp.mean((unpack(net, w)(x) - t) ** 2)

    def train(w: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
        def step(carry: tuple, at: tuple) -> tuple:
            w, s, r, k = carry
            g = jax.grad(cost)(w, *at)
            k = k + 1
            s, r = 0.9 * s + 0.1 * g, 0.999 * r + 0.001 * g * g
            w = w - 1e-3 * (s / (1 - 0.9**k)) * jax.lax.rsqrt(1e-6 + r / (1 - 0.999**k))
            return (w, s, r, k), None

        def epoch(carry: tuple, _: None) -> tuple:
            return jax.lax.scan(step, carry, (x, t))[0], None

        start = (w, jnp.zeros_like(w), jnp.zeros_like(w), jnp.zeros(()))
        return jax.lax.scan(epoch, start, None, length=steps // batches)[0][0]

    f = jax.vmap(train)
    if members % 2 == 0 and len(jax.devices()) >= 2:
        p = PartitionSpec("m")
        mesh = Mesh(jax.devices()[:2], ("m",))
        f = jax.shard_map(f, mesh=mesh, in_specs=(p, p, p), out_specs=p, check_vma=False)
    f = jax.jit(f)
    random = np.random.default_rng(0)
    w = np.asarray(pack(net)) + (0.01 * random.normal(size=(members, 1))).astype(np.float32)
    x = random.normal(size=(members, batches, batch, inputs)).astype(np.float32)
    t = random.normal(size=(members, batches, batch, 1)).astype(np.float32)

    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(f(w, x, t))
        return (time.perf_counter() - start) / (steps // batches * batches * members)

    run()  # compiles
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    contenders = {
        "eager PyTorch, differences": torch_eager(8, 50, 32, 300, False),
        "eager PyTorch, matrix product": torch_eager(8, 50, 32, 300, True),
        "one network": bare(8, 50, 32, 1, 3200),
        "population of 8, a network and step": bare(8, 50, 32, 8, 3200),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(rounds):
        for name in list(contenders) if i % 2 else reversed(contenders):
            times[name].append(contenders[name]())
    medians = {name: statistics.median(t) for name, t in times.items()}
    best = min(medians[name] for name in list(contenders)[:2])
    for name, seconds in medians.items():
        print(f"{name:<40}{seconds * 1e6:9.2f} us   1/{best / seconds:.1f} of PyTorch's faster form")


if __name__ == "__main__":
    main()
