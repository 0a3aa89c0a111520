"""How a filter is moved over an image: stride, padding, what stands in the border, dilation, orientation.

Sections 1.2 to 1.4 of the notes. The settings are the same along both axes; sizes are worked out per axis by
core.convolution.geometry.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from core.convolution.geometry import Padding, axis_padding, covered_size, output_size

Scalar = TypeVar("Scalar", bound=np.generic)

Border = Literal["zero", "reflect", "replicate"]

# Beyond these an image of a megapixel would be lost in its own padding, and memory with it.
MAX_PADDING_PX = 1024
MAX_DILATION = 64

_NUMPY_MODES: dict[Border, Literal["constant", "reflect", "edge"]] = {
    "zero": "constant",
    "reflect": "reflect",
    "replicate": "edge",
}


@dataclass(frozen=True)
class ConvolutionSettings:
    """The choices that turn an image and a filter into an output.

    Attributes:
        stride: pixels between neighbouring outputs, from 1.
        padding: "valid" (none), "same" (ceil(n / s) outputs, surplus pixel at the end) or p pixels on every
            side.
        border: what the padding holds: zeros, the image mirrored at its outermost pixels, or these pixels
            repeated.
        dilation: pixels between neighbouring taps of the filter, from 1.
        flip: turn the filter by 180 degrees first, which is convolution as mathematicians define it;
            otherwise it is what networks call convolution, a cross-correlation.

    Raises:
        ValueError: a value outside its range.
    """

    stride: int = 1
    padding: Padding = "valid"
    border: Border = "zero"
    dilation: int = 1
    flip: bool = False

    def __post_init__(self) -> None:
        """Refuse values that mean nothing, before any array is made for them."""
        if self.stride < 1:
            raise ValueError(f"The stride must be at least 1, received {self.stride}.")
        if not 1 <= self.dilation <= MAX_DILATION:
            raise ValueError(f"The dilation must be from 1 to {MAX_DILATION}, received {self.dilation}.")
        if self.border not in _NUMPY_MODES:
            raise ValueError(f"The border must be zero, reflect or replicate, received {self.border!r}.")
        if isinstance(self.padding, str):
            if self.padding not in ("valid", "same"):
                raise ValueError(f"The padding must be valid, same or a number, received {self.padding!r}.")
        elif not 0 <= self.padding <= MAX_PADDING_PX:
            raise ValueError(f"The padding must be from 0 to {MAX_PADDING_PX} pixels, received {self.padding}.")


def padding_amounts(n: int, f: int, settings: ConvolutionSettings) -> tuple[int, int]:
    """Return the pixels added before and after an axis of n pixels for a filter of f taps.

    >>> padding_amounts(6, 3, ConvolutionSettings(padding="same"))
    (1, 1)
    """
    return axis_padding(n, f, padding=settings.padding, stride=settings.stride, dilation=settings.dilation)


def output_amount(n: int, f: int, settings: ConvolutionSettings) -> int:
    """Return the outputs along an axis of n pixels; raises FilterTooLarge where there are none."""
    return output_size(n, f, padding=settings.padding, stride=settings.stride, dilation=settings.dilation)


def padded_input(
    image: npt.NDArray[Scalar], kernel_size: int | tuple[int, int], settings: ConvolutionSettings
) -> npt.NDArray[Scalar]:
    """Return the image (H, W) or (H, W, C) with its padding around it, in its own data type.

    Args:
        image: the image, at least one pixel.
        kernel_size: f, or (rows, columns) of a filter that is not square.
        settings: decides how much is added and what it holds.

    Raises:
        FilterTooLarge: the filter is larger than the padded image.
        ValueError: the image is no (H, W) or (H, W, C) array.
    """
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"The image must have the shape (H, W) or (H, W, C), received {image.shape}.")
    rows, columns = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    amounts = []
    for n, f in zip(image.shape[:2], (rows, columns), strict=True):
        output_amount(n, f, settings)
        amounts.append(padding_amounts(n, f, settings))
    channels = [(0, 0)] * (image.ndim - 2)
    return np.pad(image, [*amounts, *channels], mode=_NUMPY_MODES[settings.border])


def dilated(kernel: npt.NDArray[np.float64], dilation: int) -> npt.NDArray[np.float64]:
    """Return the kernel with dilation - 1 zeros between neighbouring taps.

    >>> dilated(np.array([[1.0, 2.0]]), 3)
    array([[1., 0., 0., 2.]])
    """
    if dilation == 1:
        return kernel
    rows, columns = (covered_size(f, dilation) for f in kernel.shape)
    holes = np.zeros((rows, columns))
    holes[::dilation, ::dilation] = kernel
    return holes
