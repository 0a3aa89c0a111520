"""Boxes as corrections of other boxes, and the anchor boxes that a region proposal network corrects.

A correction moves the midpoint of a box by a fraction of its sides and scales the sides on a logarithmic scale
(Girshick et al. 2014, R-CNN, appendix C). Anchors are boxes of a few areas and shapes at every cell of the
feature map (Ren et al. 2015, Faster R-CNN, section 3.1.1).

Arrays: boxes xyxy (..., 4) in pixels; corrections (..., 4) hold t_x, t_y, t_w, t_h; anchors (h w k, 4) float32, row by
row, the k anchors of a cell side by side. The functions work on NumPy arrays, and on tensors where `xp` is `keras.ops`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANCHOR_SIDES_PX = (24, 48, 96, 192)
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
ANCHORS_PER_CELL = len(ANCHOR_SIDES_PX) * len(ANCHOR_RATIOS)
# The second stage's corrections are small; over these their spread is about one (Fast R-CNN, section 2.3).
HEAD_SPREAD = (0.1, 0.1, 0.2, 0.2)
# exp() of more than this would make a box over 60 times its anchor: nothing real is lost.
MAX_LOG_SCALE = 4.135

Array = Any


@lru_cache(maxsize=16)
def anchor_grid(rows: int, columns: int, stride_px: int) -> NDArray[np.float32]:
    """Anchors of all cells of a map, not cut at the border: (rows * columns * 12, 4), read-only.

    A ratio is height over width; anchors of one side length share their area.

    Raises:
        ValueError: If a number is under one.

    >>> anchor_grid(1, 2, 8)[[1, 13]]
    array([[-8., -8., 16., 16.],
           [ 0., -8., 24., 16.]], dtype=float32)
    """
    if min(rows, columns, stride_px) < 1:
        raise ValueError(f"expected a map of at least one cell, received {rows} x {columns} at {stride_px} px")
    sides = np.array([(s / r**0.5, s * r**0.5) for s in ANCHOR_SIDES_PX for r in ANCHOR_RATIOS])  # (k, 2)
    y, x = np.mgrid[0:rows, 0:columns]
    middle = (np.stack([x, y], axis=-1).reshape(-1, 1, 2) + 0.5) * stride_px  # (hw, 1, 2)
    anchors = np.concatenate([middle - sides / 2, middle + sides / 2], axis=-1)  # (hw, k, 4)
    flat = anchors.reshape(-1, 4).astype(np.float32)
    flat.flags.writeable = False  # everyone gets the same array
    return flat


def encode_boxes(
    boxes_xyxy: Array, anchors_xyxy: Array, spread: tuple[float, ...] = (1, 1, 1, 1), xp: Any = np
) -> Array:
    """Corrections that turn anchors into boxes, divided by `spread`; both of shape (..., 4) with sides over zero.

    >>> encode_boxes(np.array([[2.0, 0, 12, 20]]), np.array([[0.0, 0, 10, 10]])).round(3)
    array([[0.2  , 0.5  , 0.   , 0.693]])
    """
    sides = anchors_xyxy[..., 2:] - anchors_xyxy[..., :2]
    box_sides = boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]
    shift = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:] - anchors_xyxy[..., :2] - anchors_xyxy[..., 2:]) / 2 / sides
    scale = xp.log(box_sides / sides)
    return xp.concatenate([shift, scale], axis=-1) / np.array(spread, np.float32)


def decode_boxes(
    corrections: Array, anchors_xyxy: Array, spread: tuple[float, ...] = (1, 1, 1, 1), xp: Any = np
) -> Array:
    """The boxes that `encode_boxes` was given; sides grow at most by exp(4.135).

    >>> decode_boxes(np.array([[0.2, 0.5, 0.0, np.log(2)]]), np.array([[0.0, 0, 10, 10]])).round(3)
    array([[ 2.,  0., 12., 20.]])
    """
    corrections = corrections * np.array(spread, np.float32)
    sides = anchors_xyxy[..., 2:] - anchors_xyxy[..., :2]
    middle = (anchors_xyxy[..., :2] + anchors_xyxy[..., 2:]) / 2 + corrections[..., :2] * sides
    half = sides * xp.exp(xp.clip(corrections[..., 2:], -MAX_LOG_SCALE, MAX_LOG_SCALE)) / 2
    return xp.concatenate([middle - half, middle + half], axis=-1)
