"""What the population program is measured against: eager PyTorch, scikit-learn, and the same program laid bare."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import perceptory as pt

Step = Callable[[], float]  # runs some steps, returns seconds a network and step


def torch_eager(inputs: int, hidden: tuple[int, ...], outputs: int, batch: int, steps: int) -> Step:
    """Eager PyTorch with fused Adam on both cores, the same network and batch."""
    import torch

    torch.set_num_threads(2)
    sizes = (inputs, *hidden, outputs)
    layers: list[torch.nn.Module] = []
    for i in range(len(sizes) - 1):
        layers.append(torch.nn.Linear(sizes[i], sizes[i + 1]))
        if i < len(sizes) - 2:
            layers.append(torch.nn.Tanh())
    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    cost = torch.nn.MSELoss()
    x, t = torch.randn(batch, inputs), torch.randn(batch, outputs)

    def run() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            cost(net(x), t).backward()
            optimizer.step()
        return (time.perf_counter() - start) / steps

    return run


def sklearn_mlp(inputs: int, hidden: tuple[int, ...], batch: int, rows: int, epochs: int) -> Step:
    """scikit-learn's MLPRegressor, all its epochs."""
    from sklearn.neural_network import MLPRegressor

    random = np.random.default_rng(0)
    x, t = random.normal(size=(rows, inputs)), random.normal(size=rows)
    net = MLPRegressor(
        hidden_layer_sizes=hidden,
        activation="tanh",
        batch_size=batch,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=10**6,
        alpha=0.0,
    )

    def run() -> float:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net.fit(x, t)
        return (time.perf_counter() - start) / (epochs * -(-rows // batch))

    return run


def population(
    inputs: int, hidden: tuple[int, ...], outputs: int, batch: int, members: int, rows: int, epochs: int
) -> Step:
    """A study's training with everything on: early stopping, validation each epoch, fold scaling, history."""
    pt.backend.prepare()
    random = np.random.default_rng(0)
    validation = max(8, rows // 9)
    x, t = random.normal(size=(rows + validation, inputs)), random.normal(size=(rows + validation, outputs))
    data = pt.read_table(x, target=t, task="regression")
    study = pt.Study(
        [pt.MLP(hidden)],
        optimizer=pt.Adam(),
        seeds=members,
        epochs=epochs,
        patience=epochs,
        batch_size=batch,
        test=0.0,
        validation=pt.Folds(((tuple(range(rows)), tuple(range(rows, rows + validation))),)),
    )
    return in_study(study, data)


def in_study(study: pt.Study, data: Any) -> Step:
    """Seconds a network and step of the training of a study of one group and one fold."""
    from perceptory.studies.prepare import prepare
    from perceptory.training.driver import train_group

    ready = prepare(study.replace(test=0), data)
    group = ready.groups[0]  # beside autoencoders there is PCA
    steps = study.epochs * group.plan.batches * len(group.who)

    def run() -> float:
        start = time.perf_counter()
        train_group(group.plan, group.members, ready.raw, finished=lambda outcomes: None)
        return (time.perf_counter() - start) / steps

    run()  # compiles
    return run


def adam(cost: Callable, epochs: int = 1, combine: Callable = lambda gradient: gradient) -> Callable:
    """Training as the smallest program: f(weights, x [batch, row, ...], t), batches in order, Adam; the weights are one
    array or several."""
    import jax
    import jax.numpy as jnp

    def train(w: Any, x: jax.Array, t: jax.Array) -> Any:
        def step(carry: tuple, batch: tuple) -> tuple:
            w, s, r, k = carry
            g = combine(jax.grad(cost)(w, *batch))
            k = k + 1
            s = jax.tree.map(lambda s, g: 0.9 * s + 0.1 * g, s, g)
            r = jax.tree.map(lambda r, g: 0.999 * r + 0.001 * g * g, r, g)

            def moved(w: jax.Array, s: jax.Array, r: jax.Array) -> jax.Array:
                return w - 1e-3 * (s / (1 - 0.9**k)) * jax.lax.rsqrt(1e-6 + r / (1 - 0.999**k))

            return (jax.tree.map(moved, w, s, r), s, r, k), None

        def epoch(carry: tuple, _: None) -> tuple:
            return jax.lax.scan(step, carry, (x, t))[0], None

        zero = jax.tree.map(jnp.zeros_like, w)
        return jax.lax.scan(epoch, (w, zero, zero, jnp.zeros(())), None, length=epochs)[0][0]

    return train


def in_turn(train: Callable) -> Callable:
    """Members one after the other."""
    import jax

    return lambda *members: jax.lax.map(lambda one: train(*one), members)


def timed(f: Callable, data: tuple, steps: int, shared: tuple[int | None, ...] | None = None) -> Step:
    """Seconds of each of `steps` in a call of f. shared: along which axis two devices share each argument, None for
    all of it on both; the result is shared as the first."""
    import jax
    from jax.sharding import Mesh, PartitionSpec

    if shared and len(jax.devices()) >= 2:
        specs = tuple(PartitionSpec() if a is None else PartitionSpec(*(None,) * a, "device") for a in shared)
        mesh = Mesh(jax.devices()[:2], ("device",))
        f = jax.shard_map(f, mesh=mesh, in_specs=specs, out_specs=specs[0], check_vma=False)
    f, data = jax.jit(f), jax.device_put(data)

    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(f(*data))
        return (time.perf_counter() - start) / steps

    run()  # compiles
    return run


def bare(inputs: int, hidden: tuple[int, ...], outputs: int, batch: int, members: int, rows: int, epochs: int) -> Step:
    """The smallest program that trains as many networks: no shuffling, validation, stopping, scaling or history."""
    import jax
    import jax.numpy as jnp

    pt.backend.prepare()
    sizes = (inputs, *hidden, outputs)
    shapes = [s for a, b in pairwise(sizes) for s in ((a, b), (b,))]
    ends = np.cumsum([int(np.prod(s)) for s in shapes]).tolist()
    batches = -(-rows // batch)

    def cost(w: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
        parts = [p.reshape(s) for p, s in zip(jnp.split(w, ends[:-1]), shapes, strict=True)]
        for i in range(0, len(parts) - 2, 2):
            x = jnp.tanh(x @ parts[i] + parts[i + 1])
        return 0.5 * jnp.mean(jnp.sum((x @ parts[-2] + parts[-1] - t) ** 2, axis=-1))

    random = np.random.default_rng(0)
    w = (0.1 * random.normal(size=(members, ends[-1]))).astype(np.float32)
    x = random.normal(size=(members, batches, batch, inputs)).astype(np.float32)
    t = random.normal(size=(members, batches, batch, outputs)).astype(np.float32)

    shared = (0, 0, 0) if members % 2 == 0 else None
    return timed(jax.vmap(adam(cost, epochs)), (w, x, t), epochs * batches * members, shared)


def matrix_product(size: int = 2048) -> Callable[[], float]:
    """GFLOP/s of one large matrix product in this process."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones((size, size), jnp.float32)
    f = jax.jit(lambda a, b: a @ b)
    f(a, a).block_until_ready()

    def run() -> float:
        start = time.perf_counter()
        f(a, a).block_until_ready()
        return 2 * size**3 / (time.perf_counter() - start) / 1e9

    return run
