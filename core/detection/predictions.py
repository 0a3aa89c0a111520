"""From the network's raw rows to boxes on the picture, in NumPy, without a network library.

The page keeps the raw rows of a picture: moving a slider for confidence or IoU decodes them again and never
runs the network.

Arrays: raw (A, 4 + C) float32 as `yolo.build_detector` answers; boxes xyxy (n, 4) in pixels of the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.detection.evaluation import ImageDetections
from core.detection.grid import MAX_LOG_DISTANCE, cell_centres
from core.detection.suppression import non_max_suppression

MAX_CANDIDATES = 1000


def decode_rows(raw: NDArray[np.float32], size_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (A, 4) in pixels of the network's square input and class probabilities (A, C)."""
    cells = cell_centres(size_px, size_px)
    distances = np.exp(np.clip(raw[:, :4], -MAX_LOG_DISTANCE, MAX_LOG_DISTANCE)) * cells[:, 2:]
    boxes = np.concatenate([cells[:, :2] - distances[:, :2], cells[:, :2] + distances[:, 2:]], axis=1)
    scores = 1 / (1 + np.exp(-np.clip(raw[:, 4:], -60, 60)))
    return boxes.astype(np.float32), scores.astype(np.float32)


def detections_of(
    raw: NDArray[np.float32],
    size_px: int,
    scale_xy: tuple[float, float],
    confidence: float = 0.25,
    iou_threshold: float = 0.6,
) -> ImageDetections:
    """Boxes after suppression within each class, on a picture scaled by `scale_xy` into the square."""
    boxes, scores = decode_rows(raw, size_px)
    rows, class_ids = np.nonzero(scores >= confidence)
    values = scores[rows, class_ids]
    order = np.argsort(-values, kind="stable")[:MAX_CANDIDATES]
    rows, class_ids, values = rows[order], class_ids[order], values[order]
    found = np.clip(boxes[rows], 0, size_px) / np.array([*scale_xy, *scale_xy])
    keep = non_max_suppression(found, values, class_ids, iou_threshold).keep
    return ImageDetections(found[keep], class_ids[keep], values[keep])
