"""Finding faces in a picture: MTCNN of the package, or YuNet where it was fetched; largest first, poor ones flagged.

The smallest face looked for follows from the picture's size, so that a large picture costs about as much as a small
one. Where nothing is found it is looked for again, down to the smallest face, and then in the picture with a border
around it and enlarged, since a face that fills the picture leaves a detector no room.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.faces import cascade
from core.faces.cascade import Found
from core.faces.quality import flags_of
from core.faces.types import Face, FaceError, Pixels
from core.runtime import weights

MTCNN, YUNET = "mtcnn", "yunet"
DETECTORS: dict[str, str] = {MTCNN: "MTCNN", YUNET: "YuNet"}

SMALLEST_PX = 20.0  # MTCNN was trained on no smaller faces
SMALLEST_SHARE = 0.045  # of the shorter side: 39 px in a picture of 1152 x 864
LONGEST_SIDE_PX = 1600  # larger pictures are shrunk before they are looked at
CLOSE_UP_PX = 256  # a picture this small may be a crop that is filled by a face
BORDER_SHARE = 0.3
YUNET_SIDE_PX = 640
YUNET_SCORE = 0.6


def check_detector(name: str) -> None:
    """Refuse a detector that there is not.

    Raises:
        FaceError: If there is none of this name.
    """
    if name not in DETECTORS:
        raise FaceError(f"There is no face detector {name!r}; choose {' or '.join(DETECTORS)}.")


def detect(image: Pixels, detector: str = MTCNN) -> tuple[Face, ...]:
    """The faces of an RGB picture uint8 (H, W, 3), largest first.

    Raises:
        FaceError: If there is no such detector or the array is no picture.
        WeightsError: If YuNet was not fetched yet.
    """
    check_detector(detector)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise FaceError(f"A picture of shape (H, W, 3) uint8 is needed; received {image.dtype} {image.shape}.")
    found = _first_found(image, detector)
    faces = [
        Face(box, points, float(score), flags_of(image, box, points), DETECTORS[detector])
        for box, points, score in zip(found.boxes_xyxy, found.points, found.scores, strict=True)
        if np.isfinite(box).all() and np.isfinite(points).all()
    ]
    return tuple(sorted(faces, key=lambda face: -face.size_px))


def _first_found(image: Pixels, detector: str) -> Found:
    """What is found at the first of several looks that finds anything."""
    whole = min(1.0, LONGEST_SIDE_PX / max(image.shape[:2]))
    shown = _scaled(image, whole)
    short = min(shown.shape[:2])
    smallest = max(SMALLEST_PX, SMALLEST_SHARE * short)
    found = _look(shown, detector, smallest)
    if not len(found.scores) and smallest > 1.5 * SMALLEST_PX:
        found = _look(shown, detector, SMALLEST_PX)
    if len(found.scores):
        return _on_picture(found, whole, 0.0)
    if max(image.shape[:2]) <= CLOSE_UP_PX:
        for enlarge, share in ((2.0, 0.0), (2.0, BORDER_SHARE), (1.0, BORDER_SHARE)):
            border = round(share * min(image.shape[:2]) * enlarge)
            larger = cv2.copyMakeBorder(_scaled(image, enlarge), *(border,) * 4, cv2.BORDER_REPLICATE)
            found = _look(np.asarray(larger, np.uint8), detector, 0.25 * min(larger.shape[:2]))
            if len(found.scores):
                return _on_picture(found, enlarge, border)
    return found


def _scaled(image: Pixels, scale: float) -> Pixels:
    if scale == 1.0:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, size, interpolation=interpolation).astype(np.uint8, copy=False)


def _on_picture(found: Found, scale: float, border_px: float) -> Found:
    """From the pixels of a scaled picture with a border to those of the picture itself.

    Box sides lie between pixels, points at the centres of pixels.
    """
    boxes = (found.boxes_xyxy - border_px) / scale
    points = (found.points + 0.5 - border_px) / scale - 0.5
    return Found(boxes.astype(np.float32), points.astype(np.float32), found.scores)


def _look(image: Pixels, detector: str, smallest_px: float) -> Found:
    return cascade.find(image, smallest_px) if detector == MTCNN else _yunet(image)


@lru_cache(maxsize=1)
def _yunet_network(path: Path) -> Any:
    return cv2.FaceDetectorYN.create(str(path), "", (320, 320), YUNET_SCORE, 0.3, 500)


def _yunet(image: Pixels) -> Found:
    """YuNet's answer (Wu et al. 2023): rows of x, y, w, h, five points and a score."""
    network = _yunet_network(weights.require(YUNET))
    scale = min(1.0, YUNET_SIDE_PX / max(image.shape[:2]))
    small = _scaled(image, scale)
    network.setInputSize((small.shape[1], small.shape[0]))
    rows = network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
    if rows is None:
        rows = np.zeros((0, 15), np.float32)
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1).astype(np.float32)
    found = Found(boxes, rows[:, 4:14].reshape(-1, 5, 2).astype(np.float32), rows[:, 14].astype(np.float32))
    return _on_picture(found, scale, 0.0)
