"""A NARX network trained in open loop, refined in closed loop, and used in either.

In open loop the measured outputs come back as inputs (one step ahead; MATLAB calls it series-parallel); in closed loop
its own do (a simulation). Open loop trains steadily but is biased where outputs are measured with noise; closed loop is
what will be used, but harder to begin with. `open_share` does first the one, then the other.
"""

import dataclasses

import numpy as np

import perceptory as pt


def tank(steps: int, seed: int, noise: float = 0.0) -> dict[str, np.ndarray]:
    """A tank that empties by the root of its level; the level is measured."""
    random = np.random.default_rng(seed)
    u = np.repeat(random.uniform(0.2, 1.0, steps // 8 + 1), 8)[:steps]
    level, y = 1.0, np.zeros(steps)
    for t in range(steps):
        y[t] = level
        level = max(level + 0.15 * (u[t] - 0.6 * np.sqrt(level)), 0.01)
    return {"u": u, "y": y + random.normal(0, noise, steps) if noise else y}


data = pt.read_series(
    tank(600, seed=0, noise=0.05), "y", predict="every step", window=30, stride=6, known="all", washout=2
)
test = tank(300, seed=1)
for name, share in (("open loop only", 1.0), ("open, then closed", 0.5), ("closed loop only", 0.0)):
    study = pt.Study(
        pt.NARX((4,), open_share=share), optimizer=pt.Adam(pt.Cosine(0.03)), epochs=60, patience=0, batch_size=8,
        validation=pt.BlockedKFold(3), test=0,
    )  # fmt: skip
    model = study.run(data).model
    opened = dataclasses.replace(model, network=model.network.replace(loop="open"))
    free, ahead = (np.sqrt(np.mean((m.predict(test)[0] - test["y"])[2:] ** 2)) for m in (model, opened))
    print(f"{name:18} RMSE in a free run over {len(test['y'])} steps {free:.4f}, one step ahead {ahead:.4f}")
