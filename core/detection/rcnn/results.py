"""What the three forms of R-CNN say about a picture, with the time of each stage.

Light: a page reads these without a network library. All are frozen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.detection.predictions import NetworkAnswer

FORMS = ("rcnn", "fast_rcnn", "faster_rcnn")
FORM_TITLES = {"rcnn": "R-CNN", "fast_rcnn": "Fast R-CNN", "faster_rcnn": "Faster R-CNN", "embedded": "YOLO"}
# What the forms spend their time on.
STAGES = (
    "selective search",
    "backbone, once",
    "regions classified",
    "proposals by the network",
    "one pass",
    "backbone on every crop",
    "crops warped",
)


@dataclass(frozen=True)
class StageTime:
    """A stage in words and what it took, in milliseconds."""

    name: str
    ms: float


@dataclass(frozen=True)
class FormAnswer:
    """A form's answer before suppression, the regions (n, 4) that it looked at, and its stages in their order."""

    form: str
    answer: NetworkAnswer
    regions_xyxy: NDArray[np.float32]
    stages: tuple[StageTime, ...]

    @property
    def total_ms(self) -> float:
        """All stages together."""
        return sum(stage.ms for stage in self.stages)
