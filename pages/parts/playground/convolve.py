"""The main view: an input, a filter, the output, and the window behind any output pixel."""

import time
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.convolution.display import absolute_to_rgb
from core.convolution.filters import parse_kernel
from core.convolution.operation import (
    ConvolutionSettings,
    FilterTooLarge,
    WindowProducts,
    convolve,
    window_at,
)
from core.runtime.images import content_hash, display_jpeg
from pages.parts.downloads import download_array, download_picture
from pages.parts.image_input import image_input
from pages.parts.pace import picture_first, remember, unless_more_moved
from pages.parts.pixels import Box, Pixel, number_grid, picture
from pages.parts.playground.controls import (
    SLIDERS,
    ChosenFilter,
    filter_controls,
    matrix_text,
    moved_filter,
    settings_controls,
)
from pages.parts.playground.explain import code, inspector, mathematics, number_text
from pages.parts.playground.recipe import Input, Recipe, Rendered, render

NOTES_MATRICES = {
    "10 | 0": "; ".join(["10 10 10 0 0 0"] * 6),
    "0 | 10": "; ".join(["0 0 0 10 10 10"] * 6),
}
INPUTS = {
    "image": "Image",
    "10 | 0": "Notes 6 x 6: 10 | 0",
    "0 | 10": "Notes 6 x 6: 0 | 10",
    "matrix": "Own matrix",
}
STEP_EVERY_S = 0.7


@st.cache_resource(max_entries=8, show_spinner=False)
def _shown(fingerprint: str, _pixels: np.ndarray) -> bytes:
    return display_jpeg(_pixels)


@dataclass(frozen=True)
class Places:
    """Where the view draws besides the output's picture; they outlive a run of the view's fragment."""

    controls: DeltaGenerator
    left: DeltaGenerator
    head: DeltaGenerator
    below: DeltaGenerator


def view() -> None:
    """Draw the view; while "Play" is on, the window moves by itself.

    The columns are drawn here, outside the fragment, so that a slider's run begins with the picture: the browser goes
    through the whole page for everything that it is sent before.
    """
    playing = bool(st.session_state.get("play", False))
    controls, left, right = st.columns([1.05, 1.4, 1.4], gap="medium")
    below = st.container()
    with right:
        places = Places(controls, left, st.container(), below)
        st.fragment(_view, run_every=STEP_EVERY_S if playing else None)(playing, places)


def _view(playing: bool, places: Places) -> None:
    ready = _at_once()
    if ready is not None:
        _draw_output(ready)
        picture_first(ready.recipe.fingerprint, key="output")
        _describe_output(ready, places.head)
    with places.controls:
        given = _input_controls()
        chosen = filter_controls()
        settings = settings_controls()
        recipe = Recipe(given, chosen, settings, _display_controls(given))

    values = recipe.values
    try:
        output = convolve(values, chosen.kernel, settings) if ready is None else ready.output
    except FilterTooLarge as error:
        with places.left:
            _draw_input(given, None, settings, chosen)
        places.head.error(str(error), icon=":material/error:")
        # A later run of the fragment may write only where this one has written.
        places.below.empty()
        return
    plane = values if values.ndim == 2 else values[:, :, 0]
    with places.below:
        st.divider()
        pixel = _pixel_fields(output.shape[0], output.shape[1], channel=values.ndim == 3)
    window = window_at(plane, chosen.kernel, settings, pixel.row, pixel.column)
    if ready is None:
        ready = render(recipe, output, pixel)
        _draw_output(ready)
        _describe_output(ready, places.head)
    with places.left:
        _draw_input(given, window, settings, chosen)
    if not given.as_numbers:
        picture_first(recipe.fingerprint, key="output")
    if bool(st.session_state["play"]) != playing:
        # How often a fragment runs by itself is set where it is called: the page runs once more.
        st.rerun()
    with places.below:
        _draw_below(ready, window)
    remember(recipe, SLIDERS.values(), key="output")


