"""Four published records of dynamic systems, each by the protocol that others report their figures with.

    python examples/published_records.py cascaded_tanks cascaded_tanks.csv
    python examples/published_records.py silverbox silverbox.csv
    python examples/published_records.py coupled_drives_1 coupled_drives_1.csv
    python examples/published_records.py coupled_drives_2 coupled_drives_2.csv

The records (nonlinearbenchmark.org) are comma-separated with a line of names: u_train, y_train, u_test and y_test of
the tanks, u and y of the others. Network and training are chosen by validation on blocks of time; the test record is
read once, at the end, in a free run that is told of y only its first steps. Minutes each. Without a file, a few epochs
on a record that is simulated here show how it goes.
"""

import argparse
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from identify_a_system import tanks
from wiener_model import belt, wiener

import perceptory as pt

Record = dict[str, np.ndarray]

# Adam as printed [E25]: its first steps are not of the whole rate, which closed loops do not bear. The figures of this
# example were found with it.
adam = functools.partial(pt.Adam, eps=0.0, eps_root=1e-6)


@dataclass(frozen=True)
class Protocol:
    """How a record is divided, what is tried on it, and how it is judged.

    divide(column by name) -> (training record, test record), each with u and y in `unit`. given: first outputs that are
    known and not scored. window, stride: of the training examples, in steps. folds: how many blocks of time there are,
    and how many of them, the last ones, are validated on.
    """

    divide: Callable[[Record], tuple[Record, Record]]
    study: Callable[[], pt.Study]
    given: int
    window: int
    stride: int
    folds: tuple[int, int]
    unit: str
    simulated: Callable[[], Record]
    known: int | str = "given"

    def data(self, record: Record, whole: bool = False) -> Any:
        """Windows of a record, or all of it as one example."""
        cut = {} if whole else {"window": min(self.window, len(record["y"]) // self.folds[0]), "stride": self.stride}
        known = self.given if self.known == "given" else self.known
        return pt.read_series(record, "y", predict="every step", known=known, washout=self.given, **cut)

    def run(self, columns: Record, short: bool = False) -> pt.Result:
        """The study's result, its test opened: an ensemble of the networks that were trained on the folds."""
        train, test = self.divide(columns)
        data = self.data(train)
        study = self.study().replace(
            validation=blocks(data, len(train["y"]), *self.folds), score="rmse", patience=0, test=0
        )
        if short:
            study = study.replace(networks=study.networks[:1], epochs=5, seeds=1)
        result = study.run(data, test=self.data(test, whole=True))
        result.test()
        return result


def blocks(data: Any, rows: int, count: int, judged: int) -> pt.Folds:
    """`count` blocks of the record's rows, of which each of the last `judged` makes a fold: windows inside the block
    judge, those wholly outside train."""
    edges = np.linspace(0, rows, count + 1).astype(int)
    first, end = data.timeline.seen.T
    pairs = [
        (np.flatnonzero((end <= a) | (first >= b)), np.flatnonzero((first >= a) & (end <= b)))
        for a, b in pairwise(edges)
    ]
    return pt.Folds(pairs[-judged:])


def rows(columns: Record, names: Iterable[str], first: int, end: int | None, scale: float = 1.0) -> Record:
    u, y = (columns[name][first:end] for name in names)
    return {"u": u, "y": scale * y}


def tanks_study() -> pt.Study:
    return pt.Study(
        [
            pt.StateSpace(6, (16,), (8,)), pt.StateSpace(6, (16, 16), (8,)), pt.StateSpace(8, (16, 16), (8,)),
            pt.GRU((16, 16), dropout=0.1),
        ],
        optimizer=adam(pt.Cosine(1e-2)), epochs=80, seeds=2, batch_size=16,
    )  # fmt: skip


def silverbox_study() -> pt.Study:
    """Trained in closed loop: y(t) from three inputs and its own last three outputs."""
    return pt.Study(
        [pt.NARX((h,), input_lags=3, output_lags=3) for h in (8, 16)],
        optimizer=adam(pt.Cosine(pt.choice(1e-2, 3e-2))), epochs=1000, batch_size=16,
    )  # fmt: skip


def drives_study() -> pt.Study:
    return pt.Study(
        [wiener(3, 8, 4), wiener(4, 4, 4), pt.StateSpace(4, (16, 16), (8,), lead=4)],
        optimizer=adam(pt.Cosine(1e-2)), penalty=pt.WeightPenalty(1e-4), epochs=150, seeds=3, batch_size=8,
    )  # fmt: skip


def many_starts_study() -> pt.Study:
    """At a low rate few starts of these models find the better minimum: higher ones, and an ensemble of many starts."""
    return pt.Study(
        [wiener(5, 8, 4), wiener(8, 8, 4)],
        optimizer=adam(pt.Cosine(pt.choice(1e-2, 3e-2, 6e-2))), penalty=pt.WeightPenalty(pt.choice(1e-4, 3e-4)),
        epochs=300, seeds=12, batch_size=8,
    )  # fmt: skip


def simulated_tanks() -> Record:
    train, test = tanks(300, seed=0), tanks(200, seed=1)
    return {f"{k}_{part}": v for part, record in (("train", train), ("test", test)) for k, v in record.items()}


def simulated_oscillator(steps: int = 127_400) -> Record:
    """A damped mass on a spring that hardens, driven by noise below its resonance; y is small, as the silverbox's."""
    random = np.random.default_rng(0)
    smooth = np.convolve(random.normal(size=steps), np.ones(8) / 8, "same")
    y = np.zeros(steps)
    for t in range(2, steps):
        y[t] = 1.8 * y[t - 1] - 0.9 * y[t - 2] + 0.005 * smooth[t - 1] - 2 * y[t - 1] ** 3
    return {"u": smooth, "y": y}


def drives(study: Callable[[], pt.Study]) -> Protocol:
    return Protocol(
        divide=lambda c: (rows(c, "uy", 0, 400), rows(c, "uy", 400, None)), study=study,
        given=4, window=90, stride=2, folds=(4, 4), unit="V", simulated=lambda: belt(500, seed=0),
    )  # fmt: skip


PROTOCOLS = {
    "cascaded_tanks": Protocol(
        divide=lambda c: (rows(c, ("u_train", "y_train"), 0, None), rows(c, ("u_test", "y_test"), 0, None)),
        study=tanks_study, given=5, window=150, stride=2, folds=(5, 5), unit="V", simulated=simulated_tanks,
    ),
    "silverbox": Protocol(
        divide=lambda c: (rows(c, "uy", 40_650, 105_712, 1000), rows(c, "uy", 105_712, 127_400, 1000)),
        study=silverbox_study, given=50, window=178, stride=128, folds=(5, 1), unit="mV",
        simulated=simulated_oscillator, known="all",
    ),
    "coupled_drives_1": drives(drives_study),
    "coupled_drives_2": drives(many_starts_study),
}  # fmt: skip


def read(path: str) -> Record:
    table = np.genfromtxt(path, delimiter=",", names=True)
    return {name: table[name] for name in table.dtype.names}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("protocol", nargs="?", choices=PROTOCOLS, default="cascaded_tanks")
    asked.add_argument("record", nargs="?", help="CSV file; left out, the record is simulated and training is short")
    o = asked.parse_args()
    protocol = PROTOCOLS[o.protocol]
    result = protocol.run(read(o.record) if o.record else protocol.simulated(), short=o.record is None)
    print(result.summary())
    print(f"chosen: {result.model}")
    print(f"free run over the test record: RMSE {result.tested['rmse']:.4g} {protocol.unit}")


if __name__ == "__main__":
    main()
