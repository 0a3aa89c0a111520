"""The learned filter: its gradient, its convergence, its honesty, and how it behaves as a job."""

import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from skimage import data

from core.convolution.decorrelation import UnusableImage, patch_conditioning, prepare
from core.convolution.filter_learning import (
    FilterLearningError,
    LearningSettings,
    build_layer,
    learn,
    loss_and_gradients,
    make_pair,
    random_crops,
)
from core.convolution.filters import filter_kernel
from core.convolution.geometry import FilterTooLarge
from core.runtime.report import JobCancelled, Report

PHOTOGRAPHS = {name: getattr(data, name)() for name in ("chelsea", "astronaut", "camera", "coffee")}
CROP = PHOTOGRAPHS["chelsea"][60:188, 100:228]
SOBEL, SCHARR = filter_kernel("sobel_vertical"), filter_kernel("scharr_horizontal")
QUICK = LearningSettings(learning_rate=0.02, batch_size=8)


class Listener(Report):
    """A report that remembers what it was told and when."""

    def __init__(self, cancel_after_s: float | None = None) -> None:
        super().__init__()
        self.calls: list[tuple[float, float | None, dict[str, float] | None, np.ndarray | None]] = []
        self.cancel_after_s = cancel_after_s
        self.cancelled_s = 0.0

    def __call__(self, fraction: Any = None, message: str = "", metrics: Any = None, preview: Any = None) -> None:
        now_s = time.perf_counter()
        first_s = self.calls[0][0] if self.calls else now_s
        if self.cancel_after_s is not None and now_s - first_s > self.cancel_after_s:
            self.cancelled_s = now_s
            raise JobCancelled
        self.calls.append((now_s, fraction, metrics, preview))


# --- the gradient -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [1, 2, 3, 5])
@pytest.mark.parametrize("use_bias", [True, False])
def test_gradient_agrees_with_its_derivation(f: int, use_bias: bool) -> None:
    import tensorflow as tf

    generator = np.random.default_rng(f)
    images = generator.normal(size=(3, 12, 11, 1)).astype(np.float32)
    edge_maps = generator.normal(size=(3, 13 - f, 12 - f, 1)).astype(np.float32)
    layer = build_layer(f, LearningSettings(use_bias=use_bias, seed=f))
    loss, gradients = loss_and_gradients(layer, tf.constant(images), tf.constant(edge_maps))

    # L = mean (y_hat - y)^2, y_hat[r, c] = sum_ij W_ij x[r + i, c + j] + b, hence
    # dL/dW_ij = 2 mean (y_hat - y)[r, c] x[r + i, c + j] and dL/db = 2 mean (y_hat - y).
    weights = np.asarray(layer.kernel)[:, :, 0, 0].astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(images[..., 0], (f, f), axis=(1, 2))
    error = (windows * weights).sum(axis=(-2, -1)) - edge_maps[..., 0]
    by_hand = np.array([[2 * np.mean(error * windows[..., i, j]) for j in range(f)] for i in range(f)], np.float64)
    assert float(loss) == pytest.approx(np.mean(error**2), rel=1e-5)
    np.testing.assert_allclose(np.asarray(gradients[0])[:, :, 0, 0], by_hand, rtol=1e-4, atol=1e-6)
    if use_bias:
        assert float(gradients[1][0]) == pytest.approx(2 * error.mean(), rel=1e-4, abs=1e-6)
    assert len(gradients) == 1 + use_bias


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
def test_steps_are_those_of_the_papers(optimiser: Any) -> None:
    """Replay the first 16 steps in NumPy: w - η g; v = β v - η g, w + v; Adam with its two moments."""
    settings = LearningSettings(optimiser=optimiser, learning_rate=0.05, steps=16, seed=4)
    result = learn(CROP, SOBEL, settings)
    pair = make_pair(CROP, SOBEL, settings)
    weights = (result.snapshots[0] / pair.edge_scale).astype(np.float64)
    weights = np.append(weights, 0.0)  # the bias behind the nine weights
    first, second = np.zeros(10), np.zeros(10)
    step = 0
    for images, edge_maps in random_crops(pair, settings):
        for image, edge_map in zip(images[..., 0], edge_maps[..., 0], strict=True):
            step += 1
            windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))
            patches = np.column_stack([windows.reshape(-1, 9), np.ones(edge_map.size)])
            gradient = 2 * patches.T @ (patches @ weights - edge_map.ravel()) / edge_map.size
            if optimiser == "adam":
                first = 0.9 * first + 0.1 * gradient
                second = 0.999 * second + 0.001 * gradient**2
                corrected = first / (1 - 0.9**step), second / (1 - 0.999**step)
                weights -= 0.05 * corrected[0] / (np.sqrt(corrected[1]) + 1e-7)
            else:
                first = (0.9 if optimiser == "momentum" else 0.0) * first - 0.05 * gradient
                weights += first
    assert step == 16
    expected = weights[:9].reshape(3, 3) * pair.edge_scale
    np.testing.assert_allclose(result.kernel, expected, atol=1e-4 * np.abs(expected).max())


