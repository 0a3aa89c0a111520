"""dlib's face network in Keras: 29 convolutions from a face of 150 x 150 to 128 numbers.

The network is a residual one with 27 convolutions in 14 blocks (He et al. 2015, Deep residual learning, cut to half
the filters; Davis King 2017, `examples/dnn_face_recognition_ex.cpp` of davisking/dlib). Its normalisations are frozen
to a scale and a shift for each channel. Where a block halves the picture, the shortcut is a 2 x 2 mean; the
shorter side of a sum is filled with zeros at its end, in rows, columns and channels.

Arrays: faces (N, 150, 150, 3) float32 RGB in 0..255, encodings (N, 128) float32 of any length.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from core.faces.dlib_format import DlibFormatError, DlibLayer, read_layers

INPUT_PX = 150
DIMENSIONS = 128
# Filters of the blocks, from the input to the output; a block whose name ends in "down" halves the picture.
BLOCKS: tuple[tuple[str, int], ...] = (
    *(("level4_same", 32),) * 3,
    ("level3_down", 64),
    *(("level3_same", 64),) * 3,
    ("level2_down", 128),
    *(("level2_same", 128),) * 2,
    ("level1_down", 256),
    *(("level1_same", 256),) * 2,
    ("level0_down", 256),
)
MEANS_RGB = (122.782, 117.001, 104.298)

Tensor = Any


@keras.saving.register_keras_serializable(package="faces")
class Affine(layers.Layer):  # type: ignore[misc]
    """A scale and a shift for each channel: what is left of a batch normalisation after training."""

    def build(self, input_shape: Any) -> None:
        """Make the two weights (C,)."""
        channels = (input_shape[-1],)
        self.scale = self.add_weight(name="scale", shape=channels, initializer="ones")
        self.shift = self.add_weight(name="shift", shape=channels, initializer="zeros")

    def call(self, x: Tensor) -> Tensor:
        """Scale and shift."""
        return x * self.scale + self.shift


@keras.saving.register_keras_serializable(package="faces")
class ZeroFilledSum(layers.Layer):  # type: ignore[misc]
    """The sum of two feature maps of different sizes, the shorter filled with zeros at the end of each axis."""

    def call(self, inputs: Any) -> Tensor:
        """Fill and add."""
        first, second = inputs
        size = [max(a, b) for a, b in zip(first.shape[1:], second.shape[1:], strict=True)]
        filled = [
            ops.pad(x, [(0, 0), *((0, whole - part) for whole, part in zip(size, x.shape[1:], strict=True))])
            for x in (first, second)
        ]
        return filled[0] + filled[1]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The larger of each side."""
        first, second = input_shape
        return (first[0], *(max(a, b) for a, b in zip(first[1:], second[1:], strict=True)))


def _block(x: Tensor, filters: int, name: str) -> Tensor:
    """Two convolutions beside a shortcut; the first has a stride of 2, without padding, where the block halves."""
    down = name.split("_")[1].startswith("down")
    stride, padding = (2, "valid") if down else (1, "same")
    y = layers.Conv2D(filters, 3, stride, padding=padding, name=f"{name}_a_conv")(x)
    y = Affine(name=f"{name}_a_affine")(y)
    y = layers.Activation("relu", name=f"{name}_a_relu")(y)
    y = layers.Conv2D(filters, 3, padding="same", name=f"{name}_b_conv")(y)
    y = Affine(name=f"{name}_b_affine")(y)
    if down:
        shortcut = layers.AveragePooling2D(2, 2, name=f"{name}_shortcut")(x)  # (B, H, W, C) -> (B, H/2, W/2, C)
        y = ZeroFilledSum(name=f"{name}_sum")([y, shortcut])
    else:
        y = layers.Add(name=f"{name}_sum")([y, x])
    return layers.Activation("relu", name=f"{name}_relu")(y)


def build_dlib_network() -> keras.Model:
    """The network with fresh weights; `load_dlib_weights` fills in dlib's."""
    image = keras.Input((INPUT_PX, INPUT_PX, 3), name="face", dtype="float32")
    means = [-mean / 256 for mean in MEANS_RGB]
    x = layers.Rescaling(1 / 256, means, name="rescale", dtype="float32")(image)  # (v - mean) / 256
    x = layers.Conv2D(32, 7, 2, padding="valid", name="stem_conv", dtype="float32")(x)  # (B, 72, 72, 32)
    x = Affine(name="stem_affine")(x)
    x = layers.Activation("relu", name="stem_relu")(x)
    x = layers.MaxPooling2D(3, 2, padding="valid", name="stem_pool")(x)  # (B, 35, 35, 32)
    for number, (name, filters) in enumerate(BLOCKS, start=1):
        x = _block(x, filters, f"{name}{number}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)  # (B, 2, 2, 256) -> (B, 256)
    x = layers.Dense(DIMENSIONS, use_bias=False, name="encoding")(x)  # (B, 256) -> (B, 128)
    return keras.Model(image, x, name="dlib_face_network")


def load_dlib_weights(model: keras.Model, path: Path) -> None:
    """Fill a network of `build_dlib_network` with the weights of dlib's file.

    Raises:
        DlibFormatError: If the file is no such network, or one of other sizes.
    """
    stored: Iterator[DlibLayer] = iter(read_layers(path))
    check = next(stored)
    if not np.allclose(check.numbers, MEANS_RGB, atol=1e-3):
        raise DlibFormatError(f"expected the means {MEANS_RGB}, found {check.numbers}")
    learned = [part for part in stored if part.weights is not None]
    targets = [layer for layer in model.layers if layer.weights]
    if len(learned) != len(targets):
        raise DlibFormatError(f"expected {len(targets)} layers with weights, found {len(learned)}")
    for target, source in zip(targets, learned, strict=True):
        values = _as_keras(source)
        shapes = [tuple(weight.shape) for weight in target.weights]
        if shapes != [value.shape for value in values]:
            raise DlibFormatError(
                f"layer {target.name}: expected {shapes}, found {[value.shape for value in values]} of {source.tag}"
            )
        target.set_weights(values)


def _as_keras(source: DlibLayer) -> list[np.ndarray[Any, Any]]:
    weights = source.weights if source.weights is not None else np.zeros(0, np.float32)
    if source.tag == "con_4":
        weights = weights.transpose(2, 3, 1, 0)  # (F, C, H, W) -> (H, W, C, F)
    return [weights] if source.bias is None else [weights, source.bias]
