"""Small classifiers to train while one watches: LeNet-5, a small VGG, ResNet-20, or one that the user stacked.

Sources: LeCun et al. 1998 (LeNet-5, here in the form that courses teach: fully connected C3, ReLU, max-pooling,
softmax); Simonyan and Zisserman 2015 (blocks of 3 x 3 convolutions); He et al. 2016, section 4.2 (ResNet-20).
Every network takes pictures 0..255 (N, H, W, C) and answers with logits (N, classes). Imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from core.convolution.stack import StackError, StackFormatError, StackLayer, describe_stack, from_json, layer_names
from core.training.runs import NETWORKS, STACK

SMALLEST_SIDE_PX = 16
LENET_SIDE_PX = 32
MAX_STACK_PARAMETERS = 20_000_000


class NetworkError(ValueError):
    """A network that cannot be built for this data."""


def build_classifier(
    network: str, input_shape: tuple[int, int, int], classes: int, seed: int = 0, stack: str = ""
) -> keras.Model:
    """A network by its name; all layers are named, and the seed decides its weights.

    Args:
        network: One of `NETWORKS`, or "stack".
        input_shape: (H, W, C) of the pictures.
        classes: Length of the logits.
        seed: Decides the weights.
        stack: For "stack", its layers as the JSON of `core.convolution.stack.to_json`.

    Raises:
        NetworkError: If there is no such network, it does not fit the pictures, or these are smaller than 16 px.
    """
    if network not in (*NETWORKS, STACK):
        raise NetworkError(f"expected one of {', '.join(NETWORKS)}, received {network!r}")
    if network == STACK:
        return _stacked(stack, input_shape, classes, seed)
    if min(input_shape[:2]) < SMALLEST_SIDE_PX:
        raise NetworkError(f"Pictures must have at least {SMALLEST_SIDE_PX} x {SMALLEST_SIDE_PX} pixels.")
    seeds = np.random.default_rng(seed)
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1, name="scale")(inputs)
    builders: dict[str, Callable[[Any, np.random.Generator], Any]] = {
        "lenet5": _lenet5,
        "small_vgg": _small_vgg,
        "resnet20": _resnet20,
    }
    x = builders[network](x, seeds)
    logits = keras.layers.Dense(classes, name="logits", kernel_initializer=_glorot(seeds))(x)
    return keras.Model(inputs, logits, name=network)


def stack_before_logits(stack: str, input_shape: tuple[int, int, int]) -> tuple[StackLayer, ...]:
    """The layers of a stack on pictures of this shape, without a softmax at its end: logits take its place.

    Raises:
        NetworkError: If the text is no stack, or it does not fit the pictures; the message says at which layer.
    """
    try:
        _, layers = from_json(stack)
        if layers and layers[-1].kind == "softmax":
            layers = layers[:-1]
        reports = describe_stack(input_shape, layers)
    except (StackError, StackFormatError) as error:
        height, width, channels = input_shape
        raise NetworkError(f"On pictures of {height} x {width} x {channels}: {error}") from None
    if any(layer.kind == "softmax" for layer in layers):
        raise NetworkError("A softmax may stand at the end of the stack only, where the classes are.")
    if sum(report.parameters for report in reports) > MAX_STACK_PARAMETERS:
        raise NetworkError(f"The stack has more than {MAX_STACK_PARAMETERS:,} parameters: too large to watch it learn.")
    return layers


def _stacked(stack: str, input_shape: tuple[int, int, int], classes: int, seed: int) -> keras.Model:
    seeds, layers = np.random.default_rng(seed), keras.layers
    stacked = stack_before_logits(stack, input_shape)
    inputs = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 127.5, -1, name="scale")(inputs)
    for layer, label in zip(stacked, layer_names(stacked), strict=True):
        name = label.lower().replace("-", "_").replace(" ", "_")
        padding = layer.padding
        if isinstance(padding, int):
            x = layers.ZeroPadding2D(padding, name=f"{name}_padding")(x) if padding else x
            padding = "valid"
        if layer.kind == "conv":
            x = layers.Conv2D(
                layer.units,
                layer.f,
                layer.s,
                padding=padding,
                activation="relu",
                kernel_initializer=_he(seeds),
                name=name,
            )(x)
        elif layer.kind in ("pool_max", "pool_avg"):
            pooling = layers.MaxPooling2D if layer.kind == "pool_max" else layers.AveragePooling2D
            x = pooling(layer.f, layer.s, padding=padding, name=name)(x)
        elif layer.kind == "flatten":
            x = layers.Flatten(name=name)(x)
        else:
            x = layers.Flatten(name=f"{name}_flatten")(x) if len(x.shape) > 2 else x
            x = layers.Dense(layer.units, activation="relu", kernel_initializer=_he(seeds), name=name)(x)
    x = layers.Flatten(name="flatten_last")(x) if len(x.shape) > 2 else x
    logits = layers.Dense(classes, name="logits", kernel_initializer=_glorot(seeds))(x)
    return keras.Model(inputs, logits, name="stack")


def _glorot(seeds: np.random.Generator) -> Any:
    return keras.initializers.GlorotUniform(seed=int(seeds.integers(2**31)))


def _he(seeds: np.random.Generator) -> Any:
    return keras.initializers.HeNormal(seed=int(seeds.integers(2**31)))


def _lenet5(x: Any, seeds: np.random.Generator) -> Any:
    layers = keras.layers
    # The paper surrounds digits of 28 px to get 32; larger pictures need no border.
    padding = "same" if min(x.shape[1:3]) < LENET_SIDE_PX else "valid"
    x = layers.Conv2D(6, 5, padding=padding, activation="relu", kernel_initializer=_he(seeds), name="C1")(x)
    x = layers.MaxPooling2D(2, name="S2")(x)
    x = layers.Conv2D(16, 5, activation="relu", kernel_initializer=_he(seeds), name="C3")(x)
    x = layers.MaxPooling2D(2, name="S4")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation="relu", kernel_initializer=_he(seeds), name="C5")(x)
    return layers.Dense(84, activation="relu", kernel_initializer=_he(seeds), name="F6")(x)


def _small_vgg(x: Any, seeds: np.random.Generator) -> Any:
    layers = keras.layers
    for block, filters in enumerate((16, 32, 64), 1):
        for index in (1, 2):
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=_he(seeds),
                name=f"block{block}_conv{index}",
            )(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return layers.Dense(128, activation="relu", kernel_initializer=_he(seeds), name="fc1")(x)


def _resnet20(x: Any, seeds: np.random.Generator) -> Any:
    layers = keras.layers

    def convolution(y: Any, filters: int, size: int, stride: int, name: str) -> Any:
        y = layers.Conv2D(
            filters,
            size,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer=_he(seeds),
            name=f"{name}_conv",
        )(y)
        return layers.BatchNormalization(name=f"{name}_bn")(y)

    x = layers.ReLU(name="stem_relu")(convolution(x, 16, 3, 1, "stem"))
    for stage, filters in enumerate((16, 32, 64), 1):
        for block in range(1, 4):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"stage{stage}_block{block}"
            y = layers.ReLU(name=f"{name}_relu1")(convolution(x, filters, 3, stride, f"{name}_1"))
            y = convolution(y, filters, 3, 1, f"{name}_2")
            shortcut = x if x.shape[-1] == filters else convolution(x, filters, 1, stride, f"{name}_shortcut")
            x = layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([y, shortcut]))
    return layers.GlobalAveragePooling2D(name="average")(x)
