"""Convolution at full speed: the same numbers as the definition, by whichever way is cheapest.

Three ways, all of them OpenCV's loops, because which is fastest depends on the filter:

- a filter of low rank is a sum of column times row filters (sepFilter2D): 2f instead of f^2 products each;
- a small filter goes tap by tap (filter2D on float32 pixels, which is 3 to 5 times faster than on uint8
ones); - a large one goes through the Fourier transform, to which filter2D turns by itself.

The constants below were measured on images of 1 megapixel x 3 channels; tests/benchmarks holds the result
against a bare cv2.filter2D. Images are (H, W) or (H, W, C), filters (f_h, f_w), outputs float32.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.convolution.geometry import FilterTooLarge
from core.convolution.settings import (
    Border,
    ConvolutionSettings,
    dilated,
    output_amount,
    padding_amounts,
)

Map = npt.NDArray[np.float32]
Kernel = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8] | Map
Term = tuple[Kernel, Kernel]

# filter2D leaves its direct loop for the Fourier transform from 130 taps on.
_LARGEST_BAND_TAPS = 121
_FOURIER_COST_MS = 40.0
_FEW_TAPS = 5
# The decomposition stops once what is left could change no response by more than this part of the largest
# one.
_RANK_TOLERANCE = 1e-7

_CV_BORDERS: dict[Border, int] = {
    "zero": cv2.BORDER_CONSTANT,
    "reflect": cv2.BORDER_REFLECT_101,
    "replicate": cv2.BORDER_REPLICATE,
}


def convolve(
    image: npt.NDArray[np.generic],
    kernel: npt.NDArray[np.generic],
    settings: ConvolutionSettings | None = None,
) -> Map:
    """Return the image filtered, float32 (H', W') or (H', W', C), each channel with the same filter.

    Args:
        image: (H, W) or (H, W, C), real numbers; all but uint8 are turned to float32.
        kernel: (f, f), odd or even; a rectangle (f_h, f_w) works too.
        settings: how the filter moves; by default stride 1 without padding.

    Results differ from the exact ones by less than 1e-5 of the largest response that the filter could give.

    >>> step = np.tile(np.repeat([10.0, 0.0], 3), (6, 1))
    >>> vertical = np.array([[1, 0, -1]] * 3)
    >>> convolve(step, vertical)[0]
    array([ 0., 30., 30.,  0.], dtype=float32)

    Raises:
        FilterTooLarge: the filter is larger than the padded image.
        ValueError: a shape or a data type that no image or filter has.
    """
    settings = settings or ConvolutionSettings()
    weights = checked_kernel(kernel, settings)
    pixels = checked_image(image)
    if pixels.ndim == 3 and pixels.shape[2] > 4:
        # OpenCV's borders hold at most four channels.
        return np.stack([convolve(pixels[..., c], kernel, settings) for c in range(pixels.shape[2])], axis=-1)

    check_fit(pixels.shape, weights.shape, settings)
    outputs = [output_amount(n, f, settings) for n, f in zip(pixels.shape, weights.shape, strict=False)]
    paddings = [padding_amounts(n, f, settings) for n, f in zip(pixels.shape, weights.shape, strict=False)]
    holed = dilated(weights, settings.dilation)  # (f_d, f_d)
    border = _CV_BORDERS[settings.border]
    if all(sum(amounts) < covered for amounts, covered in zip(paddings, holed.shape, strict=True)):
        # Anchored at the padding, the filter makes OpenCV invent exactly the border that is asked for.
        anchor = (paddings[0][0], paddings[1][0])
    else:
        padded = cv2.copyMakeBorder(pixels, *paddings[0], *paddings[1], border, value=0)  # (H + 2p, W + 2p)
        pixels = checked_image(padded)
        anchor = (0, 0)
    response = _correlate(pixels, holed, anchor, border)

    step = settings.stride
    rows, columns = (slice(0, (n - 1) * step + 1, step) for n in outputs)
    shape = (*outputs, *image.shape[2:])
    return np.ascontiguousarray(response[rows, columns]).reshape(shape)  # (H', W') or (H', W', C)


def checked_image(image: npt.NDArray[np.generic]) -> Pixels:
    """Return the image as contiguous uint8 or float32, or raise a ValueError that names its shape."""
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"The image must have the shape (H, W) or (H, W, C), received {image.shape}.")
    if image.dtype.kind not in "buif":
        raise ValueError(f"The image must hold real numbers, received {image.dtype}.")
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image, np.uint8)
    return np.ascontiguousarray(image, np.float32)


def checked_kernel(kernel: npt.NDArray[np.generic], settings: ConvolutionSettings) -> Kernel:
    """Return the kernel as it is laid over the image: float64, turned by 180 degrees if settings.flip."""
    if kernel.ndim != 2 or 0 in kernel.shape or kernel.dtype.kind not in "buif":
        raise ValueError(f"The filter must be a matrix (f, f) of numbers, received {kernel.dtype} {kernel.shape}.")
    weights = np.asarray(kernel, np.float64)
    if not np.isfinite(weights).all():
        raise ValueError("The filter must hold finite numbers only.")
    return weights[::-1, ::-1] if settings.flip else weights


def check_fit(shape: Sequence[int], kernel_shape: Sequence[int], settings: ConvolutionSettings) -> None:
    """Raise FilterTooLarge, naming both sizes, if the filter covers more than the padded image."""
    covered = [settings.dilation * (f - 1) + 1 for f in kernel_shape]
    padded = [n + sum(padding_amounts(n, f, settings)) for n, f in zip(shape, kernel_shape, strict=False)]
    if covered[0] > padded[0] or covered[1] > padded[1]:
        raise FilterTooLarge(
            f"The filter covers {covered[0]} x {covered[1]} pixels, but the image has only {padded[0]} x "
            f"{padded[1]}, padding included: take a smaller filter, a smaller dilation, more padding or a "
            "larger image."
        )


def _correlate(image: Pixels, kernel: Kernel, anchor: tuple[int, int], border: int) -> Map:
    """Return the response at every pixel, the kernel's tap `anchor` (row, column) lying on that pixel."""
    kernel, anchor = _without_zero_rim(kernel, anchor)
    if kernel.shape == (1, 1):
        response = image.astype(np.float32)
        return response if kernel[0, 0] == 1 else np.multiply(response, np.float32(kernel[0, 0]), out=response)
    if np.count_nonzero(kernel) <= _FEW_TAPS and kernel.size <= _FEW_TAPS**2:
        # Turning the pixels to float32 first would cost more than the filter itself; 16 bits cost half of 32.
        depth = cv2.CV_16S if image.dtype == np.uint8 and _fits_16_bits(kernel) else cv2.CV_32F
        return _as_map(cv2.filter2D(image, depth, kernel, anchor=anchor[::-1], borderType=border))
    bands = _bands(kernel)
    direct_cost_ms = 1.0 + 0.1 * np.count_nonzero(kernel) + 1.9 * (len(bands) - 1)
    by_taps = len(bands) > 0 and direct_cost_ms < _FOURIER_COST_MS
    cost_ms = direct_cost_ms if by_taps else _FOURIER_COST_MS
    separable_cost_ms = 2.0 + 0.125 * sum(kernel.shape)

    terms = _separable_terms(kernel, most=max(1, int(cost_ms / separable_cost_ms)))
    if terms is not None:
        return _sum_of_separable(image, terms, anchor, border)
    pixels = image.astype(np.float32, copy=False)
    if by_taps and len(bands) > 1:
        return _sum_of_bands(pixels, kernel, bands, anchor, border)
    return _as_map(cv2.filter2D(pixels, cv2.CV_32F, kernel, anchor=anchor[::-1], borderType=border))


