"""Model files whose description was altered and signed anew: one sentence or a sound model, at once, and never a crash.

`python tests/results/test_mutated_models.py COUNT` tries so many.
"""

import json
import sys
import time

import jax
import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

import perceptory as pt
from perceptory.data.examples import encoder_for
from perceptory.errors import InputError
from perceptory.models import model_file
from perceptory.networks.base import layout
from perceptory.objectives.table import SoftmaxCrossEntropy, SquaredError

T = np.arange(40)
X = np.random.default_rng(0).normal(size=(24, 6, 6, 1)).astype(np.float32)
SECONDS = 5.0  # a file takes less, on a busy machine too


def series(**how):
    return pt.read_series({"u": np.sin(T), "y": np.cos(T)}, "y", window=8, stride=4, predict="every step", **how)


def table():
    return pt.read_table({"a": T * 0.1, "b": ["x", "y"] * 20, "y": np.cos(T)}, "y")


def bases():
    """(network, data, cost, shape of the outputs)"""
    return {
        "mlp": (pt.MLP((3, 2), dropout=0.1), table(), SquaredError(), (1,)),
        "rbf": (pt.RBFNetwork(3), table(), SquaredError(), (1,)),
        "cnn": (pt.CNN((3, 2), kernel=3), pt.read_arrays(X, np.arange(24) % 3), SoftmaxCrossEntropy(), (3,)),
        "cnn of series": (pt.CNN((3,), dilation=(2,), padding="causal", hidden=()), series(), SquaredError(), (8, 1)),
        "lstm": (pt.LSTM((3,)), series(), SquaredError(), (8, 1)),
        "narx": (pt.NARX((3,)), series(known="all"), SquaredError(), (8, 1)),
        "chain": (
            pt.Chain((pt.ConvolutionLayer(3, 2), pt.Flatten(), pt.DenseLayer(3))),
            pt.read_arrays(X, np.arange(24) % 3), SoftmaxCrossEntropy(), (3,),
        ),
    }  # fmt: skip


def model_of(network, data, cost, outputs):
    """A model with random weights."""
    encoder = encoder_for(data)
    features = encoder.shape[-1]
    count = layout(network, encoder.shape, outputs).size
    return pt.Model(
        task=data.task,
        targets=tuple(data.target_names),
        classes=None if data.classes is None else np.asarray(data.classes),
        encoder=encoder,
        network=network,
        cost=cost,
        outputs=outputs,
        weights=np.random.default_rng(0).normal(size=(2, count)).astype(np.float32),
        in_center=np.zeros((2, features)),
        in_factor=np.ones((2, features)),
        out_center=np.zeros((2, outputs[-1])),
        out_scale=np.ones((2, outputs[-1])),
    )


VALUES = [
    0, -1, 1, 2, 3, 8, 63, 64, 4096, 10**5, 10**9, 2**31 - 1, 2**31, 2**32, 2**62, 2**63, 2**64, 10**30,
    0.5, -0.0, 1e308, float("nan"), float("inf"), "", "x", "relu", "\x00", None, True, False, [], {}, [1], [[1, 2]],
    {"kind": "MLP"}, {"kind": 3},
]  # fmt: skip


def places(value, path=()):
    yield path
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(below, (*path, key))


def mutated(random, description, tensors):
    """A copy with one to three changes; what was changed first."""
    description, tensors = json.loads(json.dumps(description)), dict(tensors)
    first = None
    for _ in range(random.choice([1, 1, 2, 3])):
        if random.random() < 0.1:
            name = random.choice(sorted(tensors))
            array = np.atleast_2d(tensors[name])
            tensors[name] = [
                array[:1], array[:0], array.reshape(-1), array[:, :-1], array.astype(np.float16), array * np.nan,
                array.astype(np.int64), np.zeros(()), np.repeat(array, 2, 1),
            ][random.integers(9)]  # fmt: skip
            first = first or name
            continue
        kind = random.choice(["network", "network", "network", "encoder", "outputs", "cost", ""])
        found = [p for p in places(description) if p and (not kind or p[0] == kind)]
        *above, key = found[random.integers(len(found))]
        first = first or (*above, key)[0]
        holder = description
        for step in above:
            holder = holder[step]
        old = holder[key]
        match random.integers(5):
            case 0 if isinstance(old, list) and old:
                holder[key] = old * int(random.choice([2, 100, 20000]))
            case 1 if isinstance(holder, dict):
                del holder[key]
            case 2 if isinstance(old, int) and not isinstance(old, bool):
                holder[key] = int(old) * int(random.choice([2, 10**3, 10**9])) + int(random.integers(2))
            case 3 if isinstance(old, dict):
                nested = old
                for _ in range(int(random.choice([2, 50, 3000]))):
                    nested = [nested]
                holder[key] = nested
            case _:
                holder[key] = VALUES[random.integers(len(VALUES))]
    return description, tensors, first


