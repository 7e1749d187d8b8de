"""What studies of series and images reach by the published protocols.

`python -m benchmarks.quality_networks [task ...]`. Tasks: tanks, silverbox, drives, mnist (their records
stand in ../shared/data, with protocols and published figures) and adding. Each study chooses between its candidates by
validation, and its test record is read once, at the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import perceptory as pt  # isort: skip, it sets up what JAX runs on

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

FOLDER = Path("../shared/data")
Record = dict[str, np.ndarray]


@dataclass(frozen=True)
class Line:
    """One line of the table: what was chosen, and its figure in validation and test (`unit`)."""

    task: str
    chosen: str
    weights: int
    unit: str
    validation: float
    test: float
    published: str
    target: str
    seconds: float

    HEAD = (
        f"{'task':18} {'validation':>10} {'test':>10} {'target':>9} {'published':>28} {'weights':>8} {'s':>5}  chosen"
    )

    def __str__(self) -> str:
        return (
            f"{self.task + ', ' + self.unit:18} {self.validation:10.4g} {self.test:10.4g} {self.target:>9} "
            f"{self.published:>28} {self.weights:8d} {self.seconds:5.0f}  {self.chosen}"
        )


def told(result: Any) -> None:
    for c in result.candidates:
        print(f"  {c.label}: {c.mean:.4g} (training {c.train:.4g}, {c.status})", flush=True)


def line_of(
    task: str, result: Any, unit: str, value: str, test: float, published: str, target: str, since: float
) -> Line:
    best = result.candidate(result.best)
    told(result)
    return Line(
        task, f"{best.label}, {len(result.model)} networks", best.weights, unit, result.validation[value], test,
        published, target, time.perf_counter() - since,
    )  # fmt: skip


# --- images -------------------------------------------------------------------------------------------------------


def mnist() -> Iterator[Line]:
    """One network of 98 thousand weights; the dropout rate is chosen on a tenth of the training images."""
    since = time.perf_counter()
    study = pt.Study(
        pt.CNN((16, 32, 64), hidden=(128,), dropout=pt.choice(0.15, 0.3)), optimizer=pt.Adam(pt.Cosine(2e-3)),
        epochs=12, patience=0, batch_size=64, test=0, validation=pt.HoldOut(0.1), score="accuracy",
    )  # fmt: skip
    result = study.run(pt.read_images(FOLDER / "mnist", part="train"))
    test = pt.read_images(FOLDER / "mnist", part="test")
    right = np.asarray(test.class_values)[test.targets] == result.model.predict(test)
    yield line_of("MNIST", result, "accuracy", "accuracy", right.mean(), "LeNet-5 0.9905, CNN 0.992", ">= 0.992", since)


# --- dynamic systems ----------------------------------------------------------------------------------------------


def columns(name: str, *names: str) -> list[np.ndarray]:
    table = np.genfromtxt(FOLDER / "sysid" / f"{name}.csv", delimiter=",", names=True)
    return [table[n] for n in names]


def blocks(data: Any, rows: int, count: int, judged: int) -> pt.Folds:
    """`count` blocks of the record's rows, of which each of the last `judged` makes a fold: windows inside the block
    judge, those wholly outside train."""
    edges = np.linspace(0, rows, count + 1).astype(int)
    first, end = data.spans.T
    pairs = [
        (np.flatnonzero((end <= a) | (first >= b)), np.flatnonzero((first >= a) & (end <= b)))
        for a, b in pairwise(edges)
    ]
    return pt.Folds(pairs[-judged:])


def identified(
    task: str, studies: list[tuple[Any, pt.Study]], train: Record, test: Record, *, given: int, window: int,
    stride: int, folds: tuple[int, int], unit: str, published: str, target: str,
) -> Line:  # fmt: skip
    """The best of several studies in validation, simulated over the whole test record. `given`: outputs at the
    beginning that are known and not scored; `studies`: what is known (`read_series`), and the study."""
    since = time.perf_counter()
    results = []
    for known, study in studies:
        how: dict[str, Any] = {"predict": "every step", "known": known, "washout": given}
        data = pt.read_series(train, "y", window=window, stride=stride, **how)
        study = study.replace(validation=blocks(data, len(train["y"]), *folds), score="rmse", patience=0, test=0)
        results.append(study.run(data, test=pt.read_series(test, "y", **how)))
    best = min(results, key=lambda r: r.candidate(r.best).mean)
    for result in results:
        if result is not best:
            told(result)
    return line_of(task, best, unit, "rmse", best.test()["rmse"], published, target, since)


def tanks() -> Iterator[Line]:
    """State-space and gated networks, five blocks of time; the ensemble of what was trained on the folds."""
    u, y, u_test, y_test = columns("cascaded_tanks", "u_train", "y_train", "u_test", "y_test")
    state = pt.Study(
        [
            pt.StateSpace(6, (16,), (8,)), pt.StateSpace(6, (16, 16), (8,)), pt.StateSpace(8, (16, 16), (8,)),
            pt.GRU((16, 16), dropout=0.1),
        ],
        optimizer=pt.Adam(pt.Cosine(1e-2)), epochs=80, seeds=2, batch_size=16,
    )  # fmt: skip
    yield identified(
        "tanks", [(5, state)], {"u": u, "y": y}, {"u": u_test, "y": y_test},
        given=5, window=150, stride=2, folds=(5, 5), unit="V", published="GRU 0.396, best 0.191", target="<= 0.40",
    )  # fmt: skip


def silverbox() -> Iterator[Line]:
    """A NARX trained in closed loop: y(t) from three inputs and its own last three outputs."""
    u, y = columns("silverbox", "u", "y")
    record = {"u": u, "y": 1000 * y}
    train, test = ({k: v[a:b] for k, v in record.items()} for a, b in ((40650, 105712), (105712, 127400)))
    feedback = pt.Study(
        [pt.NARX((h,), input_lags=3, output_lags=3) for h in (8, 16)],
        optimizer=pt.Adam(pt.Cosine(pt.choice(1e-2, 3e-2))), epochs=1000, batch_size=16,
    )  # fmt: skip
    yield identified(
        "silverbox", [("all", feedback)], train, test,
        given=50, window=178, stride=128, folds=(5, 1), unit="mV", published="GRU 1.49, best 0.30", target="<= 1.0",
    )  # fmt: skip


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
    """The coupled drives' sensor does not see the sign of the speed: the static function starts as |z| does."""

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


