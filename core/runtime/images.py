"""Pictures in and out: an upload to an RGB array under limits, arrays to JPEG and PNG, and their hashes.

Arrays are RGB uint8 `(H, W, 3)`, rows from the top. An upload is read in memory and never trusted: its format
is decided by its content, its size is checked in its header before anything is decoded, and what is damaged,
incomplete or of another kind is refused in one sentence. Embedded colour profiles are ignored: samples are
taken as sRGB, and CMYK is mixed by the plain formula.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.runtime.formats.bmp import read_bmp
from core.runtime.formats.common import ImageError, Raster, Request, Samples
from core.runtime.formats.gif import read_gif
from core.runtime.formats.jpeg import read_jpeg
from core.runtime.formats.png import read_png
from core.runtime.formats.signatures import ACCEPTED, describe_other, find_format
from core.runtime.formats.webp import read_webp

__all__ = [
    "DecodedImage",
    "ImageError",
    "content_hash",
    "decode_image",
    "display_jpeg",
    "encode_jpeg",
    "encode_png",
    "fit_within",
]

Pixels = npt.NDArray[np.uint8]

MAX_BYTES = 32 * 2**20
MAX_PIXELS = 50_000_000
BLOCK_PIXELS = 2**20

READERS: dict[str, Callable[[bytes, Request], Raster]] = {
    "JPEG": read_jpeg,
    "PNG": read_png,
    "WebP": read_webp,
    "BMP": read_bmp,
    "GIF": read_gif,
}


@dataclass(frozen=True)
class DecodedImage:
    """A picture read from a file.

    `pixels` is read-only RGB uint8 `(H, W, 3)`, upright; `sha256` is that of the file's bytes;
    `original_size_px` is (width, height) of the upright picture before any scaling; `notes` are sentences on
    what was done to it.
    """

    pixels: Pixels
    sha256: str
    format: str
    original_size_px: tuple[int, int]
    notes: tuple[str, ...] = ()


def decode_image(
    data: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    max_side_px: int | None = None,
) -> DecodedImage:
    """Read a JPEG, PNG, WebP, BMP or GIF file, the first frame of an animation.

    Args:
        data: the whole file.
        max_bytes: larger files are refused.
        max_pixels: pictures of more pixels are refused before they are decoded.
        max_side_px: pictures with a longer side are scaled down to it.

    Raises:
        ImageError: the file is refused; its text is a sentence for the person who chose it.

    >>> decode_image(encode_png(np.full((2, 3, 3), 200, np.uint8))).pixels.shape
    (2, 3, 3)
    """
    if max_side_px is not None and max_side_px < 1:
        raise ValueError(f"expected max_side_px of at least 1, received {max_side_px}")
    data = bytes(data)
    if not data:
        raise ImageError(f"The file is empty; choose a {ACCEPTED} file.")
    if len(data) > max_bytes:
        raise ImageError(
            f"The file has {len(data) / 2**20:,.1f} MB and at most {max_bytes / 2**20:g} MB are accepted; "
            "scale the picture down or compress it more."
        )
    name = find_format(data)
    if name is None:
        raise ImageError(describe_other(data))
    try:
        raster = READERS[name](data, Request(max_pixels, max_side_px))
    except MemoryError as error:
        raise ImageError("There is not enough memory for this picture; scale it down first.") from error

    alpha = raster.alpha
    if alpha is not None and int(alpha.min()) == np.iinfo(alpha.dtype).max:
        alpha = None
    pixels = _flatten(raster.samples, alpha)  # (H, W, 3)
    width, height = raster.size_px
    kept_width, kept_height = _fit_size(width, height, max_side_px)
    pixels = _resize(pixels, kept_width, kept_height)
    pixels = np.ascontiguousarray(_turn_upright(pixels, raster.orientation))
    pixels.setflags(write=False)
    if raster.orientation > 4:
        width, height = height, width
    return DecodedImage(
        pixels,
        hashlib.sha256(data).hexdigest(),
        name,
        (width, height),
        _describe(raster, alpha, (width, height), pixels),
    )


def encode_jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """Encode grey `(H, W)` or RGB `(H, W, 3)` uint8 as JPEG, quality 1 to 100.

    Raises:
        ValueError: another shape or type, or a side over 65,500 pixels.

    >>> encode_jpeg(np.zeros((8, 8), np.uint8))[:2].hex()
    'ffd8'
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"expected a quality of 1 to 100, received {quality}")
    return _encode(".jpg", pixels, 65_500, [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(pixels: Pixels) -> bytes:
    """Encode grey `(H, W)` or RGB `(H, W, 3)` uint8 as PNG, without loss.

    Raises:
        ValueError: another shape or type, or a side over 1,000,000 pixels.
    """
    return _encode(".png", pixels, 1_000_000, [])


def display_jpeg(pixels: Pixels, max_width_px: int = 1460, quality: int = 88) -> bytes:
    """Encode grey or RGB uint8 as JPEG for the screen, scaled down where it is wider than a page."""
    _check_pixels(pixels)
    height, width = pixels.shape[:2]
    if width > max_width_px:
        pixels = _resize(pixels, max_width_px, max(1, round(height * max_width_px / width)))
    return encode_jpeg(pixels, quality)


def fit_within(pixels: Pixels, max_side_px: int) -> Pixels:
    """Scale grey or RGB uint8 down so that no side is longer than `max_side_px`; never enlarge.

    Each new pixel is the mean of the area it covers.

    >>> fit_within(np.zeros((300, 600, 3), np.uint8), 100).shape
    (50, 100, 3)
    """
    _check_pixels(pixels)
    if max_side_px < 1:
        raise ValueError(f"expected max_side_px of at least 1, received {max_side_px}")
    height, width = pixels.shape[:2]
    return _resize(pixels, *_fit_size(width, height, max_side_px))


def content_hash(content: npt.NDArray[np.generic] | bytes) -> str:
    """Hash an array (shape, type and every element) or bytes with SHA-256, for cache keys.

    >>> content_hash(np.zeros((2, 3))) == content_hash(np.zeros((3, 2)))
    False
    """
    if isinstance(content, (bytes, bytearray, memoryview)):
        return hashlib.sha256(content).hexdigest()
    if content.dtype.hasobject:
        raise ValueError("expected an array of numbers, received one of Python objects")
    digest = hashlib.sha256(f"array {content.shape} {content.dtype.str} ".encode())
    # Reading flat memory as bytes works for every type, also those that have no buffer format.
    digest.update(np.ascontiguousarray(content).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _flatten(samples: Samples, alpha: Samples | None) -> Pixels:
    """Bring samples to RGB uint8: 16 bits scaled by the full range, transparent parts over white."""
    height, width = samples.shape[:2]
    if alpha is None and samples.dtype == np.uint8 and samples.ndim == 3:
        return samples.astype(np.uint8, copy=False)
    pixels = np.empty((height, width, 3), np.uint8)
    for rows in _row_blocks(height, width):
        block = samples[rows] if alpha is None else _over_white(samples[rows], alpha[rows])
        if block.dtype == np.uint16:
            block = cv2.convertScaleAbs(block, alpha=255 / 65535).astype(np.uint8, copy=False)  # rounded
        pixels[rows] = block if block.ndim == 3 else block[..., None]  # (h, W, 3)
    return pixels


def _over_white(samples: Samples, alpha: Samples) -> Samples:
    """Composite over white: full - (full - v) a / full, rounded; `full` is the largest value of the type."""
    full = np.iinfo(samples.dtype).max
    missing = full - samples  # (h, W) or (h, W, 3)
    if samples.dtype == np.uint8:
        shares = alpha if samples.ndim == 2 else cv2.merge([alpha] * 3)
        return (full - cv2.multiply(missing, shares, scale=1 / full)).astype(np.uint8, copy=False)
    shares = alpha if samples.ndim == 2 else alpha[..., None]
    products = np.multiply(missing, shares, dtype=np.uint32)  # at most 65535 * 65535, with room for half a step
    return (full - (products + full // 2) // full).astype(np.uint16)


def _row_blocks(height: int, width: int) -> Iterator[slice]:
    """Cut a picture into bands of about a megapixel, so that wide intermediates stay small."""
    step = max(1, BLOCK_PIXELS // width)
    for start in range(0, height, step):
        yield slice(start, start + step)


def _turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo what EXIF says was done to the picture (CIPA DC-008, tag 0x0112)."""
    if orientation in (5, 7):
        pixels = cv2.transpose(pixels).astype(np.uint8, copy=False)
    if orientation in (2, 3, 4, 7):
        axis = {2: 1, 3: -1, 4: 0, 7: -1}[orientation]
        return cv2.flip(pixels, axis).astype(np.uint8, copy=False)
    if orientation in (6, 8):
        turn = cv2.ROTATE_90_CLOCKWISE if orientation == 6 else cv2.ROTATE_90_COUNTERCLOCKWISE
        return cv2.rotate(pixels, turn).astype(np.uint8, copy=False)
    return pixels


def _fit_size(width: int, height: int, max_side_px: int | None) -> tuple[int, int]:
    if max_side_px is None or max(width, height) <= max_side_px:
        return width, height
    scale = max_side_px / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resize(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _describe(raster: Raster, alpha: Samples | None, size_px: tuple[int, int], pixels: Pixels) -> tuple[str, ...]:
    notes = []
    if raster.n_frames > 1:
        notes.append(f"First of {raster.n_frames} frames.")
    if raster.orientation > 1:
        notes.append("Rotated as its EXIF data ask.")
    if raster.is_cmyk:
        notes.append("CMYK converted to RGB.")
    if raster.samples.dtype == np.uint16:
        notes.append("16-bit values scaled to 8 bits.")
    if alpha is not None:
        notes.append("Transparent parts shown on white.")
    height, width = pixels.shape[:2]
    if (width, height) != size_px:
        notes.append(f"Scaled from {size_px[0]} x {size_px[1]} to {width} x {height} pixels.")
    return tuple(notes)


def _check_pixels(pixels: Pixels) -> None:
    is_picture = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != np.uint8 or not is_picture or pixels.size == 0:
        raise ValueError(
            f"expected a uint8 array of shape (H, W) or (H, W, 3), received {pixels.dtype} of shape {pixels.shape}"
        )


def _encode(extension: str, pixels: Pixels, max_side_px: int, options: list[int]) -> bytes:
    _check_pixels(pixels)
    if max(pixels.shape[:2]) > max_side_px:
        raise ValueError(f"expected sides of at most {max_side_px} pixels, received shape {pixels.shape}")
    stored = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    is_encoded, coded = cv2.imencode(extension, stored, options)
    if not is_encoded:
        raise ValueError(f"could not encode an array of shape {pixels.shape} as {extension[1:].upper()}")
    return coded.tobytes()
