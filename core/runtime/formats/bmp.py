"""BMP files: 1 to 32 bits a pixel, palettes, bit fields and run lengths, as OS/2 and Windows write them.

Source: Microsoft, Bitmap Storage (BITMAPFILEHEADER to BITMAPV5HEADER).
"""

import io
import struct

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile

from core.runtime.formats.common import ImageError, Raster, Request, damaged, truncated

HEADER_BYTES = (12, 40, 52, 56, 64, 108, 124)
RUN_LENGTH_8, RUN_LENGTH_4 = 1, 2
# Pillow expands run lengths in Python, a microsecond a run.
MAX_RUN_LENGTH_BYTES = 2**20


def is_bmp(data: bytes) -> bool:
    """Tell a BMP file from a text that begins with the letters BM."""
    return data.startswith(b"BM") and len(data) >= 18 and struct.unpack_from("<I", data, 14)[0] in HEADER_BYTES


def read_bmp(data: bytes, request: Request) -> Raster:
    """Read a BMP file.

    Raises:
        ImageError: too many pixels, damaged, incomplete, or of a kind that is not supported.
    """
    width, height, depth, compression = _read_header(data)
    request.check_size(width, height)
    if compression in (RUN_LENGTH_8, RUN_LENGTH_4) and len(data) > MAX_RUN_LENGTH_BYTES:
        raise ImageError(
            "This BMP file is compressed by run lengths and larger than 1 MB, which is not supported; save it as PNG."
        )
    if compression not in (RUN_LENGTH_8, RUN_LENGTH_4) and len(data) * 8 < width * height * depth:
        raise truncated("BMP")
    try:
        image = BmpImageFile(io.BytesIO(data))
        if image.size != (width, height):
            raise damaged("BMP", "its header contradicts itself")
        image.load()
    except ImageError:
        raise
    except Exception as error:  # whatever a damaged file makes the library raise
        if "truncated" in str(error) or "enough" in str(error):
            raise truncated("BMP") from error
        raise damaged("BMP", "its picture cannot be decoded") from error
    if image.mode == "RGBA":
        samples = np.asarray(image)  # (H, W, 4)
        # Many programs leave the fourth byte at zero and mean an opaque picture.
        alpha = samples[..., 3] if samples[..., 3].any() else None
        return Raster("BMP", samples[..., :3], (width, height), alpha)
    return Raster("BMP", np.asarray(image.convert("RGB")), (width, height))


def _read_header(data: bytes) -> tuple[int, int, int, int]:
    """Read width, height, bits a pixel and compression; a negative height says that rows go downwards."""
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if len(data) < 14 + header_bytes:
        raise truncated("BMP")
    if header_bytes == 12:
        width, height, _planes, depth = struct.unpack_from("<HHHH", data, 18)
        return width, height, depth, 0
    width, height, _planes, depth, compression = struct.unpack_from("<IIHHI", data, 18)
    if height >> 24 == 0xFF:
        height = 2**32 - height
    return width, height, depth, compression
