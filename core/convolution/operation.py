"""The convolution operation as the notes define it (section 1.2), window by window, and what builds on it.

Lay an f x f filter over the image, multiply what lies on top of each other, add up, write the sum down, move
on. `conv_forward` does just that and `window_at` shows one step of it; `convolve` gives the same numbers at
full speed. Images are (H, W) or (H, W, C), filters (f, f), outputs (H', W') or (H', W', C).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.convolution.edges import (
    GradientField,
    KernelPair,
    canny,
    edge_map,
    gradient,
    luminance,
)
from core.convolution.fast import check_fit, checked_image, checked_kernel, convolve
from core.convolution.geometry import FilterTooLarge, Padding
from core.convolution.settings import (
    MAX_DILATION,
    MAX_PADDING_PX,
    Border,
    ConvolutionSettings,
    output_amount,
    padded_input,
    padding_amounts,
)
from core.convolution.volume import Activation, PartialProducts, convolve_volume, partial_products

__all__ = [
    "MAX_DILATION",
    "MAX_PADDING_PX",
    "Activation",
    "Border",
    "ConvolutionSettings",
    "FilterTooLarge",
    "GradientField",
    "KernelPair",
    "Padding",
    "PartialProducts",
    "WindowProducts",
    "canny",
    "conv_forward",
    "convolve",
    "convolve_volume",
    "edge_map",
    "gradient",
    "luminance",
    "output_amount",
    "padded_input",
    "padding_amounts",
    "partial_products",
    "window_at",
]


def conv_forward(
    image: npt.NDArray[np.generic],
    kernel: npt.NDArray[np.generic],
    settings: ConvolutionSettings | None = None,
) -> npt.NDArray[np.float32]:
    """Return the convolution straight from its definition, one output pixel after the other.

    For reading, for small images and for checking `convolve`, which returns the same (H', W') or (H', W', C).

    >>> vertical = np.array([[1, 0, -1]] * 3)
    >>> conv_forward(np.array([[10, 10, 10, 0, 0, 0]] * 6), vertical)[0]
    array([ 0., 30., 30.,  0.], dtype=float32)

    Raises:
        FilterTooLarge: the filter is larger than the padded image.
        ValueError: a shape or a data type that no image or filter has.
    """
    settings = settings or ConvolutionSettings()
    weights = checked_kernel(kernel, settings)  # (f, f)
    pixels = checked_image(image).astype(np.float64)
    f_h, f_w = weights.shape
    s, d = settings.stride, settings.dilation
    check_fit(pixels.shape, weights.shape, settings)

    padded = padded_input(pixels, (f_h, f_w), settings)  # (H + 2p, W + 2p) or with C behind
    height = output_amount(image.shape[0], f_h, settings)
    width = output_amount(image.shape[1], f_w, settings)
    output = np.zeros((height, width, *image.shape[2:]))  # (H', W') or (H', W', C)
    for row in range(height):
        for column in range(width):
            top, left = row * s, column * s
            window = padded[top : top + d * f_h : d, left : left + d * f_w : d]  # (f, f) or (f, f, C)
            output[row, column] = np.tensordot(weights, window, axes=2)  # one number, or C of them
    return output.astype(np.float32)


@dataclass(frozen=True)
class WindowProducts:
    """One step of the convolution: what lies under the filter, the products, their sum.

    Attributes:
        row: output row.
        col: output column.
        top: input row under the filter's first row; negative inside the padding.
        left: input column under the filter's first column; negative inside the padding.
        window: (f, f) float64, the pixels under the filter, those of the border among them.
        kernel: (f, f) float64, the filter as it is applied, that is, turned if settings.flip.
        products: (f, f), window times kernel, number by number.
        total: the sum of the products: the output pixel.
        inside: (f, f) bool, which pixels lie within the image rather than in its padding.
    """

    row: int
    col: int
    top: int
    left: int
    window: npt.NDArray[np.float64]
    kernel: npt.NDArray[np.float64]
    products: npt.NDArray[np.float64]
    total: float
    inside: npt.NDArray[np.bool_]


def window_at(
    image: npt.NDArray[np.generic],
    kernel: npt.NDArray[np.generic],
    settings: ConvolutionSettings,
    row: int,
    col: int,
) -> WindowProducts:
    """Return the step of the convolution that writes the output pixel (row, col) of an image (H, W).

    With a dilation the (f, f) values are those under the taps, d pixels apart in the image. Only the window
    is computed, so it costs the same on a large image.

    >>> step = window_at(np.arange(16.0).reshape(4, 4), np.ones((3, 3)), ConvolutionSettings(padding=1), 0, 0)
    >>> step.top, step.left, step.total
    (-1, -1, 10.0)

    Raises:
        FilterTooLarge: the filter is larger than the padded image.
        ValueError: the image is not (H, W).
        IndexError: there is no such output pixel.
    """
    if image.ndim != 2:
        raise ValueError(f"A window needs an image of the shape (H, W), received {image.shape}.")
    pixels = checked_image(image)
    weights = checked_kernel(kernel, settings)
    check_fit(image.shape, weights.shape, settings)
    axes = []
    for n, f, index in zip(image.shape, weights.shape, (row, col), strict=True):
        outputs = output_amount(n, f, settings)
        if not 0 <= index < outputs:
            raise IndexError(f"Output pixel ({row}, {col}) does not exist: this axis has {outputs} outputs.")
        first = index * settings.stride - padding_amounts(n, f, settings)[0]
        axes.append(_taps(first, n, f, settings))
    (top, rows, rows_inside), (left, columns, columns_inside) = axes
    inside = np.logical_and.outer(rows_inside, columns_inside)  # (f, f)
    window = pixels[np.ix_(rows, columns)].astype(np.float64)  # (f, f)
    if settings.border == "zero":
        window[~inside] = 0.0
    products = window * weights  # (f, f)
    return WindowProducts(row, col, top, left, window, weights, products, float(products.sum()), inside)


def _taps(
    first: int, n: int, f: int, settings: ConvolutionSettings
) -> tuple[int, npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return where the filter begins on an axis, which pixel each tap reads, and whether it is a real one."""
    positions = first + settings.dilation * np.arange(f, dtype=np.intp)  # (f,)
    inside = (positions >= 0) & (positions < n)
    if settings.border == "reflect" and n > 1:
        # Mirrors at both ends repeat every 2 (n - 1) pixels: 0 1 2 3 | 2 1 | 0 1 2 3 …
        folded = np.abs((positions + n - 1) % (2 * (n - 1)) - (n - 1))
    else:
        folded = np.clip(positions, 0, n - 1)
    return first, folded, inside
