"""What the region proposal network and the head are taught.

An anchor answers for an object if it overlaps it well or better than every other anchor does, and for the background
if it overlaps none; of both a few are drawn for each picture (Ren et al. 2015, section 3.1.2; "well" is an IoU of 0.6
here, as few photographs teach). A region is of an object's class from an IoU of 0.5 on (Girshick 2015, section 2.3).

The background counts only where it is known: `background` (cells,) is the least weight over the classes at a cell, 0
where an object may be unlabelled.

Arrays: objects (M, 6) or (B, M, 6) hold x1, y1, x2, y2 in pixels, class id, and weight, with class id -1 on empty
rows, as in `losses.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.detection.boxes import pairwise_iou
from core.detection.losses import pairwise_overlap
from core.detection.rcnn.coding import ANCHORS_PER_CELL, HEAD_SPREAD, encode_boxes

Tensor = Any
Floats = NDArray[np.float32]
POSITIVE_IOU, NEGATIVE_IOU = 0.6, 0.3
ANCHORS_DRAWN, POSITIVES_DRAWN = 256, 128
REGION_IOU = 0.5
REGIONS_DRAWN, OBJECT_REGIONS = 32, 12


class AnchorTargets(NamedTuple):
    """For every anchor: is it an object (A,), the corrections to reach (A, 4), and the weight of its answer (A,)."""

    is_object: Floats
    corrections: Floats
    weight: Floats


def anchor_targets(
    anchors_xyxy: Floats, objects: Floats, background: Floats, rng: np.random.Generator
) -> AnchorTargets:
    """Targets of the anchors of a picture; those that were not drawn, or say nothing, have weight 0.

    Raises:
        ValueError: If there are not 12 anchors for each cell of `background`.
    """
    count = len(anchors_xyxy)
    if count != ANCHORS_PER_CELL * len(background):
        raise ValueError(f"expected {ANCHORS_PER_CELL} anchors a cell, received {count} for {len(background)} cells")
    real = objects[objects[:, 4] >= 0]
    is_object, weight = np.zeros(count, np.float32), np.zeros(count, np.float32)
    corrections = np.zeros((count, 4), np.float32)
    iou = pairwise_iou(anchors_xyxy, real[:, :4]) if len(real) else np.zeros((count, 1), np.float32)  # (A, M)
    best = iou.argmax(axis=1)  # (A,)
    overlap = iou[np.arange(count), best]
    positive = overlap >= POSITIVE_IOU
    if len(real):
        # The best anchor of each object, or several where they are equal.
        top = iou.max(axis=0)  # (M,)
        anchor, owner = np.nonzero((iou >= top - 1e-6) & (top > 0.05))
        positive[anchor], best[anchor] = True, owner
    negative = (overlap < NEGATIVE_IOU) & ~positive
    known = np.repeat(background, ANCHORS_PER_CELL)  # (cells,) -> (A,)
    chosen = np.flatnonzero(positive)
    chosen = rng.choice(chosen, min(len(chosen), POSITIVES_DRAWN), replace=False)
    others = np.flatnonzero(negative & (known > 0))
    others = rng.choice(others, min(len(others), ANCHORS_DRAWN - len(chosen)), replace=False)
    weight[others] = known[others]
    if len(real):
        is_object[chosen] = 1.0
        weight[chosen] = real[best[chosen], 5]
        corrections[chosen] = encode_boxes(real[best[chosen], :4], anchors_xyxy[chosen])
    return AnchorTargets(is_object, corrections, weight)


class RegionTargets(NamedTuple):
    """Regions drawn (B, R, 4), their classes with 0 for background, corrections to reach, and weights (B, R)."""

    regions_xyxy: Tensor
    class_ids: Tensor
    corrections: Tensor
    weight: Tensor


def draw_regions(
    candidates_xyxy: Tensor,
    objects: Tensor,
    background: Tensor,
    seed: keras.random.SeedGenerator,
    stride_px: int,
    columns: int,
) -> RegionTargets:
    """Draw up to 12 regions on objects and fill up to 32 with background, from candidates (B, K, 4) with K >= 32.

    `background` (B, cells) at a grid of `columns` and `stride_px`, read at the middle of a region.
    """
    truth = objects[..., :4]
    real = ops.cast(objects[..., 4] >= 0, "float32")  # (B, M)
    iou = pairwise_overlap(candidates_xyxy, truth) * real[:, None, :]  # (B, K, M)
    best = ops.max(iou, axis=-1)  # (B, K)
    owner = ops.argmax(iou, axis=-1)
    row = ops.take_along_axis(objects, owner[..., None], axis=1)  # (B, K, 6): the object overlapped most
    on_object = best >= REGION_IOU
    middle = (candidates_xyxy[..., :2] + candidates_xyxy[..., 2:]) / (2 * stride_px)
    cell = ops.cast(ops.clip(ops.floor(middle), 0, columns - 1), "int32")  # (B, K, 2)
    known = ops.take_along_axis(background, cell[..., 1] * columns + cell[..., 0], axis=1)  # (B, K)
    weight = ops.where(on_object, row[..., 5], known)
    chance = keras.random.uniform(ops.shape(best), seed=seed)
    some = ops.cast(weight > 0, "float32")
    drawn = []
    for group, count in ((on_object, OBJECT_REGIONS), (ops.logical_not(on_object), REGIONS_DRAWN - OBJECT_REGIONS)):
        key, index = ops.top_k(chance + ops.cast(group, "float32") * some, count)  # 1..2 for those of the group
        drawn.append((index, ops.cast(key > 1.0, "float32")))
    index = ops.concatenate([index for index, _ in drawn], axis=1)  # (B, R)
    counted = ops.concatenate([valid for _, valid in drawn], axis=1)
    regions = ops.take_along_axis(candidates_xyxy, index[..., None], axis=1)
    row = ops.take_along_axis(row, index[..., None], axis=1)  # (B, R, 6)
    fits = ops.take_along_axis(ops.cast(on_object, "float32"), index, axis=1)
    class_ids = ops.cast((row[..., 4] + 1.0) * fits, "int32")
    # A region of background has no box to reach; its own keeps the logarithm finite.
    target = ops.where(fits[..., None] > 0, row[..., :4], regions)
    corrections = encode_boxes(target, regions, HEAD_SPREAD, ops)
    weight = ops.take_along_axis(weight, index, axis=1) * counted
    return RegionTargets(*(ops.stop_gradient(part) for part in (regions, class_ids, corrections, weight)))
