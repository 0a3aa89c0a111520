"""The losses of both stages: a class by cross-entropy, a box by the smooth L1 distance of its correction.

Faster R-CNN sums four of them (Ren et al. 2015, equation 1, for anchors; Girshick 2015, equations 1 to 3, for
regions). Answers without weight count in neither.

Tensors: any leading shape, the same in all arguments of a function; corrections have four columns more.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def smooth_l1(difference: Tensor, knee: float = 1.0) -> Tensor:
    """Half the square over `knee` up to the knee, and the distance minus half the knee beyond it."""
    distance = ops.abs(difference)
    return ops.where(distance < knee, 0.5 * distance * distance / knee, distance - 0.5 * knee)


def proposal_losses(
    objectness: Tensor, corrections: Tensor, is_object: Tensor, target: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy and box loss of the anchors, each over the sum of all weights."""
    entropy = ops.maximum(objectness, 0.0) - objectness * is_object + ops.log1p(ops.exp(-ops.abs(objectness)))
    total = ops.maximum(ops.sum(weight), 1.0)
    distance = ops.sum(smooth_l1(corrections - target, 1 / 9), axis=-1)
    return ops.sum(entropy * weight) / total, ops.sum(distance * is_object * weight) / total


def region_losses(
    logits: Tensor, corrections: Tensor, class_ids: Tensor, target: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy over the classes and background, and box loss of regions on objects, over the sum of weights."""
    names = ops.one_hot(class_ids, logits.shape[-1])
    entropy = -ops.sum(names * ops.log_softmax(logits, axis=-1), axis=-1)
    on_object = ops.cast(class_ids > 0, "float32")
    total = ops.maximum(ops.sum(weight), 1.0)
    distance = ops.sum(smooth_l1(corrections - target), axis=-1)
    return ops.sum(entropy * weight) / total, ops.sum(distance * on_object * weight) / total
