"""Faces for the gallery's tests: drawn crops and encodings made from a seed."""

from __future__ import annotations

import numpy as np

from core.faces.gallery_types import NewFace
from core.runtime.images import encode_jpeg

DIMENSIONS = 128
ENCODER = "made"


def encoding_of(person: int, photo: int = 0) -> np.ndarray:
    """The encoding of a person's photo: persons lie about 1.4 apart, their photos about 0.2."""
    middle = np.random.default_rng(person).normal(size=DIMENSIONS)
    middle /= np.linalg.norm(middle)
    noise = np.random.default_rng([person, photo, 1]).normal(size=DIMENSIONS)
    return (middle + 0.14 * (photo > 0) * noise / np.linalg.norm(noise)).astype(np.float32)


def jpeg_of(person: int, photo: int = 0) -> bytes:
    return encode_jpeg(np.random.default_rng([person, photo]).integers(0, 255, (16, 16, 3), dtype=np.uint8), 90)


def made_face(person: int, photo: int = 0, *encoders: str, source: str = "made.jpg") -> NewFace:
    points = np.array([[4, 5], [11, 5], [8, 8], [5, 11], [10, 11]], np.float32)
    return NewFace(
        jpeg_of(person, photo),
        points,
        {name: encoding_of(person, photo) for name in encoders or (ENCODER,)},
        source,
    )
