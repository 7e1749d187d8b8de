"""A small network trained to full precision by Levenberg-Marquardt, and a curve fitted by least squares."""

import jax.numpy as jnp
import numpy as np

import perceptory as pt

x = np.linspace(-1, 1, 400)
data = pt.read_table({"x": x, "y": np.sinc(3 * x)}, "y")
network = pt.MLP((8,), initializer="nguyen_widrow")
for optimizer in (pt.Adam(1e-2), pt.LevenbergMarquardt()):
    study = pt.Study(network, optimizer=optimizer, epochs=100, patience=0, validation=pt.KFold(2), batch_size=400)
    result = study.run(data)
    print(f"{optimizer.label}, 100 epochs: test RMSE {result.test()['rmse']:.2g}")

random = np.random.default_rng(0)
time = np.linspace(0, 10, 50)
voltage = 5 * (1 - np.exp(-time / 2.5)) + 0.05 * random.normal(size=50)
fit = pt.least_squares(
    lambda p, t, v: p["V"] * (1 - jnp.exp(-t / p["tau"])) - v, {"V": 1.0, "tau": 1.0}, args=(time, voltage)
)
print(fit)  # values with standard errors, and why it ended
