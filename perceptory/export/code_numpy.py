"""A model as one Python file that needs NumPy alone: columns in, predictions out, weights included."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from perceptory.data.tables.column_plan import PERIODS
from perceptory.data.tables.encoder import Encoder
from perceptory.export.code_model import Sources
from perceptory.export.code_steps import Step, parameter_of
from perceptory.export.columns import spellings, used_columns
from perceptory.export.links import point_places

A_LINE = 100  # letters of an array in a line of the file
SIGMAS = {  # of z; A is the parameter
    "tanh": "np.tanh(z)",
    "relu": "np.maximum(z, 0)",
    "elu": "np.where(z > 0, z, A * np.expm1(np.minimum(z, 0)))",
    "sigmoid": "0.5 * np.tanh(0.5 * z) + 0.5",
    "steep_sigmoid": "0.5 * np.tanh(z) + 0.5",
    "linear": "z",
    "threshold": "(z >= 0).astype(z.dtype)",
    "piecewise_linear": "np.clip(z + 0.5, 0, 1)",
    "leaky_relu": "np.where(z > 0, z, A * z)",
    "gelu": "0.5 * z * (1 + np.tanh(0.7978845608028654 * (z + 0.044715 * z * z * z)))",
    "mish": "z * np.tanh(softplus(z))",
    "silu": "z * (0.5 * np.tanh(0.5 * z) + 0.5)",
    "softplus": "softplus(z)",
    "selu": "1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(np.minimum(z, 0)))",
    "softsign": "z / (1 + np.abs(z))",
    "hard_sigmoid": "np.clip(A * z + 0.5, 0, 1)",
    "softmax": "softmax(z)",
}
HEAD = """\
import base64

import numpy as np


def _array(kind, shape, text):
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)


def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def softmax(z):
    z = np.exp(z - z.max(axis=-1, keepdims=True))
    return z / z.sum(axis=-1, keepdims=True)
