"""What a model takes and gives, in the words of the inference protocol and of OpenAPI."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from perceptory.service.shelf import Served

JSON_TYPES = {"FP64": "number", "BOOL": "boolean", "BYTES": "string"}


def metadata(served: Served) -> dict[str, Any]:
    """V2's description of a model; kinds and categories of the columns stand in their parameters."""
    if served.is_table:
        inputs = [
            {
                "name": c["name"],
                "datatype": c["datatype"],
                "shape": [-1],
                "parameters": {"kind": c["kind"]} | ({"categories": c["categories"]} if c["categories"] else {}),
            }
            for c in served.columns()
        ]
    else:
        shape = [-1, *served.model.encoder.shape]
        inputs = [{"name": "inputs", "datatype": "FP64", "shape": [n if isinstance(n, int) else -1 for n in shape]}]
    outputs = [
        {"name": o["name"], "datatype": o["datatype"], "shape": [-1, *o["shape"]]}
        | ({"parameters": {"classes": o["classes"]}} if "classes" in o else {})
        for o in served.outputs()
    ]
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": "perceptory",
        "inputs": inputs,
        "outputs": outputs,
    }


def example(served: Served) -> dict[str, Any]:
    """A row that the model takes: the middle of training, the first category."""
    values: dict[str, Any] = {}
    encoder: Any = served.model.encoder
    middle = dict(zip(encoder.feature_names, served.middle, strict=False))
    for c in served.columns():
        if c["kind"] == "categorical":
            values[c["name"]] = c["categories"][0] if c["categories"] else None
        elif c["kind"] == "boolean":
            values[c["name"]] = True
        elif c["kind"] == "date":
            values[c["name"]] = "2024-01-31"
        else:
            values[c["name"]] = float(f"{middle.get(c['name'], 0.0):.4g}")
    return values


def _row(served: Served) -> dict[str, Any]:
    properties = {}
    for c in served.columns():
        kind: dict[str, Any] = {"type": [JSON_TYPES[c["datatype"]], "null"], "description": f"{c['kind']} column"}
        if c["categories"]:
            kind["examples"] = c["categories"][:20]
        properties[c["name"]] = kind
    return {"type": "object", "properties": properties, "required": list(properties)}


def openapi(models: Sequence[Served], token: bool) -> dict[str, Any]:
    """OpenAPI 3.1 of all routes, with each model's own columns."""
    error = {
        "description": "why not",
        "content": _content({"type": "object", "properties": {"error": {"type": "string"}}}),
    }
    failures = dict.fromkeys(("400", "413", "415", "422", "503", "504"), error) | ({"401": error} if token else {})
    paths: dict[str, Any] = {
        "/v2/health/live": _get("Whether the service runs."),
        "/v2/health/ready": _get("Whether it answers."),
        "/v2/models": _get("All models."),
        "/metrics": _get("Counters for Prometheus."),
    }
    for served in models:
        columns = {"type": "array", "items": {"$ref": "#/components/schemas/tensor"}}
        infer = {"type": "object", "required": ["inputs"], "properties": {"inputs": columns}}
        paths[f"/v2/models/{served.name}"] = _get(f"Inputs and outputs of {served.name}.")
        paths[f"/v2/models/{served.name}/infer"] = _post(
            f"Predict: one tensor a column. {served.label}.", infer, failures
        )
        if served.is_table:
            rows = {"type": "array", "items": _row(served)}
            body = {
                "type": "object",
                "required": ["dataframe_records"],
                "properties": {"dataframe_records": rows},
                "examples": [{"dataframe_records": [example(served)]}],
            }
            paths[f"/models/{served.name}/invocations"] = _post(f"Predict rows. {served.label}.", body, failures)
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
    }
    components: dict[str, Any] = {"schemas": {"tensor": tensor}}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "perceptory", "version": version("perceptory")},
        "paths": paths,
        "components": components,
    }
    if token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _get(summary: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": {"description": "the answer"}}}}


def _post(summary: str, schema: dict[str, Any], failures: dict[str, Any]) -> dict[str, Any]:
    body = {"required": True, "content": _content(schema)}
    return {
        "post": {
            "summary": summary,
            "requestBody": body,
            "responses": {"200": {"description": "predictions"}} | failures,
        }
    }
