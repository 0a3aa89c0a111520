"""Many pictures of one person each to one encoding each: the whole pipeline, in batches.

In each picture the face that is meant is the largest one near the middle. In a small square picture in which no face
is found, the picture is taken for a face that was aligned before, and encoded as it is, marked as not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from core.faces.alignment import TEMPLATE_112, similarity_transform, warp
from core.faces.detector import CLOSE_UP_PX, MTCNN, check_detector, detect
from core.faces.encoders import describe, encode_crops, template_of
from core.faces.types import Face, FaceError, Floats, Pixels

CHUNK = 64


@dataclass(frozen=True, eq=False)
class OneFace:
    """What a picture gave: its face (None where none was found), what the encoder read, and the encoding (D,).

    `aligned` is None and the encoding all NaN where nothing could be encoded.
    """

    face: Face | None
    aligned: Pixels | None
    encoding: Floats


def main_face(faces: tuple[Face, ...], width: int, height: int) -> Face | None:
    """The face that a portrait means: a large one near the middle.

    The rule is the area of the box less twice the squared distance from the middle, in pixels (David Sandberg's
    facenet, `align_dataset_mtcnn.py`).
    """

    def worth(face: Face) -> float:
        offset = (face.box_xyxy[:2] + face.box_xyxy[2:]) / 2 - np.array([width / 2, height / 2], np.float32)
        return face.size_px**2 - 2.0 * float(offset @ offset)

    return max(faces, key=worth, default=None)


def _crop(image: Pixels, encoder: str, detector: str) -> tuple[Face | None, Pixels | None]:
    height, width = image.shape[:2]
    face = main_face(detect(image, detector), width, height)
    side, template = describe(encoder).input_px, template_of(encoder)
    if face is not None:
        return face, warp(image, similarity_transform(face.points, template), side)
    if max(width, height) <= CLOSE_UP_PX and 0.8 <= width / height <= 1.25:
        points = TEMPLATE_112 * np.array([width, height], np.float32) / 112
        return None, warp(image, similarity_transform(points, template), side)
    return None, None


def encode_pictures(
    pictures: Iterable[Pixels | None],
    encoder: str,
    detector: str = MTCNN,
    tell: Callable[[int], None] | None = None,
) -> Iterator[OneFace]:
    """One encoding for each RGB picture uint8 (H, W, 3), in order; None stands for one that could not be read.

    `tell` is called with the number of pictures done, now and then.

    Raises:
        FaceError: If there is no such encoder or detector.
        WeightsError: If weights are missing or were not fetched yet.
    """
    dimensions = describe(encoder).dimensions
    check_detector(detector)
    waiting = iter(pictures)
    done = 0
    while chunk := list(islice(waiting, CHUNK)):
        found: list[tuple[Face | None, Pixels | None]] = []
        for picture in chunk:
            try:
                found.append((None, None) if picture is None else _crop(picture, encoder, detector))
            except FaceError:  # points that cannot be aligned
                found.append((None, None))
        crops = [crop for _, crop in found if crop is not None]
        encodings = iter(encode_crops(np.stack(crops), encoder)) if crops else iter(())
        for face, crop in found:
            nothing = np.full(dimensions, np.nan, np.float32)
            yield OneFace(face, crop, nothing if crop is None else next(encodings))
        done += len(chunk)
        if tell is not None:
            tell(done)
