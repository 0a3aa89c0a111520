"""The networks of the R-CNN family: one shared feature map, a region proposal network, and a head for regions.

The shared map is what the embedded YOLO's backbone and neck make of a picture, its three grids laid over one another
at the finest one's stride and mixed by a 1 x 1 convolution. The region proposal network slides a small network over
the map (Ren et al. 2015, Faster R-CNN, section 3.1); the head reads a region of 7 x 7 cells and answers with a
softmax over the classes and "background" and with one correction of its box (Girshick 2015, Fast R-CNN, section 2; one
correction for all classes as in R-FCN, Dai et al. 2016, section 2).

Tensors: pictures (B, H, W, 3) float32 in 0..255, H and W multiples of 32; map (B, H/8, W/8, 96); objectness logits
(B, A) and corrections (B, A, 4) of A anchors; regions (M, 7, 7, 96) to class logits (M, C + 1), background first,
and corrections (M, 4).
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

from core.detection.rcnn.coding import ANCHORS_PER_CELL
from core.detection.rcnn.roi import POOL_CELLS
from core.detection.yolo import build_detector

MAP_STRIDE_PX = 8
MAP_WIDTH = 96
HEAD_WIDTH = 256
# The last layers of the detector's neck, at strides 8, 16 and 32.
NECK_LAYERS = ("neck_td3_out_relu", "neck_bu4_out_relu", "neck_bu5_out_relu")
FEW_OBJECTS = 0.02

Tensor = Any


def build_shared_map(class_count: int) -> keras.Model:
    """Picture to the shared map; the layers that come from the detector bear its names and are frozen.

    Raises:
        ValueError: If there is no class.
    """
    detector = build_detector(class_count)
    fine, middle, coarse = (detector.get_layer(name).output for name in NECK_LAYERS)
    middle = layers.UpSampling2D(2, name="map_up4")(middle)  # (B, H/16, W/16, 96) -> (B, H/8, W/8, 96)
    coarse = layers.UpSampling2D(4, name="map_up5")(coarse)  # (B, H/32, W/32, 96) -> (B, H/8, W/8, 96)
    x = layers.Concatenate(name="map_concat")([fine, middle, coarse])  # (B, H/8, W/8, 288)
    x = layers.Conv2D(MAP_WIDTH, 1, activation="relu", name="map_mix")(x)  # (B, H/8, W/8, 96)
    model = keras.Model(detector.inputs[0], x, name="shared_map")
    for layer in model.layers:
        layer.trainable = layer.name == "map_mix"
    return model


def take_from_detector(shared_map: keras.Model, detector: keras.Model) -> None:
    """Copy the detector's weights into the layers of the same name."""
    for layer in shared_map.layers:
        if layer.weights and layer.name != "map_mix":
            layer.set_weights(detector.get_layer(layer.name).get_weights())


def build_proposal_network() -> keras.Model:
    """Shared map to objectness logits and corrections of 12 anchors for every cell."""
    features = keras.Input((None, None, MAP_WIDTH), name="features")
    x = layers.Conv2D(MAP_WIDTH, 3, padding="same", activation="relu", name="rpn_conv")(features)
    few = keras.initializers.Constant(-math.log((1 - FEW_OBJECTS) / FEW_OBJECTS))
    small = keras.initializers.RandomNormal(stddev=0.01)
    score = layers.Conv2D(
        ANCHORS_PER_CELL, 1, kernel_initializer=small, bias_initializer=few, dtype="float32", name="rpn_objectness"
    )(x)  # (B, h, w, 12)
    boxes = layers.Conv2D(4 * ANCHORS_PER_CELL, 1, kernel_initializer=small, dtype="float32", name="rpn_corrections")(x)
    score = layers.Reshape((-1,), dtype="float32", name="rpn_objectness_rows")(score)  # (B, hw12)
    boxes = layers.Reshape((-1, 4), dtype="float32", name="rpn_corrections_rows")(boxes)  # (B, hw12, 4)
    return keras.Model(features, [score, boxes], name="region_proposal_network")


def build_head(class_count: int) -> keras.Model:
    """Pooled regions to class logits (background first) and corrections.

    Raises:
        ValueError: If there is no class.
    """
    if class_count < 1:
        raise ValueError(f"expected at least one class, received {class_count}")
    regions = keras.Input((POOL_CELLS, POOL_CELLS, MAP_WIDTH), name="regions")
    x = layers.Flatten(name="head_flatten")(regions)  # (M, 7, 7, 96) -> (M, 4704)
    x = layers.Dense(HEAD_WIDTH, activation="relu", name="head_fc6")(x)
    x = layers.Dropout(0.3, seed=0, name="head_dropout6")(x)
    x = layers.Dense(HEAD_WIDTH, activation="relu", name="head_fc7")(x)
    classes = layers.Dense(class_count + 1, dtype="float32", name="head_classes")(x)
    small = keras.initializers.RandomNormal(stddev=0.001)
    boxes = layers.Dense(4, kernel_initializer=small, dtype="float32", name="head_corrections")(x)
    return keras.Model(regions, [classes, boxes], name="region_head")
