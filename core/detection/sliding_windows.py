"""Sliding windows: where they lie in an image and its smaller copies, and the boxes that their scores make.

A classifier looks at a window of 64 px, moved over the image eight pixels at a time; to find larger objects the image
is made smaller and looked at again, a pyramid of scales (course notes 4.3; Sermanet et al. 2014, OverFeat, section
3.3). Windows whose best class beats a threshold become boxes, and non-max suppression keeps one of each heap.

Arrays: images RGB uint8 (H, W, 3); probability maps (h, w, 1 + C) float32, the first channel the background; boxes
xyxy float (n, 4) in pixels of the original image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.evaluation import ImageDetections
from core.detection.suppression import non_max_suppression

WINDOW_PX = 64
STRIDE_PX = 8
# The finest copy has this many pixels on its longer side at most, so that a photograph of any size takes no minute.
MAX_SIDE_PX = 1024

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


class WindowError(ValueError):
    """An image that no window fits into, or settings that make no windows."""


def windows_along(length_px: int, window_px: int = WINDOW_PX, stride_px: int = STRIDE_PX) -> int:
    """Windows along one side: floor((n - f) / s) + 1.

    >>> windows_along(512), windows_along(64), windows_along(63)
    (57, 1, 0)
    """
    return (length_px - window_px) // stride_px + 1 if length_px >= window_px else 0


@dataclass(frozen=True)
class Level:
    """One size of the pyramid: the factor from the image's pixels to it, and its width and height in pixels."""

    scale: float
    width_px: int
    height_px: int

    @property
    def rows(self) -> int:
        """Windows from top to bottom."""
        return windows_along(self.height_px)

    @property
    def columns(self) -> int:
        """Windows from left to right."""
        return windows_along(self.width_px)

    @property
    def windows(self) -> int:
        """All windows of this level."""
        return self.rows * self.columns


def pyramid_levels(
    width_px: int, height_px: int, *, largest_px: int = 320, count: int = 4, factor: float = 0.7
) -> tuple[Level, ...]:
    """Sizes at which an image is looked at: `largest_px` on its longer side first, each `factor` times the one before.

    Sizes that no window fits into are left out; an image is enlarged where it must be for one window to fit.

    Raises:
        WindowError: If a size, the count or the factor is out of range.

    >>> [level.windows for level in pyramid_levels(640, 480, largest_px=256, count=3, factor=0.5)]
    [425, 45]
    """
    if min(width_px, height_px) < 1 or count < 1 or not 0 < factor < 1:
        raise WindowError(
            f"expected a picture, at least one scale and a factor in 0..1; "
            f"received {width_px} x {height_px}, {count} and {factor}"
        )
    largest = min(largest_px, MAX_SIDE_PX)
    shorter, longer = sorted((width_px, height_px))
    if shorter / longer * MAX_SIDE_PX < WINDOW_PX:
        raise WindowError(
            f"The picture of {width_px} × {height_px} pixels is too narrow: scaled so that a window of {WINDOW_PX} px "
            f"fits, it would be longer than {MAX_SIDE_PX} px."
        )
    largest = max(largest, math.ceil(WINDOW_PX * longer / shorter))
    levels = []
    for index in range(count):
        scale = largest * factor**index / longer
        size = round(width_px * scale), round(height_px * scale)
        if index == 0:
            size = max(size[0], WINDOW_PX), max(size[1], WINDOW_PX)
        if min(size) < WINDOW_PX:
            break
        levels.append(Level(scale, *size))
    return tuple(levels)


def at_level(image: Image, level: Level) -> Image:
    """The image in the size of a level."""
    if image.shape[:2] == (level.height_px, level.width_px):
        return image
    smooth = cv2.INTER_AREA if level.scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (level.width_px, level.height_px), interpolation=smooth), np.uint8)


def cut_windows(image: Image, stride_px: int = STRIDE_PX, window_px: int = WINDOW_PX) -> Image:
    """All windows of an image, row by row: (H, W, 3) to a view (rows, columns, f, f, 3); nothing is copied.

    Raises:
        WindowError: If no window fits.

    >>> cut_windows(np.zeros((80, 72, 3), np.uint8)).shape
    (3, 2, 64, 64, 3)
    """
    if image.ndim != 3 or min(image.shape[:2]) < window_px:
        raise WindowError(f"expected an image of at least {window_px} x {window_px} pixels, received {image.shape}")
    every = np.lib.stride_tricks.sliding_window_view(image, (window_px, window_px), axis=(0, 1))  # (h, w, 3, f, f)
    return np.moveaxis(every[::stride_px, ::stride_px], 2, -1)


def window_box(row: int, column: int, scale: float) -> tuple[float, float, float, float]:
    """The window of a cell of the score map as xyxy in pixels of the original image.

    >>> window_box(1, 2, 0.5)
    (32.0, 16.0, 160.0, 144.0)
    """
    left, top = STRIDE_PX * column / scale, STRIDE_PX * row / scale
    return left, top, left + WINDOW_PX / scale, top + WINDOW_PX / scale


@dataclass(frozen=True)
class ScoreMap:
    """What the classifier says about every window of one level: probabilities (h, w, 1 + C), background first."""

    level: Level
    probabilities: Floats


@dataclass(frozen=True)
class WindowSelection:
    """Windows over the threshold and those that stayed after suppression; `level_ids` (n,) names their level."""

    candidates: ImageDetections
    kept: NDArray[np.bool_]
    level_ids: NDArray[np.int64]

    @property
    def detections(self) -> ImageDetections:
        """The boxes that stayed."""
        return ImageDetections(
            self.candidates.boxes_xyxy[self.kept],
            self.candidates.class_ids[self.kept],
            self.candidates.scores[self.kept],
        )


def select_windows(
    maps: Sequence[ScoreMap],
    threshold: float = 0.9,
    iou_threshold: float = 0.3,
    class_ids: Sequence[int] | None = None,
) -> WindowSelection:
    """Boxes of the windows whose best class reaches the threshold, before and after suppression within each class.

    `class_ids` limits the answer to some classes, counted from 0 without the background; all if None.
    """
    boxes: list[NDArray[np.float32]] = []
    classes: list[NDArray[np.int64]] = []
    scores: list[Floats] = []
    levels: list[NDArray[np.int64]] = []
    for index, entry in enumerate(maps):
        objects = entry.probabilities[..., 1:]  # (h, w, C)
        best = objects.argmax(axis=-1)
        value = objects.max(axis=-1)
        chosen = value >= threshold
        if class_ids is not None:
            chosen &= np.isin(best, np.asarray(class_ids, np.int64))
        rows, columns = np.nonzero(chosen)
        corner = np.stack([columns, rows], axis=1) * (STRIDE_PX / entry.level.scale)  # (n, 2)
        boxes.append(np.concatenate([corner, corner + WINDOW_PX / entry.level.scale], axis=1).astype(np.float32))
        classes.append(best[chosen].astype(np.int64))
        scores.append(value[chosen])
        levels.append(np.full(len(rows), index, np.int64))
    found = ImageDetections(
        np.concatenate(boxes) if boxes else np.zeros((0, 4), np.float32),
        np.concatenate(classes) if classes else np.zeros(0, np.int64),
        np.concatenate(scores) if scores else np.zeros(0, np.float32),
    )
    kept = non_max_suppression(found.boxes_xyxy, found.scores, found.class_ids, iou_threshold).keep
    return WindowSelection(found, kept, np.concatenate(levels) if levels else np.zeros(0, np.int64))
