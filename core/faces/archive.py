"""The archive of aligned faces that the embedded encoder is trained and measured on.

`celeba_aligned_80.npz` holds JPEG files end to end, an identity and a split for each, and ready-made validation pairs;
each face is 80 x 80, the 64 px template crop with a margin of 8. It is third-party material (CelebA, research use
only): it is read from the folder given on the command line, and nothing of it is part of the project.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.faces.alignment import TEMPLATE_112
from core.faces.types import Floats, Pixels

FILE_NAME = "celeba_aligned_80.npz"
SIDE_PX = 80
MARGIN_PX = 8
CROP_PX = SIDE_PX - 2 * MARGIN_PX
# Where the five points lie in the archive's pictures.
POINTS: Floats = (TEMPLATE_112 * (CROP_PX / 112) + MARGIN_PX).astype(np.float32)
TRAIN, VALIDATION = 0, 1


class ArchiveError(ValueError):
    """The folder holds no such archive; the message says what was expected."""


@dataclass(frozen=True, eq=False)
class FaceArchive:
    """Faces as JPEG bytes with their persons and splits, and pairs of validation faces by index."""

    jpeg: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    identity: NDArray[np.int32]
    split: NDArray[np.int8]
    pairs: NDArray[np.int64]
    is_same: NDArray[np.bool_]

    def face(self, index: int) -> Pixels:
        """Face `index` as (80, 80, 3) uint8 RGB."""
        stored = self.jpeg[self.offsets[index] : self.offsets[index + 1]]
        decoded = cv2.imdecode(stored, cv2.IMREAD_COLOR)
        if decoded is None or decoded.shape != (SIDE_PX, SIDE_PX, 3):
            raise ArchiveError(f"face {index} of the archive is no picture of {SIDE_PX} x {SIDE_PX}")
        return np.ascontiguousarray(decoded[:, :, ::-1], np.uint8)

    def faces(self, indices: NDArray[np.integer]) -> Pixels:
        """Several faces (N, 80, 80, 3) uint8 RGB."""
        return np.stack([self.face(int(index)) for index in indices])

    def indices(self, split: int) -> NDArray[np.int64]:
        """The faces of a split."""
        return np.flatnonzero(self.split == split)


def load_archive(folder: Path) -> FaceArchive:
    """The archive in a folder.

    Raises:
        ArchiveError: If there is none.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise ArchiveError(f"expected the archive {FILE_NAME} in {folder}, found none")
    with np.load(path) as stored:
        pairs = np.stack([stored["val_a"], stored["val_b"]], axis=1).astype(np.int64)  # (P, 2)
        return FaceArchive(
            stored["jpeg"], stored["offsets"], stored["identity"], stored["split"], pairs, stored["val_same"]
        )
