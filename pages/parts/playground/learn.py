"""Learn the filter: one convolution layer finds a filter from an image and its edge map, watched while it learns."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.convolution import tasks
from core.convolution.display import signed_to_rgb
from core.convolution.filter_learning import (
    DEFAULT_LEARNING_RATES,
    FilterLearningError,
    FilterLearningResult,
    LearningSettings,
)
from core.convolution.operation import ConvolutionSettings, convolve, luminance
from core.runtime.images import display_jpeg, fit_within
from core.runtime.jobs import JobView
from pages.parts.downloads import download_array, download_table
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.job_view import ACTIVE, current_job, job_view, metric_series, start_job
from pages.parts.pixels import number_grid, picture
from pages.parts.playground.controls import filter_controls

JOB = "learning"
PREVIEW_PX = 256
OPTIMISERS = {"sgd": "Gradient descent", "momentum": "Momentum", "adam": "Adam"}
PREPARATIONS = {
    "decorrelated": "Decorrelated",
    "standardised": "Standardised",
    "raw": "As it is",
}


def view() -> None:
    """Draw the view: what is to be learned and how on the left, the learning itself on the right."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        chosen = image_input(default="chelsea")
        target = filter_controls(default="sobel_vertical")
        settings = _settings_controls()
        job = current_job(JOB)
        running = job is not None and job.state in ACTIVE
        start = st.button(
            "Start again from random" if job else "Start learning",
            type="primary",
            icon=":material/play_arrow:",
            key="start_learning",
            width="stretch",
        )
    if start and settings is not None:
        start_job(
            JOB,
            tasks.learn_filter,
            fit_within(chosen.pixels, 512),
            target.kernel,
            title=f"Learning {target.label} from {chosen.name}",
            optimiser=settings.optimiser,
            learning_rate=settings.learning_rate,
            preparation=settings.preparation,
            steps=settings.steps,
            seed=settings.seed,
        )
        running = True
    small = fit_within(chosen.pixels, PREVIEW_PX)
    with result:
        if current_job(JOB) is None:
            _before(chosen, target.kernel, small)
        job_view(
            JOB,
            draw_live=functools.partial(_draw_live, target.kernel, small),
            draw_result=functools.partial(_draw_result, small),
        )
    if not running:
        _mathematics(settings)


def _settings_controls() -> LearningSettings | None:
    optimiser = st.selectbox(
        "Optimiser",
        list(OPTIMISERS),
        format_func=OPTIMISERS.__getitem__,
        key="optimiser",
        bind="query-params",
        help="How a gradient becomes a step. Adam scales each weight's step by itself.",
    )
    with st.popover("Learning rate, data, seed", icon=":material/tune:", width="stretch"):
        rate = st.select_slider(
            "Learning rate",
            [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5, 1.0],
            DEFAULT_LEARNING_RATES[optimiser],
            key=f"rate_{optimiser}",
            bind="query-params",
            help="Too small is slow; too large, and the loss grows without end.",
        )
        preparation = st.selectbox(
            "The image is",
            list(PREPARATIONS),
            format_func=PREPARATIONS.__getitem__,
            key="preparation",
            bind="query-params",
            help="Neighbouring pixels of a photograph are nearly equal, which makes the loss very flat somewhere. "
            "Decorrelating the image first makes them all alike; try it without to see plain gradient descent crawl.",
        )
        steps = st.select_slider(
            "At most so many steps",
            [500, 1000, 2000, 4000, 8000, 16000, 32000],
            8000,
            key="steps",
            bind="query-params",
            help="It stops earlier when every weight is found.",
        )
        seed = st.number_input(
            "Seed", 0, 10_000, 0, key="seed", bind="query-params", help="Another seed starts from other random weights."
        )
    try:
        return LearningSettings(
            optimiser=optimiser, learning_rate=float(rate), preparation=preparation, steps=int(steps), seed=int(seed)
        )
    except FilterLearningError as error:
        st.error(str(error), icon=":material/error:")
        return None


def _edge_picture(small: np.ndarray, kernel: np.ndarray, title: str, key: str) -> None:
    response = convolve(luminance(small), kernel, ConvolutionSettings(padding="same", border="reflect"))
    st.caption(title)
    picture(
        display_jpeg(signed_to_rgb(response)),
        rows=small.shape[0],
        columns=small.shape[1],
        key=key,
        alt=title,
        max_height_px=230,
    )


