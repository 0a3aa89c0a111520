"""The convolution operation against TensorFlow, Keras, OpenCV, SciPy and its own definition."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from core.convolution.filters import FILTERS, filter_kernel
from core.convolution.operation import (
    ConvolutionSettings,
    FilterTooLarge,
    conv_forward,
    convolve,
    padded_input,
    padding_amounts,
    window_at,
)
from tests.core.convolution.cases import Case, cases, few_examples, many_examples

VERTICAL = filter_kernel("vertical")
NUMPY_MODES = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}


def as_batches(image: np.ndarray) -> np.ndarray:
    """Every channel becomes an image of its own, since each is filtered alone: (C, H, W, 1)."""
    channels = image[..., None] if image.ndim == 2 else image
    return np.moveaxis(channels, -1, 0)[..., None].astype(np.float32)


def from_batches(batch: np.ndarray, ndim: int) -> np.ndarray:
    channels = np.moveaxis(np.asarray(batch)[..., 0], 0, -1)
    return channels[..., 0] if ndim == 2 else channels


def applied(case: Case) -> np.ndarray:
    return case.kernel[::-1, ::-1] if case.settings.flip else case.kernel


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (10, 0, [0, 30, 30, 0]),  # bright to dark, as printed in the notes
        (0, 10, [0, -30, -30, 0]),  # dark to bright
    ],
)
@pytest.mark.parametrize("operation", [convolve, conv_forward])
def test_the_examples_of_the_notes_come_out_as_printed(operation, left, right, expected):
    image = np.tile(np.repeat([left, right], 3), (6, 1))

    result = operation(image, VERTICAL)

    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.tile(expected, (4, 1)))


@many_examples
@given(case=cases())
def test_convolve_equals_the_definition(case):
    expected = conv_forward(case.image, case.kernel, case.settings)

    result = convolve(case.image, case.kernel, case.settings)

    assert result.dtype == expected.dtype == np.float32
    assert result.shape == expected.shape
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-2)


@few_examples
@given(case=cases())
@pytest.mark.parametrize("operation", [convolve, conv_forward])
def test_equals_tensorflow(operation, case):
    import tensorflow as tf

    chosen = case.settings
    batch = as_batches(case.image)
    if chosen.border == "zero" and isinstance(chosen.padding, str):
        padding = chosen.padding.upper()  # TensorFlow's own rule for "same"
    else:
        amounts = [padding_amounts(n, f, chosen) for n, f in zip(batch.shape[1:3], case.kernel.shape, strict=True)]
        batch = np.pad(batch, [(0, 0), *amounts, (0, 0)], mode=NUMPY_MODES[chosen.border])
        padding = "VALID"
    expected = tf.nn.conv2d(
        batch,
        applied(case)[:, :, None, None].astype(np.float32),
        strides=chosen.stride,
        padding=padding,
        dilations=chosen.dilation,
    )

    result = operation(case.image, case.kernel, chosen)

    np.testing.assert_allclose(result, from_batches(expected, case.image.ndim), rtol=1e-6, atol=1e-2)


@few_examples
@given(case=cases(square=True))
@pytest.mark.parametrize("operation", [convolve, conv_forward])
def test_equals_keras(operation, case):
    import keras

    # Keras knows neither a number as padding, nor a border, nor stride and dilation together.
    chosen = ConvolutionSettings(
        stride=case.settings.stride,
        padding="same" if case.settings.padding != "valid" else "valid",
        dilation=case.settings.dilation if case.settings.stride == 1 else 1,
        flip=case.settings.flip,
    )
    layer = keras.layers.Conv2D(
        1,
        case.kernel.shape,
        strides=chosen.stride,
        padding=chosen.padding,
        dilation_rate=chosen.dilation,
        use_bias=False,
    )
    batch = as_batches(case.image)
    layer.build(batch.shape)
    layer.set_weights([applied(case)[:, :, None, None]])
    try:
        result = operation(case.image, case.kernel, chosen)
    except FilterTooLarge:
        return

    np.testing.assert_allclose(result, from_batches(layer(batch), case.image.ndim), rtol=1e-6, atol=1e-2)


@few_examples
@given(case=cases(channels=(0, 1, 3)))
@pytest.mark.parametrize("operation", [convolve, conv_forward])
def test_equals_opencv(operation, case):
    chosen = ConvolutionSettings(padding="same", border=case.settings.border, flip=case.settings.flip)
    rows, columns = case.kernel.shape
    expected = cv2.filter2D(
        case.image.astype(np.float64),
        cv2.CV_64F,
        applied(case),
        anchor=((columns - 1) // 2, (rows - 1) // 2),
        borderType={
            "zero": cv2.BORDER_CONSTANT,
            "reflect": cv2.BORDER_REFLECT_101,
            "replicate": cv2.BORDER_REPLICATE,
        }[chosen.border],
    ).reshape(case.image.shape)

    result = operation(case.image, case.kernel, chosen)

    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-2)


def large_kernels():
    """Filters that take each of the ways through the fast path."""
    rng = np.random.default_rng(3)
    yield "one tap", np.array([[0.5]])
    yield "few taps", filter_kernel("laplacian")
    yield "few taps beyond 16 bits", 100 * filter_kernel("laplacian")
    yield "few taps, no whole numbers", 0.3 * filter_kernel("laplacian")
    yield "tap by tap", rng.normal(size=(9, 9))
    yield "bands of rows", rng.normal(size=(15, 15))
    yield "even bands", rng.normal(size=(14, 14))
    yield "Fourier", rng.normal(size=(31, 31))
    yield "even Fourier", rng.normal(size=(30, 30))
    yield "long row", rng.normal(size=(3, 31))
    yield "rank 2", rng.normal(size=(21, 2)) @ rng.normal(size=(2, 21))
    yield "zeros", np.zeros((7, 7))
    yield "one corner", np.eye(17)[:, ::-1] * (np.arange(17) == 16)
    for name in FILTERS:
        yield name, filter_kernel(name, 25, sigma=4.0, orientation_deg=30.0, wavelength_px=9.0)


@pytest.mark.parametrize("padding", ["valid", "same", 1, 40])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("kernel", [pytest.param(k, id=name) for name, k in large_kernels()])
def test_every_way_through_the_fast_path_equals_scipy(kernel, dtype, padding):
    image = np.random.default_rng(5).integers(0, 256, (67, 83)).astype(dtype)
    settings = ConvolutionSettings(padding=padding, border="reflect")
    padded = padded_input(image.astype(np.float64), kernel.shape, settings)

    result = convolve(image, kernel, settings)

    largest = 255 * max(np.abs(kernel).sum(), 1e-9)
    expected = signal.correlate2d(padded, kernel, mode="valid")
    np.testing.assert_allclose(result / largest, expected / largest, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", [pytest.param(k, id=name) for name, k in large_kernels()])
def test_dilation_of_large_filters_equals_the_definition(kernel):
    image = np.random.default_rng(6).integers(0, 256, (12, 11), np.uint8)
    settings = ConvolutionSettings(padding="same", dilation=7, stride=3)

    result = convolve(image, kernel, settings)

    largest = 255 * max(np.abs(kernel).sum(), 1e-9)
    expected = conv_forward(image, kernel, settings)
    np.testing.assert_allclose(result / largest, expected / largest, rtol=0, atol=1e-5)


def test_flipping_is_what_mathematicians_call_convolution():
    rng = np.random.default_rng(0)
    image, kernel = rng.random((9, 8)), rng.random((3, 4))

    result = convolve(image, kernel, ConvolutionSettings(flip=True))

    np.testing.assert_allclose(result, signal.convolve2d(image, kernel, mode="valid"), rtol=1e-5)


def test_the_image_is_left_as_it_was():
    image = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    before = image.copy()

    convolve(image, filter_kernel("identity"), ConvolutionSettings(padding="same"))[:] = 7

    np.testing.assert_array_equal(image, before)


def test_slices_and_transposed_images_are_read_right():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    view = image[::2, ::-1].transpose(1, 0, 2)

    np.testing.assert_array_equal(convolve(view, VERTICAL), conv_forward(view.copy(), VERTICAL))


@many_examples
@given(case=cases(channels=(0,)), data=st.data())
def test_a_window_sums_to_the_output_pixel(case, data):
    expected = convolve(case.image, case.kernel, case.settings)
    row = data.draw(st.integers(0, expected.shape[0] - 1))
    col = data.draw(st.integers(0, expected.shape[1] - 1))

    step = window_at(case.image, case.kernel, case.settings, row, col)

    assert step.total == pytest.approx(expected[row, col], rel=1e-6, abs=1e-2)
    np.testing.assert_array_equal(step.kernel, applied(case))
    np.testing.assert_array_equal(step.products, step.window * step.kernel)
    height, width = case.image.shape
    for (i, j), value in np.ndenumerate(step.window):
        y = step.top + i * case.settings.dilation
        x = step.left + j * case.settings.dilation
        assert step.inside[i, j] == (0 <= y < height and 0 <= x < width)
        if step.inside[i, j]:
            assert value == case.image[y, x]
        elif case.settings.border == "zero":
            assert value == 0


@few_examples
@given(case=cases(channels=(0, 3)))
def test_padded_input_shows_what_the_windows_see(case):
    valid = ConvolutionSettings(stride=case.settings.stride, dilation=case.settings.dilation, flip=case.settings.flip)
    padded = padded_input(case.image, case.kernel.shape, case.settings)

    assert padded.dtype == case.image.dtype
    np.testing.assert_allclose(
        convolve(padded, case.kernel, valid),
        convolve(case.image, case.kernel, case.settings),
        rtol=1e-6,
        atol=1e-2,
    )


@pytest.mark.parametrize("operation", [convolve, conv_forward])
def test_a_filter_larger_than_the_image_is_refused_in_one_sentence(operation):
    with pytest.raises(FilterTooLarge, match="covers 31 x 31 pixels, but the image has only 6 x 6"):
        operation(np.zeros((6, 6)), np.ones((31, 31)), ConvolutionSettings())
    with pytest.raises(FilterTooLarge, match="covers 9 x 9 pixels, but the image has only 8 x 40"):
        operation(np.zeros((6, 38)), np.ones((3, 3)), ConvolutionSettings(padding=1, dilation=4))
    with pytest.raises(FilterTooLarge):
        window_at(np.zeros((6, 6)), np.ones((7, 7)), ConvolutionSettings(), 0, 0)
    with pytest.raises(FilterTooLarge):
        padded_input(np.zeros((6, 6)), 7, ConvolutionSettings())


@pytest.mark.parametrize(
    ("image", "kernel", "message"),
    [
        (np.zeros(5), np.ones((3, 3)), r"shape \(H, W\)"),
        (np.zeros((2, 2, 3, 1)), np.ones((1, 1)), r"received \(2, 2, 3, 1\)"),
        (np.zeros((0, 5)), np.ones((1, 1)), r"received \(0, 5\)"),
        (np.zeros((5, 5), complex), np.ones((1, 1)), "real numbers"),
        (np.array([["a"]]), np.ones((1, 1)), "real numbers"),
        (np.zeros((5, 5)), np.ones(3), "matrix"),
        (np.zeros((5, 5)), np.ones((0, 3)), "matrix"),
        (np.zeros((5, 5)), np.array([[np.nan]]), "finite"),
        (np.zeros((5, 5)), np.array([[np.inf]]), "finite"),
    ],
)
@pytest.mark.parametrize("operation", [convolve, conv_forward])
def test_what_is_no_image_and_what_is_no_filter_is_refused(operation, image, kernel, message):
    with pytest.raises(ValueError, match=message):
        operation(image, kernel)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 0}, "stride"),
        ({"dilation": 0}, "dilation"),
        ({"dilation": 1000}, "dilation"),
        ({"padding": -1}, "padding"),
        ({"padding": 10**6}, "padding"),
        ({"padding": "full"}, "padding"),
        ({"border": "wrap"}, "border"),
    ],
)
def test_settings_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvolutionSettings(**arguments)


@pytest.mark.parametrize(("row", "col"), [(4, 0), (0, 4), (-1, 0)])
def test_a_window_outside_the_output_is_refused(row, col):
    with pytest.raises(IndexError, match="does not exist"):
        window_at(np.zeros((6, 6)), VERTICAL, ConvolutionSettings(), row, col)
