"""The ten crops of a picture: four corners and the middle, and the mirror image of each.

Source: Krizhevsky et al. 2012, section 4.1: at test time the softmax answers to five patches and their horizontal
reflections are averaged.

Arrays: pictures (N, H, W, C), crops (N, 10, c, c, C), boxes xyxy int (5, 4) in pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PLACES = ("top left", "top right", "bottom left", "bottom right", "middle")
# The crops of each way of testing, as indices into the ten; 5 to 9 are the mirror images of 0 to 4.
WAYS: dict[int, tuple[int, ...]] = {
    1: (4,),
    2: (4, 9),
    5: (0, 1, 2, 3, 4),
    10: tuple(range(10)),
}


def crop_boxes(height: int, width: int, crop_px: int) -> NDArray[np.int64]:
    """Corners and middle as boxes xyxy (5, 4), in the order of `PLACES`.

    Raises:
        ValueError: If the crop is larger than the picture.

    >>> crop_boxes(4, 6, 2)[[0, 3, 4]].tolist()
    [[0, 0, 2, 2], [4, 2, 6, 4], [2, 1, 4, 3]]
    """
    if not 1 <= crop_px <= min(height, width):
        raise ValueError(f"A crop of {crop_px} px does not fit into a picture of {height} x {width}.")
    down, right = height - crop_px, width - crop_px
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    return np.array([(left, top, left + crop_px, top + crop_px) for top, left in corners], np.int64)


def ten_crops(pictures: NDArray[Any], crop_px: int) -> NDArray[Any]:
    """All ten crops of each picture, (N, 10, crop_px, crop_px, C)."""
    boxes = crop_boxes(pictures.shape[1], pictures.shape[2], crop_px)
    five = np.stack([pictures[:, top:bottom, left:right] for left, top, right, bottom in boxes], axis=1)
    return np.concatenate([five, five[:, :, :, ::-1]], axis=1)  # (N, 5, c, c, C) and mirrored -> (N, 10, c, c, C)


def random_crops(pictures: NDArray[Any], crop_px: int, random: np.random.Generator) -> NDArray[Any]:
    """One crop of each picture at a random place, every second one mirrored: (N, crop_px, crop_px, C)."""
    count, height, width = pictures.shape[:3]
    tops = random.integers(0, height - crop_px + 1, count)
    lefts = random.integers(0, width - crop_px + 1, count)
    mirrored = np.asarray(random.random(count) < 0.5)
    cropped = []
    for index, picture in enumerate(pictures):
        window = picture[tops[index] : tops[index] + crop_px, lefts[index] : lefts[index] + crop_px]
        cropped.append(window[:, ::-1] if mirrored[index] else window)
    return np.stack(cropped)


def mean_over_crops(probabilities: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The mean answer (N, classes) over 1, 2, 5 or 10 of the ten crops' probabilities (N, 10, classes)."""
    mean: NDArray[np.float32] = probabilities[:, list(WAYS[count])].mean(axis=1)
    return mean
