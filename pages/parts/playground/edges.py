"""Edges: gradient magnitude and direction from a filter pair, a threshold to an edge map, beside Canny."""

import numpy as np
import streamlit as st

from core.convolution.display import absolute_to_rgb, direction_to_rgb, mask_to_rgb, signed_to_rgb
from core.convolution.edges import GradientField, canny, edge_map, gradient, luminance
from core.runtime.images import display_jpeg
from pages.parts.downloads import download_picture
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.pixels import Box, Pixel, picture

PAIRS = {"sobel": "Sobel", "scharr": "Scharr", "prewitt": "Prewitt"}
LAYERS = {
    "edges": "Edge map",
    "magnitude": "Magnitude",
    "direction": "Direction",
    "gx": "Horizontal derivative",
    "gy": "Vertical derivative",
}


@st.cache_resource(max_entries=8, show_spinner=False)
def _grey(sha256: str, _pixels: np.ndarray) -> np.ndarray:
    return luminance(_pixels)


@st.cache_resource(max_entries=8, show_spinner=False)
def _gradient(sha256: str, pair: str, _grey_pixels: np.ndarray) -> GradientField:
    return gradient(_grey_pixels, pair)


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, left, right = st.columns([1.05, 1.4, 1.4], gap="medium")
    with controls:
        chosen = image_input(default="coffee")
        pair = (
            st.segmented_control(
                "Filter pair",
                list(PAIRS),
                format_func=PAIRS.__getitem__,
                default="sobel",
                required=True,
                key="pair",
                bind="query-params",
                help="Two filters, one for each direction. Scharr is truest about directions.",
            )
            or "sobel"
        )
        layer = st.selectbox(
            "Show",
            list(LAYERS),
            format_func=LAYERS.__getitem__,
            key="layer",
            bind="query-params",
            help="The edge map is the magnitude over the threshold; the direction is drawn as a hue.",
        )
        threshold = st.slider(
            "Threshold (% of the largest magnitude)",
            0.0,
            60.0,
            12.0,
            0.5,
            key="threshold",
            bind="query-params",
            help="Higher keeps only strong edges. Too low, and noise becomes edges.",
        )
        low, high = st.slider(
            "Canny: low and high threshold",
            0,
            500,
            (80, 180),
            5,
            key="canny",
            bind="query-params",
            help="Canny keeps edges over the high threshold, and weaker ones over the low one that touch them.",
        )
    grey = _grey(chosen.sha256, chosen.pixels)
    field = _gradient(chosen.sha256, pair, grey)
    largest = float(field.magnitude.max())
    level = threshold / 100 * largest
    edges = edge_map(field.magnitude, level)
    layers = {
        "edges": lambda: mask_to_rgb(edges),
        "magnitude": lambda: absolute_to_rgb(field.magnitude),
        "direction": lambda: direction_to_rgb(field.direction_deg, field.magnitude),
        "gx": lambda: signed_to_rgb(field.gx),
        "gy": lambda: signed_to_rgb(field.gy),
    }
    shown = layers[layer]()
    canny_shown = mask_to_rgb(canny(grey, low, high))
    rows, columns = grey.shape
    st.subheader("Mathematics", anchor=False)
    row_field, column_field, _ = st.columns([1, 1, 4])
    row = row_field.number_input(
        "Row", 0, None, rows // 2, key="row", bind="query-params", help="The pixel in the formula."
    )
    column = column_field.number_input(
        "Column", 0, None, columns // 2, key="col", bind="query-params", help="The pixel in the formula."
    )
    pixel = Pixel(min(int(row), rows - 1), min(int(column), columns - 1))
    mark = [Box(pixel.row, pixel.column, 1, 1, "selected")]
    with left:
        st.markdown(f"**{PAIRS[pair]}: {LAYERS[layer].lower()}** · {100 * edges.mean():.1f} % of pixels are edges")
        picture(
            display_jpeg(shown),
            rows=rows,
            columns=columns,
            key="edges_picture",
            on_pick=_select,
            selected=pixel,
            alt=f"{LAYERS[layer]} of {chosen.name}",
            boxes=mark,
        )
    with right:
        st.markdown("**Canny**")
        picture(
            display_jpeg(canny_shown),
            rows=rows,
            columns=columns,
            key="canny_picture",
            on_pick=_select,
            selected=pixel,
            alt=f"Canny's edges of {chosen.name}",
            boxes=mark,
        )
        st.caption(
            "Canny smooths, thins each edge to the pixel where the magnitude is largest across it, and links weak edges"
            " to strong ones; a threshold alone does none of this. Click a pixel to read its gradient."
        )
    _mathematics(field, pixel, level)
    _downloads(chosen, shown, canny_shown, layer)


def _select(pixel: Pixel) -> None:
    st.session_state["row"], st.session_state["col"] = pixel.row, pixel.column


def _mathematics(field: GradientField, pixel: Pixel, level: float) -> None:
    gx, gy = float(field.gx[pixel.row, pixel.column]), float(field.gy[pixel.row, pixel.column])
    magnitude = float(field.magnitude[pixel.row, pixel.column])
    direction = float(field.direction_deg[pixel.row, pixel.column])
    over = r"\ge" if magnitude >= level else "<"
    verdict = "edge" if magnitude >= level else "no edge"
    formula(
        r"|\nabla x| = \sqrt{g_x^2 + g_y^2}",
        rf"|\nabla x| = \sqrt{{{number(gx, 4)}^2 + {number(gy, 4)}^2}} = {number(magnitude, 4)}"
        rf" {over} {number(level, 4)}"
        rf"\;\Rightarrow\;\text{{{verdict}}}",
        rf"\theta = \operatorname{{atan2}}(g_y, g_x) = {number(direction, 4)}^\circ",
        explanation=f"At row {pixel.row}, column {pixel.column}. The direction points to the brighter side.",
    )


def _downloads(chosen: ChosenImage, shown: np.ndarray, canny_shown: np.ndarray, layer: str) -> None:
    with st.container(horizontal=True):
        download_picture(shown, name=f"{chosen.name}_{layer}", key="edges_png", label="Left picture")
        download_picture(canny_shown, name=f"{chosen.name}_canny", key="canny_png", label="Canny's picture")
