"""One by one, in batches, or convolutional: the same weights and the same numbers, at very different times."""

import functools

import numpy as np
import pandas as pd
import streamlit as st

from core.detection import sliding_windows_tasks as tasks
from core.detection.drawing import screen_canvas
from core.detection.sliding_windows import WINDOW_PX, Level, WindowError, pyramid_levels
from core.detection.sliding_windows_drawing import overlay_heat
from core.detection.sliding_windows_layers import LayerCost, layer_costs
from core.detection.sliding_windows_snippets import compare_dense_as_convolution, dense_snippets, input_lines
from core.detection.sliding_windows_tasks import WaysCompared
from core.runtime.images import display_jpeg
from core.runtime.jobs import JobView
from core.runtime.weights import WeightsError
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_array, download_table
from pages.parts.figures import bar_chart, show
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.job_view import ACTIVE, current_job, job_view, start_job

JOB = "windows"
SIDES_PX = [96, 128, 192, 256, 320, 416, 512]


def view() -> None:
    """Draw the view: picture and size on the left, the layers and the measured times on the right."""
    controls, result = st.columns([1.05, 2.9], gap="medium")
    with controls:
        chosen = image_input(default="astronaut")
        side = int(
            st.select_slider(
                "Longer side, pixels",
                SIDES_PX,
                256,
                key="win_side",
                bind="query-params",
                help="The picture is brought to this size first. A picture of 512 × 512 px has 3,249 windows.",
            )
        )
        try:
            level = pyramid_levels(chosen.pixels.shape[1], chosen.pixels.shape[0], largest_px=side, count=1)[0]
            class_count = len(tasks.class_names())
        except (WindowError, WeightsError) as error:
            st.error(str(error), icon=":material/error:")
            return
        st.markdown(
            f"{level.width_px} × {level.height_px} px: **{level.windows:,} windows** of {WINDOW_PX} px, "
            f"{level.rows} × {level.columns}."
        )
        job = current_job(JOB)
        start = st.button(
            "Measure again" if job else "Measure all three ways",
            type="primary",
            icon=":material/timer:",
            key="win_start",
            width="stretch",
            disabled=job is not None and job.state in ACTIVE,
        )
    if start:
        start_job(JOB, tasks.compare_ways, chosen.pixels, side, title=f"{level.windows:,} windows, three ways")
    costs = layer_costs(level, class_count)
    with result:
        if current_job(JOB) is None:
            _counted(level, costs)
        job_view(JOB, draw_live=functools.partial(_draw_live, chosen), draw_result=_draw_result)
        _layers(costs)
    _mathematics(costs)
    as_code = st.expander("The same as code", icon=":material/code:", key="win_ways_code_open", on_change="rerun")
    if as_code.open:
        with as_code:
            code_tabs(
                dense_snippets(),
                key="win_ways_code",
                inputs=input_lines(level.rows, level.columns),
                fingerprint=f"{level.rows} {level.columns}",
                compare=lambda: compute(compare_dense_as_convolution, level.rows, level.columns),
            )


def _counted(level: Level, costs: tuple[LayerCost, ...]) -> None:
    """What can be told before measuring: the multiplications of both forms."""
    each = sum(cost.window_multiplications for cost in costs)
    shared = sum(cost.image_multiplications for cost in costs)
    first, second, third = st.columns(3)
    first.metric("Window by window", f"{level.windows * each / 1e9:.2f} G", help="Multiplications, all windows.")
    second.metric("Convolutional", f"{shared / 1e9:.2f} G", help="Multiplications, the whole picture at once.")
    third.metric("Counted ratio", f"{level.windows * each / shared:.1f} : 1")
    st.caption(
        "Multiplications, counted. How long both take on this machine is measured on request: one window at a time, "
        "in batches, and convolutionally."
    )


def _draw_live(chosen: ChosenImage, job: JobView) -> None:
    if not isinstance(job.preview, np.ndarray) or job.preview.ndim != 2:
        return
    rows, columns = job.preview.shape
    level = _level_of(chosen, rows, columns)
    if level is None:
        return
    canvas, scale = screen_canvas(chosen.pixels)
    drawn = overlay_heat(canvas, job.preview, level, scale)
    st.image(display_jpeg(drawn, 460), width=460, alt="The score map as far as the windows were looked at")
    done = int(np.isfinite(job.preview).sum())
    st.caption(f"{done:,} of {rows * columns:,} windows looked at, one by one.")


