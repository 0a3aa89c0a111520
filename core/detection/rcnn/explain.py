"""RoI pooling of one channel of a feature map, step by step and in plain loops, to look at.

The same as `roi.py`, with everything that lies between a region and its 7 x 7 numbers: whole cells or sampling points,
the borders of the bins, and which cell gave a bin its largest value. Sources as in `roi.py`.

Arrays: one channel (H, W); a region xyxy in pixels of the network's input; bins (P, P).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class RegionError(ValueError):
    """A region or channel that cannot be pooled."""


@dataclass(frozen=True)
class PooledRegion:
    """A region in cells of the map (left, top, right, bottom) and what both ways of pooling make of it.

    `rounded` is the region in whole cells, its right and bottom cell included; `rows` and `columns` (P, 2) are first
    and last-plus-one cell of each bin of RoI pooling, `largest` (P, P) its answer and `came_from` (P, P, 2) the row
    and column that it was read at, -1 in an empty bin. `points_x`, `points_y` (P * samples,) are the sampling points of
    RoI align in cells, a cell's middle at a whole number, and `mean` (P, P) its answer.
    """

    region: tuple[float, float, float, float]
    rounded: tuple[int, int, int, int]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    largest: Floats
    came_from: NDArray[np.int64]
    points_x: Floats
    points_y: Floats
    mean: Floats


def pool_region(
    channel: NDArray[Any], region_xyxy: tuple[float, float, float, float], scale: float, pool: int = 7, samples: int = 2
) -> PooledRegion:
    """Pool a region of one channel both ways; `scale` is cells a pixel.

    Raises:
        RegionError: If the channel is no matrix, or a number is not finite.

    >>> pooled = pool_region(np.arange(16.0).reshape(4, 4), (0, 0, 32, 32), 1 / 8, pool=2)
    >>> pooled.largest.tolist(), pooled.mean.tolist()
    ([[10.0, 11.0], [14.0, 15.0]], [[2.5, 4.5], [10.5, 12.5]])
    """
    values = np.asarray(channel, np.float64)
    if values.ndim != 2 or not values.size:
        raise RegionError(f"expected one channel (H, W), received shape {values.shape}")
    if not np.isfinite(region_xyxy).all():
        raise RegionError("expected a region of finite numbers")
    left, top, right, bottom = (float(value) * scale for value in region_xyxy)
    # Half away from zero, as C's round() does.
    x1, y1, x2, y2 = (int(math.copysign(math.floor(abs(v) + 0.5), v)) for v in (left, top, right, bottom))
    rows, columns = _bins(y1, y2, values.shape[0], pool), _bins(x1, x2, values.shape[1], pool)
    largest, came_from = np.zeros((pool, pool)), np.full((pool, pool, 2), -1)
    for i, (first_row, last_row) in enumerate(rows):
        for j, (first_column, last_column) in enumerate(columns):
            part = values[first_row:last_row, first_column:last_column]
            if part.size:
                row, column = np.unravel_index(int(part.argmax()), part.shape)
                largest[i, j] = part[row, column]
                came_from[i, j] = first_row + row, first_column + column
    points_y = _points(top, bottom, pool, samples)
    points_x = _points(left, right, pool, samples)
    mean = np.zeros((pool, pool))
    for i in range(pool):
        for j in range(pool):
            readings = [
                _bilinear(values, y, x)
                for y in points_y[i * samples : (i + 1) * samples]
                for x in points_x[j * samples : (j + 1) * samples]
            ]
            mean[i, j] = sum(readings) / len(readings)
    return PooledRegion(
        (left, top, right, bottom), (x1, y1, x2, y2), rows, columns, largest, came_from, points_x, points_y, mean
    )


def _bins(first: int, last: int, cells: int, pool: int) -> NDArray[np.int64]:
    length = max(last - first + 1, 1) / pool
    bins = [(math.floor(k * length) + first, math.ceil((k + 1) * length) + first) for k in range(pool)]
    return np.clip(np.array(bins, np.int64), 0, cells)


def _points(start: float, end: float, pool: int, samples: int) -> Floats:
    # Half a cell back: a cell's value stands in its middle.
    return start - 0.5 + (np.arange(pool * samples) + 0.5) * (end - start) / (pool * samples)


def _bilinear(values: Floats, y: float, x: float) -> float:
    height, width = values.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    row, column = int(y), int(x)
    below, beside = min(row + 1, height - 1), min(column + 1, width - 1)
    down, across = y - row, x - column
    above = (1 - across) * values[row, column] + across * values[row, beside]
    under = (1 - across) * values[below, column] + across * values[below, beside]
    return float((1 - down) * above + down * under)
