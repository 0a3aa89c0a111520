"""The detection archive for training: photographs, boxes, and what is known to be annotated completely.

A folder holds `detection.npz` (JPEG bytes laid end to end; image i is `jpeg[offsets[i]:offsets[i + 1]]`),
`detection.json` (the COCO layout of Lin et al. 2014, with `split`, `source` and `exhaustive` for each image)
and, as an option, `teacher_boxes.json` (what another detector saw in the same images).

Where a class is not exhaustive in an image an object of it may be there without a box: nothing may be learned
from the absence of a box then, and evaluation leaves the class out on that image.

Arrays: images RGB uint8 (H, W, 3); boxes xyxy float32 (n, 4) in pixels; class ids int64 (n,); exhaustive bool
(C,).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


class DatasetError(ValueError):
    """The data set cannot be used; the message says which part and why."""


@dataclass(frozen=True)
class TeacherBoxes:
    """Boxes that another detector saw in an image, of the data set's classes, best first."""

    boxes_xyxy: Boxes
    class_ids: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class DetectionRecord:
    """One image of the archive and what is known about it."""

    image_id: int
    file_name: str
    width_px: int
    height_px: int
    split: str
    source: str
    exhaustive: NDArray[np.bool_]
    boxes_xyxy: Boxes
    class_ids: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]
    teacher: TeacherBoxes | None = None


@dataclass(frozen=True)
class DetectionArchive:
    """All images of a folder; pictures are decoded when asked for."""

    class_names: tuple[str, ...]
    records: tuple[DetectionRecord, ...]
    jpeg: NDArray[np.uint8] = field(repr=False)
    offsets: NDArray[np.int64] = field(repr=False)

    def indices(self, split: str) -> list[int]:
        """Positions of the images of a split, in the archive's order."""
        return [index for index, record in enumerate(self.records) if record.split == split]

    def image(self, index: int) -> NDArray[np.uint8]:
        """RGB picture at a position.

        Raises:
            DatasetError: If its bytes are no picture.
        """
        data = self.jpeg[self.offsets[index] : self.offsets[index + 1]]
        return decode_rgb(data, self.records[index].file_name)


def decode_rgb(data: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Picture (H, W, 3) from the bytes of a JPEG.

    Raises:
        DatasetError: If the bytes are no picture.
    """
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if picture is None:
        raise DatasetError(f"picture {name} of the archive cannot be decoded")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)  # BGR -> RGB


def load_archive(folder: Path) -> DetectionArchive:
    """Read a folder with `detection.npz` and `detection.json`, and `teacher_boxes.json` where there is one.

    Raises:
        DatasetError: If a file is missing or pictures and annotations do not fit together.
    """
    for name in ("detection.npz", "detection.json"):
        if not (folder / name).is_file():
            raise DatasetError(f"expected {name} in {folder}, found none")
    layout = json.loads((folder / "detection.json").read_text(encoding="utf-8"))
    names = tuple(category["name"] for category in layout["categories"])
    class_of = {category["id"]: index for index, category in enumerate(layout["categories"])}
    with np.load(folder / "detection.npz", allow_pickle=False) as arrays:
        jpeg, offsets = arrays["jpeg"], arrays["offsets"]
    if len(offsets) != len(layout["images"]) + 1:
        raise DatasetError(f"expected {len(layout['images'])} pictures, found {len(offsets) - 1}")
    annotations: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in layout["images"]}
    for annotation in layout["annotations"]:
        if annotation["image_id"] not in annotations:
            raise DatasetError(f"annotation {annotation['id']} names image {annotation['image_id']}, which is missing")
        annotations[annotation["image_id"]].append(annotation)
    teacher_file = folder / "teacher_boxes.json"
    teacher = _read_teacher(teacher_file, names) if teacher_file.is_file() else {}
    records = tuple(
        _record(image, annotations[image["id"]], names, class_of, teacher.get(image["id"], []))
        for image in layout["images"]
    )
    return DetectionArchive(names, records, jpeg, offsets)


def _read_teacher(path: Path, names: tuple[str, ...]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for box in json.loads(path.read_text(encoding="utf-8")):
        if box["category"] in names:
            found.setdefault(box["image_id"], []).append(box)
    return found


def _xyxy(bboxes: list[list[float]]) -> Boxes:
    boxes = np.array(bboxes, np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]  # x, y, w, h -> x1, y1, x2, y2
    return boxes


def _record(
    image: dict[str, Any],
    annotations: list[dict[str, Any]],
    names: tuple[str, ...],
    class_of: dict[int, int],
    teacher: list[dict[str, Any]],
) -> DetectionRecord:
    teacher = sorted(teacher, key=lambda box: -box["score"])
    exhaustive = set(image.get("exhaustive", names))
    return DetectionRecord(
        image_id=image["id"],
        file_name=image["file_name"],
        width_px=image["width"],
        height_px=image["height"],
        split=image.get("split", "train"),
        source=image.get("source", ""),
        exhaustive=np.array([name in exhaustive for name in names]),
        boxes_xyxy=_xyxy([annotation["bbox"] for annotation in annotations]),
        class_ids=np.array([class_of[a["category_id"]] for a in annotations], np.int64),
        is_crowd=np.array([bool(a.get("iscrowd", 0)) for a in annotations], np.bool_),
        teacher=TeacherBoxes(
            _xyxy([box["bbox"] for box in teacher]),
            np.array([names.index(box["category"]) for box in teacher], np.int64),
            np.array([box["score"] for box in teacher], np.float32),
        ),
    )
