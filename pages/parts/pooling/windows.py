"""The main view: an input, its pooled map, and for each output the window it was made of."""

import numpy as np
import streamlit as st

from core.convolution.geometry import FilterTooLarge
from core.convolution.pooling import PoolingResult, pool
from core.convolution.windows import window_positions
from pages.parts.pixels import Box, Pixel, number_grid, picture
from pages.parts.playground.controls import matrix_text
from pages.parts.pooling.controls import (
    LARGEST_NUMBERS,
    Input,
    example_menu,
    input_controls,
    pixel_fields,
    select,
    window_controls,
)
from pages.parts.pooling.inspector import code, downloads, mathematics, reduction, windows_behind
from pages.parts.pooling.layout import Layout, all_sources, encoded, size_text, sources_of

ERROR_KEY = "_pooling_error"


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, left, right = st.columns([1.05, 1.4, 1.4], gap="medium")
    with controls:
        given = input_controls()
        window = window_controls()
        if not given.is_image:
            example_menu()
    rows, columns = given.values.shape[:2]
    try:
        result = pool(given.values, window.f, window.s, window.mode)
    except FilterTooLarge:
        with left:
            _draw_input(given, None, None)
        right.error(
            f"The window is {window.f} × {window.f}, but the input has only {rows} × {columns} values: "
            f"choose f up to {min(rows, columns)}, or a larger input.",
            icon=":material/error:",
        )
        return
    output_place = right.container()
    with right:
        pixel = pixel_fields(*result.output.shape[:2], is_image=given.is_image)
    layout = Layout(
        window_positions(rows, window.f, stride=window.s),
        window_positions(columns, window.f, stride=window.s),
        pixel,
    )
    with left:
        _draw_input(given, result, layout)
    with output_place:
        _draw_output(given, result, layout)
    if given.as_numbers:
        with right:
            reduction(given, window, result, layout)
    else:
        windows_behind(given, window, result, layout)
    with left:
        st.markdown(
            f"**{result.parameters} parameters**: f and s are chosen, nothing is learned. "
            f"{result.input_values:,} numbers go in, {result.output_values:,} come out."
        )
    mathematics(given, window, layout)
    code(given, window)
    downloads(given, window, result)


def _edit(matrix: np.ndarray, cell: Pixel, text: str) -> None:
    try:
        value = float(text.replace(",", "."))
        if not np.isfinite(value) or abs(value) > 1e6:
            raise ValueError
    except ValueError:
        st.session_state[ERROR_KEY] = f"“{text}” is not a number; the cell was left as it was."
        return
    changed = matrix.copy()
    changed[cell.row, cell.column] = value
    st.session_state["pool_matrix"] = matrix_text(changed)


def _draw_input(given: Input, result: PoolingResult | None, layout: Layout | None) -> None:
    rows, columns = given.values.shape[:2]
    st.markdown(f"**Input** · {size_text(given.values.shape)}")
    if given.as_numbers:
        number_grid(
            given.values,
            key="pooling_input_grid",
            label=f"Input, {rows} by {columns}",
            marked=[] if layout is None else layout.cells(),
            sources=[] if result is None else all_sources(result),
            faded=None if layout is None else layout.left_over(),
            on_edit=lambda cell, text: _edit(given.values, cell, text),
            cell_px=_cell_px(given),
        )
        if message := st.session_state.pop(ERROR_KEY, None):
            st.error(message, icon=":material/error:")
        st.caption(f"{_explain(result, layout)}Change any number.")
        return
    boxes = []
    if result is not None and layout is not None:
        boxes = [Box(layout.top, layout.left, layout.rows.f, layout.rows.f)]
        boxes += [Box(cell.row, cell.column, 1, 1, "source") for cell in sources_of(result, layout.pixel)]
    picture(
        encoded(given.values, is_image=given.is_image),
        rows=rows,
        columns=columns,
        key="pooling_input_picture",
        alt=f"The input, {given.name}, with the window of the chosen output",
        boxes=boxes,
        max_height_px=340,
    )
    if boxes:
        st.caption("Yellow: the window. " + ("Green: where its maximum came from." if len(boxes) > 1 else ""))


def _cell_px(given: Input) -> int:
    return min(46, 330 // max(given.values.shape[:2]))


def _explain(result: PoolingResult | None, layout: Layout | None) -> str:
    if result is None or layout is None:
        return ""
    text = "Framed: the window of the chosen output. "
    if result.rows is not None:
        text += "Green dots: where the maxima came from. "
    if layout.rows.left_over or layout.columns.left_over:
        text += "Pale: left over, in no window. "
    return text


def _draw_output(given: Input, result: PoolingResult, layout: Layout) -> None:
    rows, columns = result.output.shape[:2]
    st.markdown(f"**Output** · {size_text(result.output.shape)}")
    if given.as_numbers and max(rows, columns) <= LARGEST_NUMBERS:
        number_grid(
            result.output,
            key="pooling_output_grid",
            label=f"Output, {rows} by {columns}",
            limit=float(np.abs(given.values).max()),
            selected=layout.pixel,
            on_pick=select,
            cell_px=_cell_px(given),
        )
    else:
        picture(
            encoded(result.output, is_image=given.is_image),
            rows=rows,
            columns=columns,
            key="pooling_output_picture",
            alt=f"The output: {given.name} pooled to {rows} by {columns}",
            boxes=[Box(layout.pixel.row, layout.pixel.column, 1, 1, "selected")],
            selected=layout.pixel,
            on_pick=select,
            max_height_px=340,
        )
    st.caption("Click an output to see its window.")
