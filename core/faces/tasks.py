"""What this chapter asks of a worker process: find faces, encode them, and compare two of them.

TensorFlow, Keras and the detectors are imported when a function needs them, so that a page can read this module's
results without them. Distances, thresholds and error rates (`core.faces.verification`) need no worker.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from core.faces.detector import DETECTORS as DETECTORS
from core.faces.detector import MTCNN, detect
from core.faces.encoders import DLIB, aligned_face, describe, encode_crops
from core.faces.types import EncodedFace, Face, FaceError, Pixels
from core.faces.verification import distance
from core.runtime.samples import load_sample

MAX_FACES = 60  # of one picture, the largest ones


@dataclass(frozen=True, eq=False)
class FacesOfPicture:
    """All faces of a picture with their encodings, and how long finding and encoding took."""

    faces: tuple[EncodedFace, ...]
    detect_ms: float
    encode_ms: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """The largest face of each of two pictures, their distance, the threshold, and how many faces there were."""

    first: EncodedFace
    second: EncodedFace
    distance: float
    threshold: float
    faces_found: tuple[int, int]

    @property
    def is_same(self) -> bool:
        """Whether the two count as the same person."""
        return self.distance <= self.threshold


def find_faces(image: Pixels, detector: str = MTCNN) -> tuple[Face, ...]:
    """The faces of an RGB picture uint8 (H, W, 3), largest first; an empty tuple where there is none.

    `detector` is "mtcnn" or "yunet".

    Raises:
        FaceError: If the array is no picture or there is no such detector.
        WeightsError: If the detector's weights were not fetched yet.
    """
    return detect(image, detector)


def encode_faces(
    image: Pixels, encoder: str = DLIB, detector: str = MTCNN, faces: tuple[Face, ...] | None = None
) -> tuple[EncodedFace, ...]:
    """The faces of an RGB picture with their encodings, largest first; `faces` are encoded if they are given.

    Raises:
        FaceError: If the array is no picture, or there is no such encoder or detector.
        WeightsError: If weights are missing or were not fetched yet.
    """
    describe(encoder)
    if faces is None:
        faces = find_faces(image, detector)[:MAX_FACES]
    if not faces:
        return ()
    crops = np.stack([aligned_face(image, face, encoder) for face in faces])  # (N, S, S, 3)
    encodings = encode_crops(crops, encoder)  # (N, D)
    return tuple(
        EncodedFace(face, crop, encoding, encoder) for face, crop, encoding in zip(faces, crops, encodings, strict=True)
    )


@lru_cache(maxsize=16)
def _loaded(encoder: str, detector: str) -> None:
    """Run all networks once, so that loading them is not taken for their work."""
    side = describe(encoder).input_px
    with contextlib.suppress(FileNotFoundError):  # the sample belongs to a package
        detect(load_sample("astronaut"), detector)
    encode_crops(np.full((1, side, side, 3), 128, np.uint8), encoder)


def faces_of_picture(image: Pixels, encoder: str = DLIB, detector: str = MTCNN) -> FacesOfPicture:
    """As `encode_faces`, with the time of both steps once the networks are loaded."""
    _loaded(encoder, detector)
    start = time.perf_counter()
    faces = find_faces(image, detector)[:MAX_FACES]
    found = time.perf_counter()
    encoded = encode_faces(image, encoder, detector, faces)
    return FacesOfPicture(encoded, 1000 * (found - start), 1000 * (time.perf_counter() - found))


def compare(
    first: Pixels,
    second: Pixels,
    encoder: str = DLIB,
    detector: str = MTCNN,
    threshold: float | None = None,
) -> Comparison:
    """Compare the largest faces of two RGB pictures; `threshold` is the encoder's own if None.

    Raises:
        FaceError: If one of them has no face; the sentence says which.
        WeightsError: If weights are missing or were not fetched yet.
    """
    encoded = [encode_faces(image, encoder, detector) for image in (first, second)]
    for faces, which in zip(encoded, ("first", "second"), strict=True):
        if not faces:
            raise FaceError(f"No face was found in the {which} picture.")
    one, other = encoded[0][0], encoded[1][0]
    tau = describe(encoder).threshold if threshold is None else threshold
    counts = (len(encoded[0]), len(encoded[1]))
    return Comparison(one, other, distance(one.encoding, other.encoding), tau, counts)
