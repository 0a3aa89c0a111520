"""The layers of the window classifier as data, with their shapes and their cost window by window and convolutionally.

Arrays: none; shapes are (rows, columns, channels). A multiplication is one product of a weight and an activation.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.detection.sliding_windows import WINDOW_PX, Level

Shape = tuple[int, int, int]
# Convolutions as (name, kernel, stride, channels), poolings as their name; 64 px become 3 x 3 x 128.
TRUNK: tuple[tuple[str, int, int, int] | str, ...] = (
    ("conv1", 5, 2, 24),
    ("conv2", 3, 1, 48),
    "pool2",
    ("conv3", 3, 1, 80),
    ("conv4", 3, 1, 96),
    "pool4",
    ("conv5", 3, 1, 128),
)
HIDDEN_UNITS = 192
CONVOLUTIONS = tuple(row[0] for row in TRUNK if not isinstance(row, str))
INPUT_CHANNELS = 3


@dataclass(frozen=True)
class LayerCost:
    """A layer in both forms: what it does, its output for one window and for a whole image, and the multiplications."""

    name: str
    in_window: str
    in_image: str
    window_shape: Shape
    image_shape: Shape
    parameters: int
    window_multiplications: int
    image_multiplications: int


def layer_costs(level: Level, class_count: int) -> tuple[LayerCost, ...]:
    """All layers for an image of a level's size, from the first convolution to the scores.

    >>> from core.detection.sliding_windows import Level
    >>> costs = layer_costs(Level(1.0, 512, 512), 6)
    >>> costs[-1].image_shape, costs[-3].window_shape
    ((57, 57, 7), (3, 3, 128))
    """
    costs: list[LayerCost] = []
    window, image = (WINDOW_PX, WINDOW_PX, INPUT_CHANNELS), (level.height_px, level.width_px, INPUT_CHANNELS)
    for row in TRUNK:
        if isinstance(row, str):
            window, image = _pooled(window), _pooled(image)
            costs.append(LayerCost(row, "max 2 × 2 / 2", "max 2 × 2 / 2", window, image, 0, 0, 0))
            continue
        name, kernel, stride, width = row
        weights = kernel * kernel * window[2] * width
        window, image = _convolved(window, kernel, stride, width), _convolved(image, kernel, stride, width)
        words = f"{kernel} × {kernel} conv" + (f" / {stride}" if stride > 1 else "")
        costs.append(_cost(name, words, words, window, image, weights, width))
    side, channels = window[0], window[2]
    weights = side * side * channels * HIDDEN_UNITS
    window, image = (1, 1, HIDDEN_UNITS), _convolved(image, side, 1, HIDDEN_UNITS)
    costs.append(
        _cost("fc6", f"fully connected, {HIDDEN_UNITS}", f"{side} × {side} conv", window, image, weights, HIDDEN_UNITS)
    )
    answers = 1 + class_count
    window, image = (1, 1, answers), _convolved(image, 1, 1, answers)
    costs.append(
        _cost("fc7", f"fully connected, {answers}", "1 × 1 conv", window, image, HIDDEN_UNITS * answers, answers)
    )
    return tuple(costs)


def _cost(
    name: str, in_window: str, in_image: str, window: Shape, image: Shape, weights: int, biases: int
) -> LayerCost:
    # Every output position multiplies with each weight once.
    return LayerCost(
        name,
        in_window,
        in_image,
        window,
        image,
        weights + biases,
        weights * window[0] * window[1],
        weights * image[0] * image[1],
    )


def _convolved(shape: Shape, kernel: int, stride: int, channels: int) -> Shape:
    return (shape[0] - kernel) // stride + 1, (shape[1] - kernel) // stride + 1, channels


def _pooled(shape: Shape) -> Shape:
    return shape[0] // 2, shape[1] // 2, shape[2]
