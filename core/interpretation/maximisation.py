"""The image that maximises a unit: gradient ascent on pixels (Erhan et al. 2009; Simonyan et al. 2014, section 2).

What is climbed is a sum of terms that reads like the formula, each of which can be switched off:

    objective = activation - total_variation_weight * TV(x) - contrast_weight * |x - grey|^2

The activation is the mean of a channel's map, or its unit in the middle. Two more habits keep the image from noise:
*jitter* (before each step the image is shifted by a few random pixels) and writing the image as its *spectrum*, with
every frequency scaled by one over it, so that large shapes move as easily as single pixels (Olah et al. 2017, Feature
visualization). The image x in 0..255 is 255 * sigmoid(z), so that it stays one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.interpretation.types import MaximisedImage
from core.runtime.report import Report

PREVIEW_EVERY_S = 0.4
_GREY = 127.5


@dataclass(frozen=True)
class AscentSettings:
    """What is climbed and how.

    Args:
        steps: Steps of Adam (Kingma and Ba 2014), 1 to 1024.
        rate: Adam's step length, in units of z.
        target: "channel" for the mean of the channel's map, "unit" for the unit in the middle of it.
        total_variation_weight: Of the mean absolute difference of neighbouring pixels (in 0..1), 0 for off.
        contrast_weight: Of the mean squared distance from grey (in -1..1), 0 for off.
        jitter_px: Largest shift before each step, 0 for off.
        spectrum: Whether the image is written as its spectrum, or pixel by pixel.
        seed: Of the first image and of the shifts.
    """

    steps: int = 96
    rate: float = 0.08
    target: Literal["channel", "unit"] = "channel"
    total_variation_weight: float = 0.3
    contrast_weight: float = 0.05
    jitter_px: int = 8
    spectrum: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Hold the ranges.

        Raises:
            ValueError: If a setting is out of range.
        """
        if not 1 <= self.steps <= 1024:
            raise ValueError(f"The steps are 1 to 1024; got {self.steps}.")
        if not 0 < self.rate <= 1:
            raise ValueError(f"The rate is over 0 and at most 1; got {self.rate}.")
        if min(self.total_variation_weight, self.contrast_weight, self.jitter_px) < 0:
            raise ValueError("Weights and jitter are 0 or more.")
        if self.target not in ("channel", "unit"):
            raise ValueError(f'The target is "channel" or "unit"; got {self.target!r}.')


def total_variation(x: Any) -> Any:
    """Mean absolute difference of neighbouring pixels of images (N, H, W, 3), down plus across."""
    from keras import ops

    down = ops.mean(ops.abs(x[:, 1:] - x[:, :-1]))
    across = ops.mean(ops.abs(x[:, :, 1:] - x[:, :, :-1]))
    return down + across


def spectrum_scale(side_px: int) -> NDArray[np.float32]:
    """One over the frequency of each coefficient of a real Fourier transform, (side, side // 2 + 1); 1/side at zero.

    >>> spectrum_scale(4)[0].tolist()
    [4.0, 4.0, 2.0]
    """
    rows = np.fft.fftfreq(side_px)[:, None]
    columns = np.fft.rfftfreq(side_px)[None]
    frequency = np.sqrt(rows**2 + columns**2)
    return (1.0 / np.maximum(frequency, 1.0 / side_px)).astype(np.float32)


