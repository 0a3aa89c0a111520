"""The decoder of uploads: right pictures against Pillow, OpenCV and the specifications; bad files refused."""

import hashlib
import io
import struct
import threading
import time
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from core.runtime.images import (
    DecodedImage,
    ImageError,
    content_hash,
    decode_image,
    display_jpeg,
    encode_jpeg,
    encode_png,
    fit_within,
)
from tests.core.runtime.picture_files import (
    CHANNELS,
    exif_bytes,
    jpeg_segment,
    peak_of,
    photograph,
    pillow_bytes,
    png_bytes,
    png_chunk,
    png_scanlines,
    stored_for,
    with_jpeg_exif,
    without_jpeg_segment,
)

GIF_PALETTE_BITS = 7
PNG_KINDS = [
    *((0, depth) for depth in (1, 2, 4, 8, 16)),
    *((3, depth) for depth in (1, 2, 4, 8)),
    *((kind, depth) for kind in (2, 4, 6) for depth in (8, 16)),
]


def refusal(data: bytes, **limits: int) -> str:
    """The sentence with which a file is refused; it must be exactly one."""
    with pytest.raises(ImageError) as caught:
        decode_image(data, **limits)
    sentence = str(caught.value)
    assert sentence[0].isupper() and sentence.endswith(".") and ". " not in sentence and "\n" not in sentence
    assert 30 < len(sentence) < 220
    return sentence


def files_of_each_format(pixels: np.ndarray) -> dict[str, bytes]:
    return {
        "JPEG": pillow_bytes(pixels, "JPEG", quality=92),
        "PNG": pillow_bytes(pixels, "PNG"),
        "WebP": pillow_bytes(pixels, "WEBP", lossless=True),
        "BMP": pillow_bytes(pixels, "BMP"),
        "GIF": pillow_bytes(Image.fromarray(pixels).quantize(64), "GIF"),
    }


def over_white(rgba: np.ndarray) -> np.ndarray:
    """Composite RGBA (H, W, 4) of 8 or 16 bits over white and scale to 8 bits, in floats."""
    full = float(np.iinfo(rgba.dtype).max)
    colour, share = rgba[..., :3] / full, rgba[..., 3:] / full
    return (colour * share + 1 - share) * 255


