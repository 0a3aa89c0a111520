"""Selective search: where in a picture objects could be, without knowing what they are.

Pictures differ in what sets an object apart, so the search is done several times, with small and large first regions,
in two colour spaces, with and without colour among the measures, and all proposals are put together ("diversification
strategies", Uijlings et al. 2013, section 3.3). The order of proposals is by their place in the hierarchy, large
regions first, shaken by a random factor so that not only large boxes lead (section 3.4).

Arrays: pictures RGB uint8 (H, W, 3); proposals xyxy float32 (n, 4) in pixels of the picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.boxes import pairwise_iou
from core.detection.predictions import check_picture
from core.detection.proposals_grouping import MEASURES, Grouping, group
from core.detection.proposals_regions import ColourSpace, Labels, Regions, measure_regions, segment

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

MOST_PROPOSALS = 1500
# The search works on a picture of at most this many pixels a side: larger ones take longer and find the same.
SEARCH_PX = 288
LEAST_SIDE_PX = 8.0
# Boxes that overlap more than this are one proposal.
SAME_IOU = 0.9


@dataclass(frozen=True)
class Strategy:
    """One way to search: the colour space and scale of the first regions, and the measures of the grouping."""

    space: ColourSpace
    scale: float
    measures: tuple[str, ...] = MEASURES


WITHOUT_COLOUR = ("texture", "size", "fill")


def strategies_at(scale: float) -> tuple[Strategy, ...]:
    """Four ways to search: first regions of RGB at a scale and of Lab at twice the scale, with and without colour."""
    firsts: tuple[tuple[ColourSpace, float], ...] = (("rgb", scale), ("lab", 2 * scale))
    return tuple(Strategy(space, size, measures) for space, size in firsts for measures in (MEASURES, WITHOUT_COLOUR))


STRATEGIES = strategies_at(50.0)


@dataclass(frozen=True)
class SearchResult:
    """Proposals, the best first, and what the search did.

    `labels` and `grouping` are those of the first strategy, on the searched picture that is `scale` times the given
    one; `regions` counts the first regions of all strategies; times are in milliseconds.
    """

    proposals_xyxy: Floats
    labels: Labels
    grouping: Grouping
    scale: float
    regions: int
    before_limits: int
    segmentation_ms: float
    grouping_ms: float

    @property
    def total_ms(self) -> float:
        """The whole search."""
        return self.segmentation_ms + self.grouping_ms


def selective_search(
    image: Image,
    most: int = MOST_PROPOSALS,
    strategies: tuple[Strategy, ...] = STRATEGIES,
    seed: int = 0,
    progress: Callable[[float], None] = lambda fraction: None,
) -> SearchResult:
    """Up to `most` proposals of an RGB picture.

    Raises:
        PictureError: If the array is no RGB picture.
        ValueError: If there is no strategy or `most` is under one.
    """
    check_picture(image)
    if not strategies or most < 1:
        raise ValueError(f"expected a strategy and at least one proposal, received {len(strategies)} and {most}")
    small, scale = _small(image)
    rng = np.random.default_rng(seed)
    segmented: dict[tuple[str, float], Regions] = {}
    first: tuple[Labels, Grouping] | None = None
    boxes, ranks = [], []
    segmentation_s = grouping_s = 0.0
    for index, strategy in enumerate(strategies):

        def grouped(part: float, done: float = index) -> None:
            progress((done + 0.4 + 0.6 * part) / len(strategies))

        progress(index / len(strategies))
        start = time.perf_counter()
        key = (strategy.space, strategy.scale)
        if key not in segmented:
            smallest = max(10, round(strategy.scale / 3))
            labels = segment(small, strategy.scale, smallest, space=strategy.space)
            segmented[key] = measure_regions(small, labels)
        middle = time.perf_counter()
        grouping = group(segmented[key], strategy.measures, grouped)
        first = first or (segmented[key].labels, grouping)
        boxes.append(grouping.boxes_xyxy)
        # The last merge, the whole picture, has place 1.
        ranks.append(np.arange(len(grouping.boxes_xyxy), 0, -1) * rng.random(len(grouping.boxes_xyxy)))
        segmentation_s += middle - start
        grouping_s += time.perf_counter() - middle
    assert first is not None  # noqa: S101  there is at least one strategy
    start = time.perf_counter()
    every = np.concatenate(boxes)[np.argsort(np.concatenate(ranks), kind="stable")]
    every = every[((every[:, 2:] - every[:, :2]) >= LEAST_SIDE_PX).all(axis=1)]
    every = different(every)
    grouping_s += time.perf_counter() - start
    return SearchResult(
        np.asarray(every[:most] / scale, np.float32),
        first[0],
        first[1],
        scale,
        sum(len(regions.sizes_px) for regions in segmented.values()),
        len(every),
        1000 * segmentation_s,
        1000 * grouping_s,
    )


def _small(image: Image) -> tuple[Image, float]:
    """The picture with at most `SEARCH_PX` pixels a side, and its scale."""
    scale = SEARCH_PX / max(image.shape[:2])
    if scale >= 1:
        return image, 1.0
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def different(boxes_xyxy: Floats, same_iou: float = SAME_IOU) -> Floats:
    """The boxes without those that nearly equal an earlier one.

    >>> different(np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 5, 5]], np.float32)).tolist()
    [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 5.0, 5.0]]
    """
    _, first = np.unique(boxes_xyxy, axis=0, return_index=True)
    boxes = boxes_xyxy[np.sort(first)]
    overlap = np.triu(pairwise_iou(boxes, boxes) > same_iou, k=1)  # (n, n): row before column
    keep = np.ones(len(boxes), np.bool_)
    for index in range(len(boxes)):
        if keep[index]:
            keep &= ~overlap[index]
    return boxes[keep]


def recall_of(proposals_xyxy: NDArray[Any], truth_xyxy: NDArray[Any], iou: float = 0.5) -> NDArray[np.bool_]:
    """Which true boxes (m,) are overlapped by at least `iou` by a proposal.

    >>> recall_of(np.array([[0.0, 0, 10, 10]]), np.array([[1.0, 0, 10, 10], [20, 20, 30, 30]]))
    array([ True, False])
    """
    if not len(truth_xyxy) or not len(proposals_xyxy):
        return np.zeros(len(truth_xyxy), np.bool_)
    return np.asarray(pairwise_iou(truth_xyxy, proposals_xyxy).max(axis=1) >= iou)
