"""Where the windows lie, where maxima came from, and how maps are encoded: what the drawing modules share."""

from dataclasses import dataclass

import numpy as np

from core.convolution.display import clipped_to_rgb, signed_to_rgb
from core.convolution.pooling import PoolingResult
from core.convolution.windows import WindowPositions
from core.runtime.images import display_jpeg, encode_png
from pages.parts.pixels import Pixel


@dataclass(frozen=True)
class Layout:
    """The windows along both axes, and the chosen output pixel."""

    rows: WindowPositions
    columns: WindowPositions
    pixel: Pixel

    @property
    def top(self) -> int:
        """First input row of the chosen window."""
        return self.rows.starts[self.pixel.row]

    @property
    def left(self) -> int:
        """First input column of the chosen window."""
        return self.columns.starts[self.pixel.column]

    def cut(self, values: np.ndarray) -> np.ndarray:
        """What lies in the chosen window, (f, f) or (f, f, C)."""
        return values[self.top : self.top + self.rows.f, self.left : self.left + self.rows.f]

    def cells(self) -> list[Pixel]:
        """The input cells of the chosen window."""
        rows, columns = self.rows.taps(self.pixel.row), self.columns.taps(self.pixel.column)
        return [Pixel(row, column) for row in rows for column in columns]

    def in_window(self, source: Pixel) -> Pixel:
        """An input cell, counted from the corner of the chosen window."""
        return Pixel(source.row - self.top, source.column - self.left)

    def left_over(self) -> np.ndarray:
        """Which input cells (H, W) lie behind the last window."""
        faded = np.zeros((self.rows.n, self.columns.n), dtype=bool)
        faded[self.rows.n - self.rows.left_over :] = True
        faded[:, self.columns.n - self.columns.left_over :] = True
        return faded


def all_sources(result: PoolingResult) -> list[Pixel]:
    """The input cells that are the maximum of at least one window, each once; none for the average."""
    if result.rows is None or result.columns is None:
        return []
    pairs = zip(result.rows.ravel().tolist(), result.columns.ravel().tolist(), strict=True)
    return [Pixel(row, column) for row, column in sorted(set(pairs))]


def sources_of(result: PoolingResult, pixel: Pixel) -> list[Pixel]:
    """Where the maxima of one output came from, one for each channel; none for the average."""
    if result.rows is None or result.columns is None:
        return []
    rows = np.atleast_1d(result.rows[pixel.row, pixel.column]).tolist()
    columns = np.atleast_1d(result.columns[pixel.row, pixel.column]).tolist()
    return [Pixel(row, column) for row, column in zip(rows, columns, strict=True)]


def as_picture(values: np.ndarray, *, is_image: bool) -> np.ndarray:
    """A picture's values as they are, other numbers in the signed colours: RGB uint8 (H, W, 3)."""
    return clipped_to_rgb(values) if is_image else signed_to_rgb(values)


def encoded(values: np.ndarray, *, is_image: bool) -> bytes:
    """The same as bytes for the screen."""
    shown = as_picture(values, is_image=is_image)
    # JPEG would blur the squares of a small map into one another.
    return encode_png(shown) if max(shown.shape[:2]) <= 128 else display_jpeg(shown)


def size_text(shape: tuple[int, ...]) -> str:
    """A shape as people write it.

    >>> size_text((4, 6, 3))
    '4 × 6 × 3'
    """
    return " × ".join(f"{n:,}" for n in shape)