class TestEveryFormat:
    @pytest.mark.parametrize("name", ["PNG", "WebP", "BMP"])
    def test_lossless_formats_give_back_the_pixels(self, name):
        pixels = photograph()
        decoded = decode_image(files_of_each_format(pixels)[name])
        np.testing.assert_array_equal(decoded.pixels, pixels)
        assert decoded.format == name and decoded.notes == () and decoded.original_size_px == (48, 40)

    @pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_blocks": 2}])
    def test_jpeg_agrees_with_opencv(self, options):
        data = pillow_bytes(photograph(101, 67), "JPEG", quality=85, **options)
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(decode_image(data).pixels, expected)

    def test_gif_gives_the_colours_of_its_palette(self):
        image = Image.fromarray(photograph()).quantize(64)
        decoded = decode_image(pillow_bytes(image, "GIF"))
        np.testing.assert_array_equal(decoded.pixels, np.asarray(image.convert("RGB")))
        assert decoded.format == "GIF"

    @pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "BMP", "GIF"])
    def test_one_pixel(self, name):
        decoded = decode_image(files_of_each_format(np.full((1, 1, 3), 255, np.uint8))[name])
        assert decoded.pixels.tolist() == [[[255, 255, 255]]]

    @pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "BMP", "GIF"])
    @pytest.mark.parametrize("size", [(1, 300), (300, 1), (7, 9)])
    def test_thin_and_odd_sizes(self, name, size):
        decoded = decode_image(files_of_each_format(photograph(*size))[name])
        assert decoded.pixels.shape == (size[1], size[0], 3)

    @pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "BMP"])
    def test_grey(self, name):
        grey = photograph()[..., 0]
        decoded = decode_image(pillow_bytes(grey, name.upper(), **({"lossless": True} if name == "WebP" else {})))
        assert np.ptp(decoded.pixels, axis=2).max() == 0
        assert np.abs(decoded.pixels[..., 0] - grey.astype(int)).max() <= (12 if name == "JPEG" else 0)

    def test_the_array_is_read_only_and_contiguous(self):
        for data in files_of_each_format(photograph()).values():
            pixels = decode_image(data).pixels
            assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and not pixels.flags.writeable

    def test_the_hash_is_that_of_the_bytes(self):
        data = pillow_bytes(photograph(), "PNG")
        assert decode_image(data).sha256 == hashlib.sha256(data).hexdigest()

    def test_any_buffer_of_bytes_is_accepted(self):
        data = pillow_bytes(photograph(), "PNG")
        for buffer in (bytearray(data), memoryview(data)):
            np.testing.assert_array_equal(decode_image(buffer).pixels, photograph())

    def test_threads_do_not_disturb_one_another(self):
        files = list(files_of_each_format(photograph(200, 150)).values()) * 4
        expected = [decode_image(data).pixels for data in files]
        results: list[DecodedImage | None] = [None] * len(files)

        def work(index: int) -> None:
            results[index] = decode_image(files[index])

        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(files))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result, pixels in zip(results, expected, strict=True):
            assert result is not None
            np.testing.assert_array_equal(result.pixels, pixels)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("name", ["PNG", "JPEG", "WebP"])
    def test_all_eight_come_out_upright(self, orientation, name):
        upright = photograph(40, 24)
        stored = stored_for(upright, orientation)
        exif = exif_bytes(orientation, "<" if orientation % 2 else ">")
        data = {
            "PNG": lambda: pillow_bytes(stored, "PNG", exif=exif),
            "WebP": lambda: pillow_bytes(stored, "WEBP", lossless=True, exif=exif),
            "JPEG": lambda: with_jpeg_exif(pillow_bytes(stored, "JPEG", quality=98, subsampling=0), exif),
        }[name]()
        decoded = decode_image(data)
        difference = np.abs(decoded.pixels.astype(int) - upright)
        assert difference.max() <= (9 if name == "JPEG" else 0)
        assert decoded.original_size_px == (40, 24)
        assert ("Rotated as its EXIF data ask." in decoded.notes) == (orientation > 1)
        pillow = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        assert np.abs(pillow.astype(int) - decoded.pixels).max() <= 1

    def test_turned_and_scaled(self):
        upright = photograph(400, 200)
        data = with_jpeg_exif(pillow_bytes(stored_for(upright, 6), "JPEG", quality=98), exif_bytes(6))
        decoded = decode_image(data, max_side_px=100)
        assert decoded.pixels.shape == (50, 100, 3) and decoded.original_size_px == (400, 200)
        assert np.abs(decoded.pixels.astype(int) - fit_within(upright, 100)).mean() < 3

    @pytest.mark.parametrize(
        "exif",
        [
            exif_bytes(9),  # there are eight
            exif_bytes(0),
            exif_bytes(6)[:20],  # the directory is cut off
            exif_bytes(6).replace(struct.pack("<I", 8), struct.pack("<I", 2**31)),  # it points outside
            b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(40),  # it announces more entries than there are
            b"",
            b"garbage",
        ],
    )
    def test_damaged_exif_leaves_the_picture_as_stored(self, exif):
        data = with_jpeg_exif(pillow_bytes(photograph(40, 24), "JPEG"), exif)
        assert decode_image(data).pixels.shape == (24, 40, 3)


