"""WebP files: lossy and lossless, with alpha; of an animation the first frame.

Source: RFC 9649, WebP Image Format.
"""

import io
import struct

import numpy as np
from PIL.WebPImagePlugin import WebPImageFile

from core.runtime.formats.common import Raster, Request, damaged, exif_orientation, truncated

MAX_CHUNKS = 65_536


def read_webp(data: bytes, request: Request) -> Raster:
    """Read a WebP file, of an animation its first frame.

    Raises:
        ImageError: too many pixels, damaged or incomplete.
    """
    size, orientation, n_frames = _read_chunks(data, request)
    try:
        image = WebPImageFile(io.BytesIO(data))
        if image.size != size:
            raise ValueError(f"the decoder found {image.size}")
        image.load()
    except Exception as error:  # whatever a damaged file makes the library raise
        raise damaged("WebP", "its picture cannot be decoded") from error
    samples = np.asarray(image)  # (H, W, 3) or (H, W, 4)
    alpha = samples[..., 3] if samples.shape[2] == 4 else None
    return Raster("WebP", samples[..., :3], size, alpha, orientation, n_frames)


def _read_chunks(data: bytes, request: Request) -> tuple[tuple[int, int], int, int]:
    """Read size, orientation and number of frames, checking every size that the file announces."""
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise truncated("WebP")
    size: tuple[int, int] | None = None
    orientation, n_frames = 1, 0
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > end:
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : min(position + 8 + length, end)]
        announced = _announced_size(kind, body)
        if announced is not None:
            request.check_size(*announced)
            size = size or announced
        n_frames += kind == b"ANMF"
        if kind == b"EXIF":
            orientation = exif_orientation(body)
        position += 8 + length + length % 2
    if size is None:
        raise damaged("WebP", "it holds no picture")
    return size, orientation, max(1, n_frames)


def _announced_size(kind: bytes, body: bytes) -> tuple[int, int] | None:
    if kind == b"VP8X" and len(body) >= 10:
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"ANMF" and len(body) >= 16:
        return 1 + int.from_bytes(body[6:9], "little"), 1 + int.from_bytes(body[9:12], "little")
    if kind == b"VP8 " and len(body) >= 10:
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None
