"""PNG files: every colour type and bit depth, interlaced or not; of an animation the picture in front.

Source: W3C PNG Specification (Third Edition), sections 5, 7, 9 and 11.

Only the chunks that make the picture are used, their checksums verified; compressed text and colour profiles
are stepped over. Pillow's decoder inflates row by row and undoes the filters, so a stream that would inflate
to gigabytes costs no more than the size in the header. It keeps 8 bits of a sample: 16-bit pictures are read
as pairs of bytes.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.runtime.formats.common import Raster, Request, Samples, damaged, exif_orientation, truncated

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 65_536
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
BIT_DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
CRITICAL_HERE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")

# Deflate cannot shrink data by more than this (RFC 1951: 258 bytes in 2 bits).
MAX_RATIO = 1032

# Two unlikely colours to decode upon: what still shows them was never written.
BACKGROUNDS = ((90, 165, 211, 77), (165, 90, 44, 178))


@dataclass(frozen=True)
class _Header:
    size_px: tuple[int, int]
    depth: int
    colour_type: int
    is_interlaced: bool


def read_png(data: bytes, request: Request) -> Raster:
    """Read a PNG file, 16-bit samples kept whole.

    Raises:
        ImageError: too many pixels, damaged or incomplete.
    """
    if not data.startswith(SIGNATURE):
        raise damaged("PNG", "its first bytes were changed, as when it is sent as text")
    header, chunks = _read_chunks(data, request)
    coded = b"".join(chunks.get(b"IDAT", []))
    (width, height), n_channels = header.size_px, CHANNELS[header.colour_type]
    if len(coded) * MAX_RATIO * 8 < width * height * n_channels * header.depth:
        raise truncated("PNG")
    transparency = chunks.get(b"tRNS", [b""])[0]
    if header.colour_type == PALETTE or (header.colour_type == GREY and header.depth <= 8):
        samples, alpha = _read_indexed(coded, header, chunks.get(b"PLTE", [b""])[0], transparency)
    else:
        samples, alpha = _read_direct(coded, header, transparency)
    animation = chunks.get(b"acTL", [b""])[0]
    return Raster(
        "PNG",
        samples,
        header.size_px,
        alpha,
        exif_orientation(chunks.get(b"eXIf", [b""])[0]),
        max(1, int.from_bytes(animation[:4], "big")),
    )


def _read_chunks(data: bytes, request: Request) -> tuple[_Header, dict[bytes, list[bytes]]]:
    chunks: dict[bytes, list[bytes]] = {}
    header: _Header | None = None
    position = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IEND":
            break
        end = position + 8 + length
        if header is None and kind != b"IHDR":
            raise damaged("PNG", "its header does not come first")
        if kind in (*CRITICAL_HERE, b"acTL", b"eXIf"):
            body = data[position + 8 : end]
            if kind == b"IHDR" and len(body) == 13 and header is None:
                header = _read_header(body, request)
            if end + 4 > len(data):
                raise truncated("PNG")
            if zlib.crc32(data[position + 4 : end]) == int.from_bytes(data[end : end + 4], "big"):
                chunks.setdefault(kind, []).append(body)
            elif kind in CRITICAL_HERE:
                raise damaged("PNG", f"the checksum of its part {kind.decode()} does not match")
        position = end + 4
    else:
        raise damaged("PNG", f"it has more than {MAX_CHUNKS} parts")
    if header is None:
        raise truncated("PNG")
    return header, chunks


def _read_header(body: bytes, request: Request) -> _Header:
    width, height, depth, colour_type, compression, filtering, interlace = struct.unpack(">IIBBBBB", body)
    request.check_size(width, height)
    if depth not in BIT_DEPTHS.get(colour_type, ()) or compression or filtering or interlace > 1:
        raise damaged("PNG", "its header announces a kind of picture that does not exist")
    return _Header((width, height), depth, colour_type, interlace == 1)


def _read_indexed(coded: bytes, header: _Header, palette: bytes, transparency: bytes) -> tuple[Samples, Samples | None]:
    """Read samples of up to 8 bits that stand for a colour of the palette or a level of grey."""
    raw_mode = "P" if header.depth == 8 else f"P;{header.depth}"
    indices = _inflate(coded, header, "P", raw_mode)  # (H, W)
    n_levels = 2**header.depth
    alpha_table = np.full(256, 255, np.uint8)
    if header.colour_type == PALETTE:
        if not palette or len(palette) % 3 or len(palette) > 768:
            raise damaged("PNG", "its palette is missing or has the wrong length")
        table: npt.NDArray[np.uint8] = np.zeros((256, 3), np.uint8)
        table[: len(palette) // 3] = np.frombuffer(palette, np.uint8).reshape(-1, 3)
        alpha_table[: len(transparency[:256])] = np.frombuffer(transparency[:256], np.uint8)
    else:
        table = np.zeros(256, np.uint8)
        table[:n_levels] = np.arange(n_levels) * 255 // (n_levels - 1)
        if len(transparency) >= 2:
            alpha_table[int.from_bytes(transparency[:2], "big") % n_levels] = 0
    alpha = np.take(alpha_table, indices) if transparency else None  # (H, W)
    return np.take(table, indices, axis=0), alpha  # (H, W, 3) or (H, W)


def _read_direct(coded: bytes, header: _Header, transparency: bytes) -> tuple[Samples, Samples | None]:
    """Read samples that are colours themselves, with an alpha channel or one colour declared transparent."""
    kind, depth = header.colour_type, header.depth
    samples: Samples
    if depth == 8:
        mode = {RGB: "RGB", GREY_ALPHA: "LA", RGBA: "RGBA"}[kind]
        samples = _inflate(coded, header, mode, mode)
    elif kind in (GREY, GREY_ALPHA):
        # 16-bit grey is laid out like an 8-bit picture of twice the channels: high byte, low byte.
        mode = "LA" if kind == GREY else "RGBA"
        octets = _inflate(coded, header, mode, mode)  # (H, W, 2) or (H, W, 4)
        samples = octets.view(">u2").astype(np.uint16)  # (H, W, 1) or (H, W, 2)
    else:
        mode = "RGB" if kind == RGB else "RGBA"
        # Pillow keeps one byte of each sample; told the other byte order, it keeps the low one.
        high = _inflate(coded, header, mode, mode + ";16B").astype(np.uint16)
        low = _inflate(coded, header, mode, mode + ";16L")
        samples = (high * 256 + low).astype(np.uint16, copy=False)
    if kind in (GREY_ALPHA, RGBA):
        colours, alpha = samples[..., :-1], samples[..., -1]  # (H, W, 1 or 3), (H, W)
    else:
        colours, alpha = samples, None
        n_channels = samples.shape[2]
        if len(transparency) >= 2 * n_channels:
            key = np.frombuffer(transparency, ">u2", n_channels) & (2**depth - 1)
            opaque = (samples != key).any(axis=2)  # (H, W)
            alpha = np.zeros(opaque.shape, samples.dtype)
            alpha[opaque] = 2**depth - 1
    return (colours[..., 0] if kind in (GREY, GREY_ALPHA) else colours), alpha


def _inflate(coded: bytes, header: _Header, mode: str, raw_mode: str) -> npt.NDArray[np.uint8]:
    """Inflate and unfilter; refuse a stream that ends, though properly, before the last row."""
    pixels = _inflate_upon(coded, header, mode, raw_mode, BACKGROUNDS[0])
    background = np.array(BACKGROUNDS[0][: pixels[0, 0].size], np.uint8)
    # Rows are written from the top, so the last one tells; interlacing leaves its gaps anywhere.
    untouched = (pixels if header.is_interlaced else pixels[-1:]).reshape(-1, background.size) == background
    if untouched.all(axis=1).any():
        again = _inflate_upon(coded, header, mode, raw_mode, BACKGROUNDS[1])
        if not np.array_equal(pixels, again):
            raise truncated("PNG")
    return pixels


def _inflate_upon(
    coded: bytes, header: _Header, mode: str, raw_mode: str, background: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    n_channels = Image.getmodebands(mode)
    image = Image.new(mode, header.size_px, background[0] if n_channels == 1 else background[:n_channels])
    try:
        image.frombytes(coded, "zip", (raw_mode, int(header.is_interlaced)))
    except ValueError as error:
        raise (
            truncated("PNG") if "enough" in str(error) else damaged("PNG", "its picture cannot be decoded")
        ) from error
    return np.asarray(image)
