"""Pictures made ready for a network: scaled to a longest side, and never too small for it.

Arrays are RGB uint8 (H, W, 3).
"""

from __future__ import annotations

import cv2
import numpy as np

from core.style.settings import MIN_PX, Pixels, StyleError


def check_picture(image: Pixels, what: str) -> Pixels:
    """The picture itself.

    Raises:
        StyleError: If it is no RGB uint8 (H, W, 3).
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise StyleError(f"expected the {what} as RGB uint8 (H, W, 3), received {image.dtype} {image.shape}")
    return image


def scaled_shape(height_px: int, width_px: int, longest_px: int) -> tuple[int, int]:
    """(height, width) with a longest side of `longest_px` and a shortest of at least 32 px.

    >>> scaled_shape(600, 1200, 256)
    (128, 256)
    """
    scale = longest_px / max(height_px, width_px)
    return max(MIN_PX, round(height_px * scale)), max(MIN_PX, round(width_px * scale))


def scaled(image: Pixels, longest_px: int) -> Pixels:
    """The picture with a longest side of `longest_px`, down by averaging areas, up by cubic interpolation."""
    height, width = scaled_shape(image.shape[0], image.shape[1], longest_px)
    if (height, width) == image.shape[:2]:
        return image
    smaller = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def middle_square(image: Pixels) -> Pixels:
    """The largest square in the middle of a picture.

    >>> middle_square(np.zeros((4, 9, 3), np.uint8)).shape
    (4, 4, 3)
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]
