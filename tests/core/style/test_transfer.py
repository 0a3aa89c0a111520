"""Transfers of small pictures with random weights: J falls, colours stay, bad input is refused in a sentence."""

import threading

import numpy as np
import pytest

from core.runtime.report import JobCancelled, Report
from core.runtime.samples import load_sample
from core.style.colour import luminance, match_colours, with_chroma_of
from core.style.drawn_styles import DRAWN_STYLES, draw_style, kept_style
from core.style.memory import needed_mb, search_bytes
from core.style.settings import STYLE_LAYERS, StyleError, TransferSettings
from core.style.transfer import largest_size_px, main, plan, transfer

SMALL = TransferSettings(
    size_px=48, steps=8, backbone="random", levels=1, lambdas=dict.fromkeys(STYLE_LAYERS[:3], 0.3), gamma=1e-3
)


def changed(**values):
    from dataclasses import replace

    return replace(SMALL, **values)


@pytest.fixture(scope="module")
def content():
    return np.ascontiguousarray(load_sample("chelsea")[:200, 100:300])


@pytest.fixture(scope="module")
def style():
    return draw_style("marbled_paper", 64)


class Recorder(Report):
    def __init__(self, cancel_at=None):
        self.event = threading.Event()
        super().__init__(cancelled=self.event)
        self.points, self.previews, self.cancel_at = [], [], cancel_at

    def __call__(self, fraction=None, message="", metrics=None, preview=None):
        self.check()
        if metrics:
            self.points.append(metrics)
        if preview is not None:
            self.previews.append(preview)
        if self.cancel_at and len(self.points) >= self.cancel_at:
            self.event.set()


def test_j_falls_and_its_parts_add_up(content, style):
    report = Recorder()
    result = transfer(content, [style], SMALL, report=report)
    assert result.image.shape == (48, 48, 3) and result.image.dtype == np.uint8
    assert result.last.total < 0.7 * result.first.total
    assert len(report.points) == result.evaluations == 8
    for point in report.points:
        parts = [value for name, value in point.items() if name not in ("J", "step")]
        assert sum(parts) == pytest.approx(point["J"], rel=1e-4)
    assert report.previews and report.previews[0].shape == (48, 48, 3)


def test_gradient_of_the_pixels_agrees_with_finite_differences(content, style):
    from core.style.pictures import scaled
    from core.style.problem import TransferProblem

    target = scaled(content, 32)
    problem = TransferProblem(target, [style], [1.0], changed(alpha=1.0, beta=50.0))
    image = target.astype(np.float32) + np.random.default_rng(0).normal(0, 20, target.shape).astype(np.float32)
    _, gradient = problem(image)
    direction = gradient / np.linalg.norm(gradient)
    step = 0.5
    above, below = problem(image + step * direction)[0].total, problem(image - step * direction)[0].total
    assert (above - below) / (2 * step) == pytest.approx(float(np.sum(gradient * direction)), rel=0.02)


def test_a_style_equal_to_the_content_costs_nothing(content):
    from core.style.pictures import scaled
    from core.style.problem import TransferProblem

    target = scaled(content, 48)
    costs, _ = TransferProblem(target, [target], [1.0], changed(gamma=0.0))(target.astype(np.float32))
    assert costs.content == 0 and costs.overall_style == pytest.approx(0, abs=1e-6)


def test_two_styles_cost_their_weighted_sum(content, style):
    from core.style.pictures import scaled
    from core.style.problem import TransferProblem

    target, other = scaled(content, 48), draw_style("stained_glass", 64)
    at = target.astype(np.float32)

    def style_costs(styles, weights):
        return TransferProblem(target, styles, weights, SMALL)(at)[0].overall_style

    both = style_costs([style, other], [3.0, 1.0])
    assert both == pytest.approx(0.75 * style_costs([style], [1]) + 0.25 * style_costs([other], [1]), rel=1e-4)


@pytest.mark.parametrize(
    "odd",
    [
        np.full((1, 1, 3), 200, np.uint8),  # a single pixel
        np.zeros((40, 40, 3), np.uint8),  # black
        np.full((3, 900, 3), 90, np.uint8),  # a thin line
    ],
)
def test_styles_without_a_pattern_give_a_picture_and_a_note(content, odd):
    result = transfer(content, [odd], SMALL)
    assert np.isfinite(result.last.total)
    assert any("one colour" in note for note in result.notes)


def test_a_very_large_content_is_scaled_and_it_is_said():
    large = np.random.default_rng(0).integers(0, 255, (400, 6000, 3), dtype=np.uint8)
    result = transfer(large, [large[:50, :50]], changed(steps=2))
    assert result.image.shape == (32, 48, 3)
    assert any("6000 x 400" in note for note in result.notes)


def test_a_stopped_transfer_has_shown_its_picture(content, style):
    report = Recorder(cancel_at=3)
    with pytest.raises(JobCancelled):
        transfer(content, [style], changed(steps=500), report=report)
    assert len(report.points) == 3 and report.previews


def test_it_goes_on_from_a_picture(content, style):
    first = transfer(content, [style], SMALL)
    second = transfer(content, [style], SMALL, start_image=first.image)
    assert second.first.total < first.first.total
    assert second.last.total <= second.first.total


