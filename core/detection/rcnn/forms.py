"""R-CNN, Fast R-CNN and Faster R-CNN on one picture, each stage timed.

| form | proposals from | the backbone runs | source |
|---|---|---|---|
| R-CNN | selective search | on every proposal, warped to 64 x 64 px | Girshick et al. 2014, section 2 |
| Fast R-CNN | selective search | once; regions are pooled from its map | Girshick 2015, section 2 |
| Faster R-CNN | a network on the same map | once | Ren et al. 2015, section 3 |

All three have the same backbone and a head of the same shape, so what they differ in is what the papers differ in.

Arrays: pictures RGB uint8 (H, W, 3); proposals xyxy (n, 4) in pixels of the picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.detection.boxes import clip_boxes
from core.detection.predictions import PADDING, NetworkAnswer, letterbox_picture
from core.detection.rcnn.coding import HEAD_SPREAD, anchor_grid, decode_boxes
from core.detection.rcnn.networks import MAP_STRIDE_PX, MAP_WIDTH
from core.detection.rcnn.results import FormAnswer, StageTime
from core.detection.rcnn.roi import POOL_CELLS, roi_align, roi_max_pool
from core.detection.rcnn.storage import RcnnNetworks
from core.detection.suppression import non_max_suppression

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Pooling = Literal["align", "max"]
INPUT_PX = 256
CROP_PX = 64
# Pixels of the surroundings on each side of a warped crop: 16 of 227 in the paper.
CONTEXT_PX = 4
CROPS_AT_ONCE = 64
REGIONS_AT_ONCE = 300
CONSIDERED, PROPOSED, PROPOSAL_IOU, LEAST_SIDE_PX = 1000, 150, 0.7, 4.0


def warp_crops(image: Image, boxes_xyxy: NDArray[Any], size_px: int = CROP_PX) -> Image:
    """Every box with a little of its surroundings, stretched to a square: (n, size, size, 3).

    Surroundings outside the picture are grey. Source: Girshick et al. 2014, appendix A, "warp".
    """
    crops = np.empty((len(boxes_xyxy), size_px, size_px, 3), np.uint8)
    inner = size_px - 2 * CONTEXT_PX
    for crop, (x1, y1, x2, y2) in zip(crops, np.asarray(boxes_xyxy, np.float64), strict=True):
        scale_x, scale_y = inner / max(x2 - x1, 1.0), inner / max(y2 - y1, 1.0)
        # Half a pixel: OpenCV places pixel centres on whole numbers, boxes put them in the middle of a pixel.
        matrix = np.array(
            [
                [scale_x, 0, CONTEXT_PX - scale_x * x1 + 0.5 * (scale_x - 1)],
                [0, scale_y, CONTEXT_PX - scale_y * y1 + 0.5 * (scale_y - 1)],
            ]
        )
        cv2.warpAffine(
            image, matrix, (size_px, size_px), crop, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, (PADDING, PADDING, PADDING)
        )
    return crops


def best_proposals(objectness: Floats, corrections: Floats, size_px: int, limits_px: tuple[float, float]) -> Floats:
    """Up to 150 proposals (n, 4) in pixels of the square, best first, cut at the picture inside it."""
    side = size_px // MAP_STRIDE_PX
    order = np.argsort(-objectness, kind="stable")[:CONSIDERED]
    boxes = decode_boxes(corrections[order], anchor_grid(side, side, MAP_STRIDE_PX)[order])
    boxes = clip_boxes(boxes, *limits_px)
    solid = ((boxes[:, 2:] - boxes[:, :2]) >= LEAST_SIDE_PX).all(axis=1)
    boxes, scores = boxes[solid], objectness[order][solid]
    picked = non_max_suppression(boxes, scores, iou_threshold=PROPOSAL_IOU).picked[:PROPOSED]
    return np.asarray(boxes[picked], np.float32)


class _Stopwatch:
    def __init__(self) -> None:
        self.stages: list[StageTime] = []
        self.at = time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self.stages.append(StageTime(name, 1000 * (now - self.at)))
        self.at = now


class RcnnRunner:
    """The networks compiled for single pictures."""

    def __init__(self, networks: RcnnNetworks, class_names: tuple[str, ...], name: str = "rcnn") -> None:
        """Compile them; they are traced when first called."""
        import tensorflow as tf  # the losses run on each of Keras' backends, and need this module's other parts

        self.class_names, self.name = class_names, name
        picture = tf.TensorSpec((1, INPUT_PX, INPUT_PX, 3), tf.float32)
        side = INPUT_PX // MAP_STRIDE_PX
        features = tf.TensorSpec((1, side, side, MAP_WIDTH), tf.float32)
        regions = tf.TensorSpec((1, None, 4), tf.float32)
        crops = tf.TensorSpec((None, CROP_PX, CROP_PX, 3), tf.float32)
        longest = side // POOL_CELLS + 3

        def head_of(pooled: Any) -> Any:
            flat = ops.reshape(pooled, (-1, POOL_CELLS, POOL_CELLS, MAP_WIDTH))  # (1, N, 7, 7, C) -> (N, 7, 7, C)
            logits, corrections = networks.head(flat, training=False)
            return ops.softmax(logits, axis=-1), corrections

        def look_at_crops(batch: Any) -> Any:
            # The whole crop is the region: its 8 x 8 cells are pooled to the 7 x 7 that the head reads.
            whole = ops.tile(ops.convert_to_tensor([[[0.0, 0.0, CROP_PX, CROP_PX]]]), (ops.shape(batch)[0], 1, 1))
            pooled = roi_align(networks.shared_map(batch, training=False), whole, 1 / MAP_STRIDE_PX)
            flat = ops.reshape(pooled, (-1, POOL_CELLS, POOL_CELLS, MAP_WIDTH))
            logits, corrections = networks.crop_head(flat, training=False)
            return ops.softmax(logits, axis=-1), corrections

        self.map_of = tf.function(lambda x: networks.shared_map(x, training=False), input_signature=[picture])
        self.propose = tf.function(lambda x: networks.proposal_network(x, training=False), input_signature=[features])
        self.heads: dict[Pooling, Any] = {
            "align": tf.function(
                lambda x, r: head_of(roi_align(x, r, 1 / MAP_STRIDE_PX)), input_signature=[features, regions]
            ),
            "max": tf.function(
                lambda x, r: head_of(roi_max_pool(x, r, 1 / MAP_STRIDE_PX, longest_bin=longest)),
                input_signature=[features, regions],
            ),
        }
        self.look_at_crops = tf.function(look_at_crops, input_signature=[crops])

    def _answer(self, image: Image, boxes: Floats, scores: Floats, corrections: Floats, ms: float) -> NetworkAnswer:
        corrected = decode_boxes(corrections, boxes, HEAD_SPREAD).astype(np.float32) if len(boxes) else boxes
        size = (image.shape[1], image.shape[0])
        return NetworkAnswer(corrected, scores[:, 1:], size, self.class_names, self.name, ms, "TensorFlow")

    def _look_at_regions(self, features: Any, regions: Floats, pooling: Pooling) -> tuple[Floats, Floats]:
        scores, corrections = [np.zeros((0, len(self.class_names) + 1), np.float32)], [np.zeros((0, 4), np.float32)]
        for start in range(0, len(regions), REGIONS_AT_ONCE):
            part = self.heads[pooling](features, regions[None, start : start + REGIONS_AT_ONCE])
            scores.append(part[0].numpy())
            corrections.append(part[1].numpy())
        return np.concatenate(scores), np.concatenate(corrections)

    def faster(self, image: Image) -> FormAnswer:
        """Faster R-CNN: map, proposals by the network, regions."""
        watch = _Stopwatch()
        square, scale = letterbox_picture(image, INPUT_PX)
        features = self.map_of(square[None].astype(np.float32))
        features.numpy()  # wait for it
        watch("backbone, once")
        objectness, corrections = self.propose(features)
        limits = (image.shape[1] * scale[0], image.shape[0] * scale[1])
        regions = best_proposals(objectness.numpy()[0], corrections.numpy()[0], INPUT_PX, limits)
        watch("proposals by the network")
        scores, corrections = self._look_at_regions(features, regions, "align")
        watch("regions classified")
        stages = tuple(watch.stages)
        boxes = np.asarray(regions / np.array([*scale, *scale]), np.float32)
        answer = self._answer(image, boxes, scores, corrections, sum(stage.ms for stage in stages))
        return FormAnswer("faster_rcnn", answer, boxes, stages)

    def fast(self, image: Image, proposals_xyxy: Floats, search_ms: float, pooling: Pooling = "align") -> FormAnswer:
        """Fast R-CNN: map, given proposals, regions."""
        watch = _Stopwatch()
        square, scale = letterbox_picture(image, INPUT_PX)
        features = self.map_of(square[None].astype(np.float32))
        features.numpy()
        watch("backbone, once")
        regions = np.asarray(proposals_xyxy * np.array([*scale, *scale]), np.float32)
        scores, corrections = self._look_at_regions(features, regions, pooling)
        watch("regions classified")
        stages = (StageTime("selective search", search_ms), *watch.stages)
        boxes = np.asarray(proposals_xyxy, np.float32)
        answer = self._answer(image, boxes, scores, corrections, sum(stage.ms for stage in stages))
        return FormAnswer("fast_rcnn", answer, boxes, stages)

    def slow(
        self,
        image: Image,
        proposals_xyxy: Floats,
        search_ms: float,
        progress: Callable[[float, Image], None] = lambda fraction, crops: None,
    ) -> FormAnswer:
        """R-CNN: every proposal warped, and the whole network on every crop."""
        watch = _Stopwatch()
        boxes = np.asarray(proposals_xyxy, np.float32)
        crops = warp_crops(image, boxes)
        watch("crops warped")
        scores, corrections = [np.zeros((0, len(self.class_names) + 1), np.float32)], [np.zeros((0, 4), np.float32)]
        for start in range(0, len(crops), CROPS_AT_ONCE):
            progress(start / len(crops), crops[start : start + CROPS_AT_ONCE])
            part = self.look_at_crops(crops[start : start + CROPS_AT_ONCE].astype(np.float32))
            scores.append(part[0].numpy())
            corrections.append(part[1].numpy())
        watch("backbone on every crop")
        stages = (StageTime("selective search", search_ms), *watch.stages)
        total_ms = sum(stage.ms for stage in stages)
        answer = self._answer(image, boxes, np.concatenate(scores), np.concatenate(corrections), total_ms)
        return FormAnswer("rcnn", answer, boxes, stages)


def copy_of_head(networks: RcnnNetworks) -> None:
    """Start the head for crops from the head for regions."""
    source: keras.Model = networks.head
    networks.crop_head.set_weights(source.get_weights())
