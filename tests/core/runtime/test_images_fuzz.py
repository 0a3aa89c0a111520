"""Thousands of spoilt files of every format: the decoder answers each with a whole picture or a sentence."""

import struct
import time
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.runtime.images import DecodedImage, ImageError, decode_image
from tests.core.runtime.picture_files import (
    exif_bytes,
    peak_of,
    photograph,
    pillow_bytes,
    png_bytes,
    png_chunk,
    with_jpeg_exif,
)

MAX_PIXELS = 2_000_000
MAX_SIDE_PX = 200
MAX_EXTRA_BYTES = 300e6
MAX_CASE_S = 2.0  # of the processor: other programs on the machine do not count


def seed_files() -> list[bytes]:
    """Real files of every format in the variants that take different paths through the decoder."""
    pixels = photograph(56, 44)
    frames = [Image.fromarray(photograph(56, 44, seed)).quantize(32) for seed in range(3)]
    rgba = np.dstack([pixels, photograph(56, 44, 8)[..., 0]])
    deep = pixels.astype(np.uint16) * 257
    palette = Image.fromarray(pixels).quantize(16)
    return [
        pillow_bytes(pixels, "JPEG", quality=80),
        pillow_bytes(pixels, "JPEG", quality=80, progressive=True),
        pillow_bytes(pixels, "JPEG", quality=80, restart_marker_blocks=2, subsampling=0),
        pillow_bytes(pixels[..., 0], "JPEG"),
        pillow_bytes(Image.fromarray(rgba, "CMYK"), "JPEG"),
        with_jpeg_exif(pillow_bytes(pixels, "JPEG"), exif_bytes(6)),
        pillow_bytes(pixels, "PNG"),
        pillow_bytes(rgba, "PNG", exif=exif_bytes(5)),
        pillow_bytes(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        png_bytes(deep, 2, 16, interlaced=True),
        png_bytes(deep[..., :2], 4, 16),
        png_bytes(pixels[..., :1] // 64, 0, 2, before=png_chunk(b"tRNS", b"\0\1")),
        pillow_bytes(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        pillow_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:], transparency=3),
        pillow_bytes(frames[0], "GIF", interlace=0),
        pillow_bytes(pixels, "WEBP", quality=70),
        pillow_bytes(rgba, "WEBP", quality=70, exif=exif_bytes(8)),
        pillow_bytes(rgba, "WEBP", lossless=True),
        pillow_bytes(frames[0].convert("RGB"), "WEBP", save_all=True, append_images=frames[1:]),
        pillow_bytes(pixels, "BMP"),
        pillow_bytes(rgba, "BMP"),
        pillow_bytes(palette, "BMP"),
        run_length_bmp(),
    ]


def run_length_bmp() -> bytes:
    runs = b"".join(bytes((5, row % 7, 0, 3, 1, 2, 3, 0, 4, 9, 0, 0)) for row in range(20)) + b"\0\1"
    header = struct.pack("<IiiHHIIIIII", 40, 12, 20, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + header + bytes(range(256)) * 4 + runs


def fix_png_checksums(data: bytes) -> bytes:
    """Make a spoilt PNG pass its checksums, so that what lies behind them is reached."""
    out, position = bytearray(data), 8
    while position + 12 <= len(out):
        (length,) = struct.unpack_from(">I", out, position)
        end = position + 8 + length
        if end + 4 > len(out):
            break
        struct.pack_into(">I", out, end, zlib.crc32(out[position + 4 : end]))
        position = end + 4
    return bytes(out)


def spoil(generator: np.random.Generator, files: list[bytes]) -> bytes:
    """Take a file and damage it once or a few times."""
    data = bytearray(files[generator.integers(len(files))])
    for _ in range(generator.choice([1, 1, 2, 4, 10])):
        if len(data) < 4:
            break
        # Headers lie in front: half of the damage is done there.
        reach = len(data) if generator.random() < 0.5 else min(len(data), 120)
        at = int(generator.integers(reach))
        match generator.integers(9):
            case 0:
                data[at] ^= 1 << int(generator.integers(8))
            case 1:
                data[at] = generator.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF, generator.integers(256)])
            case 2:
                del data[at:]
            case 3:
                del data[at : at + int(generator.integers(1, 60))]
            case 4:
                data[at:at] = generator.bytes(int(generator.integers(1, 60)))
            case 5:  # the beginning of one file, the end of another
                other = files[generator.integers(len(files))]
                data[at:] = other[int(generator.integers(len(other))) :]
            case 6:  # a piece twice
                data[at:at] = data[at : at + int(generator.integers(1, 200))]
            case 7:  # a number in a header
                value = int(generator.choice([0, 1, 2, 255, 1000, 30_000, 65_535, 2**31 - 1, 2**32 - 1]))
                order = generator.choice(["<I", ">I", "<H", ">H"])
                size = struct.calcsize(str(order))
                data[at : at + size] = struct.pack(str(order), value % 2 ** (8 * size))
            case 8:  # a stretch of one value
                data[at : at + 40] = bytes([int(generator.choice([0, 0xFF, 0x55]))]) * 40
    if data.startswith(b"\x89PNG") and generator.random() < 0.7:
        return fix_png_checksums(bytes(data))
    return bytes(data)


