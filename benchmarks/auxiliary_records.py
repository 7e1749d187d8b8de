"""Auxiliary objectives on two records: forecasts that learn nearer moments beside their own; it helps one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parents[2] / "shared" / "data"
WEIGHTS = (0.0, 0.1, 0.3, 1.0)  # of each auxiliary objective


class Record(NamedTuple):
    """A forecast of `target` from the last `window` rows of `inputs`: the last of `horizons` is the target, the others
    are auxiliary."""

    file: str
    target: str
    inputs: tuple[str, ...]
    window: int
    horizons: tuple[int, ...]


RECORDS = {
    "cascaded tanks, 80 s ahead": Record(
        "sysid/cascaded_tanks.csv", "y_train", ("u_train", "y_train"), 8, (5, 10, 15, 20)
    ),
    "air passengers, 6 months": Record(
        "timeseries/air_passengers.csv", "passengers", ("passengers",), 13, (1, 2, 3, 4, 5, 6)
    ),
}


def auxiliary_objectives(seeds: int = 8) -> None:
    """Forecasts with nearer moments as auxiliary objectives: validation RMSE by their weight, and on sealed rows."""
    from perceptory.results.auxiliary import auxiliary_words

    print(f"{'':28s}{'weight':>7s}{'validation':>12s}   folds")
    for name, record in RECORDS.items():
        result, alone = study_of(record, WEIGHTS, seeds), study_of(record, (0.0,), seeds)
        for c in sorted(result.candidates, key=weight_of):
            mark = "*" if c.id == result.best else " "
            folds = " ".join(f"{v:.4g}" for v in c.per_fold)
            print(f"{name:28s}{weight_of(c):>6g}{mark}{c.mean:12.4g}   {folds}")
        chosen = weight_of(result.candidate(result.best))
        print(f"{'':28s}sealed: {result.test()['rmse']:.4g} with weight {chosen:g}, {alone.test()['rmse']:.4g} with 0")
        print(f"{'':28s}{auxiliary_words(result).partition('. ')[2]}", flush=True)


def study_of(record: Record, weights: tuple[float, ...], seeds: int) -> Any:
    """The result of a study of these weights, the same for every auxiliary horizon."""
    import perceptory as pt

    data = pt.read_series(
        DATA / record.file, record.target, predict="ahead", inputs=list(record.inputs), window=record.window,
        horizon=record.horizons,
    )  # fmt: skip
    each = [tuple(pt.Auxiliary(name, weight=w) for name in data.target_names[:-1]) for w in weights]
    study = pt.Study(
        pt.MLP((16,)), auxiliary=pt.choice(*each), seeds=seeds, epochs=400, patience=40, validation=pt.BlockedKFold(5),
    )  # fmt: skip
    return study.run(data)


def weight_of(candidate: Any) -> float:
    """Of the auxiliary objectives of a candidate, which all have the same."""
    return float(candidate.spec["auxiliary"][0]["weight"])
