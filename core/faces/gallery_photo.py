"""Photographs on their way into the gallery and out of it: crops around faces, thumbnails and sheets of them.

What is kept of a photograph is a crop around one face with the five points in it, enough for any encoder to align and
encode it again; the rest of the picture is not stored. Pictures are RGB uint8 `(H, W, 3)`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from core.faces.alignment import similarity_transform, warp
from core.faces.encoders import describe
from core.faces.gallery_types import NewFace
from core.faces.types import EncodedFace, Face, Floats, Pixels
from core.runtime import weights
from core.runtime.images import encode_jpeg, fit_within

CROP_MARGIN = 0.6  # of the box on every side: what alignment needs of a face that is tilted
CROP_SIDE_PX = 320
CROP_QUALITY = 92
THUMBNAIL_PX = 96


def encoder_key(encoder: str) -> str:
    """The name under which encodings are stored: the encoder and the start of its weights' hash.

    Encodings of the same network with other weights are not comparable, so they get another name.

    Raises:
        FaceError: If there is no such encoder.
        WeightsError: If its weights are not listed.
    """
    return f"{encoder}:{weights.describe(describe(encoder).weights).sha256[:12]}"


def face_crop(image: Pixels, face: Face) -> tuple[Pixels, Floats]:
    """The crop around a face, at most `CROP_SIDE_PX` on a side, and the face's points `(5, 2)` in it."""
    height, width = image.shape[:2]
    left, top, right, bottom = face.box_xyxy.tolist()
    margin = CROP_MARGIN * max(right - left, bottom - top)
    x0, y0 = max(0, int(left - margin)), max(0, int(top - margin))
    x1, y1 = min(width, int(right + margin) + 1), min(height, int(bottom + margin) + 1)
    crop = np.ascontiguousarray(image[y0:y1, x0:x1])
    small = fit_within(crop, CROP_SIDE_PX)
    fx, fy = small.shape[1] / crop.shape[1], small.shape[0] / crop.shape[0]
    # Integer coordinates are pixel centres: half a pixel is shifted with the scale.
    shifted = (face.points - np.array([x0, y0], np.float32) + 0.5) * np.array([fx, fy], np.float32) - 0.5
    return small, np.asarray(shifted, np.float32)


def new_face(image: Pixels, encoded: EncodedFace, source: str = "") -> NewFace:
    """A face of a picture as the gallery takes it."""
    crop, points = face_crop(image, encoded.face)
    return NewFace(encode_jpeg(crop, CROP_QUALITY), points, {encoder_key(encoded.encoder): encoded.encoding}, source)


def face_in_crop(crop: Pixels, points: Floats) -> Face:
    """The face of a stored crop, so that another encoder can encode it."""
    height, width = crop.shape[:2]
    return Face(np.array([0, 0, width, height], np.float32), points, 1.0)


def face_thumbnail(image: Pixels, points: Floats, size_px: int = THUMBNAIL_PX) -> Pixels:
    """A face upright in a square `(size, size, 3)`, with some hair and chin around it."""
    template = np.array([[0.37, 0.42], [0.63, 0.42], [0.5, 0.56], [0.39, 0.7], [0.61, 0.7]], np.float32) * size_px
    return warp(image, similarity_transform(points, template), size_px)


def sheet_of(thumbnails: Iterable[Pixels], columns: int = 8, gap_px: int = 4) -> Pixels:
    """Square thumbnails of one size side by side on white, `columns` in a row."""
    tiles = list(thumbnails)
    if not tiles:
        return np.full((1, 1, 3), 255, np.uint8)
    side = tiles[0].shape[0]
    rows = -(-len(tiles) // columns)
    across = min(columns, len(tiles))
    sheet = np.full((rows * (side + gap_px) - gap_px, across * (side + gap_px) - gap_px, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = (side + gap_px) * (index // columns), (side + gap_px) * (index % columns)
        sheet[top : top + side, left : left + side] = tile
    return sheet
