"""Random images, filters and settings that the tests of chapter 1 share."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import assume, settings
from hypothesis import strategies as st

from core.convolution.operation import ConvolutionSettings, FilterTooLarge, padded_input

# TensorFlow's first call of an operation takes long, so no deadline; the same examples every time.
few_examples = settings(max_examples=40, deadline=None, derandomize=True)
many_examples = settings(max_examples=200, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Case:
    """One convolution to check: whole numbers, so that the order of additions changes nothing."""

    image: npt.NDArray[np.generic]
    kernel: npt.NDArray[np.float64]
    settings: ConvolutionSettings


@st.composite
def convolution_settings(draw: st.DrawFn, most_dilation: int = 3) -> ConvolutionSettings:
    """Every combination of stride, padding, border, dilation and flip."""
    return ConvolutionSettings(
        stride=draw(st.integers(1, 4)),
        padding=draw(st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 9))),
        border=draw(st.sampled_from(["zero", "reflect", "replicate"])),
        dilation=draw(st.integers(1, most_dilation)),
        flip=draw(st.booleans()),
    )


@st.composite
def cases(draw: st.DrawFn, square: bool = False, channels: tuple[int, ...] = (0, 1, 2, 3, 4, 6)) -> Case:
    """An image, a filter (odd or even, square or not) and settings that fit together."""
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    rows = draw(st.integers(1, 6))
    columns = rows if square else draw(st.integers(1, 6))
    chosen = draw(convolution_settings())
    depth = draw(st.sampled_from(channels))
    dtype = draw(st.sampled_from([np.uint8, np.float32, np.float64, np.int16]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    image = rng.integers(0, 256, (height, width, depth) if depth else (height, width)).astype(dtype)
    kernel = rng.integers(-9, 10, (rows, columns)).astype(np.float64)
    try:
        padded_input(image, (rows, columns), chosen)
    except FilterTooLarge:
        assume(False)
    return Case(image, kernel, chosen)
