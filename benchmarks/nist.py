"""Nonlinear least squares on the 27 problems of NIST's Statistical Reference Datasets, from both starts.

`python -m benchmarks.nist FOLDER`, FOLDER holding the files Misra1a.dat ... Bennett5.dat of
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. They are not part of perceptory.

Digits are -log10 of the largest relative error of a parameter against the certified value, at most 11.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy import optimize

from perceptory import least_squares


def _peaks(b: Any, x: Any, m: Any) -> Any:
    first, second = ((x - b[i + 1]) ** 2 / b[i + 2] ** 2 for i in (2, 5))
    return b[0] * m.exp(-b[1] * x) + b[2] * m.exp(-first) + b[5] * m.exp(-second)


def _enso(b: Any, x: Any, m: Any) -> Any:
    year = b[0] + b[1] * m.cos(2 * m.pi * x / 12) + b[2] * m.sin(2 * m.pi * x / 12)
    slow = b[4] * m.cos(2 * m.pi * x / b[3]) + b[5] * m.sin(2 * m.pi * x / b[3])
    return year + slow + b[7] * m.cos(2 * m.pi * x / b[6]) + b[8] * m.sin(2 * m.pi * x / b[6])


def _cubics(b: Any, x: Any, m: Any) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def _exponentials(b: Any, x: Any, m: Any) -> Any:
    return b[0] * m.exp(-b[1] * x) + b[2] * m.exp(-b[3] * x) + b[4] * m.exp(-b[5] * x)


def _chwirut(b: Any, x: Any, m: Any) -> Any:
    return m.exp(-b[0] * x) / (b[1] + b[2] * x)


def _saturation(b: Any, x: Any, m: Any) -> Any:
    return b[0] * (1 - m.exp(-b[1] * x))


# m is the module that computes: jax.numpy here, NumPy for SciPy.
MODELS: dict[str, Any] = {
    "Misra1a": _saturation,
    "Chwirut2": _chwirut,
    "Chwirut1": _chwirut,
    "Lanczos3": _exponentials,
    "Gauss1": _peaks,
    "Gauss2": _peaks,
    "DanWood": lambda b, x, m: b[0] * x ** b[1],
    "Misra1b": lambda b, x, m: b[0] * (1 - (1 + b[1] * x / 2) ** -2.0),
    "Kirby2": lambda b, x, m: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Hahn1": _cubics,
    "Nelson": lambda b, x, m: b[0] - b[1] * x[0] * m.exp(-b[2] * x[1]),
    "MGH17": lambda b, x, m: b[0] + b[1] * m.exp(-x * b[3]) + b[2] * m.exp(-x * b[4]),
    "Lanczos1": _exponentials,
    "Lanczos2": _exponentials,
    "Gauss3": _peaks,
    "Misra1c": lambda b, x, m: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x, m: b[0] * b[1] * x / (1 + b[1] * x),
    "Roszman1": lambda b, x, m: b[0] - b[1] * x - m.arctan(b[2] / (x - b[3])) / m.pi,
    "ENSO": _enso,
    "MGH09": lambda b, x, m: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "Thurber": _cubics,
    "BoxBOD": _saturation,
    "Rat42": lambda b, x, m: b[0] / (1 + m.exp(b[1] - b[2] * x)),
    "MGH10": lambda b, x, m: b[0] * m.exp(b[1] / (x + b[2])),
    "Eckerle4": lambda b, x, m: b[0] / b[1] * m.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Rat43": lambda b, x, m: b[0] / (1 + m.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Bennett5": lambda b, x, m: b[0] * (b[1] + x) ** (-1 / b[2]),
}


def read(path: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """The two starts, the certified values and deviations, and the data [row, column], the target first."""
    lines = path.read_text(encoding="latin-1").splitlines()
    numbers = r"([-+.\dEe]+)\s+([-+.\dEe]+)\s+([-+.\dEe]+)\s+([-+.\dEe]+)"
    found = [m.groups() for line in lines if (m := re.match(rf"\s*b\d+\s*=\s*{numbers}", line))]
    table = np.array(found, float)
    first = next(i for i, line in enumerate(lines) if line.startswith("Data:") and i > 40) + 1
    data = np.array([line.split() for line in lines[first:] if line.strip()], float)
    return [table[:, 0], table[:, 1]], table[:, 2], table[:, 3], data


def digits(found: Any, certified: np.ndarray) -> float:
    """-log10 of the largest relative error, from 0 to 11."""
    error = np.max(np.abs(np.asarray(found) - certified) / np.abs(certified))
    return float(np.clip(-np.log10(max(error, 1e-11)), 0, 11)) if np.isfinite(error) else 0.0


def main(folder: str) -> None:
    rows, ours, scipy = [], [], []
    for name, model in MODELS.items():
        starts, certified, deviations, data = read(Path(folder) / f"{name}.dat")
        y, x = data[:, 0], data[:, 1] if data.shape[1] == 2 else data[:, 1:].T
        y = np.log(y) if name == "Nelson" else y
        for start in starts:
            begun = time.perf_counter()
            fit = least_squares(lambda b, x, y, model=model: model(b, x, jnp) - y, start, args=(x, y))
            seconds = time.perf_counter() - begun
            with np.errstate(all="ignore"):
                known = [
                    optimize.least_squares(lambda b: model(b, x, np) - y, start, method=m, max_nfev=20000).x  # noqa: B023
                    if np.all(np.isfinite(model(start, x, np)))
                    else start * np.nan
                    for m in ("lm", "trf")
                ]
            ours.append((digits(fit.x, certified), fit.status))
            scipy.append([digits(k, certified) for k in known])
            errors = digits(fit.errors, deviations)
            rows.append([name, ours[-1][0], errors, fit.status, fit.iterations, seconds, *scipy[-1]])
            print("{:10} {:5.1f} {:5.1f} {:11} {:5d} {:6.2f} s   scipy lm {:4.1f} trf {:4.1f}".format(*rows[-1]))
    got = np.array([d for d, _ in ours])
    false = sum(d < 4 and status == "converged" for d, status in ours)
    print(f"\nof {len(got)}: four digits {np.sum(got >= 4)}, six {np.sum(got >= 6)}; converged below four: {false}")
    them = np.array(scipy)
    print(f"SciPy: lm {np.sum(them[:, 0] >= 4)}, trf {np.sum(them[:, 1] >= 4)} to four digits")


if __name__ == "__main__":
    main(*sys.argv[1:])
