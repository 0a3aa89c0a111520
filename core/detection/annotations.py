"""Annotated pictures in the three formats that people have: YOLO text, VOC XML and COCO JSON.

YOLO: a text file a picture, a line an object: class number, midpoint x, y, width, height, all four in
fractions of the picture; `classes.txt` or the `names` of `data.yaml` name the classes. VOC: an XML file a
picture with the corners of each object in pixels. COCO: one JSON for all, `bbox` as left, top, width, height
in pixels (Lin et al. 2014).

Arrays: boxes xyxy float32 (n, 4) in pixels; class ids int64 (n,).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

# Drawing tools round: a box may pass the border by this much before it counts as outside.
SLACK_PX = 2.0
MAX_OBJECTS = 10_000


class AnnotationError(ValueError):
    """Annotations that cannot be used; the text is a sentence for the person who made them."""


@dataclass(frozen=True)
class AnnotatedObject:
    """One object as a file states it: class name, corners in pixels."""

    name: str
    xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture's name, its size (width, height) in pixels, and its objects."""

    file_name: str
    size_px: tuple[int, int]
    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]


@dataclass(frozen=True)
class AnnotatedSet:
    """Annotated pictures and the names of their classes."""

    class_names: tuple[str, ...]
    pictures: tuple[AnnotatedPicture, ...]


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise AnnotationError(f"{where}: expected a number, found {str(value)[:40]!r}.") from None
    if not math.isfinite(number):
        raise AnnotationError(f"{where}: expected a finite number, found {value}.")
    return number


def check_box(
    xyxy: tuple[float, float, float, float], size_px: tuple[int, int], where: str
) -> tuple[float, float, float, float]:
    """The box, cut at the picture's border.

    Raises:
        AnnotationError: If it has no area or lies outside by more than rounding.

    >>> check_box((-1.0, 5.0, 30.0, 20.0), (40, 40), "a.txt")
    (0.0, 5.0, 30.0, 20.0)
    """
    x1, y1, x2, y2 = xyxy
    width, height = size_px
    if x2 <= x1 or y2 <= y1:
        raise AnnotationError(f"{where}: expected a box with an area, found {_text(xyxy)}.")
    if min(x1, y1) < -SLACK_PX or x2 > width + SLACK_PX or y2 > height + SLACK_PX:
        raise AnnotationError(f"{where}: the box {_text(xyxy)} lies outside the picture of {width} x {height} pixels.")
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def _text(xyxy: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in xyxy) + ")"


def parse_yolo(
    text: str, class_names: Sequence[str], size_px: tuple[int, int], where: str
) -> tuple[AnnotatedObject, ...]:
    """Objects of a YOLO text file.

    Raises:
        AnnotationError: If a line has not five numbers, names an unknown class, or its box is no box.

    >>> parse_yolo("1 0.5 0.5 0.2 0.4", ["cat", "dog"], (100, 50), "a.txt")
    (AnnotatedObject(name='dog', xyxy=(40.0, 15.0, 60.0, 35.0)),)
    """
    found = []
    for line_number, line in enumerate(text.splitlines(), start=1):
        parts = line.split()
        if not parts:
            continue
        place = f"{where}, line {line_number}"
        if len(parts) != 5:
            raise AnnotationError(f"{place}: expected class, x, y, width and height, found {len(parts)} values.")
        number, x, y, w, h = (_number(part, place) for part in parts)
        if number != int(number) or not 0 <= number < len(class_names):
            raise AnnotationError(
                f"{place}: unknown class {parts[0]}; the set names {len(class_names)} classes, 0 to "
                f"{len(class_names) - 1}."
            )
        width, height = size_px
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        found.append(AnnotatedObject(class_names[int(number)], check_box(box, size_px, place)))
    return tuple(found)


def parse_class_names(text: str, where: str) -> tuple[str, ...]:
    """Class names of a `classes.txt` (one a line) or of the `names` of a `data.yaml`.

    Raises:
        AnnotationError: If there are none or a name is there twice.

    >>> parse_class_names("names: [cat, 'big dog']", "data.yaml")
    ('cat', 'big dog')
    >>> parse_class_names(chr(10).join(["cat", "dog"]), "classes.txt")
    ('cat', 'dog')
    """
    if where.endswith((".yaml", ".yml")):
        names = _yaml_names(text)
    else:
        names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names or len(set(names)) != len(names):
        raise AnnotationError(f"{where}: expected different class names, found {len(names)}.")
    return tuple(names)


