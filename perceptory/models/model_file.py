"""The model file: safetensors with a strict JSON description, read through closed tables; no pickle, no code.

The header's metadata holds one key, "perceptory": JSON with `format`, `checksum` (of the tensors) and the description.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from perceptory import files
from perceptory.data import ArrayEncoder, Encoder
from perceptory.data.own_targets import is_stepwise, kinds_and_widths
from perceptory.data.series.ends import Ends
from perceptory.errors import InputError
from perceptory.models.file_limits import check_header, check_network, check_shapes
from perceptory.models.heads import Head, Heads
from perceptory.models.model import Model
from perceptory.models.weighted import WeightedModel
from perceptory.networks.base import Network, layout, weights_of
from perceptory.objectives.reconstruction import Reconstruction
from perceptory.objectives.table import Cost
from perceptory.selection.metrics import TASK_KINDS
from perceptory.specs import from_json, to_json

FORMAT = 1
KEYS = {
    "format", "checksum", "task", "targets", "classes", "encoder", "network", "cost", "outputs", "precision", "facts",
}  # fmt: skip
TENSORS = ("weights", "in_center", "in_factor", "out_center", "out_scale")
MOST_COLUMNS = 1 << 20  # of the targets of a head
ENDS = "ends"  # likewise of models of forecasts: the last window of each series
END_TENSORS = {"end_windows": "windows", "end_moments": "moments"}
HEADS = "heads"  # a key that only files of models with heads have, and these tensors with it
HEAD_TENSORS = {"head_weights": "weights", "head_center": "center", "head_scale": "scale"}  # their names in `Heads`
# In files of a `WeightedModel` a list of parts stands in the place of `OF_PARTS`: those of each, and its share. The
# tensors of part 0 are "0.weights", ...
PARTS = "parts"
OF_PARTS = ("network", "cost", "outputs")
MOST_PARTS = 1000


def write_bytes(path: str | Path, content: bytes) -> None:
    """`files.replace`, whose failure becomes an `InputError`."""
    try:
        files.replace(Path(path), content)
    except OSError as error:
        raise files.not_written(path, error) from None


def _checksum(tensors: dict[str, np.ndarray], description: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].dtype}{tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def save(model: Model, path: str | Path) -> None:
    """Write a model file. Of a `Custom` network it holds the weights and the name, and `load` needs the spec again;
    any other network outside the closed table raises `InputError`."""
    write_bytes(path, to_bytes(model))


def to_bytes(model: Model) -> bytes:
    """The content of a model file."""
    from safetensors.numpy import save as packed

    description: dict[str, Any] = {
        "format": FORMAT,
        "task": model.task,
        "targets": list(model.targets),
        "classes": None if model.classes is None else model.classes.tolist(),
        "encoder": model.encoder.to_json(),
        "precision": model.precision,
        "facts": model.facts,
    }
    tensors: dict[str, np.ndarray] = {}
    if isinstance(model, WeightedModel):
        description[PARTS] = []
        for k, (part, share) in enumerate(zip(model.parts, model.part_shares.tolist(), strict=True)):
            own, described = _networks(part)
            tensors |= {f"{k}.{name}": tensor for name, tensor in own.items()}
            description[PARTS].append(described | {"share": share})
    else:
        tensors, described = _networks(model)
        description |= described
    if model.ends is not None:
        tensors |= {name: np.ascontiguousarray(getattr(model.ends, own)) for name, own in END_TENSORS.items()}
        description[ENDS] = list(model.ends.names)
    description["checksum"] = _checksum(tensors, description)
    return packed(tensors, metadata={"perceptory": json.dumps(description)})


def _networks(model: Model) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and description of networks of one structure."""
    from perceptory.networks.custom import Custom

    tensors = {name: np.ascontiguousarray(getattr(model, name)) for name in TENSORS}
    described: dict[str, Any] = {
        "network": to_json(model.network, strict=not isinstance(model.network, Custom)),
        "cost": to_json(model.cost.without_code()),
        "outputs": list(model.outputs),
    }
    if model.heads is not None:
        tensors |= {name: np.ascontiguousarray(getattr(model.heads, own)) for name, own in HEAD_TENSORS.items()}
        described[HEADS] = [_head_json(head) for head in model.heads.each]
    return tensors, described


def _head_json(head: Head) -> dict[str, Any]:
    classes = None if head.classes is None else list(head.classes)
    cost = to_json(head.cost.without_code())
    return {"about": head.about, "task": head.task, "classes": classes, "cost": cost, "columns": head.columns}


def load(path: str | Path, network: Network | None = None) -> Model:
    """Read a model file or the one in a run folder. Whatever is wrong with it raises one `InputError`.

    network: the spec of a network of your own, where the model has one; a file holds no code.
    """
    path = files.path_of(path)
    if path.is_dir():
        path = path / "model.safetensors"
    try:
        description, tensors = _parse(_content(path))
        names, parts = description.pop(ENDS, None), {n: tensors.pop(n) for n in END_TENSORS if n in tensors}
        model = _weighted(description, tensors) if PARTS in description else _model(description, tensors, network)
        if names is not None:
            ends = Ends(tuple(names), *parts.values())
            plan = getattr(model.encoder, "plan", None)
            ends.check(model.encoder.shape, 0 if plan is None else len(plan.beside.ahead))
            model.ends = ends
        return model
    except FileNotFoundError:
        raise InputError(
            f"there is no model file {path}. Give the path of a run folder or of its model file."
        ) from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError, MemoryError):
        raise InputError(f"{path} is not a sound model file: its description is damaged. Take another copy.") from None


