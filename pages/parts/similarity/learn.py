"""Learn a similarity: what and how on the left, the map and the curves on the right."""

import numpy as np
import streamlit as st

from core.faces import similarity_tasks as tasks
from core.faces.similarity_types import PAIR_WAYS, TRIPLET_WAYS, WAYS, SimilarityResult, SimilaritySettings
from core.runtime.images import display_jpeg
from core.runtime.jobs import JobView
from pages.parts.figures import line_chart, show
from pages.parts.job_view import ACTIVE, current_job, job_view, metric_series, start_job
from pages.parts.kept_calls import kept_call
from pages.parts.similarity import result as result_view

JOB = "similarity"
WAY_LABELS = {
    "random": "Triplets, random",
    "semi-hard": "Triplets, semi-hard",
    "hard": "Triplets, hard",
    "contrastive": "Contrastive pairs",
    "absolute": "Binary, |f_i − f_j|",
    "chi-square": "Binary, chi-square",
}
COMPARISON = "three minings"
DATA = {"drawn": "Drawn persons", "digits": "Handwritten digits", "own": "My own folders (zip)"}


def view() -> None:
    """Draw the page."""
    controls, shown = st.columns([0.95, 2.9], gap="medium")
    with controls:
        data, zipped = _data_controls()
        settings = _settings_controls()
        job = current_job(JOB)
        start = st.button(
            "Train again from random" if job else "Train",
            icon=":material/play_arrow:",
            type="primary",
            width="stretch",
            key="similarity_start",
            disabled=data == "own" and zipped is None,
        )
    if start:
        start_job(
            JOB,
            tasks.train_similarity,
            data,
            settings,
            zipped,
            title=f"Learning from {DATA[data].lower()}",
        )
    with shown:
        job = current_job(JOB)
        if job is None and data == "own":
            st.info(
                "Choose a zip in which each person has a folder with at least three pictures, then press **Train**. "
                "Of each picture the middle square is taken; nothing leaves this machine.",
                icon=":material/folder_zip:",
            )
        elif job is None:
            before = kept_call(tasks.untrained, data, settings, timeout_s=120.0)
            if before is not None:
                st.caption(
                    ":material/visibility: Before any training: a fresh encoder scatters the persons over its map. "
                    "Press **Train** and watch them come together."
                )
                result_view.draw(before, settings.margin)
        job_view(JOB, draw_live=_draw_live, draw_result=lambda result, _: _draw_result(result, settings))
    if job is None or job.state not in ACTIVE:
        result_view.idea()


def _data_controls() -> tuple[str, bytes | None]:
    data = st.selectbox(
        "Pictures",
        list(DATA),
        format_func=DATA.__getitem__,
        key="similarity_data",
        bind="query-params",
        help="Drawn persons are cartoons that stand for nobody: forty of them, sixteen pictures each, twelve never "
        "trained on. Of the digits, 7, 8 and 9 are never trained on.",
    )
    if data != "own":
        return data or "drawn", None
    file = st.file_uploader("Zip of folders", type=["zip"], key="similarity_zip", label_visibility="collapsed")
    return data, None if file is None else file.getvalue()


def _settings_controls() -> SimilaritySettings:
    way = st.selectbox(
        "Learn from",
        [*WAYS, COMPARISON],
        index=1,
        format_func=lambda name: WAY_LABELS.get(name, "All three minings, compared"),
        key="similarity_way",
        bind="query-params",
        help="Random triplets are soon easy and teach nothing; hard ones teach most and may collapse; semi-hard ones "
        "are FaceNet's choice. The binary ways learn to answer “same or different” directly.",
    )
    margin = st.slider(
        "Margin α",
        0.05,
        1.5,
        0.4,
        0.05,
        key="similarity_margin",
        bind="query-params",
        help="How much farther a negative has to be than a positive (squared distances of encodings of length one, "
        "0 to 4). For the contrastive loss: the distance to which different ones are pushed.",
        disabled=way in PAIR_WAYS,
    )
    steps = st.select_slider("Steps", [60, 120, 240, 480, 960], 240, key="similarity_steps", bind="query-params")
    with st.popover("Rate, encoding, seed", icon=":material/tune:", width="stretch"):
        rate = st.select_slider(
            "Learning rate", [0.0005, 0.001, 0.002, 0.005, 0.01], 0.002, key="similarity_rate", bind="query-params"
        )
        dimensions = st.select_slider(
            "Numbers in an encoding", [2, 4, 8, 16, 32, 64], 16, key="similarity_dimensions", bind="query-params"
        )
        seed = st.number_input("Seed", 0, 9999, 0, key="similarity_seed", bind="query-params")
    return SimilaritySettings(
        ways=TRIPLET_WAYS if way == COMPARISON else (way or "semi-hard",),
        steps=int(steps),
        rate=float(rate),
        margin=float(margin),
        dimensions=int(dimensions),
        seed=int(seed),
    )


def _draw_live(job: JobView) -> None:
    picture, curves = st.columns([1, 1.35], gap="medium")
    with picture:
        if isinstance(job.preview, np.ndarray):
            st.image(display_jpeg(job.preview), width="stretch", alt="The map of the encodings so far")
            st.caption("Dots: classes that are learned. Crosses: classes never seen. Colours repeat.")
    series = metric_series(job)
    with curves:
        shares = {n: v for n, v in series.items() if not n.endswith(": loss")}
        if shares:
            show(line_chart(shares, x_title="step", y_title="share", height_px=250), key="similarity_live_shares")
        losses = {n: v for n, v in series.items() if n.endswith(": loss")}
        if losses:
            show(line_chart(losses, x_title="step", y_title="loss", height_px=200), key="similarity_live_loss")


def _draw_result(result: SimilarityResult, settings: SimilaritySettings) -> None:
    result_view.draw(result, settings.margin)
