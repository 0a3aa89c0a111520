"""Where the windows of a convolution lie along an axis, and which pixels no window reads (notes, 1.3, 1.4).

The filter must be fully contained in the padded image, so with a stride the last pixels may be left over. All
positions are whole pixels of the padded axis: 0 is the first pixel of the padding. An image is square here:
both axes have the same windows, and maps are (n + p_before + p_after, the same).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.convolution.geometry import Padding, axis_padding, covered_size, output_size

PADDING, IMAGE, NEVER_READ = 0, 1, 2


@dataclass(frozen=True)
class WindowPositions:
    """The windows along one axis.

    Attributes:
        n: pixels of the image.
        before: pixels of padding before the first.
        after: pixels of padding after the last.
        f: taps of the filter.
        stride: pixels between neighbouring windows.
        dilation: pixels between neighbouring taps.
        starts: first padded pixel of each window.
    """

    n: int
    before: int
    after: int
    f: int
    stride: int
    dilation: int
    starts: tuple[int, ...]

    @property
    def padded(self) -> int:
        """Pixels of the padded axis."""
        return self.n + self.before + self.after

    @property
    def covered(self) -> int:
        """Pixels from the first to the last tap of a window."""
        return covered_size(self.f, self.dilation)

    @property
    def left_over(self) -> int:
        """Pixels at the end of the padded axis that lie behind the last window."""
        return self.padded - self.starts[-1] - self.covered

    def taps(self, window: int) -> tuple[int, ...]:
        """Return the padded pixels that the taps of a window lie on."""
        return tuple(self.starts[window] + self.dilation * tap for tap in range(self.f))


def window_positions(
    n: int, f: int, *, padding: Padding = "valid", stride: int = 1, dilation: int = 1
) -> WindowPositions:
    """Return the windows along an axis of n pixels.

    >>> positions = window_positions(8, 3, stride=2)
    >>> positions.starts, positions.left_over
    ((0, 2, 4), 1)

    Raises:
        FilterTooLarge: the filter covers more pixels than the padded axis has.
        ValueError: a size, stride or dilation below 1, or a padding that is no padding.
    """
    outputs = output_size(n, f, padding=padding, stride=stride, dilation=dilation)
    before, after = axis_padding(n, f, padding=padding, stride=stride, dilation=dilation)
    starts = tuple(stride * window for window in range(outputs))
    return WindowPositions(n, before, after, f, stride, dilation, starts)


def pixel_kinds(positions: WindowPositions) -> npt.NDArray[np.int8]:
    """Return for each pixel of the padded square what it is: PADDING, IMAGE or NEVER_READ.

    A pixel is never read if it is left over at the end, or lies between windows or taps.

    >>> pixel_kinds(window_positions(3, 2, padding=1, stride=2))
    array([[0, 0, 0, 0, 2],
           [0, 1, 1, 1, 2],
           [0, 1, 1, 1, 2],
           [0, 1, 1, 1, 2],
           [2, 2, 2, 2, 2]], dtype=int8)
    """
    axis = np.arange(positions.padded)  # (N,)
    in_image = (axis >= positions.before) & (axis < positions.before + positions.n)
    taps = np.array(positions.starts)[:, None] + positions.dilation * np.arange(positions.f)  # (n', f)
    read = np.isin(axis, taps)
    kinds = np.where(np.logical_and.outer(in_image, in_image), IMAGE, PADDING)  # (N, N)
    kinds[~np.logical_and.outer(read, read)] = NEVER_READ
    return kinds.astype(np.int8)
