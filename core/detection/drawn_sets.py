"""Annotated pictures that the project draws itself, so that data sets are there without a download.

`streets` holds drawn pedestrians, cars and motorcycles, the classes of the course notes' own example, in
shapes that are as tall or as wide as theirs. `kites` shows kites before photographs: a class that the embedded
detector does not know. `collages` puts cuts of the sample photographs, a person, a cat and a motorcycle, at
any place and size on drawn grounds: classes that it does know.

Arrays: pictures RGB uint8 (H, W, 3); boxes xyxy float32 (n, 4) in pixels; class ids int64 (n,). The same seed
gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.annotated_zip import AnnotatedZip
from core.detection.annotations import AnnotatedPicture, AnnotatedSet
from core.detection.boxes import pairwise_iou
from core.runtime.images import encode_jpeg, fit_within
from core.runtime.samples import load_sample
from core.runtime.scenes import PALETTE

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Points = list[tuple[float, float]]
DARK = (38, 44, 58)
SKIN = (222, 178, 146)
# An object is not drawn where it would cover more of another than this.
MAX_OVERLAP = 0.05


@dataclass(frozen=True)
class DrawnPicture:
    """A picture and what was drawn into it."""

    pixels: Image
    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]


def _fill(canvas: Image, box: Box, points: Points, colour: tuple[int, ...]) -> None:
    """Fill a polygon whose corners are told in fractions of a box."""
    corner, size = np.array(box[:2]), np.array(box[2:]) - np.array(box[:2])
    corners = np.round((corner + np.array(points) * size) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [corners], colour, cv2.LINE_AA, 4)


def _disc(canvas: Image, box: Box, centre: tuple[float, float], radius: float, colour: tuple[int, ...]) -> None:
    """Fill a circle; the radius is told in fractions of the box's width."""
    width, height = box[2] - box[0], box[3] - box[1]
    at = (round((box[0] + centre[0] * width) * 16), round((box[1] + centre[1] * height) * 16))
    cv2.circle(canvas, at, round(radius * width * 16), colour, cv2.FILLED, cv2.LINE_AA, 4)


def _rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _pedestrian(canvas: Image, box: Box, colour: tuple[int, ...]) -> None:
    _fill(canvas, box, [(0.2, 1), (0.5, 1), (0.55, 0.5), (0.3, 0.5)], DARK)
    _fill(canvas, box, [(0.62, 1), (0.9, 1), (0.75, 0.5), (0.45, 0.5)], DARK)
    _fill(canvas, box, [(0.0, 0.55), (0.3, 0.2), (0.7, 0.2), (1.0, 0.55), (0.8, 0.56), (0.7, 0.6), (0.3, 0.6)], colour)
    _disc(canvas, box, (0.5, 0.11), 0.11 * (box[3] - box[1]) / (box[2] - box[0]), SKIN)


def _car(canvas: Image, box: Box, colour: tuple[int, ...]) -> None:
    _fill(canvas, box, [(0.16, 0.42), (0.3, 0.0), (0.7, 0.0), (0.88, 0.42)], colour)
    _fill(canvas, box, [(0.25, 0.4), (0.34, 0.1), (0.48, 0.1), (0.48, 0.4)], (205, 226, 238))
    _fill(canvas, box, [(0.53, 0.4), (0.53, 0.1), (0.67, 0.1), (0.78, 0.4)], (205, 226, 238))
    _fill(canvas, box, [(0, 0.5), (0.12, 0.4), (0.92, 0.4), (1, 0.52), (1, 0.8), (0, 0.8)], colour)
    radius = 0.2 * (box[3] - box[1]) / (box[2] - box[0])
    for x in (0.22, 0.78):
        _disc(canvas, box, (x, 0.8), radius, DARK)
        _disc(canvas, box, (x, 0.8), radius * 0.5, (196, 200, 206))


def _motorcycle(canvas: Image, box: Box, colour: tuple[int, ...]) -> None:
    for x in (0.2, 0.8):
        _disc(canvas, box, (x, 1 - 0.2 * (box[2] - box[0]) / (box[3] - box[1])), 0.2, DARK)
        _disc(canvas, box, (x, 1 - 0.2 * (box[2] - box[0]) / (box[3] - box[1])), 0.11, (196, 200, 206))
    _fill(canvas, box, [(0.2, 0.7), (0.05, 0.3), (0.5, 0.3), (0.72, 0.1), (0.82, 0.2), (0.62, 0.78)], colour)
    _fill(canvas, box, [(0.66, 0.02), (0.88, 0.0), (0.86, 0.09), (0.76, 0.1), (0.84, 0.7), (0.78, 0.7)], DARK)


