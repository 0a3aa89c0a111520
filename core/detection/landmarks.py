"""Face landmarks: five points, in the same order in every photograph, and the vector that they are learned as.

A network with landmarks as its outputs answers with whether there is a face and then l_1x, l_1y, l_2x, l_2y ... in
fractions of the image (course notes 4.2). What each number stands for never changes: l_1 is the eye on the left of
the picture in all photographs, those of training included. The points come from MTCNN (Zhang et al. 2016, Joint face
detection and alignment using multi-task cascaded convolutional networks), whose weights come with the package `mtcnn`.

Arrays: points (5, 2) float64, x and y in pixels; boxes xyxy in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.drawing import draw_box, draw_labels, line_px
from core.runtime.samples import load_sample

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Corners = tuple[float, float, float, float]
# "Left" and "right" as seen in the picture, which is MTCNN's order.
LANDMARKS = ("left eye", "right eye", "nose", "left corner of the mouth", "right corner of the mouth")
COLOURS = ((99, 102, 241), (59, 130, 246), (245, 158, 11), (236, 72, 153), (239, 68, 68))
SMALLEST_FACE_PX = 20
WINDOW_PX = 12
PYRAMID_FACTOR = 0.709


class LandmarkError(ValueError):
    """A picture or a setting with which no face can be looked for."""


@dataclass(frozen=True)
class Face:
    """A face: its box, its score in 0..1, and its five points in the order of `LANDMARKS`."""

    box_xyxy: Corners
    score: float
    points: Floats


@dataclass(frozen=True)
class FaceAnswer:
    """The faces of a picture (width, height), largest first, and how long MTCNN took."""

    image_size: tuple[int, int]
    faces: tuple[Face, ...]
    time_ms: float


def sensible_smallest_face_px(width_px: int, height_px: int) -> int:
    """A smallest face that finds people near the camera quickly: an eighth of the shorter side, 20 to 120 px.

    >>> sensible_smallest_face_px(512, 512), sensible_smallest_face_px(90, 2000)
    (64, 20)
    """
    return int(min(max(min(width_px, height_px) // 8, SMALLEST_FACE_PX), 120))


def face_scales(width_px: int, height_px: int, smallest_face_px: float) -> tuple[float, ...]:
    """The factors of MTCNN's pyramid: a face of `smallest_face_px` fills the window of 12 px at the first of them.

    The package's own pyramid goes on until its copies are smaller than the window where the smallest face is large,
    and then finds nothing; this one ends in time.

    Raises:
        LandmarkError: If the smallest face is under 20 px.

    >>> [round(scale, 3) for scale in face_scales(100, 80, 40)]
    [0.3, 0.213, 0.151]
    """
    if not smallest_face_px >= SMALLEST_FACE_PX:
        raise LandmarkError(f"expected a smallest face of at least {SMALLEST_FACE_PX} px, received {smallest_face_px}")
    scales = []
    scale = WINDOW_PX / smallest_face_px
    while min(width_px, height_px) * scale >= WINDOW_PX:
        scales.append(scale)
        scale *= PYRAMID_FACTOR
    return tuple(scales)


def landmark_vector(face: Face | None, image_size: tuple[int, int]) -> Floats:
    """The notes' target vector [face, l_1x, l_1y ... l_5x, l_5y] in fractions of the image; zeros without a face.

    >>> face = Face((0, 0, 50, 50), 0.99, np.array([[10, 20], [40, 20], [25, 30], [15, 40], [35, 40.0]]))
    >>> landmark_vector(face, (100, 50))[:5].tolist()
    [1.0, 0.1, 0.4, 0.4, 0.4]
    """
    if face is None:
        return np.zeros(1 + 2 * len(LANDMARKS))
    return np.concatenate([[1.0], (face.points / np.array(image_size, np.float64)).reshape(-1)])


def in_face(face: Face) -> Floats:
    """The points in fractions of the face's box (5, 2): where a landmark lies however large the face is."""
    left, top, right, bottom = face.box_xyxy
    return np.asarray((face.points - [left, top]) / [max(right - left, 1e-9), max(bottom - top, 1e-9)])