class TestPng:
    @pytest.mark.parametrize("interlaced", [False, True])
    @pytest.mark.parametrize(("colour_type", "depth"), PNG_KINDS)
    @pytest.mark.parametrize("size", [(13, 11), (1, 1), (3, 2), (9, 1), (1, 10)])
    def test_every_kind_against_the_samples_put_in(self, colour_type, depth, interlaced, size):
        generator = np.random.default_rng(depth + colour_type)
        shape = (size[1], size[0], CHANNELS[colour_type])
        samples = generator.integers(0, 2**depth, shape).astype(np.uint16 if depth == 16 else np.uint8)
        palette = generator.integers(0, 256, (2 ** min(depth, 8), 3)).astype(np.uint8)
        before = png_chunk(b"PLTE", palette.tobytes()) if colour_type == 3 else b""
        data = png_bytes(samples, colour_type, depth, interlaced=interlaced, before=before)
        pixels = decode_image(data).pixels
        unit = samples / (2**depth - 1)
        if colour_type == 3:
            expected = palette[samples[..., 0]].astype(float)
        elif colour_type in (0, 2):
            expected = np.broadcast_to(unit * 255, (*shape[:2], 3))
        else:
            expected = (unit[..., :-1] * unit[..., -1:] + 1 - unit[..., -1:]) * 255
            expected = np.broadcast_to(expected, (*shape[:2], 3))
        assert np.abs(pixels - expected).max() <= 0.5 + 1e-9 + (depth == 16) * 0.002

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_16_bits_against_opencv(self, channels):
        samples = np.random.default_rng(channels).integers(0, 65536, (31, 29, channels)).astype(np.uint16)
        samples[:2, :, -1] = 65535
        data = cv2.imencode(".png", samples)[1].tobytes()
        reference = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert reference.dtype == np.uint16
        decoded = decode_image(data)
        if channels == 4:
            expected = over_white(reference[..., [2, 1, 0, 3]])
        else:
            expected = np.atleast_3d(reference)[..., ::-1] / 65535 * 255
        assert np.abs(decoded.pixels - expected).max() <= 0.502
        assert decoded.notes[0] == "16-bit values scaled to 8 bits."

    def test_16_bits_use_the_full_range(self):
        ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
        pixels = decode_image(png_bytes(ramp, 0, 16)).pixels[..., 0]
        np.testing.assert_array_equal(pixels, np.round(ramp[..., 0] * (255 / 65535)))

    @pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
    def test_a_grey_declared_transparent(self, depth):
        samples = (np.arange(24).reshape(4, 6, 1) % 2**depth).astype(np.uint16 if depth == 16 else np.uint8)
        data = png_bytes(samples, 0, depth, before=png_chunk(b"tRNS", struct.pack(">H", 1)))
        decoded = decode_image(data)
        expected = np.where(samples == 1, 255, np.round(samples / (2**depth - 1) * 255))
        np.testing.assert_array_equal(decoded.pixels, np.repeat(expected, 3, axis=2))
        assert decoded.notes[-1] == "Transparent parts shown on white."

    @pytest.mark.parametrize("depth", [8, 16])
    def test_a_colour_declared_transparent(self, depth):
        samples = np.random.default_rng(0).integers(0, 2, (8, 9, 3)).astype(np.uint16 if depth == 16 else np.uint8)
        samples[..., 1] += 2 ** (depth - 1)
        key = struct.pack(">HHH", 1, 2 ** (depth - 1), 0)
        pixels = decode_image(png_bytes(samples, 2, depth, before=png_chunk(b"tRNS", key))).pixels
        is_clear = (samples == (1, 2 ** (depth - 1), 0)).all(axis=2)
        assert is_clear.any() and (pixels[is_clear] == 255).all()
        expected = np.round(samples / (2**depth - 1) * 255)
        np.testing.assert_array_equal(pixels[~is_clear], expected[~is_clear])

    def test_a_palette_with_transparency(self):
        image = Image.fromarray(photograph()).quantize(16)
        alphas = bytes(range(0, 256, 17))
        data = pillow_bytes(image, "PNG", transparency=alphas)
        rgba = np.asarray(image.convert("RGB"))
        rgba = np.dstack([rgba, np.frombuffer(alphas, np.uint8)[np.asarray(image)]])
        assert np.abs(decode_image(data).pixels - over_white(rgba)).max() <= 0.5 + 1e-9

    def test_alpha_is_composited_over_white(self):
        rgba = np.dstack([photograph(), photograph(seed=9)[..., 0]])
        decoded = decode_image(pillow_bytes(rgba, "PNG"))
        assert np.abs(decoded.pixels - over_white(rgba)).max() <= 0.5 + 1e-9
        assert decoded.notes == ("Transparent parts shown on white.",)

    def test_opaque_alpha_is_not_mentioned(self):
        rgba = np.dstack([photograph(), np.full((40, 48), 255, np.uint8)])
        decoded = decode_image(pillow_bytes(rgba, "PNG"))
        np.testing.assert_array_equal(decoded.pixels, photograph())
        assert decoded.notes == ()

    @pytest.mark.parametrize("interlaced", [False, True])
    @pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
    @pytest.mark.parametrize("colour_type", [0, 2, 6])
    def test_a_stream_that_ends_properly_but_early_is_refused(self, interlaced, kept, colour_type):
        samples = np.random.default_rng(0).integers(0, 256, (40, 30, CHANNELS[colour_type])).astype(np.uint8)
        lines = png_scanlines(samples, 8, interlaced=interlaced)
        data = zlib.compress(lines[: int(len(lines) * kept)])
        sentence = refusal(png_bytes(samples, colour_type, 8, interlaced=interlaced, data=data))
        assert "ends before its picture is complete" in sentence

    def test_a_picture_that_looks_like_the_decoders_background_is_accepted(self):
        for colours in ((90, 165, 211), (165, 90, 44)):
            samples = np.full((5, 6, 3), colours, np.uint8)
            for interlaced in (False, True):
                data = png_bytes(samples, 2, 8, interlaced=interlaced)
                np.testing.assert_array_equal(decode_image(data).pixels, samples)

    def test_a_bomb_in_a_text_or_profile_is_stepped_over(self):
        bomb = zlib.compress(bytes(200_000_000), 9)
        before = png_chunk(b"zTXt", b"Comment\0\0" + bomb) + png_chunk(b"iCCP", b"icc\0\0" + bomb)
        before += png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb)
        data = png_bytes(photograph(), 2, 8, before=before)
        peak, decoded = peak_of(lambda: decode_image(data))
        np.testing.assert_array_equal(decoded.pixels, photograph())
        assert peak < 10e6

    def test_a_bomb_in_the_picture_inflates_no_further_than_its_size(self):
        data = png_bytes(photograph(), 2, 8, data=zlib.compress(png_scanlines(photograph(), 8) + bytes(200_000_000), 9))
        peak, decoded = peak_of(lambda: decode_image(data))
        np.testing.assert_array_equal(decoded.pixels, photograph())
        assert peak < 10e6

    def test_a_wrong_checksum_is_refused_where_it_matters(self):
        data = bytearray(pillow_bytes(photograph(), "PNG"))
        data[data.index(b"IDAT") + 12] ^= 1
        assert "checksum" in refusal(bytes(data))

    def test_damage_in_what_is_not_used_does_no_harm(self):
        text = bytearray(png_chunk(b"tEXt", b"Comment\0fine"))
        text[-1] ^= 1
        data = png_bytes(photograph(), 2, 8, before=bytes(text))
        np.testing.assert_array_equal(decode_image(data).pixels, photograph())

    @pytest.mark.parametrize(
        ("position", "value"), [(24, 3), (25, 5), (26, 1), (27, 1), (28, 2)], ids=str
    )  # depth, colour type, compression, filter, interlace
    def test_a_header_of_no_kind_is_refused(self, position, value):
        data = bytearray(pillow_bytes(photograph(), "PNG"))
        data[position] = value
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        assert "damaged" in refusal(bytes(data))

    def test_a_palette_picture_without_palette_is_refused(self):
        assert "palette" in refusal(png_bytes(np.zeros((3, 3, 1), np.uint8), 3, 8))

    def test_a_file_changed_by_a_transfer_as_text_is_refused(self):
        data = pillow_bytes(photograph(), "PNG").replace(b"\r\n", b"\n")
        assert "damaged" in refusal(data)


