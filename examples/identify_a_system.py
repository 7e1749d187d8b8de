"""Identify a dynamic system from a record of its input and output, and simulate it on inputs it has not seen.

The system: two tanks, one above the other, a pump fills the upper one; measured is the level of the lower one. All that
a network is told of the level is its first five values; from there on it runs freely.
"""

import numpy as np

import perceptory as pt


def tanks(steps: int, seed: int) -> dict[str, np.ndarray]:
    """A record of the pump's voltage u and the lower level y, with some noise of measurement."""
    random = np.random.default_rng(seed)
    u = np.repeat(random.uniform(0.5, 3.0, steps // 20 + 1), 20)[:steps]
    upper, lower, y = 1.0, 1.0, np.zeros(steps)
    for k in range(steps):
        y[k] = lower
        flow = 0.5 * np.sqrt(upper)
        upper, lower = upper + 0.3 * (u[k] - 2 * flow), lower + 0.5 * (flow - 0.5 * np.sqrt(lower))
        upper, lower = max(upper, 0.0), max(lower, 0.0)
    return {"u": u, "y": y + random.normal(0, 0.01, steps)}


record, later = tanks(900, seed=0), tanks(600, seed=1)
cut = {"predict": "every step", "window": 100, "stride": 20, "washout": 5}
common = {"optimizer": pt.Adam(pt.Cosine(1e-2)), "epochs": 120, "patience": 0, "batch_size": 8, "test": 0}

# A state network learns what to keep of the past; a NARX feeds its own outputs back.
studies = {
    "state": (pt.Study(pt.GRU((12,)), **common), pt.read_series(record, "y", known=5, **cut)),
    "feedback": (
        pt.Study(pt.NARX((8,), input_lags=3, output_lags=pt.choice(2, 4)), **common),
        pt.read_series(record, "y", known="all", **cut),
    ),
}
results = {name: study.run(data) for name, (study, data) in studies.items()}
for result in results.values():
    print(result.summary())
best = min(results.values(), key=lambda result: result.validation["rmse"])
error = (best.model.predict(later)[0] - later["y"])[5:]
print(f"chosen: {best.model}")
print(
    f"free run over {len(error)} steps: RMSE {np.sqrt(np.mean(error**2)):.3f}, level's deviation {later['y'].std():.3f}"
)
