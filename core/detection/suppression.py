"""Non-max suppression: of several boxes over one object the best stays.

Greedy suppression as in the course notes: take the box with the highest score, drop all boxes that overlap
it by more than the threshold, repeat with what is left; equal scores are taken in the order of the input.
Soft-NMS (Bodla et al. 2017, section 3) lowers the scores of overlapping boxes in place of dropping them.

Arrays: boxes xyxy (n, 4) in pixels; scores (n,) finite; class ids (n,); every result is in the order of the
input. IoU thresholds lie in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import BoxError, box_areas, check_boxes, pairwise_iou

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
# Boxes are taken one by one while each drops at least this part of the others, else a block at a time.
ONE_BY_ONE_WHILE = 0.02
BLOCK = 32


@dataclass(frozen=True)
class Suppression:
    """What stayed, and who dropped whom.

    `keep` (n,) is true for boxes that stayed; `picked` holds their indices in the order in which they were
    taken, class after class where classes are apart; `suppressed_by` (n,) is the index of the box that
    dropped this one, -1 for a box that stayed; `iou` (n,) is their IoU, 0 for a box that stayed.
    """

    keep: NDArray[np.bool_]
    picked: Indices
    suppressed_by: Indices
    iou: Floats


@dataclass(frozen=True)
class SoftSuppression:
    """Lowered scores (n,), and the indices in the order in which boxes were taken."""

    scores: Floats
    picked: Indices


def _checked(
    boxes_xyxy: NDArray[Any], scores: NDArray[Any], class_ids: NDArray[Any] | None, iou_threshold: float
) -> tuple[Floats, Floats]:
    boxes = check_boxes(boxes_xyxy).astype(np.float64)
    values = np.asarray(scores, np.float64)
    if values.shape != (len(boxes),):
        raise BoxError(f"expected {len(boxes)} scores, received shape {values.shape}")
    if not np.isfinite(values).all():
        raise BoxError("expected finite scores, received NaN or infinity")
    if class_ids is not None and np.shape(class_ids) != values.shape:
        raise BoxError(f"expected {len(boxes)} class ids, received shape {np.shape(class_ids)}")
    if not 0 <= iou_threshold <= 1:
        raise BoxError(f"expected an IoU threshold in 0..1, received {iou_threshold}")
    return boxes, values


def non_max_suppression(
    boxes_xyxy: NDArray[Any],
    scores: NDArray[Any],
    class_ids: NDArray[Any] | None = None,
    iou_threshold: float = 0.45,
) -> Suppression:
    """Greedy suppression, within each class where `class_ids` are given, over all boxes where not.

    A box is dropped when its IoU with a better one is greater than the threshold.

    Raises:
        BoxError: If shapes do not fit, a value is not finite, or the threshold lies outside 0..1.

    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]])
    >>> result = non_max_suppression(boxes, np.array([0.6, 0.9, 0.8]))
    >>> result.keep, result.suppressed_by, result.iou.round(2)
    (array([False,  True,  True]), array([ 1, -1, -1]), array([0.82, 0.  , 0.  ]))
    """
    boxes, values = _checked(boxes_xyxy, scores, class_ids, iou_threshold)
    suppressed_by = np.full(len(boxes), -1, np.int64)
    overlap = np.zeros(len(boxes))
    picked: list[int] = []
    if class_ids is None:
        groups = [np.argsort(-values, kind="stable")]
    else:
        # By class, within a class by score; both sorts keep the order of equals.
        order = np.lexsort((-values, class_ids))
        borders = np.flatnonzero(np.diff(np.asarray(class_ids)[order])) + 1
        groups = np.split(order, borders)
    for group in groups:
        _suppress_group(boxes, group, iou_threshold, suppressed_by, overlap, picked)
    return Suppression(suppressed_by < 0, np.array(picked, np.int64), suppressed_by, overlap)


def _suppress_group(
    boxes: Floats,
    order: Indices,
    threshold: float,
    suppressed_by: Indices,
    overlap: Floats,
    picked: list[int],
) -> None:
    """Suppress boxes that compete, best first in `order`; write into the three last arguments."""
    # Rows left, top, right, bottom, area: every step reads whole rows, so they lie side by side in memory.
    rest = np.concatenate([boxes[order].T, box_areas(boxes[order])[None]])  # (5, n)
    while len(order):
        best = int(order[0])
        picked.append(best)
        x1, y1, x2, y2, area = rest[:, 0]
        rest, order = rest[:, 1:], order[1:]
        width = np.minimum(rest[2], x2) - np.maximum(rest[0], x1)
        height = np.minimum(rest[3], y2) - np.maximum(rest[1], y1)
        shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
        union = rest[4] + area - shared
        dropped = shared > threshold * union
        fallen = np.flatnonzero(dropped)
        if len(fallen):
            suppressed_by[order[fallen]] = best
            overlap[order[fallen]] = shared[fallen] / union[fallen]
            stays = np.flatnonzero(~dropped)
            rest, order = rest.take(stays, axis=1), order[stays]
        if len(fallen) < ONE_BY_ONE_WHILE * len(dropped):
            rest, order = _suppress_block(rest, order, threshold, suppressed_by, overlap, picked)


def _suppress_block(
    rest: Floats, order: Indices, threshold: float, suppressed_by: Indices, overlap: Floats, picked: list[int]
) -> tuple[Floats, Indices]:
    """Take a block of the best boxes: first among themselves, then those that stayed against the others."""
    head = rest[:, :BLOCK]
    shared, union = _shared_and_union(head, rest)  # (b, n)
    dropped = shared > threshold * union
    count = head.shape[1]
    alive = np.ones(count, np.bool_)
    for index in range(count):
        if alive[index]:
            alive[index + 1 :] &= ~dropped[index, index + 1 : count]
    kept = np.flatnonzero(alive)
    dropped = dropped[kept]  # (k, n)
    dropped[np.arange(len(kept)), kept] = False  # nothing drops itself
    first = dropped.argmax(axis=0)  # (n,) the best box that drops this one
    falls = dropped[first, np.arange(dropped.shape[1])]
    falls[kept] = False
    fallen = np.flatnonzero(falls)
    by = kept[first[fallen]]
    suppressed_by[order[fallen]] = order[by]
    overlap[order[fallen]] = shared[by, fallen] / union[by, fallen]
    picked.extend(order[kept].tolist())
    stays = count + np.flatnonzero(~falls[count:])
    return rest.take(stays, axis=1), order[stays]


def _shared_and_union(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Intersections and unions (b, n) of boxes in rows (5, b) and (5, n)."""
    width = np.minimum(first[2][:, None], second[2]) - np.maximum(first[0][:, None], second[0])
    height = np.minimum(first[3][:, None], second[3]) - np.maximum(first[1][:, None], second[1])
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    return shared, first[4][:, None] + second[4] - shared


