"""What forecasts by default reach, beside published figures and statsforecast: `python -m benchmarks.forecasts [SET]`.

m4-hourly, m4-weekly: one model of all series, fitted without their last horizon, sMAPE and MASE over all of them;
Naive2 is computed as a check of the protocol. air-passengers: the last 24 months, 12 ahead, from every origin.
sunspots, lynx: one ahead over the last fifth. systems: free runs of four records of dynamic systems, beside ARX models.
inputs: series that are made, of which the least error is known: what is known ahead, the calendar, static columns,
recursive forecasts, weights of series. Nothing is chosen by the test part.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.coverage import print_coverage

FOLDER = Path("../shared/data")
M4 = {"m4-hourly": ("hourly", 24, 48, (18.38, 2.395)), "m4-weekly": ("weekly", 1, 13, (9.16, 2.777))}
TO_REACH = {"m4-hourly": "9.3 / 0.89", "m4-weekly": "7.5 / 2.35"}


def wide(path: Path) -> list[np.ndarray]:
    """Series of a file that holds one a line."""
    with path.open() as file:
        lines = csv.reader(file)
        next(lines)
        return [np.array([float(v) for v in line[1:] if v]) for line in lines]


def naive2(y: np.ndarray, m: int, horizon: int) -> np.ndarray:
    """The last value of the series, seasonally adjusted by its classical multiplicative indices where the
    autocorrelation at the season passes M4's test of 90 %."""
    if m == 1 or not _is_seasonal(y, m):
        return np.full(horizon, y[-1])
    n = len(y)
    weights = np.r_[0.5, np.ones(m - 1), 0.5] / m if m % 2 == 0 else np.ones(m) / m
    trend = np.convolve(y, weights, "valid")
    offset = (len(weights) - 1) // 2
    ratio, phase = y[offset : offset + len(trend)] / trend, (np.arange(len(trend)) + offset) % m
    index = np.array([ratio[phase == k].mean() for k in range(m)])
    index *= m / index.sum()
    return y[-1] / index[(n - 1) % m] * index[(n + np.arange(horizon)) % m]


def _is_seasonal(y: np.ndarray, m: int) -> bool:
    x, n = y - y.mean(), len(y)
    if n < 3 * m or not x.any():
        return False
    c = np.array([x[k:] @ x[: n - k] for k in range(1, m + 1)]) / (x @ x)
    return bool(abs(c[-1]) > 1.645 * np.sqrt((1 + 2 * np.sum(c[:-1] ** 2)) / n))


def scores(forecast: np.ndarray, truth: np.ndarray, past: list[np.ndarray], m: int) -> tuple[float, float]:
    """(sMAPE, MASE) over all series [series, horizon]."""
    smape = 200 * np.mean(np.abs(forecast - truth) / (np.abs(forecast) + np.abs(truth)))
    units = np.array([np.mean(np.abs(y[m:] - y[:-m])) for y in past])
    return float(smape), float(np.mean(np.abs(forecast - truth) / units[:, None]))


def m4(name: str, effort: str) -> None:
    import polars as pl

    import perceptory as pt

    kind, m, horizon, published = M4[name]
    past, truth = wide(FOLDER / f"m4/{kind}-train.csv"), np.array(wide(FOLDER / f"m4/{kind}-test.csv"))
    simple = scores(np.array([naive2(y, m, horizon) for y in past]), truth, past, m)
    print(f"{name}: Naive2 {simple[0]:.2f} / {simple[1]:.3f}, published {published[0]} / {published[1]}", flush=True)
    start, cpu = time.perf_counter(), time.process_time()
    rows = pl.DataFrame(
        {"id": np.repeat([f"s{i}" for i in range(len(past))], list(map(len, past))), "y": np.concatenate(past)}
    )
    data = pt.read_series(rows, "y", predict="ahead", series="id", horizon=range(1, horizon + 1))
    result = pt.default_study(data, effort, test=0.0).run(data)
    print(result.summary(), flush=True)
    print_coverage(result.model, truth)
    window = data.shape[0]
    forecast = result.model.mean(np.array([y[-window:] for y in past])[:, :, None])
    reached = scores(forecast, truth, past, m)
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(
        f"{name}: sMAPE / MASE {reached[0]:.3f} / {reached[1]:.4f}, to reach {TO_REACH[name]}; {took:.0f} s, "
        f"{cpu:.0f} s of processor time",
        flush=True,
    )


def _column(name: str) -> np.ndarray:
    with (FOLDER / f"timeseries/{name}.csv").open() as file:
        lines = csv.reader(file)
        next(lines)
        return np.array([float(line[1]) for line in lines])


