"""A fully connected layer and the convolution that it is, as short programs in NumPy, TensorFlow and Keras.

The texts on the page are the very texts that `compare_dense_as_convolution` runs. Each expects `x` (h, w, c), the map
before the layer, `weights` (3 * 3 * c, n) and `bias` (n,) of the fully connected layer, and leaves `result`
(h - 2, w - 2, n): what the layer answers for every 3 x 3 part of the map.
"""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.detection.sliding_windows_layers import HIDDEN_UNITS, TRUNK

TIMED_RUNS = 5
SIDE = 3
CHANNELS = TRUNK[-1][3] if not isinstance(TRUNK[-1], str) else 0
SNIPPETS = {
    "NumPy": """
import numpy as np

rows, columns = x.shape[0] - 2, x.shape[1] - 2
result = np.empty((rows, columns, len(bias)), np.float32)
for i in range(rows):
    for j in range(columns):
        result[i, j] = x[i : i + 3, j : j + 3].reshape(-1) @ weights + bias  # the layer, window by window
""",
    "TensorFlow": """
import numpy as np
import tensorflow as tf

kernel = weights.reshape(3, 3, x.shape[-1], -1)  # the same numbers as a filter
result = (tf.nn.conv2d(x[None], kernel, strides=1, padding="VALID") + bias)[0].numpy()
""",
    "Keras": """
import keras
import numpy as np

layer = keras.layers.Conv2D(len(bias), 3, padding="valid")
layer.build((1, *x.shape))
layer.set_weights([weights.reshape(3, 3, x.shape[-1], -1), bias])
result = keras.ops.convert_to_numpy(layer(x[None]))[0]
""",
}


@dataclass(frozen=True)
class DenseRun:
    """One program's result and the median time of its runs."""

    name: str
    time_ms: float
    result: NDArray[np.float32]


@dataclass(frozen=True)
class DenseDifference:
    """The largest difference between two results."""

    first: str
    second: str
    largest: float


@dataclass(frozen=True)
class DenseComparison:
    """All runs, their differences, and what they ran on."""

    runs: tuple[DenseRun, ...]
    differences: tuple[DenseDifference, ...]
    note: str


def dense_snippets() -> dict[str, str]:
    """Programs by the name of their library."""
    return {name: text.lstrip("\n") for name, text in SNIPPETS.items()}


def input_lines(rows: int, columns: int) -> str:
    """Lines that define `x`, `weights` and `bias` for a score map of this size."""
    return (
        "rng = np.random.default_rng(0)\n"
        f"x = rng.normal(size=({rows + SIDE - 1}, {columns + SIDE - 1}, {CHANNELS})).astype(np.float32)\n"
        f"weights = (0.03 * rng.normal(size=({SIDE * SIDE * CHANNELS}, {HIDDEN_UNITS}))).astype(np.float32)\n"
        f"bias = rng.normal(size={HIDDEN_UNITS}).astype(np.float32)"
    )


def compare_dense_as_convolution(rows: int, columns: int) -> DenseComparison:
    """Run the three programs on the same random map, for a score map of this size."""
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {
        "x": rng.normal(size=(rows + SIDE - 1, columns + SIDE - 1, CHANNELS)).astype(np.float32),
        "weights": (0.03 * rng.normal(size=(SIDE * SIDE * CHANNELS, HIDDEN_UNITS))).astype(np.float32),
        "bias": rng.normal(size=HIDDEN_UNITS).astype(np.float32),
    }
    runs = []
    for name, text in dense_snippets().items():
        code = compile(text, f"<{name} snippet>", "exec")
        times_s = []
        names: dict[str, Any] = {}
        for _ in range(1 + TIMED_RUNS):
            names = dict(inputs)
            start = time.perf_counter()
            exec(code, names)  # noqa: S102
            times_s.append(time.perf_counter() - start)
        runs.append(DenseRun(name, 1e3 * statistics.median(times_s[1:]), np.asarray(names["result"], np.float32)))
    differences = tuple(
        DenseDifference(a.name, b.name, float(np.abs(a.result - b.result).max()))
        for a, b in itertools.combinations(runs, 2)
    )
    largest = float(np.abs(runs[0].result).max())
    note = f"A map of {rows + SIDE - 1} × {columns + SIDE - 1} × {CHANNELS}; the largest output is {largest:.2f}."
    return DenseComparison(tuple(runs), differences, note)
