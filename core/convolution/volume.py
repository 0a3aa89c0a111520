"""Convolution over volumes: filters with a depth, biases, activations, and as many maps as there are filters.

Section 1.5 of the notes: (n, n, n_C) * (f, f, n_C) gives one map, n'_C filters give n'_C of them, stacked.
Volumes are (H, W, C), filters (f, f, C, K) as in TensorFlow, maps float32 (H', W', K).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from core.convolution.fast import check_fit, convolve
from core.convolution.settings import ConvolutionSettings, padded_input

Activation = Literal["linear", "relu", "sigmoid", "tanh"]
Map = npt.NDArray[np.float32]

# Windows are copied side by side for one matrix product; this bounds the copy.
_CHUNK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class PartialProducts:
    """One filter over a volume, channel by channel.

    Attributes:
        channels: (H', W', C), the response of each channel to its own slice of the filter.
        total: (H', W'), their sum.
        bias: what is added everywhere.
        output: (H', W'), the sum and the bias, before any activation.
    """

    channels: Map
    total: Map
    bias: float
    output: Map


def convolve_volume(
    volume: npt.NDArray[np.generic],
    filters: npt.NDArray[np.generic],
    bias: npt.NDArray[np.generic] | None = None,
    settings: ConvolutionSettings | None = None,
    activation: Activation = "linear",
) -> Map:
    """Return one convolution layer's output a = g(W * volume + b), float32 (H', W', K).

    Args:
        volume: (H, W, C).
        filters: (f, f, C, K), one column of weights for each of the K maps.
        bias: (K,), or None for zeros.
        settings: how the filters move; by default stride 1 without padding. flip turns rows and columns, not
            channels.
        activation: g, applied to every number.

    >>> filters, bias = np.ones((3, 3, 3, 2)), np.array([0.0, -30.0])
    >>> convolve_volume(np.ones((4, 4, 3)), filters, bias, activation="relu")[0, 0]
    array([27.,  0.], dtype=float32)

    Raises:
        FilterTooLarge: the filters are larger than the padded volume.
        ValueError: shapes that do not belong together, or an unknown activation.
    """
    settings = settings or ConvolutionSettings()
    if volume.ndim != 3 or filters.ndim != 4 or 0 in filters.shape or filters.shape[2] != volume.shape[2]:
        raise ValueError(
            "The volume must be (H, W, C) and the filters (f, f, C, K) with the same C, received "
            f"{volume.shape} and {filters.shape}."
        )
    rows, columns, _, maps = filters.shape
    if bias is not None and bias.shape != (maps,):
        raise ValueError(f"The bias must have one number for each of {maps} filters, received {bias.shape}.")
    check_fit(volume.shape, filters.shape, settings)
    weights = np.asarray(filters, np.float32)
    if settings.flip:
        weights = weights[::-1, ::-1]
    table = weights.transpose(2, 0, 1, 3).reshape(-1, maps)  # (C f f, K)

    padded = padded_input(np.asarray(volume, np.float32), (rows, columns), settings)  # (H + 2p, W + 2p, C)
    covered = [settings.dilation * (f - 1) + 1 for f in (rows, columns)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, covered, axis=(0, 1))
    step, gap = settings.stride, settings.dilation
    windows = windows[::step, ::step, :, ::gap, ::gap]  # (H', W', C, f, f)
    height, width = windows.shape[:2]
    output = np.empty((height, width, maps), np.float32)
    chunk = max(1, _CHUNK_BYTES // (windows[0].size * 4))
    for top in range(0, height, chunk):
        part = windows[top : top + chunk]
        products = part.reshape(-1, table.shape[0]) @ table  # (rows W', K)
        output[top : top + chunk] = products.reshape(-1, width, maps)
    if bias is not None:
        output += bias.astype(np.float32)
    return _activate(output, activation)


def partial_products(
    volume: npt.NDArray[np.generic],
    weights: npt.NDArray[np.generic],
    bias: float = 0.0,
    settings: ConvolutionSettings | None = None,
) -> PartialProducts:
    """Return what one filter (f, f, C) makes of a volume (H, W, C): a map per channel, their sum, the bias.

    >>> parts = partial_products(np.ones((3, 3, 3)), np.ones((3, 3, 3)), bias=0.5)
    >>> parts.channels, parts.total, parts.output
    (array([[[9., 9., 9.]]], dtype=float32), array([[27.]], dtype=float32), array([[27.5]], dtype=float32))

    Raises:
        FilterTooLarge: the filter is larger than the padded volume.
        ValueError: shapes that do not belong together.
    """
    settings = settings or ConvolutionSettings()
    if volume.ndim != 3 or weights.ndim != 3 or volume.shape[2] != weights.shape[2] or 0 in volume.shape:
        raise ValueError(
            "The volume must be (H, W, C) and the filter (f, f, C) with the same C, received "
            f"{volume.shape} and {weights.shape}."
        )
    maps = [convolve(volume[..., c], weights[..., c], settings) for c in range(volume.shape[2])]
    channels = np.stack(maps, axis=-1)  # (H', W', C)
    total = channels.sum(axis=-1)  # (H', W')
    return PartialProducts(channels, total, bias, total + np.float32(bias))


def _activate(values: Map, activation: Activation) -> Map:
    if activation == "linear":
        return values
    if activation == "relu":
        return np.maximum(values, np.float32(0))
    if activation == "sigmoid":
        # 1 / (1 + exp(-z)) without the overflow of exp for large negative z.
        logistic: Map = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * values))
        return logistic
    if activation == "tanh":
        return np.tanh(values)
    raise ValueError(f"The activation must be linear, relu, sigmoid or tanh, received {activation!r}.")
