"""The target tensor of the course notes: which cell and which anchor answer for which object.

An object belongs to the grid cell that holds its midpoint, and within the cell to the anchor box whose shape
overlaps it most (Redmon et al. 2016, section 2; Redmon and Farhadi 2017, section 2). The page shows this
assignment. The embedded detector is trained with a richer one in which several cells answer for an object
(`losses.assign`): it learns faster from few pictures.

Arrays: target (rows, columns, anchors, 5 + C) holding p_c, b_x, b_y, b_w, b_h and one value a class, where
b_x and b_y are fractions of the cell and b_w, b_h are in units of the cell, as in the notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.anchors import size_iou
from core.detection.boxes import BoxError, CellBoxes, boxes_to_cells, cells_to_boxes, check_boxes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TargetTensor:
    """The tensor, and for each object its cell, its anchor, and whether it found a free place.

    Two objects whose midpoints share a cell and whose shapes share an anchor cannot both be written: the
    first stays, `placed` (n,) is false for the other.
    """

    values: Floats
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    anchors: NDArray[np.int64]
    placed: NDArray[np.bool_]


def encode_targets(
    boxes_xyxy: NDArray[Any],
    class_ids: NDArray[Any],
    class_count: int,
    image_size: tuple[float, float],
    grid: tuple[int, int],
    anchor_boxes: NDArray[Any],
) -> TargetTensor:
    """Write annotated boxes into a target tensor.

    `image_size` is (width, height) in pixels, `grid` is (rows, columns); `anchor_boxes` (k, 2) are in pixels.

    Raises:
        BoxError: If shapes do not fit, a class is unknown, or a box has no area or its midpoint outside.

    >>> target = encode_targets(
    ...     np.array([[40, 40, 60, 60]]), np.array([1]), 3, (100, 100), (3, 3), np.array([[20, 20], [50, 20]])
    ... )
    >>> target.values[1, 1, 0].round(2)
    array([1. , 0.5, 0.5, 0.6, 0.6, 0. , 1. , 0. ])
    """
    boxes = check_boxes(boxes_xyxy)
    ids = np.asarray(class_ids, np.int64)
    if ids.shape != (len(boxes),):
        raise BoxError(f"expected {len(boxes)} class ids, received shape {ids.shape}")
    if ((ids < 0) | (ids >= class_count)).any():
        raise BoxError(f"expected class ids in 0..{class_count - 1}, received {ids.min()}..{ids.max()}")
    sizes = boxes[:, 2:] - boxes[:, :2]
    if (sizes <= 0).any():
        raise BoxError("expected boxes with an area, received one without")
    cells = boxes_to_cells(boxes, image_size, grid)
    anchors = np.asarray(anchor_boxes, np.float64)
    best = size_iou(sizes, anchors).argmax(axis=1) if len(boxes) else np.zeros(0, np.int64)
    values = np.zeros((*grid, len(anchors), 5 + class_count))
    placed = np.zeros(len(boxes), np.bool_)
    for index, class_id in enumerate(ids):
        place = values[cells.rows[index], cells.columns[index], best[index]]  # (5 + C,)
        if place[0]:
            continue
        place[0], place[1:5], place[5 + class_id] = 1.0, cells.fractions[index], 1.0
        placed[index] = True
    return TargetTensor(values, cells.rows, cells.columns, best, placed)


def decode_targets(
    values: NDArray[Any], image_size: tuple[float, float], confidence: float = 0.5
) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Boxes xyxy (n, 4) in pixels, class ids (n,) and scores (n,) of a target tensor or a prediction.

    A score is p_c times the best class value (the notes' "p_c x c"); boxes under `confidence` are left out.

    Raises:
        BoxError: If the tensor has not the shape (rows, columns, anchors, 5 + C).
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 4 or array.shape[-1] < 6:
        raise BoxError(f"expected (rows, columns, anchors, 5 + classes), received {array.shape}")
    scores = array[..., 0] * array[..., 5:].max(axis=-1)  # (rows, columns, anchors)
    rows, columns, anchors = np.nonzero(scores >= confidence)
    chosen = array[rows, columns, anchors]  # (n, 5 + C)
    cells = CellBoxes(rows.astype(np.int64), columns.astype(np.int64), chosen[:, 1:5])
    grid = (array.shape[0], array.shape[1])
    boxes = cells_to_boxes(cells, image_size, grid)
    return boxes, chosen[:, 5:].argmax(axis=1), scores[rows, columns, anchors]
