"""From numbers to colours: signed maps with zero in the middle, strengths, pictures, masks and directions.

Maps are real (H, W) or (H, W, C); pictures are RGB uint8 (H, W, 3). The diverging palette runs from blue
below zero over white to red above it, which people who see no red or no green tell apart, and gets darker
towards both ends, which reads on a light and on a dark page.
"""

from functools import reduce
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Display = Literal["signed", "absolute", "clipped"]

DIVERGING_COLOURS: tuple[tuple[int, int, int], ...] = (
    (8, 42, 92),
    (26, 90, 158),
    (70, 138, 198),
    (142, 190, 224),
    (206, 226, 240),
    (247, 247, 247),
    (250, 214, 196),
    (242, 160, 126),
    (216, 98, 74),
    (172, 32, 44),
    (100, 6, 32),
)
"""Eleven colours from the lowest value to the highest; the sixth stands for zero."""

_MIDDLE = 127  # of the indices 0 to 254, so that zero has a colour of its own


def _diverging_table() -> Pixels:
    """Return 256 colours (256, 1, 3): 0 and 254 are the two ends, 127 is zero, 255 repeats 254."""
    stops = np.array(DIVERGING_COLOURS, np.float64)  # (11, 3)
    places = np.linspace(0, 2 * _MIDDLE, len(stops))
    steps = np.minimum(np.arange(256), 2 * _MIDDLE)
    table = np.stack([np.interp(steps, places, stops[:, channel]) for channel in range(3)], axis=1)  # (256, 3)
    return np.rint(table).astype(np.uint8)[:, None, :]  # (256, 1, 3)


_TABLE = _diverging_table()


def signed_to_rgb(values: Values, limit: float | None = None) -> Pixels:
    """Return a signed map (H, W) in the colours of the diverging palette, zero exactly in the middle.

    A map of several channels (H, W, C) shows at each pixel the channel that is largest in absolute value.
    `limit` is the absolute value of the strongest colour, the largest of the map if None. What is no number
    counts as zero.

    >>> signed_to_rgb(np.array([[-1.0, 0.0, 1.0]])).tolist()
    [[[8, 42, 92], [247, 247, 247], [100, 6, 32]]]

    Raises:
        ValueError: the map is empty or has another number of axes.
    """
    plane = _strongest_channel(_finite(values))  # (H, W)
    reach = _largest(plane) if limit is None else abs(limit)
    # One pass that scales, shifts, rounds and cuts to 0 to 255.
    indices = cv2.addWeighted(plane, _MIDDLE / reach if reach > 0 else 0.0, plane, 0.0, _MIDDLE, dtype=cv2.CV_8U)
    return np.asarray(cv2.applyColorMap(indices, _TABLE), np.uint8)  # (H, W, 3)


def absolute_to_rgb(values: Values, limit: float | None = None) -> Pixels:
    """Return how strong a map is, whatever its sign: black for zero, white for `limit` (the largest if None).

    Three channels stay colours; of any other number the strongest is shown.

    >>> absolute_to_rgb(np.array([[-4.0, 0.0, 2.0]]))[0, :, 0].tolist()
    [255, 0, 128]

    Raises:
        ValueError: the map is empty or has another number of axes.
    """
    finite = _finite(values)
    reach = _largest(finite) if limit is None else abs(limit)
    strengths = cv2.convertScaleAbs(_colours_or_one(finite), alpha=255.0 / reach if reach > 0 else 0.0)
    return _as_rgb(np.asarray(strengths, np.uint8))


def clipped_to_rgb(values: Values) -> Pixels:
    """Return a map as a picture: values rounded and cut to 0 to 255.

    Three channels stay colours; of any other number the strongest is shown.

    >>> clipped_to_rgb(np.array([[-4.0, 99.6, 300.0]]))[0, :, 0].tolist()
    [0, 100, 255]

    Raises:
        ValueError: the map is empty or has another number of axes.
    """
    finite = _colours_or_one(_finite(values))
    return _as_rgb(np.asarray(cv2.addWeighted(finite, 1.0, finite, 0.0, 0.0, dtype=cv2.CV_8U), np.uint8))


def natural_display(kernel: Values) -> Display:
    """Return how the output of a filter is best shown: as a picture if it keeps brightness, else signed.

    >>> natural_display(np.full((3, 3), 1 / 9)), natural_display(np.array([[1.0, 0.0, -1.0]]))
    ('clipped', 'signed')
    """
    return "clipped" if abs(float(np.asarray(kernel, np.float64).sum())) > 0.5 else "signed"


def mask_to_rgb(mask: npt.NDArray[np.bool_]) -> Pixels:
    """Return a mask (H, W) in white on black.

    >>> mask_to_rgb(np.array([[True, False]])).tolist()
    [[[255, 255, 255], [0, 0, 0]]]

    Raises:
        ValueError: the mask is empty or has another number of axes.
    """
    if mask.ndim != 2 or mask.size == 0:
        raise ValueError(f"A mask has the shape (H, W) and is not empty, received {mask.shape}.")
    return _as_rgb(mask.astype(np.uint8) * np.uint8(255))


def direction_to_rgb(direction_deg: Values, magnitude: Values) -> Pixels:
    """Return directions (H, W) in degrees as hues, the brighter the larger the magnitude (H, W) is.

    Red is 0 degrees; opposite directions have opposite hues.

    >>> direction_to_rgb(np.array([[0.0, 180.0]]), np.array([[1.0, 1.0]])).tolist()
    [[[255, 35, 35], [35, 255, 255]]]

    Raises:
        ValueError: the maps are empty, or their shapes differ.
    """
    if direction_deg.shape != magnitude.shape or direction_deg.ndim != 2:
        raise ValueError(
            f"Directions and magnitudes must share a shape (H, W), received {direction_deg.shape} and "
            f"{magnitude.shape}."
        )
    strength = _finite(magnitude)
    reach = _largest(strength)
    hue = np.mod(_finite(direction_deg), 360.0) / 2  # OpenCV counts hues from 0 to 179
    # The square root lets weak edges be seen beside strong ones.
    brightness = np.sqrt(np.clip(strength / (reach if reach > 0 else 1.0), 0, 1)) * 255
    hsv = np.stack([hue, np.full_like(hue, 220), brightness], axis=-1)  # (H, W, 3)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _finite(values: Values) -> Floats:
    """Return a map as float32, zero where it is no finite number."""
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(f"A map has the shape (H, W) or (H, W, C) and is not empty, received {values.shape}.")
    floats = np.asarray(values, np.float32)
    # Finding out costs a sixth of replacing them, and there are hardly ever any.
    return floats if np.isfinite(floats.sum()) else np.nan_to_num(floats, posinf=0.0, neginf=0.0)


def _largest(values: Floats) -> float:
    """Return the largest absolute value; below 1e-30, whose inverse float32 cannot scale by, it counts as zero."""
    largest = max(float(values.max()), -float(values.min()))
    return largest if largest > 1e-30 else 0.0


def _strongest_channel(values: Floats) -> Floats:
    if values.ndim == 2:
        return np.ascontiguousarray(values)
    channels = [values[..., index] for index in range(values.shape[2])]
    highest, lowest = reduce(np.maximum, channels), reduce(np.minimum, channels)  # (H, W)
    return np.where(highest >= -lowest, highest, lowest)  # (H, W)


def _colours_or_one(values: Floats) -> Floats:
    """Return three channels as they are, and one of any other number."""
    return np.ascontiguousarray(values) if values.shape[2:] == (3,) else _strongest_channel(values)


def _as_rgb(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 3 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
