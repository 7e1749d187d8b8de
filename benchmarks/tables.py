"""What `fit` with no options reaches on tables, beside what people use: `python -m benchmarks.tables --kept FILE`.

Eleven tables with mixed columns; RMSE or log loss on rows that no contender saw, on the same splits. Results are kept
in a JSON file, so that rivals need not run again: only what is missing there is fitted. `--again` fits what is asked
once more. Every fit is a process of its own with an empty cache of programs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.table_sets import FOLDER, PROTOCOLS, splits_of

RIVALS = ("catboost", "lightgbm", "realmlp")
Kept = dict[str, dict[str, float]]  # by "contender table split"


def fitted(
    contender: str, protocol: str, table: str, number: int, folder: Path, python: str
) -> dict[str, float] | None:
    """What one fit gave, None where it failed (what it said is printed)."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PERCEPTORY_CACHE": cache}
        if contender in ("lightgbm", "realmlp"):  # their threads wait for each other where others work as well
            environment["OMP_NUM_THREADS"] = "1"
        command = [python, "-m", "benchmarks.table_contenders", contender, protocol, table, str(number), str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{contender} on {table}: {done.stderr.strip()[-2000:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def fill(
    kept: Kept, path: Path | None, wanted: Sequence[tuple[str, str, int]], protocol: str, options: argparse.Namespace
) -> None:
    """Fit what is wanted and not kept, or all of it where that is asked; the file is written after every fit."""
    for contender, table, number in wanted:
        key = f"{contender} {table} {number}"
        if key in kept and not options.again:
            continue
        python = options.realmlp_python if contender == "realmlp" else sys.executable
        found = fitted(contender, protocol, table, number, options.data, python)
        if found is None:
            continue
        kept[key] = found
        print(
            f"{key}: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()), file=sys.stderr, flush=True
        )
        if path is not None:
            # Another process may have added its own meanwhile.
            there = json.loads(path.read_text()) if path.exists() else {}
            path.write_text(json.dumps({**there, key: found}, indent=1, sort_keys=True))


def mean_of(kept: Kept, contender: str, table: str, what: str) -> float:
    """Mean over the splits of a table, nan where there is none."""
    values = [v[what] for k, v in kept.items() if k.split()[:2] == [contender, table] and what in v]
    return float(np.mean(values)) if values else float("nan")


def show(kept: Kept, tables: Sequence[str]) -> None:
    """One line a table, then what they come to."""
    columns = ("ours", *RIVALS)
    print(
        f"{'table':<14}"
        + "".join(f"{c:>11}" for c in columns)
        + f"{'/catboost':>11}{'coverage':>10}{'score':>8}{'ECE':>8}{'chance':>8}{'seconds':>9}"
    )
    for table in tables:
        errors = [mean_of(kept, c, table, "error") for c in columns]
        line = f"{table:<14}" + "".join(f"{e:>11.5g}" for e in errors) + f"{errors[0] / errors[1]:>11.3f}"
        score = mean_of(kept, "ours", table, "interval_score") / mean_of(
            kept, "ours", table, "interval_score_of_one_width"
        )
        numbers = (
            mean_of(kept, "ours", table, "coverage"),
            score,
            mean_of(kept, "ours", table, "ece"),
            mean_of(kept, "ours", table, "ece_of_chance"),
        )
        line += "".join(f"{x:>{w}.3f}" for x, w in zip(numbers, (10, 8, 8, 8), strict=True))
        print((line + f"{mean_of(kept, 'ours', table, 'seconds'):>9.1f}").replace("nan", "  -"))
    for rival in RIVALS:
        ratios = np.array([mean_of(kept, "ours", t, "error") / mean_of(kept, rival, t, "error") for t in tables])
        ratios = ratios[np.isfinite(ratios)]
        if len(ratios):
            print(
                f"to {rival}: geometric mean {np.exp(np.log(ratios).mean()):.3f}, "
                f"better on {(ratios < 1).sum()} of {len(ratios)}, worst {ratios.max():.3f}"
            )
    for what, words in (
        ("seconds", "seconds a fit"),
        ("coverage", "coverage of 90 % intervals"),
        ("coverage_of_one_width", "coverage of one width"),
        ("ece", "expected calibration error"),
        ("ece_of_chance", "of which perfect probabilities would show"),
    ):
        values = [mean_of(kept, "ours", t, what) for t in tables]
        if np.isfinite(values).any():
            print(f"{words}: {np.nanmean(values):.4g}")
    scores = np.array(
        [
            mean_of(kept, "ours", t, "interval_score") / mean_of(kept, "ours", t, "interval_score_of_one_width")
            for t in tables
        ]
    )
    if np.isfinite(scores).any():
        print(f"interval score, to one width: {np.nanmean(scores):.3f}")


def show_uci(kept: Kept, tables: Sequence[str]) -> None:
    """One line a table of the UCI protocol."""
    print(f"{'table':<14}{'splits':>8}{'RMSE':>10}{'NLL':>10}{'coverage':>10}{'seconds':>9}")
    for table in tables:
        numbers = [mean_of(kept, "ours", table, what) for what in ("error", "nll", "coverage", "seconds")]
        count = sum(k.split()[:2] == ["ours", table] for k in kept)
        print(f"{table:<14}{count:>8}" + "".join(f"{x:>{w}.4g}" for x, w in zip(numbers, (10, 10, 10, 9), strict=True)))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", help="names, separated by commas; all by default")
    parser.add_argument("--only", help="contenders to fit, separated by commas; all by default, or none")
    parser.add_argument("--kept", type=Path, help="JSON file of results, read and added to")
    parser.add_argument("--rivals", type=Path, help="JSON file whose results of rivals are shown, and left as it is")
    parser.add_argument("--again", action="store_true", help="fit again what is kept already")
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="tables",
        help="the eleven tables, the published protocol of UCI, or columns of hundreds of categories",
    )
    parser.add_argument("--splits", type=int, help="how many splits of each table")
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the data")
    parser.add_argument("--realmlp-python", default=sys.executable, help="the interpreter that has pytabkit")
    options = parser.parse_args()
    sets, uci = PROTOCOLS[options.protocol], options.protocol == "uci"
    tables = options.tables.split(",") if options.tables else list(sets)
    contenders = options.only.split(",") if options.only else ["ours"] if uci else ["ours", *RIVALS]
    kept: Kept = {}
    for path in (options.rivals, options.kept):
        if path is not None and path.exists():
            found = json.loads(path.read_text())
            kept |= found if path == options.kept else {k: v for k, v in found.items() if k.split()[0] in RIVALS}
    wanted = []
    for contender in contenders:
        for table in tables if contender != "none" else ():
            numbers = (
                list(range(options.splits or 20))
                if uci
                else splits_of(len(sets[table].frame(options.data)))[: options.splits]
            )
            wanted += [(contender, table, number) for number in numbers]
    fill(kept, options.kept, wanted, options.protocol, options)
    (show_uci if uci else show)(kept, tables)


if __name__ == "__main__":
    main()
