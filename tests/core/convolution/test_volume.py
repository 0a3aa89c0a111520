"""Convolution over volumes against Keras and against itself, channel by channel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.convolution import volume as module
from core.convolution.operation import (
    ConvolutionSettings,
    FilterTooLarge,
    convolve_volume,
    padding_amounts,
    partial_products,
)
from tests.core.convolution.cases import convolution_settings, few_examples


@st.composite
def volumes(draw):
    """A volume, filters and a bias that belong together."""
    chosen = draw(convolution_settings())
    f, channels, maps = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    height, width = draw(st.integers(10, 16)), draw(st.integers(10, 16))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    volume = rng.normal(size=(height, width, channels)).astype(np.float32)
    filters = rng.normal(size=(f, f, channels, maps)).astype(np.float32)
    return volume, filters, rng.normal(size=maps).astype(np.float32), chosen


@few_examples
@given(case=volumes(), activation=st.sampled_from(["linear", "relu", "sigmoid", "tanh"]))
def test_a_layer_equals_keras(case, activation):
    import keras
    import tensorflow as tf

    volume, filters, bias, chosen = case
    f, _, _, maps = filters.shape
    amounts = [padding_amounts(n, f, chosen) for n in volume.shape[:2]]
    mode = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}[chosen.border]
    padded = np.pad(volume, [*amounts, (0, 0)], mode=mode)[None]
    weights = filters[::-1, ::-1] if chosen.flip else filters
    if chosen.stride > 1 and chosen.dilation > 1:  # Keras has no layer for both, TensorFlow has
        raw = tf.nn.conv2d(padded, weights, chosen.stride, "VALID", dilations=chosen.dilation) + bias
        expected = keras.activations.get(activation)(raw)
    else:
        layer = keras.layers.Conv2D(maps, f, chosen.stride, dilation_rate=chosen.dilation, activation=activation)
        layer.build(padded.shape)
        layer.set_weights([weights, bias])
        expected = layer(padded)

    result = convolve_volume(volume, filters, bias, chosen, activation)

    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.asarray(expected)[0], rtol=1e-4, atol=1e-4)


@few_examples
@given(case=volumes())
def test_partial_products_add_up_to_the_layer(case):
    volume, filters, bias, chosen = case
    expected = convolve_volume(volume, filters, bias, chosen)

    for k in range(filters.shape[3]):
        parts = partial_products(volume, filters[..., k], float(bias[k]), chosen)
        np.testing.assert_allclose(parts.channels.sum(axis=-1), parts.total, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(parts.total + bias[k], parts.output, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(parts.output, expected[..., k], rtol=1e-4, atol=1e-4)


def test_without_a_bias_nothing_is_added():
    volume, filters = np.ones((5, 5, 2)), np.ones((3, 3, 2, 4))

    result = convolve_volume(volume, filters)

    np.testing.assert_array_equal(result, np.full((3, 3, 4), 18))


def test_large_volumes_go_in_chunks_and_stay_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    volume, filters = rng.normal(size=(40, 30, 3)), rng.normal(size=(3, 3, 3, 5))
    whole = convolve_volume(volume, filters)

    monkeypatch.setattr(module, "_CHUNK_BYTES", 10_000)

    np.testing.assert_allclose(convolve_volume(volume, filters), whole, rtol=1e-5, atol=1e-5)


def test_sigmoid_does_not_overflow():
    result = convolve_volume(np.full((1, 1, 1), -1e5), np.ones((1, 1, 1, 1)), activation="sigmoid")

    assert result[0, 0, 0] == 0


@pytest.mark.parametrize(
    ("volume", "filters", "bias", "activation", "message"),
    [
        ((6, 6), (3, 3, 1, 1), None, "relu", r"received \(6, 6\)"),
        ((6, 6, 3), (3, 3, 4, 1), None, "relu", "same C"),
        ((6, 6, 3), (3, 3, 3), None, "relu", "same C"),
        ((6, 6, 3), (3, 3, 3, 2), (3,), "relu", "each of 2 filters"),
        ((6, 6, 3), (3, 3, 3, 2), None, "swish", "swish"),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(volume, filters, bias, activation, message):
    with pytest.raises(ValueError, match=message):
        convolve_volume(
            np.zeros(volume),
            np.zeros(filters),
            None if bias is None else np.zeros(bias),
            activation=activation,
        )


def test_filters_larger_than_the_volume_are_refused():
    with pytest.raises(FilterTooLarge):
        convolve_volume(np.zeros((4, 4, 3)), np.zeros((5, 5, 3, 2)))
    with pytest.raises(FilterTooLarge):
        partial_products(np.zeros((4, 4, 3)), np.zeros((5, 5, 3)), settings=ConvolutionSettings())
    with pytest.raises(ValueError, match="same C"):
        partial_products(np.zeros((4, 4, 3)), np.zeros((3, 3, 2)))
