"""MTCNN: a cascade of three convolutional networks that finds faces and their five points.

Zhang et al. 2016, Joint face detection and alignment using multi-task cascaded convolutional networks, section 2: a
first network looks at every 12 x 12 window of a pyramid of sizes, as one convolution; a second (24 x 24) and a third
(48 x 48) look again at what it proposes, and the third says where eyes, nose and mouth are. The three networks and
their weights are those of the package `mtcnn`; the steps between them are written here, so that the smallest face can
be chosen freely, pictures and windows are shrunk by area means, and coordinates keep their fractions.

Boxes are xyxy float32 in pixels, points (N, 5, 2). TensorFlow is imported when the networks are first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.faces.types import Floats, Pixels

WINDOW_PX, STRIDE_PX = 12, 2
PYRAMID_STEP = 0.709  # the area halves from one size to the next
# Thresholds of the three networks, as the package has them; of overlaps, as the paper's authors have them.
PROPOSE, REFINE, ACCEPT = 0.6, 0.7, 0.8
MAX_PROPOSALS = 400
MIRRORED = [1, 0, 2, 4, 3]  # which point each is in a mirror
BATCH = 64

Network = Callable[[Floats], tuple[Floats, ...]]


@dataclass(frozen=True, eq=False)
class Found:
    """Faces of one picture: boxes (N, 4), points (N, 5, 2), scores (N,)."""

    boxes_xyxy: Floats
    points: Floats
    scores: Floats


@lru_cache(maxsize=1)
def _networks() -> tuple[Network, Network, Network]:
    """The three networks as compiled functions, for pictures of any size and for 24 and 48 px."""
    import tensorflow as tf
    from mtcnn.stages import StageONet, StagePNet, StageRNet

    def compiled(model: Any, side: int | None) -> Network:
        signature = [tf.TensorSpec((None, side, side, 3), tf.float32)]
        run = tf.function(model, input_signature=signature)
        return lambda batch: tuple(np.asarray(part, np.float32) for part in run(batch))

    stages = (StagePNet(), StageRNet(), StageONet())
    first, second, third = (stage.model for stage in stages)
    return compiled(first, None), compiled(second, 24), compiled(third, 48)


def normalised(picture: NDArray[np.uint8]) -> Floats:
    """Values 0..255 as -1..1."""
    values: Floats = (picture.astype(np.float32) - 127.5) / 128.0
    return values


def pyramid_scales(width: int, height: int, smallest_px: float) -> tuple[float, ...]:
    """By which factors a picture is scaled so that faces from `smallest_px` up to its short side become 12 px.

    >>> [round(scale, 3) for scale in pyramid_scales(100, 80, 40)]
    [0.3, 0.213, 0.151]
    """
    scales = []
    scale = WINDOW_PX / smallest_px
    while min(width, height) * scale >= WINDOW_PX:
        scales.append(scale)
        scale *= PYRAMID_STEP
    return tuple(scales)


def find(picture: Pixels, smallest_px: float) -> Found:
    """The faces of an RGB picture (H, W, 3) that are about `smallest_px` or larger.

    >>> find(np.zeros((10, 10, 3), np.uint8), 20.0).scores.shape  # smaller than any face
    (0,)
    """
    boxes = _propose(picture, smallest_px)
    if not len(boxes):
        return _nothing()
    _, second, third = _networks()
    boxes = _squares(boxes)
    offsets, scores = _look(second, _patches(picture, boxes, 24))
    boxes, scores = _kept(_moved(boxes, offsets), scores, REFINE, 0.7)
    if not len(boxes):
        return _nothing()
    windows = _squares(boxes)
    boxes, points, scores = _both_ways(third, picture, windows)
    keep = np.flatnonzero(scores > ACCEPT)
    keep = keep[suppress(boxes[keep], scores[keep], 0.7, of_smaller=True)]
    boxes, points, scores = boxes[keep], points[keep], scores[keep]
    if not len(boxes):
        return _nothing()
    # A second look, at the window about the box that was found, sees the points a little elsewhere: the mean is nearer.
    _, again, _ = _both_ways(third, picture, _squares(boxes))
    return Found(boxes, np.asarray((points + again) / 2, np.float32), scores)


def _both_ways(network: Network, picture: Pixels, windows: Floats) -> tuple[Floats, Floats, Floats]:
    """The third network's boxes (N, 4), points (N, 5, 2) and scores (N,): means over each window and its mirror image.

    On aligned faces the mean of both, with a second look, lies nearer to where the points belong than one look alone:
    0.50 in place of 0.59 px in faces of about 50 px.
    """
    patches = _patches(picture, windows, 48)
    count = len(patches)
    both = _look(network, np.concatenate([patches, patches[:, :, ::-1]]))
    offsets, places, scores = (part[:count] for part in both)
    mirrored_offsets, mirrored_places, mirrored_scores = (part[count:] for part in both)
    turned = mirrored_offsets[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32)
    offsets = np.asarray((offsets + turned) / 2, np.float32)
    x, y = mirrored_places[:, :5][:, MIRRORED], mirrored_places[:, 5:][:, MIRRORED]
    places = np.asarray((places + np.concatenate([1 - x, y], axis=1)) / 2, np.float32)
    confidence = np.asarray((scores[:, 1] + mirrored_scores[:, 1]) / 2, np.float32)
    return _moved(windows, offsets), _points(windows, places), confidence


def _nothing() -> Found:
    return Found(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))


def _propose(picture: Pixels, smallest_px: float) -> Floats:
    height, width = picture.shape[:2]
    found: list[tuple[Floats, Floats]] = []
    for scale in pyramid_scales(width, height, smallest_px):
        columns, rows = max(WINDOW_PX, round(width * scale)), max(WINDOW_PX, round(height * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(picture, (columns, rows), interpolation=interpolation)
        offsets, scores = _networks()[0](normalised(np.asarray(small, np.uint8))[None])  # (1, h, w, 4), (1, h, w, 2)
        cells_y, cells_x = np.nonzero(scores[0, :, :, 1] > PROPOSE)
        corners = np.stack([cells_x, cells_y], axis=1) * STRIDE_PX  # (n, 2)
        windows = np.concatenate([corners, corners + WINDOW_PX], axis=1).astype(np.float32)
        boxes = windows + WINDOW_PX * offsets[0, cells_y, cells_x]
        stretch = np.array([width / columns, height / rows] * 2, np.float32)
        confidence = scores[0, cells_y, cells_x, 1]
        keep = suppress(boxes, confidence, 0.5)
        found.append((boxes[keep] * stretch, confidence[keep]))
    if not found:
        return np.zeros((0, 4), np.float32)
    boxes, confidence = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return np.asarray(boxes[suppress(boxes, confidence, 0.7)][:MAX_PROPOSALS], np.float32)


def suppress(boxes: Floats, scores: Floats, threshold: float, *, of_smaller: bool = False) -> NDArray[np.int64]:
    """Non-maximum suppression: which boxes (N, 4) stay, best first.

    The overlap is measured against the union, or `of_smaller` against the smaller of the two boxes.

    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10]], np.float32)
    >>> suppress(boxes, np.array([0.8, 0.9, 0.7], np.float32), 0.5).tolist()
    [1, 2]
    """
    waiting = np.argsort(-scores, kind="stable")
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    areas = sides[:, 0] * sides[:, 1]
    kept: list[int] = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(int(best))
        low, high = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        common = np.prod(np.maximum(high - low, 0), axis=1)
        whole = np.minimum(areas[best], areas[rest]) if of_smaller else areas[best] + areas[rest] - common
        waiting = rest[common <= threshold * whole]
    return np.array(kept, np.int64)


def _look(network: Network, patches: Floats) -> tuple[Floats, ...]:
    """A network's answers for patches (N, S, S, 3), in batches."""
    parts = [network(patches[start : start + BATCH]) for start in range(0, len(patches), BATCH)]
    return tuple(np.concatenate(answers) for answers in zip(*parts, strict=True))


