"""The same transfer at several weights of the style, side by side."""

from itertools import pairwise

import numpy as np
import pandas as pd
import streamlit as st

from core.runtime.images import display_jpeg
from core.runtime.jobs import JobView
from core.style import tasks
from core.style.tasks import BetaStrip
from pages.parts.downloads import download_picture, download_table
from pages.parts.job_view import duration, job_view, start_job
from pages.parts.style.fast import fast_result
from pages.parts.style.pictures import Pictures, picture_controls, thumbnails
from pages.parts.style.weights import BETAS, transfer_settings

JOB = "strip_job"
STRENGTHS, AT_ONCE_PX = (0.0, 0.25, 0.5, 0.75, 1.0), 256
DEFAULT_BETAS = [1.0, 10.0, 100.0, 1000.0, 10000.0]


def view() -> None:
    """Draw the view."""
    controls, results = st.columns([1.15, 3.2], gap="medium")
    with controls:
        pictures = picture_controls()
        betas = st.multiselect(
            "β, weights of the style",
            [beta for beta in BETAS if beta],
            DEFAULT_BETAS,
            format_func=lambda value: f"{value:g}",
            max_selections=9,
            key="strip_betas",
            bind="query-params",
        )
        settings = transfer_settings(strip=True)
        ready = settings is not None and bool(betas)
        started = st.button(
            "Make the strip",
            key="strip_start",
            icon=":material/view_column:",
            type="primary",
            width="stretch",
            disabled=not ready,
        )
        if started and settings is not None:
            start_job(
                JOB,
                tasks.run_beta_strip,
                pictures.content.pixels,
                pictures.arrays,
                pictures.weights,
                settings,
                sorted(betas),
                title="Strip over β",
            )
    with results:
        if job_view(JOB, draw_live=_draw_live, draw_result=_draw_result) is None:
            st.markdown(
                "**From content to style.** Each picture of the strip minimises "
                "$J(G) = \\alpha J_{content}(C, G) + \\beta J_{style}(S, G)$ with another β and all else the same: at "
                "the left the content is kept, at the right little of it is left. Everything starts anew for each β."
            )
            _at_once(pictures)
            left, _ = st.columns([1, 1.6])
            with left:
                thumbnails(pictures)


def _at_once(pictures: Pictures) -> None:
    """What can be seen before anything was started: the feed-forward network at several strengths."""
    for column, strength in zip(st.columns(len(STRENGTHS), gap="small"), STRENGTHS, strict=True):
        with column:
            result = fast_result(pictures, AT_ONCE_PX, strength)
            if result is None:
                return
            words = f"Strength {100 * strength:.0f} %"
            st.image(display_jpeg(result.image), caption=words, width="stretch", alt=f"At once: {words}")
    st.caption("Until then: the feed-forward network at several strengths, a weight of the style of its own kind.")


def _draw_live(job: JobView) -> None:
    if isinstance(job.preview, np.ndarray):
        st.image(display_jpeg(job.preview), alt="The pictures so far, from small to large weights of the style")


def _draw_result(strip: BetaStrip, _: JobView) -> None:
    for column, beta, image in zip(st.columns(len(strip.betas), gap="small"), strip.betas, strip.images, strict=True):
        column.image(display_jpeg(image), caption=f"β = {beta:g}", width="stretch", alt=f"Result at beta {beta:g}")
    table = pd.DataFrame(
        {
            "β": strip.betas,
            "J": [costs.total for costs in strip.costs],
            "J_content": [costs.content for costs in strip.costs],
            "J_style": [costs.overall_style for costs in strip.costs],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        key="strip_table",
        column_config={
            name: st.column_config.NumberColumn(format="%.4g") for name in ("β", "J", "J_content", "J_style")
        },
    )
    falls = all(after <= before for before, after in pairwise(table["J_style"]))
    rises = all(after >= before for before, after in pairwise(table["J_content"]))
    seen = (
        "J_style falls as β grows, J_content rises."
        if falls and rises
        else "At the lowest J, J_style falls as β grows and J_content rises: more steps come closer to it."
    )
    st.caption(f"{len(strip.betas)} transfers in {duration(strip.elapsed_s)}. {seen}")
    with st.container(horizontal=True):
        download_picture(np.hstack(strip.images), name="style_strip", key="strip_png", label="Strip (PNG)")
        download_table(table, name="style_strip", key="strip_csv")
