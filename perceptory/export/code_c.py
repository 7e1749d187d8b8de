"""A model as one C99 file: weights included, nothing allocated, no library but math.h."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from perceptory.export.code_model import Sources
from perceptory.export.code_steps import Step, parameter_of

A_LINE = 8  # numbers of an array in a line of the file
SIGMAS = {  # of z, in C; A is the parameter
    "tanh": "F(tanh)(z)",
    "relu": "z > 0 ? z : 0",
    "elu": "z > 0 ? z : A * F(expm1)(z)",
    "sigmoid": "1 / (1 + F(exp)(-z))",
    "steep_sigmoid": "1 / (1 + F(exp)(-2 * z))",
    "linear": "z",
    "threshold": "z >= 0 ? 1 : 0",
    "piecewise_linear": "z < (real)-0.5 ? 0 : z > (real)0.5 ? 1 : z + (real)0.5",
    "leaky_relu": "z > 0 ? z : A * z",
    "gelu": "z * (1 + F(tanh)((real)0.7978845608028654 * (z + (real)0.044715 * z * z * z))) / 2",
    "mish": "z * F(tanh)((z > 0 ? z : 0) + F(log1p)(F(exp)(-F(fabs)(z))))",
    "silu": "z / (1 + F(exp)(-z))",
    "softplus": "(z > 0 ? z : 0) + F(log1p)(F(exp)(-F(fabs)(z)))",
    "selu": "(real)1.0507009873554805 * (z > 0 ? z : (real)1.6732632423543772 * F(expm1)(z))",
    "softsign": "z / (1 + F(fabs)(z))",
    "hard_sigmoid": "A * z < (real)-0.5 ? 0 : A * z > (real)0.5 ? 1 : A * z + (real)0.5",
}
HEAD = """\
#include <math.h>

#define INPUTS {inputs}
#define OUTPUTS {outputs}
#define NETWORKS {members}
typedef {real} real;
#define F(name) {function}

