"""Score maps laid over a picture as heat, and what one window of a map is.

Arrays: pictures RGB uint8 (H, W, 3); score maps (h, w) float32 in 0..1.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.sliding_windows import STRIDE_PX, WINDOW_PX, Level, at_level

Image = NDArray[np.uint8]
# The part of the colour that a score of 0 and of 1 has over the picture.
OPACITY = (0.25, 0.72)


def heat_colours(scores: NDArray[np.float32]) -> Image:
    """Scores in 0..1 as colours (h, w, 3), dark blue for 0 and yellow for 1 (OpenCV's "viridis")."""
    levels = np.round(np.clip(np.nan_to_num(scores), 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1], np.uint8)  # BGR -> RGB


def cell_area(
    level: Level, canvas_scale: float, window_px: int = WINDOW_PX, stride_px: int = STRIDE_PX
) -> tuple[float, float, float]:
    """Left and top of the first cell of a score map on a canvas, and the cells' side, in the canvas's pixels.

    A cell is drawn in the middle of its window, as large as the step from one window to the next.
    """
    factor = canvas_scale / level.scale
    first = (window_px - stride_px) / 2 * factor
    return first, first, stride_px * factor


def overlay_heat(
    canvas: Image,
    scores: NDArray[np.float32],
    level: Level,
    canvas_scale: float,
    window_px: int = WINDOW_PX,
    stride_px: int = STRIDE_PX,
) -> Image:
    """A copy of a canvas with every window's score as a coloured square in the middle of the window.

    Where a score is NaN nothing is drawn.
    """
    drawn = np.ascontiguousarray(canvas).copy()
    left, top, side = cell_area(level, canvas_scale, window_px, stride_px)
    rows, columns = scores.shape
    x1, y1 = round(left), round(top)
    x2, y2 = min(round(left + columns * side), drawn.shape[1]), min(round(top + rows * side), drawn.shape[0])
    if x2 <= x1 or y2 <= y1:
        return drawn
    size = (x2 - x1, y2 - y1)
    colours = cv2.resize(heat_colours(scores), size, interpolation=cv2.INTER_NEAREST)
    clipped = np.clip(np.nan_to_num(scores), 0, 1).astype(np.float32)
    values = cv2.resize(clipped, size, interpolation=cv2.INTER_NEAREST)[..., None]  # (h, w, 1)
    opacity = OPACITY[0] + (OPACITY[1] - OPACITY[0]) * values
    opacity[cv2.resize(np.isnan(scores).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 1] = 0.0
    part = drawn[y1:y2, x1:x2]
    part[:] = ((1 - opacity) * part + opacity * colours).round().astype(np.uint8)
    return drawn


def window_pixels(image: Image, level: Level, row: int, column: int) -> Image:
    """The 64 x 64 pixels that the classifier sees in one window."""
    top, left = STRIDE_PX * row, STRIDE_PX * column
    return np.ascontiguousarray(at_level(image, level)[top : top + WINDOW_PX, left : left + WINDOW_PX])


def cell_at(x_px: float, y_px: float, level: Level) -> tuple[int, int]:
    """The row and column of the window whose middle lies nearest to a point of the original image.

    >>> cell_at(32, 32, Level(1.0, 128, 128)), cell_at(500, 41, Level(1.0, 128, 128))
    ((0, 0), (1, 8))
    """
    half = WINDOW_PX / 2
    column = round((x_px * level.scale - half) / STRIDE_PX)
    row = round((y_px * level.scale - half) / STRIDE_PX)
    return min(max(row, 0), level.rows - 1), min(max(column, 0), level.columns - 1)


def best_cell(scores: NDArray[np.float32]) -> tuple[int, int]:
    """The row and column of the highest score."""
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return int(row), int(column)
