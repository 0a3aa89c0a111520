"""One convolution written as a matrix product, both computed and compared (notes, section 1.8).

The image (H, W) is read row by row into a vector of HW numbers; the doubly blocked Toeplitz matrix (H'W', HW)
times this vector is the map (H', W') read the same way. Row `i` of the matrix belongs to the output pixel
(i // W', i % W').
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.convolution.equivalence import toeplitz_matrix
from core.convolution.fast import convolve
from core.convolution.settings import ConvolutionSettings


@dataclass(frozen=True)
class MatrixForm:
    """A convolution and its matrix.

    Attributes:
        matrix: (H'W', HW) float64.
        convolved: (H', W'), the convolution.
        product: (H', W'), the matrix times the image.
        input_shape: (H, W).
        connections: entries of the matrix that hold a weight of the filter, zeros among these too.
        largest_difference: between the convolution and the product.
    """

    matrix: npt.NDArray[np.float64]
    convolved: npt.NDArray[np.float32]
    product: npt.NDArray[np.float64]
    input_shape: tuple[int, int]
    connections: int
    largest_difference: float

    @property
    def density(self) -> float:
        """Share of the matrix that holds weights of the filter."""
        return self.connections / self.matrix.size

    def inputs_of(self, row: int, column: int) -> tuple[tuple[int, int], ...]:
        """Return the (row, column) of every input pixel whose weight for this output is not 0."""
        weights = self.matrix[self.row_of(row, column)].reshape(self.input_shape)  # (HW,) -> (H, W)
        return tuple((int(y), int(x)) for y, x in np.argwhere(weights))

    def row_of(self, row: int, column: int) -> int:
        """Return which row of the matrix an output pixel is."""
        return row * int(self.product.shape[1]) + column


def matrix_form(
    image: npt.NDArray[np.generic],
    kernel: npt.NDArray[np.generic],
    settings: ConvolutionSettings | None = None,
) -> MatrixForm:
    """Return the matrix of a convolution of a small image (H, W), its product and how far it is from the map.

    >>> form = matrix_form(np.arange(16.0).reshape(4, 4), np.ones((3, 3)))
    >>> form.matrix.shape, form.connections, form.largest_difference
    ((4, 16), 36, 0.0)
    >>> form.inputs_of(1, 1)[0]
    (1, 1)

    Raises:
        FilterTooLarge: the filter is larger than the padded image.
        ValueError: the image is not (H, W), the border is not of zeros, or the matrix would be too large.
    """
    if image.ndim != 2:
        raise ValueError(f"The image must be (H, W), received {image.shape}.")
    settings = settings or ConvolutionSettings()
    height, width = image.shape
    sparse = toeplitz_matrix(kernel, height, width, settings)
    connections = toeplitz_matrix(np.ones(kernel.shape), height, width, settings).nnz
    convolved = convolve(image.astype(np.float32), kernel, settings)  # (H', W')
    product = (sparse @ image.astype(np.float64).ravel()).reshape(convolved.shape)  # (H'W',) -> (H', W')
    return MatrixForm(
        matrix=sparse.toarray().astype(np.float64),
        convolved=convolved,
        product=product,
        input_shape=(height, width),
        connections=int(connections),
        largest_difference=float(np.abs(product - convolved).max()),
    )
