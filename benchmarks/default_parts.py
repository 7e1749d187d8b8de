"""What each network of the default does on tables: `python -m benchmarks.default_parts [TABLES]`.

The default is fitted once to each table of `benchmarks.tables`, first split. Then shares are selected on held-out rows
again without each network (of those that differ in a number alone, such as ridges, without all), and the test rows tell
what it was worth: the error of the mixture without it beside that of all, and its own error alone. Probabilities are
those before their temperature.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table_contenders import error_of
from benchmarks.table_sets import FOLDER, TABLES, TableSet, parts_of


def kind_of(network: Any) -> str:
    """A name for networks of one kind."""
    name = type(network).__name__
    if name == "KernelRidge":
        return f"kernel, {network.kernel}" + (", narrow" if network.narrow != 1 else "")
    if name == "TabularMLP":
        return f"layers, {network.numbers}" + (", quantiles" if network.inputs == "quantiles" else "")
    return {"Linear": "linear model", "ThresholdNetwork": "threshold units"}[name]


def errors_of(one: TableSet, train: Any, test: Any) -> tuple[float, dict[str, tuple[float, float, float]]]:
    """The mixture's error on the test rows; of each kind its share, its own error, and the mixture's without it."""
    import perceptory as pt
    from perceptory.studies.assemble import model_of
    from perceptory.studies.mixtures import mixture_of
    from perceptory.studies.prepare import prepare
    from perceptory.studies.records import Records
    from perceptory.studies.run import train as trained

    data = pt.read_table(train, one.target, task=one.task)
    records = Records(prepare(pt.default_study(data, test=0.0), data))
    trained(records, None)
    prepared, outputs = records.prepared, []
    for c in range(len(prepared.candidates)):
        sound = records.sound_members(c)
        weights = np.stack([record.weights for record in sound.values()])
        model = model_of(prepared, c, weights, [prepared.scaling_of(who) for who in sound], {})
        new = test.drop(columns=[one.target])
        outputs.append(np.asarray(model.predict(new) if one.task == "regression" else model.predict_proba(new)))
    truth = test[one.target].to_numpy()
    if one.task == "classification":
        truth = np.searchsorted(np.asarray(data.class_values), truth)

    def mixed(among: list[int]) -> tuple[float, dict[int, float]]:
        order = sorted(among, key=lambda c: float(records.scores()[c].mean()))
        mixture = mixture_of(records, order, order[0])
        shares = dict(zip(mixture.candidates, mixture.shares, strict=True))
        return error_of(one.task, truth, sum(share * outputs[c] for c, share in shares.items())), shares

    kinds = [kind_of(candidate.network) for candidate in prepared.candidates]
    whole, shares = mixed(list(range(len(kinds))))
    found = {}
    for kind in dict.fromkeys(kinds):
        own = [c for c, name in enumerate(kinds) if name == kind]
        best = min(own, key=lambda c: float(records.scores()[c].mean()))
        left = [c for c in range(len(kinds)) if c not in own]
        found[kind] = sum(shares.get(c, 0.0) for c in own), error_of(one.task, truth, outputs[best]), mixed(left)[0]
    return whole, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=list(TABLES))
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the tables")
    options = parser.parse_args()
    every: dict[str, list[tuple[float, float, float]]] = {}
    for name in options.tables or list(TABLES):
        whole, found = errors_of(*parts_of("tables", name, 0, options.data))
        print(f"\n{name}: {whole:.5g}", flush=True)
        for kind, (share, alone, without) in found.items():
            row = share, alone / whole, without / whole
            every.setdefault(f"{kind} ({TABLES[name].task})", []).append(row)
            print(f"  {kind:<28} share {row[0]:.2f}  alone {row[1]:.3f}  without it {row[2]:.4f}", flush=True)
    print("\nover all tables: share, and geometric means of errors to that of the mixture")
    for kind, rows in every.items():
        share, alone, without = np.array(rows).T
        print(
            f"  {kind:<46} share {share.mean():.2f}  alone {np.exp(np.log(alone).mean()):.3f}  "
            f"without it {np.exp(np.log(without).mean()):.4f} (worst {without.max():.3f}, best {without.min():.3f})"
        )


if __name__ == "__main__":
    main()
