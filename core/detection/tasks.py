"""What this chapter asks of a worker process: run a detector on a picture.

TensorFlow and Keras are imported when a function needs them, so that a page can read this module's results
without them. What a page does with an answer (`predictions.select`) needs no worker.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.embedded import embedded_detector
from core.detection.predictions import NetworkAnswer, Selection, answer_of, letterbox_picture, select
from core.detection.yolox import ModelError, load_yolox, run_yolox

EMBEDDED = "embedded"
YOLOX_NANO_PX, YOLOX_PX = 416, 640
# YOLOX-Nano has 3.7 MB, the next larger one 20.
NANO_BYTES = 8 * 2**20

Run = Callable[[NDArray[np.uint8]], NetworkAnswer]


@lru_cache(maxsize=3)
def _detector(model: str) -> Run:
    """A loaded model as a function from picture to answer."""
    if model == EMBEDDED:
        return _embedded()
    path = Path(model)
    if not path.is_file():
        raise ModelError(f'expected "{EMBEDDED}" or an ONNX file of a YOLOX network, found no file {model!r}')
    network = load_yolox(model)
    size_px = YOLOX_NANO_PX if path.stat().st_size < NANO_BYTES else YOLOX_PX
    return lambda image: run_yolox(network, image, size_px, path.name)


def _embedded() -> Run:
    import keras
    import tensorflow as tf

    from core.detection.yolo import build_detector

    weights = embedded_detector()
    size_px, names = weights.input_px, weights.class_names
    network: keras.Model = build_detector(len(names))
    network.load_weights(weights.path)
    signature = [tf.TensorSpec((1, size_px, size_px, 3), tf.float32)]
    compiled: Any = tf.function(lambda batch: network(batch, training=False), input_signature=signature)

    def run(image: NDArray[np.uint8]) -> NetworkAnswer:
        square, scale = letterbox_picture(image, size_px)
        raw = compiled(square[None].astype(np.float32))[0].numpy()  # (1, S, S, 3) -> (A, 4 + C)
        return answer_of(raw, size_px, scale, (image.shape[1], image.shape[0]), names, weights.name)

    return run


def run_network(image: NDArray[np.uint8], model: str = EMBEDDED) -> NetworkAnswer:
    """All that a detector says about an RGB picture uint8 (H, W, 3); `predictions.select` picks the boxes.

    `model` is "embedded" or the path of a YOLOX network in an ONNX file.

    Raises:
        PictureError: If the array is no picture.
        WeightsError: If the embedded weights are missing or changed.
        ModelError: If the file is missing or no such network.
    """
    return _detector(model)(image)


def detect(
    image: NDArray[np.uint8], model: str = EMBEDDED, confidence: float = 0.25, iou_threshold: float = 0.45
) -> Selection:
    """Boxes on an RGB picture before and after suppression; errors as `run_network`'s."""
    return select(run_network(image, model), confidence, iou_threshold)
