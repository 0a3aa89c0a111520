"""What the detector is taught about one image: its boxes, and where the absence of a box means something.

Annotated boxes count fully. A class that is not exhaustive in the image is filled in from the teacher: what
the teacher saw with confidence becomes a box with the teacher's score as its weight (distillation in its
plainest form, Hinton et al. 2015), what it half saw becomes a region to ignore, and where it saw nothing the
background counts, a little less than certain. Without a teacher such a class has no background at all in that
image.

Arrays: boxes xyxy float32 (n, 4) in pixels; class ids int64 (n,); weights float32 (n,) in 0..1; background
weights float32 (C,), 0 where the absence of a box says nothing about the class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import pairwise_iou
from core.detection.datasets import Boxes, DetectionRecord

SURE_SCORE = 0.35
TEACHER_BACKGROUND = 0.7


@dataclass(frozen=True)
class Labels:
    """Boxes to learn, regions to ignore, and how much the background counts for each class."""

    boxes_xyxy: Boxes
    class_ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    ignored_xyxy: Boxes
    ignored_class_ids: NDArray[np.int64]
    background: NDArray[np.float32]


def teaching_labels(record: DetectionRecord, use_teacher: bool = True) -> Labels:
    """Labels from an image's annotations and, for classes not exhaustive in it, from the teacher."""
    solid = ~record.is_crowd
    boxes = [record.boxes_xyxy[solid]]
    ids = [record.class_ids[solid]]
    weights = [np.ones(int(solid.sum()), np.float32)]
    ignored, ignored_ids = [record.boxes_xyxy[~solid]], [record.class_ids[~solid]]
    background = record.exhaustive.astype(np.float32)  # (C,)
    teacher = record.teacher if use_teacher else None
    if teacher is not None:
        background[~record.exhaustive] = TEACHER_BACKGROUND
        fills = ~record.exhaustive[teacher.class_ids]  # (n,)
        if len(record.boxes_xyxy) and len(teacher.boxes_xyxy):
            # The same object under another name would teach two classes for one box.
            iou = pairwise_iou(teacher.boxes_xyxy, record.boxes_xyxy)  # (n, annotated)
            same = teacher.class_ids[:, None] == record.class_ids[None, :]
            fills &= ~((iou > 0.7) | (same & (iou > 0.4))).any(axis=1)
        sure = fills & (teacher.scores >= SURE_SCORE)
        unsure = fills & ~sure
        boxes.append(teacher.boxes_xyxy[sure])
        ids.append(teacher.class_ids[sure])
        weights.append(teacher.scores[sure])
        ignored.append(teacher.boxes_xyxy[unsure])
        ignored_ids.append(teacher.class_ids[unsure])
    return Labels(
        np.concatenate(boxes),
        np.concatenate(ids),
        np.concatenate(weights),
        np.concatenate(ignored),
        np.concatenate(ignored_ids),
        background,
    )
