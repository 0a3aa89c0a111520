"""The matrix against the convolution, costs against Keras and against counting, shifts on real pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from skimage import data

from core.convolution import equivalence
from core.convolution.equivalence import (
    convolution_cost,
    fully_connected_cost,
    toeplitz_matrix,
    translation_equivariance,
)
from core.convolution.filters import filter_kernel
from core.convolution.operation import ConvolutionSettings, FilterTooLarge, convolve, luminance
from tests.core.convolution.cases import cases, few_examples


@few_examples
@given(case=cases(channels=(0,)))
def test_the_matrix_times_the_image_is_the_convolution(case):
    settings = ConvolutionSettings(
        stride=case.settings.stride,
        padding=case.settings.padding,
        dilation=case.settings.dilation,
        flip=case.settings.flip,
    )
    expected = convolve(case.image, case.kernel, settings)

    matrix = toeplitz_matrix(case.kernel, *case.image.shape, settings)

    assert matrix.shape == (expected.size, case.image.size)
    product = (matrix @ case.image.ravel().astype(float)).reshape(expected.shape)
    np.testing.assert_allclose(product, expected, rtol=1e-6, atol=1e-2)


def test_the_matrix_is_doubly_blocked_toeplitz():
    kernel = np.arange(1.0, 10.0).reshape(3, 3)
    height, width = 5, 6
    blocks = []
    for row in kernel:  # one Toeplitz block for each row of the filter
        column = np.zeros(width - 2)
        column[0] = row[0]
        blocks.append(linalg.toeplitz(column, np.concatenate([row, np.zeros(width - 3)])))
    empty = np.zeros_like(blocks[0])
    expected = np.block(
        [[blocks[j - i] if 0 <= j - i < 3 else empty for j in range(height)] for i in range(height - 2)]
    )

    np.testing.assert_array_equal(toeplitz_matrix(kernel, height, width).toarray(), expected)


def test_what_is_no_toeplitz_matrix_is_refused():
    for border in ("reflect", "replicate"):
        with pytest.raises(ValueError, match="border of zeros only"):
            toeplitz_matrix(np.ones((3, 3)), 6, 6, ConvolutionSettings(padding=1, border=border))
    with pytest.raises(FilterTooLarge):
        toeplitz_matrix(np.ones((7, 7)), 6, 6)
    with pytest.raises(ValueError, match="20,000,000"):
        toeplitz_matrix(np.ones((31, 31)), 1000, 1000)


@few_examples
@given(
    height=st.integers(4, 12),
    width=st.integers(4, 12),
    channels=st.integers(1, 4),
    f=st.integers(1, 4),
    n_c=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.sampled_from(["valid", "same"]),
)
def test_costs_equal_keras_and_the_entries_of_the_matrix(height, width, channels, f, n_c, stride, padding):
    import keras

    settings = ConvolutionSettings(stride=stride, padding=padding)
    conv = keras.layers.Conv2D(n_c, f, stride, padding)
    shape = conv.compute_output_shape((None, height, width, channels))
    conv.build((None, height, width, channels))
    dense = keras.layers.Dense(int(np.prod(shape[1:])))
    dense.build((None, height * width * channels))

    cost = convolution_cost((height, width, channels), f, n_c, settings)
    full = fully_connected_cost((height, width, channels), cost.output_shape)

    assert cost.output_shape == shape[1:]
    assert cost.parameters == conv.count_params()
    assert cost.parameter_bytes == 4 * conv.count_params()
    assert cost.multiply_adds == np.prod(shape[1:]) * f * f * channels
    matrix = toeplitz_matrix(np.ones((f, f)), height, width, settings)
    assert cost.connections == matrix.nnz * channels * n_c
    assert cost.density == pytest.approx(cost.connections / full.weights)
    assert full.parameters == dense.count_params()
    assert full.connections == full.multiply_adds == full.weights
    assert full.density == 1


def test_the_size_of_an_image_as_the_notes_have_it():
    cost = fully_connected_cost((1000, 1000, 3), 1000)

    assert cost.weights == 3_000_000_000
    assert cost.parameters == 3_000_001_000
    assert cost.parameter_bytes == 12_000_004_000


@pytest.mark.parametrize("shape", [(0, 3, 3), (3, 3), (3, 3, -1)])
def test_volumes_that_are_none_are_refused(shape):
    with pytest.raises(ValueError, match="at least 1"):
        fully_connected_cost(shape, 10)
    with pytest.raises(ValueError, match="at least 1"):
        convolution_cost(shape, 1, 10)


@pytest.fixture(scope="module")
def picture():
    return luminance(data.astronaut())[100:260, 80:280]


@pytest.mark.parametrize("shift_px", [(0, 0), (3, 0), (-2, 5), (0, -12), (31, 31)])
def test_the_map_moves_with_the_picture(picture, shift_px):
    result = translation_equivariance(picture, filter_kernel("sobel_vertical"), ConvolutionSettings(), shift_px)

    assert result.map_shift == shift_px
    assert result.convolution_change == pytest.approx(0, abs=1e-6)
    assert result.interior_change == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(result.shifted_then_convolved, result.convolved_then_shifted)
    height, width = picture.shape
    kept = (height - 2 - 2 * abs(shift_px[0]), width - 2 - 2 * abs(shift_px[1]))
    assert result.shifted_then_convolved.shape == kept
    if shift_px != (0, 0):
        assert result.fully_connected_change > 0.05


def test_what_is_compared_is_found_at_its_places_in_the_whole_maps(picture):
    kernel, settings = filter_kernel("sobel_vertical"), ConvolutionSettings(stride=2)
    result = translation_equivariance(picture, kernel, settings, (-4, 6))

    (image, moved), compared = result.images, (result.convolved_then_shifted, result.shifted_then_convolved)
    np.testing.assert_array_equal(moved[:-4, 6:], image[4:, :-6])
    for one, whole, place, part in zip((image, moved), result.maps, result.places, compared, strict=True):
        np.testing.assert_array_equal(whole, convolve(one, kernel, settings))
        top, left, height, width = place
        np.testing.assert_array_equal(whole[top : top + height, left : left + width], part)
    before, after = result.fully_connected_maps
    assert before.shape == after.shape == (32, 32)
    # Without a shift the two inputs are one, and the same weights give the same outputs.
    again = translation_equivariance(picture, kernel, settings, (0, 0)).fully_connected_maps
    np.testing.assert_array_equal(*again)


def test_a_border_breaks_the_rim_and_nothing_else(picture):
    settings = ConvolutionSettings(padding="same")

    result = translation_equivariance(picture, filter_kernel("box", 7), settings, (4, 2))

    assert result.convolution_change > 0.01
    assert result.interior_change == pytest.approx(0, abs=1e-6)


def test_a_stride_moves_with_the_picture_only_in_whole_steps(picture):
    settings, kernel = ConvolutionSettings(stride=3), filter_kernel("sobel_horizontal")

    whole = translation_equivariance(picture, kernel, settings, (6, -3))
    between = translation_equivariance(picture, kernel, settings, (1, 0))

    assert (whole.map_shift, between.map_shift) == ((2, -1), (0, 0))
    assert whole.convolution_change == pytest.approx(0, abs=1e-6)
    assert between.convolution_change > 0.1


def test_shifts_that_leave_nothing_are_told_apart(picture):
    kernel = filter_kernel("box", 3)

    far = translation_equivariance(picture, kernel, ConvolutionSettings(), (40, 0))
    assert far.fully_connected_change is None
    everywhere_padding = ConvolutionSettings(padding=3)
    tiny = translation_equivariance(picture[:4, :4], filter_kernel("box", 7), everywhere_padding, (1, 0))
    assert tiny.interior_change is None
    with pytest.raises(ValueError, match="larger picture"):
        translation_equivariance(picture, kernel, ConvolutionSettings(), (160, 0))
    with pytest.raises(ValueError, match="leaves nothing"):
        translation_equivariance(picture, kernel, ConvolutionSettings(), (90, 0))
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        translation_equivariance(picture[..., None], kernel, ConvolutionSettings(), (1, 0))


def test_sparse_matrices_are_not_imported_before_they_are_asked_for():
    import subprocess
    import sys

    code = f"import sys, {equivalence.__name__}; print('scipy.sparse' in sys.modules, 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]