def _draw_below(ready: Rendered, window: WindowProducts) -> None:
    """The window behind the selected pixel, and what is opened or taken along."""
    recipe, output = ready.recipe, ready.output
    given, chosen, settings, values = recipe.given, recipe.chosen, recipe.settings, recipe.values
    inspector(window, chosen)
    # Filled when opened: typesetting what nobody sees would slow every slider of the page.
    as_formula = st.expander("The same as a formula", icon=":material/function:", key="formula", on_change="rerun")
    if as_formula.open:
        with as_formula:
            mathematics(values.shape[0], values.shape[1], chosen, settings, output.shape)
    as_code = st.expander("The same as code", icon=":material/code:", key="code", on_change="rerun")
    if as_code.open:
        with as_code:
            code(values, given, chosen, settings)
    with st.container(horizontal=True):
        download_picture(ready.shown, name=f"{given.name}_{chosen.name}", key="output_png", label="Output picture")
        download_array(output, name=f"{given.name}_{chosen.name}", key="output_npy", label="Output numbers (.npy)")
        download_array(chosen.kernel, name=f"filter_{chosen.name}", key="kernel_npy", label="Filter (.npy)")


def _at_once() -> Rendered | None:
    """The new output where only a slider of the filter has moved: it can be drawn before the controls."""
    before: Recipe | None = unless_more_moved(SLIDERS.values(), key="output")
    if before is None or before.given.as_numbers or not {"row", "col"} <= st.session_state.keys():
        return None
    recipe = replace(before, chosen=moved_filter(before.chosen))
    try:
        output = convolve(recipe.values, recipe.chosen.kernel, recipe.settings)
    except FilterTooLarge:
        return None
    rows, columns = output.shape[:2]
    return render(recipe, output, _inside(int(st.session_state["row"]), int(st.session_state["col"]), rows, columns))


def _input_controls() -> Input:
    kind = st.selectbox(
        "Input",
        list(INPUTS),
        format_func=INPUTS.__getitem__,
        key="input",
        bind="query-params",
        help="A picture, or a small matrix whose numbers can be followed by hand.",
    )
    if kind == "image":
        chosen = image_input(default="astronaut")
        return Input(chosen.pixels, True, chosen.name, chosen.sha256)
    # The text stands there for the notes' examples too, so that a change of theirs finds its place in the address.
    with (
        st.popover("As text", icon=":material/edit_note:", width="stretch")
        if kind in NOTES_MATRICES
        else st.container()
    ):
        text = st.text_input(
            "Own matrix: rows parted by ;",
            NOTES_MATRICES["10 | 0"],
            key="matrix",
            bind="query-params",
            on_change=_choose_matrix,
            help="Numbers parted by spaces, rows by semicolons, up to 31 x 31. Or type into the grid.",
        )
    try:
        matrix = parse_kernel(NOTES_MATRICES.get(kind, text), square=False).astype(np.float32)
    except ValueError as error:
        st.error(str(error), icon=":material/error:")
        matrix = parse_kernel(NOTES_MATRICES["10 | 0"]).astype(np.float32)
    return Input(matrix, False, "matrix" if kind == "matrix" else "notes_6x6", content_hash(matrix))


def _choose_matrix() -> None:
    st.session_state["input"] = "matrix"


def _display_controls(given: Input) -> str:
    if not given.is_image:
        return "signed"
    return st.selectbox(
        "Show as",
        ["auto", "signed", "absolute", "clipped"],
        key="show",
        bind="query-params",
        help="signed: red above zero, blue below, white at zero. absolute: how strong, whichever the sign. "
        "clipped: as a picture, cut to 0–255, the filter applied to red, green and blue. "
        "auto: clipped for filters that keep the brightness, signed for the others.",
    )


