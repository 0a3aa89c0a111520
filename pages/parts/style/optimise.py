"""Step by step: J is minimised over the pixels, and the picture and its costs are seen as they change."""

from typing import Any

import numpy as np
import streamlit as st

from core.runtime.images import display_jpeg
from core.runtime.jobs import JobView
from core.style import tasks
from core.style.memory import available_mb, needed_mb
from core.style.pictures import scaled_shape
from core.style.settings import Costs, TransferResult, TransferSettings
from pages.parts.downloads import download_json, download_picture
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import ACTIVE, current_job, duration, job_view, metric_series, start_job
from pages.parts.style.fast import fast_result
from pages.parts.style.pictures import Pictures, picture_controls, thumbnails
from pages.parts.style.weights import transfer_settings

JOB = "style_job"
KEPT = "_style_kept"


def view() -> None:
    """Draw the view."""
    controls, results = st.columns([1.15, 3.2], gap="medium")
    with controls:
        pictures = picture_controls()
        settings = transfer_settings()
        job = current_job(JOB)
        if settings is not None:
            _buttons(pictures, settings, job)
    with results:
        if job is None:
            _before(pictures, settings)
        else:
            job_view(JOB, draw_live=_draw_live, draw_result=_draw_result)
    if settings is not None:
        _explain(settings, pictures, job)


def _buttons(pictures: Pictures, settings: TransferSettings, job: JobView | None) -> None:
    height, width = scaled_shape(*pictures.content.pixels.shape[:2], settings.size_px)
    needed, free = needed_mb(settings, height, width), available_mb()
    st.button(
        "Make the picture",
        key="style_start",
        icon=":material/brush:",
        type="primary",
        width="stretch",
        on_click=_start,
        args=(pictures, settings, None),
    )
    kept = _kept(job)
    if kept is not None:
        st.button(
            "Go on from this picture",
            key="style_resume",
            icon=":material/resume:",
            width="stretch",
            help="Start from what is there, with the weights as they are set now.",
            on_click=_start,
            args=(pictures, settings, kept),
        )
    enough = "" if needed <= 0.7 * free else " That is too much: a smaller size will be made."
    st.caption(f"{width} × {height} px: about {needed:,.0f} MB of memory; {free:,.0f} MB are free.{enough}")


def _start(pictures: Pictures, settings: TransferSettings, start_image: np.ndarray | None) -> None:
    start_job(
        JOB,
        tasks.run_transfer,
        pictures.content.pixels,
        pictures.arrays,
        pictures.weights,
        settings,
        start_image,
        title="Style transfer",
    )


def _kept(job: JobView | None) -> np.ndarray | None:
    """The picture of a job that has ended or was stopped."""
    if job is None or job.state in ACTIVE or not isinstance(job.preview, np.ndarray):
        return None
    return job.preview


def _before(pictures: Pictures, settings: TransferSettings | None) -> None:
    """What can be seen before anything was started: the feed-forward network's picture."""
    left, right = st.columns([2.2, 1.0], gap="medium")
    with right:
        thumbnails(pictures)
        steps = "" if settings is None else f" {settings.steps} steps at {settings.size_px} px"
        st.markdown(
            f"**Make the picture** moves the pixels themselves until J is small:{steps}. You see the picture form and "
            "every part of J fall; stop whenever you like it, and go on with other weights."
        )
    with left:
        result = fast_result(pictures)
        if result is not None:
            _image(result.image, "The feed-forward network's picture")
            st.caption("Until then: the feed-forward network's answer to the same pictures.")


def _image(image: np.ndarray, alt: str) -> None:
    height, width = image.shape[:2]
    shown = 430 * width / height if height > width else 430
    st.image(display_jpeg(image), width=int(shown), alt=alt)


def _draw_live(job: JobView) -> None:
    """The picture and the costs of a job that runs, or was stopped."""
    left, right = st.columns([1.25, 1.0], gap="medium")
    with left:
        if isinstance(job.preview, np.ndarray):
            _image(job.preview, "The generated image now")
            if job.state not in ACTIVE:
                download_picture(job.preview, name="style_transfer_stopped", key="style_stopped_png", label="PNG")
    with right:
        _costs(job, key="live")


