"""What result.json and study.json may hold: one description, looked at before anything is made of their content."""

from __future__ import annotations

from typing import Any, NamedTuple

from perceptory.runs.contents import FORMAT


class Or(NamedTuple):
    """One of several."""

    forms: tuple[Any, ...]


class Each(NamedTuple):
    """An object with any names, whose values are all of one form."""

    form: Any


ANYTHING = Or((None, bool, float, str, list, dict))
NUMBER = Or((float, None))  # null stands for nan
METRICS = Each(Or((float, None, [NUMBER])))

CANDIDATE = {
    "id": str, "label": str, "spec": dict, "weights": int, "mean": NUMBER, "spread": NUMBER, "per_fold": [NUMBER],
    "train": NUMBER, "best_epoch": NUMBER, "status": str, "seconds": NUMBER,
}  # fmt: skip
MEMBER = {
    "candidate": str, "fold": int, "seed": int, "status": str, "epochs": int, "best_epoch": int, "score": NUMBER,
    "train_score": NUMBER, "facts": Each(NUMBER),
}  # fmt: skip
ARRAY = {"shape": [int], "dtype": str, "base64": str}
PACKED = Or((None, ARRAY))
EXAMPLES = {
    "kind": str, "shape": [int], "channels": [str], "shortest": Or((int, None)), "predict": Or((str, None)),
    "time": Or((str, None)), "several": bool, "horizon": Or((int, None)), "labels": [str],
    "lengths": Or(([int], None)), "inputs": PACKED, "targets": PACKED,
}  # fmt: skip
DATA = {
    "rows": int, "study_rows": int, "test_rows": int, "columns": [Each(str)], "validation": Or((dict, None)),
    "notes": [{"kind": str, "facts": dict, "sentence": str}], "examples": Or((None, EXAMPLES)),
}  # fmt: skip
ENSEMBLE = {"target": str, "rows": int, "members": [float], "v": float, "c": float, "observed": float}
RECONSTRUCTIONS = {
    "row": ARRAY, "error": ARRAY, "columns": [str], "errors": ARRAY, "cells": [[str]], "given_back": [[str]],
    "inputs": PACKED, "outputs": PACKED, "usual": ARRAY, "train_scores": ARRAY, "codes": ARRAY, "spread": [float],
    "code_row": ARRAY, "colors": Each([Or((float, str, None))]), "color": Or((str, None)), "samples": PACKED,
    "sampled": [[str]],
}  # fmt: skip
MIXTURE = {"shares": Each(float), "per_fold": [NUMBER], "selected": NUMBER}
OUTER = {"rows": int, "chosen": Each(float), "score": NUMBER, "promised": NUMBER}
NESTED = {"folds": [OUTER], "score": str, "metrics": METRICS, "networks": int}
FORECASTS = {
    "part": str, "target": str, "series": [str], "history": ARRAY, "horizons": ARRAY, "predicted": ARRAY,
    "truth": ARRAY, "lower": ARRAY, "upper": ARRAY, "coverage": float,
}  # fmt: skip
EFFECT = {
    "column": str, "kind": str, "points": [Or((float, str))], "values": [[float]], "rows": [int], "outputs": [str],
}  # fmt: skip
SHARED = {"columns": [str], "strength": float, "value": NUMBER, "error": NUMBER}
IMPORTANCE = {
    "columns": [str], "values": [NUMBER], "errors": [NUMBER], "score": str, "base": NUMBER, "unit": str, "rows": int,
    "of": int, "repeats": int, "shared": [SHARED], "effects": [EFFECT],
}  # fmt: skip
RESULT_FORM = {
    "format": int, "fingerprint": str, "task": str, "targets": [str], "target": Or((str, [str])),
    "classes": Or(([str], None)), "score": {"name": str, "direction": str}, "best": str, "rule": str,
    "candidates": [CANDIDATE], "train": METRICS, "validation": METRICS, "test": Or((METRICS, None)),
    "members": [MEMBER], "data": DATA, "ensemble": [ENSEMBLE],
    "importance": Or((IMPORTANCE, None)),
    "reconstructions": Or((RECONSTRUCTIONS, None)), "forecasts": Or((FORECASTS, None)),
    "mixture": Or((MIXTURE, None)), "nested": Or((NESTED, None)),
    "environment": Each(ANYTHING),
    "seconds": float, "files": Each(str),
}  # fmt: skip
STUDY_FORM = {"format": int, "fingerprint": str, "environment": Each(ANYTHING), "study": dict}


def check(value: Any, form: Any, where: str) -> None:
    """Raise `ValueError`, which names the place, where the value is not of the form. A type stands for its values
    (float for whole numbers too), [form] for a list, {name: form} for an object with exactly these names."""
    if isinstance(form, Or):
        for one in form.forms:
            try:
                return check(value, one, where)
            except ValueError:
                if len(form.forms) == 2 and one is not None and value is not None and form.forms[1] is None:
                    raise  # the only form that it can be of: its sentence names the place
        fits = False
    elif isinstance(form, Each):
        fits = isinstance(value, dict)
        for name in value if fits else ():
            check(value[name], form.form, f"{where}.{name}")
    elif isinstance(form, list):
        fits = isinstance(value, list)
        for i, one in enumerate(value if fits else ()):
            check(one, form[0], f"{where}[{i}]")
    elif isinstance(form, dict):
        fits = isinstance(value, dict) and value.keys() == form.keys()
        for name in form if fits else ():
            check(value[name], form[name], f"{where}.{name}")
    elif form is None:
        fits = value is None
    else:
        kinds = (int, float) if form is float else form
        fits = isinstance(value, kinds) and (form is bool or not isinstance(value, bool))
    if not fits:
        raise ValueError(f"{where} is not what it should be")
    return None


def check_result(data: Any) -> None:
    """Raise `ValueError` where result.json is not what a run writes: its form, and what its parts say of each other."""
    check(data, RESULT_FORM, "result")
    ids = [c["id"] for c in data["candidates"]]
    outputs = len(data["targets"]) if data["classes"] is None else len(data["classes"])
    fits = {
        "format": data["format"] == FORMAT,
        "task": data["task"] in ("regression", "binary", "multiclass", "autoencode"),
        "targets": len(data["targets"]) > 0 and len(set(data["targets"])) == len(data["targets"]),
        "classes": (data["classes"] is None) == (data["task"] in ("regression", "autoencode")) and outputs > 0,
        "score": data["score"]["direction"] in ("min", "max"),
        "candidates": len(set(ids)) == len(ids),
        "best": data["best"] in ids,
        "members": all(m["candidate"] in ids for m in data["members"]),
        "nested": all(set(f["chosen"]) <= set(ids) for f in (data["nested"] or {"folds": []})["folds"]),
        "mixture": data["mixture"] is None
        or {*data["mixture"]["shares"]} - {*ids} == set() != {*data["mixture"]["shares"]},
        "metrics": all(
            len(value) == len(data["targets"])
            for part in ("train", "validation", "test")
            for value in (data[part] or {}).values()
            if isinstance(value, list)
        ),
    }
    for candidate in data["candidates"]:
        check(candidate["spec"].get("auxiliary"), Or((None, [dict])), f"result.candidates.{candidate['id']}.auxiliary")
    for name, sound in fits.items():
        if not sound:
            raise ValueError(f"result.{name} does not fit the rest")