def _kept(boxes: Floats, scores: Floats, accept: float, overlap: float) -> tuple[Floats, Floats]:
    keep = np.flatnonzero(scores[:, 1] > accept)
    keep = keep[suppress(boxes[keep], scores[keep, 1], overlap)]
    return boxes[keep], scores[keep]


def _moved(boxes: Floats, offsets: Floats) -> Floats:
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + offsets * np.concatenate([sides, sides], axis=1), np.float32)


def _squares(boxes: Floats) -> Floats:
    """Boxes as squares about the same middle."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True), 1) / 2
    return np.concatenate([middles - half, middles + half], axis=1).astype(np.float32)


def _points(boxes: Floats, places: Floats) -> Floats:
    """Points (N, 5, 2) from places (N, 10) within the boxes, five x, then five y; whole numbers at pixel centres."""
    sides = (boxes[:, 2:] - boxes[:, :2])[:, None, :]  # (N, 1, 2)
    relative = np.stack([places[:, :5], places[:, 5:]], axis=2)  # (N, 10) -> (N, 5, 2)
    return np.asarray(boxes[:, None, :2] + relative * sides - 0.5, np.float32)


def _patches(picture: Pixels, boxes: Floats, side: int) -> Floats:
    """The square parts of a picture as (N, side, side, 3) of -1..1; grey where the picture ends."""
    patches = np.empty((len(boxes), side, side, 3), np.float32)
    height, width = picture.shape[:2]
    for box, patch in zip(np.rint(boxes).astype(int), patches, strict=True):
        left, top, right, bottom = int(box[0]), int(box[1]), max(int(box[2]), box[0] + 1), max(int(box[3]), box[1] + 1)
        inner = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        if inner.size == 0:
            patch[:] = 0
            continue
        over = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
        if any(over):
            bordered = cv2.copyMakeBorder(inner, *over, cv2.BORDER_CONSTANT, value=(128, 128, 128))
            inner = np.asarray(bordered, np.uint8)
        interpolation = cv2.INTER_AREA if inner.shape[0] > side else cv2.INTER_LINEAR
        patch[:] = normalised(np.asarray(cv2.resize(inner, (side, side), interpolation=interpolation), np.uint8))
    return patches