def _kite(canvas: Image, box: Box, colour: tuple[int, ...]) -> None:
    other = tuple(255 - value // 2 for value in colour)
    _fill(canvas, box, [(0.5, 0), (1, 0.35), (0.5, 1)], colour)
    _fill(canvas, box, [(0.5, 0), (0, 0.35), (0.5, 1)], other)
    _fill(canvas, box, [(0.48, 0), (0.52, 0), (0.52, 1), (0.48, 1)], DARK)
    _fill(canvas, box, [(0, 0.34), (1, 0.34), (1, 0.37), (0, 0.37)], DARK)


def _place(
    boxes: list[Box], width: float, height: float, size: tuple[int, int], rng: np.random.Generator
) -> Box | None:
    """A place for an object of this size in a picture (width, height) where it hides no other; None if crowded."""
    for _ in range(30):
        left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
        box = (float(left), float(top), float(left + width), float(top + height))
        if not boxes or pairwise_iou(np.array([box]), np.array(boxes)).max() <= MAX_OVERLAP:
            return box
    return None


def _finished(canvas: Image, boxes: list[Box], class_ids: list[int]) -> DrawnPicture:
    return DrawnPicture(canvas, np.array(boxes, np.float32).reshape(-1, 4), np.array(class_ids, np.int64).reshape(-1))


def draw_street(seed: int, size: tuple[int, int] = (384, 288)) -> DrawnPicture:
    """One to six pedestrians (0), cars (1) and motorcycles (2) on a road, larger the nearer they stand."""
    rng = np.random.default_rng([1, seed])
    width, height = size
    canvas = np.empty((height, width, 3), np.uint8)
    horizon = round(height * rng.uniform(0.3, 0.45))
    canvas[:horizon] = np.linspace((150, 197, 233), (235, 243, 247), horizon).round()[:, None]
    canvas[horizon:] = np.linspace((150, 154, 150), (104, 108, 114), height - horizon).round()[:, None]
    boxes: list[Box] = []
    class_ids: list[int] = []
    for _ in range(int(rng.integers(1, 7))):
        kind = int(rng.integers(3))
        near = rng.uniform(0.25, 1.0)
        tall = near * height * (0.62, 0.3, 0.36)[kind] * rng.uniform(0.9, 1.1)
        wide = tall * (0.36, 2.3, 1.5)[kind] * rng.uniform(0.88, 1.12)
        left = rng.uniform(0, width - wide)
        bottom = min(horizon + near * (height - horizon) * 1.0, height - 1)
        box = (float(left), float(max(bottom - tall, 0)), float(left + wide), float(bottom))
        if boxes and pairwise_iou(np.array([box]), np.array(boxes)).max() > MAX_OVERLAP:
            continue
        boxes.append(box)
        class_ids.append(kind)
    # Whoever stands nearer is drawn over those behind.
    for index in np.argsort([box[3] for box in boxes], kind="stable"):
        draw = (_pedestrian, _car, _motorcycle)[class_ids[index]]
        draw(canvas, boxes[index], PALETTE[int(rng.integers(len(PALETTE)))])
    return _finished(canvas, boxes, class_ids)


def draw_alone(seed: int, size: tuple[int, int] = (128, 128), empty: float = 0.25) -> DrawnPicture:
    """A road with one pedestrian (0), car (1) or motorcycle (2) at any place, or with none in `empty` of all seeds."""
    rng = np.random.default_rng([4, seed])
    width, height = size
    canvas = np.empty((height, width, 3), np.uint8)
    horizon = round(height * rng.uniform(0.2, 0.6))
    sky, ground = rng.integers(120, 250, (2, 3)), rng.integers(60, 170, (2, 3))
    canvas[:horizon] = np.linspace(sky[0], sky[1], horizon).round()[:, None]
    canvas[horizon:] = np.linspace(ground[0], ground[1], height - horizon).round()[:, None]
    for _ in range(int(rng.integers(0, 5))):  # houses and poles, which are nothing to find
        wide, tall = rng.uniform(0.04, 0.3) * width, rng.uniform(0.1, 0.35) * height
        left = rng.uniform(-0.1, 0.95) * width
        block = (float(left), float(horizon - tall), float(left + wide), float(horizon))
        _fill(canvas, block, _rectangle(0, 0, 1, 1), tuple(int(value) for value in rng.integers(90, 200, 3)))
    if rng.random() < empty:
        return _finished(canvas, [], [])
    kind = int(rng.integers(3))
    tall = rng.uniform(0.3, 1.0) * height * (0.85, 0.42, 0.55)[kind]
    wide = min(tall * (0.36, 2.3, 1.5)[kind] * rng.uniform(0.88, 1.12), 0.95 * width)
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - tall)
    box = (float(left), float(top), float(left + wide), float(top + tall))
    draw = (_pedestrian, _car, _motorcycle)[kind]
    draw(canvas, box, PALETTE[int(rng.integers(len(PALETTE)))])
    return _finished(canvas, [box], [kind])


PHOTOGRAPHS = ("china", "flower", "rocket", "coffee", "grass", "brick", "hubble_deep_field", "chelsea", "astronaut")


