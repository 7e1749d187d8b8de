"""What a report shows of series, images and arrays: their shape, and a few of the study's examples."""

from __future__ import annotations

from perceptory.results.result_data import ResultData
from perceptory.results.wording import thing
from perceptory.wording import count_of


def shape_words(result: ResultData) -> str:
    """'Each is an image of 8 x 8 pixels, gray.'; '' for a table."""
    shown = result.data.examples
    if shown is None:
        return ""
    shape, channels = shown.shape, shown.channels
    named = ", ".join(channels[:8]) + (f" and {len(channels) - 8} more" if len(channels) > 8 else "")
    if shown.kind == "image":
        return f"Each is an image of {shape[0]} x {shape[1]} pixels, {named}."
    if shown.kind == "series":
        steps = count_of(shape[0], "step")
        steps = steps if shown.shortest in (None, shape[0]) else f"{shown.shortest} to {steps}"
        prediction = {
            "every step": "a value at every step is predicted",
            "ahead": "what comes after it is predicted",
            "one value": "one value of it is predicted",
            "itself": "",
            None: "",
        }[shown.predict]
        return f"Each has {steps} of {count_of(shape[1], 'input')} ({named}){'; ' if prediction else ''}{prediction}."
    return f"Each has {' x '.join(map(str, shape))} numbers."


def new_data(result: ResultData) -> tuple[str, str]:
    """(what the model predicts, as it would be named on the command line; what such data need)."""
    if thing(result) == "row":
        return "new.csv", "New rows need the columns above, in any order."
    if result.data.example_kind == "image":
        return "pictures", "A folder of pictures, which are resized to the size above, or a NumPy file of images."
    if result.data.predict:
        return "new.csv", "A table of series with the inputs above; it is cut as the study's table was."
    return "new.npz", "Arrays of the shape above, in a NumPy file."
