"""The program without a browser: what it writes, and the one sentence it says where it cannot."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from skimage import data

from core.convolution.apply import main
from core.convolution.display import clipped_to_rgb, signed_to_rgb
from core.convolution.filters import FILTERS, filter_kernel
from core.convolution.operation import ConvolutionSettings, convolve, luminance
from core.runtime.images import decode_image, encode_png


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(np.ascontiguousarray(data.astronaut()[:60, :80])))
    return path


def pixels_of(path):
    return decode_image(path.read_bytes()).pixels


def test_the_program_writes_what_the_page_shows(photograph, tmp_path):
    out = tmp_path / "edges.png"
    command = [sys.executable, "-m", "core.convolution.apply", str(photograph), "--filter", "sobel_vertical"]

    done = subprocess.run(
        [*command, "--stride", "1", "--padding", "same", "--out", str(out)], capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "60 x 80 from 60 x 80 pixels" in done.stdout
    expected = convolve(
        luminance(pixels_of(photograph)), filter_kernel("sobel_vertical"), ConvolutionSettings(padding="same")
    )
    np.testing.assert_array_equal(pixels_of(out), signed_to_rgb(expected))


@pytest.mark.parametrize(
    ("options", "kernel", "settings", "colour"),
    [
        ("--filter gaussian --size 7 --sigma 2", filter_kernel("gaussian", 7, sigma=2), {}, True),
        ("--filter gaussian --size 7 --sigma 2 --grey", filter_kernel("gaussian", 7, sigma=2), {}, False),
        (
            "--filter scharr_horizontal --stride 3 --padding valid --dilation 2 --colour",
            filter_kernel("scharr_horizontal"),
            {"stride": 3, "padding": "valid", "dilation": 2},
            True,
        ),
        (
            "--filter box --size 4 --padding 9 --border reflect --grey",
            filter_kernel("box", 4),
            {"padding": 9, "border": "reflect"},
            False,
        ),
        (
            "--filter gabor --size 9 --sigma 2 --orientation 30 --wavelength 5 --flip",
            filter_kernel("gabor", 9, sigma=2, orientation_deg=30, wavelength_px=5),
            {"flip": True},
            False,
        ),
    ],
)
def test_numbers_are_those_of_convolve(photograph, tmp_path, options, kernel, settings, colour):
    out = tmp_path / "map.npy"
    pixels = pixels_of(photograph)

    assert main([str(photograph), *options.split(), "--out", str(out)]) == 0

    written = np.load(out, allow_pickle=False)
    assert written.dtype == np.float32
    expected = convolve(
        pixels if colour else luminance(pixels),
        kernel,
        ConvolutionSettings(**{"padding": "same", **settings}),
    )
    np.testing.assert_array_equal(written, expected)


def test_a_matrix_may_begin_with_a_minus(photograph, tmp_path):
    out = tmp_path / "map.npy"

    assert main([str(photograph), "--matrix", "-1 0 1; -2 0 2; -1 0 1", "--out", str(out)]) == 0

    expected = convolve(
        luminance(pixels_of(photograph)),
        -filter_kernel("sobel_vertical"),
        ConvolutionSettings(padding="same"),
    )
    np.testing.assert_array_equal(np.load(out), expected)


def test_jpeg_and_colours(photograph, tmp_path):
    out = tmp_path / "soft.JPG"

    assert main([str(photograph), "--filter", "box", "--size", "5", "--out", str(out)]) == 0

    assert out.read_bytes()[:2] == b"\xff\xd8"
    expected = clipped_to_rgb(
        convolve(pixels_of(photograph), filter_kernel("box", 5), ConvolutionSettings(padding="same"))
    )
    assert cv2.PSNR(pixels_of(out), expected) > 30


@pytest.mark.parametrize("display", ["signed", "absolute", "clipped"])
def test_every_display_writes_a_picture(photograph, tmp_path, display):
    out = tmp_path / "out.png"

    assert main([str(photograph), "--filter", "laplacian", "--display", display, "--out", str(out)]) == 0

    assert pixels_of(out).shape == (60, 80, 3)


def test_the_list_names_every_filter(capsys):
    assert main(["--list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(FILTERS)
    assert any("--orientation" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Choose either a filter"),
        (["--filter", "box", "--matrix", "1"], "Choose either a filter"),
        (["--filter", "nonsense"], "invalid choice: 'nonsense'"),
        (["--filter", "box", "--size", "0"], "from 1 to 31"),
        (["--filter", "box", "--size", "big"], "invalid int value: 'big'"),
        (["--filter", "sobel_vertical", "--size", "5"], "is always 3 x 3 and takes no --size"),
        (["--filter", "box", "--sigma", "2"], "takes no --sigma"),
        (["--matrix", "1 a; 2 3"], "'a' in row 1, column 2 of the matrix is not a number"),
        (["--matrix", "1 2; 3"], "all rows must be equally long"),
        (["--matrix", "1", "--size", "3"], "takes no --size"),
        (["--filter", "box", "--stride", "0"], "stride must be at least 1"),
        (["--filter", "box", "--padding", "full"], "padding must be valid, same"),
        (["--filter", "box", "--padding", "-3"], "padding"),
        (["--filter", "box", "--dilation", "99"], "dilation must be from 1 to 64"),
        (["--filter", "gaussian", "--sigma", "nan"], "Sigma must be a positive number"),
        (
            ["--filter", "box", "--size", "31", "--dilation", "3", "--padding", "valid"],
            "filter covers 91 x 91 pixels",
        ),
        (["--filter", "box", "--grey", "--colour"], "not allowed with"),
        (["--filter", "box", "--unknown"], "Unrecognized arguments: --unknown"),
    ],
)
def test_what_cannot_be_done_gets_one_sentence_and_exit_code_2(photograph, tmp_path, capsys, options, sentence):
    assert main([str(photograph), *options, "--out", str(tmp_path / "out.png")]) == 2

    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_bad_pictures_get_one_sentence(tmp_path, capsys, content):
    path = tmp_path / "bad.png"
    path.write_bytes(content)

    assert main([str(path), "--filter", "box", "--out", str(tmp_path / "out.png")]) == 2

    assert capsys.readouterr().err.count("\n") == 1


def test_files_that_cannot_be_read_or_written_are_named(photograph, tmp_path, capsys):
    filtered = ["--filter", "box", "--out"]

    assert main([str(tmp_path / "missing.png"), *filtered, str(tmp_path / "o.png")]) == 2
    assert "missing.png cannot be read: No such file or directory." in capsys.readouterr().err
    assert main([str(tmp_path), *filtered, str(tmp_path / "o.png")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main([str(photograph), *filtered, str(tmp_path / "no" / "o.png")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main([str(photograph), *filtered, str(tmp_path / "o.tiff")]) == 2
    assert "o.tiff must end in .png, .jpg, .jpeg or .npy." in capsys.readouterr().err
    assert main(["--filter", "box"]) == 2
    assert "Give a picture" in capsys.readouterr().err
