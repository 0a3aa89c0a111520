"""The training view: a plain and a residual network learn side by side on the same batches, watched live."""

import functools

import numpy as np
import pandas as pd
import streamlit as st

from core.architectures import tasks
from core.architectures.gradient_flow import NETWORKS, GradientFlow, GradientFlowSettings
from core.runtime.jobs import JobView
from pages.parts.downloads import download_table
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import ACTIVE, current_job, duration, job_view, metric_series, start_job
from pages.parts.residual.flow import draw_norms, network_controls, norms_control, norms_of, norms_table

JOB = "flow"


def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        settings = _controls()
        job = current_job(JOB)
        running = job is not None and job.state in ACTIVE
        start = st.button(
            "Start again" if job else "Start training",
            type="primary",
            icon=":material/play_arrow:",
            key="flow_start",
            width="stretch",
        )
    if start:
        start_job(
            JOB,
            tasks.gradient_flow,
            settings,
            title=f"Plain and residual, {settings.depth} layers, {settings.steps} steps",
        )
        running = True
    with result:
        which = norms_control("flow")
        if current_job(JOB) is None:
            _before(settings)
        job_view(
            JOB, draw_live=functools.partial(_draw_live, which), draw_result=functools.partial(_draw_result, which)
        )
    if not running:
        st.subheader("Mathematics", anchor=False)
        formula(
            r"W \leftarrow W - \eta\, v, \qquad v \leftarrow \beta\, v + \frac{\partial J}{\partial W}",
            rf"W \leftarrow W - {number(settings.learning_rate)}\, v, \qquad "
            rf"v \leftarrow {number(settings.momentum)}\, v + \frac{{\partial J}}{{\partial W}}",
            explanation="Gradient descent with momentum, the same for both. Where the gradient to a layer's weights "
            "is next to nothing, the layer stays as it was drawn at random: the plain network cannot use it.",
        )


def _controls() -> GradientFlowSettings:
    choice = network_controls("flow", default_depth=56)
    with st.popover("Steps, batch, learning rate", icon=":material/tune:", width="stretch"):
        steps = st.select_slider(
            "Steps",
            [50, 100, 200, 300, 600, 1200, 2400],
            600,
            key="flow_steps",
            bind="query-params",
            help="Batches that both networks learn from.",
        )
        batch = st.select_slider(
            "Batch size",
            [8, 16, 32, 64, 128],
            32,
            key="flow_batch",
            bind="query-params",
            help="Digits in a batch. Larger ones give a steadier gradient and take longer.",
        )
        rate = st.select_slider(
            "Learning rate",
            [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1],
            0.01,
            key="flow_rate",
            bind="query-params",
            help="Too small is slow; too large, and the loss grows.",
        )
    return GradientFlowSettings(
        depth=choice.depth,
        steps=int(steps),
        batch_size=int(batch),
        learning_rate=float(rate),
        batch_norm=choice.batch_norm,
        initializer=choice.initializer,
        seed=choice.seed,
    )


def _before(settings: GradientFlowSettings) -> None:
    st.markdown(
        f"A plain and a residual network of **{settings.depth} layers** with the same parameters are trained for "
        f"**{settings.steps} steps** on the same batches of {settings.batch_size} handwritten digits. Losses, "
        "accuracies and the gradient of every layer are drawn while they learn; it goes on when you leave the page, "
        f"and ends after {duration(settings.time_limit_s)} at the latest."
    )


def _draw_live(which: str, job: JobView) -> None:
    series = metric_series(job)
    _curves({name: series[name] for name in series}, prefix="live")
    if isinstance(job.preview, np.ndarray):
        st.caption("Norm of the gradient by layer, now")
        draw_norms(job.preview[1 if which == "signal" else 0], which, key="flow_live_norms", height_px=270)


def _curves(series: dict[str, tuple], prefix: str) -> None:
    left, right = st.columns(2, gap="medium")
    losses = {name: series[f"{name}_loss"] for name in NETWORKS if f"{name}_loss" in series}
    # Four noisy lines would hide one another: validation as soon as there is one, the batches' accuracy before.
    part, suffix = ("validation", "validation_accuracy")
    if f"plain_{suffix}" not in series:
        part, suffix = ("training", "accuracy")
    shares = {name: series[f"{name}_{suffix}"] for name in NETWORKS if f"{name}_{suffix}" in series}
    if losses:
        with left:
            show(
                line_chart(losses, x_title="step", y_title="loss", markers=False, height_px=250),
                key=f"flow_{prefix}_loss",
            )
    if shares:
        with right:
            show(
                line_chart(shares, x_title="step", y_title=f"{part} accuracy", height_px=250),
                key=f"flow_{prefix}_accuracy",
            )


def _draw_result(which: str, flow: GradientFlow, _: JobView) -> None:
    steps = np.arange(1, flow.losses.shape[1] + 1)
    plain, residual = (float(share) for share in flow.validation_accuracies[:, -1])
    ended = f"{len(steps)} steps" if flow.ended == "steps" else f"{len(steps)} steps, when its time was over"
    st.success(
        f"{flow.settings.depth} layers, {ended}, {duration(flow.seconds)}: the residual network classifies "
        f"**{100 * residual:.1f} %** of the validation digits rightly, the plain one **{100 * plain:.1f} %**.",
        icon=":material/check_circle:",
    )
    series: dict[str, tuple] = {}
    for index, name in enumerate(NETWORKS):
        series[f"{name}_loss"] = (steps, flow.losses[index])
        series[f"{name}_accuracy"] = (steps, flow.accuracies[index])
        series[f"{name}_validation_accuracy"] = (flow.validation_steps, flow.validation_accuracies[index])
    _curves(series, prefix="result")
    _replay(flow, which)
    with st.container(horizontal=True):
        download_table(_history(flow), name="training_history", key="flow_csv", label="Losses and accuracies (CSV)")
        download_table(norms_table(flow), name="gradient_norms", key="flow_norms_csv", label="Gradient norms (CSV)")


@st.fragment
def _replay(flow: GradientFlow, which: str) -> None:
    """A slider over the snapshots; moving it redraws this part alone."""
    last = len(flow.snapshot_steps) - 1
    index = last
    if last > 0:
        index = st.select_slider(
            "Gradients at step",
            list(range(last + 1)),
            0,
            format_func=lambda snapshot: f"{int(flow.snapshot_steps[snapshot])}",
            key="flow_snapshot",
            help="Go through the training to see how the gradients change.",
        )
    draw_norms(norms_of(flow, which, index), which, key="flow_replay_norms", height_px=290)


def _history(flow: GradientFlow) -> pd.DataFrame:
    table = pd.DataFrame({"step": np.arange(1, flow.losses.shape[1] + 1)})
    for index, name in enumerate(NETWORKS):
        table[f"{name}_loss"] = flow.losses[index]
        table[f"{name}_accuracy"] = flow.accuracies[index]
    return table
