"""From a pair of edge filters to edges: gradient, threshold, and Canny beside it.

Section 1.2 of the notes, edge detection. The gradient of brightness points to where the image gets brighter.
Canny, "A Computational Approach to Edge Detection", IEEE PAMI 8, 1986, is OpenCV's implementation.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from core.convolution.fast import convolve
from core.convolution.filters import filter_kernel
from core.convolution.settings import Border, ConvolutionSettings

KernelPair = Literal["sobel", "scharr", "prewitt"]
Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class GradientField:
    """The gradient at every pixel, all float32 (H, W).

    Attributes:
        gx: change to the right, in the filter's own scale: positive where the image gets brighter to the
            right. It is minus the response of the notes' vertical filter, which counts bright-to-dark.
        gy: change downwards, positive where the image gets brighter below.
        magnitude: sqrt(gx^2 + gy^2).
        direction_deg: atan2(gy, gx) from -180 to 180: 0 gets brighter to the right, 90 downwards.
    """

    gx: Map
    gy: Map
    magnitude: Map
    direction_deg: Map


def luminance(image: npt.NDArray[np.uint8]) -> Map:
    """Return the brightness of an RGB image (H, W, 3) uint8 as float32 (H, W), 0 to 255, not rounded.

    The weights are those of ITU-R BT.601: 0.299 red, 0.587 green, 0.114 blue.

    >>> luminance(np.full((1, 1, 3), 200, np.uint8))
    array([[200.]], dtype=float32)

    Raises:
        ValueError: the array is not (H, W, 3).
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"The image must be RGB with the shape (H, W, 3), received {image.shape}.")
    grey = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)  # (H, W)
    return grey.astype(np.float32, copy=False)


def gradient(image: npt.NDArray[np.generic], kernel_pair: KernelPair, *, border: Border = "reflect") -> GradientField:
    """Return the gradient of an image (H, W), same size, by the vertical and horizontal filter of one family.

    The border is mirrored unless told otherwise, since a border of zeros would draw an edge around the image.

    >>> field = gradient(np.array([[0.0, 0.0, 9.0, 9.0]] * 3), "sobel")
    >>> field.gx[1], field.direction_deg[1, 1]
    (array([ 0., 36., 36.,  0.], dtype=float32), np.float32(0.0))

    Raises:
        ValueError: the image has no two axes, or there is no such pair.
    """
    if image.ndim != 2:
        raise ValueError(f"The gradient needs an image of the shape (H, W), received {image.shape}.")
    if kernel_pair not in ("sobel", "scharr", "prewitt"):
        raise ValueError(f"The pair must be sobel, scharr or prewitt, received {kernel_pair!r}.")
    settings = ConvolutionSettings(padding="same", border=border)
    gx = convolve(image, -filter_kernel(f"{kernel_pair}_vertical"), settings)  # (H, W)
    gy = convolve(image, -filter_kernel(f"{kernel_pair}_horizontal"), settings)  # (H, W)
    return GradientField(gx, gy, np.hypot(gx, gy), np.rad2deg(np.arctan2(gy, gx)))


def edge_map(magnitude: npt.NDArray[np.generic], threshold: float) -> npt.NDArray[np.bool_]:
    """Return where the magnitude is above the threshold, bool of the same shape.

    >>> edge_map(np.array([1.0, 5.0]), 2.0)
    array([False,  True])
    """
    above: npt.NDArray[np.bool_] = np.greater(magnitude, threshold)
    return above


def canny(image: npt.NDArray[np.generic], low: float, high: float) -> npt.NDArray[np.bool_]:
    """Return Canny's edges, bool (H, W): local maxima above high, and those above low that touch them.

    The thresholds are on the magnitude of the Sobel gradient, as gradient() gives it. An RGB image is taken
    by its luminance.

    Raises:
        ValueError: low is above high, or the image is no (H, W) of brightness 0 to 255 or (H, W, 3) of uint8.
    """
    if low > high:
        raise ValueError(f"Canny's low threshold ({low:g}) must not be above the high one ({high:g}).")
    if image.ndim == 3 and image.dtype != np.uint8:
        raise ValueError(f"A colour image must be uint8, received {image.dtype}.")
    grey = luminance(image.astype(np.uint8, copy=False)) if image.ndim == 3 else image
    field = gradient(grey, "sobel", border="replicate")
    # A Sobel response of a brightness up to 255 stays within 1020.
    horizontal, vertical = (np.rint(g).astype(np.int16) for g in (field.gx, field.gy))
    edges = cv2.Canny(horizontal, vertical, low, high, L2gradient=True)  # (H, W), 0 or 255
    return edges > 0
