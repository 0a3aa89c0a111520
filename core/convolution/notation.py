"""The notation of a convolution layer with sizes put in (notes, section 1.5).

Layer l turns an input n_H x n_W x n_C into an output n'_H x n'_W x n'_C by n'_C filters of f x f x n_C and as
many biases; vectorised over a batch, the activation A has a leading axis of m examples.
"""

import math
from dataclasses import dataclass

from core.convolution.settings import ConvolutionSettings, output_amount


@dataclass(frozen=True)
class NotationEntry:
    """One line of the table.

    Attributes:
        what: the name of the thing.
        symbol: its shape in the letters of the notes, in LaTeX.
        shape: its shape in numbers.
    """

    what: str
    symbol: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def layer_notation(
    input_shape: tuple[int, int, int],
    filters_shape: tuple[int, int, int, int],
    settings: ConvolutionSettings,
    batch: int,
) -> tuple[NotationEntry, ...]:
    """Return the table for an input (H, W, C), filters (f, f, C, K) and a batch of m examples.

    >>> for entry in layer_notation((6, 6, 3), (3, 3, 3, 2), ConvolutionSettings(), 10):
    ...     print(entry.what, entry.shape, entry.count)
    Input (6, 6, 3) 108
    Each filter (3, 3, 3) 27
    Weights (3, 3, 3, 2) 54
    Bias (1, 1, 1, 2) 2
    Activation (4, 4, 2) 32
    Activation of a batch (10, 4, 4, 2) 320

    Raises:
        FilterTooLarge: the filters are larger than the padded input.
        ValueError: shapes that do not belong together, or a batch below 1.
    """
    height, width, channels = input_shape
    rows, columns, depth, maps = filters_shape
    if depth != channels:
        raise ValueError(f"Filters for {channels} channels must be {channels} deep, received {filters_shape}.")
    if batch < 1:
        raise ValueError(f"A batch holds at least 1 example, received {batch}.")
    out_height, out_width = output_amount(height, rows, settings), output_amount(width, columns, settings)
    return (
        NotationEntry("Input", r"n_H^{(l-1)} \times n_W^{(l-1)} \times n_C^{(l-1)}", input_shape),
        NotationEntry("Each filter", r"f^{(l)} \times f^{(l)} \times n_C^{(l-1)}", (rows, columns, channels)),
        NotationEntry("Weights", r"f^{(l)} \times f^{(l)} \times n_C^{(l-1)} \times n_C^{(l)}", filters_shape),
        NotationEntry("Bias", r"1 \times 1 \times 1 \times n_C^{(l)}", (1, 1, 1, maps)),
        NotationEntry(
            "Activation",
            r"a^{(l)}:\; n_H^{(l)} \times n_W^{(l)} \times n_C^{(l)}",
            (out_height, out_width, maps),
        ),
        NotationEntry(
            "Activation of a batch",
            r"A^{(l)}:\; m \times n_H^{(l)} \times n_W^{(l)} \times n_C^{(l)}",
            (batch, out_height, out_width, maps),
        ),
    )
