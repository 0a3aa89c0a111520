"""Padding and stride: where the windows lie, what shrinks, what is left over, and which pixels count less."""

from collections.abc import Mapping

import numpy as np
import streamlit as st

from core.convolution.geometry import FilterTooLarge, participation_map
from core.convolution.settings import ConvolutionSettings
from core.convolution.windows import WindowPositions, window_positions
from pages.parts.downloads import download_array
from pages.parts.figures import PLOTLY_CONFIG, sequential_heatmap, show
from pages.parts.pixels import number_grid
from pages.parts.playground.padding_sizes import draw_code, draw_mathematics, draw_shrinkage
from pages.parts.playground.window_figure import LARGEST_DRAWN, window_figure

EXAMPLES: Mapping[str, Mapping[str, int | str]] = {
    "Valid": {"n": 6, "f": 3, "p": "valid", "s": 1, "d": 1},
    "p = 1": {"n": 6, "f": 3, "p": 1, "s": 1, "d": 1},
    "s = 2": {"n": 7, "f": 3, "p": "valid", "s": 2, "d": 1},
    "Left over": {"n": 8, "f": 3, "p": "valid", "s": 3, "d": 1},
    "d = 2": {"n": 9, "f": 3, "p": "same", "s": 1, "d": 2},
}
LARGEST_NUMBERS = 14
LARGEST_MAP = 64


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, left, right = st.columns([1.05, 1.4, 1.4], gap="medium")
    with controls:
        n, f, settings = _controls()
    try:
        positions = _positions(n, f, settings)
        counts = participation_map(n, n, f, settings.stride, settings.padding, settings.dilation)
    except FilterTooLarge as error:
        left.error(str(error), icon=":material/error:")
        draw_shrinkage(f)
        return
    with controls:
        row, column = _chosen_window(len(positions.starts))
    with left:
        _draw_windows(positions, row, column)
    with right:
        _draw_participation(counts)

    st.divider()
    draw_mathematics(n, f, settings, positions)
    st.divider()
    draw_shrinkage(f)
    st.divider()
    draw_code(n, f, settings)
    download_array(counts, name="participation", key="participation_npy", label="Participation of the pixels (.npy)")


def _positions(n: int, f: int, settings: ConvolutionSettings) -> WindowPositions:
    return window_positions(n, f, padding=settings.padding, stride=settings.stride, dilation=settings.dilation)


def _controls() -> tuple[int, int, ConvolutionSettings]:
    first, second = st.columns(2)
    n = first.number_input(
        "Image n (px)",
        1,
        512,
        8,
        key="n",
        bind="query-params",
        help="The image is n x n. Small ones show every number; 224 is what many networks take.",
    )
    f = second.number_input(
        "Filter f",
        1,
        31,
        3,
        key="f",
        bind="query-params",
        help="The filter is f x f. The larger it is, the more a valid convolution cuts off: f - 1 pixels.",
    )
    third, fourth = st.columns(2)
    padding = third.selectbox(
        "Padding p",
        ["valid", "same", *range(1, 16)],
        key="p",
        bind="query-params",
        help="valid: none, the output shrinks. same: the output keeps the input's size (at stride 1). "
        "A number: that many pixels on every side.",
    )
    stride = fourth.number_input(
        "Stride s",
        1,
        16,
        1,
        key="s",
        bind="query-params",
        help="How far the window moves. At 2 it visits every second position; pixels may be left over.",
    )
    dilation = st.slider(
        "Dilation d",
        1,
        8,
        1,
        key="d",
        bind="query-params",
        help="Distance between neighbouring weights: f x f weights then cover d (f - 1) + 1 pixels.",
    )
    with st.container(horizontal=True, gap="xsmall"):
        for name, values in EXAMPLES.items():
            st.button(name, key=f"example_{name}", on_click=st.session_state.update, args=(values,), type="tertiary")
    return (
        int(n),
        int(f),
        ConvolutionSettings(
            stride=int(stride),
            padding=padding if padding in ("valid", "same") else int(padding),
            dilation=int(dilation),
        ),
    )


def _chosen_window(windows: int) -> tuple[int, int]:
    left, right = st.columns(2)
    # No max_value: a link made for a larger output must open; the window is kept inside below.
    row = left.number_input(
        "Window row",
        0,
        None,
        0,
        key="wrow",
        bind="query-params",
        help=f"Which window is framed: output row 0 to {windows - 1}. Or click a dot in the drawing.",
    )
    column = right.number_input(
        "Window column",
        0,
        None,
        0,
        key="wcol",
        bind="query-params",
        help=f"Output column 0 to {windows - 1}.",
    )
    return min(int(row), windows - 1), min(int(column), windows - 1)


def _pick_window() -> None:
    for point in st.session_state["windows"].selection.points:
        if "customdata" in point:
            row, column = point["customdata"]
            st.session_state["wrow"], st.session_state["wcol"] = int(row), int(column)


def _draw_windows(positions: WindowPositions, row: int, column: int) -> None:
    outputs = len(positions.starts)
    st.markdown(f"**Windows** · {positions.padded} × {positions.padded} padded → **{outputs} × {outputs}** output")
    st.plotly_chart(
        window_figure(positions, row, column),
        key="windows",
        on_select=_pick_window,
        selection_mode="points",
        config={**PLOTLY_CONFIG, "modeBarButtons": [["toImage"]]},
        alt=f"The padded image, {positions.padded} pixels wide, and its {outputs} by {outputs} windows",
    )
    left_over = positions.left_over
    st.caption(
        f"{outputs * outputs:,} windows, a dot in the middle of each; crosses: weights of the framed one. "
        + (
            f"**{left_over} {'row and column are' if left_over == 1 else 'rows and columns are'} left over** "
            "at the end: the next window would not be fully contained."
            if left_over
            else "Nothing is left over at the end."
        )
        + (
            f" Drawn: {LARGEST_DRAWN} rows and columns around the framed window."
            if positions.padded > LARGEST_DRAWN
            else ""
        )
    )


def _draw_participation(counts: np.ndarray) -> None:
    n = counts.shape[0]
    st.markdown("**In how many outputs each pixel takes part**")
    drawn = ""
    if n <= LARGEST_NUMBERS:
        number_grid(
            counts,
            key="participation_grid",
            label="Number of outputs each pixel takes part in",
            cell_px=min(44, 316 // n - 2),
        )
    elif n <= LARGEST_MAP:
        show(sequential_heatmap(counts, height_px=340), key="participation_map")
    else:
        # A rim of a few pixels is lost on a map of hundreds.
        show(sequential_heatmap(counts[:LARGEST_DRAWN, :LARGEST_DRAWN], height_px=340), key="participation_map")
        drawn = f" Drawn: the upper left {LARGEST_DRAWN} × {LARGEST_DRAWN} pixels."
    corner, edge, centre, most = counts[0, 0], counts[0, n // 2], counts[n // 2, n // 2], counts.max()
    if corner == most:
        text = "The corners reach as many outputs as any other pixel."
    else:
        fate = "is all but thrown away" if 4 * corner <= most else "counts less"
        text = (
            f"The corner reaches {corner} {'output' if corner == 1 else 'outputs'} where an inner pixel "
            "reaches up "
            f"to {most}: what stands at the border {fate}."
        )
    st.caption(f"Corner **{corner}** · edge **{edge}** · centre **{centre}**. {text}{drawn}")