def test_noise_is_a_start_and_a_seed_repeats_it(content, style):
    once, again = (transfer(content, [style], changed(start="noise", steps=3)).image for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_luminance_keeps_the_chroma_of_the_content(content, style):
    import cv2

    result = transfer(content, [style], changed(colour="luminance"))
    small = cv2.resize(content, (48, 48), interpolation=cv2.INTER_AREA)
    chroma = [cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(float) for image in (result.image, small)]
    assert np.abs(chroma[0] - chroma[1]).mean() < 4


def test_matched_colours_have_mean_and_covariance_of_the_content(content, style):
    soft = (128 + (style.astype(float) - 128) * 0.3).astype(np.uint8)
    narrow = (110 + (content.astype(float) - 128) * 0.3).astype(np.uint8)
    matched = match_colours(soft, narrow).reshape(-1, 3).astype(float)
    target = narrow.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(matched.mean(0), target.mean(0), atol=1.0)
    np.testing.assert_allclose(np.cov(matched.T), np.cov(target.T), rtol=0.1, atol=3.0)
    flat = match_colours(np.full((4, 4, 3), 9, np.uint8), narrow)
    np.testing.assert_allclose(flat[0, 0], target.mean(0), atol=1.0)


def test_chroma_of_a_content_of_another_size():
    made = with_chroma_of(np.full((8, 8, 3), 100, np.uint8), np.full((4, 6, 3), (200, 30, 30), np.uint8))
    assert made.shape == (8, 8, 3) and made[0, 0, 0] > made[0, 0, 2]
    assert luminance(made).shape == (8, 8, 3)


def test_plan_grows_by_halves():
    assert plan(TransferSettings(size_px=256, steps=100, levels=3)) == [(64, 25), (128, 25), (256, 50)]
    assert plan(changed(levels=3)) == [(48, 8)]


def test_what_does_not_fit_into_memory_is_made_smaller():
    settings = TransferSettings(size_px=1024)
    room = needed_mb(settings, 512, 512) / 0.7
    assert 448 <= largest_size_px(settings, 800, 800, room) <= 512
    with pytest.raises(StyleError, match="too few for any size"):
        largest_size_px(settings, 800, 800, 10.0)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "gradient_descent"])
def test_a_search_keeps_no_more_memory_than_was_said_before(optimizer):
    import tracemalloc

    from core.style.optimisers import minimise

    numbers = 40_000
    curvature = np.geomspace(1, 300, numbers).astype(np.float32)

    def bowl(x):
        slope = curvature * x
        return float(0.5 * np.dot(slope, x)), slope

    start = np.full(numbers, 128, np.float32)
    minimise(optimizer, bowl, start, 2)  # what is imported for it is not counted
    tracemalloc.start()
    try:
        minimise(optimizer, bowl, start, 30)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    said = search_bytes(optimizer, numbers)
    assert peak <= said
    assert optimizer != "lbfgs" or said <= 1.25 * peak  # and not so much more that sizes are refused for nothing


@pytest.mark.parametrize(
    "values",
    [
        {"size_px": 8},
        {"steps": 0},
        {"optimizer": "sgd"},
        {"backbone": "lenet"},
        {"beta": -1.0},
        {"alpha": float("nan")},
    ],
)
def test_settings_that_cannot_be_computed_are_refused(values):
    with pytest.raises(StyleError):
        changed(**values)


def test_pictures_and_weights_that_do_not_fit_are_refused(content, style):
    with pytest.raises(StyleError, match="expected the style picture"):
        transfer(content, [style[..., 0]], SMALL)
    with pytest.raises(StyleError, match="one weight"):
        transfer(content, [style], SMALL, style_weights=[1, 2])
    with pytest.raises(StyleError, match="not all zero"):
        transfer(content, [style], SMALL, style_weights=[0])


def test_lbfgs_reaches_a_lower_j_than_adam(content, style):
    ends = {
        optimizer: transfer(content, [style], changed(steps=30, optimizer=optimizer)).last.total
        for optimizer in ("lbfgs", "adam")
    }
    assert ends["lbfgs"] < ends["adam"]


def test_the_command_prints_j_and_writes_a_picture(tmp_path, capsys):
    out = tmp_path / "made.png"
    arguments = ["chelsea", "mosaic", "--out", str(out), "--size", "48", "--steps", "4", "--backbone", "random"]
    assert main([*arguments, "--print-every", "1"]) == 0
    printed = capsys.readouterr().out
    assert "step    4: J " in printed and "J_content" in printed and "J_style" in printed
    assert out.read_bytes().startswith(b"\x89PNG")


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["nobody", "mosaic", "--out", str(tmp_path / "x.png")]) == 1
    assert "is no file, no sample" in capsys.readouterr().err


@pytest.mark.parametrize("name", list(DRAWN_STYLES))
def test_drawn_styles_are_the_same_each_time_and_have_a_file(name):
    small = draw_style(name, 64)
    assert small.shape == (64, 64, 3) and small.dtype == np.uint8 and small.std() > 10
    np.testing.assert_array_equal(small, draw_style(name, 64))
    assert kept_style(name).shape == (512, 512, 3)


def test_a_style_that_nobody_draws_is_refused():
    with pytest.raises(StyleError, match="expected one of"):
        draw_style("cubism")
