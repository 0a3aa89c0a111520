"""Precision-recall curves at any IoU threshold, from detections that are kept.

`evaluation.evaluate` gives the ten thresholds of COCO and the curve at .5. A page that has the detections
draws the curve at another threshold by matching again, without running the network.

Arrays: as in `evaluation`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import pairwise_iou
from core.detection.evaluation import (
    MAX_DETECTIONS,
    EvaluationError,
    ImageDetections,
    ImageTruth,
    PrecisionRecall,
    interpolated_average_precision,
)

# Other data sets' names for what the embedded detector calls otherwise.
SYNONYMS = {"pedestrian": "person", "people": "person", "motorbike": "motorcycle", "puppy": "dog", "kitten": "cat"}


def match_at(found_iou: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Which detections (n), best first, get a free true box (m) each that they overlap enough, by IoU (n, m).

    >>> match_at(np.array([[0.6, 0.9], [0.0, 0.8], [0.7, 0.0]]), 0.5).tolist()
    [True, False, True]
    """
    taken = np.zeros(found_iou.shape[1], np.bool_)
    matched = np.zeros(len(found_iou), np.bool_)
    for row, overlaps in enumerate(found_iou):
        free = np.where(taken, -1.0, overlaps)
        # Of equal overlaps the last, as COCO's own program takes.
        best = len(free) - 1 - int(free[::-1].argmax()) if len(free) else 0
        if len(free) and free[best] >= min(threshold, 1 - 1e-10):
            taken[best] = matched[row] = True
    return matched


def precision_recall(
    truth: Sequence[ImageTruth], found: Sequence[ImageDetections], class_id: int, threshold: float
) -> PrecisionRecall:
    """Curve of one class at one IoU threshold, over the images where the class is annotated; no crowds.

    Raises:
        EvaluationError: If the numbers of images differ or the threshold lies outside 0..1.
    """
    if len(truth) != len(found):
        raise EvaluationError(f"expected detections for {len(truth)} images, received {len(found)}")
    if not 0 < threshold <= 1:
        raise EvaluationError(f"expected an IoU threshold over 0 and at most 1, received {threshold}")
    scores, matched, true_boxes = [np.zeros(0)], [np.zeros(0, np.bool_)], 0
    for true, detections in zip(truth, found, strict=True):
        if not true.exhaustive[class_id]:
            continue
        mine = np.asarray(true.boxes_xyxy, np.float64)[np.asarray(true.class_ids) == class_id]
        theirs = np.asarray(detections.class_ids) == class_id
        mine_scores = np.asarray(detections.scores, np.float64)[theirs]
        order = np.argsort(-mine_scores, kind="stable")[:MAX_DETECTIONS]
        boxes = np.asarray(detections.boxes_xyxy, np.float64)[theirs][order]
        matched.append(match_at(pairwise_iou(boxes, mine), threshold))
        scores.append(mine_scores[order])
        true_boxes += len(mine)
    if true_boxes == 0:
        return PrecisionRecall(np.zeros(0), np.zeros(0), np.zeros(0))
    all_scores = np.concatenate(scores)
    order = np.argsort(-all_scores, kind="stable")
    hits = np.cumsum(np.concatenate(matched)[order]).astype(np.float64)
    precision = hits / np.maximum(np.arange(1, len(hits) + 1), 1)
    return PrecisionRecall(precision, hits / true_boxes, all_scores[order])


def average_precision(curve: PrecisionRecall) -> float:
    """The area under a curve by COCO's 101 recalls; 0 where nothing was found."""
    return interpolated_average_precision(curve.precision, curve.recall) if len(curve.recall) else 0.0


def shared_classes(names: Sequence[str], known: Sequence[str]) -> dict[int, int]:
    """Which class of a data set is which of the detector's, by name, whatever the case.

    >>> shared_classes(["Pedestrian", "kite", "car"], ["person", "car"])
    {0: 0, 2: 1}
    """
    by_name = {name.lower(): index for index, name in enumerate(known)}
    found = {}
    for index, name in enumerate(names):
        plain = name.strip().lower()
        place = by_name.get(plain, by_name.get(SYNONYMS.get(plain, "")))
        if place is not None:
            found[index] = place
    return found


def as_truth(
    boxes_xyxy: NDArray[np.floating], class_ids: NDArray[np.integer], shared: dict[int, int], class_count: int
) -> ImageTruth:
    """True boxes in the detector's classes; a class that the data set does not have is not counted."""
    mapped = np.array([shared.get(int(class_id), -1) for class_id in class_ids], np.int64)
    exhaustive = np.zeros(class_count, np.bool_)
    exhaustive[list(shared.values())] = True
    keep = mapped >= 0
    return ImageTruth(boxes_xyxy[keep], mapped[keep], np.zeros(int(keep.sum()), np.bool_), exhaustive)
