"""Identify a dynamic system from a record of its input and output, and simulate it on inputs it has not seen.

Without arguments the system is made here: two tanks, one above the other, a pump fills the upper one; measured is the
level of the lower one. With a table of one's own (u drives the system, y answers; rows first:last):

    python examples/identify_a_system.py record.csv --train 0:400 --test 400:500 --known 4
    python examples/identify_a_system.py tanks.csv --u u_train --y y_train --test-u u_test --test-y y_test --known 5

All that a network is told of y are its first values, as many as --known says; from there on it runs freely. Network
and training are chosen by validation on blocks of time that share no step with what was trained on. Published records
by their protocols are in `published_records.py`.
"""

import argparse

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


def rows(text: str) -> slice:
    first, _, last = text.partition(":")
    return slice(int(first or 0), int(last) if last else None)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("record", nargs="?", help="CSV file; left out, the example makes its own record")
    for name, value in (("--u", "u"), ("--y", "y"), ("--test-u", None), ("--test-y", None)):
        asked.add_argument(name, default=value, help="column")
    asked.add_argument("--train", type=rows, default=rows(":"))
    asked.add_argument("--test", type=rows, default=rows(":"))
    asked.add_argument("--known", type=int, default=5, help="first outputs that are given, and not judged")
    asked.add_argument("--window", type=int, default=100)
    asked.add_argument("--stride", type=int, default=10)
    asked.add_argument("--epochs", type=int, default=60)
    asked.add_argument("--networks", choices=["few", "many"], default="few")
    o = asked.parse_args()

    if o.record is None:
        train, test = tanks(900, seed=0), tanks(600, seed=1)
    else:
        table = np.genfromtxt(o.record, delimiter=",", names=True)
        train = {"u": table[o.u][o.train], "y": table[o.y][o.train]}
        test = {"u": table[o.test_u or o.u][o.test], "y": table[o.test_y or o.y][o.test]}

    networks: list = [pt.StateSpace(4, (16,), (8,), lead=o.known)]
    if o.networks == "many":
        networks += [
            pt.StateSpace(6, (16, 16), (8,), lead=o.known), pt.StateSpace(8, (32,), (8,), lead=o.known),
            pt.GRU((16, 16), dropout=0.1),
        ]  # fmt: skip
    study = pt.Study(
        networks, optimizer=pt.Adam(pt.Cosine(1e-2)), validation=pt.BlockedKFold(5), epochs=o.epochs, patience=0,
        batch_size=16, test=0,
    )  # fmt: skip
    data = pt.read_series(
        train, "y", predict="every step", window=o.window, stride=o.stride, known=o.known, washout=o.known
    )
    result = study.run(data)
    print(result.summary())
    error = (result.model.predict(test)[0] - test["y"])[o.known :]
    print(f"chosen: {result.model}")
    rmse, spread = np.sqrt(np.mean(error**2)), test["y"].std()
    print(f"free run over {len(error)} steps: RMSE {rmse:.3g}, deviation of y {spread:.3g}")


if __name__ == "__main__":
    main()
