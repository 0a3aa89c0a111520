"""Anchor boxes from the boxes of a data set by K-means.

The distance between a box and an anchor is 1 - IoU of their sizes laid corner on corner, so that large boxes
do not outweigh small ones as they do in Euclidean distance (Redmon and Farhadi 2017, YOLO9000, section 2,
"Dimension clusters").

Arrays: sizes (n, 2) hold width and height, positive, all in one unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import BoxError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnchorClusters:
    """Anchors (k, 2), smallest area first, the anchor of each box (n,), and the mean IoU with it."""

    anchor_boxes: Floats
    assignment: NDArray[np.int64]
    mean_iou: float
    iterations: int


def _check_sizes(sizes: NDArray[Any], name: str) -> Floats:
    array = np.asarray(sizes, np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise BoxError(f"expected {name} of shape (n, 2) with n > 0, received {array.shape}")
    if not np.isfinite(array).all() or (array <= 0).any():
        raise BoxError(f"expected positive finite {name}, received others")
    return array


def size_iou(sizes: NDArray[Any], anchor_boxes: NDArray[Any]) -> Floats:
    """IoU of sizes laid corner on corner: (n, 2), (k, 2) -> (n, k).

    Raises:
        BoxError: If a set is empty, not (n, 2), or holds a size that is not positive.

    >>> size_iou(np.array([[10, 20]]), np.array([[10, 10], [20, 20]]))
    array([[0.5, 0.5]])
    """
    first, second = _check_sizes(sizes, "sizes"), _check_sizes(anchor_boxes, "anchor boxes")
    shared = np.minimum(first[:, None, :], second[None, :, :]).prod(axis=-1)  # (n, k)
    return np.asarray(shared / (first.prod(axis=1)[:, None] + second.prod(axis=1)[None, :] - shared))


def cluster_anchors(
    sizes: NDArray[Any], count: int, seed: int = 0, max_iterations: int = 300, starts: int = 5
) -> AnchorClusters:
    """K-means on 1 - IoU, the best of several starts.

    A start spreads the first anchors over the boxes as K-means++ does (Arthur and Vassilvitskii 2007). An
    anchor moves to the median of its boxes, which a few very large boxes do not pull away; one that no box
    wants moves to the box that fits its anchor worst. A run ends when a step no longer raises the mean IoU.

    Raises:
        BoxError: If the sizes are not usable or there are fewer different ones than anchors.

    >>> sizes = np.array([[10, 10], [11, 10], [50, 100], [52, 98]])
    >>> cluster_anchors(sizes, 2).anchor_boxes
    array([[10., 10.],
           [52., 98.]])
    """
    boxes = _check_sizes(sizes, "sizes")
    different = len(np.unique(boxes, axis=0))
    if not 1 <= count <= different:
        raise BoxError(f"expected 1 to {different} anchors for {different} different sizes, received {count}")
    rng = np.random.default_rng(seed)
    runs = [_one_run(boxes, _spread(boxes, count, rng), max_iterations) for _ in range(starts)]
    best = max(runs, key=lambda run: run.mean_iou)
    order = np.argsort(best.anchor_boxes.prod(axis=1), kind="stable")
    rank = np.argsort(order)
    return AnchorClusters(best.anchor_boxes[order], rank[best.assignment], best.mean_iou, best.iterations)


def _spread(boxes: Floats, count: int, rng: np.random.Generator) -> Floats:
    """First anchors: each drawn among the boxes, the likelier the farther it is from those before."""
    chosen = [int(rng.integers(len(boxes)))]
    for _ in range(1, count):
        distance = (1 - size_iou(boxes, boxes[chosen]).max(axis=1)) ** 2
        distance[distance < 1e-12] = 0.0
        chosen.append(int(rng.choice(len(boxes), p=distance / distance.sum())))
    return boxes[chosen]


def _one_run(boxes: Floats, anchors: Floats, max_iterations: int) -> AnchorClusters:
    iou = size_iou(boxes, anchors)  # (n, k)
    best = AnchorClusters(anchors, iou.argmax(axis=1), float(iou.max(axis=1).mean()), 0)
    for iteration in range(1, max_iterations + 1):
        moved = best.anchor_boxes.copy()
        fit = size_iou(boxes, moved)[np.arange(len(boxes)), best.assignment]  # (n,)
        for index in range(len(moved)):
            members = boxes[best.assignment == index]
            moved[index] = np.median(members, axis=0) if len(members) else boxes[fit.argmin()]
        iou = size_iou(boxes, moved)
        mean_iou = float(iou.max(axis=1).mean())
        if mean_iou <= best.mean_iou + 1e-12:
            break
        best = AnchorClusters(moved, iou.argmax(axis=1), mean_iou, iteration)
    return best