def one_series(name: str, horizon: int, tested: int, effort: str) -> None:
    """A single series, rolling over its last `tested` rows: sMAPE of several horizons, RMSE of one."""
    import perceptory as pt

    y = _column(name)
    column = "y"
    start = time.perf_counter()
    known = pt.read_series({column: y[:-tested]}, column, predict="ahead", horizon=range(1, horizon + 1))
    model = pt.default_study(known, effort, test=0.0).run(known).model
    window, first = known.shape[0], len(y) - tested
    origins = range(first, len(y) - horizon + 1)
    ours = model.mean(np.array([y[o - window : o] for o in origins])[:, :, None])
    truth = np.array([y[o : o + horizon] for o in origins])
    rivals = _autoregression(y, origins) if horizon == 1 else _statsforecast(y, origins, horizon)
    for who, forecast in {"perceptory": ours, **rivals}.items():
        smape = 200 * np.mean(np.abs(forecast - truth) / (np.abs(forecast) + np.abs(truth)))
        print(f"{name}: {who}: sMAPE {smape:.3f}, RMSE {np.sqrt(np.mean((forecast - truth) ** 2)):.3f}", flush=True)
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


def _autoregression(y: np.ndarray, origins: range, most: int = 20) -> dict[str, np.ndarray]:
    """One ahead by an autoregressive model of the rows before the first origin, its order by AIC."""
    known, best = y[: origins[0]], (np.inf, np.zeros(1))
    for p in range(1, most + 1):
        rows = np.arange(most, len(known))
        x = np.column_stack([np.ones(len(rows)), *(known[rows - k] for k in range(1, p + 1))])
        w = np.linalg.lstsq(x, known[rows], rcond=None)[0]
        aic = len(rows) * np.log(np.mean((known[rows] - x @ w) ** 2)) + 2 * (p + 2)
        best = min(best, (aic, w), key=lambda pair: pair[0])
    w = best[1]
    forecast = [[w[0] + w[1:] @ y[o - len(w) + 1 : o][::-1]] for o in origins]
    return {f"AR({len(w) - 1}) by AIC": np.array(forecast)}


def _statsforecast(y: np.ndarray, origins: range, horizon: int, season: int = 12) -> dict[str, np.ndarray]:
    """AutoETS and AutoARIMA, fitted anew at every origin."""
    try:
        from statsforecast.models import AutoARIMA, AutoETS
    except ImportError:
        print("statsforecast is not installed: its rows are left out")
        return {}
    made = {"AutoETS": AutoETS(season_length=season), "AutoARIMA": AutoARIMA(season_length=season)}
    return {name: np.array([model.forecast(y[:o], horizon)["mean"] for o in origins]) for name, model in made.items()}


def inputs(effort: str) -> None:
    """Series of which it is known what can be forecast: the error beside its least, with and without what tells it."""
    import polars as pl

    import perceptory as pt

    rng, noise, rows, horizon = np.random.default_rng(0), 1.0, 400, 7
    days = np.arange("2023-01-01", np.datetime64("2023-01-01") + rows, dtype="datetime64[D]")
    parts = []
    for k in range(8):
        promotion = (rng.random(rows) < 0.3).astype(float)
        weekday = np.array([0, 0, 0, 5, 3, 0, 0.0])[days.astype(int) % 7]
        sales = 50 + (6 if k % 2 else -6) * promotion + weekday + rng.normal(0, noise, rows)
        shop = {"day": days.astype(str), "shop": f"s{k}", "region": ["north", "south"][k % 2], "promotion": promotion}
        parts.append(pl.DataFrame(shop | {"sales": sales}))
    table = pl.concat(parts)
    usual = {"predict": "ahead", "series": "shop", "time": "day", "horizon": range(1, horizon + 1), "window": 5}
    ways = {
        "the past alone": {"static": (), "ignore": ["region"]},
        "+ promotion known ahead": {"static": (), "ignore": ["region"], "known_ahead": "promotion"},
        "+ calendar": {"static": (), "ignore": ["region"], "known_ahead": "promotion", "calendar": True},
        "+ region": {"known_ahead": "promotion", "calendar": True},
    }
    network = pt.Windowed(pt.MLP((32,)), level="none", scale="none")
    for name, way in ways.items():
        data = pt.read_series(table, "sales", **usual, **way)
        result = pt.Study(networks=network, epochs=200, validation=pt.RollingOrigin(1)).run(data, open_test=True)
        rmse = float(np.sqrt(np.mean(np.square(result.tested["rmse"]))))
        print(f"inputs: {name}: RMSE {rmse:.3f}, least {noise:.1f}", flush=True)
    _rolled_out(rng)
    _weighted(rng)


