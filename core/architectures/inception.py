"""The Inception module and GoogLeNet (Inception v1) with its two side outputs.

Source: Szegedy et al., 2014, "Going deeper with convolutions", table 1, figures 2b and 3, section 5. Inputs
are batches (N, H, W, C) float32, outputs probabilities (N, classes).

Importing this module imports Keras; the table is in `core.architectures.googlenet_table`.
"""

from __future__ import annotations

from typing import Any

import keras

from core.architectures.building import LayerMaker, build_without_weights
from core.architectures.googlenet_table import GOOGLENET_MODULES, InceptionWidths
from core.architectures.layers import LocalResponseNormalization
from core.architectures.summary import ModelSummary, summarise_model


def inception_module(net: LayerMaker, x: Any, widths: InceptionWidths, name: str) -> Any:
    """Four branches side by side: 1x1; 1x1 then 3x3; 1x1 then 5x5; 3x3 max-pooling then 1x1 (figure 2b).

    (N, H, W, C) to (N, H, W, widths.output).
    """
    one = net.conv(x, widths.one, 1, f"{name}_1x1", activation="relu")
    three = net.conv(x, widths.three_reduce, 1, f"{name}_3x3_reduce", activation="relu")
    three = net.conv(three, widths.three, 3, f"{name}_3x3", activation="relu")
    five = net.conv(x, widths.five_reduce, 1, f"{name}_5x5_reduce", activation="relu")
    five = net.conv(five, widths.five, 5, f"{name}_5x5", activation="relu")
    pool = net.max_pool(x, 3, 1, f"{name}_pool", "same")
    pool = net.conv(pool, widths.pool_projection, 1, f"{name}_pool_proj", activation="relu")
    return net.concatenate([one, three, five, pool], f"{name}_output")


def module_summary(widths: tuple[int, int, int, int, int, int], input_shape: tuple[int, int, int]) -> ModelSummary:
    """The layers of one module with their shapes.

    Args:
        widths: Channels in the order of `InceptionWidths`.
        input_shape: (H, W, C).

    Raises:
        ValueError: If a width or side is under 1.
    """
    if len(widths) != 6 or min(widths) < 1 or len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(
            f"A module has six widths and an input H x W x C, all at least 1; got {widths}, {input_shape}."
        )

    def build() -> Any:
        inputs = keras.Input(input_shape, name="input")
        return keras.Model(inputs, inception_module(LayerMaker(), inputs, InceptionWidths(*widths), "inception"))

    return summarise_model(build_without_weights(build), "Inception module")


def googlenet(
    side_outputs: bool = False,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    seed: int = 0,
    dtype: str = "float32",
) -> Any:
    """GoogLeNet by table 1: 6,998,552 parameters, and 13,378,280 with both side outputs.

    The side outputs (section 5) leave after modules 4a and 4d: 5 x 5 average pooling with stride 3, a 1 x 1
    convolution of 128 filters, a dense layer of 1,024, dropout of 0.7 and a softmax. Response normalisation
    stands where figure 3 has it (as in the authors' framework: over five channels, k = 1, alpha = 1e-4
    averaged over the window, beta = 0.75); it has no parameters. With side outputs the model puts out
    [main, side 1, side 2].

    Differences from the paper: the paper prints 2.7 K parameters for the first convolution; 64 filters of 7
    x 7 x 3 have 9,472. Its count and its 34 M operations are those of a separable convolution with eight
    filters a channel (7*7*3*8 + 24*64 = 2,712), which the paper does not mention and which is not built
    here. Its ReLU, softmax and dropout rates are followed.

    Args:
        side_outputs: With the two side outputs, or only the network that is used after training.
        input_shape: (H, W, channels); with side outputs at least 65 x 65.
        classes: Number of outputs.
        seed: Seed of the random start.
        dtype: Dtype policy.

    Raises:
        ValueError: If the image is too small for the side outputs' pooling.
    """
    if side_outputs and min(input_shape[:2]) <= 64:
        raise ValueError(
            "The side outputs of GoogLeNet pool 5 x 5 windows of maps 16 times smaller than the image, which "
            f"must be 65 x 65 pixels or more; got {input_shape[0]} x {input_shape[1]}."
        )
    net = LayerMaker(seed, dtype)
    inputs = keras.Input(input_shape, name="image")
    x = net.conv(inputs, 64, 7, "conv1_7x7", strides=2, activation="relu")  # (N, 112, 112, 64)
    x = net.max_pool(x, 3, 2, "pool1", "same")  # (N, 56, 56, 64)
    x = _normalise(net, x, "norm1")
    x = net.conv(x, 64, 1, "conv2_3x3_reduce", activation="relu")
    x = net.conv(x, 192, 3, "conv2_3x3", activation="relu")  # (N, 56, 56, 192)
    x = _normalise(net, x, "norm2")
    x = net.max_pool(x, 3, 2, "pool2", "same")  # (N, 28, 28, 192)
    sides = []
    for module, widths in GOOGLENET_MODULES.items():
        x = inception_module(net, x, widths, f"inception_{module}")
        if module in ("3b", "4e"):
            x = net.max_pool(x, 3, 2, f"pool{module[0]}", "same")  # (N, 14, 14, C), (N, 7, 7, C)
        if side_outputs and module in ("4a", "4d"):
            sides.append(side_output(net, x, classes, f"side_{module}"))
    x = net.global_average(x, "avg_pool")  # (N, 1024)
    outputs = net.classifier(net.dropout(x, 0.4, "dropout"), classes, "predictions")
    name = "googlenet_side_outputs" if side_outputs else "googlenet"
    return keras.Model(inputs, [outputs, *sides] if side_outputs else outputs, name=name)


def side_output(net: LayerMaker, x: Any, classes: int, name: str) -> Any:
    """A classifier on the maps of a hidden layer (section 5): (N, 14, 14, C) to (N, classes)."""
    x = net.average_pool(x, 5, 3, f"{name}_pool")  # (N, 4, 4, C)
    x = net.conv(x, 128, 1, f"{name}_conv", activation="relu")  # (N, 4, 4, 128)
    x = net.dense(net.flatten(x, f"{name}_flatten"), 1024, f"{name}_dense", activation="relu")
    return net.classifier(net.dropout(x, 0.7, f"{name}_dropout"), classes, f"{name}_predictions")


def _normalise(net: LayerMaker, x: Any, name: str) -> Any:
    """Response normalisation with the constants of the authors' framework."""
    return LocalResponseNormalization(k=1.0, average=True, dtype=net.dtype, name=name)(x)
