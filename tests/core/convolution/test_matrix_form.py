"""The matrix form of a convolution against TensorFlow."""

import numpy as np
import pytest

from core.convolution.matrix_form import matrix_form
from core.convolution.settings import ConvolutionSettings


@pytest.mark.parametrize(("stride", "padding"), [(1, "valid"), (2, "same"), (3, "valid"), (1, "same")])
def test_product_is_the_convolution_of_tensorflow(stride, padding):
    import tensorflow as tf

    rng = np.random.default_rng(3)
    image, kernel = rng.normal(size=(9, 7)), rng.normal(size=(3, 3))
    form = matrix_form(image, kernel, ConvolutionSettings(stride=stride, padding=padding))
    expected = tf.nn.conv2d(
        image[None, :, :, None].astype(np.float32),
        kernel[:, :, None, None].astype(np.float32),
        strides=stride,
        padding=padding.upper(),
    ).numpy()[0, :, :, 0]
    np.testing.assert_allclose(form.product, expected, atol=1e-5)
    assert form.largest_difference < 1e-5
    assert form.matrix.shape == (expected.size, image.size)


def test_weights_that_are_zero_are_connections_too():
    form = matrix_form(np.ones((6, 6)), np.array([[1, 0, -1]] * 3))
    assert form.connections == 16 * 9
    assert np.count_nonzero(form.matrix) == 16 * 6
    assert form.density == pytest.approx(9 / 36)


def test_inputs_of_an_output_are_the_pixels_under_its_window():
    form = matrix_form(np.ones((5, 6)), np.ones((3, 3)), ConvolutionSettings(padding=1))
    assert form.inputs_of(0, 0) == ((0, 0), (0, 1), (1, 0), (1, 1))
    assert len(form.inputs_of(2, 3)) == 9
    assert form.row_of(2, 3) == 15


def test_an_image_with_channels_is_refused():
    with pytest.raises(ValueError, match=r"must be \(H, W\)"):
        matrix_form(np.ones((5, 5, 3)), np.ones((3, 3)))
