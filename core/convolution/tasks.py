"""What this chapter asks of a worker process: three libraries compared, a filter learned, a stack built.

Every function takes plain values and arrays and returns frozen dataclasses; TensorFlow and Keras are imported
when a function needs them, so that a page can read this module's results without them. The comparisons run
the texts of core.convolution.snippets, unchanged.
"""

import itertools
import math
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.convolution import stack_model
from core.convolution.decorrelation import Preparation
from core.convolution.filter_learning import (
    FilterLearningResult,
    LearningSettings,
    Optimiser,
    Schedule,
    learn,
)
from core.convolution.geometry import covered_size
from core.convolution.operation import Activation, Border, ConvolutionSettings, Padding, output_amount
from core.convolution.pooling import Mode as PoolingMode
from core.convolution.snippets import (
    CodeSnippets,
    convolution_snippets,
    pooling_snippets,
    split_at_mark,
    volume_snippets,
)
from core.convolution.stack_model import StackModel
from core.runtime.report import Report

MAX_SIDE_PX = 512
# What three libraries compute half a dozen times in a second or two on two cores.
_MAX_PRODUCTS = 200_000_000
_MAX_NUMBERS_OUT = 2_000_000
_SMALLEST_SIDE_PX = 16
_TIMED_RUNS = 5
_TIMED_FOR_S = 0.5  # an implementation that is slower than this is timed once

FloatArray = NDArray[np.float32]


class ComparisonTooLarge(ValueError):
    """Even the smallest part of the image that the filter fits into would take too long."""


@dataclass(frozen=True)
class ImplementationRun:
    """One program and what came of it.

    Attributes:
        name: NumPy, TensorFlow or Keras.
        code: the text that was run.
        result: float32.
        time_ms: median time of its computation, the first run left out.
    """

    name: str
    code: str
    result: FloatArray
    time_ms: float


@dataclass(frozen=True)
class PairDifference:
    """The largest absolute difference between the results of two programs."""

    first: str
    second: str
    largest: float


@dataclass(frozen=True)
class ImplementationComparison:
    """The same computation by NumPy, TensorFlow and Keras.

    Attributes:
        runs: one for each.
        differences: one for each pair.
        input_shape: of what was computed on.
        note: a sentence if that is only a part of what was given, otherwise empty.
    """

    runs: tuple[ImplementationRun, ...]
    differences: tuple[PairDifference, ...]
    input_shape: tuple[int, ...]
    note: str

    @property
    def largest_difference(self) -> float:
        """The largest of the differences."""
        return max(difference.largest for difference in self.differences)

    @property
    def largest_value(self) -> float:
        """The largest absolute value of the results, to judge the differences by."""
        return max(float(np.abs(run.result).max()) for run in self.runs)


def compare_implementations(
    image: NDArray[Any],
    kernel: NDArray[Any],
    stride: int = 1,
    padding: Padding = "valid",
    border: Border = "zero",
    dilation: int = 1,
    flip: bool = False,
) -> ImplementationComparison:
    """Filter an image (H, W) or (H, W, C) with a kernel (f_h, f_w) in NumPy, TensorFlow and Keras.

    A large image is compared on its central part: 512 x 512 pixels, fewer for large filters.

    Raises:
        FilterTooLarge: The filter does not fit into the padded image.
        ComparisonTooLarge: Filter or padding make too much work of the smallest image.
        ValueError: A setting out of range, or arrays that are no image or filter.
    """
    settings = ConvolutionSettings(stride, padding, border, dilation, flip)
    pixels, weights = np.asarray(image), np.asarray(kernel)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"The image must have the shape (H, W) or (H, W, C), received {pixels.shape}.")
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(f"The filter must be a matrix (f, f), received {weights.shape}.")
    f_h, f_w = weights.shape
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    part, note = _central_part(pixels, (f_h, f_w), settings, weights.size * channels, channels)
    snippets = convolution_snippets(settings, (f_h, f_w), part.shape)
    return _compare(snippets, {"image": part, "kernel": weights}, part.shape, note)


def compare_volume(
    volume: NDArray[Any],
    filters: NDArray[Any],
    bias: NDArray[Any],
    stride: int = 1,
    padding: Padding = "valid",
    border: Border = "zero",
    dilation: int = 1,
    flip: bool = False,
    activation: Activation = "linear",
) -> ImplementationComparison:
    """Run one convolution layer: volume (H, W, C), filters (f, f, C, K), bias (K,) to (H', W', K).

    A large volume is compared on its central part, as in `compare_implementations`.

    Raises:
        FilterTooLarge: The filters do not fit into the padded volume.
        ComparisonTooLarge: Filters or padding make too much work of the smallest volume.
        ValueError: A setting out of range, or shapes that do not belong together.
    """
    settings = ConvolutionSettings(stride, padding, border, dilation, flip)
    pixels, weights, offsets = np.asarray(volume), np.asarray(filters), np.asarray(bias)
    if pixels.ndim != 3 or weights.ndim != 4 or 0 in pixels.shape or 0 in weights.shape:
        raise ValueError(
            "The volume must have the shape (H, W, C) and the filters (f, f, C, K), "
            f"received {pixels.shape} and {weights.shape}."
        )
    if offsets.shape != weights.shape[3:]:
        raise ValueError(f"Expected one bias for each of {weights.shape[3]} filters, received {offsets.shape}.")
    f_h, f_w, depth, count = weights.shape
    # Products of matrices run about eight times as fast as those of single numbers.
    products = f_h * f_w * max(depth * count // 8, depth + count)
    part, note = _central_part(pixels, (f_h, f_w), settings, products, count)
    height, width, channels = part.shape
    snippets = volume_snippets(settings, (f_h, f_w, depth, count), (height, width, channels), activation)
    return _compare(snippets, {"volume": part, "filters": weights, "bias": offsets}, part.shape, note)


def compare_pooling(x: NDArray[Any], f: int, s: int, mode: PoolingMode) -> ImplementationComparison:
    """Pool x (H, W) or (H, W, C) by f x f windows with stride s in NumPy, TensorFlow and Keras.

    A large input is compared on its central 512 x 512 pixels.

    Raises:
        FilterTooLarge: The window is larger than the input.
        ValueError: A value out of range, or an array that is no image.
    """
    pixels = np.asarray(x)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"The input must have the shape (H, W) or (H, W, C), received {pixels.shape}.")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    part, note = _central_part(pixels, (f, f), ConvolutionSettings(stride=s), f * f * channels, channels)
    return _compare(pooling_snippets(f, s, mode, part.shape), {"x": part}, part.shape, note)


