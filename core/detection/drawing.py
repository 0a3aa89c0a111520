"""Boxes, names and scores drawn on a picture, and the layers that explain them.

Arrays: pictures RGB uint8 (H, W, 3); boxes xyxy (n, 4) in pixels of the picture that is drawn on. `draw_detections`
answers with a copy, all other functions draw on the picture itself. Lines and letters grow with the picture, so
that they read the same however large it is.
"""

from __future__ import annotations

import colorsys
import math
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.evaluation import ImageDetections
from core.detection.predictions import check_picture

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
# Steps of the golden ratio around the colour circle keep neighbours apart, however many classes there are.
GOLDEN_RATIO = 0.618034
DARK, LIGHT = (16, 18, 24), (255, 255, 255)
MIN_LETTERS_PX = 12
# More names than this hide the picture: the best boxes get theirs.
MAX_LABELS = 60
BOLD = 600
# A small picture is enlarged before it is drawn on, so that its labels can be read; a large one fits a screen.
MIN_CANVAS_PX, MAX_CANVAS_PX = 900, 1280

# OpenCV loads its letters anew in every thread (25 ms), and a page's run is a thread of its own: one thread writes all.
_writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="letters")
_own = threading.local()


@lru_cache(maxsize=512)
def _written(text: str, size_px: int) -> Image:
    """A label's text as a mask (H, W) in 0..255 that fits it with a margin; shared, not to be changed."""
    return _writer.submit(_write, text, size_px).result()


def _write(text: str, size_px: int) -> Image:
    face = cv2.FontFace("sans") if not hasattr(_own, "face") else _own.face
    _own.face = face
    margin = max(2, size_px // 5)
    limit = 2 * size_px * (len(text) + 2), 4 * size_px
    _, _, width, _ = cv2.getTextSize(limit, text, (0, 0), face, size_px, BOLD)
    mask = np.zeros((size_px + 2 * margin, width + 2 * margin), np.uint8)
    cv2.putText(mask, text, (margin, margin + round(0.82 * size_px)), (255,), face, size_px, BOLD)
    return mask


def screen_canvas(image: Image) -> tuple[Image, float]:
    """The picture in a size to draw on for a screen, and the factor from the picture's pixels to its own.

    Raises:
        PictureError: If the array is no picture.

    >>> canvas, scale = screen_canvas(np.zeros((100, 200, 3), np.uint8))
    >>> canvas.shape, scale
    ((450, 900, 3), 4.5)
    """
    check_picture(image)
    side = max(image.shape[:2])
    scale = min(max(side, MIN_CANVAS_PX), MAX_CANVAS_PX) / side
    if scale == 1:
        return image, 1.0
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=smooth), np.uint8), scale


def class_colour(class_id: int) -> Colour:
    """A colour for a class, RGB in 0..255, always the same."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + class_id * GOLDEN_RATIO) % 1.0, 0.85, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def ink_on(colour: Colour) -> Colour:
    """Dark or light, whichever reads better on a colour."""
    return DARK if sum(part * weight for part, weight in zip(colour, (0.3, 0.59, 0.11), strict=True)) > 120 else LIGHT


@lru_cache(maxsize=256)
def _ground_to_ink(colour: Colour) -> Image:
    """The 256 steps (256, 3) from a label's ground to the ink of its letters; shared, not to be changed."""
    cover = np.arange(256)[:, None] / 255  # (256, 1)
    return np.asarray((1 - cover) * np.array(colour) + cover * np.array(ink_on(colour)), np.uint8)


def line_px(canvas: Image) -> int:
    """Width of a box's line on this picture, in pixels."""
    return max(1, round(int(max(canvas.shape[:2])) / 320))


def letters_px(canvas: Image) -> int:
    """Height of letters on this picture, in pixels."""
    return max(MIN_LETTERS_PX, round(int(max(canvas.shape[:2])) / 42))


def draw_box(canvas: Image, box_xyxy: NDArray[Any], colour: Colour, width_px: int, *, dashed: bool = False) -> None:
    """Draw the outline of one box."""
    x1, y1, x2, y2 = (round(float(value)) for value in box_xyxy)
    if not dashed:
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, width_px)
        return
    dash = 4 * width_px + 2
    for start, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        length = math.dist(start, end)
        for piece in range(0, int(length), 2 * dash):
            first, last = piece / length, min(piece + dash, length) / length
            ends = [tuple(round(a + (b - a) * part) for a, b in zip(start, end, strict=True)) for part in (first, last)]
            cv2.line(canvas, ends[0], ends[1], colour, width_px)