def _grid(kernel: np.ndarray, target: np.ndarray, title: str, key: str) -> None:
    st.caption(title)
    number_grid(
        np.round(kernel, 3),
        key=key,
        label=title,
        limit=float(np.abs(target).max()) or 1.0,
        cell_px=max(18, min(52, 240 // kernel.shape[0])),
    )


def _before(chosen: ChosenImage, target: np.ndarray, small: np.ndarray) -> None:
    st.markdown(
        f"Given only **{chosen.name}** and the edge map on the right, one convolution layer is to find the "
        f"{target.shape[0]} × {target.shape[1]} weights that made it, starting from random ones."
    )
    left, middle, right = st.columns(3)
    with left:
        st.caption("The image")
        picture(
            display_jpeg(small),
            rows=small.shape[0],
            columns=small.shape[1],
            key="learn_image",
            alt="The image",
            max_height_px=230,
        )
    with middle:
        _edge_picture(small, target, "The edge map to reproduce", "learn_target_map")
    with right:
        _grid(target, target, "The filter to be found (the layer never sees it)", "learn_target_grid")


def _draw_live(target: np.ndarray, small: np.ndarray, job: JobView) -> None:
    weights = job.preview if isinstance(job.preview, np.ndarray) else None
    grid, target_grid, response = st.columns(3)
    if weights is not None:
        with grid:
            _grid(weights, target, "Learned so far", "learn_live_grid")
        with response:
            _edge_picture(small, weights, "Its edge map", "learn_live_map")
    with target_grid:
        _grid(target, target, "To be found", "learn_live_target")
    _curves(metric_series(job))


def _curves(series: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    wanted = {"loss": "Loss (1 = answering zero)", "error_to_target": "Largest error of a weight"}
    lines = {label: series[name] for name, label in wanted.items() if name in series}
    if lines:
        show(
            line_chart(lines, x_title="Gradient step", y_title="", log_y=True, markers=False, height_px=240),
            key="learning_curves",
        )


def _draw_result(small: np.ndarray, result: FilterLearningResult, job: JobView) -> None:
    if result.diverged:
        st.warning(
            "The loss grew without end: the learning rate is too large for this image.", icon=":material/trending_up:"
        )
    elif result.found:
        st.success(
            f"Found after {result.found_at_step:,} steps in {result.seconds:.1f} s: every weight is within "
            f"{100 * result.error:.2f} % of the largest.",
            icon=":material/check_circle:",
        )
    else:
        st.info(
            f"Not found in {int(result.steps[-1]):,} steps: one weight is off by {100 * result.error:.1f} % of the "
            "largest. More steps, another optimiser or a decorrelated image get further.",
            icon=":material/info:",
        )
    _replay(small, result)
    _curves({"loss": (result.steps, result.losses), "error_to_target": (result.steps, result.errors)})
    with st.container(horizontal=True):
        download_array(result.kernel, name="learned_filter", key="learned_npy", label="Learned filter (.npy)")
        download_array(
            result.snapshots, name="weights_over_time", key="snapshots_npy", label="Weights over time (.npy)"
        )
        download_table(_history(result), name="learning_history", key="history_csv", label="History (CSV)")


@st.fragment
def _replay(small: np.ndarray, result: FilterLearningResult) -> None:
    """A slider over the steps; moving it redraws this part alone."""
    last = len(result.snapshots) - 1
    index = last
    if last > 0:
        index = st.slider(
            "Weights over time",
            0,
            last,
            last,
            key="snapshot",
            format="%d",
            help="Go back to see the weights as they were.",
        )
    grid, target_grid, response = st.columns(3)
    with grid:
        _grid(
            result.snapshots[index], result.target, f"After {int(result.snapshot_steps[index]):,} steps", "replay_grid"
        )
    with target_grid:
        _grid(result.target, result.target, "To be found", "replay_target")
    with response:
        _edge_picture(small, result.snapshots[index], "Its edge map", "replay_map")


def _mathematics(settings: LearningSettings | None) -> None:
    st.subheader("Mathematics", anchor=False)
    rate = settings.rate if settings else 0.0
    formula(
        r"J(W) = \frac{1}{m}\sum_{i=1}^{m} \bigl( (x * W)_i - y_i \bigr)^2",
        r"W \leftarrow W - \eta\,\frac{\partial J}{\partial W}",
        rf"W \leftarrow W - {number(rate)}\,\frac{{\partial J}}{{\partial W}}",
        explanation="x the image, y its edge map, W the nine (or f²) weights W11 … Wff, η the learning rate. "
        "Momentum and Adam change the step, not the gradient.",
    )


def _history(result: FilterLearningResult) -> pd.DataFrame:
    return pd.DataFrame({"step": result.steps, "loss": result.losses, "error_to_target": result.errors})
