"""The loss that trains the detector: who is responsible for which box, and how wrong the answer is.

In the notes one cell, the one that holds the midpoint, answers for an object (`targets.py` has that
assignment). A small data set learns faster when several cells do: here the ten cells inside a box whose
present answer fits best answer for it, where fit = score^0.5 * IoU^6, and a cell wanted by two boxes takes
the one that it overlaps most (task alignment, Feng et al. 2021, TOOD, section 3.2). The score to reach is the
IoU of the answer, scaled so that the best cell of a box has to reach its own IoU. Boxes are judged by the
generalised IoU (Rezatofighi et al. 2019).

The background counts only where it is known: every cell and class has a weight, 0 where an object may be
unlabelled.

Arrays: predictions (B, A, 4 + C); cells (B, A, 3); objects (B, M, 6) holding x1, y1, x2, y2 in pixels, class
id, and weight, with class id -1 on empty rows; background (B, A, C) in 0..1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from core.detection.yolo import decode_boxes

Tensor = Any
CANDIDATES = 10
SCORE_POWER = 0.5
IOU_POWER = 6.0
BOX_WEIGHT = 2.5
# Objects smaller than a cell may hold no cell's centre; they reach this far from their middle at least.
MIN_REACH_PX = 5.0


class Assignment(NamedTuple):
    """Targets of all cells: scores (B, A, C), boxes (B, A, 4), fit and weight (B, A); background is 0."""

    scores: Tensor
    boxes_xyxy: Tensor
    fit: Tensor
    weight: Tensor


def _iou_parts(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection and union of boxes that broadcast against each other."""
    sides = ops.maximum(
        ops.minimum(first[..., 2:], second[..., 2:]) - ops.maximum(first[..., :2], second[..., :2]), 0.0
    )
    shared = sides[..., 0] * sides[..., 1]
    first_sides, second_sides = first[..., 2:] - first[..., :2], second[..., 2:] - second[..., :2]
    union = first_sides[..., 0] * first_sides[..., 1] + second_sides[..., 0] * second_sides[..., 1] - shared
    return shared, ops.maximum(union, 1e-6)


def pairwise_overlap(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """IoU of all pairs (B, n, m) of boxes (B, n, 4) and (B, m, 4), on tensors (`boxes.pairwise_iou` is NumPy's)."""
    shared, union = _iou_parts(first_xyxy[:, :, None, :], second_xyxy[:, None, :, :])
    return shared / union


def generalised_iou(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """IoU minus the part of the hull that neither covers, -1..1 (Rezatofighi et al. 2019, algorithm 1)."""
    shared, union = _iou_parts(first_xyxy, second_xyxy)
    sides = ops.maximum(first_xyxy[..., 2:], second_xyxy[..., 2:]) - ops.minimum(
        first_xyxy[..., :2], second_xyxy[..., :2]
    )
    hull = ops.maximum(sides[..., 0] * sides[..., 1], 1e-6)
    return shared / union - (hull - union) / hull


def assign(scores: Tensor, boxes_xyxy: Tensor, cells: Tensor, objects: Tensor) -> Assignment:
    """Give every object its best cells, by present scores (B, A, C) and boxes (B, A, 4)."""
    class_count = scores.shape[-1]
    truth = objects[..., :4]
    real = ops.cast(objects[..., 4] >= 0, "float32")  # (B, M)
    names = ops.one_hot(ops.cast(ops.maximum(objects[..., 4], 0), "int32"), class_count)  # (B, M, C)
    score = ops.matmul(names, ops.transpose(scores, (0, 2, 1)))  # (B, M, A)
    iou = pairwise_overlap(truth, boxes_xyxy)  # (B, M, A)
    middle = (truth[..., :2] + truth[..., 2:]) / 2
    reach = ops.maximum((truth[..., 2:] - truth[..., :2]) / 2, MIN_REACH_PX)  # (B, M, 2)
    distance = ops.abs(cells[:, None, :, :2] - middle[:, :, None, :])  # (B, M, A, 2)
    inside = ops.cast(ops.all(distance < reach[:, :, None, :], axis=-1), "float32")
    fit = ops.power(score, SCORE_POWER) * ops.power(iou, IOU_POWER) * inside * real[..., None]  # (B, M, A)
    enough = ops.top_k(fit, CANDIDATES)[0][..., -1:]  # (B, M, 1): the tenth best fit
    wanted = ops.cast(ops.logical_and(fit >= enough, fit > 0), "float32")
    winner = ops.argmax(wanted * (1.0 + iou), axis=1)  # (B, A): of several objects the one overlapped most
    taken = ops.max(wanted, axis=1)  # (B, A)
    chosen = ops.one_hot(winner, truth.shape[1]) * taken[..., None]  # (B, A, M)
    won = ops.transpose(chosen, (0, 2, 1))  # (B, M, A)
    best_fit = ops.max(fit * won, axis=-1, keepdims=True)  # (B, M, 1)
    best_iou = ops.max(iou * won, axis=-1, keepdims=True)
    level = ops.sum(won * fit / ops.maximum(best_fit, 1e-12) * best_iou, axis=1)  # (B, A)
    return Assignment(
        scores=ops.stop_gradient(ops.matmul(chosen, names) * level[..., None]),
        boxes_xyxy=ops.stop_gradient(ops.matmul(chosen, truth)),
        fit=ops.stop_gradient(level),
        weight=ops.stop_gradient(ops.sum(chosen * objects[:, None, :, 5], axis=-1)),
    )


def assigned_loss(
    predictions: Tensor, cells: Tensor, background: Tensor, assignment: Assignment
) -> tuple[Tensor, Tensor]:
    """Class loss and box loss for a given assignment: two scalars."""
    logits = predictions[..., 4:]
    target = assignment.scores
    entropy = ops.maximum(logits, 0.0) - logits * target + ops.log1p(ops.exp(-ops.abs(logits)))  # (B, A, C)
    kind = keras.backend.standardize_dtype(logits.dtype)
    responsible = ops.cast(assignment.fit > 0, kind)[..., None]  # (B, A, 1)
    # A cell that answers for an object knows that it is of no other class, whatever is annotated.
    weight = responsible * assignment.weight[..., None] + (1 - responsible) * background
    strength = assignment.fit * assignment.weight  # (B, A)
    total = ops.maximum(ops.sum(strength), 1.0)
    overlap = generalised_iou(decode_boxes(predictions, cells), assignment.boxes_xyxy)
    return ops.sum(entropy * weight) / total, ops.sum(strength * (1.0 - overlap)) / total


def detection_loss(predictions: Tensor, cells: Tensor, objects: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
    """Class loss and box loss of raw predictions; minimised is their sum, the box loss times 2.5."""
    scores = ops.stop_gradient(ops.sigmoid(predictions[..., 4:]))
    boxes = ops.stop_gradient(decode_boxes(predictions, cells))
    assignment = assign(scores, boxes, cells, objects)
    return assigned_loss(predictions, cells, background, assignment)
