"""Why convolutions: the same layer as one large sparse matrix, what it costs, and what a shift does to it.

Section 1.8 of the notes. A convolution is linear, so it is a matrix (H'W', HW) times the image read row by
row: a doubly blocked Toeplitz matrix, which repeats the f x f weights (parameter sharing) between zeros
(sparsity of connections). A fully connected layer of the same shapes has a weight of its own in every place
of that matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core.convolution.fast import check_fit, checked_kernel, convolve
from core.convolution.pooling import relative_change
from core.convolution.settings import ConvolutionSettings, output_amount, padding_amounts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Map = npt.NDArray[np.float32]

MAX_MATRIX_ENTRIES = 20_000_000
BYTES_PER_NUMBER = 4  # float32
# A fully connected layer on this many pixels each way has a million weights.
_FULLY_CONNECTED_SIDE_PX = 32


def toeplitz_matrix(
    kernel: npt.NDArray[np.generic], height: int, width: int, settings: ConvolutionSettings | None = None
) -> csr_array:
    """Return the sparse matrix (H'W', HW) whose product with the image, read row by row, is the convolution.

    Each row holds the filter once, at the pixels that its output sees; what falls into a border of zeros is
    left out.

    >>> toeplitz_matrix(np.array([[1.0, 2.0]]), 2, 3).toarray()
    array([[1., 2., 0., 0., 0., 0.],
           [0., 1., 2., 0., 0., 0.],
           [0., 0., 0., 1., 2., 0.],
           [0., 0., 0., 0., 1., 2.]])

    Raises:
        FilterTooLarge: the filter is larger than the padded image.
        ValueError: a border other than zeros, or more than 20 million entries.
    """
    # SciPy's sparse matrices take longer to import than all the rest, and most callers want none.
    from scipy.sparse import csr_array

    settings = settings or ConvolutionSettings()
    if settings.border != "zero":
        raise ValueError(
            f"A border that repeats pixels ({settings.border}) adds several weights to one entry of the "
            "matrix: it is Toeplitz for a border of zeros only."
        )
    weights = checked_kernel(kernel, settings)
    check_fit((height, width), weights.shape, settings)
    rows, y, i = _axis_entries(height, weights.shape[0], settings)
    columns, x, j = _axis_entries(width, weights.shape[1], settings)
    if rows.size * columns.size > MAX_MATRIX_ENTRIES:
        raise ValueError(
            f"The matrix would have {rows.size * columns.size:,} entries, more than {MAX_MATRIX_ENTRIES:,}: "
            "take a smaller image or filter."
        )
    out_height, out_width = (output_amount(n, f, settings) for n, f in zip((height, width), weights.shape, strict=True))
    outputs = rows[:, None] * out_width + columns  # (entries of the rows, entries of the columns)
    inputs = y[:, None] * width + x
    values = weights[np.ix_(i, j)]
    return csr_array(
        (values.ravel(), (outputs.ravel(), inputs.ravel())), shape=(out_height * out_width, height * width)
    )


def _axis_entries(
    n: int, f: int, settings: ConvolutionSettings
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return every (output, input, tap) along one axis whose input lies within the image."""
    before, _ = padding_amounts(n, f, settings)
    outputs, taps = np.indices((output_amount(n, f, settings), f))
    inputs = outputs * settings.stride - before + taps * settings.dilation
    inside = (inputs >= 0) & (inputs < n)
    return outputs[inside], inputs[inside], taps[inside]


@dataclass(frozen=True)
class LayerCost:
    """What a layer from one volume to another costs.

    Attributes:
        input_shape: (H, W, C).
        output_shape: (H', W', K), or (1, 1, K) for K units in a row.
        weights: numbers to learn without the biases.
        biases: one for each filter or unit.
        connections: pairs of an input and an output value with a weight between them.
        multiply_adds: products for one input, those with padding among them.
    """

    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    weights: int
    biases: int
    connections: int
    multiply_adds: int

    @property
    def parameters(self) -> int:
        """All numbers to learn."""
        return self.weights + self.biases

    @property
    def parameter_bytes(self) -> int:
        """Memory of the parameters as float32."""
        return BYTES_PER_NUMBER * self.parameters

    @property
    def possible_connections(self) -> int:
        """Pairs of an input and an output value."""
        return _volume(self.input_shape) * _volume(self.output_shape)

    @property
    def density(self) -> float:
        """Share of the possible connections that there are: 1 for a fully connected layer."""
        return self.connections / self.possible_connections


