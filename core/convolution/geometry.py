"""Sizes along the axes of an image: outputs, paddings, participation of pixels, receptive fields.

Section 1.3 to 1.6 of the notes: an axis of n pixels, a filter of f taps, padding p, stride s and dilation d
give floor((n + 2p - f_d) / s) + 1 outputs, where f_d = d (f - 1) + 1 is what the filter covers once its taps
are d pixels apart. Receptive fields follow Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019. Everything here is whole-number arithmetic on one axis; maps are
the outer product of two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Padding = Literal["valid", "same"] | int


class FilterTooLarge(ValueError):
    """The filter does not fit into the padded image, so there is no output at all."""


def covered_size(f: int, dilation: int = 1) -> int:
    """Return f_d = d (f - 1) + 1, the pixels that a filter of f taps covers along an axis.

    >>> covered_size(3), covered_size(3, dilation=4)
    (3, 9)
    """
    _check_positive(f=f, dilation=dilation)
    return dilation * (f - 1) + 1


def axis_padding(n: int, f: int, *, padding: Padding = 0, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Return the pixels added before and after an axis of n pixels.

    "valid" adds none, a number p adds p on both sides. "same" is TensorFlow's rule: as many as make
    ceil(n / s) outputs, and where that number is odd the surplus pixel goes to the end. For an odd filter and
    stride 1 it is the p = (f - 1) / 2 of the notes.

    >>> axis_padding(6, 3, padding="same"), axis_padding(6, 4, padding="same"), axis_padding(6, 3, padding=2)
    ((1, 1), (1, 2), (2, 2))

    Raises:
        ValueError: a size, stride or dilation below 1, or a padding that is no padding.
    """
    _check_positive(n=n, f=f, stride=stride, dilation=dilation)
    if padding == "valid":
        return 0, 0
    if padding == "same":
        outputs = -(-n // stride)
        total = max((outputs - 1) * stride + covered_size(f, dilation) - n, 0)
        return total // 2, total - total // 2
    if isinstance(padding, str) or padding < 0:
        raise ValueError(f"Padding must be 'valid', 'same' or a whole number from 0, received {padding!r}.")
    return padding, padding


def output_size(n: int, f: int, *, padding: Padding = 0, stride: int = 1, dilation: int = 1) -> int:
    """Return floor((n + 2p - f_d) / s) + 1, the outputs along an axis of n pixels (notes, 1.4).

    >>> output_size(6, 3), output_size(6, 3, padding="same"), output_size(7, 3, padding=1, stride=2)
    (4, 6, 4)

    Raises:
        FilterTooLarge: the filter covers more pixels than the padded axis has.
        ValueError: a size, stride or dilation below 1, or a padding that is no padding.
    """
    before, after = axis_padding(n, f, padding=padding, stride=stride, dilation=dilation)
    covered = covered_size(f, dilation)
    if covered > n + before + after:
        raise FilterTooLarge(
            f"The filter covers {covered} pixels, but the image has only {n + before + after} along that "
            "side, padding included: take a smaller filter, a smaller dilation, more padding or a larger "
            "image."
        )
    return (n + before + after - covered) // stride + 1


def same_padding(f: int) -> float:
    """Return p = (f - 1) / 2, the padding that keeps the size at stride 1 (notes, 1.3).

    For an even f the answer is no whole number: no symmetric padding keeps the size, which is one reason why
    filters are usually odd. Frameworks then put the surplus pixel at the end (see axis_padding).

    >>> same_padding(3), same_padding(4)
    (1.0, 1.5)
    """
    _check_positive(f=f)
    return (f - 1) / 2


def shrinkage(n: int, f: int, layers: int, padding: Padding = "valid") -> tuple[int, ...]:
    """Return the size after 0, 1, … layers of stride 1, ending early where the filter fits no more.

    >>> shrinkage(32, 5, 4), shrinkage(32, 5, 4, "same"), shrinkage(6, 5, 4)
    ((32, 28, 24, 20, 16), (32, 32, 32, 32, 32), (6, 2))
    """
    _check_positive(n=n)
    sizes = [n]
    for _ in range(layers):
        try:
            sizes.append(output_size(sizes[-1], f, padding=padding))
        except FilterTooLarge:
            break
    return tuple(sizes)


def participation_map(
    height: int,
    width: int,
    f: int,
    stride: int = 1,
    padding: Padding = "valid",
    dilation: int = 1,
) -> npt.NDArray[np.int64]:
    """Return (height, width): in how many outputs each input pixel takes part (notes, 1.3).

    The count is a product of one count per axis, since a pixel is under the filter exactly when its row and
    its column are. It holds for a filter without zeros.

    >>> participation_map(4, 4, 3)
    array([[1, 2, 2, 1],
           [2, 4, 4, 2],
           [2, 4, 4, 2],
           [1, 2, 2, 1]])

    Raises:
        FilterTooLarge: the filter covers more pixels than the padded image has.
    """
    rows = _axis_participation(height, f, stride, padding, dilation)  # (H,)
    columns = _axis_participation(width, f, stride, padding, dilation)  # (W,)
    return np.outer(rows, columns)  # (H, W)


def _axis_participation(n: int, f: int, stride: int, padding: Padding, dilation: int) -> npt.NDArray[np.int64]:
    outputs = output_size(n, f, padding=padding, stride=stride, dilation=dilation)
    before, _ = axis_padding(n, f, padding=padding, stride=stride, dilation=dilation)
    firsts = np.arange(outputs) * stride - before  # (outputs,)
    pixels = firsts[:, None] + np.arange(f) * dilation  # (outputs, f)
    inside = pixels[(pixels >= 0) & (pixels < n)]
    return np.bincount(inside, minlength=n).astype(np.int64)  # (n,)


@dataclass(frozen=True)
class ReceptiveField:
    """What one output sees of the input, along one axis, in input pixels.

    Attributes:
        size: pixels from the first to the last that can change the output.
        jump: pixels between the fields of neighbouring outputs (the product of the strides).
        start: first pixel of the field of output 0; negative where it begins in the padding.
    """

    size: int
    jump: int
    start: int

    @property
    def centre(self) -> float:
        """Middle of the field of output 0, in input pixels."""
        return self.start + (self.size - 1) / 2

    def span(self, output: int) -> tuple[int, int]:
        """Return the first and the last input pixel that the given output sees."""
        first = self.start + output * self.jump
        return first, first + self.size - 1


def receptive_field(layers: Sequence[tuple[int, ...]]) -> tuple[ReceptiveField, ...]:
    """Return the receptive field after each layer, first layer first.

    Each layer is (f, s), (f, s, dilation) or (f, s, dilation, padding before the axis). Size grows by (f_d -
    1) times the jump so far, the jump is multiplied by the stride.

    >>> [field.size for field in receptive_field([(3, 1), (3, 1), (2, 2), (3, 1)])]
    [3, 5, 6, 10]

    Raises:
        ValueError: a layer of another length, or a value below 1 (below 0 for the padding).
    """
    size, jump, start = 1, 1, 0
    fields = []
    for layer in layers:
        if not 2 <= len(layer) <= 4:
            raise ValueError(f"A layer is (f, s), (f, s, dilation) or (f, s, dilation, padding), received {layer}.")
        f, stride = layer[0], layer[1]
        dilation = layer[2] if len(layer) > 2 else 1
        before = layer[3] if len(layer) > 3 else 0
        _check_positive(f=f, stride=stride, dilation=dilation)
        if before < 0:
            raise ValueError(f"The padding of a layer must be at least 0, received {before}.")
        size += (covered_size(f, dilation) - 1) * jump
        start -= before * jump
        jump *= stride
        fields.append(ReceptiveField(size=size, jump=jump, start=start))
    return tuple(fields)


def _check_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, received {value}.")
