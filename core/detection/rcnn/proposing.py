"""Regions to train the head on: what the proposal network proposes, objects moved about, and regions by chance.

Suppression in a graph of fixed shape: a proposal goes if a better one overlaps it by more than the threshold, whether
or not that one stays itself ("Fast NMS", Bolya et al. 2019, YOLACT, section 3.3). It drops a few more than greedy
suppression (`suppression.py`, used at inference) and is one matrix.

Tensors: boxes (B, K, 4) xyxy in pixels, inside the picture, with sides of at least `MIN_SIDE_PX`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from core.detection.losses import pairwise_overlap
from core.detection.rcnn.coding import decode_boxes

Tensor = Any
MIN_SIDE_PX = 4.0
CONSIDERED, PROPOSED, SUPPRESSION_IOU = 400, 160, 0.7
JITTERED, RANDOM = 3, 48


def cut(boxes_xyxy: Tensor, size_px: int) -> Tensor:
    """Boxes moved into a square picture, with a least side."""
    corner = ops.clip(boxes_xyxy[..., :2], 0.0, size_px - MIN_SIDE_PX)
    end = ops.minimum(ops.maximum(boxes_xyxy[..., 2:], corner + MIN_SIDE_PX), float(size_px))
    return ops.concatenate([corner, end], axis=-1)


def proposed(objectness: Tensor, corrections: Tensor, anchors_xyxy: Tensor, size_px: int) -> Tensor:
    """The best 160 of 400 proposals; those that suppression drops come last."""
    score, index = ops.top_k(objectness, CONSIDERED)  # (B, 400), best first
    anchors = ops.take(anchors_xyxy, index, axis=0)  # (B, 400, 4)
    chosen = ops.take_along_axis(corrections, index[..., None], axis=1)
    boxes = cut(decode_boxes(chosen, anchors, xp=ops), size_px)
    better = ops.triu(ops.ones((CONSIDERED, CONSIDERED)), k=1)  # row better than column
    worst = ops.max(pairwise_overlap(boxes, boxes) * better, axis=1)  # (B, 400): with a better one
    order = score - 1e4 * ops.cast(worst > SUPPRESSION_IOU, "float32")
    index = ops.top_k(order, PROPOSED)[1]
    return ops.take_along_axis(boxes, index[..., None], axis=1)  # (B, 160, 4)


def moved_about(objects: Tensor, seed: keras.random.SeedGenerator, size_px: int) -> Tensor:
    """Three copies of every object, shifted and scaled: they overlap it by 0.3 to 1 (B, 3M, 4)."""
    boxes = ops.tile(objects[..., :4], (1, JITTERED, 1))
    noise = keras.random.normal(ops.shape(boxes), seed=seed) * ops.convert_to_tensor([0.12, 0.12, 0.2, 0.2])
    # An empty row has no sides: it becomes a smallest box in the corner, which is background like another.
    solid = ops.concatenate([boxes[..., :2], ops.maximum(boxes[..., 2:], boxes[..., :2] + MIN_SIDE_PX)], axis=-1)
    return cut(decode_boxes(noise, solid, xp=ops), size_px)


def by_chance(batch: Any, seed: keras.random.SeedGenerator, size_px: int) -> Tensor:
    """Boxes anywhere, with sides from 12 px to the whole picture (B, 48, 4)."""
    sides = 12.0 * ops.exp(keras.random.uniform((batch, RANDOM, 2), seed=seed) * ops.log(size_px / 12.0))
    corner = keras.random.uniform((batch, RANDOM, 2), seed=seed) * (size_px - sides)
    return cut(ops.concatenate([corner, corner + sides], axis=-1), size_px)
