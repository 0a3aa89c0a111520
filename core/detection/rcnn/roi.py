"""Regions of a feature map as small maps of one fixed size: RoI max pooling and RoI align.

RoI pooling (Girshick 2015, Fast R-CNN, section 2.1) rounds a region to whole cells, cuts it into bins and takes
the largest value of each. RoI align (He et al. 2017, Mask R-CNN, section 3) rounds nothing: it reads points in each
bin by bilinear interpolation and takes their mean. Borders, roundings and the half cell of `aligned` are those of
torchvision's `roi_pool` and `roi_align`.

Both take a region apart by rows and by columns: the bilinear weights of a grid of points are products of a row's and
a column's weight, and the largest value of a rectangle is the largest of its rows' largest.

Tensors: maps (B, H, W, C); regions (B, N, 4) xyxy in pixels of the picture; answers (B, N, P, P, C). Everything is
`keras.ops`, so it runs and differentiates on each of Keras' backends.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any
POOL_CELLS = 7
SAMPLES = 2


def _check(features: Tensor, regions: Tensor) -> None:
    if len(features.shape) != 4 or len(regions.shape) != 3 or regions.shape[-1] != 4:
        raise ValueError(
            f"expected maps (B, H, W, C) and regions (B, N, 4), received {features.shape} and {regions.shape}"
        )


def _axis_weights(start: Tensor, length: Tensor, cells: Any, pool: int, samples: int) -> Tensor:
    """How much each of the `cells` of an axis counts in each bin: start and length (B, N) -> (B, N, P, cells)."""
    steps = (ops.arange(pool * samples, dtype="float32") + 0.5) / (pool * samples)  # (PS,)
    point = start[..., None] + steps * length[..., None]  # (B, N, PS)
    last = ops.cast(cells - 1, "float32")
    # A point more than one cell outside counts nothing, one nearer reads the border's cell.
    inside = ops.cast(ops.logical_and(point >= -1.0, point <= last + 1.0), "float32")
    point = ops.clip(point, 0.0, last)
    distance = ops.abs(point[..., None] - ops.arange(cells, dtype="float32"))  # (B, N, PS, cells)
    weight = ops.maximum(1.0 - distance, 0.0) * inside[..., None]
    shape = ops.shape(weight)
    return ops.mean(ops.reshape(weight, (shape[0], shape[1], pool, samples, cells)), axis=3)


def roi_align(
    features: Tensor,
    regions_xyxy: Tensor,
    scale: float,
    pool: int = POOL_CELLS,
    samples: int = SAMPLES,
    aligned: bool = True,
) -> Tensor:
    """Mean of `samples` x `samples` bilinear readings in each of the `pool` x `pool` bins of each region.

    `scale` is cells a pixel (1/stride). With `aligned` the middle of a cell is half a cell from its corner, as in the
    picture; without it, as in the paper's first code, a region has at least one cell.

    Raises:
        ValueError: If the shapes do not fit.
    """
    _check(features, regions_xyxy)
    rows, columns = ops.shape(features)[1], ops.shape(features)[2]
    corners = ops.cast(regions_xyxy, "float32") * scale - (0.5 if aligned else 0.0)
    sides = corners[..., 2:] - corners[..., :2]  # (B, N, 2)
    if not aligned:
        sides = ops.maximum(sides, 1.0)
    kind = keras.backend.standardize_dtype(features.dtype)
    down = ops.cast(_axis_weights(corners[..., 1], sides[..., 1], rows, pool, samples), kind)  # (B, N, P, H)
    across = ops.cast(_axis_weights(corners[..., 0], sides[..., 0], columns, pool, samples), kind)  # (B, N, P, W)
    by_rows = ops.einsum("bnph,bhwc->bnpwc", down, features)  # (B, N, P, W, C)
    return ops.einsum("bnpwc,bnqw->bnpqc", by_rows, across)  # (B, N, P, P, C)


def _axis_bins(start: Tensor, end: Tensor, cells: Any, pool: int, longest: int) -> tuple[Tensor, Tensor]:
    """Cells of each bin (B, N, P, longest), the last one repeated, and whether the bin is empty (B, N, P)."""
    bin_length = ops.maximum(end - start + 1.0, 1.0)[..., None] / pool  # (B, N, 1)
    number = ops.arange(pool, dtype="float32")
    top = ops.cast(cells, "float32")
    first = ops.clip(ops.floor(number * bin_length) + start[..., None], 0.0, top)
    stop = ops.clip(ops.ceil((number + 1.0) * bin_length) + start[..., None], 0.0, top)
    wanted = first[..., None] + ops.arange(longest, dtype="float32")  # (B, N, P, longest)
    wanted = ops.clip(ops.minimum(wanted, stop[..., None] - 1.0), 0.0, top - 1.0)
    return ops.cast(wanted, "int32"), stop <= first


def roi_max_pool(
    features: Tensor, regions_xyxy: Tensor, scale: float, pool: int = POOL_CELLS, longest_bin: int | None = None
) -> Tensor:
    """The largest value in each of the `pool` x `pool` bins of each region rounded to whole cells; 0 in empty bins.

    `longest_bin` is the most cells that a bin may have along an axis (the whole axis if None): regions that lie
    inside the picture have at most H / pool + 3, and a smaller number saves time.

    Raises:
        ValueError: If the shapes do not fit.
    """
    _check(features, regions_xyxy)
    batch, rows, columns, channels = ops.shape(features)
    count = ops.shape(regions_xyxy)[1]
    # Half away from zero, as C's round() does; ops.round would take 2.5 to 2.
    scaled = ops.cast(regions_xyxy, "float32") * scale
    corners = ops.sign(scaled) * ops.floor(ops.abs(scaled) + 0.5)
    high, wide = longest_bin or rows, longest_bin or columns
    down, no_rows = _axis_bins(corners[..., 1], corners[..., 3], rows, pool, high)
    across, no_columns = _axis_bins(corners[..., 0], corners[..., 2], columns, pool, wide)
    picture = ops.arange(batch, dtype="int32")[:, None, None, None]  # which map of the batch
    flat_rows = ops.reshape(features, (batch * rows, columns, channels))
    read = ops.take(flat_rows, down + picture * rows, axis=0)  # (B, N, P, high, W, C)
    by_rows = ops.max(read, axis=3)  # (B, N, P, W, C)
    by_rows = ops.reshape(ops.transpose(by_rows, (0, 1, 3, 2, 4)), (batch * count * columns, pool, channels))
    region = ops.reshape(ops.arange(batch * count, dtype="int32"), (batch, count, 1, 1))
    read = ops.take(by_rows, across + region * columns, axis=0)  # (B, N, Q, wide, P, C)
    result = ops.transpose(ops.max(read, axis=3), (0, 1, 3, 2, 4))  # (B, N, P, Q, C)
    empty = ops.logical_or(no_rows[..., :, None], no_columns[..., None, :])  # (B, N, P, Q)
    return ops.where(empty[..., None], ops.zeros_like(result), result)
