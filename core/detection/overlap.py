"""How two boxes overlap, with every number that goes into it.

Intersection over union is the course's measure of localisation. The generalised IoU also tells boxes that do
not touch how far apart they are: it takes off the part of the smallest box around both that neither covers
(Rezatofighi et al. 2019, algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.detection.boxes import box_areas, check_boxes, pairwise_iou

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Overlap:
    """Two boxes compared; corners xyxy in pixels, areas in square pixels, `giou` in -1..1."""

    shared_xyxy: Corners | None
    hull_xyxy: Corners
    first_area: float
    second_area: float
    shared_area: float
    union_area: float
    hull_area: float
    iou: float
    giou: float


def compare_boxes(first_xyxy: Corners, second_xyxy: Corners) -> Overlap:
    """Compare two boxes; `shared_xyxy` is None where they do not overlap.

    Raises:
        BoxError: If a value is not finite.

    >>> both = compare_boxes((0, 0, 2, 2), (1, 1, 3, 3))
    >>> both.shared_xyxy, both.union_area, round(both.iou, 3), round(both.giou, 3)
    ((1.0, 1.0, 2.0, 2.0), 7.0, 0.143, -0.079)
    """
    pair = check_boxes(np.array([first_xyxy, second_xyxy], np.float64))
    first_area, second_area = (float(area) for area in box_areas(pair))
    corners = np.concatenate([pair[:, :2].max(axis=0), pair[:, 2:].min(axis=0)])  # (4,)
    hull = np.concatenate([pair[:, :2].min(axis=0), pair[:, 2:].max(axis=0)])  # (4,)
    shared_area = float(box_areas(corners[None])[0])
    union_area = first_area + second_area - shared_area
    hull_area = float(box_areas(hull[None])[0])
    iou = float(pairwise_iou(pair[:1], pair[1:])[0, 0])
    giou = iou - (hull_area - union_area) / hull_area if hull_area > 0 else iou
    return Overlap(
        _corners(corners) if shared_area > 0 else None,
        _corners(hull),
        first_area,
        second_area,
        shared_area,
        union_area,
        hull_area,
        iou,
        giou,
    )


def _corners(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Corners:
    left, top, right, bottom = (float(value) for value in values)
    return left, top, right, bottom


def overlap_snippets(first_xyxy: Corners, second_xyxy: Corners) -> dict[str, str]:
    """The same as short programs in NumPy, TensorFlow and Keras, with these boxes put in."""
    boxes = (
        f"first = np.array([{', '.join(f'{value:g}' for value in first_xyxy)}])\n"
        f"second = np.array([{', '.join(f'{value:g}' for value in second_xyxy)}])\n"
    )
    steps = (
        "sides = {max}({min}(first[2:], second[2:]) - {max}(first[:2], second[:2]), 0)\n"
        "shared = {prod}(sides)\n"
        "union = {prod}(first[2:] - first[:2]) + {prod}(second[2:] - second[:2]) - shared\n"
        "result = shared / union\n"
    )
    numpy_words = {"max": "np.maximum", "min": "np.minimum", "prod": "np.prod"}
    tensor_words = {"max": "tf.maximum", "min": "tf.minimum", "prod": "tf.reduce_prod"}
    keras_words = {"max": "ops.maximum", "min": "ops.minimum", "prod": "ops.prod"}
    as_tensor = "first, second = tf.constant(first), tf.constant(second)\n"
    return {
        "NumPy": f"import numpy as np\n\n{boxes}{steps.format(**numpy_words)}",
        "TensorFlow": f"import numpy as np\nimport tensorflow as tf\n\n{boxes}{as_tensor}"
        + steps.format(**tensor_words),
        "Keras": f"import numpy as np\nfrom keras import ops\n\n{boxes}{steps.format(**keras_words)}",
    }
