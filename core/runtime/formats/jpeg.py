"""JPEG files: baseline, extended and progressive Huffman coding, 8 bits, grey, YCbCr, RGB, CMYK and YCCK.

Source: ITU-T T.81 (the coding), T.871 (JFIF), T.872 (Adobe's marker, CMYK).

The file is taken apart into its segments, and only those that hold the picture go to libjpeg-turbo. That
library fills what is missing with grey and calls it a warning, so completeness is settled here: a picture of
one scan is decoded without its end marker (the library then stops for want of data and invents none),
and one of several scans must have brought every coefficient to full precision.
"""

import math
import re
import struct
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from core.runtime.formats.common import ImageError, Raster, Request, damaged, exif_orientation, truncated

# Hostile files repeat cheap scans that each cost a pass over the whole picture; encoders write about ten.
MAX_SCANS = 64

SOI, EOI, SOS, DQT, DHT, DRI, APP0, APP1, APP14 = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xE0, 0xE1, 0xEE
FRAME_MARKERS = {*range(0xC0, 0xD0)} - {DHT, 0xC8, 0xCC}
SUPPORTED_FRAMES = {0xC0, 0xC1, 0xC2}
PROGRESSIVE = 0xC2

# Far more segments than any camera writes, few enough to walk through at once.
MAX_SEGMENTS = 65_536

FILL_BYTES = re.compile(rb"\xff*")
# In coded data a byte 0xFF is followed by 0x00; restart markers D0 to D7 belong to the data.
END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

# One bits are no Huffman code: enough for the decoder's look-ahead of 64 bits, too few to make up a block.
LOOK_AHEAD = b"\xff\x00" * 8


@dataclass
class _Jpeg:
    """The parts of a JPEG file that matter for its picture."""

    stream: list[bytes] = field(default_factory=lambda: [b"\xff\xd8"])
    size_px: tuple[int, int] = (0, 0)
    frame_marker: int = 0
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    # Per component the lowest bit that has arrived of each of the 64 coefficients; 99 where none has.
    lowest_bit: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)
    restart_interval: int = 0
    n_scans: int = 0
    has_adobe_marker: bool = False
    orientation: int = 1
    is_single_scan: bool = False


def read_jpeg(data: bytes, request: Request) -> Raster:
    """Read a JPEG file; where the caller wants it smaller, libjpeg scales by 2, 4 or 8 while decoding.

    Raises:
        ImageError: too many pixels, damaged, incomplete, or of a kind that is not supported.
    """
    jpeg = _parse(data, request)
    width, height = jpeg.size_px
    coded = b"".join(jpeg.stream)
    is_cmyk = len(jpeg.sampling) == 4
    if is_cmyk:
        pixels = _decode_cmyk(coded, jpeg)
    else:
        pixels = _decode_rgb(coded, jpeg, request.max_side_px)
    return Raster("JPEG", pixels, (width, height), orientation=jpeg.orientation, is_cmyk=is_cmyk)


def _parse(data: bytes, request: Request) -> _Jpeg:
    jpeg = _Jpeg()
    position = 2
    for _ in range(MAX_SEGMENTS):
        position = _skip_to_marker(data, position)
        marker = data[position + 1]
        if marker == EOI:
            break
        if marker == SOI or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            raise damaged("JPEG", "a marker stands where none may")
        if position + 4 > len(data):
            raise truncated("JPEG")
        (length,) = struct.unpack_from(">H", data, position + 2)
        end = position + 2 + length
        if length < 2:
            raise damaged("JPEG", "a segment has no length")
        if end > len(data):
            raise truncated("JPEG")
        segment = data[position:end]
        body = segment[4:]
        if marker in FRAME_MARKERS:
            _read_frame(jpeg, marker, body, request)
        if marker == APP1 and body.startswith(b"Exif\0\0") and jpeg.orientation == 1:
            jpeg.orientation = exif_orientation(body)
        jpeg.has_adobe_marker |= marker == APP14 and body.startswith(b"Adobe")
        if marker == DRI and len(body) >= 2:
            jpeg.restart_interval = int.from_bytes(body[:2], "big")
        if (
            marker in SUPPORTED_FRAMES | {DQT, DHT, DRI, SOS}
            or (marker == APP0 and body.startswith(b"JFIF\0"))
            or (marker == APP14 and body.startswith(b"Adobe"))
        ):
            jpeg.stream.append(segment)
        position = end
        if marker == SOS:
            found = END_OF_SCAN.search(data, position)
            if found is None:
                raise truncated("JPEG")
            _read_scan(jpeg, body, data, position, found.start())
            jpeg.stream.append(data[position : found.start()])
            position = found.start()
            if jpeg.is_single_scan:
                jpeg.stream.append(LOOK_AHEAD)
                return jpeg
    else:
        raise damaged("JPEG", f"it has more than {MAX_SEGMENTS} segments")
    _check_complete(jpeg)
    jpeg.stream.append(b"\xff\xd9")
    return jpeg


def _skip_to_marker(data: bytes, position: int) -> int:
    """Find the marker at `position`, over the fill bytes 0xFF that may stand before it."""
    filled = FILL_BYTES.match(data, position)
    code = filled.end() if filled else position
    if code >= len(data):
        raise truncated("JPEG")
    if code == position or data[code] == 0x00:
        raise damaged("JPEG", "its segments do not follow one another")
    return code - 1