static void dense(const real *x, int n, const real *w, const real *b, int m, real *y) {{
    for (int j = 0; j < m; j++) y[j] = b[j];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) y[j] += x[i] * w[i * m + j];
}}
"""
NORM = """
static void norm(const real *x, int n, const real *scale, const real *shift, real *y) {
    real mean = 0, variance = 0;
    for (int i = 0; i < n; i++) mean += x[i] / n;
    for (int i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / n;
    for (int i = 0; i < n; i++) y[i] = (x[i] - mean) / F(sqrt)(variance + (real)1e-5) * scale[i] + shift[i];
}
"""
KERNELS = """
static void kernels(const real *x, int n, const real *centers, const real *narrow, int m, real *y) {
    for (int j = 0; j < m; j++) {
        real square = 0;
        for (int i = 0; i < n; i++) square += (x[i] - centers[j * n + i]) * (x[i] - centers[j * n + i]);
        y[j] = F(exp)(square * narrow[j]);
    }
}
"""
SOFTMAX = """
static void softmax(real *z, int n) {
    real greatest = z[0], sum = 0;
    for (int i = 1; i < n; i++) greatest = z[i] > greatest ? z[i] : greatest;
    for (int i = 0; i < n; i++) sum += z[i] = F(exp)(z[i] - greatest);
    for (int i = 0; i < n; i++) z[i] /= sum;
}
"""
SOFTPLUS = "\nstatic real softplus(real z) { return (z > 0 ? z : 0) + F(log1p)(F(exp)(-F(fabs)(z))); }\n"


def c_source(s: Sources, name: str = "predict") -> str:
    """The file: `void NAME(const double x[INPUTS], double y[OUTPUTS])`."""
    writer = _Writer(s)
    body = "".join(writer.network())
    about = "".join(f" * {line}\n" for line in s.description())
    inputs = "".join(f" *   x[{i}]  {_text(feature)}\n" for i, feature in enumerate(s.features))
    outputs = "".join(f" *   y[{i}]  {_text(output)}\n" for i, output in enumerate(s.outputs))
    head = HEAD.format(
        inputs=len(s.features), outputs=len(s.outputs), members=s.members, real="double" if s.double else "float",
        function="name" if s.double else "name##f",
    )  # fmt: skip
    missing = " * x: NAN where a value is missing; of a category one 1, the others 0.\n"
    return (
        f"/*\n{about} *\n{missing}{inputs} *\n{outputs} */\n{head}{''.join(writer.helpers())}{_scaling(s)}"
        f"{writer.arrays()}{body}{_link(s)}{_predict(s, name)}"
    )


def _text(text: str) -> str:
    return text.replace("*/", "* /").replace("\n", " ")


def number(value: float, double: bool) -> str:
    """As C reads it, with all digits."""
    text = repr(float(value)) if double else f"{np.float32(value):.9g}"
    text = text if any(sign in text for sign in ".en") else f"{text}.0"
    return text if double else f"{text}f"


def array(name: str, values: Any, double: bool, kind: str = "real") -> str:
    """A constant array [member, number]."""
    rows = []
    for row in np.asarray(values, float).reshape(len(values), -1):
        texts = [number(v, double) for v in row]
        lines = [", ".join(texts[i : i + A_LINE]) for i in range(0, len(texts), A_LINE)]
        rows.append("{\n    " + ",\n    ".join(lines) + "}")
    size = np.asarray(values).reshape(len(values), -1).shape[1]
    return f"\nstatic const {kind} {name}[{len(values)}][{size}] = {{{', '.join(rows)}}};\n"


class _Writer:
    """Writes the steps of a network, each into a vector of its own."""

    def __init__(self, s: Sources) -> None:
        self.s = s
        self.constants: list[tuple[str, np.ndarray]] = []
        self.used: set[str] = set()
        self.count = 0

    def helpers(self) -> Iterator[str]:
        for name, parameter in self.s.sigmas:
            if name == "softmax":
                self.used.add("softmax")
            elif name != "linear":
                text = SIGMAS[name]
                value = parameter_of(name, parameter)
                text = text.replace("A *", f"{number(value, self.s.double)} *")
                yield f"\nstatic real {sigma_name(name, parameter)}(real z) {{ return {text}; }}\n"
        if self.s.link == "softmax":
            self.used.add("softmax")
        for kind, text in (("norm", NORM), ("kernels", KERNELS), ("softmax", SOFTMAX)):
            if kind in self.used:
                yield text
        if self.s.link in ("gaussian", "quantile"):
            yield SOFTPLUS

    def arrays(self) -> str:
        return "".join(array(name, values, self.s.double) for name, values in self.constants)

    def network(self) -> Iterator[str]:
        yield "\nstatic void network(int k, const real *x, real *y) {\n"
        last, width = "x", len(self.s.features)
        lines: list[str] = []
        for step in self.s.steps:
            last, width = self.write(step, last, width, lines), step.width
        yield from lines
        yield f"    for (int i = 0; i < {width}; i++) y[i] = {last}[i];\n}}\n"

    def constant(self, values: np.ndarray) -> str:
        """The name of an array, and which network's: some are the same for all."""
        name = f"w{len(self.constants)}"
        self.constants.append((name, values))
        return f"{name}[k]" if len(values) > 1 or self.s.members == 1 else f"{name}[0]"

    def write(self, step: Step, x: str, n: int, lines: list[str]) -> str:
        """Add the lines of a step; the name of the vector that it gives."""
        self.count += 1
        y, m = f"v{self.count}", step.width
        each = f"    for (int i = 0; i < {m}; i++) {y}[i] ="
        if step.kind == "skip":
            last, width = x, n
            for inner in step.inner:
                last, width = self.write(inner, last, width, lines), inner.width
            lines.append(f"    real {y}[{m}];\n{each} {x}[i] + {last}[i];\n")
            return y
        arrays = [self.constant(values) for values in step.arrays]
        lines.append(f"    real {y}[{m}];\n")
        self.used.add(step.kind)
        if step.kind == "dense":
            lines.append(f"    dense({x}, {n}, {arrays[0]}, {arrays[1]}, {m}, {y});\n")
            self._sigma(step, y, y, lines)
        elif step.kind == "activation":
            self._sigma(step, x, y, lines)
        elif step.kind == "affine":
            lines.append(f"{each} {x}[i] * {arrays[0]}[i] + {arrays[1]}[i];\n")
        elif step.kind == "prelu":
            lines.append(f"{each} {x}[i] > 0 ? {x}[i] : {arrays[0]}[i] * {x}[i];\n")
        elif step.kind == "norm":
            lines.append(f"    norm({x}, {n}, {arrays[0]}, {arrays[1]}, {y});\n")
        else:
            lines.append(f"    kernels({x}, {n}, {arrays[0]}, {arrays[1]}, {m}, {y});\n")
        return y

    def _sigma(self, step: Step, x: str, y: str, lines: list[str]) -> None:
        name, parameter = step.sigma
        loop = f"    for (int i = 0; i < {step.width}; i++) {y}[i] ="
        if name == "softmax":
            copied = "" if x == y else f"{loop} {x}[i];\n"
            lines.append(f"{copied}    softmax({y}, {step.width});\n")
        elif name != "linear":
            lines.append(f"{loop} {sigma_name(name, parameter)}({x}[i]);\n")
        elif x != y:
            lines.append(f"{loop} {x}[i];\n")


def sigma_name(name: str, parameter: float | None) -> str:
    ending = "" if parameter is None else "_" + repr(parameter).replace(".", "_").replace("-", "m")
    return f"sigma_{name}{ending}"


def _scaling(s: Sources) -> str:
    parts = {"center": s.center, "factor": s.factor, "out_factor": s.scale, "out_offset": s.offset}
    return "".join(array(name, values, True, "double") for name, values in parts.items())


def _link(s: Sources) -> str:
    """From linear outputs z to predictions p on the trained scale."""
    n, targets, real = s.linear, s.linear // s.heads, s.double
    every = f"    for (int i = 0; i < {n}; i++) "
    lines = {
        "identity": f"    for (int i = 0; i < {len(s.outputs)}; i++) p[i] = z[i];\n",
        "plain exp": f"{every}p[i] = F(exp)(z[i]);\n",
        "sigmoid": f"{every}p[i] = 1 / (1 + F(exp)(-z[i]));\n",
        "softmax": f"{every}p[i] = z[i];\n    softmax(p, {n});\n",
        "two classes": "    p[1] = 1 / (1 + F(exp)(-z[0]));\n    p[0] = 1 - p[1];\n",
    }
    if s.link == "exp":
        most = number(s.numbers[0], real)
        lines["exp"] = f"{every}p[i] = F(exp)(z[i] < {most} ? z[i] : {most});\n"
    if s.link == "gaussian":
        below, floor = (number(v, real) for v in s.numbers)
        lines["gaussian"] = (
            f"    for (int i = 0; i < {targets}; i++) {{\n        p[i] = z[i];\n"
            f"        p[{targets} + i] = {floor} + softplus(z[{targets} + i] + {below});\n    }}\n"
        )
    if s.link == "quantile":
        lines["quantile"] = _quantiles(s, targets)
    return f"\nstatic void link_function(const real *z, real *p) {{\n{lines[s.link]}}}\n"


def _quantiles(s: Sources, targets: int) -> str:
    first = s.middle * targets
    text = [f"    for (int i = 0; i < {targets}; i++) {{\n        p[{first} + i] = z[{first} + i];\n"]
    for head in range(s.middle - 1, -1, -1):
        at, beside, gap = head * targets, (head + 1) * targets, number(s.numbers[head], s.double)
        text.append(f"        p[{at} + i] = p[{beside} + i] - softplus(z[{at} + i] + {gap});\n")
    for head in range(s.middle + 1, s.heads):
        at, beside, gap = head * targets, (head - 1) * targets, number(s.numbers[head - 1], s.double)
        text.append(f"        p[{at} + i] = p[{beside} + i] + softplus(z[{at} + i] + {gap});\n")
    return "".join(text) + "    }\n"


def _predict(s: Sources, name: str) -> str:
    half = len(s.outputs) // 2
    kept = "    double each[NETWORKS][OUTPUTS];\n" if s.mixture else ""
    keep = "        for (int i = 0; i < OUTPUTS; i++) each[k][i] = p[i] * out_factor[k][i] + out_offset[k][i];\n"
    add = "        for (int i = 0; i < OUTPUTS; i++) y[i] += (p[i] * out_factor[k][i] + out_offset[k][i]) / NETWORKS;\n"
    mixture = (
        f"    for (int i = 0; i < {half}; i++) {{\n        double variance = 0;\n"
        "        for (int k = 0; k < NETWORKS; k++) y[i] += each[k][i] / NETWORKS;\n"
        "        for (int k = 0; k < NETWORKS; k++) {\n            double apart = each[k][i] - y[i];\n"
        f"            variance += (each[k][{half} + i] * each[k][{half} + i] + apart * apart) / NETWORKS;\n        }}\n"
        f"        y[{half} + i] = sqrt(variance);\n    }}\n"
    )
    tempered = (
        "    double sum = 0;\n"
        f"    for (int i = 0; i < OUTPUTS; i++) sum += y[i] = pow(y[i], {number(1 / s.temperature, True)});\n"
        "    for (int i = 0; i < OUTPUTS; i++) y[i] /= sum;\n"
    )
    after = mixture if s.mixture else tempered if s.temperature != 1 else ""
    return (
        f"\nvoid {name}(const double x[INPUTS], double y[OUTPUTS]) {{\n{kept}"
        "    for (int i = 0; i < OUTPUTS; i++) y[i] = 0;\n"
        "    for (int k = 0; k < NETWORKS; k++) {\n"
        f"        real scaled[INPUTS], z[{s.linear}], p[OUTPUTS];\n"
        "        for (int i = 0; i < INPUTS; i++)\n"
        "            scaled[i] = isnan(x[i]) ? 0 : (real)((x[i] - center[k][i]) * factor[k][i]);\n"
        f"        network(k, scaled, z);\n        link_function(z, p);\n{keep if s.mixture else add}    }}\n"
        f"{after}}}\n"
    )
