"""What the window classifier learns from: crops of objects and windows of background in the detection archive.

Arrays: photographs RGB uint8 (H, W, 3); crops (64, 64, 3) uint8; boxes xyxy float32 (n, 4) in pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import pairwise_iou
from core.detection.datasets import DetectionArchive, DetectionRecord
from core.detection.sliding_windows import WINDOW_PX

# What the network tells apart, and the annotated classes that each is made of.
GROUPS: dict[str, tuple[str, ...]] = {
    "person": ("person",),
    "vehicle": ("car", "truck", "bus"),
    "motorcycle": ("motorcycle",),
    "cat": ("cat",),
    "dog": ("dog",),
    "hoofed animal": ("sheep", "horse", "cow"),
}
CLASS_NAMES = tuple(GROUPS)
SMALLEST_OBJECT_PX = 32
TEACHER_SCORE = 0.5
# Part of its box that a crop must show, and how far a window of background may overlap an object.
LEAST_SEEN = 0.6
MOST_IOU = 0.2
# A window inside a large object is background too, but mostly such windows are left out: a face is a person. One that
# shows no more than a twentieth of the object, an eye or a wheel, is taught more often.
INSIDE, INSIDE_CHANCE = 0.6, 0.3
SMALL_PART_IOU, SMALL_PART_CHANCE = 0.05, 0.7
MARGIN = 1.15

Image = NDArray[np.uint8]
Square = tuple[float, float, float]  # left, top, side in pixels


@dataclass
class Scenes:
    """Photographs of a split with their objects, decoded when needed; `mined` holds hard windows of background.

    `small_part_chance` is how often a window that lies inside a much larger object counts as background.
    """

    archive: DetectionArchive
    indices: list[int]
    use_teacher: bool
    small_part_chance: float = INSIDE_CHANCE
    mined: list[tuple[int, Square]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """List the objects of each group."""
        self._decoded: OrderedDict[int, Image] = OrderedDict()
        self.taken = {index: self._taken(self.archive.records[index]) for index in self.indices}
        self.objects: list[list[tuple[int, NDArray[np.float32]]]] = [[] for _ in GROUPS]
        for index in self.indices:
            for box, group in self._objects(self.archive.records[index]):
                self.objects[group].append((index, box))

    def picture(self, index: int) -> Image:
        """A photograph, decoded once."""
        if index not in self._decoded:
            self._decoded[index] = self.archive.image(index)
        return self._decoded[index]

    def _group(self, class_id: int) -> int | None:
        name = self.archive.class_names[class_id]
        return next((i for i, members in enumerate(GROUPS.values()) if name in members), None)

    def _objects(self, record: DetectionRecord) -> list[tuple[NDArray[np.float32], int]]:
        found = list(zip(record.boxes_xyxy[~record.is_crowd], record.class_ids[~record.is_crowd], strict=True))
        if self.use_teacher and record.teacher is not None:
            known = record.boxes_xyxy
            for box, class_id, score in zip(
                record.teacher.boxes_xyxy, record.teacher.class_ids, record.teacher.scores, strict=True
            ):
                if score >= TEACHER_SCORE and (not len(known) or pairwise_iou(box[None], known).max() < 0.4):
                    found.append((box, class_id))
        grouped = [(box, self._group(int(class_id))) for box, class_id in found]
        return [
            (box, group)
            for box, group in grouped
            if group is not None and max(box[2:] - box[:2]) >= SMALLEST_OBJECT_PX and min(box[2:] - box[:2]) >= 12
        ]

    def _taken(self, record: DetectionRecord) -> NDArray[np.float32]:
        """Boxes (n, 4) that no window of background may lie on."""
        boxes = [record.boxes_xyxy]
        if self.use_teacher and record.teacher is not None:
            boxes.append(record.teacher.boxes_xyxy)
        return np.concatenate(boxes)

    def object_square(self, index: int, box: NDArray[np.float32], rng: np.random.Generator | None) -> Square | None:
        """A square window around an object, inside the photograph as a sliding window is; None if it shows too little.

        `rng` moves and stretches it; without one it lies in the middle with a margin.
        """
        height, width = self.picture(index).shape[:2]
        side = float(max(box[2:] - box[:2])) * (MARGIN if rng is None else float(np.exp(rng.uniform(-0.05, 0.32))))
        side = min(side, height, width)
        middle = (box[:2] + box[2:]) / 2
        if rng is not None:
            middle = middle + rng.uniform(-0.08, 0.08, 2) * side
        left = float(np.clip(middle[0] - side / 2, 0, width - side))
        top = float(np.clip(middle[1] - side / 2, 0, height - side))
        shown = np.maximum(np.minimum(box[2:], (left + side, top + side)) - np.maximum(box[:2], (left, top)), 0)
        return (left, top, side) if shown.prod() >= LEAST_SEEN * (box[2:] - box[:2]).prod() else None

    def is_background(self, index: int, square: Square, rng: np.random.Generator) -> bool:
        """Whether a window may be taught as background."""
        taken = self.taken[index]
        if not len(taken):
            return True
        left, top, side = square
        window = np.array([[left, top, left + side, top + side]], np.float32)
        iou = float(pairwise_iou(window, taken).max())
        if iou >= MOST_IOU:
            return False
        shared = np.maximum(np.minimum(window[0, 2:], taken[:, 2:]) - np.maximum(window[0, :2], taken[:, :2]), 0)
        if shared.prod(axis=1).max() <= INSIDE * side * side:
            return True
        return bool(rng.random() < (self.small_part_chance if iou < SMALL_PART_IOU else INSIDE_CHANCE))

    def background_square(self, rng: np.random.Generator, index: int | None = None) -> tuple[int, Square]:
        """A random window without an object, of any size from 32 px to the whole photograph."""
        for _ in range(1000):
            chosen = self.indices[int(rng.integers(len(self.indices)))] if index is None else index
            height, width = self.picture(chosen).shape[:2]
            side = float(np.exp(rng.uniform(np.log(32), np.log(min(height, width)))))
            square = (float(rng.uniform(0, width - side)), float(rng.uniform(0, height - side)), side)
            if self.is_background(chosen, square, rng):
                return chosen, square
        raise ValueError("found no window without an object in a thousand tries")

    def crop(self, index: int, square: Square, *, mirrored: bool = False) -> Image:
        """The pixels of a window, scaled to 64 px."""
        return cut_square(self.picture(index), square, mirrored=mirrored)


def cut_square(picture: Image, square: Square, *, mirrored: bool = False) -> Image:
    """A square of a picture scaled to the window's size; shrunk by areas, so that nothing flickers."""
    left, top, side = square
    x, y, size = round(left), round(top), max(8, round(side))
    part = picture[y : y + size, x : x + size]
    smooth = cv2.INTER_AREA if size > WINDOW_PX else cv2.INTER_LINEAR
    part = np.asarray(cv2.resize(part, (WINDOW_PX, WINDOW_PX), interpolation=smooth), np.uint8)
    return np.ascontiguousarray(part[:, ::-1]) if mirrored else part