def _without_zero_rim(kernel: Kernel, anchor: tuple[int, int]) -> tuple[Kernel, tuple[int, int]]:
    """Cut off the outer rows and columns that hold only zeros, as far as the anchor stays inside."""
    spans = []
    for axis in (0, 1):
        used = np.flatnonzero(kernel.any(axis=1 - axis)).tolist() or [anchor[axis]]
        spans.append((min(used[0], anchor[axis]), max(used[-1], anchor[axis]) + 1))
    (top, bottom), (left, right) = spans
    return kernel[top:bottom, left:right], (anchor[0] - top, anchor[1] - left)


def _sum_of_separable(image: Pixels, terms: Sequence[Term], anchor: tuple[int, int], border: int) -> Map:
    total: Map | None = None
    for column, row in terms:
        part = cv2.sepFilter2D(image, cv2.CV_32F, row, column, anchor=anchor[::-1], borderType=border)
        total = _as_map(part) if total is None else np.add(total, part, out=total)
    return np.zeros(image.shape, np.float32) if total is None else total


def _sum_of_bands(pixels: Map, kernel: Kernel, bands: Sequence[slice], anchor: tuple[int, int], border: int) -> Map:
    height = pixels.shape[0]
    above, below = anchor[0], kernel.shape[0] - 1 - anchor[0]
    # Rows are padded here, since a band does not contain its anchor; columns by filter2D as ever.
    padded = cv2.copyMakeBorder(pixels, above, below, 0, 0, border, value=0)  # (H + f_h - 1, W)
    total: Map | None = None
    for band in bands:
        under = padded[band.start : band.stop - 1 + height]  # (H + rows - 1, W)
        part = cv2.filter2D(under, cv2.CV_32F, kernel[band], anchor=(anchor[1], 0), borderType=border)
        part = part[:height]  # (H, W)
        total = _as_map(part) if total is None else np.add(total, part, out=total)
    return np.zeros(pixels.shape, np.float32) if total is None else total


