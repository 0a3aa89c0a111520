"""What makes a face a poor witness: small, blurred, turned, tilted or cut off, told from its box, points and pixels.

Each is measured, not guessed by a network: sizes in pixels of the picture, the turn of the head from where the nose
tip lies between the eyes, sharpness from the variance of the Laplacian (Pech-Pacheco et al. 2000, Diatom
autofocusing in brightfield microscopy) of the face at its own size.
"""

from __future__ import annotations

import cv2
import numpy as np

from core.faces.alignment import TEMPLATE_112, angle_deg_of, scale_of, similarity_transform, warp
from core.faces.types import FaceError, Flag, Floats, Pixels

SMALL_PX = 40.0  # side of a square as large as the box
TURNED = 0.5  # how far the nose tip lies from the middle of the eyes, in half distances of the eyes
TILTED_DEG = 45.0
OUTSIDE = 0.1  # part of the box that lies outside the picture
BLURRED = 0.02  # variance of the Laplacian over the variance of the grey values
SHARPNESS_PX = 64
MARGIN_PX = 8


def flags_of(image: Pixels, box_xyxy: Floats, points: Floats) -> tuple[Flag, ...]:
    """What to say about a face in an RGB picture (H, W, 3); an empty tuple for a good one."""
    flags: list[Flag] = []
    width, height = box_xyxy[2] - box_xyxy[0], box_xyxy[3] - box_xyxy[1]
    if float(max(0.0, width) * max(0.0, height)) ** 0.5 < SMALL_PX:
        flags.append("small")
    try:
        transform = similarity_transform(points, TEMPLATE_112)
    except FaceError:
        return (*flags, "turned")
    if sharpness(image, points) < BLURRED:
        flags.append("blurred")
    if abs(turn(points)) > TURNED:
        flags.append("turned")
    if abs(angle_deg_of(transform)) > TILTED_DEG:
        flags.append("tilted")
    if outside_share(box_xyxy, image.shape[1], image.shape[0]) > OUTSIDE:
        flags.append("cut off")
    return tuple(flags)


def turn(points: Floats) -> float:
    """Where the nose tip lies between the eyes: 0 in the middle, -1 under the left eye, 1 under the right one.

    >>> abs(turn(TEMPLATE_112)) < 0.05
    True
    """
    eyes = points[1] - points[0]
    length = float(eyes @ eyes)
    if length == 0:
        return float("inf")
    along = float((points[2] - points[0]) @ eyes) / length  # 0 at the left eye, 1 at the right one
    return 2 * along - 1


def outside_share(box_xyxy: Floats, width: int, height: int) -> float:
    """The part of a box's area that lies outside a picture.

    >>> outside_share(np.array([-5, 0, 5, 10], np.float32), 20, 20)
    0.5
    """
    left, top, right, bottom = box_xyxy.tolist()
    area = max(right - left, 0.0) * max(bottom - top, 0.0)
    inside = max(min(right, width) - max(left, 0.0), 0.0) * max(min(bottom, height) - max(top, 0.0), 0.0)
    return 1.0 - inside / area if area > 0 else 1.0


def sharpness(image: Pixels, points: Floats) -> float:
    """The variance of the Laplacian over the variance of the grey values, of the aligned face at 64 px.

    An enlarged or blurred face has little of it; a larger face is shrunk first, since an encoder sees it so.
    """
    template = TEMPLATE_112 * ((SHARPNESS_PX - 2 * MARGIN_PX) / 112) + MARGIN_PX
    transform = similarity_transform(points, template)
    if scale_of(transform) > 4:  # a face of some pixels: there is nothing to be sharp
        return 0.0
    grey = cv2.cvtColor(warp(image, transform, SHARPNESS_PX), cv2.COLOR_RGB2GRAY).astype(np.float32)
    inner = grey[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    edges = cv2.Laplacian(grey, cv2.CV_32F)[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    return float(edges.var() / max(float(inner.var()), 1.0))