def judge(data: bytes, *, max_side_px: int | None = None) -> bool:
    """Decode, and fail on anything but a consistent picture (True) or a sentence (False), in time."""
    started = time.process_time()
    try:
        decoded = decode_image(data, max_pixels=MAX_PIXELS, max_side_px=max_side_px)
    except ImageError as error:
        sentence = str(error)
        assert sentence.endswith(".") and ". " not in sentence and "\n" not in sentence
        is_picture = False
    else:
        check_consistent(decoded, max_side_px)
        is_picture = True
    assert time.process_time() - started < MAX_CASE_S
    return is_picture


def check_consistent(decoded: DecodedImage, max_side_px: int | None) -> None:
    height, width, channels = decoded.pixels.shape
    assert decoded.pixels.dtype == np.uint8 and channels == 3 and not decoded.pixels.flags.writeable
    assert decoded.format in ("JPEG", "PNG", "WebP", "BMP", "GIF")
    original_width, original_height = decoded.original_size_px
    assert 0 < original_width * original_height <= MAX_PIXELS
    if max_side_px is None:
        assert (width, height) == decoded.original_size_px
    else:
        assert max(width, height) <= max_side_px
    assert all(note.endswith(".") for note in decoded.notes)


def run_cases(seed: int, n_cases: int) -> int:
    generator = np.random.default_rng(seed)
    files = seed_files()
    n_pictures = 0
    for index in range(n_cases):
        data = spoil(generator, files)
        try:
            n_pictures += judge(data, max_side_px=MAX_SIDE_PX if index % 3 == 0 else None)
        except Exception as error:
            raise AssertionError(f"case {index} of seed {seed}: {data[:2000].hex()}") from error
    return n_pictures


def test_the_files_are_good_before_they_are_spoilt():
    for data in seed_files():
        assert judge(data)


def test_spoilt_files_give_a_picture_or_a_sentence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning of Pillow's would reach the person's screen as an error
        extra_bytes, n_pictures = peak_of(lambda: run_cases(seed=20, n_cases=20_000))
    assert extra_bytes < MAX_EXTRA_BYTES
    # Were nearly all refused, or nearly none, the damage would be of the wrong kind to test anything.
    assert 2000 < n_pictures < 15_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
def test_many_more_spoilt_files(seed):
    extra_bytes, _ = peak_of(lambda: run_cases(seed, n_cases=10_000))
    assert extra_bytes < MAX_EXTRA_BYTES


@pytest.mark.parametrize(
    "start", [b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\xff\0\0\0WEBP", b"BM", b""], ids=repr
)
def test_any_bytes_after_a_signature(start):
    @settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=300))
    def check(rest: bytes) -> None:
        judge(start + rest)

    check()


GIF_START = b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0)
GIF_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 9, 9, 0)
PNG_START = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))

# Files made to cost much, built when they are asked for: each has tens of megabytes.
COSTLY_FILES = {
    "JPEG of fill bytes": lambda: b"\xff\xd8" + b"\xff" * 30_000_000,
    "JPEG of empty comments": lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 7_000_000,
    "JPEG of beginnings and ends": lambda: b"\xff\xd8\xff\xd9" * 7_000_000,
    "JPEG of stuffed bytes": lambda: seed_files()[0][:-2] + b"\xff\0" * 15_000_000 + b"\xff\xd9",
    "PNG of empty parts": lambda: PNG_START + png_chunk(b"IDAT", b"") * 2_500_000,
    "GIF of tiny blocks": lambda: GIF_START + b"!\xfe" + b"\1x" * 15_000_000,
    "GIF of empty frames": lambda: GIF_START + (b"," + bytes(8) + b"\0\2\0") * 2_500_000,
    "GIF of clear codes": lambda: GIF_START + GIF_FRAME + b"\2" + (b"\xff" + b"\x24\x49\x92" * 85) * 100_000 + b"\0;",
    "WebP of empty parts": lambda: b"RIFF" + struct.pack("<I", 30_000_004) + b"WEBP" + b"EXIF\0\0\0\0" * 3_750_000,
    "text of blanks": lambda: b" " * 30_000_000 + b"<svg",
}


class TestWorkIsBounded:
    """Each of the costly files is answered soon, however many megabytes it has."""

    @pytest.mark.parametrize("name", sorted(COSTLY_FILES))
    def test_large_files_of_little_sense(self, name):
        data = COSTLY_FILES[name]()
        started = time.process_time()
        extra_bytes, _ = peak_of(lambda: judge(data))
        assert time.process_time() - started < MAX_CASE_S
        assert extra_bytes < 100e6

    def test_a_run_length_bmp_of_runs_that_draw_nothing(self):
        data = bytearray(run_length_bmp()[:1078]) + b"\x05\x01" * 500_000
        assert not judge(bytes(data))

    def test_a_run_length_bmp_above_its_limit(self):
        data = run_length_bmp()[:1078] + b"\x05\x01" * 600_000
        with pytest.raises(ImageError, match="run lengths"):
            decode_image(data)
