"""What the pages ask of a worker about faces: five landmarks in a photograph, and in several as a job.

MTCNN and TensorFlow are imported when a function needs them, so that a page can read this module.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.detection.batch import PictureFile
from core.detection.drawing import screen_canvas
from core.detection.landmarks import Face, FaceAnswer, LandmarkError, draw_faces, face_scales
from core.detection.predictions import check_picture
from core.runtime.images import ImageError, decode_image, encode_jpeg, fit_within
from core.runtime.report import Report

# Photographs are looked at in this size at most; faces in a set of photographs lie near the camera.
LOOK_PX = 1280
MANY_PX = 768
KEPT_PX = 512


def find_landmarks(image: NDArray[np.uint8], smallest_face_px: float) -> FaceAnswer:
    """Faces and their five landmarks in an RGB picture uint8 (H, W, 3), in its pixels.

    Raises:
        PictureError: If the array is no picture.
        LandmarkError: If the smallest face is under 20 px.
    """
    check_picture(image)
    height, width = image.shape[:2]
    face_scales(width, height, smallest_face_px)  # says what is wrong with the setting before anything is loaded
    small = fit_within(image, LOOK_PX)
    scale = small.shape[1] / width
    from core.detection.landmarks_network import find_faces

    start = time.perf_counter()
    found = find_faces(small, max(smallest_face_px * scale, 20.0))
    elapsed_ms = 1e3 * (time.perf_counter() - start)
    faces = tuple(
        Face(_scaled(face.box_xyxy, 1 / scale), face.score, face.points / scale) if scale != 1 else face
        for face in found
    )
    return FaceAnswer((width, height), faces, elapsed_ms)


def _scaled(box: tuple[float, float, float, float], factor: float) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left * factor, top * factor, right * factor, bottom * factor


@dataclass(frozen=True)
class FollowedPhoto:
    """A photograph of a set: a small copy (H, W, 3) uint8, and its largest face in the copy's pixels, or None."""

    name: str
    pixels: NDArray[np.uint8]
    face: Face | None


@dataclass(frozen=True)
class Followed:
    """The photographs of a set in their order, and a sentence for each file that could not be read."""

    photos: tuple[FollowedPhoto, ...]
    skipped: tuple[str, ...]
    seconds: float


def follow_landmarks(
    files: Sequence[PictureFile], smallest_part: float = 0.1, report: Report | None = None
) -> Followed:
    """The five landmarks of the largest face in each of several photographs.

    `smallest_part` is the smallest face as a part of a photograph's shorter side.

    Raises:
        LandmarkError: If none of the files is a picture.
    """
    report = report or Report()
    started = time.monotonic()
    photos: list[FollowedPhoto] = []
    skipped: list[str] = []
    for index, file in enumerate(files):
        report(index / len(files), f"Photograph {index + 1} of {len(files)}: {file.name[-60:]}")
        try:
            pixels = decode_image(file.data, max_side_px=MANY_PX).pixels
        except ImageError as error:
            skipped.append(f"{file.name[-60:]}: {error}")
            continue
        smallest = max(20.0, smallest_part * min(pixels.shape[:2]))
        found = find_landmarks(pixels, smallest).faces
        small = fit_within(pixels, KEPT_PX)
        scale = small.shape[1] / pixels.shape[1]
        face = Face(_scaled(found[0].box_xyxy, scale), found[0].score, found[0].points * scale) if found else None
        photos.append(FollowedPhoto(file.name, small, face))
        canvas, factor = screen_canvas(small)
        report(preview=encode_jpeg(draw_faces(canvas, [face] if face else [], factor), 80))
    if not photos:
        raise LandmarkError(
            f"None of the {len(files)} files can be read. The first: {skipped[0]}"
            if skipped
            else "There is no photograph to look at."
        )
    return Followed(tuple(photos), tuple(skipped), time.monotonic() - started)
