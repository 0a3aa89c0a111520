"""A convolution with its pooling in one piece against Keras' two layers: values, gradients, and where it applies."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.training.networks import build_classifier
from core.training.pooled_convolution import pooled_convolution, pooled_convolutions, pooled_pairs

RELU, LINEAR = keras.activations.relu, keras.activations.linear


def layers_in_turn(x, kernel, bias, activation, padding):
    """The plain form, written with TensorFlow's own operations."""
    y = tf.nn.conv2d(x, kernel, 1, padding.upper())
    return tf.nn.max_pool2d(activation(y if bias is None else y + bias), 2, 2, "VALID")


def answers_and_gradients(function, x, kernel, bias, *rest):
    given = [tf.constant(one) for one in (x, kernel, bias) if one is not None]
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = function(*given[:2], given[2] if bias is not None else None, *rest)
        weights = tf.cast(tf.reshape(tf.range(tf.size(y)) % 7, tf.shape(y)), tf.float32)
        cost = tf.reduce_sum(weights * y)
    return [np.asarray(y), *map(np.asarray, tape.gradient(cost, given))]


@pytest.mark.parametrize("size", [(12, 12), (13, 10)], ids=["even", "odd"])
@pytest.mark.parametrize("f", [2, 3, 5])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("activation", "biased"), [(RELU, True), (LINEAR, False)])
def test_answers_and_gradients_are_those_of_two_layers(size, f, padding, activation, biased) -> None:
    random = np.random.default_rng(f)
    x = random.normal(size=(3, *size, 2)).astype(np.float32)
    kernel = random.normal(size=(f, f, 2, 4)).astype(np.float32)
    bias = random.normal(size=4).astype(np.float32) if biased else None
    ours = answers_and_gradients(pooled_convolution, x, kernel, bias, activation, padding)
    theirs = answers_and_gradients(layers_in_turn, x, kernel, bias, activation, padding)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def test_the_first_of_equal_neighbours_has_the_gradient() -> None:
    """Whole numbers are added without rounding, so that neighbours are equal exactly."""
    random = np.random.default_rng(0)
    x = random.integers(0, 2, (4, 10, 10, 1)).astype(np.float32)
    x[0] = 1
    kernel = random.integers(-1, 2, (3, 3, 1, 3)).astype(np.float32)
    bias = np.array([0, 1, -1], np.float32)
    ours = answers_and_gradients(pooled_convolution, x, kernel, bias, RELU, "same")
    theirs = answers_and_gradients(layers_in_turn, x, kernel, bias, RELU, "same")
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


STACK = '[[9, 9, 9], ["conv", 3, 1, 1, 4], ["pool_max", 2, 2, "valid"], ["dense", 12], ["softmax", 99]]'


@pytest.mark.parametrize(
    ("network", "shape", "stack", "names"),
    [
        ("lenet5", (28, 28, 1), "", [("C1", "S2"), ("C3", "S4")]),
        ("lenet5", (32, 32, 3), "", [("C1", "S2"), ("C3", "S4")]),
        ("small_vgg", (32, 32, 3), "", []),  # each pooling follows a convolution of 16 channels or more
        ("resnet20", (32, 32, 3), "", []),  # no pooling
        ("stack", (17, 20, 1), STACK, [("conv1", "pool1")]),
        ("stack", (20, 20, 1), STACK.replace("2, 2, ", "3, 2, "), []),  # windows overlap
        ("stack", (20, 20, 1), STACK.replace('"pool_max"', '"pool_avg"'), []),
        ("stack", (20, 20, 1), STACK.replace("3, 1, 1, 4", "3, 2, 1, 4"), []),  # a convolution of stride 2
    ],
)
def test_where_it_applies(network, shape, stack, names) -> None:
    model = build_classifier(network, shape, 4, 0, stack)
    assert [(one.name, other.name) for one, other in pooled_pairs(model)] == names
    pictures = np.random.default_rng(0).integers(0, 256, (5, *shape)).astype(np.float32)
    before = np.asarray(model(pictures))
    with pooled_convolutions(model):
        np.testing.assert_allclose(model(pictures), before, atol=1e-4)
    np.testing.assert_array_equal(model(pictures), before)
    assert not any("call" in vars(layer) for layer in model.layers)


def test_a_convolution_that_others_look_at_too_is_left_alone() -> None:
    inputs = keras.Input((12, 12, 1))
    y = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    pooled = keras.layers.MaxPooling2D(2)(y)
    sums = [keras.layers.Flatten()(one) for one in (pooled, keras.layers.AveragePooling2D(2)(y))]
    assert pooled_pairs(keras.Model(inputs, keras.layers.Add()(sums))) == ()
    assert pooled_pairs(keras.Model(inputs, [y, pooled])) == ()
    (pair,) = pooled_pairs(keras.Model(inputs, pooled))
    assert pair[0].output is y


def test_an_error_leaves_the_layers_as_they_were() -> None:
    model = build_classifier("lenet5", (28, 28, 1), 10)
    with pytest.raises(RuntimeError), pooled_convolutions(model):
        raise RuntimeError("while the graph is made")
    assert not any("call" in vars(layer) for layer in model.layers)
