"""The network's grids laid over a picture, and the cell that is responsible for each object.

YOLO gives an object to the grid cell that holds its midpoint (Redmon et al. 2016, section 2). The networks here
have three grids, at strides of 8, 16 and 32 pixels of their input, and no anchor boxes: near the midpoint any
cell may learn to answer (Ge et al. 2021, YOLOX, section 2.1), so the cell that did answer can be a neighbour.

Arrays: boxes xyxy (n, 4) in pixels of the picture; rows, columns and strides (n,).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import boxes_to_cells
from core.detection.evaluation import ImageDetections
from core.detection.grid import STRIDES_PX, cell_centres
from core.detection.predictions import NetworkAnswer, PictureError, decode_rows
from core.detection.yolox import COCO_NAMES, decode_yolox

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ObjectCells:
    """The cells of n objects, each in the grid whose cell answered for it.

    `strides_px` in pixels of the network's input; `cells` holds S of the S x S grid; `rows`, `columns` name the
    cell of the midpoint, `cells_xyxy` is its place on the picture and `fractions` the notes' b_x, b_y in 0..1
    inside it and b_w, b_h in units of it. `answered_xyxy` is the place of the cell that answered, `start_xyxy`
    the box that it answers with where its four outputs for the box are all zero.
    """

    strides_px: Indices
    cells: Indices
    rows: Indices
    columns: Indices
    fractions: Floats
    cells_xyxy: Floats
    answered_xyxy: Floats
    start_xyxy: Floats


def input_side_px(answer: NetworkAnswer) -> int:
    """Side of the square that the network read, in pixels, from the number of its answers.

    Raises:
        PictureError: If no square has so many cells at strides 8, 16 and 32.

    >>> boxes, scores = np.zeros((1344, 4), np.float32), np.zeros((1344, 2), np.float32)
    >>> input_side_px(NetworkAnswer(boxes, scores, (640, 480), ("cat", "dog"), "made"))
    256
    """
    count = len(answer.boxes_xyxy)
    side = 32 * math.isqrt(count // 21)
    if side == 0 or sum((side // stride) ** 2 for stride in STRIDES_PX) != count:
        raise PictureError(f"expected answers of three square grids at strides 8, 16 and 32, received {count} answers")
    return side


def cell_side_px(answer: NetworkAnswer, stride_px: int) -> float:
    """Side of a grid's cell in pixels of the picture: the picture was scaled into the network's square."""
    return stride_px * max(answer.image_size) / input_side_px(answer)


def answering_rows(answer: NetworkAnswer, found: ImageDetections) -> Indices:
    """Which of the network's answers (A,) each selected box (n,) is.

    Raises:
        PictureError: If a box is none of this answer's.
    """
    limits = np.array([*answer.image_size, *answer.image_size], np.float32)
    clipped = np.clip(answer.boxes_xyxy, 0, limits)  # (A, 4)
    rows = []
    for box, class_id, score in zip(found.boxes_xyxy, found.class_ids, found.scores, strict=True):
        same = np.flatnonzero((answer.scores[:, class_id] == score) & (clipped == box).all(axis=1))
        if not len(same):
            raise PictureError("expected boxes that were selected from this answer, received others")
        rows.append(int(same[0]))
    return np.array(rows, np.int64)


def start_boxes(answer: NetworkAnswer) -> Floats:
    """The box xyxy of every cell (A, 4) where the network's four outputs for it are zero, not cut at the border.

    The networks have no anchor boxes; this is what stands in their place: a square of two strides for the
    embedded one, of one stride at the cell's corner for YOLOX.
    """
    side = input_side_px(answer)
    if answer.class_names == COCO_NAMES:
        boxes = decode_yolox(np.zeros((len(answer.boxes_xyxy), 5 + len(COCO_NAMES)), np.float32), side)[0]
    else:
        boxes = decode_rows(np.zeros((len(answer.boxes_xyxy), 4), np.float32), side)[0]
    return boxes.astype(np.float64) * (max(answer.image_size) / side)


def object_cells(answer: NetworkAnswer, found: ImageDetections) -> ObjectCells:
    """The cells of the boxes that were selected from an answer.

    Raises:
        PictureError: If a box is none of this answer's.
    """
    side = input_side_px(answer)
    scale = max(answer.image_size) / side
    chosen = answering_rows(answer, found)
    centres = cell_centres(side, side)[chosen].astype(np.float64)  # (n, 3)
    strides = centres[:, 2].astype(np.int64)
    square = float(max(answer.image_size))
    rows, columns = np.zeros(len(chosen), np.int64), np.zeros(len(chosen), np.int64)
    fractions = np.zeros((len(chosen), 4))
    for stride in STRIDES_PX:
        of_grid = strides == stride
        if of_grid.any():
            cells = boxes_to_cells(found.boxes_xyxy[of_grid], (square, square), (side // stride, side // stride))
            rows[of_grid], columns[of_grid], fractions[of_grid] = cells.rows, cells.columns, cells.fractions
    cell = (strides * scale)[:, None]  # (n, 1)
    corner = np.stack([columns, rows], axis=1) * cell  # (n, 2)
    middle = centres[:, :2] * scale
    return ObjectCells(
        strides,
        side // strides,
        rows,
        columns,
        fractions,
        np.concatenate([corner, corner + cell], axis=1),
        np.concatenate([middle - cell / 2, middle + cell / 2], axis=1),
        start_boxes(answer)[chosen],
    )
