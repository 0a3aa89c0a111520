"""What the format readers share: the error, the request, the raster they return, and the EXIF orientation.

A raster is the picture as stored in its file: samples `(H, W)` for grey or `(H, W, 3)` for RGB, uint8 or
uint16, not yet rotated, with an alpha plane `(H, W)` of the same type where the file has one.
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class ImageError(ValueError):
    """A file that cannot be shown; its text is one sentence that says what is wrong and what to do."""


@dataclass(frozen=True)
class Request:
    """What the caller accepts and wants: pixels at most, and the longest side that will be kept."""

    max_pixels: int
    max_side_px: int | None = None

    def check_size(self, width: int, height: int) -> None:
        """Refuse a picture of no pixels or of too many.

        Raises:
            ImageError: the size announced in the header is not acceptable.
        """
        if width <= 0 or height <= 0:
            raise ImageError(
                f"The picture says that it is {width} x {height} pixels, so there is nothing to show; "
                "open it in an image editor and save it again."
            )
        if width * height > self.max_pixels:
            raise ImageError(
                f"The picture is {width} x {height} pixels ({width * height / 1e6:,.1f} megapixels) "
                f"and at most {self.max_pixels / 1e6:g} megapixels are accepted; scale it down first."
            )


@dataclass(frozen=True)
class Raster:
    """A decoded picture as it lies in its file.

    `size_px` is (width, height) from the header; the samples are smaller if a reader scaled while decoding.
    """

    format: str
    samples: Samples
    size_px: tuple[int, int]
    alpha: Samples | None = None
    orientation: int = 1
    n_frames: int = 1
    is_cmyk: bool = False


def damaged(format_name: str, what: str) -> ImageError:
    """Make the error for a file that breaks the rules of its format."""
    return ImageError(
        f"The {format_name} file is damaged ({what}); open it in an image editor and save it again, or choose another."
    )


def truncated(format_name: str) -> ImageError:
    """Make the error for a file that stops before its picture is complete."""
    return ImageError(
        f"The {format_name} file ends before its picture is complete; copy or download it again, or choose another."
    )


def exif_orientation(exif: bytes) -> int:
    """Read the orientation, 1 to 8, from EXIF data; 1 (upright) where there is none or they are damaged.

    Source: CIPA DC-008 (EXIF 2.32), section 4.6.4, tag 0x0112.

    >>> exif_orientation(bytes.fromhex("4d4d002a00000008 0001 0112 0003 00000001 0006 0000"))
    6
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        magic, offset = struct.unpack_from(order + "HI", tiff, 2)
        (n_entries,) = struct.unpack_from(order + "H", tiff, offset)
        for entry in range(n_entries if magic == 42 else 0):
            at = offset + 2 + 12 * entry
            tag, kind, count = struct.unpack_from(order + "HHI", tiff, at)
            if tag == 0x0112 and kind == 3 and count == 1:
                (value,) = struct.unpack_from(order + "H", tiff, at + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:  # the directory points outside the data
        return 1
    return 1
