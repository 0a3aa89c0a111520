"""Many pictures at once: what is read from uploads and zips, and what a detector found in each.

A picture that cannot be read is left out and named, the others are not held up by it. Sizes are limited before
and while a zip is unpacked (`annotated_zip.unpack`).
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from core.detection.annotated_zip import unpack
from core.detection.annotations import AnnotationError
from core.detection.evaluation import ImageDetections

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}
MAX_PICTURES = 1000
MAX_TOTAL_BYTES = 600 * 2**20
# Annotated copies are made to be looked at.
COPY_PX = 1280


class BatchError(ValueError):
    """Files of which nothing can be used; the text is a sentence for the person who chose them."""


@dataclass(frozen=True)
class PictureFile:
    """A picture's name and its bytes, not decoded yet."""

    name: str
    data: bytes


@dataclass(frozen=True)
class PictureResult:
    """What was found in a picture; `size_px` is (width, height)."""

    name: str
    size_px: tuple[int, int]
    found: ImageDetections


@dataclass(frozen=True)
class BatchResult:
    """All pictures of a run, those left out with the reason, and annotated copies (JPEG) by name."""

    pictures: tuple[PictureResult, ...]
    skipped: tuple[str, ...]
    copies: dict[str, bytes]
    class_names: tuple[str, ...]
    model: str
    seconds: float


def collect_pictures(files: Sequence[tuple[str, bytes]]) -> tuple[list[PictureFile], list[str]]:
    """Pictures among uploads and inside of zips, in order, and sentences on what was left out.

    Two pictures of one name get different ones.

    Raises:
        BatchError: If there is no picture, there are too many, or a zip cannot be used.

    >>> [picture.name for picture in collect_pictures([("a.jpg", b"x"), ("a.jpg", b"y")])[0]]
    ['a.jpg', 'a (2).jpg']
    """
    found: list[PictureFile] = []
    skipped: list[str] = []
    names: Counter[str] = Counter()
    total = 0
    for name, data in files:
        inside = {name: data}
        if PurePosixPath(name).suffix.lower() == ".zip":
            try:
                inside = unpack(data)
            except AnnotationError as error:
                raise BatchError(f"{name}: {error}") from None
        for path, body in inside.items():
            if PurePosixPath(path).suffix.lower() not in PICTURE_SUFFIXES:
                skipped.append(f"{path}: this is no picture by its name.")
                continue
            names[path] += 1
            total += len(body)
            found.append(PictureFile(path if names[path] == 1 else _numbered(path, names[path]), body))
    if not found:
        raise BatchError("There is no picture in what you chose: expected JPEG, PNG, WebP, BMP or GIF files.")
    if len(found) > MAX_PICTURES:
        raise BatchError(f"There are {len(found):,} pictures; at most {MAX_PICTURES:,} are read at once.")
    if total > MAX_TOTAL_BYTES:
        raise BatchError(f"The pictures have {total >> 20:,} MB; at most {MAX_TOTAL_BYTES >> 20} MB are read at once.")
    return found, skipped


def _numbered(path: str, number: int) -> str:
    place = PurePosixPath(path)
    return str(place.with_name(f"{place.stem} ({number}){place.suffix}"))


def count_by_class(results: Sequence[ImageDetections], class_names: tuple[str, ...]) -> dict[str, int]:
    """How many boxes each class has, the most frequent first; classes without one are left out.

    >>> boxes = np.zeros((3, 4))
    >>> count_by_class([ImageDetections(boxes, np.array([1, 0, 1]), np.ones(3))], ("cat", "dog", "cow"))
    {'dog': 2, 'cat': 1}
    """
    ids: list[NDArray[np.integer]] = [np.asarray(found.class_ids, np.int64) for found in results]
    counts = np.bincount(np.concatenate(ids), minlength=len(class_names)) if ids else np.zeros(len(class_names), int)
    order = np.argsort(-counts, kind="stable")
    return {class_names[index]: int(counts[index]) for index in order if counts[index]}


def above(found: ImageDetections, confidence: float) -> ImageDetections:
    """The boxes whose score reaches `confidence`."""
    keep = found.scores >= confidence
    return ImageDetections(found.boxes_xyxy[keep], found.class_ids[keep], found.scores[keep])


def zip_of(files: dict[str, bytes]) -> bytes:
    """A zip of files by their names; JPEGs are stored as they are, they do not get smaller."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return buffer.getvalue()
