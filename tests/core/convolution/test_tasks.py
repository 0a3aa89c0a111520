"""The chapter's door: what it computes, what it refuses, and that its results travel."""

import inspect
import pickle
from typing import Any

import numpy as np
import pytest
from skimage import data

from core.convolution import tasks
from core.convolution.filters import filter_kernel
from core.convolution.geometry import FilterTooLarge
from core.convolution.operation import ConvolutionSettings, conv_forward, convolve, convolve_volume
from core.convolution.pooling import pool
from core.convolution.snippets import convolution_snippets
from core.convolution.tasks import (
    ComparisonTooLarge,
    ImplementationComparison,
    compare_implementations,
    compare_pooling,
    compare_volume,
    learn_filter,
)
from core.runtime.report import JobCancelled, Report

PHOTOGRAPH = data.chelsea()[40:140, 100:240]


def check_comparison(comparison: ImplementationComparison, expected: np.ndarray, scale: float) -> None:
    assert [run.name for run in comparison.runs] == ["NumPy", "TensorFlow", "Keras"]
    assert [(pair.first, pair.second) for pair in comparison.differences] == [
        ("NumPy", "TensorFlow"),
        ("NumPy", "Keras"),
        ("TensorFlow", "Keras"),
    ]
    by_name = {run.name: run.result for run in comparison.runs}
    for run in comparison.runs:
        assert run.result.dtype == np.float32 and run.time_ms > 0
        np.testing.assert_allclose(run.result, expected, rtol=0, atol=1e-5 * scale, err_msg=run.name)
    for pair in comparison.differences:
        by_hand = np.abs(by_name[pair.first].astype(np.float64) - by_name[pair.second]).max()
        assert pair.largest == pytest.approx(by_hand) and pair.largest <= 2e-5 * scale
    assert comparison.largest_difference == max(pair.largest for pair in comparison.differences)
    assert comparison.largest_value == pytest.approx(np.abs(expected).max(), rel=1e-4)
    assert len(pickle.loads(pickle.dumps(comparison)).runs) == 3  # noqa: S301 - our own bytes


# --- comparisons ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "kernel", "choices"),
    [
        (PHOTOGRAPH, filter_kernel("sobel_vertical"), {}),
        (PHOTOGRAPH[..., 0], filter_kernel("gaussian", 7), {"padding": "same", "border": "reflect"}),
        (PHOTOGRAPH, filter_kernel("gabor", 5), {"stride": 2, "padding": 3, "dilation": 2, "flip": True}),
        (PHOTOGRAPH, np.arange(8.0).reshape(2, 4), {"padding": "same", "border": "replicate"}),  # not square
    ],
)
def test_three_libraries_give_what_the_page_shows(
    image: np.ndarray, kernel: np.ndarray, choices: dict[str, Any]
) -> None:
    comparison = compare_implementations(image, kernel, **choices)
    settings = ConvolutionSettings(**choices)
    check_comparison(comparison, convolve(image, kernel, settings), 255 * float(np.abs(kernel).sum()))
    assert comparison.input_shape == image.shape and comparison.note == ""
    texts = convolution_snippets(settings, kernel.shape, image.shape)
    assert [(run.name, run.code) for run in comparison.runs] == list(texts.items())


def test_a_layer_of_many_filters() -> None:
    generator = np.random.default_rng(0)
    filters, bias = generator.normal(size=(3, 3, 3, 6)), generator.normal(size=6)
    comparison = compare_volume(PHOTOGRAPH, filters, bias, padding="same", activation="relu")
    expected = convolve_volume(PHOTOGRAPH, filters, bias, ConvolutionSettings(padding="same"), "relu")
    check_comparison(comparison, expected, 255 * float(np.abs(filters).sum(axis=(0, 1, 2)).max()))


@pytest.mark.parametrize("mode", ["max", "average"])
@pytest.mark.parametrize("shape", [(31, 30), (30, 31, 4)])
def test_pooling(mode: Any, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).normal(size=shape)
    check_comparison(compare_pooling(x, 3, 2, mode), pool(x, 3, 2, mode).output, 5)


