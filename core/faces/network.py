"""The embedded encoder: a small residual network of plain convolutions from a face of 64 x 64 to 128 numbers.

Residual blocks as in He et al. 2015, section 3.3; the last feature map is not averaged but read whole, since in an
aligned face each place means something (Deng et al. 2019, ArcFace, section 3.1). Encodings have length one (Schroff et
al. 2015, FaceNet, section 3.1).

Arrays: faces (N, 64, 64, 3) float32 RGB in 0..255, encodings (N, 128) float32 of length one.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

INPUT_PX = 64
DIMENSIONS = 128
# Channels of the stages at 32, 16, 8 and 4 px, and residual blocks in each.
WIDTHS = (24, 48, 96, 160)
BLOCKS = (0, 1, 1, 1)

Tensor = Any


def _conv(x: Tensor, width: int, name: str, stride: int = 1, *, activate: bool = True) -> Tensor:
    x = layers.Conv2D(width, 3, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x) if activate else x


def _residual(x: Tensor, width: int, name: str) -> Tensor:
    y = _conv(x, width, f"{name}_a")
    y = _conv(y, width, f"{name}_b", activate=False)
    return layers.Activation("relu", name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def build_encoder(dropout: float = 0.0, precision: str = "float32") -> keras.Model:
    """The network with fresh weights; `dropout` before the last layer and `precision` matter to training alone."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        image = keras.Input((INPUT_PX, INPUT_PX, 3), name="face", dtype="float32")
        x = layers.Rescaling(1 / 127.5, -1.0, name="rescale")(image)  # 0..255 -> -1..1
        for stage, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True), start=1):
            x = _conv(x, width, f"stage{stage}_down", stride=2)  # (B, 64 / 2^stage, 64 / 2^stage, width)
            for block in range(1, blocks + 1):
                x = _residual(x, width, f"stage{stage}_block{block}")
        x = layers.Flatten(name="flatten")(x)  # (B, 4, 4, 160) -> (B, 2560)
        if dropout:
            x = layers.Dropout(dropout, seed=0, name="dropout")(x)
        x = layers.Dense(DIMENSIONS, use_bias=False, dtype="float32", name="projection")(x)  # (B, 128)
        x = layers.BatchNormalization(momentum=0.97, dtype="float32", name="projection_bn")(x)
        x = layers.UnitNormalization(axis=-1, dtype="float32", name="encoding")(x)
        return keras.Model(image, x, name="face_encoder")
    finally:
        keras.config.set_dtype_policy(policy)
