"""Writers of picture files for the tests: what Pillow and OpenCV cannot write, and pictures to put in."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest
from PIL import Image

T = TypeVar("T")
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def photograph(width: int = 48, height: int = 40, seed: int = 3) -> np.ndarray:
    """A smooth colourful picture without symmetry, RGB uint8 (H, W, 3)."""
    noise = np.random.default_rng(seed).uniform(0, 255, (5, 6, 3)).astype(np.float32)
    smooth = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 255).astype(np.uint8)


def pillow_bytes(pixels: np.ndarray | Image.Image, format_name: str, **options: object) -> bytes:
    """Encode by Pillow."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def peak_of(call: Callable[[], T]) -> tuple[int, T]:
    """Memory that a call took at its peak, in bytes, that of libraries in C included, and its result."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory at its peak is measured through Linux's /proc")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = _status_bytes("VmRSS")
    result = call()
    return max(0, _status_bytes("VmHWM") - before), result


def _status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(field + ":")))


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bytes(
    samples: np.ndarray,
    colour_type: int,
    depth: int,
    *,
    interlaced: bool = False,
    before: bytes = b"",
    data: bytes | None = None,
) -> bytes:
    """Write samples (H, W, C) as PNG, cycling through its filters; `before` holds further chunks."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, int(interlaced))
    coded = zlib.compress(png_scanlines(samples, depth, interlaced=interlaced)) if data is None else data
    # Two parts, as a long picture would have.
    parts = png_chunk(b"IDAT", coded[: len(coded) // 2]) + png_chunk(b"IDAT", coded[len(coded) // 2 :])
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + before + parts + png_chunk(b"IEND", b"")


def png_scanlines(samples: np.ndarray, depth: int, *, interlaced: bool = False) -> bytes:
    """Filter the rows of a picture (PNG specification, sections 7 to 9), by the letter and slowly."""
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    lines = bytearray()
    for left, top, step_x, step_y in passes:
        part = samples[top::step_y, left::step_x]
        if part.size == 0:
            continue
        bytes_per_pixel = max(1, part.shape[2] * depth // 8)
        previous = bytes(len(_pack(part[0], depth)))
        for index, row in enumerate(part):
            packed = _pack(row, depth)
            kind = index % 5
            lines.append(kind)
            lines += _filter(packed, previous, bytes_per_pixel, kind)
            previous = packed
    return bytes(lines)


def _pack(row: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    bits = (row.reshape(-1, 1) >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()


def _filter(row: bytes, above: bytes, distance: int, kind: int) -> bytes:
    out = bytearray()
    for index, value in enumerate(row):
        a = row[index - distance] if index >= distance else 0
        b = above[index]
        c = above[index - distance] if index >= distance else 0
        estimate = a + b - c
        nearest = min((abs(estimate - a), 0, a), (abs(estimate - b), 1, b), (abs(estimate - c), 2, c))[2]
        out.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
    return bytes(out)


def exif_bytes(orientation: int, order: str = "<") -> bytes:
    """EXIF data with two entries, the second the orientation."""
    start = b"II" if order == "<" else b"MM"
    entries = struct.pack(order + "HHIHH", 0x0100, 3, 1, 99, 0)
    entries += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return start + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", 2) + entries + bytes(4)


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def with_jpeg_exif(jpeg: bytes, exif: bytes) -> bytes:
    return jpeg[:2] + jpeg_segment(0xE1, b"Exif\0\0" + exif) + jpeg[2:]


def without_jpeg_segment(jpeg: bytes, marker: int) -> bytes:
    """Take one kind of segment out of the part before the first scan."""
    kept, position = bytearray(jpeg[:2]), 2
    while jpeg[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if jpeg[position + 1] != marker:
            kept += jpeg[position:end]
        position = end
    return bytes(kept + jpeg[position:])


def stored_for(upright: np.ndarray, orientation: int) -> np.ndarray:
    """Lay an upright picture out as a camera stores it: pixel by pixel from the table of the EXIF standard.

    The table says which visual side of the picture the 0th row and the 0th column are.
    """
    row_side, column_side = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    height, width = upright.shape[:2]
    n_rows, n_columns = (height, width) if row_side in ("top", "bottom") else (width, height)
    stored = np.zeros((n_rows, n_columns, 3), np.uint8)
    for row in range(n_rows):
        for column in range(n_columns):
            at = {}
            for side, index in ((row_side, row), (column_side, column)):
                at["y" if side in ("top", "bottom") else "x"] = {
                    "top": index,
                    "left": index,
                    "bottom": height - 1 - index,
                    "right": width - 1 - index,
                }[side]
            stored[row, column] = upright[at["y"], at["x"]]
    return stored