def _read_frame(jpeg: _Jpeg, marker: int, body: bytes, request: Request) -> None:
    if marker not in SUPPORTED_FRAMES:
        raise ImageError(
            "This JPEG file uses lossless, hierarchical or arithmetic coding, which is not supported; "
            "save it as an ordinary JPEG or as PNG."
        )
    if jpeg.frame_marker:
        raise damaged("JPEG", "it has two frame headers")
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise damaged("JPEG", "its frame header has the wrong length")
    precision, height, width, n_components = struct.unpack_from(">BHHB", body)
    request.check_size(width, height)
    if precision != 8:
        raise ImageError(
            f"This JPEG file has {precision} bits a sample and only 8 are supported; save it as a 16-bit PNG."
        )
    if n_components not in (1, 3, 4):
        raise damaged("JPEG", f"it has {n_components} colour components instead of 1, 3 or 4")
    jpeg.size_px = (width, height)
    jpeg.frame_marker = marker
    for identifier, factors, _table in struct.iter_unpack("BBB", body[6:]):
        if not (1 <= factors >> 4 <= 4 and 1 <= factors & 15 <= 4) or identifier in jpeg.sampling:
            raise damaged("JPEG", "its colour components contradict each other")
        jpeg.sampling[identifier] = (factors >> 4, factors & 15)
        jpeg.lowest_bit[identifier] = np.full(64, 99)


def _read_scan(jpeg: _Jpeg, body: bytes, data: bytes, start: int, end: int) -> None:
    if not jpeg.frame_marker:
        raise damaged("JPEG", "picture data come before the frame header")
    if not body or len(body) != 4 + 2 * body[0]:
        raise damaged("JPEG", "a scan header has the wrong length")
    jpeg.n_scans += 1
    if jpeg.n_scans > MAX_SCANS:
        raise damaged("JPEG", f"it has more than {MAX_SCANS} scans")
    identifiers = set(body[1:-3:2])
    if not identifiers <= jpeg.sampling.keys() or len(identifiers) != body[0]:
        raise damaged("JPEG", "a scan names a colour component that the picture does not have")
    first, last, bits = (0, 63, 0) if jpeg.frame_marker != PROGRESSIVE else struct.unpack("BBB", body[-3:])
    for identifier in identifiers:
        jpeg.lowest_bit[identifier][first : last + 1] = bits & 15
    jpeg.is_single_scan = (
        jpeg.frame_marker != PROGRESSIVE and jpeg.n_scans == 1 and len(identifiers) == len(jpeg.sampling)
    )
    if jpeg.is_single_scan and jpeg.restart_interval:
        n_restarts = sum(data.count(bytes((0xFF, 0xD0 + index)), start, end) for index in range(8))
        if n_restarts < math.ceil(_count_mcus(jpeg) / jpeg.restart_interval) - 1:
            raise truncated("JPEG")


def _count_mcus(jpeg: _Jpeg) -> int:
    """Count the minimum coded units of a scan that holds every component (T.81, A.2)."""
    width, height = jpeg.size_px
    factors = list(jpeg.sampling.values()) if len(jpeg.sampling) > 1 else [(1, 1)]
    across = math.ceil(width / (8 * max(horizontal for horizontal, _ in factors)))
    down = math.ceil(height / (8 * max(vertical for _, vertical in factors)))
    return across * down


def _check_complete(jpeg: _Jpeg) -> None:
    if not jpeg.n_scans:
        raise truncated("JPEG") if jpeg.frame_marker else damaged("JPEG", "it holds no picture")
    if any(bits.any() for bits in jpeg.lowest_bit.values()):
        raise truncated("JPEG")


def _decode_rgb(coded: bytes, jpeg: _Jpeg, max_side_px: int | None) -> npt.NDArray[np.uint8]:
    width, height = jpeg.size_px
    factor, reduced = 1, 0
    for candidate, flag in (
        (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
        (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
        (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
    ):
        if max_side_px is not None and max(width, height) >= candidate * max_side_px:
            factor, reduced = candidate, flag
    try:
        # The flag for RGB added to the grey one of a scale reads colour at that scale.
        decoded = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR_RGB | reduced)
    except cv2.error as error:
        raise damaged("JPEG", "its picture cannot be decoded") from error
    # OpenCV answers None, whatever its signature says, when the data do not suffice.
    if decoded is None or decoded.shape != (math.ceil(height / factor), math.ceil(width / factor), 3):
        raise truncated("JPEG") if decoded is None else damaged("JPEG", "its picture has another size")
    return decoded.astype(np.uint8, copy=False)


def _decode_cmyk(coded: bytes, jpeg: _Jpeg) -> npt.NDArray[np.uint8]:
    """Decode four inks and mix them as light: R = (1 - C)(1 - K), and so on; ICC profiles are ignored."""
    image = Image.new("CMYK", jpeg.size_px)
    try:
        image.frombytes(coded, "jpeg", ("CMYK", ""))
    except ValueError as error:
        raise (
            truncated("JPEG") if "enough" in str(error) else damaged("JPEG", "its picture cannot be decoded")
        ) from error
    light = np.asarray(image)
    if not jpeg.has_adobe_marker:  # Adobe stores the light that is left, everybody else the ink
        light = 255 - light
    pixels = np.empty((*light.shape[:2], 3), np.uint8)
    for row, inks in enumerate(light):  # row by row: products need 16 bits
        pixels[row] = (inks[:, :3].astype(np.uint16) * inks[:, 3:] + 127) // 255
    return pixels