class TestJpeg:
    @pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_blocks": 3}, {"progressive": True}])
    def test_cut_off_and_closed_again_is_never_passed_as_whole(self, options):
        pixels = photograph(96, 80)
        data = pillow_bytes(pixels, "JPEG", quality=90, **options)
        whole = decode_image(data).pixels
        start = data.index(b"\xff\xda")
        n_refused = 0
        for cut in range(start + 14, len(data) - 2, 3):
            for end in (b"\xff\xd9", b"\xff\xd9" + bytes(100)):
                try:
                    decoded = decode_image(data[:cut] + end).pixels
                except ImageError:
                    n_refused += 1
                    continue
                # What remains possible: a few last bytes, which concern the last coded unit and the pixel
                # beside it, or the last bit of fine detail in a progressive file.
                difference = np.abs(decoded.astype(int) - whole)
                if "progressive" in options:
                    assert difference.mean() < 6
                else:
                    assert difference[:-17].max() == 0 and difference[:, :-17].max() == 0
        assert n_refused > 500

    def test_a_scan_filled_up_with_zeros_is_refused(self):
        data = pillow_bytes(photograph(96, 80), "JPEG", quality=90)
        assert "ends before" in refusal(data[: len(data) // 2] + bytes(len(data)))

    def test_lost_restart_intervals_are_refused(self):
        data = pillow_bytes(photograph(96, 80), "JPEG", quality=90, restart_marker_blocks=2)
        first, second = data.index(b"\xff\xd1"), data.index(b"\xff\xd3")
        assert "ends before" in refusal(data[:first] + data[second:])

    def test_a_missing_pass_of_a_progressive_file_is_refused(self):
        data = pillow_bytes(photograph(96, 80), "JPEG", quality=90, progressive=True)
        last = data.rindex(b"\xff\xda")
        assert "ends before" in refusal(data[:last] + b"\xff\xd9")

    @pytest.mark.parametrize("n_scans", [100, 5000])
    def test_too_many_scans_are_refused(self, n_scans):
        data = pillow_bytes(photograph(), "JPEG", progressive=True)
        last = data.rindex(b"\xff\xda")
        started = time.process_time()
        assert "scans" in refusal(data[:last] + data[last:-2] * n_scans + b"\xff\xd9")
        assert time.process_time() - started < 1

    def test_fill_bytes_and_unknown_segments_are_stepped_over(self):
        data = pillow_bytes(photograph(), "JPEG")
        expected = decode_image(data).pixels
        odd = data[:2] + b"\xff" * 1000 + jpeg_segment(0xEF, b"x" * 500)[1:] + jpeg_segment(0xFE, b"hello") + data[2:]
        np.testing.assert_array_equal(decode_image(odd + b"a video of the same moment").pixels, expected)

    def test_cmyk_of_adobe(self):
        inks = np.random.default_rng(1).integers(0, 256, (3, 4, 4)).astype(np.uint8)
        inks = cv2.resize(inks, (48, 40), interpolation=cv2.INTER_LINEAR)
        data = pillow_bytes(Image.fromarray(inks, "CMYK"), "JPEG", quality=98, subsampling=0)
        decoded = decode_image(data)
        expected = (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255
        assert np.abs(decoded.pixels - expected).mean() < 1.5 and np.abs(decoded.pixels - expected).max() < 15
        opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(decoded.pixels.astype(int) - opencv).max() <= 2
        assert decoded.notes == ("CMYK converted to RGB.",)

    def test_cmyk_without_the_mark_of_adobe_is_ink(self):
        light = np.full((16, 16, 4), (10, 200, 255, 128), np.uint8)
        data = pillow_bytes(Image.fromarray(light, "CMYK"), "JPEG", quality=100, subsampling=0)
        pixels = decode_image(without_jpeg_segment(data, 0xEE)).pixels
        # Pillow stores 255 minus what it is given: read as ink, that is the light of the original values.
        expected = [10 * 128 / 255, 200 * 128 / 255, 255 * 128 / 255]
        assert np.abs(pixels - expected).max() <= 3

    def test_ycck_agrees_with_opencv(self):
        light = cv2.resize(photograph(4, 3), (48, 40), interpolation=cv2.INTER_LINEAR)
        inks = np.dstack([light, light[..., 0] // 2])
        data = bytearray(pillow_bytes(Image.fromarray(inks, "CMYK"), "JPEG", quality=95, subsampling=0))
        data[data.index(b"Adobe") + 11] = 2  # the same bytes, now declared as YCCK
        opencv = cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(decode_image(bytes(data)).pixels.astype(int) - opencv).max() <= 2

    def test_rgb_without_colour_transform(self):
        data = pillow_bytes(photograph(), "JPEG", quality=98, keep_rgb=True, subsampling=0)
        assert np.abs(decode_image(data).pixels.astype(int) - photograph()).max() < 8

    def test_a_large_one_is_scaled_like_the_mean_of_its_areas(self):
        data = pillow_bytes(photograph(1200, 900), "JPEG", quality=95)
        whole = decode_image(data).pixels
        for side in (1199, 600, 599, 250, 150, 100, 1):
            decoded = decode_image(data, max_side_px=side)
            expected = fit_within(whole, side)
            assert decoded.pixels.shape == expected.shape
            assert np.abs(decoded.pixels.astype(int) - expected).max() <= 8
            assert np.abs(decoded.pixels.astype(int) - expected).mean() < 1
            assert decoded.notes == (f"Scaled from 1200 x 900 to {side} x {expected.shape[0]} pixels.",)

    @pytest.mark.parametrize(
        ("marker", "words"), [(0xC3, "lossless"), (0xC9, "arithmetic"), (0xC5, "hierarchical")], ids=str
    )
    def test_kinds_that_nobody_shows_are_named(self, marker, words):
        data = pillow_bytes(photograph(), "JPEG")
        at = data.index(b"\xff\xc0")
        assert words in refusal(data[:at] + bytes((0xFF, marker)) + data[at + 2 :])

    def test_12_bits_are_named(self):
        data = bytearray(pillow_bytes(photograph(), "JPEG"))
        data[data.index(b"\xff\xc0") + 4] = 12
        assert "12 bits" in refusal(bytes(data))


class TestBmpGifWebp:
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
    def test_bmp_depths(self, mode):
        image = Image.fromarray(photograph()).convert(mode)
        np.testing.assert_array_equal(decode_image(pillow_bytes(image, "BMP")).pixels, np.asarray(image.convert("RGB")))

    def test_bmp_with_rows_downwards(self):
        pixels = photograph()
        data = bytearray(pillow_bytes(pixels, "BMP"))
        struct.pack_into("<i", data, 22, -40)
        np.testing.assert_array_equal(decode_image(bytes(data)).pixels, pixels[::-1])

    def test_bmp_of_os2(self):
        rows = b"".join(row[:, ::-1].tobytes() for row in photograph(4, 3)[::-1])  # 12 bytes a row: no padding
        data = b"BM" + struct.pack("<IHHI", 26 + len(rows), 0, 0, 26) + struct.pack("<IHHHH", 12, 4, 3, 1, 24) + rows
        np.testing.assert_array_equal(decode_image(data).pixels, photograph(4, 3))

    def test_bmp_by_run_lengths(self):
        palette = np.zeros((256, 4), np.uint8)
        palette[7], palette[9] = (1, 2, 3, 0), (40, 50, 60, 0)
        runs = bytes((3, 7, 1, 9, 0, 0)) + bytes((0, 4, 9, 7, 7, 9, 0, 0, 0, 1))
        header = struct.pack("<IiiHHIIIIII", 40, 4, 2, 1, 8, 1, len(runs), 0, 0, 256, 0)
        data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + header + palette.tobytes() + runs
        low, high = [3, 2, 1], [60, 50, 40]
        assert decode_image(data).pixels.tolist() == [[high, low, low, high], [low, low, low, high]]
        assert "ends before" in refusal(data[:-6]) or "damaged" in refusal(data[:-6])

    def test_bmp_with_an_unused_fourth_byte_is_opaque(self):
        bgra = np.dstack([photograph()[..., ::-1], np.zeros((40, 48), np.uint8)])
        data = bytearray(pillow_bytes(Image.fromarray(np.zeros_like(bgra), "RGBA"), "BMP"))
        data[-bgra.size :] = bgra[::-1].tobytes()
        np.testing.assert_array_equal(decode_image(bytes(data)).pixels, photograph())

    @pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG"])
    def test_of_an_animation_the_first_frame(self, name):
        frames = [Image.fromarray(photograph(seed=seed)).quantize(64).convert("RGB") for seed in range(12)]
        options = {"lossless": True} if name == "WEBP" else {}
        data = pillow_bytes(frames[0], name, save_all=True, append_images=frames[1:], duration=50, **options)
        decoded = decode_image(data)
        tolerance = 24 if name == "GIF" else 0  # Pillow chooses a new palette for it
        assert np.abs(decoded.pixels.astype(int) - np.asarray(frames[0])).max() <= tolerance
        assert decoded.notes == ("First of 12 frames.",)
        first = Image.open(io.BytesIO(data)).convert("RGB")
        np.testing.assert_array_equal(decoded.pixels, np.asarray(first))

    def test_gif_interlaced_transparent_and_off_its_corner(self):
        image = Image.fromarray(photograph()).quantize(64)
        data = bytearray(pillow_bytes(image, "GIF", interlace=1, transparency=5))
        at = data.index(b"\x2c\0\0\0\0")
        struct.pack_into("<HH", data, 6, 60, 50)
        struct.pack_into("<HH", data, at + 1, 3, 4)
        decoded = decode_image(bytes(data))
        expected = np.full((50, 60, 3), 255, np.uint8)
        inside = np.asarray(image.convert("RGB")).copy()
        inside[np.asarray(image) == 5] = 255
        expected[4:44, 3:51] = inside
        np.testing.assert_array_equal(decoded.pixels, expected)
        assert decoded.notes == ("Transparent parts shown on white.",)

    def test_gif_whose_codes_end_early_is_refused(self):
        # A clear code, two pixels, the end code: 3 bits each, while the picture is 4 x 4.
        bits = sum(code << 3 * place for place, code in enumerate((4, 1, 1, 5)))
        coded = bytes((2, 2)) + bits.to_bytes(2, "little") + b"\0;"
        start = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x81, 0, 0) + bytes(range(12))
        data = start + b"," + struct.pack("<HHHHB", 0, 0, 4, 4, 0) + coded
        assert "ends before" in refusal(data)

    @pytest.mark.parametrize("lossless", [True, False])
    def test_webp_with_alpha(self, lossless):
        rgba = np.dstack([photograph(), photograph(seed=8)[..., 1]])
        data = pillow_bytes(rgba, "WEBP", lossless=lossless, exact=True, quality=95)
        expected = over_white(np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")))
        assert np.abs(decode_image(data).pixels - expected).max() <= 0.5 + 1e-9


def announcing(name: str, width: int, height: int) -> bytes:
    """A small file whose header announces a size."""
    data = bytearray(files_of_each_format(photograph(16, 16))[name])
    if name == "PNG":
        struct.pack_into(">II", data, 16, width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif name == "JPEG":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif name == "BMP":
        struct.pack_into("<ii", data, 18, width, height)
    elif name == "GIF":
        struct.pack_into("<HH", data, 6, width, height)
    else:
        data = bytearray(pillow_bytes(photograph(16, 16), "WEBP", quality=80, exif=exif_bytes(1)))
        assert data[12:16] == b"VP8X"
        data[24:27] = (width - 1).to_bytes(3, "little")
        data[27:30] = (height - 1).to_bytes(3, "little")
    return bytes(data)


class TestRefusals:
    @pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "BMP", "GIF"])
    def test_900_megapixels_are_refused_from_the_header(self, name):
        data = announcing(name, 30_000, 30_000)

        def refuse() -> str:
            return refusal(data)

        started = time.process_time()
        refuse()
        assert time.process_time() - started < 0.2
        peak, sentence = peak_of(refuse)
        assert "30000 x 30000 pixels (900.0 megapixels)" in sentence and "50 megapixels" in sentence
        assert peak < 1e6

    @pytest.mark.parametrize("name", ["PNG", "BMP"])
    @pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (1, 2**31 - 1)])
    def test_sizes_at_the_end_of_the_scale(self, name, size):
        assert "megapixels" in refusal(announcing(name, *size))

    @pytest.mark.parametrize("name", ["PNG", "BMP", "JPEG"])
    @pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
    def test_sizes_of_nothing(self, name, size):
        assert "nothing to show" in refusal(announcing(name, *size))

    @pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "BMP"])  # a GIF's canvas may exceed its frame
    def test_a_little_file_cannot_claim_a_large_picture(self, name):
        peak, _ = peak_of(lambda: refusal(announcing(name, 7000, 7000)))
        assert peak < 1e6

    def test_a_gif_whose_frame_lies_far_out(self):
        data = bytearray(pillow_bytes(Image.fromarray(photograph()).quantize(4), "GIF"))
        at = data.index(b"\x2c\0\0\0\0")
        struct.pack_into("<HH", data, 6, 65535, 1)
        struct.pack_into("<HH", data, at + 1, 0, 65000)
        assert "megapixels" in refusal(bytes(data))

    def test_the_limits_can_be_set(self):
        data = pillow_bytes(photograph(100, 80), "PNG")
        assert "at most 0.005 megapixels" in refusal(data, max_pixels=5000)
        assert "0.001 MB" in refusal(data, max_bytes=1024) or "MB are accepted" in refusal(data, max_bytes=1024)
        assert decode_image(data, max_pixels=8000, max_bytes=len(data)).pixels.shape == (80, 100, 3)

    def test_too_many_bytes(self):
        assert "at most 32 MB" in refusal(b"\xff\xd8" + bytes(33 * 2**20))

    def test_empty(self):
        assert "empty" in refusal(b"")

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"Dear Sir or Madam,\nthis is a letter.\n", "text"),
            ("Fußgänger überqueren die Straße".encode(), "text"),
            ("in two bytes a letter".encode("utf-16"), "text"),
            (b"name;value\r\nBM;1\r\n" * 2000, "text"),
            (b"BM is how this text begins, and it is no bitmap.", "text"),
            (b'{"a": 1}', "text"),
            (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
            (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "a HEIC picture"),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif" + bytes(40), "an AVIF picture"),
            (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf" + bytes(40), "an AVIF picture"),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(40), "a video"),
            (b"II*\0\x08\0\0\0" + bytes(40), "a TIFF picture"),
            (b"MM\0*\0\0\0\x08" + bytes(40), "a TIFF picture"),
            (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
            (b"PK\3\4" + bytes(40), "a ZIP archive"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
            (b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), "a sound or a video"),
            (bytes(100), "not a picture in a format that is known"),
            (b"\x89P", "not a picture in a format that is known"),
            (np.random.default_rng(0).bytes(5000), "not a picture in a format that is known"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_other_files_are_named(self, data, words):
        assert words in refusal(data)

    def test_real_files_of_other_kinds(self):
        assert "an AVIF picture" in refusal(pillow_bytes(photograph(), "AVIF"))
        assert "a TIFF picture" in refusal(pillow_bytes(photograph(), "TIFF"))
        assert "a JPEG 2000 picture" in refusal(pillow_bytes(photograph(), "JPEG2000"))
        assert "a Windows icon" in refusal(pillow_bytes(photograph(), "ICO"))
        assert "a PDF document" in refusal(pillow_bytes(photograph(), "PDF"))

    @pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "BMP", "GIF"])
    def test_cut_off_anywhere_it_is_refused_or_whole(self, name):
        data = files_of_each_format(photograph(40, 30))[name]
        whole = decode_image(data).pixels
        for length in [*range(0, 200), *range(200, len(data), 7), *range(len(data) - 20, len(data))]:
            try:
                decoded = decode_image(data[:length])
            except ImageError as error:
                assert str(error).endswith(".")
            else:
                np.testing.assert_array_equal(decoded.pixels, whole)
        refusal(data[: len(data) // 2])

    def test_nothing_warns_and_no_setting_of_pillow_is_touched(self):
        from PIL import ImageFile

        before = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for data in files_of_each_format(photograph()).values():
                decode_image(data)
                with pytest.raises(ImageError):
                    decode_image(data[: len(data) // 2])
        assert (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS) == before == (False, before[1])


class TestEncoding:
    @pytest.mark.parametrize("shape", [(40, 48, 3), (40, 48), (1, 1, 3), (1, 1), (1, 2000, 3)])
    def test_png_round_trip(self, shape):
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(pixels)))), pixels)
        expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        np.testing.assert_array_equal(decode_image(encode_png(pixels)).pixels, expected)

    @pytest.mark.parametrize("shape", [(40, 48, 3), (40, 48)])
    def test_jpeg_round_trip(self, shape):
        pixels = photograph() if len(shape) == 3 else photograph()[..., 0]
        coded = encode_jpeg(pixels, 95)
        decoded = np.asarray(Image.open(io.BytesIO(coded)))
        assert decoded.shape == shape and np.abs(decoded.astype(int) - pixels).mean() < 3
        assert len(encode_jpeg(pixels, 40)) < len(coded)

    def test_colours_are_not_swapped(self):
        red = np.zeros((16, 16, 3), np.uint8)
        red[..., 0] = 255
        for coded in (encode_jpeg(red), encode_png(red), display_jpeg(red)):
            assert np.abs(np.asarray(Image.open(io.BytesIO(coded)))[8, 8].astype(int) - (255, 0, 0)).max() < 4

    def test_views_and_read_only_arrays(self):
        pixels = photograph()
        pixels.setflags(write=False)
        for view in (pixels, pixels[::-1, ::2], pixels[..., ::-1], np.asfortranarray(pixels), pixels[..., 1]):
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(view)))), view)

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros((4, 4, 3), np.float32),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros((4, 4, 1), np.uint8),
            np.zeros(4, np.uint8),
            np.zeros((0, 4, 3), np.uint8),
        ],
    )
    def test_wrong_arrays_are_named(self, wrong):
        for encode in (encode_jpeg, encode_png, display_jpeg, lambda pixels: fit_within(pixels, 5)):
            with pytest.raises(ValueError, match="expected a uint8 array"):
                encode(wrong)

    def test_limits_of_the_formats(self):
        with pytest.raises(ValueError, match="65500"):
            encode_jpeg(np.zeros((1, 65_501), np.uint8))
        with pytest.raises(ValueError, match="quality"):
            encode_jpeg(np.zeros((4, 4), np.uint8), 101)
        assert encode_png(np.zeros((1, 70_000), np.uint8))

    def test_display_scales_wide_ones_only(self):
        def size(coded: bytes) -> tuple[int, int]:
            return Image.open(io.BytesIO(coded)).size

        assert size(display_jpeg(np.zeros((100, 1460, 3), np.uint8))) == (1460, 100)
        assert size(display_jpeg(np.zeros((100, 2920, 3), np.uint8))) == (1460, 50)
        assert size(display_jpeg(np.zeros((3000, 100), np.uint8))) == (100, 3000)
        assert size(display_jpeg(np.zeros((1, 100_000, 3), np.uint8))) == (1460, 1)


