"""The study that `fit` runs where nothing is asked. What makes it imports JAX, so kernels are begun here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perceptory.kernels import build

if TYPE_CHECKING:
    from perceptory.data.examples import Examples
    from perceptory.studies.study import Study

TABLE_KERNELS = ("threefry", "columns", "dense", "kernel_ridge")  # of the networks that a table is given


def begin_kernels(quick: bool = False) -> None:
    """Have the kernels compiled that the usual networks for a table call, beside what comes before they are called.

    quick: of the effort that leaves kernel ridge regression out.
    """
    build.begin(*((kernel, "float32") for kernel in TABLE_KERNELS if not (quick and kernel == "kernel_ridge")))


def default_study(data: Examples, effort: str = "normal", **changes: Any) -> Study:
    """A study that suits a dataset by its size; `changes` replace fields of it.

    effort: "quick", "normal" or "thorough". Epochs follow from the work that the effort allows; the learning rate
    falls along a cosine over them.
    """
    if data.kind == "table" and data.task != "autoencode" and not {"networks", "arithmetic"} & set(changes):
        begin_kernels(effort == "quick")
    from perceptory.studies.presets import study_of  # with JAX

    return study_of(data, effort, changes)
