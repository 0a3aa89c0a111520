"""A small network that classifies and localizes, and its loss, in Keras alone.

Four convolutions with poolings, one hidden layer, and one vector of outputs as the course notes (4.1) write it: p_c
through a sigmoid, the box through sigmoids in fractions of the image, the classes through a softmax. The hidden layer
is fully connected, so that it knows where in the image a feature was seen.

Arrays: images (B, 64, 64, 3) float32 in 0..255; outputs and targets (B, 5 + n).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from core.detection.localization import EPSILON, LossKind

WIDTHS = (16, 32, 48, 64)
HIDDEN_UNITS = 128
# Boxes count for more than p_c and class: their errors are fractions, whose squares are small.
BOX_WEIGHT = 10.0

Tensor = Any


def build_localizer(class_count: int, side_px: int, seed: int = 0) -> keras.Model:
    """Images (B, side, side, 3) to [p_c, b_x, b_y, b_h, b_w, c_1 ... c_n] (B, 5 + n), each in 0..1."""
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("float32")
    inputs = keras.Input((side_px, side_px, 3), name="image")
    x = layers.Rescaling(1 / 127.5, -1.0, name="scale")(inputs)
    for index, width in enumerate(WIDTHS, start=1):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{index}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"bn{index}")(x)
        x = layers.Activation("relu", name=f"relu{index}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{index}")(x)  # (B, side / 2^index, side / 2^index, width)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(HIDDEN_UNITS, activation="relu", name="hidden")(x)
    p_c = layers.Dense(1, activation="sigmoid", name="p_c")(x)
    box = layers.Dense(4, activation="sigmoid", name="box")(x)
    classes = layers.Dense(class_count, activation="softmax", name="classes")(x)
    y_hat = layers.Concatenate(name="y_hat")([p_c, box, classes])  # (B, 5 + n)
    return keras.Model(inputs, y_hat, name="localizer")


def batch_loss(kind: LossKind) -> Any:
    """The loss of the notes over a batch: a function of targets and outputs (B, 5 + n) to (B,).

    As `localization.localization_loss`, with the box's terms weighted by `BOX_WEIGHT`.
    """

    def squared(y: Tensor, y_hat: Tensor) -> Tensor:
        difference = ops.square(y_hat - y)
        rest = BOX_WEIGHT * ops.sum(difference[:, 1:5], axis=1) + ops.sum(difference[:, 5:], axis=1)
        return difference[:, 0] + y[:, 0] * rest

    def logistic(y: Tensor, y_hat: Tensor) -> Tensor:
        p_c = ops.clip(y_hat[:, 0], EPSILON, 1 - EPSILON)
        object_loss = -y[:, 0] * ops.log(p_c) - (1 - y[:, 0]) * ops.log(1 - p_c)
        box_loss = ops.sum(ops.square(y_hat[:, 1:5] - y[:, 1:5]), axis=1)
        class_loss = -ops.sum(y[:, 5:] * ops.log(ops.maximum(y_hat[:, 5:], EPSILON)), axis=1)
        return object_loss + y[:, 0] * (BOX_WEIGHT * box_loss + class_loss)

    return squared if kind == "squared" else logistic
