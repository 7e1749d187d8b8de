"""All augmentations by the name that the command line knows them by."""

from __future__ import annotations

from typing import Any

from perceptory.augmentation.images import ImageAugmentation
from perceptory.augmentation.series import SeriesAugmentation
from perceptory.augmentation.tables import TableAugmentation, TargetNoise
from perceptory.registry import Registry

AUGMENTATIONS: Registry[Any] = Registry(
    "augmentation",
    {"image": ImageAugmentation, "series": SeriesAugmentation, "table": TableAugmentation, "target": TargetNoise},
)