def test_large_images_are_cut_to_their_middle_and_it_is_said() -> None:
    image = np.random.default_rng(0).integers(0, 256, (600, 900)).astype(np.uint8)
    kernel = filter_kernel("laplacian")
    comparison = compare_implementations(image, kernel)
    assert comparison.input_shape == (512, 512)
    assert "512 x 512" in comparison.note and "600 x 900" in comparison.note
    expected = conv_forward(image[44:556, 194:706][:20, :20], kernel)
    np.testing.assert_allclose(comparison.runs[1].result[:18, :18], expected, atol=1e-2)


def test_large_filters_get_a_smaller_part() -> None:
    image = np.random.default_rng(0).integers(0, 256, (600, 600, 3)).astype(np.uint8)
    comparison = compare_implementations(image, filter_kernel("box", 31))
    assert 31 <= comparison.input_shape[0] < 512 and str(comparison.input_shape[0]) in comparison.note


def test_a_part_never_becomes_smaller_than_the_filter() -> None:
    image = np.random.default_rng(0).integers(0, 256, (700, 700)).astype(np.uint8)
    comparison = compare_implementations(image, np.ones((11, 11)), dilation=60)
    assert comparison.input_shape == (601, 601)
    assert comparison.runs[0].result.shape == (1, 1)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: compare_implementations(np.ones((8, 8)), np.ones((9, 9))), FilterTooLarge, "9 pixels"),
        (lambda: compare_implementations(np.ones(8), np.ones((3, 3))), ValueError, r"\(8,\)"),
        (lambda: compare_implementations(np.ones((8, 8)), np.ones(3)), ValueError, r"\(3,\)"),
        (lambda: compare_implementations(np.ones((8, 8)), np.ones((3, 3)), stride=0), ValueError, "stride"),
        (
            lambda: compare_implementations(np.ones((8, 8)), np.ones((3, 3)), padding=1024),
            ComparisonTooLarge,
            "less padding",
        ),
        (
            lambda: compare_volume(np.ones((8, 8, 3)), np.ones((3, 3, 2, 4)), np.ones(4)),
            ValueError,
            "same C",
        ),
        (
            lambda: compare_volume(np.ones((8, 8, 3)), np.ones((3, 3, 3, 4)), np.ones(3)),
            ValueError,
            "each of 4 filters",
        ),
        (lambda: compare_volume(np.ones((8, 8)), np.ones((3, 3, 3, 4)), np.ones(4)), ValueError, "volume"),
        (lambda: compare_pooling(np.ones((8, 8)), 9, 1, "max"), FilterTooLarge, "9 pixels"),
        (lambda: compare_pooling(np.ones((8, 8)), 2, 2, "median"), ValueError, "median"),
        (lambda: compare_pooling(np.ones((8, 8)), 2, 0, "max"), ValueError, "at least 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(call: Any, error: type[ValueError], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        call()


# --- learning ---------------------------------------------------------------------------------------------


def test_learn_filter_takes_plain_values_and_its_result_travels() -> None:
    result = learn_filter(
        PHOTOGRAPH, filter_kernel("scharr_vertical"), optimiser="momentum", learning_rate=0.002, seed=3
    )
    assert result.found
    arrived = pickle.loads(pickle.dumps(result))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(arrived.kernel, result.kernel)
    assert arrived.settings.optimiser == "momentum" and arrived.error == result.error


def test_learn_filter_hands_its_report_on() -> None:
    class Cancelled(Report):
        def __call__(self, *arguments: Any, **named: Any) -> None:
            raise JobCancelled

    assert "report" in inspect.signature(learn_filter).parameters
    with pytest.raises(JobCancelled):
        learn_filter(PHOTOGRAPH, filter_kernel("sobel_vertical"), report=Cancelled())


def test_every_task_has_defaults_for_all_but_its_data() -> None:
    for task in (tasks.compare_implementations, tasks.compare_volume, tasks.learn_filter):
        needed = [
            name
            for name, parameter in inspect.signature(task).parameters.items()
            if parameter.default is inspect.Parameter.empty
        ]
        assert set(needed) <= {"image", "kernel", "volume", "filters", "bias", "target"}
