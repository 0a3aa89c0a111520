"""The filters of the menu against the notes, OpenCV and SciPy, and the matrices that people type."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, signal

from core.convolution.filters import (
    FILTERS,
    filter_kernel,
    normalise,
    parse_kernel,
    rotate,
    transpose,
)
from core.convolution.operation import ConvolutionSettings, convolve
from tests.core.convolution.cases import many_examples

SIZED = [name for name, spec in FILTERS.items() if "size" in spec.parameters]
FIXED = [name for name, spec in FILTERS.items() if "size" not in spec.parameters]
MENU = (
    "vertical horizontal sobel_vertical sobel_horizontal scharr_vertical scharr_horizontal prewitt_vertical "
    "prewitt_horizontal laplacian laplacian_of_gaussian box gaussian sharpen emboss gabor identity"
)


def test_the_menu_keeps_its_order():
    assert list(FILTERS) == MENU.split()
    assert all(spec.name == name for name, spec in FILTERS.items())


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("vertical", [[1, 0, -1], [1, 0, -1], [1, 0, -1]]),
        ("horizontal", [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]),
        ("sobel_vertical", [[1, 0, -1], [2, 0, -2], [1, 0, -1]]),
        ("scharr_vertical", [[3, 0, -3], [10, 0, -10], [3, 0, -3]]),
    ],
)
def test_the_filters_of_the_notes(name, rows):
    np.testing.assert_array_equal(filter_kernel(name), rows)


@pytest.mark.parametrize(
    ("name", "function", "axes"),
    [
        ("sobel_vertical", cv2.Sobel, (1, 0)),
        ("sobel_horizontal", cv2.Sobel, (0, 1)),
        ("scharr_vertical", cv2.Scharr, (1, 0)),
        ("scharr_horizontal", cv2.Scharr, (0, 1)),
    ],
)
def test_edge_filters_are_opencv_s_with_the_sign_of_the_notes(name, function, axes):
    image = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    settings = ConvolutionSettings(padding="same", border="reflect")

    result = convolve(image, filter_kernel(name), settings)

    np.testing.assert_array_equal(result, -function(image, cv2.CV_32F, *axes))


def test_laplacian_is_opencv_s():
    image = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    settings = ConvolutionSettings(padding="same", border="reflect")

    result = convolve(image, filter_kernel("laplacian"), settings)

    np.testing.assert_array_equal(result, cv2.Laplacian(image, cv2.CV_32F))


@pytest.mark.parametrize("size", [1, 2, 3, 6, 31])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 7.5, 1000.0])
def test_gaussian_is_scipy_s_window_and_for_odd_sizes_opencv_s(size, sigma):
    window = signal.windows.gaussian(size, sigma)
    kernel = filter_kernel("gaussian", size, sigma=sigma)

    np.testing.assert_allclose(kernel, np.outer(window, window) / window.sum() ** 2, atol=1e-12)
    if size % 2:
        line = cv2.getGaussianKernel(size, sigma)
        np.testing.assert_allclose(kernel, line @ line.T, atol=1e-7)


def test_a_tiny_sigma_leaves_the_nearest_taps():
    np.testing.assert_array_equal(filter_kernel("gaussian", 3, sigma=1e-3), filter_kernel("identity"))
    np.testing.assert_array_equal(filter_kernel("gaussian", 2, sigma=1e-3), np.full((2, 2), 0.25))


def test_laplacian_of_gaussian_is_scipy_s():
    impulse = np.zeros((31, 31))
    impulse[15, 15] = 1
    expected = ndimage.gaussian_laplace(impulse, 2.0, truncate=7)

    # SciPy derives its discrete Gaussian, this one the continuous formula; the window cuts nothing off here.
    np.testing.assert_allclose(filter_kernel("laplacian_of_gaussian", 31, sigma=2.0), expected, atol=1e-5)


@pytest.mark.parametrize("orientation_deg", [0, 30, 45, 90, 135, -20])
def test_gabor_is_opencv_s_without_its_mean(orientation_deg):
    size, sigma, wavelength = 15, 3.0, 5.0
    wave = cv2.getGaborKernel((size, size), sigma, np.deg2rad(orientation_deg), wavelength, 1.0, 0.0)
    envelope = cv2.getGaborKernel((size, size), sigma, 0.0, 1e12, 1.0, 0.0)
    expected = (wave - envelope * wave.sum() / envelope.sum()) / envelope.sum()

    result = filter_kernel("gabor", size, sigma=sigma, orientation_deg=orientation_deg, wavelength_px=wavelength)

    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_gabor_answers_to_stripes_of_its_own_direction():
    stripes = 100 * np.cos(2 * np.pi * np.arange(64) / 6) * np.ones((64, 1))  # brightness changes to the right
    across = convolve(stripes, filter_kernel("gabor", 15, sigma=3, wavelength_px=6))
    along = convolve(stripes, filter_kernel("gabor", 15, sigma=3, wavelength_px=6, orientation_deg=90))

    assert np.abs(across).max() > 20 * np.abs(along).max()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 30, 31])
@pytest.mark.parametrize("name", SIZED)
def test_sized_filters_come_in_every_size(name, size):
    kernel = filter_kernel(name, size, sigma=size / 5)

    assert kernel.shape == (size, size)
    assert kernel.dtype == np.float64
    assert np.isfinite(kernel).all()
    weight = 0 if name in ("laplacian_of_gaussian", "gabor") else 1
    assert kernel.sum() == pytest.approx(weight, abs=1e-9)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8])
def test_identity_copies_the_image_whatever_its_size(size):
    image = np.random.default_rng(0).integers(0, 256, (9, 10), np.uint8)

    copy = convolve(image, filter_kernel("identity", size), ConvolutionSettings(padding="same"))

    np.testing.assert_array_equal(copy, image)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_filters_are_three_by_three_and_cannot_be_spoiled(name):
    kernel = filter_kernel(name, 7)
    kernel[:] = 99

    assert filter_kernel(name).shape == (3, 3)
    assert filter_kernel(name).max() < 99


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "sobel"}, "no filter called 'sobel'"),
        ({"name": "box", "size": 0}, "from 1 to 31"),
        ({"name": "box", "size": 32}, "from 1 to 31"),
        ({"name": "gaussian", "sigma": 0.0}, "Sigma"),
        ({"name": "gaussian", "sigma": float("nan")}, "Sigma"),
        ({"name": "gabor", "wavelength_px": -1.0}, "wavelength"),
        ({"name": "gabor", "orientation_deg": float("inf")}, "orientation"),
    ],
)
def test_impossible_filters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        filter_kernel(**arguments)


def test_normalise_transpose_rotate():
    blur, edge = np.array([[1.0, 2.0], [3.0, 4.0]]), filter_kernel("sobel_vertical")

    assert normalise(blur).sum() == pytest.approx(1)
    assert np.abs(normalise(edge)).sum() == pytest.approx(1)
    assert normalise(-blur).sum() == pytest.approx(1)
    np.testing.assert_array_equal(normalise(np.zeros((3, 3))), np.zeros((3, 3)))
    np.testing.assert_array_equal(transpose(edge), filter_kernel("sobel_horizontal"))
    np.testing.assert_array_equal(rotate(rotate(rotate(rotate(blur)))), blur)
    np.testing.assert_array_equal(rotate(edge), -filter_kernel("sobel_horizontal"))


@pytest.mark.parametrize(
    "text",
    [
        "1 0 -1; 2 0 -2; 1 0 -1",
        "1 0 -1\n2 0 -2\n1 0 -1\n",
        "1,0,-1;2,0,-2;1,0,-1;",
        " 1\t0 -1e0 \r\n2.0 0 -2\r\n\n1 0 -2/2",
    ],
)
def test_matrices_are_read_however_they_are_written(text):
    np.testing.assert_array_equal(parse_kernel(text), filter_kernel("sobel_vertical"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" ;\n; ", "empty"),
        ("1 a; 2 3", "'a' in row 1, column 2"),
        ("1 2; 3", "Row 2 of the matrix has 1 numbers, but row 1 has 2"),
        ("nan", "between minus and plus one million"),
        ("1 2; 3 inf", "row 2, column 2"),
        ("1e300", "one million"),
        ("1/0", "not a number"),
        ("1/2/3", "not a number"),
        ("1 2 3", "must be square"),
        (";".join([" ".join(["1"] * 32)] * 32), "at most 31"),
        ("1\n" * 5000, "at most 31"),
        ("9" * 5000, "one million"),
        ("9" * 5000 + "/1", "not a number"),
    ],
)
def test_matrices_that_are_none_get_one_clear_sentence(text, message):
    with pytest.raises(ValueError, match=message) as refused:
        parse_kernel(text)
    assert len(str(refused.value)) < 200


def test_rectangles_are_read_where_they_are_wanted():
    assert parse_kernel("1 2 3", square=False).shape == (1, 3)


@many_examples
@given(text=st.text(alphabet="0123456789.-+eE/;, \n\tnaif_", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        kernel = parse_kernel(text)
    except ValueError as error:
        assert str(error)
    else:
        assert kernel.shape[0] == kernel.shape[1]
        assert np.isfinite(kernel).all()