def learn_filter(
    image: NDArray[Any],
    target: NDArray[Any],
    optimiser: Optimiser = "sgd",
    learning_rate: float | None = None,
    momentum: float = 0.9,
    schedule: Schedule = "constant",
    preparation: Preparation = "decorrelated",
    steps: int = 8_000,
    use_bias: bool = True,
    seed: int = 0,
    tolerance: float = 0.01,
    report: Report | None = None,
) -> FilterLearningResult:
    """Train one convolution layer on a photograph (H, W) or (H, W, 3) until it finds the target (f, f).

    The choices are those of LearningSettings; method and errors are those of filter_learning.learn.
    """
    settings = LearningSettings(
        optimiser=optimiser,
        learning_rate=learning_rate,
        momentum=momentum,
        schedule=schedule,
        preparation=preparation,
        steps=steps,
        use_bias=use_bias,
        seed=seed,
        tolerance=tolerance,
    )
    return learn(image, target, settings, report)


def check_stack_keras(stack_json: str) -> StackModel:
    """Return what Keras says of a stack's layers, from a model whose weights take no memory.

    The text is what core.convolution.stack.to_json writes; the errors are those of stack_model.check.
    """
    return stack_model.check(stack_json)


def build_stack_keras(stack_json: str) -> StackModel:
    """Build a stack with random weights and return it with its `.keras` file.

    The text is what core.convolution.stack.to_json writes; the errors are those of stack_model.export.
    """
    return stack_model.export(stack_json)


def _central_part(
    pixels: NDArray[Any],
    kernel_shape: tuple[int, int],
    settings: ConvolutionSettings,
    products_per_pixel: int,
    numbers_per_pixel: int,
) -> tuple[NDArray[Any], str]:
    """Return the middle of an image, small enough for a short call, and a sentence if it was cut."""
    height, width = pixels.shape[:2]
    for n, f in zip((height, width), kernel_shape, strict=True):
        output_amount(n, f, settings)  # what does not fit is refused with the sizes of the whole image

    def affordable(side: int) -> bool:
        outputs = math.prod(
            output_amount(min(n, side), f, settings) for n, f in zip((height, width), kernel_shape, strict=True)
        )
        return outputs * products_per_pixel <= _MAX_PRODUCTS and outputs * numbers_per_pixel <= _MAX_NUMBERS_OUT

    margin = {"valid": 0, "same": covered_size(max(kernel_shape), settings.dilation)}
    padding = margin[settings.padding] if isinstance(settings.padding, str) else 2 * settings.padding
    smallest = max(_SMALLEST_SIDE_PX, covered_size(max(kernel_shape), settings.dilation) - padding)
    side = max(smallest, min(MAX_SIDE_PX, max(height, width)))
    while not affordable(side):
        if side == smallest:
            raise ComparisonTooLarge(
                "With this filter and padding the output is too large to compute it many times over: "
                "take a smaller filter, less padding or a larger stride to compare the libraries."
            )
        side = max(smallest, side * 4 // 5)
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    part = pixels[top : top + side, left : left + side]  # (H, W) -> (side, side) at most
    if part.shape == pixels.shape:
        return pixels, ""
    return part, (
        f"Compared on the central {part.shape[0]} x {part.shape[1]} pixels of {height} x {width}, with the "
        "programs for that size, so that it takes no longer than a moment."
    )


def _compare(
    snippets: CodeSnippets, inputs: dict[str, NDArray[Any]], shape: tuple[int, ...], note: str
) -> ImplementationComparison:
    runs = tuple(_timed(name, code, inputs) for name, code in snippets.items())
    differences = tuple(
        PairDifference(a.name, b.name, float(np.abs(a.result.astype(np.float64) - b.result).max()))
        for a, b in itertools.combinations(runs, 2)
    )
    return ImplementationComparison(runs, differences, shape, note)


def _timed(name: str, code: str, inputs: dict[str, NDArray[Any]]) -> ImplementationRun:
    """Run one of our own programs: get ready once, then compute several times."""
    # The texts come from core.convolution.snippets, which puts only whole numbers and fixed words into them;
    # what a person typed or uploaded is in `inputs`, as arrays. The copy keeps each program's names its own.
    names: dict[str, Any] = dict(inputs)
    ready, computation = (compile(part, f"<{name} snippet>", "exec") for part in split_at_mark(code))
    exec(ready, names)  # noqa: S102
    times_s: list[float] = []
    began = time.perf_counter()
    for _ in range(1 + _TIMED_RUNS):
        start = time.perf_counter()
        exec(computation, names)  # noqa: S102
        times_s.append(time.perf_counter() - start)
        if len(times_s) > 1 and time.perf_counter() - began > _TIMED_FOR_S:
            break
    result = np.ascontiguousarray(names["result"], dtype=np.float32)
    return ImplementationRun(name, code, result, 1e3 * statistics.median(times_s[1:]))