def _bands(kernel: Kernel) -> list[slice]:
    """Cut the kernel into as few bands of rows as go tap by tap; none where even one row is too long.

    Rows of zeros (which a dilation leaves) belong to no band.
    """
    most_rows = _LARGEST_BAND_TAPS // kernel.shape[1]
    if most_rows == 0:
        return []
    bands: list[slice] = []
    for row in np.flatnonzero(kernel.any(axis=1)).tolist():
        if bands and row - bands[-1].start < most_rows:
            bands[-1] = slice(bands[-1].start, row + 1)
        else:
            bands.append(slice(row, row + 1))
    return bands


def _separable_terms(kernel: Kernel, most: int) -> list[Term] | None:
    """Return (column, row) pairs whose outer products add up to the kernel; None if `most` are not enough.

    Gaussian elimination with full pivoting: each step takes the row and the column of the largest element
    left. Unlike singular vectors, these keep whole numbers whole: Scharr is (3, 10, 3) times (1, 0, -1).
    """
    rest = kernel.copy()
    tolerance = _RANK_TOLERANCE * np.abs(kernel).sum()
    terms: list[Term] = []
    while np.abs(rest).sum() > tolerance:
        if len(terms) == most:
            return None
        i, j = np.unravel_index(np.argmax(np.abs(rest)), rest.shape)
        unit = _common_factor(rest[i]) or rest[i, j]
        row = rest[i] / unit  # (f_w,)
        column = rest[:, j] / row[j]  # (f_h,)
        terms.append((column, row))
        rest -= np.outer(column, row)
    return terms


def _fits_16_bits(kernel: Kernel) -> bool:
    """Return whether every response to uint8 pixels is a whole number that 16 bits hold."""
    return 255 * float(np.abs(kernel).sum()) < 2**15 and np.array_equal(np.rint(kernel), kernel)


def _common_factor(row: Kernel) -> int:
    """Return the greatest common divisor of a row of whole numbers; 0 for any other row."""
    whole = np.rint(row)
    if not np.array_equal(whole, row) or np.abs(row).max() > 2**31:
        return 0
    return int(np.gcd.reduce(whole.astype(np.int64)))


def _as_map(array: npt.NDArray[Any]) -> Map:
    return array.astype(np.float32, copy=False)
