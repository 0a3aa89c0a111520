"""What the chapter's functions hand to one another: faces, their encodings, and what an encoder is.

A face is a box and five points in pixels of the picture it was found in. The points stand in the order left eye,
right eye, nose tip, left and right corner of the mouth, left and right as seen in the picture (Zhang et al. 2016,
Joint face detection and alignment using multi-task cascaded convolutional networks, section 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

POINT_NAMES = ("left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner")

# What makes a face a poor witness; each is said beside the face rather than passed over.
Flag = Literal["small", "blurred", "turned", "tilted", "cut off"]
FLAG_SENTENCES: dict[Flag, str] = {
    "small": "The face is small: few pixels carry little of a person.",
    "blurred": "The face is blurred, or was enlarged from a small picture.",
    "turned": "The face is turned to the side: an encoder has seen few such faces.",
    "tilted": "The head is tilted by more than 45 degrees.",
    "cut off": "A part of the face lies outside the picture.",
}


class FaceError(ValueError):
    """Something that cannot be done with these faces; the message is a sentence for the person who asked."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture: `box_xyxy` (4,) and `points` (5, 2) float32 in pixels, score 0..1.

    `flags` say what makes it a poor witness; `detector` names what found it.
    """

    box_xyxy: Floats
    points: Floats
    score: float
    flags: tuple[Flag, ...] = ()
    detector: str = ""

    @property
    def size_px(self) -> float:
        """The side of a square as large as the box.

        >>> round(Face(np.array([0, 0, 90, 160], np.float32), np.zeros((5, 2), np.float32), 1.0).size_px)
        120
        """
        left, top, right, bottom = self.box_xyxy.tolist()
        return math.sqrt(max(0.0, right - left) * max(0.0, bottom - top))


@dataclass(frozen=True, eq=False)
class EncodedFace:
    """A face and what an encoder made of it: `aligned` (S, S, 3) uint8 RGB and `encoding` (D,) float32."""

    face: Face
    aligned: Pixels
    encoding: Floats
    encoder: str


@dataclass(frozen=True)
class EncoderDescription:
    """What an encoder is: a network from an aligned face of `input_px` to `dimensions` numbers.

    Two faces count as the same person at a Euclidean distance of at most `threshold`. `weights` is the name of its
    row in the list of models. `is_unit` says whether its encodings have length 1.
    """

    name: str
    title: str
    dimensions: int
    input_px: int
    threshold: float
    weights: str
    is_unit: bool
    summary: str
    source: str