# --- conditioning -----------------------------------------------------------------------------------------


def test_eigenvalues_agree_with_a_loop_over_patches() -> None:
    picture = prepare(CROP[:40, :40], "standardised")
    total = np.zeros((10, 10))
    for row in range(38):
        for column in range(38):
            patch = np.append(picture[row : row + 3, column : column + 3].astype(np.float64), 1.0)
            total += np.outer(patch, patch)
    expected = np.sort(np.linalg.eigvals(total / 38**2).real)[::-1]
    np.testing.assert_allclose(patch_conditioning(picture, 3, use_bias=True).eigenvalues, expected, rtol=1e-6)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_decorrelation_makes_every_direction_equally_steep(name: str) -> None:
    for f in (3, 9):
        raw, standardised, decorrelated = (
            patch_conditioning(prepare(PHOTOGRAPHS[name], preparation), f).condition_number
            for preparation in ("raw", "standardised", "decorrelated")
        )
        assert decorrelated < 2.5
        assert 500 < standardised < raw


def test_predicted_steps_are_the_steps_it_takes() -> None:
    settings = LearningSettings(learning_rate=0.01, steps=2_000, use_bias=False)
    result = learn(PHOTOGRAPHS["coffee"], SOBEL, settings)
    start = float(result.errors[0])
    predicted = result.conditioning.steps_needed(0.01, tolerance=0.01 / start)
    assert result.found_at_step is not None
    assert 0.5 * predicted < result.found_at_step <= 1.1 * predicted


def test_momentum_prediction_agrees_with_a_simulation() -> None:
    conditioning = patch_conditioning(prepare(CROP, "standardised"), 3)
    slowest = float(conditioning.eigenvalues[-1])
    before = error = 1.0
    steps = 0
    while abs(error) > 0.01:
        before, error = error, error + 0.9 * (error - before) - 2 * 0.02 * slowest * error
        steps += 1
    assert conditioning.steps_needed(0.02, momentum=0.9) == pytest.approx(steps, rel=0.05)


def test_large_photographs_are_brought_to_512_pixels() -> None:
    large = np.random.default_rng(0).integers(0, 256, (700, 1400, 3)).astype(np.uint8)
    picture = prepare(large, "raw")
    assert picture.shape == (256, 512) and picture.dtype == np.float32
    assert 0 <= picture.min() and picture.max() <= 1


# --- learning ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "target", "seed"),
    [
        ("chelsea", "sobel_vertical", 0),
        ("astronaut", "scharr_horizontal", 1),
        ("camera", "scharr_vertical", 2),  # a grey photograph
        ("coffee", "sobel_horizontal", 3),
    ],
)
def test_finds_the_filter_from_one_photograph_with_the_settings_of_the_page(name: str, target: str, seed: int) -> None:
    kernel = filter_kernel(target)
    result = learn(PHOTOGRAPHS[name], kernel, LearningSettings(seed=seed))
    assert result.found and not result.diverged
    assert np.abs(result.kernel - kernel).max() <= 0.01 * np.abs(kernel).max()
    assert abs(result.bias) <= 0.01 * np.abs(kernel).max()
    assert result.seconds < 40


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_finds_every_filter_with_every_optimiser(name: str, optimiser: Any) -> None:
    drawn = np.random.default_rng(0).normal(size=(9, 9))
    gabor = filter_kernel("gabor", 9)
    for seed, kernel in enumerate((SOBEL, SOBEL.T, SCHARR, SCHARR.T, drawn, gabor)):
        result = learn(PHOTOGRAPHS[name], kernel, LearningSettings(optimiser=optimiser, seed=seed))
        assert result.found, (name, optimiser, kernel.shape, seed, result.error)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("f", [1, 4, 7])
