"""The page at /: the models, a form to try one prediction, and how to call the service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perceptory.service.schema import example
from perceptory.service.shelf import Served

TEMPLATE = Path(__file__).parent / "templates" / "service.html"


def page(models: Sequence[Served]) -> str:
    """HTML. Names and categories come from data of strangers: the template escapes them."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(models=[_shown(m) for m in models])


def _shown(served: Served) -> dict[str, Any]:
    table = served.is_table
    row = example(served) if table else {}
    fields = [c | {"value": row[c["name"]]} for c in served.columns()] if table else []
    request = json.dumps({"dataframe_records": [row]}, ensure_ascii=False)
    return {
        "name": served.name,
        "label": served.label,
        "version": served.version,
        "report": served.report is not None,
        "fields": fields,
        "outputs": served.outputs(),
        "request": request,
        "interval": "yes" if served.has_intervals else "",
        "shape": None if table else list(served.model.encoder.shape),
    }
