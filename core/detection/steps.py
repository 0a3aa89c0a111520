"""Non-max suppression step by step, read from the trace that it leaves.

A step takes the best box that is left and drops those that overlap it too much. Indices count the boxes that
suppression was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import BoxError, pairwise_iou
from core.detection.suppression import Suppression

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SuppressionStep:
    """One step: the box that is `picked`, and what becomes of the others.

    `dropped` (d,) fall in this step, at `dropped_iou` (d,); `spared` (s,) compete with the picked box, overlap
    it, and stay for now, at `spared_iou` (s,), highest first; `kept_before` were picked in earlier steps,
    `gone` dropped in them, and `waiting` are all that are left after this step.
    """

    picked: int
    dropped: Indices
    dropped_iou: Floats
    spared: Indices
    spared_iou: Floats
    kept_before: Indices
    gone: Indices
    waiting: Indices


def suppression_step(
    boxes_xyxy: NDArray[Any], class_ids: NDArray[Any] | None, result: Suppression, number: int
) -> SuppressionStep:
    """Step `number` (from 1) of a suppression of these boxes; `class_ids` as they were given to it.

    Raises:
        BoxError: If there is no such step.

    >>> from core.detection.suppression import non_max_suppression
    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]])
    >>> step = suppression_step(boxes, None, non_max_suppression(boxes, np.array([0.6, 0.9, 0.8])), 1)
    >>> step.picked, step.dropped, step.waiting
    (1, array([0]), array([2]))
    """
    if not 1 <= number <= len(result.picked):
        raise BoxError(f"expected a step from 1 to {len(result.picked)}, received {number}")
    picked = int(result.picked[number - 1])
    dropped = np.flatnonzero(result.suppressed_by == picked)
    kept_before = result.picked[: number - 1]
    gone = np.flatnonzero(np.isin(result.suppressed_by, kept_before))
    over = np.zeros(len(result.keep), np.bool_)
    for part in (kept_before, gone, dropped, [picked]):
        over[part] = True
    waiting = np.flatnonzero(~over)
    rivals = waiting if class_ids is None else waiting[np.asarray(class_ids)[waiting] == class_ids[picked]]
    iou = pairwise_iou(boxes_xyxy[picked : picked + 1], boxes_xyxy[rivals])[0]  # (1, r) -> (r,)
    order = np.argsort(-iou, kind="stable")
    order = order[iou[order] > 0]
    return SuppressionStep(
        picked,
        dropped,
        result.iou[dropped],
        rivals[order],
        np.asarray(iou[order], np.float64),
        kept_before,
        gone,
        waiting,
    )