def maximise(
    maps: Any,
    side_px: int,
    rows: int,
    columns: int,
    channel: int,
    settings: AscentSettings,
    report: Report | None = None,
    best_photograph: float | None = None,
    is_grey: bool = False,
) -> MaximisedImage:
    """Climb the activation of a channel.

    Args:
        maps: Gives the maps (1, rows, columns, channels) of a batch (1, side, side, 3) in 0..255, differentiably.
        side_px: Side of the image.
        rows: Of the map.
        columns: Of the map.
        channel: Which map.
        settings: What is climbed and how.
        report: Told the activation after each step, with the image as a preview; cancels.
        best_photograph: What the best patch of a photograph reached, to compare; handed on.
        is_grey: Whether the image has one channel, shown three times.
    """
    import time

    import tensorflow as tf

    rng = np.random.default_rng(settings.seed)
    scale = tf.constant(spectrum_scale(side_px))
    planes = 1 if is_grey else 3
    if settings.spectrum:
        start = rng.normal(0, 0.01, (2, planes, side_px, side_px // 2 + 1))
    else:
        start = rng.normal(0, 0.1, (1, side_px, side_px, planes))
    z = tf.Variable(start.astype(np.float32), name="image_parameters")
    optimizer_state = [tf.Variable(tf.zeros_like(z)), tf.Variable(tf.zeros_like(z))]

    def picture() -> Any:
        """The image (1, side, side, 3) in 0..255."""
        logits = z
        if settings.spectrum:
            coefficients = tf.complex(z[0] * scale, z[1] * scale)  # (planes, side, side // 2 + 1)
            plane = tf.signal.irfft2d(coefficients, fft_length=[side_px, side_px])  # (planes, side, side)
            logits = tf.transpose(plane, (1, 2, 0))[None] * (side_px / 4.0)  # (1, side, side, planes)
        return tf.repeat(255.0 * tf.sigmoid(logits), 3 // planes, axis=3)

    def activation_of(x: Any) -> Any:
        answer = maps(x)[..., channel]  # (1, rows, columns)
        if settings.target == "channel":
            return tf.reduce_mean(answer)
        return answer[0, rows // 2, columns // 2]

    @tf.function(jit_compile=False)  # type: ignore[untyped-decorator]
    def step(number: Any, shift: Any) -> Any:
        with tf.GradientTape() as tape:
            x = picture()
            seen = tf.roll(x, shift, axis=(1, 2))
            activation = activation_of(seen)
            variation = total_variation(x / 255.0)
            contrast = tf.reduce_mean(tf.square((x - _GREY) / _GREY))
            # The activation counts relative to its own size: layers answer in ranges of their own.
            size = tf.stop_gradient(tf.abs(activation)) + 1e-3
            objective = (
                activation / size - settings.total_variation_weight * variation - settings.contrast_weight * contrast
            )
        gradient = tape.gradient(objective, z)
        first, second = optimizer_state
        first.assign(0.9 * first + 0.1 * gradient)
        second.assign(0.99 * second + 0.01 * tf.square(gradient))
        unbiased = (first / (1 - 0.9**number)) / (tf.sqrt(second / (1 - 0.99**number)) + 1e-8)
        z.assign_add(settings.rate * unbiased)
        return activation, variation

    activations, variations = [], []
    began = float(activation_of(picture()))
    shown_at = 0.0
    for number in range(1, settings.steps + 1):
        shift = rng.integers(-settings.jitter_px, settings.jitter_px + 1, 2) if settings.jitter_px else np.zeros(2, int)
        activation, variation = step(tf.constant(float(number)), tf.constant(shift, tf.int32))
        activations.append(float(activation))
        variations.append(float(variation))
        if report is not None:
            now = time.monotonic()
            preview = None
            if now - shown_at > PREVIEW_EVERY_S:
                preview, shown_at = as_pixels(picture()), now
            report(
                number / settings.steps,
                "Climbing",
                metrics={"step": number, "activation": activations[-1]},
                preview=preview,
            )
    return MaximisedImage(
        as_pixels(picture()),
        np.array(activations, np.float32),
        np.array(variations, np.float32),
        began,
        best_photograph,
    )


def as_pixels(x: Any) -> NDArray[np.uint8]:
    """Images (1, H, W, 3) in 0..255 as a picture (H, W, 3) of whole numbers."""
    return np.asarray(np.rint(np.clip(np.asarray(x)[0], 0, 255)), np.uint8)
