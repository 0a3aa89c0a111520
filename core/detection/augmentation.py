"""Augmentation of labelled images: scale, shift, mirror, mosaic of four, and colour.

Mosaics come from YOLOv4 (Bochkovskiy et al. 2020, section 3.3): four pictures share one canvas, so that a
step sees four times the objects, at smaller sizes and in other surroundings. What may be learned from the
absence of a box differs from picture to picture, so the canvas carries a background weight for every cell and
class.

Arrays: canvas RGB uint8 (S, S, 3); boxes xyxy float32 (n, 4) in pixels of the canvas; background float32 (A,
C) for the A cells of the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import box_areas
from core.detection.labels import Labels

PADDING = 114
# A box that keeps less of its area than this after a cut is ignored, neither object nor background.
MIN_VISIBLE = 0.3
MIN_SIDE_PX = 3.0
Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Placement:
    """Where a picture goes: canvas x = scale_x * x + shift_x (the same for y), shown inside `window` xyxy."""

    scale_x: float
    scale_y: float
    shift_x: float
    shift_y: float
    window: tuple[int, int, int, int]


@dataclass(frozen=True)
class Canvas:
    """A picture to train on, with its boxes, their weights, and the weights of the background."""

    image: Image
    boxes_xyxy: Floats
    class_ids: NDArray[np.int64]
    weights: Floats
    background: Floats


def move_boxes(boxes_xyxy: Floats, placement: Placement) -> Floats:
    """Boxes in the coordinates of the canvas, not yet cut at the window; a mirror keeps left < right."""
    scale = np.array([placement.scale_x, placement.scale_y] * 2, np.float32)
    shift = np.array([placement.shift_x, placement.shift_y] * 2, np.float32)
    moved = boxes_xyxy * scale + shift
    return np.concatenate([np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])], axis=1)


def letterbox(width_px: int, height_px: int, size_px: int) -> Placement:
    """The largest scale at which the picture fits a square, upper left, as at inference.

    >>> letterbox(200, 100, 64)
    Placement(scale_x=0.32, scale_y=0.32, shift_x=0.0, shift_y=0.0, window=(0, 0, 64, 32))
    """
    scale = size_px / max(width_px, height_px)
    return Placement(scale, scale, 0.0, 0.0, (0, 0, round(width_px * scale), round(height_px * scale)))


def random_placement(
    width_px: int, height_px: int, window: tuple[int, int, int, int], rng: np.random.Generator, mosaic: bool
) -> Placement:
    """A random scale, stretch, shift and mirror of a picture inside a window of the canvas."""
    room_w, room_h = window[2] - window[0], window[3] - window[1]
    fit, cover = sorted([room_w / width_px, room_h / height_px])
    low, high = (fit, 1.4 * cover) if mosaic else (0.65 * fit, 1.5 * fit)
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    stretch = float(np.exp(rng.uniform(-0.12, 0.12)))
    scale_x, scale_y = scale * stretch, scale / stretch
    spare_x, spare_y = room_w - scale_x * width_px, room_h - scale_y * height_px
    left = window[0] + spare_x * rng.random()
    top = window[1] + spare_y * rng.random()
    shown = (
        max(window[0], int(left)),
        max(window[1], int(top)),
        min(window[2], int(np.ceil(left + scale_x * width_px))),
        min(window[3], int(np.ceil(top + scale_y * height_px))),
    )
    if rng.random() < 0.5:  # mirrored: x runs backwards from the right side
        return Placement(-scale_x, scale_y, left + scale_x * width_px, top, shown)
    return Placement(scale_x, scale_y, left, top, shown)


def mosaic_windows(size_px: int, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """Four windows that tile the canvas around a random centre."""
    x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * size_px)
    return [(0, 0, x, y), (x, 0, size_px, y), (0, y, x, size_px), (x, y, size_px, size_px)]


def compose(parts: list[tuple[Image, Labels, Placement]], size_px: int, cells: Floats) -> Canvas:
    """Draw pictures on a canvas and carry their boxes and background weights over.

    `cells` (A, 3) are the centres of the network's cells. Boxes are cut at the window; what is left of a box
    that is mostly cut off becomes a region that is ignored.
    """
    canvas = np.full((size_px, size_px, 3), PADDING, np.uint8)
    class_count = len(parts[0][1].background)
    background = np.ones((len(cells), class_count), np.float32)  # (A, C); padding is known to be empty
    kept: list[tuple[Floats, NDArray[np.int64], Floats]] = []
    ignored: list[tuple[Floats, NDArray[np.int64]]] = []
    for image, labels, place in parts:
        x1, y1, x2, y2 = place.window
        if x2 <= x1 or y2 <= y1:
            continue
        matrix = np.array([[place.scale_x, 0, place.shift_x - x1], [0, place.scale_y, place.shift_y - y1]])
        # Half a pixel: OpenCV places pixel centres on whole numbers, boxes put them in the middle of a pixel.
        matrix[:, 2] += 0.5 * (np.array([place.scale_x, place.scale_y]) - 1)
        border = (PADDING, PADDING, PADDING)
        smooth = cv2.INTER_AREA if place.scale_y < 0.6 else cv2.INTER_LINEAR
        cv2.warpAffine(image, matrix, (x2 - x1, y2 - y1), canvas[y1:y2, x1:x2], smooth, cv2.BORDER_CONSTANT, border)
        background[inside(cells, np.array(place.window, np.float32))] = labels.background
        moved = move_boxes(labels.boxes_xyxy, place)
        limits = np.array([[x1, y1, x2, y2]], np.float32)
        cut = np.clip(moved, limits[:, [0, 1, 0, 1]], limits[:, [2, 3, 2, 3]])
        sides = cut[:, 2:] - cut[:, :2]
        whole = np.maximum(box_areas(moved), 1e-6)
        visible = (sides.min(axis=1, initial=np.inf) >= MIN_SIDE_PX) & (box_areas(cut) / whole >= MIN_VISIBLE)
        kept.append((cut[visible], labels.class_ids[visible], labels.weights[visible]))
        ignored.append((cut[~visible], labels.class_ids[~visible]))
        lost = np.clip(move_boxes(labels.ignored_xyxy, place), limits[:, [0, 1, 0, 1]], limits[:, [2, 3, 2, 3]])
        ignored.append((lost, labels.ignored_class_ids))
    for boxes, ids in ignored:
        for box, class_id in zip(boxes, ids, strict=True):
            background[inside(cells, box), class_id] = 0.0
    return Canvas(
        canvas,
        np.concatenate([boxes for boxes, _, _ in kept]) if kept else np.zeros((0, 4), np.float32),
        np.concatenate([ids for _, ids, _ in kept]) if kept else np.zeros(0, np.int64),
        np.concatenate([weights for _, _, weights in kept]) if kept else np.zeros(0, np.float32),
        background,
    )


def inside(cells: Floats, box: Floats) -> NDArray[np.bool_]:
    """Cells whose centre lies in the box: (A,)."""
    x, y = cells[:, 0], cells[:, 1]
    return np.asarray((x >= box[0]) & (y >= box[1]) & (x < box[2]) & (y < box[3]))


def recolour(image: Image, rng: np.random.Generator) -> Image:
    """Other brightness, contrast, white balance and gamma; one picture in twenty loses its colour."""
    levels = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.uniform(-0.3, 0.3))  # (256, 1)
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3)
    table = np.clip((levels * gain + rng.uniform(-0.08, 0.08)) * 255, 0, 255).astype(np.uint8)  # (256, 3)
    result = cv2.LUT(image, np.ascontiguousarray(table[None]))
    if rng.random() < 0.05:
        grey = cv2.cvtColor(result, cv2.COLOR_RGB2GRAY)
        result = np.repeat(grey[..., None], 3, axis=2)  # (S, S) -> (S, S, 3)
    return np.asarray(result, np.uint8)
