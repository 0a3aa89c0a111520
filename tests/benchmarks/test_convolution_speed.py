"""The filter of the playground against a bare cv2.filter2D, on a photograph of 1 megapixel in RGB.

Both run in turn in one process, so that what else the machine does slows both; medians are compared.
"""

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from skimage import data

from core.convolution.display import signed_to_rgb
from core.convolution.filters import FILTERS, filter_kernel
from core.convolution.operation import ConvolutionSettings, convolve

pytestmark = pytest.mark.benchmark

MOST_RATIO = 1.15
SIZES = (3, 5, 7, 11, 15, 31)
LEAST_ROUNDS = 15
LEAST_TIME_S = 1.0
BORDERS = {"zero": cv2.BORDER_CONSTANT, "reflect": cv2.BORDER_REFLECT_101}


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return cv2.resize(data.astronaut(), (1024, 1024), interpolation=cv2.INTER_AREA)


def kernels():
    rng = np.random.default_rng(0)
    for size in SIZES:
        yield f"random {size}x{size}", rng.normal(size=(size, size))
    for name, spec in FILTERS.items():
        for size in SIZES if "size" in spec.parameters else (3,):
            kernel = filter_kernel(name, size, sigma=size / 6, orientation_deg=30.0, wavelength_px=size / 3)
            yield f"{name} {size}x{size}", kernel


def interleaved_medians_ms(*functions: Callable[[], object]) -> list[float]:
    times_ms: list[list[float]] = [[] for _ in functions]
    turns = list(zip(functions, times_ms, strict=True))
    for function in functions:  # the first call allocates and warms up
        function()
    # Short calls are disturbed most by what else the machine does, and cost least to repeat.
    end = time.perf_counter() + LEAST_TIME_S
    while len(times_ms[0]) < LEAST_ROUNDS or time.perf_counter() < end:
        turns.reverse()  # so that none of them is always the first
        for function, own in turns:
            start = time.perf_counter()
            function()
            own.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(own) for own in times_ms]


@pytest.mark.parametrize("border", BORDERS)
def test_convolve_is_hardly_slower_than_opencv_or_faster(photograph, border):
    settings = ConvolutionSettings(padding="same", border=border)
    too_slow = []
    print(f"\n{'filter, border ' + border:36} {'convolve ms':>12} {'filter2D ms':>12} {'ratio':>6}")
    for name, kernel in kernels():
        ours, bare = interleaved_medians_ms(
            lambda kernel=kernel: convolve(photograph, kernel, settings),
            lambda kernel=kernel: cv2.filter2D(photograph, cv2.CV_32F, kernel, borderType=BORDERS[border]),
        )
        print(f"{name:36} {ours:12.2f} {bare:12.2f} {ours / bare:6.2f}")
        if ours > MOST_RATIO * bare:
            too_slow.append(f"{name}: {ours / bare:.2f}")

    assert not too_slow, f"slower than {MOST_RATIO} times cv2.filter2D: {too_slow}"


def test_colouring_a_signed_map_costs_less_than_its_jpeg(photograph):
    response = convolve(photograph[..., 0], filter_kernel("sobel_vertical"))
    shown = signed_to_rgb(response)

    colour_ms, jpeg_ms = interleaved_medians_ms(lambda: signed_to_rgb(response), lambda: cv2.imencode(".jpg", shown))
    print(f"\nsigned_to_rgb {colour_ms:.2f} ms, JPEG of the same picture {jpeg_ms:.2f} ms")
    assert colour_ms < 0.6 * jpeg_ms
