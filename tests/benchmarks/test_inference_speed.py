"""Engines against one another, and a whole detection against the bare engine, as ratios taken in one run."""

import time
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import pytest

from core.detection.drawing import draw_detections
from core.detection.embedded import embedded_detector
from core.detection.predictions import letterbox_picture, select
from core.detection.tasks import run_network
from core.runtime.images import decode_image, encode_jpeg
from core.runtime.inference import OnnxRuntimeEngine, TensorFlowEngine


def best_times_ms(runs: Mapping[str, Callable[[], object]], rounds: int = 60) -> dict[str, float]:
    """The best time of each, taken in turns: what else the machine does befalls all of them."""
    best = dict.fromkeys(runs, float("inf"))
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], 1000 * (time.perf_counter() - start))
    return best


def batch_of(picture: np.ndarray) -> np.ndarray:
    return letterbox_picture(picture, embedded_detector().input_px)[0][None].astype(np.float32)


@pytest.mark.benchmark
def test_onnx_runtime_is_faster_than_a_compiled_function_and_opencv():
    import skimage.data

    from core.detection.yolo import build_detector

    detector = embedded_detector()
    network = build_detector(len(detector.class_names))
    network.load_weights(detector.path)
    batch = batch_of(skimage.data.astronaut())
    opencv = cv2.dnn.readNetFromONNX(str(detector.onnx))
    compiled, runtime = TensorFlowEngine(network, batch.shape), OnnxRuntimeEngine(detector.onnx)

    def run_opencv() -> np.ndarray:
        opencv.setInput(batch)
        return opencv.forward()

    runs = {
        "tf.function": lambda: compiled(batch),
        "ONNX Runtime": lambda: runtime(batch),
        "OpenCV": run_opencv,
        "Keras call": lambda: network(batch, training=False).numpy(),
    }
    times = best_times_ms(runs, 15)
    print()
    for name, taken in times.items():
        print(f"{name:14} {taken:7.1f} ms, {taken / times['tf.function']:.2f} of tf.function's")
    assert times["ONNX Runtime"] <= 0.8 * times["tf.function"]
    assert times["ONNX Runtime"] <= times["OpenCV"]


@pytest.mark.benchmark
def test_from_upload_to_drawn_boxes_takes_little_more_than_the_engine():
    """The engine takes as long for every picture, decoding and scaling grow with it: both kinds are measured."""
    import skimage.data

    engine = OnnxRuntimeEngine(embedded_detector().onnx)
    cat = skimage.data.chelsea()
    pictures = {
        "of the training set's size": cv2.resize(cat, (288, 192), interpolation=cv2.INTER_AREA),
        "with one and a half times the side": cat,
        "with twice the side": skimage.data.astronaut(),
    }
    ratios = []
    for name, picture in pictures.items():
        upload = encode_jpeg(np.ascontiguousarray(picture))
        batch = batch_of(decode_image(upload).pixels)

        def whole(upload: bytes = upload) -> np.ndarray:
            pixels = decode_image(upload).pixels
            answer = run_network(pixels)
            return draw_detections(pixels, select(answer).detections, answer.class_names)

        times = best_times_ms({"engine": lambda batch=batch: engine(batch), "whole": whole}, 150)
        ratios.append(times["whole"] / times["engine"])
        print(f"\na picture {name}: {times['whole']:.1f} ms, {ratios[-1]:.2f} of the bare engine's")
    assert ratios[0] <= 1.3
    assert max(ratios) <= 1.6