def test_finds_a_filter_that_was_drawn(optimiser: Any, f: int) -> None:
    kernel = np.random.default_rng(f).normal(size=(f, f)) * 10.0 ** (f - 4)  # weights of any size
    rate = {"sgd": 0.02, "momentum": 0.002, "adam": 0.01}[optimiser]
    result = learn(CROP, kernel, LearningSettings(optimiser=optimiser, learning_rate=rate, batch_size=8))
    assert result.found
    np.testing.assert_allclose(result.kernel, kernel, atol=0.01 * np.abs(kernel).max())


def test_plain_descent_needs_the_decorrelated_photograph_for_a_large_filter() -> None:
    kernel = np.random.default_rng(0).normal(size=(9, 9))
    standardised, decorrelated = (
        learn(
            PHOTOGRAPHS["astronaut"],
            kernel,
            LearningSettings(preparation=preparation, learning_rate=rate, steps=800),
        )
        for preparation, rate in (("standardised", 0.0125), ("decorrelated", 0.02))
    )
    assert 0.0125 < standardised.conditioning.largest_stable_rate  # as fast as it may go
    assert not standardised.found and standardised.found_at_step is None
    assert standardised.losses[-1] < 0.05 and standardised.error > 0.3  # right edges, wrong weights
    assert standardised.conditioning.steps_needed(0.0125) > 50_000
    assert decorrelated.found


def test_history_and_snapshots_belong_together() -> None:
    result = learn(CROP, SOBEL, QUICK)
    assert result.steps[0] == 0 and (np.diff(result.steps) > 0).all()
    assert len(result.steps) == len(result.losses) == len(result.errors)
    assert len(result.snapshots) == len(result.snapshot_steps) <= 200
    np.testing.assert_array_equal(result.snapshots[-1], result.kernel)
    at = np.searchsorted(result.steps, result.snapshot_steps)
    errors = np.abs(result.snapshots - SOBEL).max(axis=(1, 2)) / np.abs(SOBEL).max()
    np.testing.assert_allclose(errors, result.errors[at], rtol=1e-5)
    assert result.losses[-1] < 1e-4 < 0.1 < result.losses[0]
    within = result.errors <= 0.01
    assert result.found_at_step == result.steps[within][0]


def test_snapshots_are_thinned() -> None:
    settings = LearningSettings(learning_rate=1e-5, steps=2_400, batch_size=1, crop_px=4)
    result = learn(CROP, SOBEL, settings)
    assert len(result.steps) == 301 and len(result.snapshots) == 200


