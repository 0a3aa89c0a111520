"""YOLOX networks in ONNX files: their input, and their rows decoded (Ge et al. 2021, YOLOX, section 2.1).

The network reads BGR 0..255, letterboxed into the upper left of a grey square, channels first. Its rows (A,
85) stand for the cells of three grids (strides 8, 16, 32): midpoint as an offset from the cell's corner in
strides, logarithm of the size in strides, objectness, and 80 class probabilities of COCO.
"""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.grid import STRIDES_PX, cell_centres
from core.detection.predictions import NetworkAnswer, letterbox_picture
from core.runtime.inference import EngineError, OnnxRuntimeEngine

Floats = NDArray[np.float32]

COCO_NAMES = tuple(
    (
        "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
        "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,"
        "backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,"
        "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,"
        "fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,"
        "cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,"
        "cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,"
        "hair drier,toothbrush"
    ).split(",")
)


class ModelError(ValueError):
    """A model file that cannot be used; the message says why."""


def decode_yolox(rows: Floats, size_px: int) -> tuple[Floats, Floats]:
    """Boxes xyxy (A, 4) in pixels of the square input and scores (A, 80), objectness times class.

    Raises:
        ModelError: If the number of rows is not that of the size's cells, or a row has not 85 values.
    """
    cells = cell_centres(size_px, size_px)
    if rows.shape != (len(cells), 5 + len(COCO_NAMES)):
        raise ModelError(f"expected rows of shape ({len(cells)}, 85) at {size_px} px, received {rows.shape}")
    stride = cells[:, 2:]
    middle = rows[:, :2] * stride + (cells[:, :2] - stride / 2)  # offsets count from the cell's corner
    half = np.exp(rows[:, 2:4]) * stride / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    return boxes.astype(np.float32, copy=False), (rows[:, 4:5] * rows[:, 5:]).astype(np.float32, copy=False)


def load_yolox(path: str) -> OnnxRuntimeEngine:
    """The network of an ONNX file, for `run_yolox`.

    Raises:
        ModelError: If the file cannot be read as a network, or its input is no square picture of known size.
    """
    try:
        network = OnnxRuntimeEngine(Path(path))
    except EngineError as error:
        raise ModelError(str(error)) from error
    batch, height, width, _ = network.input_shape
    if batch not in (1, None) or height is None or height != width or height % max(STRIDES_PX):
        sides = " x ".join(str(side or "any") for side in network.input_shape)
        raise ModelError(f"{path} is no YOLOX network: it reads {sides} where one square of known size is expected")
    return network


def run_yolox(network: OnnxRuntimeEngine, image: NDArray[np.uint8], model: str) -> NetworkAnswer:
    """What a YOLOX network says about an RGB picture.

    Raises:
        PictureError: If the array is no RGB picture.
        ModelError: If the network's answer is not that of a YOLOX network.
    """
    size_px = int(network.input_shape[1] or 0)
    square, scale = letterbox_picture(image, size_px)
    batch = cv2.cvtColor(square, cv2.COLOR_RGB2BGR)[None].astype(np.float32)  # (S, S, 3) -> (1, S, S, 3)
    start = time.perf_counter()
    answer = network(batch)  # (1, A, 85)
    network_ms = 1000 * (time.perf_counter() - start)
    boxes, scores = decode_yolox(answer.reshape(answer.shape[-2:]) if answer.ndim == 3 else answer, size_px)
    on_picture = np.asarray(boxes / np.array([*scale, *scale]), np.float32)
    size = (image.shape[1], image.shape[0])
    return NetworkAnswer(on_picture, scores, size, COCO_NAMES, model, network_ms, network.name)