def _rolled_out(rng: np.random.Generator) -> None:
    """An autoregression of order 2: direct and recursive beside theory, from few and from many windows."""
    import perceptory as pt

    psi = [1.0, 1.5]
    for _ in range(10):
        psi.append(1.5 * psi[-1] - 0.75 * psi[-2])
    least = np.sqrt(np.mean(np.cumsum(np.square(psi))))
    for rows in (150, 2000):
        y = np.zeros(rows + 4000)
        for t in range(2, len(y)):
            y[t] = 1.5 * y[t - 1] - 0.75 * y[t - 2] + rng.normal()
        usual = {"predict": "ahead", "window": 12, "horizon": range(1, 13), "season": 1}
        known, later = (pt.read_series({"y": part}, "y", **usual) for part in (y[:rows], y[rows:]))
        for recursive in (False, True):
            network = pt.Windowed(pt.Linear(1e-3), level="none", scale="none", recursive=recursive)
            model = pt.Study(networks=network, test=0.0, final="refit").run(known).model
            error = model.mean(np.asarray(later.inputs)) - later.targets
            way = "recursive" if recursive else "direct"
            print(f"inputs: {rows} rows, {way}: RMSE {np.sqrt(np.mean(error**2)):.3f}, least {least:.3f}", flush=True)


def _weighted(rng: np.random.Generator) -> None:
    """Four long series of one kind among forty short ones of another: the error of the short ones."""
    import polars as pl

    import perceptory as pt

    def series(rows: int, a: float) -> np.ndarray:
        y = np.zeros(rows + 50)
        for t in range(1, len(y)):
            y[t] = a * y[t - 1] + rng.normal()
        return y[50:]

    each = [series(2000, -0.7) for _ in range(4)] + [series(40, 0.7) for _ in range(40)]
    names = np.repeat([f"s{k}" for k in range(len(each))], [len(y) for y in each])
    table = pl.DataFrame({"name": names, "y": np.concatenate(each)})
    fresh = [pt.read_series({"y": series(4000, a)}, "y", predict="ahead", window=4, season=1) for a in (-0.7, 0.7)]
    network = pt.Windowed(pt.Linear(1e-3), level="none", scale="none")
    for weights in ("window", "root", "series"):
        data = pt.read_series(table, "y", predict="ahead", window=4, season=1, series="name", series_weights=weights)
        model = pt.Study(networks=network, test=0.0, final="refit").run(data).model
        long, short = (np.sqrt(np.mean((model.mean(np.asarray(d.inputs)) - d.targets) ** 2)) for d in fresh)
        print(f"inputs: weights by {weights}: RMSE of long series {long:.3f}, of short ones {short:.3f}", flush=True)


SYSTEMS = "cascaded_tanks", "coupled_drives_1", "coupled_drives_2", "silverbox"


def system(name: str, effort: str) -> None:
    """A record of a dynamic system as `fit` reads it; root mean square of a free run on the test record, beside ARX
    models of the same examples. The records are divided, and the first outputs left out, as others do it."""
    import perceptory as pt

    with (FOLDER / f"sysid/{name}.csv").open() as file:
        names, *lines = csv.reader(file)
    columns = dict(zip(names, np.array(lines, float).T, strict=True))
    spans, skip = {"silverbox": ((40650, 105712, 127400), 50)}.get(name, ((0, 400, 500), 4))
    if "u_train" in columns:
        record, test = ({c: columns[f"{c}_{part}"] for c in "uy"} for part in ("train", "test"))
        skip = 5
    else:
        record, test = ({c: columns[c][a:b] for c in "uy"} for a, b in (spans[:2], spans[1:]))
    start, cpu = time.perf_counter(), time.process_time()
    data = pt.read_series(record, "y", predict="every step", window="auto")
    result = pt.default_study(data, effort, test=0.0).run(data)
    print(result.summary(), flush=True)
    models = {"perceptory": result.model}
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    for lags in (2, 8):
        arx = pt.NARX((), input_lags=lags, output_lags=lags, train="least squares", at_rest=True)
        models[f"ARX {lags}+{lags}"] = pt.Study(arx, test=0.0).run(data).model
    for who, model in models.items():
        error = (np.asarray(model.predict(test)).ravel() - test["y"])[skip:]
        print(f"{name}: {who}: RMSE of a free run {np.sqrt(np.mean(error**2)):.4g}", flush=True)
    print(f"{name}: {took:.0f} s, {cpu:.0f} s of processor time", flush=True)


SETS = {
    **{name: (lambda effort, name=name: m4(name, effort)) for name in M4},
    "air-passengers": lambda effort: one_series("air_passengers", 12, 24, effort),
    "sunspots": lambda effort: one_series("sunspots_yearly", 1, 62, effort),
    "lynx": lambda effort: one_series("lynx", 1, 23, effort),
    **{name: (lambda effort, name=name: system(name, effort)) for name in SYSTEMS},
    "inputs": inputs,
}


if __name__ == "__main__":
    given = [name for one in sys.argv[1:] for name in (SYSTEMS if one == "systems" else (one,))]
    asked = [name for name in given if name in SETS] or list(SETS)
    effort = next((name for name in sys.argv[1:] if name in ("quick", "normal", "thorough")), "normal")
    for name in asked:
        SETS[name](effort)
