"""The variational code against Monte Carlo."""

import jax
import jax.numpy as jnp
import numpy as np

from perceptory.layers.base import fixed_number
from perceptory.layers.coder import Variational


def test_divergence_is_the_mean_logarithm_of_the_ratio_of_densities():
    encoded = jnp.array([[0.5, -1.0, 0.2, -0.7], [0.0, 0.0, 0.0, 0.0], [2.0, 0.3, -1.5, 0.4]])
    bound = Variational(fixed_number(1.0))
    drawn = jax.vmap(lambda key: bound.drawn(encoded, key))(jax.random.split(jax.random.key(0), 40_000))
    mean, deviation = bound.mean(encoded), jnp.exp(bound.log_variance(encoded) / 2)
    own = jax.scipy.stats.norm.logpdf(drawn, mean, deviation)
    prior = jax.scipy.stats.norm.logpdf(drawn)
    by_draws = np.mean(np.sum(own - prior, axis=2), axis=0)
    np.testing.assert_allclose(bound.divergence(encoded), by_draws, atol=0.03)
    assert bound.divergence(encoded)[1] == 0
