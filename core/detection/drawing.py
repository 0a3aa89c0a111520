"""Boxes, names and scores drawn on a picture.

Arrays: pictures RGB uint8 (H, W, 3); boxes xyxy (n, 4) in pixels.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.evaluation import ImageDetections
from core.detection.predictions import check_picture

Image = NDArray[np.uint8]
# Steps of the golden ratio around the colour circle keep neighbours apart, however many classes there are.
GOLDEN_RATIO = 0.618034


def class_colour(class_id: int) -> tuple[int, int, int]:
    """A colour for a class, RGB in 0..255, always the same."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + class_id * GOLDEN_RATIO) % 1.0, 0.85, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_detections(image: Image, found: ImageDetections, class_names: tuple[str, ...]) -> Image:
    """A copy of the picture with every box, its class's name and its score in percent; the best lie on top.

    Raises:
        PictureError: If the array is no picture.
    """
    check_picture(image)
    canvas = np.ascontiguousarray(image).copy()
    scale = max(canvas.shape[:2]) / 640
    line, size = max(1, round(2 * scale)), max(0.35, 0.5 * scale)
    for index in np.argsort(found.scores, kind="stable"):
        class_id = int(found.class_ids[index])
        colour = class_colour(class_id)
        x1, y1, x2, y2 = (round(float(value)) for value in found.boxes_xyxy[index])
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, line)
        label = f"{class_names[class_id]} {100 * float(found.scores[index]):.0f} %"
        (width, height), below = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        # Inside the picture also where the box touches its upper border.
        top = max(y1 - height - below - 2, 0)
        cv2.rectangle(canvas, (x1, top), (x1 + width + 4, top + height + below + 2), colour, cv2.FILLED)
        text = (0, 0, 0) if sum(c * w for c, w in zip(colour, (0.3, 0.59, 0.11), strict=True)) > 120 else (255,) * 3
        cv2.putText(canvas, label, (x1 + 2, top + height + 1), cv2.FONT_HERSHEY_SIMPLEX, size, text, 1, cv2.LINE_AA)
    return canvas
