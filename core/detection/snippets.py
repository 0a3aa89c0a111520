"""Non-max suppression as short programs in NumPy, OpenCV and TensorFlow, to read, copy, run and compare.

The texts on the page are the very texts that `compare_suppression` runs. Each expects `boxes` (n, 4) xyxy,
`scores` (n,) and, where classes are apart, `class_ids` (n,); it leaves 1 for boxes that stay and 0 for the
others in `result` (n,). Above the line `MARK` it gets ready; below stands the computation, which alone is timed.
Only a checked number goes into a text, never anything that a person typed.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import BoxError, check_boxes

MARK = "# The computation itself."
TIMED_RUNS = 5
TIMED_FOR_S = 0.5  # a program that is slower than this is timed once
# Far more than a photograph has; a loop in Python over more takes too long to wait for.
MAX_BOXES = 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SuppressionSnippets:
    """The same suppression three times, each a program of its own."""

    numpy: str
    opencv: str
    tensorflow: str

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield (name, text) in the order NumPy, OpenCV, TensorFlow."""
        yield "NumPy", self.numpy
        yield "OpenCV", self.opencv
        yield "TensorFlow", self.tensorflow


@dataclass(frozen=True)
class SuppressionRun:
    """What one program left: 1 for boxes that stay (n,), and the median time of its computation."""

    name: str
    result: Floats
    time_ms: float


@dataclass(frozen=True)
class ResultDifference:
    """The largest difference between the results of two programs: 0 where the same boxes stay."""

    first: str
    second: str
    largest: float


@dataclass(frozen=True)
class SuppressionComparison:
    """The runs of all programs, how much each pair differs, and a sentence on what was compared."""

    runs: tuple[SuppressionRun, ...]
    differences: tuple[ResultDifference, ...]
    note: str


def suppression_snippets(iou_threshold: float, per_class: bool) -> SuppressionSnippets:
    """Programs for this threshold (0..1), within each class or over all boxes.

    Raises:
        BoxError: If the threshold lies outside 0..1.
    """
    if not 0 <= iou_threshold <= 1:
        raise BoxError(f"expected an IoU threshold in 0..1, received {iou_threshold}")
    threshold = f"{float(iou_threshold):.4g}"
    stays = f"iou <= {threshold}"
    if per_class:
        stays = f"({stays}) | (class_ids[waiting] != class_ids[best])"
    # Boxes of different classes, each class moved to a place of its own, never overlap.
    apart = "boxes + class_ids[:, None] * (boxes.max() + 1)" if per_class else "boxes"
    numpy = f"""
import numpy as np

areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

{MARK}
kept = []
waiting = np.argsort(-scores, kind="stable")  # best first
while len(waiting):
    best, waiting = waiting[0], waiting[1:]
    kept.append(best)
    left_top = np.maximum(boxes[best, :2], boxes[waiting, :2])
    right_bottom = np.minimum(boxes[best, 2:], boxes[waiting, 2:])
    shared = np.maximum(right_bottom - left_top, 0).prod(axis=1)
    union = areas[best] + areas[waiting] - shared
    iou = shared / np.maximum(union, 1e-9)
    waiting = waiting[{stays}]
result = np.zeros(len(boxes))
result[kept] = 1
"""
    opencv = f"""
import cv2
import numpy as np

apart = {apart}
xywh = np.concatenate([apart[:, :2], apart[:, 2:] - apart[:, :2]], axis=1).tolist()
confidences = scores.tolist()

{MARK}
kept = cv2.dnn.NMSBoxes(xywh, confidences, score_threshold=0.0, nms_threshold={threshold})
result = np.zeros(len(boxes))
result[np.ravel(kept).astype(int)] = 1
"""
    tensorflow = f"""
import numpy as np
import tensorflow as tf

apart = ({apart}).astype(np.float32)
confidences = scores.astype(np.float32)

{MARK}
kept = tf.image.non_max_suppression(apart, confidences, len(boxes), iou_threshold={threshold})
result = np.zeros(len(boxes))
result[kept.numpy()] = 1
"""
    return SuppressionSnippets(*(text.lstrip("\n") for text in (numpy, opencv, tensorflow)))


def compare_suppression(
    boxes_xyxy: NDArray[Any], scores: NDArray[Any], class_ids: NDArray[Any] | None, iou_threshold: float
) -> SuppressionComparison:
    """Run the three programs on the same boxes, within each class where `class_ids` are given.

    Raises:
        BoxError: If shapes do not fit, a value is not finite, or the threshold lies outside 0..1.
    """
    boxes = check_boxes(boxes_xyxy).astype(np.float64)[:MAX_BOXES]
    values = np.asarray(scores, np.float64)[:MAX_BOXES]
    if len(values) != len(boxes) or not len(boxes):
        raise BoxError(f"expected as many scores as boxes and at least one, received {len(values)} and {len(boxes)}")
    inputs: dict[str, Any] = {"boxes": boxes, "scores": values}
    if class_ids is not None:
        inputs["class_ids"] = np.asarray(class_ids, np.int64)[: len(boxes)]
    snippets = suppression_snippets(iou_threshold, class_ids is not None)
    runs = tuple(_timed(name, text, inputs) for name, text in snippets.items())
    differences = tuple(
        ResultDifference(a.name, b.name, float(np.abs(a.result - b.result).max()))
        for a, b in itertools.combinations(runs, 2)
    )
    kept = ", ".join(f"{run.name} {int(run.result.sum())}" for run in runs)
    part = "" if len(boxes) == len(boxes_xyxy) else f" The best {MAX_BOXES} of {len(boxes_xyxy)} boxes were compared."
    return SuppressionComparison(runs, differences, f"Of {len(boxes)} boxes stay: {kept}.{part}")


def _timed(name: str, code: str, inputs: dict[str, NDArray[Any]]) -> SuppressionRun:
    """Run one of our own programs: get ready once, then compute several times."""
    names: dict[str, Any] = dict(inputs)
    ready, _, computation = code.partition(MARK + "\n")
    exec(compile(ready, f"<{name} snippet>", "exec"), names)  # noqa: S102
    compiled = compile(computation, f"<{name} snippet>", "exec")
    times_s: list[float] = []
    began = time.perf_counter()
    for _ in range(1 + TIMED_RUNS):
        start = time.perf_counter()
        exec(compiled, names)  # noqa: S102
        times_s.append(time.perf_counter() - start)
        if len(times_s) > 1 and time.perf_counter() - began > TIMED_FOR_S:
            break
    return SuppressionRun(name, np.asarray(names["result"], np.float64), 1e3 * statistics.median(times_s[1:]))
