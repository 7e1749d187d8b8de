"""The idea on one screen: training a network is a pure function; a study is `vmap` of it over candidates, folds, seeds.

Run it with `python docs/one_screen.py`. tests/test_one_screen.py compares it with the package, cost by cost.
"""

import jax
import jax.numpy as jnp
import numpy as np


def network(weights, x):
    """[row, in] -> [row, out]: a layer of tanh neurons, then a linear one."""
    (W1, b1), (W2, b2) = weights
    return jnp.tanh(x @ W1 + b1) @ W2 + b2


def cost(weights, x, t):
    return jnp.mean(jnp.sum((network(weights, x) - t) ** 2, axis=-1)) / 2


def train(rate, order, validation, weights, x, t):
    """One member, from its starting weights to its best ones: (weights, [epoch, 2] training and validation cost).

    order: [epoch, step, batch], the rows of each step. validation: the rows that judge.
    """
    rows = order[0].ravel()
    x, t = ((a - a[rows].mean(axis=0)) / a[rows].std(axis=0) for a in (x, t))  # by its own training rows alone

    def step(weights, batch):
        value, gradient = jax.value_and_grad(cost)(weights, x[batch], t[batch])
        return jax.tree.map(lambda w, g: w - rate * g, weights, gradient), value

    def epoch(state, batches):
        weights, best, least = state
        weights, costs = jax.lax.scan(step, weights, batches)
        judged = cost(weights, x[validation], t[validation])
        best = jax.tree.map(lambda new, old: jnp.where(judged < least, new, old), weights, best)
        return (weights, best, jnp.minimum(judged, least)), jnp.stack([costs.mean(), judged])

    (_, best, _), curve = jax.lax.scan(epoch, (weights, weights, jnp.inf), order)
    return best, curve


over_seeds = jax.vmap(train, (None, None, None, 0, None, None))
over_folds = jax.vmap(over_seeds, (None, 0, 0, 0, None, None))
study = jax.jit(jax.vmap(over_folds, (0, None, None, 0, None, None)))  # weights: [candidate, fold, seed, ...]

if __name__ == "__main__":
    rates, folds, seeds, epochs, batch, random = np.array([0.01, 0.05, 0.2]), 5, 4, 200, 16, np.random.default_rng(0)
    x = random.uniform(-3, 3, (100, 1))
    t = np.sin(2 * x) + 0.1 * random.normal(size=x.shape)
    validation = random.permutation(100).reshape(folds, -1)
    training = [np.setdiff1d(np.arange(100), rows) for rows in validation]
    order = np.array([[random.permutation(rows).reshape(-1, batch) for _ in range(epochs)] for rows in training])
    W1, W2 = (random.normal(size=(len(rates), folds, seeds, *shape)) for shape in ((1, 12), (12, 1)))
    weights = (W1, np.zeros_like(W1[..., 0, :])), (W2 / 12**0.5, np.zeros_like(W2[..., 0, :]))
    best, curves = study(rates, order, validation, weights, x, t)
    for rate, mean in zip(rates, curves[..., 1].min(axis=-1).mean(axis=(1, 2)), strict=True):
        print(f"rate {rate:.2f}: validation cost {mean:.4f}, mean of {folds} folds x {seeds} seeds")