def eye_line_degrees(face: Face) -> float:
    """How far the line from the left to the right eye is turned, clockwise positive.

    >>> round(eye_line_degrees(Face((0, 0, 9, 9), 1.0, np.array([[0, 0], [10, 10], [5, 9], [0, 9], [9, 9.0]]))), 1)
    45.0
    """
    across = face.points[1] - face.points[0]
    return float(np.degrees(np.arctan2(across[1], across[0])))


def draw_faces(
    canvas: Image, faces: Sequence[Face], scale: float, chosen: int | None = None, landmark: int | None = None
) -> Image:
    """A copy of a canvas with boxes and numbered points; `scale` is that from the picture's pixels to the canvas's.

    `chosen` draws one face strongly and the others thin; `landmark` marks that point of the chosen face, or of all.
    """
    canvas = np.ascontiguousarray(canvas).copy()
    width = line_px(canvas)
    for index, face in enumerate(faces):
        is_strong = chosen is None or chosen == index
        box = np.array(face.box_xyxy) * scale
        draw_box(canvas, box, (34, 197, 94), width if is_strong else max(1, width // 2), dashed=not is_strong)
        if not is_strong:
            continue
        radius = max(3, round(min(2.2 * width, 0.035 * (box[2] - box[0]))))
        for point, colour in zip(face.points * scale, COLOURS, strict=True):
            centre = (round(float(point[0])), round(float(point[1])))
            cv2.circle(canvas, centre, radius + max(1, radius // 3), (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(canvas, centre, radius, colour, cv2.FILLED, cv2.LINE_AA)
        if landmark is not None:
            x, y = (round(float(value)) for value in face.points[landmark] * scale)
            cv2.circle(canvas, (x, y), 3 * radius, (255, 255, 255), max(2, width), cv2.LINE_AA)
            cv2.circle(canvas, (x, y), 3 * radius + max(2, width), COLOURS[landmark], max(2, width), cv2.LINE_AA)
        if chosen is not None and box[2] - box[0] > 90:
            places = np.array([[x + radius, y - radius, x + radius, y] for x, y in face.points * scale])
            draw_labels(canvas, places, [str(number) for number in range(1, 6)], COLOURS)
    return canvas


def crop_around(image: Image, point: NDArray[np.float64], side_px: float, size_px: int = 160) -> Image:
    """The square around a point, scaled to `size_px`; beyond the picture's border its last pixels are repeated."""
    scale = size_px / side_px
    matrix = np.array([[scale, 0, size_px / 2 - scale * point[0]], [0, scale, size_px / 2 - scale * point[1]]])
    crop = cv2.warpAffine(image, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


# The sample photograph of a person, turned (degrees, clockwise), enlarged, and moved (parts of its side).
TURNS: tuple[tuple[float, float, float, float], ...] = (
    (0.0, 1.0, 0.0, 0.0),
    (-18.0, 1.0, 0.02, 0.05),
    (22.0, 0.9, -0.05, 0.08),
    (8.0, 1.7, 0.02, 0.42),
    (-6.0, 0.6, 0.12, -0.02),
    (0.0, 1.25, -0.18, 0.15),
)


def turned_photographs(size_px: int = 384) -> tuple[tuple[str, Image], ...]:
    """Six views of the sample photograph of a person: turned, nearer, farther and moved, with a name each."""
    photograph = load_sample("astronaut")
    side = photograph.shape[0]
    made = []
    for angle, zoom, right, down in TURNS:
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), -angle, zoom * size_px / side)
        matrix[:, 2] += size_px / 2 - side / 2
        matrix[:, 2] += np.array([right, down]) * size_px
        view = cv2.warpAffine(
            photograph,
            matrix,
            (size_px, size_px),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(206, 208, 214),
        )
        made.append((f"{angle:+.0f}°, {zoom:g} ×" if angle else f"0°, {zoom:g} ×", np.asarray(view, np.uint8)))
    return tuple(made)