"""
COLUMNS = '''\


def inputs_of(columns):
    """[row, in] the networks' inputs, from a dict of columns: numbers and truth values with NaN or None where missing,
    texts, dates as datetime64."""
    parts = []
    for name, kind, value, missing, categories, width, origin, periods in COLUMNS:
        column = np.asarray(columns[name])
        if kind == "categorical":
            place = np.array([categories.get("" if c is None or c != c else str(c), width) for c in column.tolist()])
            gone = place > width
            found = [(place[:, None] == np.arange(width)).astype(float)] if value else []
        else:
            if kind == "date":
                time = column.astype("datetime64[us]")
                number = np.where(np.isnat(time), np.nan, time.astype("int64") / 86400e6)
            else:
                number = column.astype(float)
            gone = np.isnan(number)
            found = [(number - origin)[:, None]] if value else []
            for length, whole in periods:
                angle = 2 * np.pi * np.mod((np.floor(number) if whole else number) / length, 1.0)
                found += [np.sin(angle)[:, None], np.cos(angle)[:, None]]
        parts += [*found, *([gone.astype(float)[:, None]] if missing else [])]
    return np.concatenate(parts, axis=1)
'''
PREDICT = '''\


def outputs_of(x):
    """[row, out] what all networks say together of inputs [row, in] as doubles, NaN where missing."""
    each = []
    for k in range({members}):
        with np.errstate(invalid="ignore"):
            scaled = ((x - CENTER[k]) * FACTOR[k]).astype({kind!r})
        prediction = link(network(k, np.where(np.isnan(scaled), 0, scaled)))
        each.append(prediction.astype(float) * OUT_FACTOR[k] + OUT_OFFSET[k])
    each = np.array(each)
{ensemble}


def predict({argument}):
    """{what}"""
    outputs = outputs_of({inputs})
    return {result}
'''
MIXTURE = """\
    mean, deviation = np.split(each, 2, axis=-1)
    spread = np.sqrt((deviation**2).mean(axis=0) + mean.var(axis=0))
    return np.concatenate([mean.mean(axis=0), spread], axis=-1)"""


def numpy_source(s: Sources) -> str:
    """The file: `predict(columns)`, or `predict(x)` for what is no table."""
    about = "\n".join(s.description())
    outputs = "\n".join(f"  {name}" for name in s.outputs)
    writer = _Writer(s)
    body = writer.network()
    arrays = "".join(f"\n{name} = {array(values, kind)}" for name, values, kind in writer.constants)
    table = isinstance(s.model.encoder, Encoder)
    columns = f"\n\nCOLUMNS = {_columns(s.model.encoder)}{COLUMNS}" if table else ""
    start = f'"""{_text(about)}.\n\nOutputs:\n{_text(outputs)}\n"""\n\n'
    return f"{start}{HEAD}{_scaling(s)}{arrays}{columns}\n\n{body}\n\n{_link(s)}{_predict(s, table)}"


def _text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def array(values: Any, kind: str) -> str:
    """A constant array, its bytes as letters."""
    letters = base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()
    lines = "".join(f'\n    "{letters[i : i + A_LINE]}"' for i in range(0, len(letters), A_LINE))
    return f"_array({kind!r}, {np.shape(values)}, (  # fmt: skip{lines}\n))"


def _scaling(s: Sources) -> str:
    parts = {"CENTER": s.center, "FACTOR": s.factor, "OUT_FACTOR": s.scale, "OUT_OFFSET": s.offset}
    return "".join(f"\n\n{name} = {array(values, '<f8')}" for name, values in parts.items())


class _Writer:
    """Writes the steps of a network, each into a variable of its own."""

    def __init__(self, s: Sources) -> None:
        self.s = s
        self.kind = "<f8" if s.double else "<f4"
        self.constants: list[tuple[str, np.ndarray, str]] = []
        self.lines: list[str] = []
        self.count = 0

    def network(self) -> str:
        last = "x"
        for step in self.s.steps:
            last = self.write(step, last)
        lines = "".join(f"    {line}\n" for line in self.lines)
        about = '    """[row, linear output] of network k, from scaled inputs."""'
        return f"def network(k, x):\n{about}\n{lines}    return {last}\n"

    def constant(self, values: np.ndarray) -> str:
        name = f"W{len(self.constants)}"
        self.constants.append((name, values, self.kind))
        return f"{name}[k]" if len(values) > 1 or self.s.members == 1 else f"{name}[0]"

    def write(self, step: Step, x: str) -> str:
        if step.kind == "skip":
            last = x
            for inner in step.inner:
                last = self.write(inner, last)
            return self._new(f"{x} + {last}")
        a = [self.constant(values) for values in step.arrays]
        if step.kind == "dense":
            return self._sigma(step, self._new(f"{x} @ {a[0]} + {a[1]}"))
        if step.kind == "activation":
            return self._sigma(step, x)
        if step.kind == "affine":
            return self._new(f"{x} * {a[0]} + {a[1]}")
        if step.kind == "prelu":
            return self._new(f"np.where({x} > 0, {x}, {a[0]} * {x})")
        if step.kind == "norm":
            centered = self._new(f"{x} - {x}.mean(axis=-1, keepdims=True)")
            variance = self._new(f"({centered} * {centered}).mean(axis=-1, keepdims=True)")
            return self._new(f"{centered} / np.sqrt({variance} + 1e-5) * {a[0]} + {a[1]}")
        return self._new(f"np.exp((({x}[:, None] - {a[0]}) ** 2).sum(axis=-1) * {a[1]})")

    def _new(self, formula: str) -> str:
        self.count += 1
        self.lines.append(f"v{self.count} = {formula}")
        return f"v{self.count}"

    def _sigma(self, step: Step, x: str) -> str:
        name, parameter = step.sigma
        if name == "linear":
            return x
        value = parameter_of(name, parameter)
        text = SIGMAS[name].replace("A *", f"{value!r} *").replace("softplus(z)", f"softplus({x})")
        return self._new(_of(text, x))


def _of(formula: str, x: str) -> str:
    """A formula of z as one of x."""
    import re

    return re.sub(r"\bz\b", x, formula)


def _columns(encoder: Any) -> str:
    """What `inputs_of` needs of each column, as a literal."""
    lines = []
    for plan in used_columns(encoder):
        width = len(plan.categories)
        texts = spellings(plan.categories, width + 1, encoder.reading.missing) if plan.kind == "categorical" else {}
        periods = [(PERIODS[p], p == "week") for p in plan.periods]
        entry = (plan.name, plan.kind, plan.value, plan.missing, texts, width, plan.origin, periods)
        lines.append(f"    {entry!r},  # fmt: skip\n")
    return f"[\n{''.join(lines)}]\n"


def _link(s: Sources) -> str:
    targets = s.linear // s.heads
    if s.link == "quantile":
        lines = [f"    p = {{{s.middle}: z[:, {s.middle * targets} : {(s.middle + 1) * targets}]}}"]
        heads = [(h, h + 1, "-", s.numbers[h]) for h in range(s.middle - 1, -1, -1)]
        heads += [(h, h - 1, "+", s.numbers[h - 1]) for h in range(s.middle + 1, s.heads)]
        for h, beside, sign, gap in heads:
            lines.append(
                f"    p[{h}] = p[{beside}] {sign} softplus(z[:, {h * targets} : {(h + 1) * targets}] + {gap!r})"
            )
        lines.append(f"    return np.concatenate([p[h] for h in range({s.heads})], axis=1)")
    else:
        first = s.numbers[0] if s.numbers else 0.0
        formulas = {
            "identity": f"z[:, :{len(s.outputs)}]",
            "exp": f"np.exp(np.minimum(z, {first!r}))",
            "plain exp": "np.exp(z)",
            "sigmoid": "0.5 * np.tanh(0.5 * z) + 0.5",
            "softmax": "softmax(z)",
            "two classes": "np.concatenate([0.5 - 0.5 * np.tanh(0.5 * z), 0.5 + 0.5 * np.tanh(0.5 * z)], axis=1)",
        }
        if s.link == "gaussian":
            below, floor = s.numbers
            rest = f"{floor!r} + softplus(z[:, {targets}:] + {below!r})"
            formulas["gaussian"] = f"np.concatenate([z[:, :{targets}], {rest}], axis=1)"
        lines = [f"    return {formulas[s.link]}"]
    body = "\n".join(lines)
    return f'def link(z):\n    """Predictions on the trained scale, from linear outputs."""\n{body}\n'


def _predict(s: Sources, table: bool) -> str:
    model = s.model
    if model.classes is not None:
        what, result = "Classes [row].", f"np.array({model.classes.tolist()!r})[outputs.argmax(axis=1)]"
    else:
        places = point_places(model.cost, len(s.outputs))
        column = f"outputs[:, {places[0]}]" if len(places) == 1 else f"outputs[:, {places}]"
        what, result = "Predictions, in the target's own units.", column
    ensemble = MIXTURE if s.mixture else "    return each.mean(axis=0)"
    if s.temperature != 1:
        tempered = f"    power = each.mean(axis=0) ** {1 / s.temperature!r}"
        ensemble = f"{tempered}\n    return power / power.sum(axis=1, keepdims=True)"
    argument, inputs = ("columns", "inputs_of(columns)") if table else ("x", "np.asarray(x, float).reshape(len(x), -1)")
    return PREDICT.format(
        members=s.members, kind="float64" if s.double else "float32", ensemble=ensemble, argument=argument, what=what,
        inputs=inputs, result=result,
    )  # fmt: skip