class TestFitWithin:
    @pytest.mark.parametrize(
        ("shape", "side", "expected"),
        [
            ((300, 600, 3), 100, (50, 100, 3)),
            ((600, 300), 100, (100, 50)),
            ((100, 100, 3), 100, (100, 100, 3)),
            ((10, 20, 3), 100, (10, 20, 3)),  # never enlarged
            ((1, 5000, 3), 100, (1, 100, 3)),  # never to nothing
            ((3, 40_000, 3), 50, (1, 50, 3)),
        ],
    )
    def test_sizes(self, shape, side, expected):
        assert fit_within(np.zeros(shape, np.uint8), side).shape == expected

    def test_each_pixel_is_the_mean_of_its_area(self):
        pixels = photograph(60, 40)
        expected = pixels.reshape(10, 4, 15, 4, 3).mean(axis=(1, 3))
        assert np.abs(fit_within(pixels, 15) - expected).max() <= 0.5 + 1e-9

    def test_a_side_of_nothing_is_refused(self):
        with pytest.raises(ValueError, match="at least 1"):
            fit_within(np.zeros((4, 4), np.uint8), 0)
        with pytest.raises(ValueError, match="at least 1"):
            decode_image(pillow_bytes(photograph(), "PNG"), max_side_px=0)


class TestContentHash:
    def test_every_element_shape_and_type_count(self):
        base = np.zeros((40, 50), np.uint8)
        changed = base.copy()
        changed[39, 49] = 1
        variants = [
            base,
            changed,
            base.reshape(50, 40),
            base.astype(np.int8),
            base.astype(np.uint16),
            base[:, :25],
        ]
        assert len({content_hash(variant) for variant in variants}) == len(variants)

    def test_equal_arrays_have_equal_hashes_however_they_lie_in_memory(self):
        pixels = photograph()
        for same in (pixels.copy(), np.asfortranarray(pixels), pixels[::-1][::-1]):
            assert content_hash(same) == content_hash(pixels)

    @pytest.mark.parametrize("dtype", ["bool", "float16", "complex64", "datetime64[s]", "<U3", ">i4"])
    def test_any_type_of_number(self, dtype):
        zeros = np.zeros((2, 3), dtype)
        assert content_hash(zeros) == content_hash(zeros.copy()) != content_hash(zeros[:1])

    def test_empty_and_scalar_arrays(self):
        assert content_hash(np.zeros((0, 3))) != content_hash(np.zeros((3, 0)))
        assert content_hash(np.array(1.0)) != content_hash(np.array(2.0))

    def test_bytes(self):
        assert content_hash(b"abc") == hashlib.sha256(b"abc").hexdigest()

    def test_objects_are_refused(self):
        with pytest.raises(ValueError, match="Python objects"):
            content_hash(np.array([{}, []], object))