def soft_non_max_suppression(
    boxes_xyxy: NDArray[Any],
    scores: NDArray[Any],
    class_ids: NDArray[Any] | None = None,
    method: Literal["gaussian", "linear"] = "gaussian",
    sigma: float = 0.5,
    iou_threshold: float = 0.45,
    minimum_score: float = 0.001,
) -> SoftSuppression:
    """Lower the score of every box by its IoU with each better one (Bodla et al. 2017, equations 2 and 3).

    "gaussian" multiplies by exp(-IoU^2 / sigma), "linear" by 1 - IoU beyond the threshold. Boxes whose score
    falls under `minimum_score` are not taken and answer with a score of 0. Scores must not be negative.

    Raises:
        BoxError: If shapes or values do not fit, or the method is unknown.

    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10]])
    >>> soft_non_max_suppression(boxes, np.array([0.6, 0.9]), method="linear").scores.round(3)
    array([0.109, 0.9  ])
    """
    boxes, values = _checked(boxes_xyxy, scores, class_ids, iou_threshold)
    if method not in ("gaussian", "linear") or sigma <= 0:
        raise BoxError(f'expected "gaussian" or "linear" and sigma > 0, received {method!r} and {sigma}')
    if (values < 0).any():
        raise BoxError("expected scores of at least 0, received a negative one")
    values = values.copy()
    ids = np.zeros(len(boxes), np.int64) if class_ids is None else np.asarray(class_ids)
    waiting = np.flatnonzero(values >= minimum_score)
    final = np.zeros(len(boxes))
    picked: list[int] = []
    while len(waiting):
        place = int(np.argmax(values[waiting]))
        best = int(waiting[place])
        picked.append(best)
        final[best] = values[best]
        waiting = np.delete(waiting, place)
        iou = pairwise_iou(boxes[best : best + 1], boxes[waiting])[0]  # (1, m) -> (m,)
        factor = np.exp(-(iou**2) / sigma) if method == "gaussian" else np.where(iou > iou_threshold, 1 - iou, 1.0)
        values[waiting] *= np.where(ids[waiting] == ids[best], factor, 1.0)
        waiting = waiting[values[waiting] >= minimum_score]
    return SoftSuppression(final, np.array(picked, np.int64))