def signed(description, tensors):
    text = json.dumps(description | {"checksum": model_file._checksum(tensors, description)})
    return to_bytes({n: np.ascontiguousarray(a) for n, a in tensors.items()}, metadata={"perceptory": text})


def tried(folder, count, seed, predictions):
    """Counts of what came of the files; whatever is neither a sentence nor a model raises."""
    random = np.random.default_rng(seed)
    counts = {"refused": 0, "loaded": 0, "predicted": 0, "refused to predict": 0}
    models = []
    for name, base in bases().items():
        path = folder / f"{name}.safetensors"
        model_of(*base).save(path)
        models.append((base[1], *model_file._parse(path.read_bytes())))
    path = folder / "mutated.safetensors"
    while sum(counts[k] for k in ("refused", "loaded")) < count:
        data, *whole = models[random.integers(len(models))]
        try:
            description, tensors, first = mutated(random, *whole)
            content = signed(description, tensors)
        except (RecursionError, ValueError):  # deeper than JSON is written, or an array that is no tensor
            continue
        path.write_bytes(content)
        began = time.process_time()
        try:
            model = pt.Model.load(path)
        except InputError:
            counts["refused"] += 1
            model = None
        took = time.process_time() - began
        assert took < SECONDS, f"{took} s: {str(description)[:3000]}"
        if model is None:
            continue
        counts["loaded"] += 1
        if first in ("network", "outputs", "encoder") and counts["predicted"] < predictions:
            print(json.dumps(description["network"])[:300], flush=True)
            try:
                model.predict(data)
                counts["predicted"] += 1
            except InputError:
                counts["refused to predict"] += 1
            if counts["predicted"] % 50 == 0:
                jax.clear_caches()
    return counts


@pytest.mark.parametrize("seed", range(2))
def test_mutated_model_files(tmp_path, seed):
    counts = tried(tmp_path, 150, seed, 2)
    assert counts["refused"] > 100


HOSTILE = [
    ("cnn of series", {"kernel": 8, "dilation": 10**9}), ("cnn of series", {"kernel": 8, "dilation": [10**9]}),
    ("cnn", {"padding": 10**9}), ("cnn", {"pool": 10**9}), ("cnn", {"stride": 2**62}), ("cnn", {"kernel": 2**32}),
    ("cnn", {"channels": [2**32, 2**32]}), ("mlp", {"hidden": [2**33, 2**31]}), ("mlp", {"hidden": [1] * 20_000}),
    ("narx", {"input_lags": 2**40}), ("rbf", {"centers": 10**12}), ("lstm", {"hidden": [3] * 20_000}),
]  # fmt: skip


def test_sizes_that_wrap_and_networks_without_end(tmp_path):
    """A dilation of 10^9 ended in a wild write, others in an abort, in gigabytes, or after half a minute."""
    models = bases()
    for name, changes in HOSTILE:
        path = tmp_path / "model.safetensors"
        model_of(*models[name]).save(path)
        description, tensors = model_file._parse(path.read_bytes())
        description["network"] |= changes
        path.write_bytes(signed(description, tensors))
        began = time.process_time()
        with pytest.raises(InputError):
            pt.Model.load(path)
        assert time.process_time() - began < SECONDS


if __name__ == "__main__":
    from pathlib import Path
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as temporary:
        total, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 7
        print(tried(Path(temporary), total, seed, 10**9))