def _content(path: Path) -> bytes:
    """What the file holds. Its header's length is looked at before the rest is read."""
    # A pipe without a writer would be waited for.
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise InputError("this is no file. Give the path of a run folder or of its model file.")
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > status.st_size - 8:
            raise InputError("the file is truncated or not a model file. Take another copy.")
        check_header(length)
        return start + file.read()


def _parse(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        text = header["__metadata__"]["perceptory"]
        description = json.loads(text)
        tensors = from_bytes(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError("this is not a model file of perceptory, or it is damaged. Take another copy.") from None
    if not isinstance(description, dict) or type(description.get("format")) is not int or description["format"] < 1:
        raise InputError("the description has no format number. Take another copy.")
    if description["format"] > FORMAT:
        raise InputError(
            f"the file has format {description['format']} and this version reads up to {FORMAT}. Update perceptory."
        )
    more = {ENDS} & description.keys()
    if PARTS in description:
        parts = description[PARTS]
        keys = (KEYS - set(OF_PARTS)) | {PARTS}
        names = {f"{k}.{name}" for k, part in enumerate(parts[:MOST_PARTS]) for name in _tensor_names(part)}
        sound = 0 < len(parts) <= MOST_PARTS and all(set(p) - {HEADS} == {*OF_PARTS, "share"} for p in parts)
    else:
        keys, names = KEYS | ({HEADS} & description.keys()), _tensor_names(description)
        sound = True
    names = names | set(END_TENSORS) if more else names
    if not sound or set(description) != keys | more or set(tensors) != names:
        raise InputError("the description has missing or unknown entries. Take another copy.")
    checksum = description.pop("checksum")
    if checksum != _checksum(tensors, description):
        raise InputError("the checksum does not fit: the file was altered or damaged. Take another copy.")
    return description, tensors


def _tensor_names(description: Any) -> set[str]:
    return {*TENSORS, *(HEAD_TENSORS if HEADS in description else ())}


def _weighted(description: dict[str, Any], tensors: dict[str, np.ndarray]) -> Model:
    """A model of several structures: each part as a model of its own, with what they have in common."""
    common = {name: value for name, value in description.items() if name != PARTS} | {"facts": {}}
    parts = []
    for k, part in enumerate(description[PARTS]):
        own = {name: tensors[f"{k}.{name}"] for name in _tensor_names(part)}
        parts.append(_model(common | {name: part[name] for name in part if name != "share"}, own))
    shares = [part["share"] for part in description[PARTS]]
    if not all(type(share) is float for share in shares) or not isinstance(description["facts"], dict):
        raise InputError("the shares or the facts are not what they should be. Take another copy.")
    for part in parts:
        part.encoder = parts[0].encoder
    return WeightedModel(parts, shares, description["facts"])


def _own(description: Any, given: Network | None) -> Network:
    """The network that a description names, or the one that was given for a network of the user's own."""
    if not isinstance(description, dict) or set(description) != {"custom"}:
        if given is not None:
            raise InputError("the file says what its network is. Load it without network=.")
        return from_json(description)
    if given is None:
        raise InputError(
            f"the model holds a network of your own, {str(description['custom'])[:60]!r}, and a file holds no code."
            " Give its spec: Model.load(path, network=Custom(builder, name=...))"
        )
    if to_json(given, strict=False) != description:
        raise InputError(
            f"the model holds the network {str(description['custom'])[:60]!r}, and {given.label!r} was given."
        )
    return given


def _heads(
    description: dict[str, Any], network: Network, shapes: tuple[Any, Any], expected: dict[str, tuple[int, ...]]
) -> tuple[Head, ...] | None:
    """The heads that a description names, and the shapes of their tensors, which are put among the expected ones.
    shapes: of the inputs and outputs of the networks without them."""
    if HEADS not in description:
        return None
    from perceptory.networks.heads import places_without_heads

    heads = tuple(_head(one) for one in description[HEADS])
    if not heads or len({head.about for head in heads}) < len(heads):
        raise InputError("the description of its heads does not fit together. Take another copy.")
    inputs, main = shapes
    outputs = (*main[:-1], main[-1] + sum(head.cost.outputs(head.columns) for head in heads))
    check_shapes(examples=inputs, outputs=outputs)
    members, columns = expected["weights"][0], sum(head.columns for head in heads)
    size = layout(network, inputs, outputs).size - len(places_without_heads(network, inputs, outputs, main))
    expected |= {"head_weights": (members, size), "head_center": (members, columns), "head_scale": (members, columns)}
    return heads


def _head(data: dict[str, Any]) -> Head:
    about, task, classes, columns = data["about"], data["task"], data["classes"], data["columns"]
    cost = from_json(data["cost"])
    texts = [about, *(classes or [])]
    given_back = isinstance(cost, Reconstruction)
    fits = (
        set(data) == {"about", "task", "classes", "cost", "columns"}
        and all(type(text) is str for text in texts)
        and type(columns) is int
        and 0 < columns <= MOST_COLUMNS
        and (classes is None) == (task == "regression")
        and ((given_back and task == "regression") or task in cost.tasks)
        and (not given_back or not cost.kinds or sum(cost.widths) == columns)
    )
    if not fits:
        raise InputError("the description of its heads does not fit together. Take another copy.")
    if classes is not None and columns != (1 if task == "binary" else len(classes)):
        raise InputError("a head has another number of outputs than of classes. Take another copy.")
    return Head(about, task, None if classes is None else tuple(classes), cost, columns)


def _model(description: dict[str, Any], tensors: dict[str, np.ndarray], given: Network | None = None) -> Model:
    check_network(description["network"], tensors["weights"].size)
    network, cost = _own(description["network"], given), from_json(description["cost"])
    if not isinstance(network, Network) or not isinstance(cost, Cost):
        raise InputError("the description names no network or no cost. Take another copy.")
    encoder = encoder_from(description["encoder"])
    targets, classes, outputs = _check(description, cost, encoder)
    shape, members = encoder.shape, len(tensors["weights"])
    check_shapes(examples=shape, outputs=outputs)
    if len(outputs) == 2 and len(shape) != 2:
        raise InputError("its outputs have a time axis and its examples have none. Take another copy.")
    expected: dict[str, tuple[int, ...]] = {
        "weights": (max(members, 1), weights_of(network, shape, outputs)),
        "in_center": (members, shape[-1]),
        "in_factor": (members, shape[-1]),
        "out_center": (members, outputs[-1] // cost.heads),
        "out_scale": (members, outputs[-1] // cost.heads),
    }
    heads = _heads(description, network, (shape, outputs), expected)
    for name, shape in expected.items():
        tensor = tensors[name]
        if tensor.shape != shape or tensor.dtype.kind != "f" or not np.all(np.isfinite(tensor)):
            raise InputError(f"{name} should be finite numbers of shape {shape}, got {tensor.dtype} {tensor.shape}.")
    return Model(
        task=description["task"],
        targets=targets,
        classes=classes,
        encoder=encoder,
        network=network,
        cost=cost,
        outputs=outputs,
        precision=description["precision"],
        facts=description["facts"],
        heads=None if heads is None else Heads(heads, *(tensors.pop(name) for name in HEAD_TENSORS)),
        **{name: tensors[name] for name in TENSORS},  # type: ignore[arg-type]
    )


def encoder_from(data: Any) -> Any:
    """The encoder of a table, or of series and images, by what its description says."""
    return ArrayEncoder.from_json(data) if isinstance(data, dict) and "kind" in data else Encoder.from_json(data)


def _check(
    description: dict[str, Any], cost: Cost, encoder: Any
) -> tuple[tuple[str, ...], np.ndarray | None, tuple[int, ...]]:
    """Targets, classes and shape of the outputs, where the parts of the description fit together; else `InputError`."""
    task, targets, classes = (description[name] for name in ("task", "targets", "classes"))
    if task not in TASK_KINDS or task not in cost.tasks:
        raise InputError(f"the task {task!r} is unknown or does not suit the cost. Take another copy.")
    named = isinstance(targets, list) and tuple(targets) == encoder.target_names
    if not named or bool(targets) == (task == "autoencode"):
        raise InputError("the names of the targets do not fit the table description. Take another copy.")
    if task == "regression":
        fits, outputs = classes is None, cost.outputs(len(targets))
    elif task == "autoencode":
        fits, outputs = classes is None, _reconstructed(cost, encoder)
    else:
        kinds = {type(c) for c in classes} if isinstance(classes, list) else set()
        fits = len(kinds) == 1 and kinds <= {str, int, float, bool} and len(set(classes)) == len(classes) > 1
        outputs = len(classes) if fits and task == "multiclass" else 1
        fits = fits and len(targets) == 1 and (task == "multiclass" or len(classes) == 2)
    shape = description["outputs"]
    fits = fits and isinstance(shape, list) and all(type(n) is int and n > 0 for n in shape)
    if not fits or shape[-1:] != [outputs] or len(shape) > (1 if classes else 2):
        raise InputError("the classes or the number of outputs do not fit the task. Take another copy.")
    if description["precision"] not in ("single", "double") or not isinstance(description["facts"], dict):
        raise InputError("the precision or the facts are not what they should be. Take another copy.")
    return tuple(targets), None if classes is None else np.asarray(classes), tuple(shape)


def _reconstructed(cost: Cost, encoder: Any) -> int:
    """Outputs of an autoencoder of such examples; -1 where the cost is of others."""
    kinds, widths, channels = kinds_and_widths(encoder)
    if not isinstance(cost, Reconstruction) or (cost.kinds, cost.widths, cost.channels) != (kinds, widths, channels):
        return -1
    return sum(widths) or (encoder.shape[-1] if is_stepwise(encoder) else prod(encoder.shape))
