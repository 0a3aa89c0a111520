"""Residual networks: ResNet-18 to 152 for ImageNet; those of depth 6n + 2 for CIFAR with plain twins.

Source: He et al., 2015, "Deep residual learning for image recognition", tables 1 and 6, figures 2, 3 and 5;
sections 3.3 (shortcuts A, B and C) and 4.2. A block computes relu(F(x) + s(x)), with s the identity
(identity block) or, where height, width or channels change, a projection or a padded subsampling
(convolution block). Inputs are batches (N, H, W, C) float32, outputs probabilities (N, classes).

Importing this module imports Keras.
"""

from __future__ import annotations

from typing import Any

import keras

from core.architectures.building import LayerMaker
from core.architectures.layers import PaddedShortcut

# Table 1: the kind of block and the number of blocks of conv2_x, conv3_x, conv4_x and conv5_x.
RESNET_PLANS: dict[int, tuple[str, tuple[int, int, int, int]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
STAGE_WIDTHS = (64, 128, 256, 512)
BOTTLENECK_EXPANSION = 4
CIFAR_WIDTHS = (16, 32, 64)


def resnet(
    depth: int = 50,
    variant: str = "paper",
    shortcuts: str = "B",
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    seed: int = 0,
    dtype: str = "float32",
) -> Any:
    """A residual network from a column of table 1.

    `variant="paper"`: convolutions without bias, since batch normalisation follows each (the authors'
    released networks): ResNet-50 has 25,557,032 trainable parameters and 53,120 moving means and variances,
    25,610,152 in all. `variant="keras"`: convolutions with bias, as in `keras.applications.ResNet50`:
    25,636,712 in all, 25,583,592 of them trainable. Both halve the picture in the first convolution of a
    block, as the authors' files do.

    Layers are named as in `keras.applications` (conv2_block1_1_conv …).

    Args:
        depth: 18, 34, 50, 101 or 152.
        variant: "paper" or "keras".
        shortcuts: "A" pads channels with zeros, "B" projects where shapes change (default: the authors'
            released networks, and table 4), "C" projects everywhere.
        input_shape: (H, W, channels), at least 32 x 32.
        classes: Number of outputs.
        seed: Seed of the random start (He et al.'s Gaussian).
        dtype: Dtype policy.

    Raises:
        ValueError: If depth, variant or shortcuts are unknown.
    """
    if depth not in RESNET_PLANS:
        raise ValueError(f"ResNets of table 1 have {', '.join(map(str, RESNET_PLANS))} layers; got {depth}.")
    if variant not in ("paper", "keras"):
        raise ValueError(f'The variants are "paper" and "keras"; got {variant!r}.')
    _check_shortcuts(shortcuts)
    kind, blocks = RESNET_PLANS[depth]
    net = LayerMaker(
        seed,
        dtype,
        "he_normal",
        use_bias=variant == "keras",
        epsilon=1.001e-5 if variant == "keras" else 1e-5,
    )
    inputs = keras.Input(input_shape, name="image")
    x = net.pad(inputs, 3, "conv1_pad")  # (N, 230, 230, 3)
    x = net.conv(x, 64, 7, "conv1_conv", strides=2, padding="valid")  # (N, 112, 112, 64)
    x = net.relu(net.batch_norm(x, "conv1_bn"), "conv1_relu")
    x = net.pad(x, 1, "pool1_pad")
    x = net.max_pool(x, 3, 2, "pool1_pool")  # (N, 56, 56, 64)
    for stage, (width, count) in enumerate(zip(STAGE_WIDTHS, blocks, strict=True), start=2):
        for number in range(1, count + 1):
            strides = 2 if stage > 2 and number == 1 else 1
            name = f"conv{stage}_block{number}"
            x = residual_block(net, x, width, name, kind, strides, shortcuts)  # (N, H/strides, W/strides, C)
    outputs = net.classifier(net.global_average(x, "avg_pool"), classes, "predictions")
    return keras.Model(inputs, outputs, name=f"resnet{depth}")


def cifar_resnet(
    depth: int = 20,
    residual: bool = True,
    shortcuts: str = "A",
    widths: tuple[int, int, int] = CIFAR_WIDTHS,
    batch_norm: bool = True,
    initializer: str = "he_normal",
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    seed: int = 0,
    dtype: str = "float32",
) -> Any:
    """The network of section 4.2 with depth 6n + 2, or its plain twin without shortcuts.

    A 3 x 3 convolution, then three stages of n blocks of two 3 x 3 convolutions, global average pooling and
    one dense layer. The paper's setting is the default: widths 16, 32 and 64, batch normalisation, shortcut
    option A (no parameters, so that both twins have the same).

    Args:
        depth: 8, 14, 20 … 110.
        residual: With shortcuts, or plain.
        shortcuts: "A", "B" or "C" as in `resnet`.
        widths: Channels of the three stages.
        batch_norm: Normalise after each convolution; without it convolutions have biases.
        initializer: Keras' name of the initialiser.
        input_shape: (H, W, channels), at least 4 x 4.
        classes: Number of outputs.
        seed: Seed of the random start.
        dtype: Dtype policy.

    Raises:
        ValueError: If depth is not 6n + 2 or shortcuts are unknown.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"The depth is 6n + 2 (8, 14, 20 … 110); got {depth}.")
    _check_shortcuts(shortcuts)
    net = LayerMaker(seed, dtype, initializer, use_bias=not batch_norm, momentum=0.9, epsilon=1e-5)
    kind = "basic" if batch_norm else "basic_without_bn"
    inputs = keras.Input(input_shape, name="image")
    x = net.conv(inputs, widths[0], 3, "conv1_conv")  # (N, H, W, widths[0])
    if batch_norm:
        x = net.batch_norm(x, "conv1_bn")
    x = net.relu(x, "conv1_relu")
    for stage, width in enumerate(widths, start=2):
        for number in range(1, (depth - 2) // 6 + 1):
            strides = 2 if stage > 2 and number == 1 else 1
            x = residual_block(
                net, x, width, f"conv{stage}_block{number}", kind, strides, shortcuts if residual else None
            )  # (N, H/strides, W/strides, width)
    outputs = net.classifier(net.global_average(x, "avg_pool"), classes, "predictions")
    return keras.Model(inputs, outputs, name=f"{'resnet' if residual else 'plain'}{depth}_cifar")


def residual_block(
    net: LayerMaker,
    x: Any,
    width: int,
    name: str,
    kind: str = "basic",
    strides: int = 1,
    shortcuts: str | None = "B",
) -> Any:
    """relu(F(x) + s(x)): two 3 x 3 convolutions ("basic") or 1 x 1, 3 x 3, 1 x 1 ("bottleneck").

    With the identity for s it is the identity block, (N, H, W, C) to the same shape; where strides or
    channels change it is the convolution block, (N, H, W, C) to (N, ceil(H / strides), ceil(W / strides),
    channels).

    Args:
        net: Makes the layers.
        x: Batch (N, H, W, C).
        width: Channels of the inner convolutions; a bottleneck puts out four times as many.
        name: Prefix of the layers' names.
        kind: "basic", "basic_without_bn" or "bottleneck" (figure 5).
        strides: Stride of the first convolution.
        shortcuts: "A", "B", "C", or None for a plain block.
    """
    bottleneck = kind == "bottleneck"
    channels = width * BOTTLENECK_EXPANSION if bottleneck else width
    sizes = ((1, width), (3, width), (1, channels)) if bottleneck else ((3, width), (3, width))
    batch_norm = kind != "basic_without_bn"
    shortcut = x if shortcuts is None else _shortcut(net, x, channels, name, strides, shortcuts, batch_norm)
    for number, (size, filters) in enumerate(sizes, start=1):
        x = _conv_as_in_caffe(net, x, filters, size, f"{name}_{number}", strides if number == 1 else 1)
        if batch_norm:
            x = net.batch_norm(x, f"{name}_{number}_bn")
        if number < len(sizes):
            x = net.relu(x, f"{name}_{number}_relu")
    if shortcuts is not None:
        x = net.add([shortcut, x], f"{name}_add")
    return net.relu(x, f"{name}_out")


def _shortcut(net: LayerMaker, x: Any, channels: int, name: str, strides: int, option: str, batch_norm: bool) -> Any:
    """s(x): the identity where shapes agree (not in option C), else a padding (A) or a projection."""
    same_shape = strides == 1 and x.shape[-1] == channels
    if same_shape and option != "C":
        return x
    if option == "A":
        return PaddedShortcut(channels, strides, dtype=net.dtype, name=f"{name}_0_pad")(x)
    if strides > 1 and x.shape[-1] < 16:
        # The same numbers in two steps: TensorFlow 2.21 crashes on a CPU in the gradient of 1 x 1 filters
        # with stride 2 that see fewer than 16 channels.
        x, strides = PaddedShortcut(x.shape[-1], strides, dtype=net.dtype, name=f"{name}_0_pick")(x), 1
    x = net.conv(x, channels, 1, f"{name}_0_conv", strides=strides, padding="valid")
    return net.batch_norm(x, f"{name}_0_bn") if batch_norm else x


def _conv_as_in_caffe(net: LayerMaker, x: Any, filters: int, size: int, name: str, strides: int) -> Any:
    """A convolution padded by one on each side when it strides, where "same" would pad one side only."""
    if size == 3 and strides > 1:
        return net.conv(net.pad(x, 1, f"{name}_pad"), filters, 3, f"{name}_conv", strides, "valid")
    return net.conv(x, filters, size, f"{name}_conv", strides)


def _check_shortcuts(option: str) -> None:
    """Raises ValueError if there is no such option."""
    if option not in ("A", "B", "C"):
        raise ValueError(f'The shortcut options are "A", "B" and "C"; got {option!r}.')
