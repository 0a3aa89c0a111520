"""What an output of the playground is made of: an input, a filter, the settings, and how it is shown."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.convolution.display import absolute_to_rgb, clipped_to_rgb, signed_to_rgb
from core.convolution.operation import ConvolutionSettings, luminance
from core.runtime.images import content_hash, display_jpeg
from pages.parts.pixels import Pixel
from pages.parts.playground.controls import ChosenFilter

LARGEST_NUMBERS = 16


@dataclass(frozen=True)
class Input:
    """What is convolved: pixels (H, W) or (H, W, 3), whether it is a photograph, and names for caches and files."""

    values: np.ndarray
    is_image: bool
    name: str
    fingerprint: str

    @property
    def as_numbers(self) -> bool:
        """Whether it is small enough to be shown as a grid of numbers."""
        return max(self.values.shape[:2]) <= LARGEST_NUMBERS and self.values.ndim == 2


@dataclass(frozen=True)
class Recipe:
    """All that an output is made of; `show` is one of signed, absolute, clipped, auto."""

    given: Input
    chosen: ChosenFilter
    settings: ConvolutionSettings
    show: str

    @property
    def shown_as(self) -> str:
        """How the numbers become colours, "auto" resolved."""
        if self.show != "auto":
            return self.show
        return "clipped" if abs(self.chosen.kernel.sum()) > 0.5 else "signed"

    @property
    def values(self) -> np.ndarray:
        """What the filter is applied to: the colours of a photograph only where they are shown."""
        given = self.given
        if not given.is_image or (self.shown_as == "clipped" and given.values.ndim == 3):
            return given.values
        return _grey(given.fingerprint, given.values)

    @property
    def fingerprint(self) -> str:
        """Equal for equal outputs."""
        return f"{self.given.fingerprint} {content_hash(self.chosen.kernel)} {self.settings} {self.shown_as}"


@dataclass(frozen=True)
class Rendered:
    """An output ready to be drawn.

    `output` are its numbers, `low` to `high`; `shown` its picture, RGB uint8, with full colour at `limit`; `jpeg` that
    picture as bytes, None where the numbers themselves are shown; `pixel` is the one selected in it.
    """

    recipe: Recipe
    output: np.ndarray
    low: float
    high: float
    limit: float
    shown: np.ndarray
    jpeg: bytes | None
    pixel: Pixel


def render(recipe: Recipe, output: np.ndarray, pixel: Pixel) -> Rendered:
    """Turn the numbers that a recipe gave into a picture; nothing is drawn yet."""
    low, high = float(output.min()), float(output.max())
    # Edges of a photograph are mostly far weaker than its strongest one: full colour comes at half of that.
    limit = (0.5 if recipe.given.is_image else 1.0) * max(high, -low)
    draw = {
        "signed": lambda: signed_to_rgb(output, limit),
        "absolute": lambda: absolute_to_rgb(output, limit),
        "clipped": lambda: clipped_to_rgb(output),
    }
    shown = draw[recipe.shown_as]()
    as_numbers = output.ndim == 2 and max(output.shape) <= LARGEST_NUMBERS
    return Rendered(recipe, output, low, high, limit, shown, None if as_numbers else display_jpeg(shown), pixel)


@st.cache_resource(max_entries=8, show_spinner=False)
def _grey(fingerprint: str, _pixels: np.ndarray) -> np.ndarray:
    return luminance(_pixels)
