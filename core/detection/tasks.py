"""What this chapter asks of a worker process: run a detector on a picture.

TensorFlow, Keras and ONNX Runtime are imported when a function needs them, so that a page can read this module's
results without them. What a page does with an answer (`predictions.select`) needs no worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.detection.embedded import DetectorWeights, embedded_detector
from core.detection.predictions import NetworkAnswer, Selection, answer_of, letterbox_picture, select
from core.detection.rcnn.results import FORMS
from core.detection.region_tasks import form_answer
from core.detection.yolox import ModelError, load_yolox, run_yolox
from core.runtime import weights
from core.runtime.inference import Network, fastest

if TYPE_CHECKING:
    import keras

EMBEDDED = "embedded"
PRETRAINED = ("yolox_nano", "yolox_s")

Run = Callable[[NDArray[np.uint8]], NetworkAnswer]


@lru_cache(maxsize=3)
def _embedded(detector: DetectorWeights) -> Run:
    """The embedded detector with the engine of this machine, as a function from picture to answer."""

    def keras_model() -> keras.Model:
        from core.detection.yolo import build_detector

        model = build_detector(len(detector.class_names))
        model.load_weights(detector.path)
        return model

    size_px = detector.input_px
    sample = np.random.default_rng(0).uniform(0, 255, (1, size_px, size_px, 3)).astype(np.float32)
    engine = fastest(Network(detector.sha256, keras_model, detector.onnx), sample)

    def run(image: NDArray[np.uint8]) -> NetworkAnswer:
        square, scale = letterbox_picture(image, size_px)
        batch = square[None].astype(np.float32)  # (S, S, 3) -> (1, S, S, 3)
        start = time.perf_counter()
        raw = engine(batch)[0]  # (A, 4 + C)
        network_ms = 1000 * (time.perf_counter() - start)
        size = (image.shape[1], image.shape[0])
        answer = answer_of(raw, size_px, scale, size, detector.class_names, detector.name)
        return replace(answer, network_ms=network_ms, engine=engine.name)

    return run


@lru_cache(maxsize=3)
def _yolox(path: Path, modified_ns: int, name: str) -> Run:
    """A YOLOX network, loaded once for each time its file was written."""
    network = load_yolox(str(path))
    return lambda image: run_yolox(network, image, name)


def _detector(model: str) -> Run:
    if model == EMBEDDED:
        return _embedded(embedded_detector())
    if model in FORMS:
        return lambda image: form_answer(image, model)
    if model in PRETRAINED:
        path, name = weights.require(model), weights.describe(model).title
    else:
        path, name = Path(model), Path(model).name
        if not path.is_file():
            names = ", ".join(f'"{known}"' for known in (EMBEDDED, *FORMS, *PRETRAINED))
            raise ModelError(f"expected {names} or an ONNX file of a YOLOX network, found no file {model!r}")
    return _yolox(path, path.stat().st_mtime_ns, name)


def run_network(image: NDArray[np.uint8], model: str = EMBEDDED) -> NetworkAnswer:
    """All that a detector says about an RGB picture uint8 (H, W, 3); `predictions.select` picks the boxes.

    `model` is "embedded", one of the R-CNN family ("rcnn", "fast_rcnn", "faster_rcnn"), "yolox_nano", "yolox_s", or
    the path of a YOLOX network in an ONNX file.

    Raises:
        PictureError: If the array is no picture.
        WeightsError: If the weights are missing or changed, or were not fetched yet.
        ModelError: If the file is missing or no such network.
    """
    return _detector(model)(image)


def detect(
    image: NDArray[np.uint8], model: str = EMBEDDED, confidence: float = 0.25, iou_threshold: float = 0.45
) -> Selection:
    """Boxes on an RGB picture before and after suppression; errors as `run_network`'s."""
    return select(run_network(image, model), confidence, iou_threshold)
