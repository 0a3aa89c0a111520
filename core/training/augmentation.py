"""Augmentation: a training picture is changed a little each time it is seen, in ways that keep its class.

Source: Krizhevsky et al. 2012, section 4.1 (shifts, mirror images, colour); Simard et al. 2003 (digits turned and
moved). The random numbers are drawn beside the network and given as an array, so that the same draws change pictures
in the same way in training, in the preview, and in the program that a user takes home, which holds the text of
`augment`. Imports Keras.

Arrays: pictures float32 (N, H, W, C) 0..255, draws float32 (N, 8) in [0, 1).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from core.training.runs import TrainingSettings

DRAWS = 8


def augment(
    pictures: Any,
    draws: Any,
    shift_px: int = 0,
    flip: bool = False,
    rotate_deg: float = 0.0,
    zoom: float = 0.0,
    colour: float = 0.0,
) -> Any:
    """Move, mirror, turn, zoom and recolour each picture as its draws say; what was outside repeats the rim.

    Args:
        pictures: (N, H, W, C), 0..255.
        draws: (N, 8) in [0, 1): shift of rows and columns, mirror, turn, zoom, brightness, contrast, saturation.
        shift_px: The largest shift each way, in whole pixels.
        flip: Whether every second picture is mirrored, left for right.
        rotate_deg: The largest turn each way.
        zoom: The largest share by which a picture is enlarged or shrunk.
        colour: The largest share by which brightness, contrast and saturation change.
    """
    ops = keras.ops
    height, width, channels = pictures.shape[1:]
    if shift_px or flip or rotate_deg or zoom:
        down = ops.floor(draws[:, 0] * (2 * shift_px + 1)) - shift_px  # (N,)
        right = ops.floor(draws[:, 1] * (2 * shift_px + 1)) - shift_px
        mirror = ops.where(draws[:, 2] < 0.5, -1.0, 1.0) if flip else ops.ones_like(down)
        angle = (2 * draws[:, 3] - 1) * (rotate_deg * np.pi / 180)
        scale = 1 / (1 + zoom * (2 * draws[:, 4] - 1))
        cos, sin = ops.cos(angle) * scale, ops.sin(angle) * scale
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
        x, y = middle_x + right, middle_y + down  # where the middle goes
        # Which point of the old picture stands at each point of the new one.
        rows = [mirror * cos, mirror * sin, middle_x - mirror * (cos * x + sin * y)]
        rows += [-sin, cos, middle_y - (cos * y - sin * x), ops.zeros_like(x), ops.zeros_like(x)]
        transform = ops.stack(rows, axis=1)  # (N, 8)
        pictures = ops.image.affine_transform(pictures, transform, fill_mode="nearest")
    if colour:
        change = (2 * draws[:, 5:8, None, None, None] - 1) * colour  # (N, 3, 1, 1, 1)
        mean = ops.mean(pictures, axis=(1, 2, 3), keepdims=True)
        pictures = mean + (pictures - mean) * (1 + change[:, 1]) + 127.5 * change[:, 0]
        if channels == 3:
            grey = ops.mean(pictures, axis=3, keepdims=True)
            pictures = grey + (pictures - grey) * (1 + change[:, 2])
        pictures = ops.clip(pictures, 0, 255)
    return pictures


def augmented(pictures: Any, draws: Any, settings: TrainingSettings) -> Any:
    """Change pictures as a run's settings say."""
    return augment(
        pictures, draws, settings.shift_px, settings.flip, settings.rotate_deg, settings.zoom, settings.colour
    )


def epoch_draws(settings: TrainingSettings, epoch: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The order of the pictures in an epoch (count,) and the draws for each place (count, 8); empty if none are used.

    Both depend on seed and epoch alone: a run that is resumed sees what it would have seen.
    """
    random = np.random.default_rng([settings.seed, epoch])
    order = random.permutation(count)
    return order, random.random((count if settings.augments else 0, DRAWS), np.float32)
