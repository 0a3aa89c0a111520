"""The shift view: what moving the picture by 1, 2, … k pixels does to a map before and after pooling."""

from typing import Literal

import numpy as np
import pandas as pd
import streamlit as st

from core.convolution.display import signed_to_rgb
from core.convolution.edges import gradient, luminance
from core.convolution.pooling import ShiftResponse, pool, shift_response
from core.runtime.images import display_jpeg, fit_within
from pages.parts.downloads import download_picture, download_table
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.pixels import picture
from pages.parts.pooling.controls import Window, window_controls

MAPS = {"edges": "Edge strength (a feature map)", "grey": "Brightness of the picture"}
LARGEST_SHIFT = 32
# Enough to see what a shift does, and small enough that 32 shifts are measured in a moment.
SIDE_PX = 256

Axis = Literal["horizontal", "vertical"]


@st.cache_resource(max_entries=16, show_spinner=False)
def _map(sha256: str, kind: str, _pixels: np.ndarray) -> np.ndarray:
    """The map (H, W) that is shifted."""
    grey = luminance(fit_within(_pixels, SIDE_PX))  # (H, W, 3) -> (H, W)
    return gradient(grey, "sobel").magnitude if kind == "edges" else grey


@st.cache_data(max_entries=64, show_spinner=False)
def _responses(
    sha256: str, kind: str, _values: np.ndarray, window: Window, shift_px: int, axis: Axis
) -> tuple[ShiftResponse, ...]:
    return shift_response(_values, shift_px, f=window.f, s=window.s, mode=window.mode, axis=axis)


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, chart, maps = st.columns([1.05, 1.6, 1.2], gap="medium")
    with controls:
        chosen = image_input(default="coffee")
        kind = st.selectbox(
            "Map",
            list(MAPS),
            format_func=MAPS.__getitem__,
            key="pool_map",
            bind="query-params",
            help="Networks pool feature maps, such as how strong an edge is at each place, not pictures.",
        )
        window = window_controls()
        largest, axis = _shift_controls()
        shift = (
            st.slider(
                "Shift shown (px)",
                1,
                largest,
                1,
                key="pool_shift",
                bind="query-params",
                help="The maps beside the chart are drawn for this shift.",
            )
            if largest > 1
            else 1
        )
    values = _map(chosen.sha256, kind, chosen.pixels)
    try:
        responses = _responses(chosen.sha256, kind, values, window, largest, axis)
    except ValueError:
        chart.error(_too_small(values, window, largest), icon=":material/error:")
        return
    with chart:
        _draw_chart(responses, shift)
    with maps:
        drawn = _draw_maps(values, window, shift, largest, axis)

    _mathematics(responses[shift - 1], window)
    _downloads(chosen, responses, drawn, shift)


def _shift_controls() -> tuple[int, Axis]:
    left, right = st.columns([1, 1.6], gap="small")
    largest = left.number_input(
        "Shifts to k",
        1,
        LARGEST_SHIFT,
        8,
        key="pool_k",
        bind="query-params",
        help="The map is moved by 1, 2, … k pixels. Pooling stands shifts that are smaller than its window.",
    )
    axis = right.segmented_control(
        "Direction",
        ["horizontal", "vertical"],
        format_func={"horizontal": "Across", "vertical": "Down"}.__getitem__,
        default="horizontal",
        required=True,
        key="pool_axis",
        bind="query-params",
        help="Across moves the map along its rows, down along its columns.",
    )
    return int(largest), "vertical" if axis == "vertical" else "horizontal"


def _too_small(values: np.ndarray, window: Window, largest: int) -> str:
    rows, columns = values.shape
    return (
        f"The map has {rows} × {columns} values: too few for a window of {window.f} × {window.f} and shifts "
        f"up to {largest} px. Choose a smaller window, fewer shifts or a larger picture."
    )


def _draw_chart(responses: tuple[ShiftResponse, ...], shift: int) -> None:
    response = responses[shift - 1]
    st.markdown(
        f"**Shifted by {shift} px**: unpooled map changes by **{_percent(response.unpooled_change)}**, "
        f"pooled by **{_percent(response.pooled_change)}**"
    )
    shifts = [entry.shift_px for entry in responses]
    figure = line_chart(
        {
            "unpooled": (shifts, [100 * entry.unpooled_change for entry in responses]),
            "pooled": (shifts, [100 * entry.pooled_change for entry in responses]),
        },
        x_title="shift (px)",
        y_title="change of the map (%)",
        height_px=330,
    )
    figure.add_vline(x=shift, line_width=1, line_dash="dot", line_color="#94a3b8")
    figure.update_yaxes(rangemode="tozero")
    show(figure, key="shift_chart")
    st.caption(
        "The pooled map changes less: it is more invariant to the position."
        if response.pooled_change < response.unpooled_change
        else "At this shift the pooled map changes as much as the unpooled one: pooling does not help here."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "∞"


def _draw_maps(values: np.ndarray, window: Window, shift: int, largest: int, axis: Axis) -> np.ndarray:
    """Draw what the shift changes, without and with pooling; return the picture of the latter."""
    moved = values if axis == "horizontal" else values.T  # the shift runs along the last axis
    length = moved.shape[1] - largest
    before, after = moved[:, :length], moved[:, shift : shift + length]
    if axis == "vertical":
        before, after = before.T, after.T
    pooled_before, pooled_after = (pool(part, window.f, window.s, window.mode).output for part in (before, after))
    reach = float(np.abs(after - before).max())
    drawn = np.empty(0)
    for label, first, second in (("Unpooled", before, after), ("Pooled", pooled_before, pooled_after)):
        rows, columns = first.shape
        drawn = signed_to_rgb(second - first, reach)
        st.markdown(f"**{label}**, {rows} × {columns}: after − before")
        picture(
            display_jpeg(drawn),
            rows=rows,
            columns=columns,
            key=f"shift_{label.lower()}",
            alt=f"{label} map: what a shift by {shift} pixels changes",
            max_height_px=165,
        )
    st.caption("Red rose, blue fell, white is unchanged; both on one scale.")
    return drawn


def _mathematics(response: ShiftResponse, window: Window) -> None:
    st.subheader("Mathematics", anchor=False)
    formula(
        r"\text{change}(d) = \frac{\lVert A_{+d} - A \rVert_2}{\lVert A \rVert_2}",
        rf"\text{{unpooled}}({response.shift_px}) = {number(response.unpooled_change)} \qquad "
        rf"\text{{pooled}}({response.shift_px}) = {number(response.pooled_change)}",
        explanation="$A$ is the map, $A_{+d}$ the map of the picture moved by d pixels; 0 is no change. Both are "
        "cut from inside the picture, so that what moves in at one side is real. "
        f"Cosine of the angle between the two (1 is no change): unpooled {response.unpooled_cosine:.3f}, "
        f"pooled {response.pooled_cosine:.3f}.",
    )
    st.markdown(
        f"With f = {window.f}, a maximum that moves but stays under its window leaves the output as it was. "
        f"A shift by s = {window.s} moves the pooled map by exactly one place."
    )


def _downloads(chosen: ChosenImage, responses: tuple[ShiftResponse, ...], drawn: np.ndarray, shift: int) -> None:
    with st.container(horizontal=True):
        download_table(
            pd.DataFrame(responses),
            name=f"{chosen.name}_shift",
            key="shift_csv",
            label="Measured changes (CSV)",
        )
        download_picture(drawn, name=f"{chosen.name}_shift_{shift}", key="shift_png", label="Pooled difference")
