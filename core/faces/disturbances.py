"""Changes to a photograph that leave the person the same: what an encoding should not mind.

Pictures are RGB uint8 (H, W, 3). Each change is plain image processing and always gives the same result.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from core.faces.types import Pixels


def _scaled(image: Pixels, share: float) -> Pixels:
    size = max(8, round(image.shape[1] * share)), max(8, round(image.shape[0] * share))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _mirrored(image: Pixels) -> Pixels:
    return np.ascontiguousarray(image[:, ::-1])


def _tilted(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 20.0, 1.0)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _gamma(image: Pixels, exponent: float) -> Pixels:
    table: NDArray[np.float64] = 255 * (np.arange(256) / 255) ** exponent
    return np.rint(table).astype(np.uint8)[image]


def _dark(image: Pixels) -> Pixels:
    return _gamma(image, 2.2)


def _small(image: Pixels) -> Pixels:
    return _scaled(image, 0.3)


def _blurred(image: Pixels) -> Pixels:
    sigma = max(image.shape[:2]) / 170
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def _grey(image: Pixels) -> Pixels:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def _compressed(image: Pixels) -> Pixels:
    _, coded = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 8])
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(decoded, np.uint8)[:, :, ::-1])


def _several(image: Pixels) -> Pixels:
    return _dark(_tilted(_mirrored(_scaled(image, 0.5))))


CHANGES: dict[str, tuple[str, Callable[[Pixels], Pixels]]] = {
    "none": ("As it is", lambda image: image),
    "several": ("Mirrored, tilted, dark, half size", _several),
    "mirrored": ("Mirrored", _mirrored),
    "tilted": ("Tilted by 20°", _tilted),
    "dark": ("Dark", _dark),
    "grey": ("Grey", _grey),
    "small": ("A third of its size", _small),
    "blurred": ("Blurred", _blurred),
    "compressed": ("Compressed hard (JPEG 8)", _compressed),
}


def changed(image: Pixels, change: str) -> Pixels:
    """The photograph after one of `CHANGES`.

    Raises:
        KeyError: If there is no such change.

    >>> changed(np.zeros((100, 50, 3), np.uint8), "small").shape
    (30, 15, 3)
    """
    return CHANGES[change][1](image)
