"""Few labels, measured: layers that learned other classes first, and layers that learned from images without labels.

Start: `python -m benchmarks.few_labels [ROW ...]`. MNIST is read from
../shared/data/mnist. Everything is chosen by validation within the labels; test images are looked at once, at the end.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

FOLDER = Path("../shared/data/mnist")
PUBLISHED = {
    100: ("network 25.8, CNN 23.0, M1 with TSVM 11.8", 0.12),
    1000: ("network 10.7, CNN 6.5, M1 with TSVM 4.2", 0.045),
}
UNLABELED, FIRST = 2000, 6  # images without a label that a draw learns from first, and for how many epochs


def mnist():
    """Training and test images, or None where they are not there."""
    import perceptory as pt

    return (pt.read_images(FOLDER), pt.read_images(FOLDER, part="test")) if FOLDER.exists() else None


def scikit_digits():
    """scikit-learn's 8 x 8 digits: (examples, the same)."""
    from sklearn.datasets import load_digits

    import perceptory as pt

    x, y = load_digits(return_X_y=True)
    data = pt.read_arrays(x.reshape(-1, 8, 8, 1).astype(np.uint8), [str(v) for v in y], kind="image")
    return data, data


def some_of_each(targets: np.ndarray, classes: range, count: int, random: np.random.Generator) -> np.ndarray:
    """Places of so many examples of each class."""
    return np.concatenate([random.permutation(np.flatnonzero(targets == c))[:count] for c in classes])


def reused(name: str, source, draws: int, network, shift: float, most: int, epochs: int) -> None:
    """Digits 0 to 4 learned first from at most `most` images, then 5 to 9 from 10 images a class: test errors."""
    import perceptory as pt

    data, test = source
    first = np.flatnonzero(data.targets < 5)[:most]
    moved = pt.ImageAugmentation(shift=shift, rotate=15, scale=0.15)
    rate = pt.Adam(pt.Cosine(2e-3))
    study = pt.Study(
        network, augmentation=moved, optimizer=rate, epochs=epochs, patience=0, validation=pt.HoldOut(0.1), test=0
    )
    learned = study.run(_relabeled(data.take(first)))
    study = pt.Study(
        network, optimizer=rate, epochs=60, patience=0, batch_size=16, validation=pt.StratifiedKFold(5), test=0
    )
    starts = {"from scratch": None, "reused": pt.Pretrained(learned)}
    errors, scores = ({start: [] for start in starts} for _ in range(2))
    for draw in range(draws):
        rows = some_of_each(data.targets, range(5, 10), 10, np.random.default_rng(10 + draw))
        rest = np.flatnonzero(test.targets >= 5)
        new = _relabeled(test.take(np.setdiff1d(rest, rows) if test is data else rest))
        for start, spec in starts.items():
            result = study.replace(start=spec).run(_relabeled(data.take(rows)))
            scores[start].append(result.candidates[0].mean)
            errors[start].append(float(np.mean(result.model.predict(new) != new.class_values[new.targets])))
    chosen = [errors[min(starts, key=lambda s: scores[s][k])][k] for k in range(draws)]
    shown = ", ".join(f"{start} {np.mean(values):.4f}" for start, values in errors.items())
    ratio = np.mean(chosen) / np.mean(errors["from scratch"])
    print(f"{name}: {shown}; as validation chooses {np.mean(chosen):.4f}, ratio {ratio:.2f} (mean of {draws} draws)")


def _relabeled(data):
    """The examples with those classes alone that they have."""
    import perceptory as pt

    return pt.read_arrays(data.inputs, [str(data.class_values[t]) for t in data.targets], kind="image")


def digits_reused() -> None:
    """Digits 0 to 4 learned first, then 5 to 9 from 10 examples a class: error against training from scratch."""
    import perceptory as pt

    reused("scikit-learn's digits", scikit_digits(), 5, pt.CNN((16, 32), hidden=(64,), dropout=0.2), 1, 1000, 60)
    images = mnist()
    if images is None:
        print("MNIST: skipped")
    else:
        reused("MNIST", images, 5, pt.CNN((16, 32), kernel=5, hidden=(64,), dropout=0.2), 2, 8000, 8)


def few_labels(labels: int, draws: int = 5) -> None:
    """MNIST with few labels: test error of what the study chooses, beside training from scratch."""
    import perceptory as pt

    images = mnist()
    if images is None:
        print("skipped")
        return
    data, test = images
    network = pt.CNN((16, 32), kernel=5, hidden=(128,), dropout=0.3)
    moved = pt.ImageAugmentation(shift=2, rotate=15, scale=0.15)
    plan, seeds, epochs = (pt.StratifiedKFold(4), 1, 100) if labels <= 100 else (pt.HoldOut(0.2), 2, 30)
    study = pt.Study(
        network, augmentation=moved, optimizer=pt.Adam(pt.Cosine(2e-3)), epochs=epochs, patience=0, batch_size=32,
        validation=plan, seeds=seeds, test=0,
    )  # fmt: skip
    task = pt.Pretraining(pt.Autoencoder(code=64), FIRST, batch_size=64)
    errors = []
    for draw in range(draws):
        random = np.random.default_rng(draw)
        rows = some_of_each(data.targets, range(10), labels // 10, random)
        others = data.inputs[random.permutation(np.setdiff1d(np.arange(data.rows), rows))[:UNLABELED]]
        known = data.take(rows)
        results = study.run(known), study.replace(pretraining=task, unlabeled=others).run(known)
        wrong = [float(np.mean(r.model.predict(test) != test.class_values[test.targets])) for r in results]
        better = int(np.argmin([r.candidates[0].mean for r in results]))  # as a study of both candidates would choose
        errors.append([*wrong, wrong[better]])
        print(
            f"  draw {draw}: from scratch {wrong[0]:.4f}, pre-trained {wrong[1]:.4f}, chosen {wrong[better]:.4f}",
            flush=True,
        )
    scratch, learned, chosen = np.mean(errors, axis=0)
    published, limit = PUBLISHED[labels]
    print(f"MNIST, {labels} labels: from scratch {scratch:.4f}, pre-trained {learned:.4f}, chosen {chosen:.4f}")
    print(f"  published, in percent: {published}; to reach {limit} (mean of {draws} draws)")


def hundred_labels() -> None:
    """MNIST, 100 labels and the rest without: test error, the mean of five draws."""
    few_labels(100)


def thousand_labels() -> None:
    """MNIST, 1000 labels and the rest without: test error, the mean of five draws."""
    few_labels(1000)


ROWS = {
    "digits-reused": digits_reused,
    "100-labels": hundred_labels,
    "1000-labels": thousand_labels,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or list(ROWS):
        start = time.perf_counter()
        ROWS[name]()
        print(f"({time.perf_counter() - start:.0f} s)", flush=True)
