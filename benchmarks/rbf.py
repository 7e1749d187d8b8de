"""Seconds of a training step of kernel neurons, trained fully: eager PyTorch, one network, a population of 8.

python -m benchmarks.rbf [--rounds 9]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import perceptory as pt
from benchmarks.contenders import Step, adam, timed
from benchmarks.population import interleaved


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

    from perceptory.layers.arrays import pack, unpack
    from perceptory.networks.rbf import RBFNetwork

    pt.backend.prepare()
    spec, batches = RBFNetwork(centers, train="all"), 32
    net = spec.build((inputs,), (1,), key=jax.random.key(0))

    def cost(w: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
        return 0.5 * jnp.mean((unpack(net, w)(x) - t) ** 2)

    random = np.random.default_rng(0)
    w = np.asarray(pack(net)) + (0.01 * random.normal(size=(members, 1))).astype(np.float32)
    x = random.normal(size=(members, batches, batch, inputs)).astype(np.float32)
    t = random.normal(size=(members, batches, batch, 1)).astype(np.float32)

    epochs, shared = steps // batches, (0, 0, 0) if members % 2 == 0 else None
    return timed(jax.vmap(adam(cost, epochs)), (w, x, t), epochs * batches * members, shared)


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
    medians = interleaved(contenders, rounds)
    best = min(medians[name] for name in list(contenders)[:2])
    for name, seconds in medians.items():
        print(f"{name:<40}{seconds * 1e6:9.2f} us   1/{best / seconds:.1f} of PyTorch's faster form")


if __name__ == "__main__":
    main()