def drives() -> Iterator[Line]:
    """Four blocks of a hundred rows; the ensemble of what was trained on the folds from three starts each."""
    study = pt.Study(
        [wiener(3, 8, 4), wiener(4, 4, 4), pt.StateSpace(4, (16, 16), (8,), lead=4)],
        optimizer=pt.Adam(pt.Cosine(1e-2)), penalty=pt.WeightPenalty(1e-4), epochs=150, seeds=3, batch_size=8,
    )  # fmt: skip
    for number, published, target in ((1, "RNN 0.096, best 0.090", "<= 0.10"), (2, "MLP 0.095, best 0.074", "<= 0.12")):
        u, y = columns(f"coupled_drives_{number}", "u", "y")
        yield identified(
            f"drives {number}", [(4, study)], {"u": u[:400], "y": y[:400]}, {"u": u[400:], "y": y[400:]},
            given=4, window=90, stride=2, folds=(4, 4), unit="V", published=published, target=target,
        )  # fmt: skip


# --- memory -------------------------------------------------------------------------------------------------------


def adding_problem(count: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """x [count, length, 2]: numbers from 0 to 1, and marks, one in each half; y [count]: the sum of the marked two."""
    random = np.random.default_rng(seed)
    x = np.zeros((count, length, 2), np.float32)
    x[..., 0] = random.uniform(size=(count, length))
    half = length // 2
    marked = np.stack([random.integers(0, half, count), random.integers(half, length, count)], axis=1)
    np.put_along_axis(x[..., 1], marked, 1, axis=1)
    return x, np.take_along_axis(x[..., 0], marked, axis=1).sum(axis=1)


def adding(kinds: tuple[str, ...] = ("LSTM", "GRU", "RNN")) -> Iterator[Line]:
    """200 steps; who never looks has 1/6. Norms of the gradients: examples/adding_problem.py."""
    data = pt.read_arrays(*adding_problem(20_000, 200, 0), kind="series")
    test = pt.read_arrays(*adding_problem(5_000, 200, 1), kind="series")
    for kind in kinds:
        network, target = getattr(pt, kind)((32,)), "fails" if kind == "RNN" else "< 1e-3"
        since = time.perf_counter()
        study = pt.Study(
            network, optimizer=pt.Adam(pt.Cosine(pt.choice(3e-3, 1e-2))), epochs=12, patience=0,
            batch_size=64, test=0, validation=pt.HoldOut(0.1), score="mse",
        )  # fmt: skip
        result = study.run(data, test=test)
        tested = (result.test() or {})["mse"]
        yield line_of(f"adding {kind}", result, "MSE", "mse", tested, "chance 0.167", target, since)


TASKS: dict[str, Callable[[], Iterator[Line]]] = {
    "tanks": tanks,
    "silverbox": silverbox,
    "drives": drives,
    "mnist": mnist,
    "adding": adding,
}

if __name__ == "__main__":
    lines = []
    for name in sys.argv[1:] or TASKS:
        for line in TASKS[name]():
            lines.append(str(line))
            print(line, flush=True)
    print("\n".join(["", Line.HEAD, *lines]))
