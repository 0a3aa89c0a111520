"""A small YOLO network of plain convolutions, written in Keras alone.

The network reads an RGB image and answers, for every cell of three grids (strides 8, 16 and 32 pixels), with
the distances from the cell's centre to the four sides of a box and with one score a class. The idea of one
pass over a grid is YOLO's (Redmon et al. 2016, section 2); grids at three strides come from YOLOv3 (Redmon
and Farhadi 2018, section 2.3), cross-stage partial blocks from Wang et al. 2020, the distances in place of
anchor boxes from FCOS (Tian et al. 2019, section 3.1), and the head whose convolutions are shared by the
three grids while each grid keeps its own normalisation from RTMDet (Lyu et al. 2022, section 3.2).

Arrays: images (B, H, W, 3) float32 in 0..255 with H and W multiples of 32; raw outputs (B, A, 4 + C), where A
= HW/64 + HW/256 + HW/1024 cells, the first four columns are logarithms of the distances left, top, right,
bottom in units of the cell's stride, and the other C are logits of the classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from core.detection.grid import MAX_LOG_DISTANCE, STRIDES_PX

# Channels after the stem and after the stages at strides 4, 8, 16 and 32; blocks in each of the four stages.
STAGE_WIDTHS = (24, 48, 96, 192, 320)
STAGE_BLOCKS = (1, 2, 2, 1)
NECK_WIDTH = 96
# A fresh classifier answers with this probability, so that the many empty cells do not drown the first steps
# (Lin et al. 2017, Focal Loss, section 3.3).
PRIOR_PROBABILITY = 0.01

Tensor = Any


def conv_block(x: Tensor, width: int, name: str, kernel: int = 3, stride: int = 1) -> Tensor:
    """Convolution without bias, batch normalisation, ReLU; "same" padding."""
    x = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=0.97, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def csp_block(x: Tensor, width: int, blocks: int, name: str) -> Tensor:
    """Half of the channels pass `blocks` residual pairs of 3 x 3 convolutions, the others go by them."""
    half = width // 2
    short = conv_block(x, half, f"{name}_short", kernel=1)
    deep = conv_block(x, half, f"{name}_deep", kernel=1)
    for index in range(1, blocks + 1):
        inner = conv_block(deep, half, f"{name}_{index}a")
        inner = conv_block(inner, half, f"{name}_{index}b")
        deep = layers.Add(name=f"{name}_{index}_add")([deep, inner])
    x = layers.Concatenate(name=f"{name}_concat")([short, deep])
    return conv_block(x, width, f"{name}_out", kernel=1)


def _pyramid_pooling(x: Tensor, width: int, name: str) -> Tensor:
    """Three 5 x 5 max poolings in a row, all four states concatenated: context over the whole image."""
    states = [conv_block(x, width // 2, f"{name}_in", kernel=1)]
    for index in range(1, 4):
        states.append(layers.MaxPooling2D(5, 1, padding="same", name=f"{name}_pool{index}")(states[-1]))
    return conv_block(layers.Concatenate(name=f"{name}_concat")(states), width, f"{name}_out", kernel=1)


def backbone_features(
    image: Tensor, widths: Sequence[int] = STAGE_WIDTHS, blocks: Sequence[int] = STAGE_BLOCKS
) -> list[Tensor]:
    """Features at strides 8, 16 and 32 of an image in 0..255."""
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescale")(image)  # 0..255 -> -1..1
    x = conv_block(x, widths[0], "stem", stride=2)  # (B, H/2, W/2, 24)
    features = []
    for stage, (width, count) in enumerate(zip(widths[1:], blocks, strict=True), start=2):
        x = conv_block(x, width, f"stage{stage}_down", stride=2)  # (B, H/2^stage, W/2^stage, width)
        x = csp_block(x, width, count, f"stage{stage}")
        features.append(x)
    features[-1] = _pyramid_pooling(x, widths[-1], "pyramid")
    return features[1:]


def build_backbone(widths: Sequence[int] = STAGE_WIDTHS, blocks: Sequence[int] = STAGE_BLOCKS) -> keras.Model:
    """The backbone alone; its layers bear the names that they bear in the detector."""
    image = keras.Input((None, None, 3), name="image")
    return keras.Model(image, backbone_features(image, widths, blocks), name="backbone")


def build_classifier(
    heads: dict[str, int], widths: Sequence[int] = STAGE_WIDTHS, blocks: Sequence[int] = STAGE_BLOCKS
) -> keras.Model:
    """The backbone with one classification head of logits for each entry of `heads` (name to classes)."""
    image = keras.Input((None, None, 3), name="image")
    x = backbone_features(image, widths, blocks)[-1]
    x = layers.GlobalAveragePooling2D(name="pool")(x)  # (B, H/32, W/32, 320) -> (B, 320)
    outputs = {name: layers.Dense(size, name=name)(x) for name, size in heads.items()}
    return keras.Model(image, outputs, name="backbone_classifier")


def build_detector(
    class_count: int,
    widths: Sequence[int] = STAGE_WIDTHS,
    blocks: Sequence[int] = STAGE_BLOCKS,
    neck_width: int = NECK_WIDTH,
) -> keras.Model:
    """The whole network: backbone, a neck that goes down and up the three grids, and a shared head.

    Raises:
        ValueError: If there is no class.
    """
    if class_count < 1:
        raise ValueError(f"expected at least one class, received {class_count}")
    image = keras.Input((None, None, 3), name="image")
    fine, middle, coarse = backbone_features(image, widths, blocks)
    top5 = conv_block(coarse, neck_width, "neck_in5", kernel=1)
    top4 = _merge(_double(top5, "neck_up5"), conv_block(middle, neck_width, "neck_in4", kernel=1), "neck_td4")
    top3 = _merge(_double(top4, "neck_up4"), conv_block(fine, neck_width, "neck_in3", kernel=1), "neck_td3")
    out4 = _merge(conv_block(top3, neck_width, "neck_down3", stride=2), top4, "neck_bu4")
    out5 = _merge(conv_block(out4, neck_width, "neck_down4", stride=2), top5, "neck_bu5")
    return keras.Model(image, _head([top3, out4, out5], class_count, neck_width), name="yolo")


def _double(x: Tensor, name: str) -> Tensor:
    return layers.UpSampling2D(name=name)(x)  # (B, h, w, c) -> (B, 2h, 2w, c)


def _merge(first: Tensor, second: Tensor, name: str) -> Tensor:
    width = second.shape[-1]
    return csp_block(layers.Concatenate(name=f"{name}_cat")([first, second]), width, 1, name)


def _head(grids: list[Tensor], class_count: int, width: int) -> Tensor:
    """Shared 3 x 3 convolutions with a normalisation for each grid, then distances and class logits."""
    bias = -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY)
    shared = {
        part: layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"head_{part}_conv")
        for part in ("class", "box")
    }
    class_out = layers.Conv2D(
        class_count, 1, bias_initializer=keras.initializers.Constant(bias), name="head_class_logits"
    )
    box_out = layers.Conv2D(4, 1, bias_initializer=keras.initializers.Constant(0.7), name="head_box_distances")

    def convolve(x: Tensor, part: str, stride: int) -> Tensor:
        x = layers.BatchNormalization(momentum=0.97, name=f"head_{part}_bn{stride}")(shared[part](x))
        return layers.Activation("relu", name=f"head_{part}_relu{stride}")(x)

    rows = []
    for stride, grid in zip(STRIDES_PX, grids, strict=True):
        pair = [box_out(convolve(grid, "box", stride)), class_out(convolve(grid, "class", stride))]
        cells = layers.Concatenate(name=f"head_cat{stride}")(pair)  # (B, h, w, 4 + C)
        rows.append(layers.Reshape((-1, 4 + class_count), name=f"head_rows{stride}")(cells))  # (B, hw, 4 + C)
    return layers.Concatenate(axis=1, name="predictions")(rows)  # (B, A, 4 + C)


def decode_boxes(raw: Tensor, cells: Tensor) -> Tensor:
    """Boxes xyxy (B, A, 4) in pixels of the input, from raw outputs and cells (A, 3) or (B, A, 3)."""
    distances = ops.exp(ops.clip(raw[..., :4], -MAX_LOG_DISTANCE, MAX_LOG_DISTANCE)) * cells[..., 2:3]
    return ops.concatenate([cells[..., :2] - distances[..., :2], cells[..., :2] + distances[..., 2:]], axis=-1)
