"""An annotated picture with the grid of a target tensor: true boxes, their midpoints, and the cells' lines.

Arrays: pictures RGB uint8 (H, W, 3); boxes xyxy (n, 4) in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.drawing import class_colour, draw_box, draw_dots, draw_labels, line_px, screen_canvas

Image = NDArray[np.uint8]


def draw_annotations(
    image: Image, boxes_xyxy: NDArray[Any], class_ids: NDArray[Any], class_names: Sequence[str], grid: int = 1
) -> Image:
    """A copy of the picture, in a size for a screen, with its true boxes and the lines of `grid` x `grid` cells.

    Raises:
        PictureError: If the array is no picture.
    """
    canvas, scale = screen_canvas(image)
    canvas = np.array(canvas)  # the picture itself is not drawn on
    for line in range(1, grid):
        for strip in (canvas[:, round(line * canvas.shape[1] / grid)], canvas[round(line * canvas.shape[0] / grid)]):
            strip[:] = (0.35 * strip + 0.65 * 255).astype(np.uint8)
    boxes = scale * np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    colours = [class_colour(int(class_id)) for class_id in class_ids]
    for box, colour in zip(boxes, colours, strict=True):
        draw_box(canvas, box, colour, line_px(canvas))
    draw_labels(canvas, boxes, [class_names[int(class_id)] for class_id in class_ids], colours)
    if grid > 1:
        draw_dots(canvas, (boxes[:, :2] + boxes[:, 2:]) / 2, colours)
    return canvas