def draw_kites(seed: int, size: tuple[int, int] = (320, 256)) -> DrawnPicture:
    """One to three kites (0) of any colour, size and stretch before a part of a photograph."""
    rng = np.random.default_rng([2, seed])
    ground = load_sample(PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))])
    canvas = _part(ground, size, rng)
    boxes: list[Box] = []
    for _ in range(int(rng.integers(1, 4))):
        tall = rng.uniform(0.16, 0.5) * size[1]
        box = _place(boxes, tall * rng.uniform(0.5, 0.9), tall, size, rng)
        if box is not None:
            _kite(canvas, box, tuple(int(value) for value in rng.integers(0, 256, 3)))
            boxes.append(box)
    return _finished(canvas, boxes, [0] * len(boxes))


def _part(ground: Image, size: tuple[int, int], rng: np.random.Generator) -> Image:
    """A random part of a picture, scaled to a size (width, height)."""
    rows, columns = ground.shape[:2]
    share = rng.uniform(0.5, 1.0)
    wide = share * min(columns, rows * size[0] / size[1])
    tall = wide * size[1] / size[0]
    left, top = int(rng.uniform(0, columns - wide)), int(rng.uniform(0, rows - tall))
    cut = ground[top : top + int(tall), left : left + int(wide)]
    return np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8).copy()


# What is cut from a sample photograph (xyxy in its pixels), and the box of the object inside the cut.
CUTS: dict[str, tuple[str, tuple[int, int, int, int], Box]] = {
    "person": ("astronaut", (0, 0, 420, 512), (22, 14, 365, 512)),
    "cat": ("chelsea", (0, 0, 451, 300), (0, 0, 402, 300)),
    "motorcycle": ("motorcycle", (60, 40, 720, 480), (37, 34, 624, 412)),
}
COLLAGE_CLASSES = ("person", "cat", "motorcycle")


def draw_collage(seed: int, size: tuple[int, int] = (480, 360)) -> DrawnPicture:
    """One to three cuts of photographs: persons (0), cats (1), motorcycles (2), mirrored and lit at random."""
    rng = np.random.default_rng([3, seed])
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    top, bottom = rng.integers(90, 240, 3), rng.integers(60, 220, 3)
    canvas[:] = np.linspace(top, bottom, size[1]).round()[:, None]
    boxes: list[Box] = []
    covered: list[Box] = []
    class_ids: list[int] = []
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(len(COLLAGE_CLASSES)))
        sample, (x1, y1, x2, y2), inner = CUTS[COLLAGE_CLASSES[kind]]
        scale = rng.uniform(0.35, 0.85) * min(size[0] / (x2 - x1), size[1] / (y2 - y1))
        wide, tall = round((x2 - x1) * scale), round((y2 - y1) * scale)
        place = _place(covered, wide, tall, size, rng)
        if place is None:
            continue
        left, upper = int(place[0]), int(place[1])
        cut = cv2.resize(load_sample(sample)[y1:y2, x1:x2], (wide, tall), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            cut = cut[:, ::-1]
            inner = (x2 - x1 - inner[2], inner[1], x2 - x1 - inner[0], inner[3])
        lit = np.clip(cut.astype(np.float32) * rng.uniform(0.7, 1.2), 0, 255)
        canvas[upper : upper + tall, left : left + wide] = lit.astype(np.uint8)
        covered.append(place)
        x, y = (scale * np.array(inner).reshape(2, 2) + np.array([left, upper])).T
        boxes.append((float(x[0]), float(y[0]), float(x[1]), float(y[1])))
        class_ids.append(kind)
    return _finished(canvas, boxes, class_ids)


@dataclass(frozen=True)
class DrawnSet:
    """A kind of drawn pictures: what it shows, its classes, and the function that draws one by its seed."""

    label: str
    class_names: tuple[str, ...]
    draw: Callable[[int], DrawnPicture]


DRAWN_SETS: dict[str, DrawnSet] = {
    "streets": DrawnSet("Streets (drawn)", ("pedestrian", "car", "motorcycle"), draw_street),
    "kites": DrawnSet("Kites before photographs (drawn)", ("kite",), draw_kites),
    "collages": DrawnSet("Collages of the sample photographs", COLLAGE_CLASSES, draw_collage),
}


def drawn_zip(name: str, count: int, seed: int = 0) -> AnnotatedZip:
    """A set of drawn pictures with their annotations, as if read from a zip.

    Raises:
        KeyError: If there is no drawn set of that name.

    >>> drawn_zip("streets", 2).annotations.pictures[0].file_name
    'streets_0000.jpg'
    """
    chosen = DRAWN_SETS[name]
    pictures: dict[str, bytes] = {}
    annotated = []
    for index in range(count):
        drawn = chosen.draw(seed * 10_000 + index)
        file_name = f"{name}_{index:04d}.jpg"
        pictures[file_name] = encode_jpeg(fit_within(drawn.pixels, 1024), 92)
        height, width = drawn.pixels.shape[:2]
        annotated.append(AnnotatedPicture(file_name, (width, height), drawn.boxes_xyxy, drawn.class_ids))
    return AnnotatedZip(AnnotatedSet(chosen.class_names, tuple(annotated)), pictures, "drawn")
