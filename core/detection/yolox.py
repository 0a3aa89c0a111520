"""YOLOX networks in ONNX files: their input, and their rows decoded (Ge et al. 2021, YOLOX, section 2.1).

The network reads BGR 0..255, letterboxed into the upper left of a grey square, channels first. Its rows (A,
85) stand for the cells of three grids (strides 8, 16, 32): midpoint as an offset from the cell's corner in
strides, logarithm of the size in strides, objectness, and 80 class probabilities of COCO.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.grid import cell_centres
from core.detection.predictions import NetworkAnswer, letterbox_picture

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
    return boxes.astype(np.float32), (rows[:, 4:5] * rows[:, 5:]).astype(np.float32)


def load_yolox(path: str) -> Any:
    """The network of an ONNX file, for `run_yolox`.

    Raises:
        ModelError: If the file cannot be read as a network.
    """
    try:
        return cv2.dnn.readNetFromONNX(path)
    except cv2.error as error:
        raise ModelError(f"{path} cannot be read as an ONNX network") from error


def run_yolox(network: Any, image: NDArray[np.uint8], size_px: int, model: str) -> NetworkAnswer:
    """What a YOLOX network says about an RGB picture."""
    square, scale = letterbox_picture(image, size_px)
    blob = square[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)  # (S, S, 3) -> (1, 3, S, S), BGR
    network.setInput(np.ascontiguousarray(blob))
    boxes, scores = decode_yolox(np.asarray(network.forward()).reshape(-1, 5 + len(COCO_NAMES)), size_px)
    on_picture = np.asarray(boxes / np.array([*scale, *scale]), np.float32)
    size = (image.shape[1], image.shape[0])
    return NetworkAnswer(on_picture, scores, size, COCO_NAMES, model)