def test_same_seed_same_path_other_seed_other_start() -> None:
    first, again, other = (
        learn(CROP, SCHARR, LearningSettings(steps=200, seed=seed, learning_rate=0.01)) for seed in (5, 5, 6)
    )
    np.testing.assert_allclose(first.snapshots, again.snapshots, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(first.snapshots[0], again.snapshots[0])
    assert np.abs(first.snapshots[0] - other.snapshots[0]).max() > 0.1


def test_a_learning_rate_beyond_the_stable_one_diverges_and_is_told_so() -> None:
    pair = make_pair(CROP, SOBEL, LearningSettings(preparation="standardised"))
    settings = LearningSettings(
        preparation="standardised", learning_rate=3 * pair.conditioning.largest_stable_rate, steps=5_000
    )
    result = learn(CROP, SOBEL, settings)
    assert result.diverged and not result.found
    assert np.isfinite(result.kernel).all() and np.isfinite(result.losses).all()
    assert result.steps[-1] < 5_000


# --- as a job ---------------------------------------------------------------------------------------------


@pytest.mark.alone
def test_reports_numbers_and_weights_at_least_twice_a_second() -> None:
    listener = Listener()
    result = learn(CROP, SOBEL, LearningSettings(learning_rate=1e-4, steps=1_600), listener)
    times_s = np.array([call[0] for call in listener.calls])
    told = [call for call in listener.calls if call[2] is not None]
    assert len(told) >= 2 * result.seconds
    assert np.quantile(np.diff(times_s[-len(told) :]), 0.95) < 0.5
    for _, fraction, metrics, preview in told:
        assert fraction is not None and 0 <= fraction <= 1
        assert metrics is not None and set(metrics) == {"step", "loss", "error_to_target", "bias"}
        assert preview is not None and preview.shape == (3, 3) and preview.dtype == np.float32
        error = np.abs(preview - SOBEL).max() / np.abs(SOBEL).max()
        assert metrics["error_to_target"] == pytest.approx(error, rel=1e-5)
    fractions = [call[1] for call in listener.calls]
    assert fractions == sorted(fractions)


def test_cancel_ends_it_at_the_next_report() -> None:
    listener = Listener(cancel_after_s=1.0)
    with pytest.raises(JobCancelled):
        learn(CROP, SOBEL, LearningSettings(learning_rate=1e-6, steps=100_000), listener)
    # Whenever the cancellation comes, it is noticed at the next report: how often they come is held above.
    assert listener.cancelled_s - listener.calls[0][0] < 30.0


# --- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "target", "error", "sentence"),
    [
        (np.full((40, 40), 7, np.uint8), SOBEL, UnusableImage, "equal"),  # one grey
        (np.zeros((40, 40, 4)), SOBEL, UnusableImage, "shape"),
        (np.full((40, 40), np.nan), SOBEL, UnusableImage, "finite"),
        (CROP[:2, :2], SOBEL, FilterTooLarge, "covers 3"),
        (CROP, np.zeros((3, 3)), FilterLearningError, "zero everywhere"),
        (CROP, np.ones((3, 4)), FilterLearningError, "square"),
        (CROP, np.ones((17, 17)), FilterLearningError, "at most 15"),
        (CROP, np.full((3, 3), np.inf), FilterLearningError, "finite"),
        # vertical bars do not answer to a filter for horizontal edges
        (np.tile([0.0, 0.0, 1.0, 1.0], (40, 10)), SOBEL.T, FilterLearningError, "zero all over"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    image: np.ndarray, target: np.ndarray, error: type[ValueError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        learn(image, target, LearningSettings())


def test_bars_teach_only_what_they_show() -> None:
    bars = np.tile(np.random.default_rng(0).normal(size=64), (64, 1))  # equal along each column
    result = learn(bars, SOBEL, LearningSettings(learning_rate=0.02, steps=1_000))
    assert result.conditioning.condition_number == np.inf
    assert not result.found and result.losses[-1] < 1e-3
    # What the picture shows of the filter is the sum of its rows.
    np.testing.assert_allclose(result.kernel.sum(axis=0), SOBEL.sum(axis=0), atol=0.05)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"optimiser": "newton"}, "sgd, momentum, adam"),
        ({"preparation": "none"}, "decorrelated"),
        ({"schedule": "linear"}, "cosine"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"learning_rate": float("nan")}, "above 0"),
        ({"momentum": 1.0}, "below 1"),
        ({"steps": 0}, "from 1"),
        ({"batch_size": 0}, "from 1"),
        ({"crop_px": 0}, "from 1"),
        ({"seed": -1}, "seed"),
        ({"tolerance": 0.0}, "tolerance"),
    ],
)
def test_settings_out_of_range_are_refused(choice: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FilterLearningError, match=sentence):
        LearningSettings(**choice)


def test_importing_it_loads_neither_tensorflow_nor_keras() -> None:
    modules = "filter_learning", "decorrelation", "snippets", "tasks"
    program = "import sys\n" + "".join(f"import core.convolution.{name}\n" for name in modules)
    program += "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