def _yaml_names(text: str) -> list[str]:
    """`names` as a list in brackets, as dashes, or as numbered lines: the three ways that tools write it."""
    inline = re.search(r"^names:\s*\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    if inline:
        return [name.strip().strip("'\"") for name in inline.group(1).split(",") if name.strip()]
    block = re.search(r"^names:\s*\n((?:[ \t]*(?:-|\d+:).*\n?)+)", text, re.MULTILINE)
    if not block:
        return []
    lines = [re.sub(r"^\s*(?:-|\d+:)\s*", "", line) for line in block.group(1).splitlines()]
    return [line.strip().strip("'\"") for line in lines if line.strip()]


def parse_voc(text: str, size_px: tuple[int, int] | None, where: str) -> tuple[AnnotatedObject, ...]:
    """Objects of a VOC XML file; corners count from 1, as PASCAL's do.

    `size_px` is the size of the picture itself; the XML's own is used where there is none.

    Raises:
        AnnotationError: If it is no such file, declares entities, or a box is no box.
    """
    # Entities are what makes XML dangerous (a few lines that expand to gigabytes); no annotation needs them.
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise AnnotationError(f"{where}: XML with its own entities is not read.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  entities were refused above
    except ElementTree.ParseError as error:
        raise AnnotationError(f"{where}: this is no XML ({error}).") from None
    if size_px is None:
        size_px = (
            int(_number(root.findtext("size/width"), where)),
            int(_number(root.findtext("size/height"), where)),
        )
    found = []
    for index, node in enumerate(root.iter("object"), start=1):
        place = f"{where}, object {index}"
        name = (node.findtext("name") or "").strip()
        if not name:
            raise AnnotationError(f"{place}: expected a name, found none.")
        x1, y1, x2, y2 = (_number(node.findtext(f"bndbox/{key}"), place) for key in ("xmin", "ymin", "xmax", "ymax"))
        found.append(AnnotatedObject(name, check_box((x1 - 1, y1 - 1, x2, y2), size_px, place)))
    return tuple(found)


def parse_coco(
    text: str, where: str, sizes_px: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[AnnotatedObject, ...]]:
    """Objects by file name of a COCO JSON; `sizes_px` are the sizes of the pictures that are there.

    Raises:
        AnnotationError: If it is no such file, names a missing picture, category or image, or a box is no
        box.
    """
    try:
        layout = json.loads(text)
        names = {category["id"]: str(category["name"]) for category in layout["categories"]}
        files = {image["id"]: str(image["file_name"]) for image in layout["images"]}
        rows = [(row["image_id"], row["category_id"], list(row["bbox"])) for row in layout["annotations"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AnnotationError(f"{where}: this is no COCO annotation file ({type(error).__name__}).") from None
    missing = sorted(set(files.values()) - set(sizes_px))
    if missing:
        raise AnnotationError(f"{where}: it names {missing[0]}, which is missing ({len(missing)} in all).")
    found: dict[str, list[AnnotatedObject]] = {name: [] for name in files.values()}
    for index, (image_id, category_id, bbox) in enumerate(rows, start=1):
        place = f"{where}, annotation {index}"
        if image_id not in files:
            raise AnnotationError(f"{place}: it names image {image_id}, which is missing.")
        if category_id not in names:
            raise AnnotationError(f"{place}: unknown category {category_id}.")
        if len(bbox) != 4:
            raise AnnotationError(f"{place}: expected four numbers as bbox, found {len(bbox)}.")
        x, y, w, h = (_number(value, place) for value in bbox)
        box = check_box((x, y, x + w, y + h), sizes_px[files[image_id]], place)
        found[files[image_id]].append(AnnotatedObject(names[category_id], box))
    return {name: tuple(objects) for name, objects in found.items()}


def assemble(
    objects: Mapping[str, Sequence[AnnotatedObject]],
    sizes_px: Mapping[str, tuple[int, int]],
    class_names: Sequence[str] | None = None,
) -> AnnotatedSet:
    """A set from the objects of each picture; class names in the order given, else by alphabet.

    Raises:
        AnnotationError: If there is no picture, no object, too many, or a class that `class_names` does not
        name.
    """
    if not objects:
        raise AnnotationError("No annotated picture was found.")
    count = sum(len(rows) for rows in objects.values())
    if not 1 <= count <= MAX_OBJECTS:
        raise AnnotationError(f"Expected 1 to {MAX_OBJECTS:,} annotated objects, found {count:,}.")
    used = sorted({row.name for rows in objects.values() for row in rows})
    names = tuple(class_names) if class_names is not None else tuple(used)
    unknown = [name for name in used if name not in names]
    if unknown:
        raise AnnotationError(f"Unknown class {unknown[0]!r}; known are {', '.join(names)}.")
    pictures = tuple(
        AnnotatedPicture(
            file_name,
            sizes_px[file_name],
            np.array([row.xyxy for row in rows], np.float32).reshape(-1, 4),
            np.array([names.index(row.name) for row in rows], np.int64),
        )
        for file_name, rows in sorted(objects.items())
    )
    return AnnotatedSet(names, pictures)


def to_coco(annotated: AnnotatedSet) -> str:
    """The set as COCO JSON."""
    rows: list[dict[str, Any]] = []
    for image_id, picture in enumerate(annotated.pictures, start=1):
        for box, class_id in zip(picture.boxes_xyxy.astype(float), picture.class_ids, strict=True):
            x1, y1, x2, y2 = (round(float(value), 3) for value in box)
            bbox = [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)]
            rows.append(
                {"id": len(rows) + 1, "image_id": image_id, "category_id": int(class_id) + 1, "bbox": bbox}
                | {"area": round(bbox[2] * bbox[3], 3), "iscrowd": 0}
            )
    images = [
        {"id": image_id, "file_name": p.file_name, "width": p.size_px[0], "height": p.size_px[1]}
        for image_id, p in enumerate(annotated.pictures, start=1)
    ]
    categories = [{"id": index, "name": name} for index, name in enumerate(annotated.class_names, start=1)]
    return json.dumps({"images": images, "annotations": rows, "categories": categories}, indent=1)
