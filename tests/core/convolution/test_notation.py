"""The notation table against a layer that Keras builds."""

import pytest

from core.convolution.notation import layer_notation
from core.convolution.settings import ConvolutionSettings


@pytest.mark.parametrize(
    ("shape", "filters", "stride", "padding"),
    [
        ((32, 32, 3), (5, 5, 3, 8), 1, "valid"),  # CONV1 of the notes' schematic network
        ((40, 31, 3), (3, 3, 3, 16), 2, "same"),
        ((9, 12, 4), (3, 3, 4, 1), 3, "valid"),
    ],
)
def test_sizes_are_those_of_a_built_keras_layer(shape, filters, stride, padding):
    import keras

    layer = keras.layers.Conv2D(filters[3], filters[:2], strides=stride, padding=padding, name="layer")
    output = layer.compute_output_shape((7, *shape))
    layer.build((7, *shape))
    table = {
        entry.what: entry
        for entry in layer_notation(shape, filters, ConvolutionSettings(stride=stride, padding=padding), 7)
    }
    assert table["Weights"].shape == tuple(layer.kernel.shape)
    assert table["Weights"].count + table["Bias"].count == layer.count_params()
    assert table["Activation"].shape == tuple(output[1:])
    assert table["Activation of a batch"].shape == tuple(output)


def test_filters_of_another_depth_are_refused():
    with pytest.raises(ValueError, match="must be 3 deep"):
        layer_notation((6, 6, 3), (3, 3, 1, 2), ConvolutionSettings(), 1)


def test_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least 1 example"):
        layer_notation((6, 6, 3), (3, 3, 3, 2), ConvolutionSettings(), 0)