def _level_of(chosen: ChosenImage, rows: int, columns: int) -> Level | None:
    """The size of the chosen picture that has so many windows; None if the picture was changed meanwhile."""
    for side in SIDES_PX:
        level = pyramid_levels(chosen.pixels.shape[1], chosen.pixels.shape[0], largest_px=side, count=1)[0]
        if (level.rows, level.columns) == (rows, columns):
            return level
    return None


def _draw_result(compared: WaysCompared, _: JobView) -> None:
    slow, batches, fast = compared.ways
    windows = compared.level.windows
    st.success(
        f"{windows:,} windows of a {compared.level.width_px} × {compared.level.height_px} px picture: one by one takes "
        f"**{slow.seconds / fast.seconds:.0f} times** and batches take **{batches.seconds / fast.seconds:.1f} times** "
        "as long as the convolutional form.",
        icon=":material/check_circle:",
    )
    chart, numbers = st.columns([1.2, 1.3], gap="medium")
    with chart:
        figure = bar_chart(
            {"time": ([way.name for way in compared.ways], np.array([1e3 * way.seconds for way in compared.ways]))},
            y_title="ms for all windows",
            log_y=True,
            height_px=230,
        )
        show(figure, key="win_times")
    with numbers:
        table = pd.DataFrame(
            {
                "Way": [way.name for way in compared.ways],
                "All windows (ms)": [1e3 * way.seconds for way in compared.ways],
                "A window (µs)": [1e6 * way.seconds / windows for way in compared.ways],
            }
        )
        st.dataframe(
            table,
            hide_index=True,
            width="stretch",
            key="win_times_table",
            column_config={
                "All windows (ms)": st.column_config.NumberColumn(format="%.1f"),
                "A window (µs)": st.column_config.NumberColumn(format="%.1f"),
            },
        )
        differences = pd.DataFrame(
            [{"Pair": f"{a} – {b}", "Largest difference": value} for a, b, value in compared.differences]
        )
        st.dataframe(
            differences,
            hide_index=True,
            width="stretch",
            key="win_differences",
            column_config={"Largest difference": st.column_config.NumberColumn(format="%.1e")},
        )
    st.caption(
        f"Differences between probabilities, over all windows and classes. Batches are of {tasks.BATCH} windows. All "
        "three are compiled functions of the same weights on the same device."
    )
    with st.container(horizontal=True):
        download_table(table, name="windows_times", key="win_times_csv", label="Times (CSV)")
        download_array(fast.probabilities, name="windows_map", key="win_ways_npy", label="Score map (.npy)")


def _shape(shape: tuple[int, int, int]) -> str:
    return " × ".join(str(side) for side in shape)


def _layers(costs: tuple[LayerCost, ...]) -> None:
    table = pd.DataFrame(
        [
            {
                "Layer": cost.name,
                "For a window": cost.in_window,
                "Window’s output": _shape(cost.window_shape),
                "For the picture": cost.in_image,
                "Picture’s output": _shape(cost.image_shape),
                "Parameters": cost.parameters,
            }
            for cost in costs
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="win_layers_table",
        column_config={"Parameters": st.column_config.NumberColumn(format="localized")},
    )
    st.caption(
        "The same weights in both columns. A fully connected layer over a 3 × 3 map is a 3 × 3 convolution, the next "
        "one a 1 × 1 convolution. Nothing is padded, so that a window sees its own pixels only."
    )


def _mathematics(costs: tuple[LayerCost, ...]) -> None:
    fc6 = next(cost for cost in costs if cost.name == "fc6")
    before = costs[[cost.name for cost in costs].index("fc6") - 1]
    side, _, channels = before.window_shape
    units = fc6.window_shape[2]
    rows, columns, _ = fc6.image_shape
    formula(
        r"a_n = \sum_{u, v, c} W_{(u, v, c),\, n}\; x_{u, v, c} + b_n \quad\longrightarrow\quad "
        r"A_{i, j, n} = \sum_{u, v, c} W_{u, v, c, n}\; X_{i + u,\, j + v,\, c} + b_n",
        rf"W:\; ({side} \cdot {side} \cdot {channels}) \times {units} "
        rf"= {number(side * side * channels)} \times {units} "
        rf"\quad\longrightarrow\quad {units} \text{{ filters of }} {side} \times {side} \times {channels}",
        rf"A:\; {units} \text{{ numbers for one window}} \quad\longrightarrow\quad "
        rf"{rows} \times {columns} \times {units} \text{{ for all windows at once}}",
        explanation="The sum on the right is the sum on the left, at every place (i, j) of the map: the weights are "
        "only written into another shape. What neighbouring windows share is computed once.",
    )
