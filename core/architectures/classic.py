"""LeNet-5, AlexNet and the VGG networks, each as data and a short builder.

Sources: LeCun et al., 1998, "Gradient-based learning applied to document recognition", section II.B, figure
2 and table I; Krizhevsky et al., 2012, "ImageNet classification with deep convolutional neural networks",
section 3 and figure 2; Simonyan and Zisserman, 2015, "Very deep convolutional networks for large-scale
image recognition", table 1. Inputs are batches (N, H, W, C) float32, outputs (N, classes).

Importing this module imports Keras.
"""

from __future__ import annotations

from typing import Any

import keras

from core.architectures.building import LayerMaker
from core.architectures.layers import (
    ConnectionTableConv2D,
    EuclideanRBF,
    LocalResponseNormalization,
    ScaledTanh,
    TrainableSubsampling,
)

# Table I of LeCun et al.: the maps of S2 that each of the 16 maps of C3 sees.
LENET_CONNECTIONS: tuple[tuple[int, ...], ...] = (
    *(tuple((first + i) % 6 for i in range(3)) for first in range(6)),
    *(tuple((first + i) % 6 for i in range(4)) for first in range(6)),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)

# The target of each digit at F6 is a 7 x 12 bitmap of it. The paper shows its bitmaps only as a small picture
# (figure 3); these are drawn anew in the same size, with the same meaning: ink is +1, paper is -1.
LENET_DIGIT_BITMAPS: tuple[tuple[str, ...], ...] = (
    (".......", "..###..", ".#...#.", "#.....#", "#.....#", "#.....#")
    + ("#.....#", "#.....#", "#.....#", ".#...#.", "..###..", "......."),
    (".......", "...#...", "..##...", ".#.#...", "...#...", "...#...")
    + ("...#...", "...#...", "...#...", "...#...", ".#####.", "......."),
    (".......", ".#####.", "#.....#", "......#", "......#", ".....#.")
    + ("...##..", "..#....", ".#.....", "#......", "#######", "......."),
    (".......", ".#####.", "#.....#", "......#", "......#", "..####.")
    + ("......#", "......#", "......#", "#.....#", ".#####.", "......."),
    (".......", ".....#.", "....##.", "...#.#.", "..#..#.", ".#...#.")
    + ("#....#.", "#######", ".....#.", ".....#.", ".....#.", "......."),
    (".......", "#######", "#......", "#......", "#......", "######.")
    + ("......#", "......#", "......#", "#.....#", ".#####.", "......."),
    (".......", "..####.", ".#.....", "#......", "#......", "######.")
    + ("#.....#", "#.....#", "#.....#", "#.....#", ".#####.", "......."),
    (".......", "#######", "......#", "......#", ".....#.", ".....#.")
    + ("....#..", "....#..", "...#...", "...#...", "...#...", "......."),
    (".......", ".#####.", "#.....#", "#.....#", "#.....#", ".#####.")
    + ("#.....#", "#.....#", "#.....#", "#.....#", ".#####.", "......."),
    (".......", ".#####.", "#.....#", "#.....#", "#.....#", "#.....#")
    + (".######", "......#", "......#", ".....#.", ".####..", "......."),
)

