"""Detections as rows for files: COCO's result format with names, and a flat table.

Boxes come in as xyxy (n, 4) in pixels and go out as [left, top, width, height], as COCO writes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.detection.boxes import xyxy_to_xywh
from core.detection.evaluation import ImageDetections

BOX_DECIMALS, SCORE_DECIMALS = 2, 4
COLUMNS = ("file_name", "category", "x", "y", "width", "height", "score")


def coco_rows(file_name: str, found: ImageDetections, class_names: tuple[str, ...]) -> list[dict[str, Any]]:
    """One {"file_name", "category", "bbox", "score"} for each box, as `python -m core.detection.detect` writes them.

    >>> found = ImageDetections(np.array([[10.0, 20, 40, 60]]), np.array([1]), np.array([0.87654]))
    >>> coco_rows("a.jpg", found, ("dog", "cat"))
    [{'file_name': 'a.jpg', 'category': 'cat', 'bbox': [10.0, 20.0, 30.0, 40.0], 'score': 0.8765}]
    """
    boxes = np.round(xyxy_to_xywh(found.boxes_xyxy).astype(np.float64), BOX_DECIMALS)
    return [
        {
            "file_name": file_name,
            "category": class_names[int(class_id)],
            "bbox": box.tolist(),
            "score": round(float(score), SCORE_DECIMALS),
        }
        for box, class_id, score in zip(boxes, found.class_ids, found.scores, strict=True)
    ]


def table_rows(file_name: str, found: ImageDetections, class_names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The same numbers with a column each, named as in `COLUMNS`.

    >>> found = ImageDetections(np.array([[10.0, 20, 40, 60]]), np.array([1]), np.array([0.87654]))
    >>> list(table_rows("a.jpg", found, ("dog", "cat"))[0].values())
    ['a.jpg', 'cat', 10.0, 20.0, 30.0, 40.0, 0.8765]
    """
    return [
        dict(zip(COLUMNS, (row["file_name"], row["category"], *row["bbox"], row["score"]), strict=True))
        for row in coco_rows(file_name, found, class_names)
    ]