def fully_connected_cost(input_shape: tuple[int, int, int], output_shape: tuple[int, int, int] | int) -> LayerCost:
    """Return the cost of joining every input value with every output value (or with so many units).

    >>> cost = fully_connected_cost((1000, 1000, 3), 1000)
    >>> cost.weights, cost.weights * 4
    (3000000000, 12000000000)

    Raises:
        ValueError: a size below 1.
    """
    outputs = (1, 1, output_shape) if isinstance(output_shape, int) else output_shape
    _check_volume(input_shape)
    _check_volume(outputs)
    weights = _volume(input_shape) * _volume(outputs)
    return LayerCost(input_shape, outputs, weights, _volume(outputs), weights, weights)


def convolution_cost(
    input_shape: tuple[int, int, int], f: int, n_c: int, settings: ConvolutionSettings | None = None
) -> LayerCost:
    """Return the cost of n_c filters (f, f, C) on a volume (H, W, C).

    >>> cost = convolution_cost((32, 32, 3), 5, 8)
    >>> cost.output_shape, cost.parameters, cost.multiply_adds
    ((28, 28, 8), 608, 470400)

    Raises:
        FilterTooLarge: the filter is larger than the padded input.
        ValueError: a size below 1.
    """
    settings = settings or ConvolutionSettings()
    _check_volume(input_shape)
    _check_volume((f, f, n_c))
    height, width, channels = input_shape
    out_height, out_width = (output_amount(n, f, settings) for n in (height, width))
    # Pairs of an output and an input along each axis: a map of all pixels would fill gigabytes.
    pairs = [_axis_entries(n, f, settings)[0].size for n in (height, width)]
    weights = f * f * channels * n_c
    return LayerCost(
        input_shape=input_shape,
        output_shape=(out_height, out_width, n_c),
        weights=weights,
        biases=n_c,
        connections=pairs[0] * pairs[1] * channels * n_c,
        multiply_adds=out_height * out_width * weights,
    )


def _volume(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]


def _check_volume(shape: tuple[int, int, int]) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"A volume is (H, W, C) with every size at least 1, received {shape}.")


@dataclass(frozen=True)
class TranslationResult:
    """The same shift before and after a layer, compared where both know the answer.

    Changes are |one - other| / |other| (Euclidean norm): 0 means that the map moves with the image.

    Attributes:
        shift_px: (down, right), how far the picture moved.
        map_shift: (down, right), how far the map should move: shift_px / stride, rounded where that is no
            whole number, and then it cannot match.
        shifted_then_convolved: float32 (h, w).
        convolved_then_shifted: float32 (h, w), the same outputs.
        convolution_change: between these two.
        interior_change: the same without the outputs that see padding; None if all of them do.
        fully_connected_change: the same for a fully connected layer with weights of its own (normally
            distributed) from up to 32 x 32 pixels in the middle to as many outputs; None if the shift is
            larger than that.
        images: the image and the moved one, (H - |down|, W - |right|) each.
        maps: the convolution of each, whole.
        places: where in each map the outputs lie that both know: (top, left, height, width).
        fully_connected_maps: the outputs of the fully connected layer for each, or None.
    """

    shift_px: tuple[int, int]
    map_shift: tuple[int, int]
    shifted_then_convolved: Map
    convolved_then_shifted: Map
    convolution_change: float
    interior_change: float | None
    fully_connected_change: float | None
    images: tuple[Map, Map]
    maps: tuple[Map, Map]
    places: tuple[tuple[int, int, int, int], tuple[int, int, int, int]]
    fully_connected_maps: tuple[Map, Map] | None


