"""The 1 x 1 convolution: a dense layer at each pixel, and the bottleneck that makes large filters cheap.

Sources: Lin et al., 2013, "Network in network", section 3.1; Szegedy et al., 2014, "Going deeper with
convolutions", section 4. Arrays are maps (H, W, C) float32. Counting is light; TensorFlow is imported where
something is run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Maps = npt.NDArray[np.float32]

LARGEST_MEASURED = 20 * 10**9  # multiply-adds of one run; more would keep the page waiting
LARGEST_VALUES = 200 * 10**6


@dataclass(frozen=True)
class OneByOneEquivalence:
    """Three ways to the same maps: a 1 x 1 convolution, a dense layer, and a product at each pixel.

    `maps` is the convolution's output (H, W, filters); `kernel` is (C, filters), `bias` (filters,). The
    differences are the largest absolute ones from the product at each pixel, which is computed in float64.
    """

    maps: Maps
    kernel: Maps
    bias: Maps
    convolution_difference: float
    dense_difference: float


@dataclass(frozen=True)
class ConvolutionCost:
    """What one convolution costs: its filters, its output shape, products and weights (biases left out)."""

    name: str
    size: int
    filters: int
    output_shape: tuple[int, int, int]
    multiply_adds: int
    weights: int


@dataclass(frozen=True)
class BottleneckCost:
    """A convolution alone, and behind a 1 x 1 bottleneck: stride 1, padding "same", an input of (H, W, C).

    Times are medians of single runs in milliseconds, None where nothing was measured.
    """

    input_shape: tuple[int, int, int]
    direct: tuple[ConvolutionCost, ...]
    bottleneck: tuple[ConvolutionCost, ...]
    direct_ms: float | None
    bottleneck_ms: float | None
    runs: int

    @property
    def direct_multiply_adds(self) -> int:
        """Products of the convolution alone."""
        return sum(layer.multiply_adds for layer in self.direct)

    @property
    def bottleneck_multiply_adds(self) -> int:
        """Products of both convolutions behind the bottleneck."""
        return sum(layer.multiply_adds for layer in self.bottleneck)

    @property
    def counted_ratio(self) -> float:
        """How many times fewer products the bottleneck needs."""
        return self.direct_multiply_adds / self.bottleneck_multiply_adds

    @property
    def measured_ratio(self) -> float | None:
        """How many times faster the bottleneck ran."""
        if self.direct_ms is None or self.bottleneck_ms is None:
            return None
        return self.direct_ms / self.bottleneck_ms


def count_bottleneck(
    height: int = 28, width: int = 28, channels: int = 192, filters: int = 32, size: int = 5, reduced: int = 16
) -> BottleneckCost:
    """Counts a convolution with and without a 1 x 1 bottleneck of `reduced` channels before it.

    Raises:
        ValueError: If a size is under 1.

    >>> cost = count_bottleneck()
    >>> cost.direct_multiply_adds, cost.bottleneck_multiply_adds
    (120422400, 12443648)
    """
    sizes = {
        **{"height": height, "width": width, "channels": channels},
        **{"filters": filters, "filter size": size, "bottleneck": reduced},
    }
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"The {name} is at least 1; got {value}.")

    def cost(name: str, side: int, inputs: int, outputs: int) -> ConvolutionCost:
        weights = side * side * inputs * outputs
        return ConvolutionCost(name, side, outputs, (height, width, outputs), height * width * weights, weights)

    return BottleneckCost(
        (height, width, channels),
        (cost("direct", size, channels, filters),),
        (cost("reduce", 1, channels, reduced), cost("expand", size, reduced, filters)),
        None,
        None,
        0,
    )


def measure_bottleneck(cost: BottleneckCost, seconds: float = 1.5, seed: int = 0) -> BottleneckCost:
    """The same with the times of both, run in turn on the same random maps.

    Args:
        cost: What to run.
        seconds: About how long to measure altogether; at least three runs each are made.
        seed: Seed of the input and the weights.

    Raises:
        ValueError: If the sizes are too large to be run while a page waits.
    """
    height, width, channels = cost.input_shape
    layers = (*cost.direct, *cost.bottleneck)
    values = height * width * channels + sum(layer.weights + np.prod(layer.output_shape) for layer in layers)
    if cost.direct_multiply_adds + cost.bottleneck_multiply_adds > LARGEST_MEASURED or values > LARGEST_VALUES:
        raise ValueError(
            f"Sizes of up to {LARGEST_MEASURED:,} multiply-adds and {LARGEST_VALUES:,} values are run; "
            f"these need {cost.direct_multiply_adds + cost.bottleneck_multiply_adds:,} and {int(values):,}."
        )
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((1, height, width, channels), np.float32)
    runs = [_compiled(chain, image, seed) for chain in (cost.direct, cost.bottleneck)]
    for run in runs:
        run()  # the first run prepares the kernels
    times: list[list[float]] = [[], []]
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or (time.perf_counter() < end and len(times[0]) < 1000):
        for run, spent in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            spent.append(1000.0 * (time.perf_counter() - start))
    direct_ms, bottleneck_ms = (float(np.median(spent)) for spent in times)
    return BottleneckCost(cost.input_shape, cost.direct, cost.bottleneck, direct_ms, bottleneck_ms, len(times[0]))


def one_by_one_equivalence(maps: Maps, filters: int, seed: int = 0) -> OneByOneEquivalence:
    """Applies the same weights as a 1 x 1 convolution, as a dense layer, and as a product at each pixel.

    Args:
        maps: (H, W, C) float32.
        filters: Maps to put out.
        seed: Seed of the weights.

    Raises:
        ValueError: If the maps are not (H, W, C) or `filters` is under 1.
    """
    import keras

    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(f"Maps are an array (H, W, C) with something in it; got {maps.shape}.")
    if filters < 1:
        raise ValueError(f"There is at least one filter; got {filters}.")
    height, width, channels = maps.shape
    rng = np.random.default_rng(seed)
    kernel = (rng.standard_normal((channels, filters)) / np.sqrt(channels)).astype(np.float32)
    bias = rng.standard_normal(filters).astype(np.float32)
    batch = np.asarray(maps, np.float32)[None]  # (1, H, W, C)
    convolution = keras.layers.Conv2D(filters, 1, dtype="float32", name="one_by_one")
    dense = keras.layers.Dense(filters, dtype="float32", name="dense")
    for layer, weights in ((convolution, kernel[None, None]), (dense, kernel)):
        layer.build(batch.shape)
        layer.set_weights([weights, bias])
    convolved = np.asarray(convolution(batch), np.float32)[0]  # (H, W, filters)
    by_dense = np.asarray(dense(batch), np.float32)[0]
    by_pixel = np.empty((height, width, filters))
    for row in range(height):
        for column in range(width):
            by_pixel[row, column] = maps[row, column].astype(np.float64) @ kernel + bias
    return OneByOneEquivalence(
        convolved,
        kernel,
        bias,
        float(np.abs(convolved - by_pixel).max()),
        float(np.abs(by_dense - by_pixel).max()),
    )


def _compiled(chain: tuple[ConvolutionCost, ...], image: Maps, seed: int) -> Any:
    """A function without arguments that runs a chain of convolutions and waits for the result."""
    import keras
    import tensorflow as tf

    inputs = keras.Input(image.shape[1:])
    x = inputs
    for number, layer in enumerate(chain):
        start = keras.initializers.HeNormal(seed=seed + number)
        x = keras.layers.Conv2D(
            layer.filters,
            layer.size,
            padding="same",
            kernel_initializer=start,
            dtype="float32",
            name=layer.name,
        )(x)
    model = keras.Model(inputs, x)
    function = tf.function(lambda batch: model(batch, training=False))
    batch = tf.constant(image)
    return lambda: function(batch).numpy()
