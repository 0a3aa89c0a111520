"""Volumes: a filter with a slice for each channel, its products, their sum, bias and activation."""

import numpy as np
import streamlit as st

from core.convolution.display import signed_to_rgb
from core.convolution.filters import parse_kernel
from core.convolution.geometry import FilterTooLarge
from core.convolution.volume import PartialProducts
from core.runtime.images import display_jpeg
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.pixels import Box, Pixel, number_grid, picture
from pages.parts.playground.controls import CUSTOM, matrix_text
from pages.parts.playground.volume_layer import (
    ACTIVATIONS,
    CHANNELS,
    MATRIX_KEYS,
    SLICE_KEYS,
    Layer,
    bank_control,
    chosen_layer,
    example_buttons,
    layer_controls,
    maps_of,
    partial_products_of,
    scaled_input,
    slice_controls,
)
from pages.parts.playground.volume_sizes import draw_code, draw_notation, draw_stack


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, channels, result = st.columns([1.05, 2.1, 1.15], gap="medium")
    st.divider()
    stack = st.container()
    with controls:
        chosen = image_input(default="astronaut")
        example_buttons()
        # What is asked for first need not stand first: the filter's size is below its slices.
        above, below = st.container(), st.container()
    with below:
        f, bias, activation, settings = layer_controls()
    with above:
        slices = slice_controls(f)
    with stack:
        bank = bank_control()
    layer = chosen_layer(chosen, slices, bank, bias, activation, settings)
    try:
        parts, maps = partial_products_of(layer.fingerprint, layer), maps_of(layer.fingerprint, layer)
    except FilterTooLarge as error:
        channels.error(str(error), icon=":material/error:")
        return
    with result:
        pictures = st.container()
        pixel = _pixel_fields(maps.shape[0], maps.shape[1])
    reach = float(np.abs(parts.channels).max())
    with pictures:
        _draw_result(parts, maps[..., 0], layer, pixel)
    with channels:
        _draw_channels(chosen, slices, parts, pixel, reach)
    with stack:
        draw_stack(chosen, layer, bank, parts, maps)
    st.divider()
    draw_notation(layer)
    st.divider()
    draw_code(chosen, layer)


def _pixel_fields(rows: int, columns: int) -> Pixel:
    left, right = st.columns(2)
    # No value is the middle, and no max_value: a link made for a larger map must open.
    row = left.number_input(
        "Row",
        0,
        None,
        None,
        key="vrow",
        bind="query-params",
        placeholder=str(rows // 2),
        help=f"Row of the pixel whose numbers are shown, 0 to {rows - 1}. Or click a map.",
    )
    column = right.number_input(
        "Column",
        0,
        None,
        None,
        key="vcol",
        bind="query-params",
        placeholder=str(columns // 2),
        help=f"Column of that pixel, 0 to {columns - 1}.",
    )
    return Pixel(
        min(rows // 2 if row is None else int(row), rows - 1),
        min(columns // 2 if column is None else int(column), columns - 1),
    )


def _select(pixel: Pixel) -> None:
    st.session_state["vrow"], st.session_state["vcol"] = pixel.row, pixel.column


def _edit(channel: int, kernel: np.ndarray, cell: Pixel, text: str) -> None:
    try:
        changed = kernel.copy()
        changed[cell.row, cell.column] = parse_kernel(text.replace(",", "."))[0, 0]
    except ValueError:
        st.session_state["_slice_error"] = f"“{text}” is not a number; the cell was left as it was."
        return
    st.session_state[MATRIX_KEYS[channel]] = matrix_text(changed)
    st.session_state[SLICE_KEYS[channel]] = CUSTOM


def _map_picture(pixels: np.ndarray, *, key: str, alt: str, pixel: Pixel | None = None) -> None:
    rows, columns = pixels.shape[:2]
    picture(
        display_jpeg(pixels),
        rows=rows,
        columns=columns,
        key=key,
        alt=alt,
        boxes=[] if pixel is None else [Box(pixel.row, pixel.column, 1, 1, "selected")],
        selected=pixel,
        on_pick=None if pixel is None else _select,
        max_height_px=126,
    )


def _draw_channels(
    chosen: ChosenImage, slices: list[np.ndarray], parts: PartialProducts, pixel: Pixel, reach: float
) -> None:
    pixels, _ = scaled_input(chosen.sha256, chosen.pixels)
    f = slices[0].shape[0]
    strongest = float(max(np.abs(weights).max() for weights in slices))
    for index, name in enumerate(CHANNELS):
        given, filtered_by, product = st.columns([1.15, 1, 1.15])
        alone = np.zeros(3, np.uint8)
        alone[index] = 1
        with given:
            st.caption(f"{name} channel")
            _map_picture(pixels * alone, key=f"channel_{index}", alt=f"{name} channel of {chosen.name}")
        with filtered_by:
            st.caption(f"∗ {name.lower()} slice")
            number_grid(
                slices[index],
                key=f"slice_grid_{index}",
                label=f"{name} slice of the filter, {f} by {f}",
                limit=strongest,
                on_edit=lambda cell, text, i=index: _edit(i, slices[i], cell, text),
                cell_px=min(38, 118 // f),
            )
        with product:
            value = number_text(float(parts.channels[pixel.row, pixel.column, index]))
            st.caption(f"= {name.lower()} products: **{value}**")
            _map_picture(
                signed_to_rgb(parts.channels[..., index], reach),
                key=f"product_{index}",
                alt=f"Products of the {name.lower()} channel",
                pixel=pixel,
            )
    if message := st.session_state.pop("_slice_error", None):
        st.error(message, icon=":material/error:")


def _draw_result(parts: PartialProducts, activated: np.ndarray, layer: Layer, pixel: Pixel) -> None:
    place = pixel.row, pixel.column
    z, a = float(parts.output[place]), float(activated[place])
    st.caption(f"Σ of the three + b = z: **{number_text(z)}**")
    _map_picture(signed_to_rgb(parts.output), key="sum_map", alt="Sum of the products and bias", pixel=pixel)
    st.caption(f"a = {ACTIVATIONS[layer.activation][0]}(z): **{number_text(a)}**")
    _map_picture(signed_to_rgb(activated), key="activation_map", alt="Activation", pixel=pixel)
    st.caption(
        f"At row {pixel.row}, column {pixel.column}: "
        + " + ".join(_bracketed(float(value)) for value in parts.channels[place])
        + f" + {_bracketed(parts.bias)} = {number_text(z)}. Red is above zero, blue below."
    )


def number_text(value: float) -> str:
    """A number for running text, with a true minus sign."""
    return f"{value:.3g}".replace("-", "−")


def _bracketed(value: float) -> str:
    return f"({number_text(value)})" if value < 0 else number_text(value)