def translation_equivariance(
    picture: npt.NDArray[np.generic],
    kernel: npt.NDArray[np.generic],
    settings: ConvolutionSettings,
    shift_px: tuple[int, int],
    *,
    seed: int = 0,
) -> TranslationResult:
    """Return how well a convolution of a picture (H, W) commutes with a shift of (down, right) pixels.

    Both images are cut from the picture, so what moves in is real and no border is invented.

    >>> picture = np.random.default_rng(0).random((40, 40))
    >>> result = translation_equivariance(picture, np.ones((3, 3)), ConvolutionSettings(), (2, -3))
    >>> result.map_shift, result.convolution_change, result.fully_connected_change > 0.5
    ((2, -3), 0.0, True)

    Raises:
        FilterTooLarge: the filter is larger than what the shift leaves of the picture.
        ValueError: the picture is not (H, W), or the shift leaves nothing to compare.
    """
    if picture.ndim != 2 or abs(shift_px[0]) >= picture.shape[0] or abs(shift_px[1]) >= picture.shape[1]:
        raise ValueError(f"A shift of {shift_px} needs a larger picture (H, W), received {picture.shape}.")
    original, moved = _crops(np.asarray(picture, np.float32), shift_px)  # (H - |down|, W - |right|)
    map_shift = (round(shift_px[0] / settings.stride), round(shift_px[1] / settings.stride))
    before, after = convolve(original, kernel, settings), convolve(moved, kernel, settings)
    if abs(map_shift[0]) >= before.shape[0] or abs(map_shift[1]) >= before.shape[1]:
        raise ValueError(f"A shift by {map_shift} leaves nothing of a map of {before.shape}: take a smaller one.")
    expected, result = _shared(before, after, map_shift)
    interior = [
        _sees_no_padding(n, f, shift, settings)
        for n, f, shift in zip(original.shape, kernel.shape, map_shift, strict=True)
    ]
    inner = np.ix_(*interior)
    rows, columns = (_overlap(n, d) for n, d in zip(before.shape, map_shift, strict=True))
    height, width = expected.shape
    dense = _fully_connected_maps(original, moved, shift_px, seed)
    return TranslationResult(
        shift_px=shift_px,
        map_shift=map_shift,
        shifted_then_convolved=result,
        convolved_then_shifted=expected,
        convolution_change=relative_change(expected, result),
        interior_change=relative_change(expected[inner], result[inner]) if expected[inner].size else None,
        fully_connected_change=None if dense is None else relative_change(*_shared(*dense, shift_px)),
        images=(original, moved),
        maps=(before, after),
        places=(
            (rows[0].start, columns[0].start, height, width),
            (rows[1].start, columns[1].start, height, width),
        ),
        fully_connected_maps=dense,
    )


def _crops(picture: Map, shift_px: tuple[int, int]) -> tuple[Map, Map]:
    """Return two crops of the same size; the second shows the picture moved by shift_px."""
    firsts = [(max(shift, 0), max(-shift, 0)) for shift in shift_px]
    (top, top_moved), (left, left_moved) = firsts
    height, width = (n - abs(shift) for n, shift in zip(picture.shape, shift_px, strict=True))
    return (
        picture[top : top + height, left : left + width],
        picture[top_moved : top_moved + height, left_moved : left_moved + width],
    )


def _overlap(n: int, shift: int) -> tuple[slice, slice]:
    """Return where the two maps of n values show the same, if the second is the first moved by shift."""
    return slice(max(-shift, 0), n - max(shift, 0)), slice(max(shift, 0), n - max(-shift, 0))


def _shared(before: Map, after: Map, shift: tuple[int, int]) -> tuple[Map, Map]:
    rows, columns = (_overlap(n, d) for n, d in zip(before.shape, shift, strict=True))
    return before[rows[0], columns[0]], after[rows[1], columns[1]]


def _sees_no_padding(n: int, f: int, shift: int, settings: ConvolutionSettings) -> npt.NDArray[np.intp]:
    """Return the positions within the overlap whose windows lie inside both images, along one axis."""
    outputs = np.arange(output_amount(n, f, settings))
    firsts = outputs * settings.stride - padding_amounts(n, f, settings)[0]
    inside = (firsts >= 0) & (firsts + settings.dilation * (f - 1) < n)  # (outputs,)
    old, new = _overlap(outputs.size, shift)
    return np.flatnonzero(inside[old] & inside[new])


def _fully_connected_maps(original: Map, moved: Map, shift_px: tuple[int, int], seed: int) -> tuple[Map, Map] | None:
    """Return what a fully connected layer answers to the middle of both images, as (h, w) like its input."""
    height, width = (min(n, _FULLY_CONNECTED_SIDE_PX) for n in original.shape)
    if abs(shift_px[0]) >= height or abs(shift_px[1]) >= width:
        return None
    top, left = (original.shape[0] - height) // 2, (original.shape[1] - width) // 2
    middle = (slice(top, top + height), slice(left, left + width))
    pixels = height * width
    weights = np.random.default_rng(seed).standard_normal((pixels, pixels), np.float32)
    return (
        (weights @ original[middle].ravel()).reshape(height, width),
        (weights @ moved[middle].ravel()).reshape(height, width),
    )
