"""A network of one's own for a dynamic system: a linear system whose output is seen through a bent sensor.

The sensor of this system does not see the sign of what it measures, which no linear model can follow. The model is an
Equinox module that a function builds; the study trains it like every other network.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import perceptory as pt


class Wiener(eqx.Module):
    """A stable linear system, and a static function of its output: net(x [batch, time, u and known y]) -> y.

    z(t) = Σ_s k(t - s) u(s) + Σ_m Re(c_m λ_mᵗ), k(t) = Σ_m Re(b_m λ_mᵗ) + d [t = 0], λ_m = exp(-exp(decay) + i angle),
    y = a relu(z w + v) + o; c from the first `given` steps of u and y by a small network.
    """

    decay: jax.Array
    angle: jax.Array
    gain: jax.Array
    direct: jax.Array
    start: tuple[jax.Array, ...]
    shape: tuple[jax.Array, ...]
    given: int = eqx.field(static=True)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        t = jnp.arange(x.shape[1])
        size, turn = jnp.exp(-jnp.exp(self.decay) * t[:, None]), self.angle * t[:, None]
        modes = jnp.concatenate([size * jnp.cos(turn), size * jnp.sin(turn)], axis=1)
        response = (modes @ self.gain)[:, 0].at[0].add(self.direct[0])
        ago = t[:, None] - t
        memory = jnp.where(ago >= 0, response[jnp.maximum(ago, 0)], 0)
        first, bias, second, rest = self.start
        begin = jnp.tanh(x[:, : self.given].reshape(len(x), -1) @ first + bias) @ second + rest
        z = x[..., 0] @ memory.T + begin @ modes.T
        w, v, a, o = self.shape
        return jax.nn.relu(z[..., None] * w + v) @ a + o


def wiener(modes: int, bends: int, given: int) -> pt.Custom:
    """The static function starts about as |z| does."""

    def build(inputs: tuple[int, int], outputs: tuple[int, int], key: jax.Array) -> Wiener:
        drawn = [jax.random.normal(k, (64,)) for k in jax.random.split(key, 6)]
        fan, units = given * inputs[1], 8
        angle = jnp.concatenate([jnp.zeros(1), jnp.linspace(0.2, 0.6, modes)[1:] + 0.1 * drawn[1][: modes - 1]])
        first = jax.random.normal(key, (fan, units)) * 0.5 / fan**0.5
        second = 0.3 * jax.random.normal(jax.random.fold_in(key, 1), (units, 2 * modes))
        return Wiener(
            jnp.log(0.05) + 0.4 * drawn[0][:modes], angle, 0.2 * drawn[2][: 2 * modes, None], jnp.zeros(1),
            (first, jnp.zeros(units), second, jnp.zeros(2 * modes)),
            (
                jnp.resize(jnp.array([1.0, -1.0]), (1, bends)), 0.3 * drawn[5][:bends],
                jnp.full((bends, 1), 1.6 / bends), jnp.full(1, -0.5),
            ),
            given,
        )  # fmt: skip

    return pt.Custom(build, name=f"Wiener {modes} modes {bends} bends", batched=True, units=1000)


def belt(steps: int, seed: int) -> dict[str, np.ndarray]:
    """A motor whose speed follows u slowly and overshoots; y is the size of the speed, with some noise."""
    random = np.random.default_rng(seed)
    u = np.repeat(random.choice([-1.0, 0.0, 1.0, 2.0], steps // 12 + 1), 12)[:steps]
    speed, change, y = 0.0, 0.0, np.zeros(steps)
    for t in range(steps):
        y[t] = abs(speed)
        change += 0.2 * (0.4 * (u[t] - speed) - change)
        speed += change
    return {"u": u, "y": y + random.normal(0, 0.02, steps)}


def main() -> None:
    train, test = belt(500, seed=0), belt(200, seed=1)
    data = pt.read_series(train, "y", predict="every step", window=60, stride=6, known=4, washout=4)
    study = pt.Study(
        [wiener(2, 4, 4), pt.StateSpace(2, (8,), lead=4)], optimizer=pt.Adam(pt.Cosine(3e-2)),
        penalty=pt.WeightPenalty(1e-4), epochs=60, patience=0, batch_size=8, validation=pt.BlockedKFold(3), test=0,
    )  # fmt: skip
    result = study.run(data)
    print(result.summary())
    error = (result.model.predict(test)[0] - test["y"])[4:]
    print(f"chosen: {result.model}")
    print(f"free run over {len(error)} new steps: RMSE {np.sqrt(np.mean(error**2)):.3g}, noise 0.02")


if __name__ == "__main__":
    main()