def _step_when_playing(rows: int, columns: int) -> None:
    """While playing, move the selected pixel one step further, once in a while."""
    if not st.session_state.get("play") or "row" not in st.session_state:
        return
    if time.monotonic() - st.session_state.get("_stepped", 0.0) < 0.8 * STEP_EVERY_S:
        return
    # A photograph has too many pixels to visit: the window takes sixteen steps along a row.
    row, column = int(st.session_state["row"]), int(st.session_state["col"]) + max(1, columns // 16)
    if column >= columns:
        row, column = row + max(1, rows // 12), 0
    st.session_state["row"], st.session_state["col"] = row if row < rows else 0, column
    st.session_state["_stepped"] = time.monotonic()


def _pixel_fields(rows: int, columns: int, *, channel: bool) -> Pixel:
    """Draw the fields of the selected output pixel and return it, kept inside the output."""
    _step_when_playing(rows, columns)
    head, row_field, column_field, play = st.columns([2.2, 1, 1, 1], vertical_alignment="bottom")
    head.markdown("**The window behind one output pixel**" + (" (red channel)" if channel else ""))
    default_row, default_column = _default_pixel(rows, columns)
    # No max_value: a link made for a larger output must open; the pixel is kept inside below.
    row = row_field.number_input(
        "Row", 0, None, default_row, key="row", bind="query-params", help=f"Output row, 0 to {rows - 1}."
    )
    column = column_field.number_input(
        "Column", 0, None, default_column, key="col", bind="query-params", help=f"Output column, 0 to {columns - 1}."
    )
    play.toggle("Play", key="play", help="Let the window walk over the input, one output pixel after another.")
    return _inside(int(row), int(column), rows, columns)


def _inside(row: int, column: int, rows: int, columns: int) -> Pixel:
    return Pixel(min(row, rows - 1), min(column, columns - 1))


def _default_pixel(rows: int, columns: int) -> tuple[int, int]:
    """Where the eye looks first: not the corner, which shows little but padding."""
    return rows // 3, columns // 2


def _select(pixel: Pixel) -> None:
    st.session_state["row"], st.session_state["col"] = pixel.row, pixel.column


def _edit_matrix(matrix: np.ndarray, cell: Pixel, text: str) -> None:
    try:
        value = float(text.replace(",", "."))
        if not np.isfinite(value) or abs(value) > 1e6:
            raise ValueError
    except ValueError:
        st.session_state["_matrix_error"] = f"“{text}” is not a number; the cell was left as it was."
        return
    changed = matrix.copy()
    changed[cell.row, cell.column] = value
    st.session_state["matrix"] = matrix_text(changed)
    st.session_state["input"] = "matrix"


def _draw_input(
    given: Input, window: WindowProducts | None, settings: ConvolutionSettings, chosen: ChosenFilter
) -> None:
    rows, columns = given.values.shape[:2]
    st.markdown(f"**Input** · {rows} × {columns}" + (" × 3" if given.values.ndim == 3 else ""))
    if given.as_numbers:
        under = [] if window is None else _cells_under(window, settings.dilation, rows, columns)
        number_grid(
            given.values,
            key="input_grid",
            label=f"Input, {rows} by {columns}",
            marked=under,
            on_edit=lambda cell, text: _edit_matrix(given.values, cell, text),
            cell_px=min(46, 330 // max(rows, columns)),
        )
        if message := st.session_state.pop("_matrix_error", None):
            st.error(message, icon=":material/error:")
        st.caption("Change any number.")
        return
    boxes = []
    if window is not None:
        reach = (chosen.kernel.shape[0] - 1) * settings.dilation + 1
        boxes = [Box(window.top, window.left, reach, reach)]
    pixels = given.values if given.is_image else absolute_to_rgb(given.values)
    picture(
        _shown(given.fingerprint, pixels),
        rows=rows,
        columns=columns,
        key="input_picture",
        alt=f"The input, {given.name}, with the window of the chosen output pixel",
        boxes=boxes,
    )


def _cells_under(window: WindowProducts, dilation: int, rows: int, columns: int) -> list[Pixel]:
    side = window.window.shape[0]
    return [
        Pixel(row, column)
        for row in range(window.top, window.top + side * dilation, dilation)
        for column in range(window.left, window.left + side * dilation, dilation)
        if 0 <= row < rows and 0 <= column < columns
    ]


def _draw_output(ready: Rendered) -> None:
    output, pixel = ready.output, ready.pixel
    rows, columns = output.shape[:2]
    if ready.jpeg is None:
        number_grid(
            output,
            key="output_grid",
            label=f"Output, {rows} by {columns}",
            selected=pixel,
            on_pick=_select,
            cell_px=min(46, 330 // max(rows, columns)),
        )
    else:
        picture(
            ready.jpeg,
            rows=rows,
            columns=columns,
            key="output_picture",
            selected=pixel,
            on_pick=_select,
            alt=f"The output: {ready.recipe.given.name} filtered, shown {ready.recipe.shown_as}",
            boxes=[Box(pixel.row, pixel.column, 1, 1, "selected")],
        )


def _describe_output(ready: Rendered, head: DeltaGenerator) -> None:
    """What the output's numbers are, over its picture, and what its colours mean, under it."""
    rows, columns = ready.output.shape[:2]
    reach = f"from {number_text(ready.low)} to {number_text(ready.high)}"
    head.markdown(f"**Output** · {rows} × {columns} · {reach}")
    st.caption(
        {
            "signed": f"Red is above zero, blue below, white zero; full colour at ±{number_text(ready.limit)}. "
            "Click a pixel to see its window.",
            "absolute": f"White at {number_text(ready.limit)} and stronger, whichever the sign. "
            "Click a pixel to see its window.",
            "clipped": "Cut to 0–255 and shown as a picture. Click a pixel to see its window.",
        }[ready.recipe.shown_as]
    )
