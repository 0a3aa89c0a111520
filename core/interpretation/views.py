"""Photographs as a network of a fixed square input sees them: cut into squares along their longer side.

A photograph is resized so that its shorter side is the network's side, and as many squares are laid along the longer
one as are needed to cover it; neighbours may overlap. So proportions stay, and nothing is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """A square cut-out: pixels (side, side, 3), the photograph's number, and where its corner is in that."""

    pixels: Pixels
    source: int
    left_px: int
    top_px: int


def cut_views(photograph: Pixels, side_px: int, source: int = 0, most: int = 6) -> tuple[View, ...]:
    """Squares of `side_px` that cover a photograph RGB uint8 (H, W, 3), from its beginning to its end.

    A photograph that is more than `most` times as long as it is high is covered with gaps.

    Raises:
        ValueError: If the picture is not RGB uint8, or empty.

    >>> [view.left_px for view in cut_views(np.zeros((100, 250, 3), np.uint8), 50)]
    [0, 38, 75]
    """
    if photograph.dtype != np.uint8 or photograph.ndim != 3 or photograph.shape[2] != 3 or 0 in photograph.shape:
        raise ValueError(f"A picture is RGB uint8 (H, W, 3); got {photograph.dtype} {photograph.shape}.")
    height, width = photograph.shape[:2]
    scale = side_px / min(height, width)
    size = (max(side_px, round(width * scale)), max(side_px, round(height * scale)))
    resized = cv2.resize(photograph, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    longer = max(size)
    count = min(most, math.ceil(longer / side_px))
    starts = np.linspace(0, longer - side_px, count).round().astype(int) if count > 1 else [(longer - side_px) // 2]
    views = []
    for start in starts:
        left, top = (int(start), 0) if size[0] >= size[1] else (0, int(start))
        part = resized[top : top + side_px, left : left + side_px]  # (side, side, 3)
        views.append(View(np.ascontiguousarray(part, np.uint8), source, left, top))
    return tuple(views)


def centre_view(photograph: Pixels, side_px: int) -> Pixels:
    """The middle square of a photograph at the network's side, (side, side, 3)."""
    height, width = photograph.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = photograph[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (side_px, side_px), interpolation=how), np.uint8)


def crop_with_margin(pixels: Pixels, box_xyxy: tuple[int, int, int, int], fill: int = 128) -> Pixels:
    """The part of a picture in a box of whole pixels; what lies outside the picture is `fill`.

    >>> crop_with_margin(np.zeros((4, 4, 3), np.uint8), (-1, 0, 2, 2))[0, :, 0].tolist()
    [128, 0, 0]
    """
    left, top, right, bottom = box_xyxy
    height, width = pixels.shape[:2]
    crop = np.full((bottom - top, right - left, 3), fill, np.uint8)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if x1 < x2 and y1 < y2:
        crop[y1 - top : y2 - top, x1 - left : x2 - left] = pixels[y1:y2, x1:x2]
    return crop
