"""Precision, recall and average precision of a detector.

Average precision is the area under the precision-recall curve; its mean over classes at an IoU of .5 is
PASCAL VOC's measure (Everingham et al. 2010, section 4.2), its mean over IoU thresholds .5, .55, ..., .95 is
COCO's (Lin et al. 2014). Matching and interpolation (101 recalls) follow COCO: detections of one image in
order of score, each to the free true box that it overlaps most; crowds absorb detections without counting;
100 detections an image and class.

Arrays: boxes xyxy (n, 4) in pixels; class ids (n,); scores (n,); a class is counted only on images where it
is exhaustive, bool (C,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import box_areas, check_boxes

Floats = NDArray[np.float64]
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100


class EvaluationError(ValueError):
    """Detections and truth that do not fit together."""


@dataclass(frozen=True)
class ImageTruth:
    """True boxes of an image; `exhaustive` (C,) names the classes that are annotated completely in it."""

    boxes_xyxy: NDArray[np.floating]
    class_ids: NDArray[np.integer]
    is_crowd: NDArray[np.bool_]
    exhaustive: NDArray[np.bool_]


@dataclass(frozen=True)
class ImageDetections:
    """Boxes found in an image."""

    boxes_xyxy: NDArray[np.floating]
    class_ids: NDArray[np.integer]
    scores: NDArray[np.floating]


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall of a class at one IoU threshold after each detection, best score first."""

    precision: Floats
    recall: Floats
    scores: Floats


@dataclass(frozen=True)
class Evaluation:
    """Average precision for each class (rows) and IoU threshold (columns); NaN without a true box."""

    average_precision: Floats
    true_boxes: NDArray[np.int64]
    curves_50: tuple[PrecisionRecall, ...]

    @property
    def map_50(self) -> float:
        """Mean average precision at an IoU of .5, over the classes that have true boxes; NaN without any."""
        return _mean(self.average_precision[:, :1])

    @property
    def map_50_95(self) -> float:
        """Mean over the thresholds .5 to .95."""
        return _mean(self.average_precision)


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def crowd_iou(found_xyxy: Floats, true_xyxy: Floats, is_crowd: NDArray[np.bool_]) -> Floats:
    """IoU (n, m); for a crowd the union is the found box alone, so that a part of a crowd fits it fully."""
    sides = np.minimum(found_xyxy[:, None, 2:], true_xyxy[None, :, 2:]) - np.maximum(
        found_xyxy[:, None, :2], true_xyxy[None, :, :2]
    )  # (n, m, 2)
    sides = np.maximum(sides, 0)
    shared = sides[..., 0] * sides[..., 1]  # (n, m)
    found_area = box_areas(found_xyxy)[:, None]
    union = np.where(is_crowd[None, :], found_area, found_area + box_areas(true_xyxy)[None, :] - shared)
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


@dataclass(frozen=True)
class _Matches:
    scores: Floats
    matched: NDArray[np.bool_]  # (thresholds, n)
    ignored: NDArray[np.bool_]  # (thresholds, n)
    true_boxes: int


def _match_image(found: Floats, scores: Floats, truth: Floats, is_crowd: NDArray[np.bool_]) -> _Matches:
    """Match the detections of one class in one image at all thresholds."""
    order = np.argsort(-scores, kind="stable")[:MAX_DETECTIONS]
    crowd_last = np.argsort(is_crowd, kind="stable")
    is_crowd = is_crowd[crowd_last]
    iou = crowd_iou(found[order], truth[crowd_last], is_crowd)  # (n, m)
    matched = np.zeros((len(IOU_THRESHOLDS), len(order)), np.bool_)
    ignored = np.zeros_like(matched)
    for row, threshold in enumerate(IOU_THRESHOLDS):
        taken = np.zeros(len(truth), np.bool_)
        for column in range(len(order)):
            best, overlap = -1, min(float(threshold), 1 - 1e-10)
            for candidate in range(len(truth)):
                if taken[candidate] and not is_crowd[candidate]:
                    continue
                if best >= 0 and not is_crowd[best] and is_crowd[candidate]:
                    break
                if iou[column, candidate] >= overlap:
                    best, overlap = candidate, float(iou[column, candidate])
            if best >= 0:
                taken[best] = True
                matched[row, column] = True
                ignored[row, column] = is_crowd[best]
    return _Matches(scores[order], matched, ignored, int((~is_crowd).sum()))


