"""MTCNN as the package `mtcnn` brings it: its three stages on a picture, and its first stage by itself.

The first stage, PNet, is a network of convolutions alone that reads a picture of any size: for every window of 12 px,
two pixels apart, it answers with the probability of a face and four numbers that move the window onto it. That is the
convolutional form of sliding windows (Zhang et al. 2016, section 2; Sermanet et al. 2014). The later stages look at
what it proposes, cut out and scaled to 24 and 48 px.

This module imports TensorFlow; only workers import it. Arrays: pictures RGB uint8 (H, W, 3); boxes xyxy in pixels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from mtcnn.network.pnet import PNet
from mtcnn.stages import StageONet, StagePNet, StageRNet
from mtcnn.utils.bboxes import generate_bounding_box, resize_to_square, smart_nms_from_bboxes, upscale_bboxes
from mtcnn.utils.images import apply_scales, normalize_images
from mtcnn.utils.tensorflow import load_weights
from numpy.typing import NDArray

from core.detection.landmarks import Face, face_scales

Image = NDArray[np.uint8]


class _Proposals(StagePNet):  # type: ignore[misc]
    """The package's first stage on a pyramid that ends before its copies are smaller than the window."""

    def __call__(
        self,
        images_normalized: Any,
        images_oshapes: Any,
        smallest_face_px: float,
        threshold_pnet: float = 0.6,
        **_: Any,
    ) -> Any:
        height, width = (int(side) for side in images_oshapes[0][:2])
        scales = np.array(face_scales(width, height, smallest_face_px))
        if not len(scales):
            return np.empty((0, 6))
        copies, used = apply_scales(images_normalized, [scales])
        boxes = []
        for copy, scale in zip(copies, used, strict=True):
            moves, scores = self._model(copy)
            found = upscale_bboxes(generate_bounding_box(moves, scores, threshold_pnet), np.asarray([scale]))
            if len(found):
                boxes.append(smart_nms_from_bboxes(found, threshold=0.5, method="union", initial_sort=False))
        if not boxes:
            return np.empty((0, 6))
        merged = smart_nms_from_bboxes(np.concatenate(boxes), threshold=0.7, method="union", initial_sort=True)
        return resize_to_square(merged)


@lru_cache(maxsize=1)
def _stages() -> tuple[Any, Any, Any]:
    return _Proposals(), StageRNet(), StageONet()


def find_faces(image: Image, smallest_face_px: float) -> tuple[Face, ...]:
    """Faces with their five points, largest first."""
    normalised = tf.constant(normalize_images(image[None].astype(np.float32)))  # (1, H, W, 3)
    shapes = np.array([image.shape])
    boxes: Any = None
    for stage in _stages():
        arguments = {"smallest_face_px": smallest_face_px} if boxes is None else {"bboxes_batch": boxes}
        boxes = stage(images_normalized=normalised, images_oshapes=shapes, **arguments)
        if not len(boxes):
            return ()
    height, width = image.shape[:2]
    faces = []
    for row in np.asarray(boxes, np.float64):  # picture, x1, y1, x2, y2, score, five x, five y
        left, top, right, bottom = np.clip(row[1:5], 0, [width, height, width, height])
        points = np.stack([row[6:11], row[11:16]], axis=1)  # (5, 2)
        if right - left >= 1 and bottom - top >= 1:
            faces.append(Face((float(left), float(top), float(right), float(bottom)), float(row[5]), points))
    return tuple(sorted(faces, key=lambda face: -_area(face)))


def _area(face: Face) -> float:
    left, top, right, bottom = face.box_xyxy
    return (right - left) * (bottom - top)


@lru_cache(maxsize=1)
def first_stage() -> Any:
    """MTCNN's first network: pictures (B, H, W, 3) in -1..1 to moves (B, h, w, 4) and probabilities (B, h, w, 2)."""
    network = PNet()
    network.build()
    network.set_weights(load_weights("pnet.lz4"))
    return network


def normalised(image: Image) -> NDArray[np.float32]:
    """Pixels as MTCNN reads them, in -1..1."""
    return np.asarray(normalize_images(image.astype(np.float32)), np.float32)
