"""From a network's answer to boxes on the picture, in NumPy, without a network library.

A page keeps the answer of a picture: moving a slider for confidence or IoU selects from it again and never
runs the network.

Arrays: raw rows (A, 4 + C) float32 as `yolo.build_detector` gives them; boxes xyxy (n, 4) float32 in pixels
of the picture; scores (A, C) in 0..1; class ids int64 (n,).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.evaluation import ImageDetections
from core.detection.grid import MAX_LOG_DISTANCE, cell_centres
from core.detection.suppression import Suppression, non_max_suppression

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]
PADDING = 114
# More boxes than this over the threshold of one picture are noise; the best of them are kept.
MAX_CANDIDATES = 2000


class PictureError(ValueError):
    """An array that is no picture."""


@dataclass(frozen=True)
class NetworkAnswer:
    """All that a network says about a picture, whatever the thresholds will be.

    `boxes_xyxy` (A, 4) in pixels of the picture, not cut at its border; `scores` (A, C); `image_size` is
    (width, height) in pixels; `model` names what answered, `engine` what ran it, and `network_ms` is the time of
    the network alone.
    """

    boxes_xyxy: Floats
    scores: Floats
    image_size: tuple[int, int]
    class_names: tuple[str, ...]
    model: str
    network_ms: float = 0.0
    engine: str = ""


@dataclass(frozen=True)
class Selection:
    """Boxes over the confidence before suppression, best first, and what suppression made of them.

    `suppression` refers to the order of `candidates`; `detections` are those that stayed.
    """

    candidates: ImageDetections
    suppression: Suppression
    detections: ImageDetections


def check_picture(image: Image) -> None:
    """Hold that an array is an RGB picture.

    Raises:
        PictureError: If it is not uint8 (H, W, 3) with both sides over 0.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise PictureError(f"expected an RGB picture uint8 (H, W, 3), received {image.dtype} of shape {image.shape}")


def letterbox_picture(image: Image, size_px: int) -> tuple[Image, tuple[float, float]]:
    """Scale a picture into the upper left of a grey square; also (x, y) scale from picture to square.

    It is halved by means of 2 x 2 pixels while it is at least twice as large, and interpolated linearly from there,
    as in the network's training. That is an approximation of the mean over each pixel's area, at a tenth of its time
    for sizes that do not divide; a last row or column that is left over when halving is not looked at.

    Raises:
        PictureError: If the array is no RGB picture.

    >>> square, scale = letterbox_picture(np.zeros((100, 200, 3), np.uint8), 64)
    >>> square.shape, scale
    ((64, 64, 3), (0.32, 0.32))
    """
    check_picture(image)
    height, width = image.shape[:2]
    scale = size_px / max(height, width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    square = np.full((size_px, size_px, 3), PADDING, np.uint8)
    half, halvings = image, 0
    while half.shape[0] >= 2 * new_height and half.shape[1] >= 2 * new_width:
        rows, columns = half.shape[0] // 2, half.shape[1] // 2
        even = half[: 2 * rows, : 2 * columns]
        half = np.asarray(cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        halvings += 1
    # Only a strip of a few pixels is still more than twice as long.
    smooth = cv2.INTER_AREA if max(half.shape[:2]) > 2 * size_px else cv2.INTER_LINEAR
    cv2.resize(half, (new_width, new_height), square[:new_height, :new_width], interpolation=smooth)
    seen_height, seen_width = (side << halvings for side in half.shape[:2])
    return square, (new_width / seen_width, new_height / seen_height)


def decode_rows(raw: Floats, size_px: int) -> tuple[Floats, Floats]:
    """Boxes (A, 4) in pixels of the network's square input and class probabilities (A, C)."""
    cells = cell_centres(size_px, size_px)
    distances = np.exp(np.clip(raw[:, :4], -MAX_LOG_DISTANCE, MAX_LOG_DISTANCE)) * cells[:, 2:]
    boxes = np.empty((len(cells), 4), np.float32)
    np.subtract(cells[:, :2], distances[:, :2], out=boxes[:, :2])
    np.add(cells[:, :2], distances[:, 2:], out=boxes[:, 2:])
    # The logistic function in place: 1 / (1 + exp(-x)), where exp(60) is as good as infinity.
    scores = np.negative(raw[:, 4:], dtype=np.float32)
    np.minimum(scores, 60, out=scores)
    np.exp(scores, out=scores)
    scores += 1
    np.reciprocal(scores, out=scores)
    return boxes, scores


def answer_of(
    raw: Floats,
    size_px: int,
    scale_xy: tuple[float, float],
    image_size: tuple[int, int],
    class_names: tuple[str, ...],
    model: str,
) -> NetworkAnswer:
    """The embedded network's rows as boxes on a picture that was scaled by `scale_xy` into its square."""
    boxes, scores = decode_rows(raw, size_px)
    boxes /= np.array([*scale_xy, *scale_xy], np.float32)
    return NetworkAnswer(boxes, scores, image_size, class_names, model)


def select(
    answer: NetworkAnswer,
    confidence: float = 0.25,
    iou_threshold: float = 0.45,
    agnostic: bool = False,
    classes: Collection[int] | None = None,
) -> Selection:
    """Boxes whose score reaches `confidence`, cut at the picture's border, before and after suppression.

    Suppression is within each class, over all of them where `agnostic`; `classes` leaves the others out.

    Raises:
        PictureError: If the confidence lies outside 0..1.
    """
    if not 0 <= confidence <= 1:
        raise PictureError(f"expected a confidence in 0..1, received {confidence}")
    wanted = answer.scores >= max(confidence, 1e-6)  # (A, C)
    if classes is not None:
        hidden = np.ones(wanted.shape[1], np.bool_)
        hidden[list(classes)] = False
        wanted[:, hidden] = False
    rows, class_ids = np.nonzero(wanted)
    scores = answer.scores[rows, class_ids]
    best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    rows, class_ids, scores = rows[best], class_ids[best], scores[best]
    limits = np.array([*answer.image_size, *answer.image_size], np.float32)
    boxes = np.clip(answer.boxes_xyxy[rows], 0, limits)
    result = non_max_suppression(boxes, scores, None if agnostic else class_ids, iou_threshold)
    keep = result.keep
    return Selection(
        ImageDetections(boxes, class_ids, scores),
        result,
        ImageDetections(boxes[keep], class_ids[keep], scores[keep]),
    )