def draw_labels(canvas: Image, boxes_xyxy: NDArray[Any], texts: Sequence[str], colours: Sequence[Colour]) -> None:
    """Write a text at each box, the first ones first: a text goes where it covers none before it, if there is room."""
    height, width = canvas.shape[:2]
    size = letters_px(canvas)
    taken: list[tuple[int, int, int, int]] = []
    for box, text, colour in list(zip(boxes_xyxy, texts, colours, strict=True))[:MAX_LABELS]:
        mask = _written(text, size)
        high, wide = mask.shape
        left, top = _free_place(box, wide, high, width, height, taken)
        taken.append((left, top, left + wide, top + high))
        part = canvas[top : top + high, left : left + wide]
        part[:] = _ground_to_ink(colour)[mask[: part.shape[0], : part.shape[1]]]  # (h, w) -> (h, w, 3)


def _free_place(
    box: NDArray[Any], wide: int, high: int, width: int, height: int, taken: Iterable[tuple[int, int, int, int]]
) -> tuple[int, int]:
    """Left and top of a label: above its box, else inside it, else below, inside the picture."""
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    right = x2 - wide
    places = ((x1, y1 - high), (x1, y1), (right, y1 - high), (right, y1), (x1, y2 - high), (x1, y2), (right, y2 - high))
    farthest = max(0, width - wide), max(0, height - high)
    inside = [(min(max(x, 0), farthest[0]), min(max(y, 0), farthest[1])) for x, y in places]
    for x, y in inside:
        if not any(x < t[2] and t[0] < x + wide and y < t[3] and t[1] < y + high for t in taken):
            return x, y
    return inside[0]


def label_text(name: str, score: float) -> str:
    """A class's name with its score in percent.

    >>> label_text("cat", 0.874)
    'cat 87 %'
    """
    return f"{name} {100 * score:.0f} %"


def draw_detections(image: Image, found: ImageDetections, class_names: tuple[str, ...]) -> Image:
    """A copy of the picture with every box, its class's name and its score in percent; the best lie on top.

    Raises:
        PictureError: If the array is no picture.
    """
    check_picture(image)
    canvas = np.ascontiguousarray(image).copy()
    best_first = np.argsort(-found.scores, kind="stable")
    colours = [class_colour(int(class_id)) for class_id in found.class_ids[best_first]]
    boxes, width = found.boxes_xyxy[best_first], line_px(canvas)
    for box, colour in zip(boxes[::-1], colours[::-1], strict=True):
        draw_box(canvas, box, colour, width)
    texts = [
        label_text(class_names[int(class_id)], float(score))
        for class_id, score in zip(found.class_ids[best_first], found.scores[best_first], strict=True)
    ]
    draw_labels(canvas, boxes, texts, colours)
    return canvas


def draw_outlines(canvas: Image, boxes_xyxy: NDArray[Any], class_ids: NDArray[Any]) -> None:
    """Draw many boxes as thin outlines in the colours of their classes, the first ones on top."""
    width = max(1, line_px(canvas) // 3)
    for box, class_id in zip(boxes_xyxy[::-1], class_ids[::-1], strict=True):
        draw_box(canvas, box, class_colour(int(class_id)), width)


def draw_grid(canvas: Image, side_px: float) -> None:
    """Draw the lines of a grid from the upper left corner, light with a dark edge so that they show on any ground.

    Raises:
        ValueError: If the cells' side is not over one pixel.
    """
    if not side_px > 1:
        raise ValueError(f"expected cells of more than one pixel, received {side_px}")
    height, width = canvas.shape[:2]
    for axis, length in ((1, width), (0, height)):
        for line in range(1, math.ceil(length / side_px)):
            place = round(line * side_px)
            for offset, colour in ((1, DARK), (0, LIGHT)):
                if place + offset < length:
                    strip = canvas[:, place + offset] if axis else canvas[place + offset]
                    strip[:] = (strip.astype(np.uint16) + np.array(colour, np.uint16)) // 2


def draw_cells(canvas: Image, cells_xyxy: NDArray[Any], colours: Sequence[Colour], opacity: float = 0.55) -> None:
    """Fill cells with see-through colours, and frame them."""
    height, width = canvas.shape[:2]
    for cell, colour in zip(cells_xyxy, colours, strict=True):
        x1, y1, x2, y2 = (round(float(value)) for value in cell)
        part = canvas[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
        part[:] = ((1 - opacity) * part + opacity * np.array(colour)).astype(np.uint8)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), LIGHT, max(1, line_px(canvas) // 2))


def draw_dots(canvas: Image, points_xy: NDArray[Any], colours: Sequence[Colour]) -> None:
    """Mark points (n, 2) with dots in a light ring."""
    radius = 2 * line_px(canvas)
    for (x, y), colour in zip(points_xy, colours, strict=True):
        centre = (round(float(x)), round(float(y)))
        cv2.circle(canvas, centre, radius + max(1, radius // 3), LIGHT, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(canvas, centre, radius, colour, cv2.FILLED, cv2.LINE_AA)