def _costs(job: JobView, key: str) -> None:
    series = {name: values for name, values in metric_series(job).items() if values[0]}
    if not series:
        st.caption("The network is being compiled for this size.")
        return
    latest = {name: values[1][-1] for name, values in series.items()}
    style = sum(value for name, value in latest.items() if name.startswith("β"))
    with st.container(horizontal=True):
        st.metric("J", f"{latest['J']:.4g}", width="content")
        st.metric("α J_content", f"{latest.get('α J_content', 0.0):.4g}", width="content")
        st.metric("β J_style", f"{style:.4g}", width="content")
    # Zero has no place on a logarithmic scale: J_content is zero at the start from the content.
    lines = {_short(name): (np.asarray(x), np.where(np.asarray(y) > 0, y, np.nan)) for name, (x, y) in series.items()}
    show(
        line_chart(lines, x_title="evaluation", y_title="weighted cost", log_y=True, markers=False, height_px=330),
        key=f"style_costs_{key}",
    )


def _short(name: str) -> str:
    return name.replace("J_style block", "block").replace("_conv1", "").replace("β λ block", "style ")


def _draw_result(result: TransferResult, job: JobView) -> None:
    left, right = st.columns([1.25, 1.0], gap="medium")
    height, width = result.image.shape[:2]
    with left:
        _image(result.image, "The generated image")
        st.caption(
            f"{width} × {height} px, {result.evaluations} evaluations in {duration(result.elapsed_s)}, "
            f"J from {result.first.total:.4g} to **{result.last.total:.4g}**. Backbone: {result.backbone}."
        )
        for note in result.notes:
            st.caption(f":material/info: {note}")
        with st.container(horizontal=True):
            download_picture(result.image, name="style_transfer", key="style_png", label="PNG, full size")
            download_picture(result.image, name="style_transfer", key="style_jpg", label="JPEG", jpeg=True)
            download_json(_numbers(result), name="style_transfer", key="style_json", label="Costs (JSON)")
    with right:
        _costs(job, key="done")


def _numbers(result: TransferResult) -> dict[str, Any]:
    def of(costs: Costs) -> dict[str, Any]:
        return {"J": costs.total, "J_content": costs.content, "J_style": costs.overall_style, **dict(costs.style)}

    return {"first": of(result.first), "last": of(result.last), "evaluations": result.evaluations}


def _explain(settings: TransferSettings, pictures: Pictures, job: JobView | None) -> None:
    as_formula = st.expander(
        "The costs, with your numbers", icon=":material/function:", key="style_j", on_change="rerun"
    )
    if not as_formula.open:
        return
    latest = {} if job is None else {name: values[1][-1] for name, values in metric_series(job).items() if values[1]}
    content = latest.get("α J_content", 0.0)
    style = sum(value for name, value in latest.items() if name.startswith("β"))
    with as_formula:
        lines = [r"J(G) = \alpha\, J_{content}(C, G) + \beta\, J_{style}(S, G)"]
        if latest:
            lines.append(rf"J(G) = {number(content)} + {number(style)} = {number(latest['J'])}")
        formula(*lines, explanation=_weights_in_words(settings, pictures))
        formula(
            r"J_{content}(C, G) = \tfrac{1}{2} \left\| a_C^{(l)} - a_G^{(l)} \right\|^2",
            explanation=f"l is {settings.content_layer}.",
        )
        formula(r"G^{(l)}_{kk'} = \sum_{i} \sum_{j} a^{(l)}_{ijk}\, a^{(l)}_{ijk'}")
        formula(
            r"J_{style}^{(l)}(S, G) = \frac{1}{(2\, n_H n_W n_C)^2} \sum_{k} \sum_{k'} "
            r"\left( G^{(l)}_{kk'}(S) - G^{(l)}_{kk'}(G) \right)^2",
            r"J_{style}(S, G) = \sum_l \lambda^{(l)} J_{style}^{(l)}(S, G)",
            explanation="The style's Gram matrix is scaled to the generated picture's number of positions, so that "
            "pictures of two sizes compare. With two styles, J_style is the weighted sum of their costs.",
        )


def _weights_in_words(settings: TransferSettings, pictures: Pictures) -> str:
    lambdas = ", ".join(f"{name.split('_')[0]} {weight:g}" for name, weight in settings.lambdas.items())
    shares = " and ".join(f"{100 * weight:.0f} %" for weight in pictures.weights)
    return (
        f"α = {settings.alpha:g} / (n_H n_W n_C) of the content layer, so that it means the same at every size; "
        f"β = {settings.beta:g}; λ: {lambdas}. Styles: {shares}. The total variation is added with "
        f"γ = {settings.gamma:g} / (3 H W)."
    )
