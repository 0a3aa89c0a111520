"""Pooling: slide an (f, f) window over the input and keep its maximum or its average (notes, section 1.6).

Each channel is pooled for itself, nothing is padded, and there is nothing to learn. `shift_response` measures
what the notes call being more invariant to position: how much less a pooled map changes when the input moves.
Inputs are (H, W) or (H, W, C), outputs (H', W') or (H', W', C) with H' = floor((H - f) / s) + 1.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from core.convolution.geometry import output_size

Mode = Literal["max", "average"]
Map = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]


@dataclass(frozen=True)
class PoolingResult:
    """The pooled map and where its values came from.

    Attributes:
        output: float32 (H', W') or (H', W', C).
        rows: input row of each maximum, same shape as output; None for the average.
        columns: input column of each maximum; where several are equal, the first in reading order.
        input_values: numbers that went in.
        output_values: numbers that came out.
        parameters: numbers that a network would learn here: none.
    """

    output: Map
    rows: Indices | None
    columns: Indices | None
    input_values: int
    output_values: int
    parameters: int = 0


@dataclass(frozen=True)
class ShiftResponse:
    """How much the map before and after pooling changes when the picture moves by shift_px.

    Changes are |after - before| / |before| (Euclidean norm; 0 is no change), cosines are the cosine of the
    angle between the two maps (1 is no change).
    """

    shift_px: int
    unpooled_change: float
    unpooled_cosine: float
    pooled_change: float
    pooled_cosine: float


def pool(x: npt.NDArray[np.generic], f: int, s: int, mode: Mode = "max") -> PoolingResult:
    """Return x pooled by windows of f x f pixels, s pixels apart.

    Rows and columns are pooled one after the other, which takes 2f instead of f^2 steps.

    >>> result = pool(np.array([[1, 3, 2, 1], [2, 9, 1, 1], [1, 3, 2, 3], [5, 6, 1, 2]]), 2, 2)
    >>> result.output.tolist(), result.rows.tolist(), result.columns.tolist()
    ([[9.0, 2.0], [6.0, 3.0]], [[1, 0], [3, 2]], [[1, 2], [1, 3]])

    Raises:
        FilterTooLarge: the window is larger than the input.
        ValueError: x is not (H, W) or (H, W, C), f or s are below 1, or there is no such mode.
    """
    if x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(f"The input must have the shape (H, W) or (H, W, C), received {x.shape}.")
    if mode not in ("max", "average"):
        raise ValueError(f"The mode must be max or average, received {mode!r}.")
    height, width = (output_size(n, f, stride=s) for n in x.shape[:2])
    values = np.asarray(x, np.float32)
    if mode == "average":
        sums = _slid(values, f, s, width, axis=1)  # (H, W')
        sums = _slid(sums, f, s, height, axis=0)  # (H', W')
        return PoolingResult(sums / np.float32(f * f), None, None, x.size, sums.size)

    values, columns = _slid_maximum(values, f, s, width, axis=1)  # (H, W')
    output, rows = _slid_maximum(values, f, s, height, axis=0)  # (H', W')
    return PoolingResult(output, rows, np.take_along_axis(columns, rows, axis=0), x.size, output.size)


def shift_response(
    x: npt.NDArray[np.generic],
    shift_px: int,
    *,
    f: int = 2,
    s: int = 2,
    mode: Mode = "max",
    axis: Literal["horizontal", "vertical"] = "horizontal",
) -> tuple[ShiftResponse, ...]:
    """Return what shifts of 1, 2, … shift_px pixels do to a map (H, W) or (H, W, C), unpooled and pooled.

    Every crop is cut from x itself, so what moves in at one side is real and no border is invented; the crops
    are shift_px smaller than x along the axis.

    A bright pixel that stays under its window changes nothing after pooling:

    >>> x = np.zeros((4, 12))
    >>> x[0, 7] = 1
    >>> [(round(r.unpooled_change, 2), r.pooled_change) for r in shift_response(x, 3, f=4, s=4)]
    [(1.41, 0.0), (1.41, 0.0), (1.41, 0.0)]

    Raises:
        ValueError: the shift is below 1 or leaves a crop smaller than a window, or x cannot be pooled.
    """
    along = 1 if axis == "horizontal" else 0
    length = x.shape[along] - shift_px if x.ndim > 1 else 0
    if shift_px < 1 or length < f:
        raise ValueError(
            f"A shift of {shift_px} pixels needs to be at least 1 and to leave at least the window's {f} "
            f"pixels of an input of the shape {x.shape}."
        )

    def crop(offset: int) -> Map:
        span = slice(offset, offset + length)
        return np.asarray(x[:, span] if along else x[span], np.float32)

    before = crop(0)
    pooled_before = pool(before, f, s, mode).output
    responses = []
    for offset in range(1, shift_px + 1):
        after = crop(offset)
        pooled_after = pool(after, f, s, mode).output
        responses.append(
            ShiftResponse(
                shift_px=offset,
                unpooled_change=relative_change(before, after),
                unpooled_cosine=cosine_similarity(before, after),
                pooled_change=relative_change(pooled_before, pooled_after),
                pooled_cosine=cosine_similarity(pooled_before, pooled_after),
            )
        )
    return tuple(responses)


def relative_change(before: npt.NDArray[np.generic], after: npt.NDArray[np.generic]) -> float:
    """Return |after - before| / |before|: 0 if both are equal, infinite if only before is all zeros.

    >>> relative_change(np.array([3.0, 4.0]), np.array([3.0, 9.0]))
    1.0
    """
    old, new = np.asarray(before, np.float64), np.asarray(after, np.float64)
    difference, length = float(np.linalg.norm(new - old)), float(np.linalg.norm(old))
    if length == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / length


def cosine_similarity(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> float:
    """Return the cosine of the angle between two arrays taken as vectors; 1 for two of zeros, 0 for one.

    >>> cosine_similarity(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    1.0
    """
    first, second = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if 0.0 in lengths:
        return 1.0 if lengths == (0.0, 0.0) else 0.0
    return float(first @ second) / (lengths[0] * lengths[1])


def _window(offset: int, s: int, outputs: int, axis: int) -> tuple[slice, ...]:
    """Return the index of the offset-th pixel of every window along an axis."""
    return (slice(None),) * axis + (slice(offset, offset + (outputs - 1) * s + 1, s),)


def _slid(values: Map, f: int, s: int, outputs: int, axis: int) -> Map:
    total = values[_window(0, s, outputs, axis)].copy()
    for offset in range(1, f):
        total += values[_window(offset, s, outputs, axis)]
    return total


def _slid_maximum(values: Map, f: int, s: int, outputs: int, axis: int) -> tuple[Map, Indices]:
    """Return the maximum of every window along an axis and the input index at which it stands first."""
    best = values[_window(0, s, outputs, axis)].copy()
    kind = np.uint8 if f <= 256 else np.int32
    offsets = np.zeros(best.shape, kind)
    for offset in range(1, f):
        other = values[_window(offset, s, outputs, axis)]
        # Offsets only grow, so the maximum takes the new one where the value is larger, without branching.
        np.maximum(offsets, (other > best) * kind(offset), out=offsets)
        np.maximum(best, other, out=best)
    shape = [1] * best.ndim
    shape[axis] = outputs
    firsts = (np.arange(outputs, dtype=np.int32) * s).reshape(shape)
    return best, offsets + firsts
