"""GIF files: the first frame, on the canvas that the file describes.

Source: CompuServe, Graphics Interchange Format, Version 89a (1990).
"""

import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.runtime.formats.common import Raster, Request, damaged, truncated

EXTENSION, IMAGE, TRAILER, GRAPHIC_CONTROL = 0x21, 0x2C, 0x3B, 0xF9
# Data come in blocks of at most 255 bytes; a file of many tiny ones would keep the walk through them busy.
MAX_BLOCKS = 1_000_000
# A code has at least 2 bits and stands for at most 4096 pixels.
MAX_PIXELS_PER_BYTE = 4 * 4096


@dataclass(frozen=True)
class _Frame:
    box: tuple[int, int, int, int]  # left, top, width, height
    is_interlaced: bool
    palette: bytes
    transparent_index: int | None
    code_bits: int
    coded: bytes


def read_gif(data: bytes, request: Request) -> Raster:
    """Read the first frame of a GIF file and count the others.

    Raises:
        ImageError: too many pixels, damaged or incomplete.
    """
    if len(data) < 13:
        raise truncated("GIF")
    canvas_width, canvas_height, flags = struct.unpack_from("<HHB", data, 6)
    request.check_size(max(1, canvas_width), max(1, canvas_height))
    palette, position = _read_palette(data, 13, flags)
    frame, n_frames = _read_frames(data, position, palette, request)
    left, top, width, height = frame.box
    size = (max(canvas_width, left + width), max(canvas_height, top + height))
    request.check_size(*size)
    if len(frame.coded) * MAX_PIXELS_PER_BYTE < width * height:
        raise truncated("GIF")

    image = Image.new("L", (width, height))
    try:
        image.frombytes(frame.coded, "gif", (frame.code_bits, int(frame.is_interlaced), -1))
    except ValueError as error:
        raise (
            truncated("GIF") if "enough" in str(error) else damaged("GIF", "its picture cannot be decoded")
        ) from error
    indices = np.asarray(image)  # (height, width)

    table = np.zeros((256, 3), np.uint8)
    if frame.palette:
        table[: len(frame.palette) // 3] = np.frombuffer(frame.palette, np.uint8).reshape(-1, 3)
    else:
        table[:] = np.arange(256)[:, None]  # without any palette the index itself is the only hint
    alpha_table = np.full(256, 255, np.uint8)
    if frame.transparent_index is not None:
        alpha_table[frame.transparent_index] = 0

    colours = np.take(table, indices, axis=0)  # (height, width, 3)
    if frame.transparent_index is None and size == (width, height):
        return Raster("GIF", colours, size, n_frames=n_frames)
    samples = np.zeros((size[1], size[0], 3), np.uint8)
    alpha = np.zeros((size[1], size[0]), np.uint8)
    samples[top : top + height, left : left + width] = colours
    alpha[top : top + height, left : left + width] = alpha_table[indices]
    return Raster("GIF", samples, size, alpha, n_frames=n_frames)


def _read_palette(data: bytes, position: int, flags: int) -> tuple[bytes, int]:
    if not flags & 0x80:
        return b"", position
    end = position + 3 * 2 ** ((flags & 7) + 1)
    if end > len(data):
        raise truncated("GIF")
    return data[position:end], end


def _read_frames(data: bytes, position: int, global_palette: bytes, request: Request) -> tuple[_Frame, int]:
    """Read the first frame and walk over the rest to count them; what ends early after it is not counted."""
    frame: _Frame | None = None
    n_frames, n_blocks = 0, 0
    transparent_index: int | None = None
    while position < len(data) and n_blocks <= MAX_BLOCKS:
        introducer = data[position]
        if introducer == EXTENSION and position + 2 < len(data):
            label = data[position + 1]
            start = position + 2
            if label == GRAPHIC_CONTROL and len(data) >= start + 6 and frame is None:
                transparent_index = data[start + 4] if data[start + 1] & 1 else None
        elif introducer == IMAGE and position + 10 < len(data):
            left, top, width, height, flags = struct.unpack_from("<HHHHB", data, position + 1)
            palette, start = _read_palette(data, position + 10, flags)
            if frame is None:
                request.check_size(width, height)
            code_bits = data[start] if start < len(data) else 0
            start += 1
        else:
            break
        end, walked, is_whole = _skip_blocks(data, start, MAX_BLOCKS - n_blocks)
        n_blocks += walked
        if introducer == IMAGE:
            if frame is None:
                if not 1 <= code_bits <= 8:
                    raise damaged("GIF", f"its codes have {code_bits} bits instead of 1 to 8")
                box = (left, top, width, height)
                coded = data[start:end]
                frame = _Frame(box, bool(flags & 0x40), palette or global_palette, transparent_index, code_bits, coded)
            n_frames += is_whole
        if not is_whole:
            break
        position = end
    if frame is None:
        raise truncated("GIF")
    return frame, max(1, n_frames)


def _skip_blocks(data: bytes, position: int, limit: int) -> tuple[int, int, bool]:
    """Step over data blocks; the end, how many there were, and whether their terminator was reached."""
    walked = 0
    while position < len(data) and walked < limit:
        length = data[position]
        position += 1 + length
        walked += 1
        if length == 0:
            return position, walked, True
    return min(position, len(data)), walked, False
