"""What the gallery asks of a worker: encode its photos with another encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.faces.encoders import aligned_face, encode_crops
from core.faces.gallery_photo import encoder_key, face_in_crop
from core.faces.types import Floats
from core.runtime.images import decode_image
from core.runtime.report import Report

BATCH = 16


@dataclass(frozen=True, eq=False)
class PhotoEncodings:
    """Encodings `(D,)` by photo id, and the name under which they are stored."""

    encoder_key: str
    encodings: Mapping[int, Floats]


def encode_photos(
    photo_ids: Sequence[int],
    jpegs: Sequence[bytes],
    points: Sequence[Floats],
    encoder: str,
    report: Report | None = None,
) -> PhotoEncodings:
    """What an encoder makes of enrolled photos, each a crop as JPEG and the face's five points `(5, 2)` in it.

    Raises:
        FaceError: If there is no such encoder.
        WeightsError: If its weights are missing or were not fetched yet.
    """
    say = report or Report()
    encodings: dict[int, Floats] = {}
    for start in range(0, len(photo_ids), BATCH):
        batch = range(start, min(start + BATCH, len(photo_ids)))
        crops = []
        for index in batch:
            picture = decode_image(jpegs[index]).pixels
            crops.append(aligned_face(picture, face_in_crop(picture, points[index]), encoder))
        for index, encoding in zip(batch, encode_crops(np.stack(crops), encoder), strict=True):
            encodings[photo_ids[index]] = encoding
        say(len(encodings) / len(photo_ids), f"{len(encodings)} of {len(photo_ids)} photos")
    return PhotoEncodings(encoder_key(encoder), encodings)
