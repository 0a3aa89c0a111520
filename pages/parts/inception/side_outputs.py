"""The view of side outputs: what classifiers on hidden layers do to the gradients of the early ones."""

import numpy as np
import pandas as pd
import streamlit as st

from core.architectures import tasks
from core.architectures.side_outputs import SIDE_MODULES, SIDE_WEIGHT, SideOutputGradients
from core.runtime.jobs import JobView
from pages.parts.downloads import download_table
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import ACTIVE, current_job, job_view, start_job

JOB = "side_outputs"


def view() -> None:
    """Draw the view."""
    controls, result = st.columns([1.05, 2.8], gap="medium")
    with controls:
        weight, repeats, seed = _controls()
        job = current_job(JOB)
        if st.button(
            "Measure again" if job else "Measure the gradients",
            key="side_start",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
        ):
            start_job(
                JOB,
                tasks.side_output_gradients,
                repeats,
                weight,
                seed=seed,
                title="Gradients with and without side outputs",
            )
            job = current_job(JOB)
    with result:
        if job is None:
            st.markdown(
                "GoogLeNet has two more classifiers, which leave after modules **4a** and **4d**; their losses are "
                "added to the main one in training. Here the gradient of every convolution is measured with and "
                "without them, with the same weights, on handwritten digits and an eighth of the paper's widths."
            )
            st.info("Building the network takes up to a minute. Press the button to start.", icon=":material/info:")
        job_view(JOB, draw_live=_nothing_yet, draw_result=_draw)
    if job is None or job.state not in ACTIVE:
        st.subheader("Mathematics", anchor=False)
        formula(
            r"J = J_{main} + w\,(J_{4a} + J_{4d})",
            rf"J = J_{{main}} + {number(weight)}\,(J_{{4a}} + J_{{4d}})",
            explanation="The side losses reach the layers before them on a short way. Layers behind both get the "
            "gradient of the main loss alone. After training the side outputs are cut off.",
        )


def _controls() -> tuple[float, int, int]:
    weight = st.slider(
        "Weight w of each side loss",
        0.1,
        2.0,
        SIDE_WEIGHT,
        0.1,
        key="side_weight",
        bind="query-params",
        help="The paper takes 0.3. More makes the early gradients larger, and the main loss count less.",
    )
    repeats = st.slider(
        "Random starts",
        1,
        20,
        5,
        key="side_repeats",
        bind="query-params",
        help="Each has other weights and another batch; the lines are medians.",
    )
    seed = st.number_input(
        "Seed", 0, 10_000, 0, key="side_seed", bind="query-params", help="Of the first start and of the batches."
    )
    return float(weight), int(repeats), int(seed)


def _nothing_yet(_: JobView) -> None:
    """The chart is drawn when all starts are measured."""


def _draw(result: SideOutputGradients, _: JobView) -> None:
    table = _table(result)
    layers = np.arange(1, len(result.layers) + 1)
    st.markdown(
        f"With side outputs (w = {result.weight:g}) the gradient of the first convolution is "
        f"**{result.gain[0]:.3g} times** that of the main loss alone; for the last one the factor is "
        f"{result.gain[-1]:.3g}."
    )
    figure = line_chart(
        {
            "main loss alone": (layers, table["main"]),
            "with side outputs": (layers, table["with_side_outputs"]),
        },
        x_title="convolution, in the order in which they run",
        y_title="norm of the gradient (median)",
        log_y=True,
        markers=False,
        height_px=340,
    )
    for module, after in zip(SIDE_MODULES, result.leaves_after, strict=True):
        figure.add_vline(
            x=after + 1,
            line_width=1,
            line_dash="dot",
            line_color="#94a3b8",
            annotation_text=f"side output {module}",
            annotation_position="bottom right",
        )
    show(figure, key="side_chart")
    main, first, second = result.losses
    st.caption(
        f"Medians of {len(result.main)} random starts, {len(result.layers)} convolutions of the main path. "
        f"Mean losses: main {main:.2f}, side 4a {first:.2f}, side 4d {second:.2f}."
    )
    download_table(table, name="side_output_gradients", key="side_csv")


def _table(result: SideOutputGradients) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "layer": result.layers,
            "module": result.modules,
            "main": np.median(result.main, axis=0),
            "with_side_outputs": np.median(result.summed, axis=0),
            "gain": result.gain,
        }
    )
