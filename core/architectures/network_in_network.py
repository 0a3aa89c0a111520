"""Network in Network: convolutions with a small dense network at each pixel, no dense layers at the end.

Source: Lin et al., 2013, "Network in network", sections 3.1 and 3.2, figure 2. The paper draws three
mlpconv layers and global average pooling but prints no widths; those here are the authors' for CIFAR-10
(their published network definition): 966,986 parameters. Inputs are batches (N, H, W, C) float32, outputs
probabilities (N, classes).

Importing this module imports Keras.
"""

from __future__ import annotations

from typing import Any

import keras

from core.architectures.building import LayerMaker

# Of each mlpconv layer: the filter's size, then the widths of its three convolutions (the last two are 1 x
# 1). The last width of the last layer is the number of classes.
MLPCONV_PLAN: tuple[tuple[int, tuple[int, ...]], ...] = (
    (5, (192, 160, 96)),
    (5, (192, 192, 192)),
    (3, (192, 192)),
)


def network_in_network(
    input_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10, seed: int = 0, dtype: str = "float32"
) -> Any:
    """Three mlpconv layers; each of the last one's maps is averaged to the score of a class.

    The first pooling takes the maximum, the second the average, both 3 x 3 with stride 2 and windows that
    reach over the last row and column ("same"), which gives the 16 x 16 and 8 x 8 maps of the authors'
    framework. Each pooling is followed by dropout of 0.5 (section 4.1).

    Args:
        input_shape: (H, W, channels), at least 4 x 4.
        classes: Number of outputs.
        seed: Seed of the random start (Gaussian of deviation 0.05).
        dtype: Dtype policy.
    """
    net = LayerMaker(seed, dtype, lambda seed: keras.initializers.RandomNormal(stddev=0.05, seed=seed))
    inputs = keras.Input(input_shape, name="image")
    x = inputs
    for number, (size, widths) in enumerate(MLPCONV_PLAN, start=1):
        block = f"mlpconv{number}"
        last = number == len(MLPCONV_PLAN)
        x = net.conv(x, widths[0], size, f"{block}_conv", activation="relu")  # (N, H, W, widths[0])
        for i, width in enumerate((*widths[1:], classes) if last else widths[1:], start=1):
            x = net.conv(x, width, 1, f"{block}_cccp{i}", activation="relu")  # (N, H, W, width)
        if not last:
            pool = net.max_pool if number == 1 else net.average_pool
            x = pool(x, 3, 2, f"{block}_pool", "same")  # (N, H/2, W/2, C)
            x = net.dropout(x, 0.5, f"{block}_dropout")
    x = net.global_average(x, "global_pool")  # (N, classes)
    outputs = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(inputs, outputs, name="network_in_network")
