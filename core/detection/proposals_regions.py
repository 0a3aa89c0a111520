"""Blobs: the first regions of selective search, and what is remembered of each.

A picture is cut into regions by a graph of its pixels: two regions stay apart where the step between them is larger
than the steps within them (Felzenszwalb and Huttenlocher 2004, "Efficient Graph-Based Image Segmentation"; computed by
scikit-image). A region is remembered by its size, its box, a histogram of its colours and one of its texture, so that
two regions can be joined without looking at a pixel again (Uijlings et al. 2013, section 3.2).

Arrays: pictures RGB uint8 (H, W, 3); labels int32 (H, W) counting the regions from 0; boxes xyxy (n, 4) in pixels,
right and bottom exclusive; histograms (n, bins) that sum to one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from core.detection.predictions import check_picture

Image = NDArray[np.uint8]
Labels = NDArray[np.int32]
Floats = NDArray[np.float32]
ColourSpace = Literal["rgb", "lab", "hsv"]

COLOUR_BINS = 25
ORIENTATIONS, TEXTURE_BINS = 8, 10
# A slope of this many grey levels a pixel falls into the last bin.
STEEPEST = 40.0


@dataclass(frozen=True)
class Regions:
    """The regions of a segmentation; `neighbours` (m, 2) are pairs of labels that touch, the smaller first."""

    labels: Labels
    sizes_px: Floats
    boxes_xyxy: Floats
    colours: Floats
    textures: Floats
    neighbours: NDArray[np.int64]


def segment(
    image: Image, scale: float = 100.0, smallest_px: int = 20, sigma: float = 0.8, space: ColourSpace = "rgb"
) -> Labels:
    """Felzenszwalb's regions: larger ones with a larger `scale`, none under `smallest_px` pixels.

    Raises:
        PictureError: If the array is no RGB picture.

    >>> halves = np.zeros((20, 20, 3), np.uint8)
    >>> halves[:, 10:] = 255
    >>> labels = segment(halves)
    >>> bool(labels[0, 0] == labels[-1, 0]), bool(labels[0, 0] == labels[0, -1])
    (True, False)
    """
    check_picture(image)
    from skimage.segmentation import felzenszwalb

    pixels = in_space(image, space).astype(np.float32) / 255
    found = felzenszwalb(pixels, scale=scale, sigma=sigma, min_size=smallest_px, channel_axis=-1)
    return np.asarray(found, np.int32)


def in_space(image: Image, space: ColourSpace) -> Image:
    """The picture's three channels in another colour space, each 0..255."""
    if space == "lab":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.uint8)
    if space == "hsv":
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), np.uint8)
    return image


def measure_regions(image: Image, labels: Labels) -> Regions:
    """Sizes, boxes, histograms and neighbours of all regions.

    Raises:
        ValueError: If picture and labels are not of one size.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f"expected labels of shape {image.shape[:2]}, received {labels.shape}")
    count = int(labels.max()) + 1
    flat = labels.ravel()
    sizes = np.bincount(flat, minlength=count).astype(np.float32)
    levels = in_space(image, "hsv").reshape(-1, 3).astype(np.int64) * COLOUR_BINS // 256
    colours = _histograms(levels, flat, count, COLOUR_BINS)
    textures = _histograms(_texture_levels(image), flat, count, TEXTURE_BINS)
    return Regions(labels, sizes, _boxes(labels, count), colours, textures, _neighbours(labels))


def _histograms(levels: NDArray[np.integer], labels: Labels, count: int, bins: int) -> Floats:
    """Levels (pixels, channels) of each region, counted by channel: (count, channels * bins), rows sum to one."""
    channels = levels.shape[1]
    result = np.empty((count, channels, bins), np.float32)
    base = labels.astype(np.int64) * bins
    for channel in range(channels):
        result[:, channel] = np.bincount(base + levels[:, channel], minlength=count * bins).reshape(count, bins)
    rows = result.reshape(count, channels * bins)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), np.float32)


def _texture_levels(image: Image) -> NDArray[np.int64]:
    """How steep each pixel is in 8 directions in each channel, in 10 levels: (pixels, 24)."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1).reshape(-1, 3) / 2
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1).reshape(-1, 3) / 2
    angles = np.arange(ORIENTATIONS) * (2 * np.pi / ORIENTATIONS)
    scale = TEXTURE_BINS / STEEPEST
    slopes = [(np.cos(a) * across + np.sin(a) * down) * scale for a in angles]  # 8 x (pixels, 3)
    return np.asarray(np.clip(np.concatenate(slopes, axis=1), 0, TEXTURE_BINS - 1), np.int64)


def _boxes(labels: Labels, count: int) -> Floats:
    height, width = labels.shape
    y, x = np.divmod(np.arange(height * width), width)
    flat = labels.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(count))
    x, y = x[order], y[order]
    return np.stack(
        [
            np.minimum.reduceat(x, starts),
            np.minimum.reduceat(y, starts),
            np.maximum.reduceat(x, starts) + 1,
            np.maximum.reduceat(y, starts) + 1,
        ],
        axis=1,
    ).astype(np.float32)


def _neighbours(labels: Labels) -> NDArray[np.int64]:
    """Pairs of labels that share a side of a pixel."""
    pairs = [
        np.stack([first.ravel(), second.ravel()], axis=1)
        for first, second in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:]))
    ]
    both = np.concatenate(pairs).astype(np.int64)
    both = np.sort(both[both[:, 0] != both[:, 1]], axis=1)
    count = int(labels.max()) + 1
    codes = np.unique(both[:, 0] * count + both[:, 1])
    return np.stack(np.divmod(codes, count), axis=1)