# Table 1 of Simonyan and Zisserman, columns A, B, D and E: filters of each 3 x 3 convolution, "M" a
# max-pooling.
VGG_PLANS: dict[str, tuple[int | str, ...]] = {
    "A": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "B": (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "D": (64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"),
    "E": (64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"),
}


def lenet5(
    form: str = "paper",
    input_shape: tuple[int, int, int] = (32, 32, 1),
    classes: int = 10,
    seed: int = 0,
    dtype: str = "float32",
) -> Any:
    """LeNet-5, as the paper has it or in the form that courses teach.

    `form="paper"`: figure 2 with the sparse C3 of table I, subsampling with a trainable coefficient and
    bias, the scaled tanh, and Euclidean RBF outputs whose 840 weights are fixed bitmaps of the digits:
    60,000 trainable parameters, 60,840 in all, ten classes. It answers with distances: the smallest is the
    digit. The bitmaps are drawn by this project. The start is the paper's: uniform within 2.4 over the
    number of inputs of a unit.

    `form="dense_c3"`: each map of C3 sees all six maps of S2, subsampling is average pooling without
    parameters, tanh, and a softmax layer: 61,706 parameters.

    Args:
        form: "paper" or "dense_c3".
        input_shape: (H, W, 1), at least 32 x 32; the paper's form takes 32 x 32 alone.
        classes: Number of outputs of the dense form.
        seed: Seed of the random start.
        dtype: Dtype policy.

    Raises:
        ValueError: If the form is unknown or cannot be built for the input or number of classes.
    """
    if form == "dense_c3":
        return _lenet5_dense(input_shape, classes, seed, dtype)
    if form != "paper":
        raise ValueError(f'LeNet-5 has the forms "paper" and "dense_c3"; got {form!r}.')
    if classes != 10 or tuple(input_shape[:2]) != (32, 32):
        raise ValueError(
            f"LeNet-5 as in the paper tells 10 digits of 32 x 32 pixels apart; got {classes} classes and an "
            f'input of {input_shape[0]} x {input_shape[1]}. The form "dense_c3" takes other sizes.'
        )
    return _lenet5_paper(input_shape, seed, dtype)


def alexnet(
    grouped: bool = True,
    input_shape: tuple[int, int, int] = (227, 227, 3),
    classes: int = 1000,
    seed: int = 0,
    dtype: str = "float32",
) -> Any:
    """AlexNet: five convolutions and three dense layers.

    `grouped=True` is figure 2: two towers (one a graphics card) that meet at conv3 and at the dense layers:
    60,965,224 parameters. `grouped=False` is one tower of the same widths: 62,378,344.

    Differences from the paper: the input is 227 x 227, because the 224 it prints does not give the 55 x 55
    maps it prints. With two towers, response normalisation sees the channels of its own tower.

    Args:
        grouped: Two towers, or one.
        input_shape: (H, W, channels), at least 67 x 67.
        classes: Number of outputs.
        seed: Seed of the random start (the paper's: Gaussian of deviation 0.01; biases 1 in conv2, 4, 5 and
            the hidden dense layers).
        dtype: Dtype policy.
    """
    net = LayerMaker(seed, dtype, lambda seed: keras.initializers.RandomNormal(stddev=0.01, seed=seed))
    towers = ("_top", "_bottom") if grouped else ("",)
    share = len(towers)

    inputs = keras.Input(input_shape, name="image")
    x = [net.conv(inputs, 96 // share, 11, f"conv1{t}", strides=4, padding="valid", activation="relu") for t in towers]
    x = [_normalise_and_pool(net, a, f"1{t}") for a, t in zip(x, towers, strict=True)]
    x = [
        net.conv(a, 256 // share, 5, f"conv2{t}", activation="relu", first_bias=1.0)
        for a, t in zip(x, towers, strict=True)
    ]
    x = [_normalise_and_pool(net, a, f"2{t}") for a, t in zip(x, towers, strict=True)]
    joined = net.concatenate(x, "join2") if grouped else x[0]  # (N, 13, 13, 256)
    x = [net.conv(joined, 384 // share, 3, f"conv3{t}", activation="relu") for t in towers]
    for number, filters in ((4, 384), (5, 256)):
        x = [
            net.conv(a, filters // share, 3, f"conv{number}{t}", activation="relu", first_bias=1.0)
            for a, t in zip(x, towers, strict=True)
        ]
    x = [net.max_pool(a, 3, 2, f"pool5{t}") for a, t in zip(x, towers, strict=True)]
    joined = net.concatenate(x, "join5") if grouped else x[0]  # (N, 6, 6, 256)
    features = net.flatten(joined, "flatten")  # (N, 9216)
    for name in ("fc6", "fc7"):
        features = net.dense(features, 4096, name, activation="relu", first_bias=1.0)
        features = net.dropout(features, 0.5, f"{name}_dropout")
    outputs = net.classifier(features, classes, "fc8")
    return keras.Model(inputs, outputs, name="alexnet_grouped" if grouped else "alexnet")


def vgg(
    plan: str = "D",
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    seed: int = 0,
    dtype: str = "float32",
) -> Any:
    """A VGG network from one of the columns of table 1 ("D" is VGG-16 with 138,357,544 parameters).

    Layers are named as in `keras.applications` (block1_conv1 … block5_pool, fc1, fc2, predictions). The
    dropout of 0.5 after the two hidden dense layers is the paper's (section 3.1); it has no parameters.

    Args:
        plan: "A" (11 weight layers), "B" (13), "D" (16) or "E" (19).
        input_shape: (H, W, channels), at least 32 x 32.
        classes: Number of outputs.
        seed: Seed of the random start (Glorot and Bengio's, which the paper names as a good one).
        dtype: Dtype policy.

    Raises:
        ValueError: If there is no such plan.
    """
    if plan not in VGG_PLANS:
        raise ValueError(f"The VGG plans are {', '.join(VGG_PLANS)}; got {plan!r}.")
    widths = VGG_PLANS[plan]
    net = LayerMaker(seed, dtype)
    inputs = keras.Input(input_shape, name="image")
    x, block, conv = inputs, 1, 1
    for width in widths:
        if isinstance(width, str):
            x = net.max_pool(x, 2, 2, f"block{block}_pool")  # (N, H/2, W/2, C)
            block, conv = block + 1, 1
        else:
            x = net.conv(x, width, 3, f"block{block}_conv{conv}", activation="relu")  # (N, H, W, width)
            conv += 1
    x = net.flatten(x, "flatten")  # (N, 25088) for 224 x 224
    for name in ("fc1", "fc2"):
        x = net.dropout(net.dense(x, 4096, name, activation="relu"), 0.5, f"{name}_dropout")
    outputs = net.classifier(x, classes, "predictions")
    weight_layers = sum(isinstance(width, int) for width in widths) + 3
    return keras.Model(inputs, outputs, name=f"vgg{weight_layers}")


def _normalise_and_pool(net: LayerMaker, x: Any, suffix: str) -> Any:
    """Response normalisation, then overlapping max-pooling (sections 3.3 and 3.4)."""
    x = LocalResponseNormalization(dtype=net.dtype, name=f"norm{suffix}")(x)
    return net.max_pool(x, 3, 2, f"pool{suffix}")


def _lenet5_paper(input_shape: tuple[int, int, int], seed: int, dtype: str) -> Any:
    """Figure 2 of LeCun et al."""

    def uniform(fan_in: int) -> Any:
        limit = 2.4 / fan_in
        return keras.initializers.RandomUniform(-limit, limit, seed=net.seed())

    def conv(x: Any, filters: int, channels: int, name: str) -> Any:
        start = uniform(25 * channels)
        return keras.layers.Conv2D(filters, 5, kernel_initializer=start, dtype=dtype, name=name)(x)

    def squash(x: Any, name: str) -> Any:
        return ScaledTanh(dtype=dtype, name=f"{name}_tanh")(x)

    net = LayerMaker(seed, dtype)
    inputs = keras.Input(input_shape, name="image")
    x = squash(conv(inputs, 6, input_shape[2], "c1"), "c1")  # (N, 28, 28, 6)
    x = squash(TrainableSubsampling(2, dtype=dtype, name="s2")(x), "s2")  # (N, 14, 14, 6)
    # A map of C3 sees three to six maps; four is the middle.
    c3 = ConnectionTableConv2D(LENET_CONNECTIONS, 5, uniform(25 * 4), dtype=dtype, name="c3")
    x = squash(c3(x), "c3")  # (N, 10, 10, 16)
    x = squash(TrainableSubsampling(2, dtype=dtype, name="s4")(x), "s4")  # (N, 5, 5, 16)
    x = squash(conv(x, 120, 16, "c5"), "c5")  # (N, 1, 1, 120)
    x = net.flatten(x, "flatten")  # (N, 120)
    f6 = keras.layers.Dense(84, kernel_initializer=uniform(120), dtype=dtype, name="f6")
    x = squash(f6(x), "f6")  # (N, 84)
    outputs = EuclideanRBF(digit_prototypes(), dtype=dtype, name="output")(x)  # (N, 10)
    return keras.Model(inputs, outputs, name="lenet5")


def _lenet5_dense(input_shape: tuple[int, int, int], classes: int, seed: int, dtype: str) -> Any:
    """The form of courses: dense C3, average pooling, softmax."""
    net = LayerMaker(seed, dtype)
    inputs = keras.Input(input_shape, name="image")
    x = net.conv(inputs, 6, 5, "c1", padding="valid", activation="tanh")  # (N, 28, 28, 6)
    x = net.average_pool(x, 2, 2, "s2")  # (N, 14, 14, 6)
    x = net.conv(x, 16, 5, "c3", padding="valid", activation="tanh")  # (N, 10, 10, 16)
    x = net.average_pool(x, 2, 2, "s4")  # (N, 5, 5, 16)
    x = net.flatten(x, "flatten")  # (N, 400)
    x = net.dense(x, 120, "c5", activation="tanh")  # (N, 120)
    x = net.dense(x, 84, "f6", activation="tanh")  # (N, 84)
    return keras.Model(inputs, net.classifier(x, classes, "output"), name="lenet5_dense_c3")


def digit_prototypes() -> list[list[float]]:
    """The ten bitmaps as rows of 84 values, +1 for ink and -1 for paper.

    >>> rows = digit_prototypes()
    >>> len(rows), len(rows[0])
    (10, 84)
    """
    return [[1.0 if pixel == "#" else -1.0 for row in bitmap for pixel in row] for bitmap in LENET_DIGIT_BITMAPS]