def _check(truth: Sequence[ImageTruth], found: Sequence[ImageDetections]) -> None:
    if len(truth) != len(found):
        raise EvaluationError(f"expected detections for {len(truth)} images, received {len(found)}")
    for index, detections in enumerate(found):
        counts = {len(detections.boxes_xyxy), len(detections.class_ids), len(detections.scores)}
        if len(counts) != 1:
            raise EvaluationError(f"image {index}: boxes, class ids and scores differ in number: {counts}")
        if len(detections.scores) and not np.isfinite(detections.scores).all():
            raise EvaluationError(f"image {index}: expected finite scores, received NaN or infinity")


def evaluate(truth: Sequence[ImageTruth], found: Sequence[ImageDetections], class_count: int) -> Evaluation:
    """Average precision of detections against true boxes, image by image in the same order.

    Raises:
        EvaluationError: If the numbers of images, boxes, class ids or scores do not fit, or a score is not
        finite.
    """
    _check(truth, found)
    table = np.full((class_count, len(IOU_THRESHOLDS)), np.nan)
    counts = np.zeros(class_count, np.int64)
    curves = []
    for class_id in range(class_count):
        matches = []
        for true, detections in zip(truth, found, strict=True):
            if not true.exhaustive[class_id]:
                continue
            mine = np.asarray(true.class_ids) == class_id
            theirs = np.asarray(detections.class_ids) == class_id
            if not mine.any() and not theirs.any():
                continue
            matches.append(
                _match_image(
                    check_boxes(np.asarray(detections.boxes_xyxy, np.float64)[theirs]),
                    np.asarray(detections.scores, np.float64)[theirs],
                    check_boxes(np.asarray(true.boxes_xyxy, np.float64)[mine]),
                    np.asarray(true.is_crowd)[mine],
                )
            )
        counts[class_id] = sum(match.true_boxes for match in matches)
        curves.append(_accumulate(matches, int(counts[class_id]), table[class_id]))
    return Evaluation(table, counts, tuple(curves))


def _accumulate(matches: list[_Matches], true_boxes: int, row: Floats) -> PrecisionRecall:
    """Fill a row of average precisions; return the curve at the first threshold."""
    empty = np.zeros(0)
    if true_boxes == 0:
        return PrecisionRecall(empty, empty, empty)
    scores = np.concatenate([match.scores for match in matches])
    order = np.argsort(-scores, kind="stable")
    matched = np.concatenate([match.matched for match in matches], axis=1)[:, order]  # (thresholds, n)
    ignored = np.concatenate([match.ignored for match in matches], axis=1)[:, order]
    curve = PrecisionRecall(empty, empty, empty)
    for index in range(len(IOU_THRESHOLDS)):
        hits = np.cumsum(matched[index] & ~ignored[index]).astype(np.float64)
        misses = np.cumsum(~matched[index] & ~ignored[index]).astype(np.float64)
        recall = hits / true_boxes
        precision = hits / (hits + misses + np.spacing(1))
        row[index] = interpolated_average_precision(precision, recall)
        if index == 0:
            curve = PrecisionRecall(precision, recall, scores[order])
    return curve


def interpolated_average_precision(precision: Floats, recall: Floats) -> float:
    """Mean over 101 recalls of the best precision reached at that recall or beyond.

    >>> round(interpolated_average_precision(np.array([1.0, 0.5]), np.array([0.5, 0.5])), 3)
    0.505
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    position = np.searchsorted(recall, RECALL_POINTS, side="left")
    reached = position < len(envelope)
    values = np.zeros(len(RECALL_POINTS))
    values[reached] = envelope[position[reached]]
    return float(values.mean())
