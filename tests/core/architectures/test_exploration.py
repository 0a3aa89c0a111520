"""What the explorer asks for: weights by shape, factors of the multiply-adds, code that rebuilds."""

import keras
import numpy as np
import pytest

from core.architectures.catalog import CATALOG
from core.architectures.exploration import (
    code,
    explore,
    multiply_add_factors,
    published_count,
)
from core.architectures.keras_code import NoCodeError, keras_code
from core.architectures.summary import summarise_model


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "googlenet", "resnet20_cifar", "MobileNetV2"])
def test_the_weights_of_a_layer_add_up_to_its_parameters(name):
    network = explore(name)
    for layer in network.summary.layers:
        weights = network.weights.get(layer.name, ())
        assert sum(weight.size for weight in weights) == layer.parameters
        assert sum(weight.size for weight in weights if weight.trainable) == layer.trainable_parameters


def test_the_factors_of_convolution_and_dense_layers_multiply_to_their_multiply_adds():
    network = explore("vgg16")
    factors = {}
    for layer in network.summary.layers:
        inputs = [network.summary.layer(name) for name in layer.inbound]
        factors[layer.name] = multiply_add_factors(layer, inputs, network.weights.get(layer.name, ()))
    assert factors["block1_conv2"] == (224, 224, 3, 3, 64, 64)
    assert factors["fc1"] == (25_088, 4096)
    assert factors["block1_pool"] is None


def test_a_published_count_holds_for_its_options_only():
    resnet = CATALOG["resnet50"]
    assert published_count(resnet, {}).parameters == 25_610_152
    assert published_count(resnet, {"variant": "keras"}).parameters == 25_636_712
    assert published_count(resnet, {"shortcuts": "C"}) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [("lenet5", {}), ("lenet5", {"form": "dense_c3"}), ("alexnet", {}), ("googlenet", {"side_outputs": True})]
    + [("resnet20_cifar", {"residual": False}), ("network_in_network", {}), ("DenseNet121", {})],
)
def test_the_code_rebuilds_the_network(name, options):
    from core.architectures.building import build_without_weights

    names: dict[str, object] = {}
    build_without_weights(lambda: exec(code(name, None, options), names))  # noqa: S102
    rebuilt, original = summarise_model(names["model"]), explore(name, None, options).summary
    assert [(layer.name, layer.output_shape) for layer in rebuilt.layers] == [
        (layer.name, layer.output_shape) for layer in original.layers
    ]
    assert rebuilt.trainable_parameters == original.trainable_parameters
    assert (rebuilt.parameters, rebuilt.multiply_adds) == (original.parameters, original.multiply_adds)


def test_the_code_says_shared_layers_and_names_that_python_reserves():
    image = keras.Input((8, 8, 3), name="class")
    shared = keras.layers.Conv2D(3, 3, padding="same", name="1st")
    model = keras.Model(image, keras.layers.Add(name="sum")([shared(image), shared(shared(image))]))
    names: dict[str, object] = {}
    exec(keras_code(model), names)  # noqa: S102
    rebuilt = names["model"]
    assert rebuilt.count_params() == model.count_params() == 84
    rebuilt.set_weights(model.get_weights())
    x = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    np.testing.assert_allclose(rebuilt(x), model(x), rtol=1e-5, atol=1e-5)


def test_an_operation_that_is_no_layer_has_no_code():
    image = keras.Input((8, 8, 3))
    with pytest.raises(NoCodeError, match="is an operation, not a layer"):
        keras_code(keras.Model(image, keras.ops.exp(image)))
