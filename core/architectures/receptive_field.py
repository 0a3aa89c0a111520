"""Receptive fields by arithmetic: which input pixels a unit sees, through chains and branches.

A field is known by its size, the stride between the fields of neighbouring units, and the offset of the
first unit's field, for each spatial axis of the input (rows, columns). Source: Araujo et al., 2019,
"Computing receptive fields of convolutional neural networks", equations 1 to 3. Where branches meet, the
field is the smallest window that holds the branches' windows, so that it follows the longest path. Light:
imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ReceptiveField:
    """Size, stride and offset of the fields of a layer's units, in input pixels, one value an axis.

    The field of unit i reaches from offset + i * stride over size pixels. A stride of 0 says that there is
    one field for all units. An offset below 0, or a field beyond the last pixel, lies in the padding.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: tuple[int, ...]

    def window(self, unit: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """First pixel and the pixel after the last, per axis, of the field of the unit at this index.

        >>> ReceptiveField((3, 3), (2, 2), (-1, -1)).window((0, 4))
        ((-1, 2), (7, 10))
        """
        starts = [o + i * s for o, i, s in zip(self.offset, unit, self.stride, strict=True)]
        return tuple((start, start + size) for start, size in zip(starts, self.size, strict=True))


class NoCommonFieldError(ValueError):
    """Branches meet whose units see the input at different strides."""


def pixel_field(axes: int) -> ReceptiveField:
    """The field of an input pixel: itself."""
    return ReceptiveField((1,) * axes, (1,) * axes, (0,) * axes)


def slide(
    field: ReceptiveField,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    padding_before: Sequence[int],
) -> ReceptiveField:
    """The field after a window slid over a layer: size + dilation (kernel - 1) stride, stride times strides.

    `kernel`, `strides`, `dilation` and `padding_before` hold one value an axis, in units of the layer.

    >>> slide(pixel_field(1), (3,), (2,), (1,), (1,))
    ReceptiveField(size=(3,), stride=(2,), offset=(-1,))
    """
    axes = range(len(field.size))
    return ReceptiveField(
        tuple(field.size[a] + dilation[a] * (kernel[a] - 1) * field.stride[a] for a in axes),
        tuple(field.stride[a] * strides[a] for a in axes),
        tuple(field.offset[a] - padding_before[a] * field.stride[a] for a in axes),
    )


def same_padding_before(length: int, kernel: int, stride: int, dilation: int) -> int:
    """The zeros that padding "same" puts before the first of `length` units (the smaller half of all).

    >>> same_padding_before(224, kernel=3, stride=2, dilation=1), same_padding_before(5, 3, 2, 1)
    (0, 1)
    """
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + dilation * (kernel - 1) + 1 - length, 0)
    return total // 2


def collapse(field: ReceptiveField, units: Sequence[int]) -> ReceptiveField:
    """The one field of a layer that joins all `units` of an axis (a dense layer, a global pooling).

    >>> collapse(ReceptiveField((6,), (2,), (0,)), (14,))
    ReceptiveField(size=(32,), stride=(0,), offset=(0,))
    """
    sizes = (size + (count - 1) * stride for size, stride, count in zip(field.size, field.stride, units, strict=True))
    return ReceptiveField(tuple(sizes), (0,) * len(field.size), field.offset)


def merge(fields: Sequence[ReceptiveField], units: Sequence[int]) -> ReceptiveField:
    """The field where branches meet: the smallest window that holds the windows of all.

    A branch of stride 0 (one value for the whole map, as in squeeze-and-excitation) makes it the window of
    all `units` if that holds the other branches' windows.

    Raises:
        NoCommonFieldError: If the branches' strides differ otherwise.

    >>> merge([ReceptiveField((1,), (1,), (0,)), ReceptiveField((5,), (1,), (-2,))], (28,))
    ReceptiveField(size=(5,), stride=(1,), offset=(-2,))
    """
    if len({field.stride for field in fields}) > 1:
        fields = [field if 0 in field.stride else collapse(field, units) for field in fields]
        whole = [field for field in fields if field.stride == (0,) * len(field.stride)]
        if len(whole) < len(fields) or len({(field.size, field.offset) for field in whole}) > 1:
            raise NoCommonFieldError("branches of different strides meet")
    axes = range(len(fields[0].size))
    start = [min(field.offset[a] for field in fields) for a in axes]
    end = [max(field.offset[a] + field.size[a] for field in fields) for a in axes]
    size = tuple(e - s for s, e in zip(start, end, strict=True))
    return ReceptiveField(size, fields[0].stride, tuple(start))
