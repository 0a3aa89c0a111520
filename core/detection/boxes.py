"""Boxes, intersection over union, and the cells of a grid.

The course notes write a box as its midpoint and size in fractions of an image whose upper left corner is (0,
0) and lower right (1, 1); YOLO writes the midpoint inside the grid cell that it falls into, 0..1, and the
size in units of that cell, so that it may exceed 1 (Redmon et al. 2016, section 2). Everywhere else in this
package boxes are xyxy: left, top, right, bottom in pixels, float, right and bottom exclusive.

Arrays: boxes (n, 4); IoU matrices (n, m) in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class BoxError(ValueError):
    """Boxes of a wrong shape or with values that are no numbers."""


def check_boxes(boxes: NDArray[Any], name: str = "boxes") -> NDArray[Any]:
    """Return the boxes as a floating point array (n, 4).

    Raises:
        BoxError: If the shape is not (n, 4) or a value is NaN or infinite.
    """
    array = np.asarray(boxes)
    if array.size == 0:
        return np.zeros((0, 4), np.float64)
    if array.ndim != 2 or array.shape[1] != 4:
        raise BoxError(f"expected {name} of shape (n, 4), received {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise BoxError(f"expected finite numbers in {name}, received NaN or infinity")
    return array


def box_areas(boxes_xyxy: NDArray[Any]) -> NDArray[Any]:
    """Areas (n,) in square pixels; a box whose corners are swapped has none."""
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0)  # (n, 2)
    return np.asarray(sides[:, 0] * sides[:, 1])


def pairwise_iou(first_xyxy: NDArray[Any], second_xyxy: NDArray[Any]) -> NDArray[Any]:
    """Intersection over union of every box of one set with every box of another: (n, 4), (m, 4) -> (n, m).

    Two boxes without area have an IoU of 0.

    Raises:
        BoxError: If a set is not (n, 4) or holds values that are not finite.

    >>> pairwise_iou(np.array([[0, 0, 2, 2]]), np.array([[1, 1, 3, 3], [5, 5, 6, 6]])).round(3)
    array([[0.143, 0.   ]])
    """
    first, second = check_boxes(first_xyxy, "first boxes"), check_boxes(second_xyxy, "second boxes")
    left_top = np.maximum(first[:, None, :2], second[None, :, :2])  # (n, m, 2)
    right_bottom = np.minimum(first[:, None, 2:], second[None, :, 2:])  # (n, m, 2)
    sides = np.maximum(right_bottom - left_top, 0)
    shared = sides[..., 0] * sides[..., 1]  # (n, m)
    union = box_areas(first)[:, None] + box_areas(second)[None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def xywh_to_xyxy(boxes_xywh: NDArray[Any]) -> NDArray[Any]:
    """Left, top, width, height (COCO's order) to corners.

    >>> xywh_to_xyxy(np.array([[10.0, 20.0, 30.0, 40.0]]))
    array([[10., 20., 40., 60.]])
    """
    boxes = check_boxes(boxes_xywh)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def xyxy_to_xywh(boxes_xyxy: NDArray[Any]) -> NDArray[Any]:
    """Corners to left, top, width, height.

    >>> xyxy_to_xywh(np.array([[10.0, 20.0, 40.0, 60.0]]))
    array([[10., 20., 30., 40.]])
    """
    boxes = check_boxes(boxes_xyxy)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def xyxy_to_midpoints(boxes_xyxy: NDArray[Any]) -> NDArray[Any]:
    """Corners to midpoint x, midpoint y, width, height (the notes' b_x, b_y, b_w, b_h in pixels).

    >>> xyxy_to_midpoints(np.array([[10.0, 20.0, 40.0, 60.0]]))
    array([[25., 40., 30., 40.]])
    """
    boxes = check_boxes(boxes_xyxy)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def midpoints_to_xyxy(boxes_cxcywh: NDArray[Any]) -> NDArray[Any]:
    """Midpoint x, midpoint y, width, height to corners.

    >>> midpoints_to_xyxy(np.array([[25.0, 40.0, 30.0, 40.0]]))
    array([[10., 20., 40., 60.]])
    """
    boxes = check_boxes(boxes_cxcywh)
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def clip_boxes(boxes_xyxy: NDArray[Any], width_px: float, height_px: float) -> NDArray[Any]:
    """Boxes with all corners moved into an image of the given size."""
    limits = np.array([width_px, height_px, width_px, height_px])
    return np.asarray(np.clip(check_boxes(boxes_xyxy), 0, limits))


@dataclass(frozen=True)
class CellBoxes:
    """Boxes as YOLO writes them: the responsible cell, and the box in fractions of it.

    `rows` and `columns` (n,) name the cells; `fractions` (n, 4) holds b_x, b_y in 0..1 inside the cell and
    b_w, b_h in units of the cell, which may exceed 1.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    fractions: Array


def _check_grid(image_size: tuple[float, float], grid: tuple[int, int]) -> Array:
    """Cell width and height in pixels."""
    if min(image_size) <= 0 or min(grid) < 1:
        raise BoxError(f"expected a positive image size and grid, received {image_size} and {grid}")
    return np.array([image_size[0] / grid[1], image_size[1] / grid[0]])


def boxes_to_cells(boxes_xyxy: NDArray[Any], image_size: tuple[float, float], grid: tuple[int, int]) -> CellBoxes:
    """The cell that holds each box's midpoint, and the box in fractions of that cell.

    `image_size` is (width, height) in pixels, `grid` is (rows, columns). A midpoint on the far border belongs
    to the last cell. Source: Redmon et al. 2016, section 2.

    Raises:
        BoxError: If a midpoint lies outside the image.

    >>> boxes_to_cells(np.array([[50, 60, 90, 80]]), (100, 100), (3, 3)).fractions.round(2)
    array([[0.1, 0.1, 1.2, 0.6]])
    """
    cell = _check_grid(image_size, grid)
    boxes = xyxy_to_midpoints(boxes_xyxy)
    if ((boxes[:, :2] < 0) | (boxes[:, :2] > np.array(image_size))).any():
        raise BoxError("expected midpoints inside the image, received one outside")
    position = boxes[:, :2] / cell  # (n, 2) in cells
    index = np.minimum(np.floor(position), np.array([grid[1] - 1, grid[0] - 1]))
    fractions = np.concatenate([position - index, boxes[:, 2:] / cell], axis=1)
    return CellBoxes(index[:, 1].astype(np.int64), index[:, 0].astype(np.int64), fractions)


def cells_to_boxes(cells: CellBoxes, image_size: tuple[float, float], grid: tuple[int, int]) -> NDArray[Any]:
    """The boxes xyxy in pixels that `boxes_to_cells` was given."""
    cell = _check_grid(image_size, grid)
    corner = np.stack([cells.columns, cells.rows], axis=1)  # (n, 2)
    middle = (corner + cells.fractions[:, :2]) * cell
    return midpoints_to_xyxy(np.concatenate([middle, cells.fractions[:, 2:] * cell], axis=1))
