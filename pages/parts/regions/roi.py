"""RoI pooling explained: one region on the shared map, its 7 x 7 bins, and what is read from each."""

import functools

import numpy as np
import streamlit as st

from core.detection.proposals_drawing import draw_pooling
from core.detection.proposals_snippets import pooling_snippets
from core.detection.rcnn.explain import PooledRegion, pool_region
from core.detection.region_tasks import MAP_CHANNELS, MOST_REGIONS, SharedFeatures
from core.runtime.images import display_jpeg, encode_png
from pages.parts.box_canvas import Corners, NamedBox, box_canvas, keep_inside
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_array
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.pixels import Pixel, number_grid
from pages.parts.regions.answers import shared_features
from pages.parts.regions.waiting import waiting_picture

OWN = "_regions_own_region"
WAYS = {"max": "RoI pooling (largest value)", "align": "RoI align (mean of points)"}


@st.fragment
def view() -> None:
    """Draw the view; a slider runs this part of the page alone."""
    controls, left, right = st.columns([1.05, 1.75, 1.75], gap="medium")
    with controls:
        image = image_input(default="motorcycle")
        proposal = int(
            st.slider(
                "Proposal of the network",
                1,
                MOST_REGIONS,
                1,
                key="regions_proposal",
                bind="query-params",
                on_change=lambda: st.session_state.pop(OWN, None),
                help="Best first, as the region proposal network scores them.",
            )
        )
        channel = int(
            st.slider(
                "Channel of the map",
                1,
                MAP_CHANNELS,
                1,
                key="regions_channel",
                bind="query-params",
                help=f"The map has {MAP_CHANNELS} channels; 1 is the one that varies most in this picture.",
            )
        )
        way = st.radio("Read by", list(WAYS), format_func=WAYS.__getitem__, key="regions_way", bind="query-params")
    with left:
        shared = shared_features(image, draw_waiting=functools.partial(waiting_picture, image))
    if shared is None:
        return
    if not len(shared.regions_xyxy):
        left.info("The network proposes nothing in this picture.", icon=":material/search_off:")
        return
    region = _region(image, shared, proposal)
    strongest = _strongest_first(shared)
    values = shared.features[..., strongest[min(channel, len(strongest)) - 1]]
    scale = 1 / shared.stride_px
    on_input = tuple(float(v) for v in np.array(region) * np.array([*shared.scale_xy, *shared.scale_xy]))
    pooled = pool_region(values, (on_input[0], on_input[1], on_input[2], on_input[3]), scale)
    answer = pooled.largest if way == "max" else pooled.mean
    with left:
        height, width = image.pixels.shape[:2]
        box_canvas(
            [NamedBox("region", keep_inside(region, width, height))],
            width=width,
            height=height,
            key="regions_region_canvas",
            alt=f"{image.name} with the region that is pooled",
            on_move=lambda _, corners: _own(image, corners),
            encoded=display_jpeg(image.pixels, max_width_px=800),
            draw_new=True,
            max_height_px=300,
        )
        st.caption("Drag the region, or draw another one beside it.")
        cell_px = max(8, 620 // max(values.shape))
        st.image(
            encode_png(draw_pooling(values, pooled, way or "max", cell_px)),
            width="stretch",
            caption=f"Channel {channel}: {values.shape[0]} × {values.shape[1]} cells of {shared.stride_px} px; "
            + (
                "a dot marks the cell whose value is taken. Bins share rows and columns where 7 does not divide them."
                if way == "max"
                else "dots are the points that are read."
            ),
        )
    with right:
        st.markdown(f"**{pooled.mean.shape[0]} × {pooled.mean.shape[1]} values** that the head sees of this channel")
        number_grid(
            answer,
            key="regions_bins",
            label="Pooled values of the region",
            selected=_bin(),
            on_pick=_pick_bin,
            limit=float(np.abs(values).max()) or 1.0,
            cell_px=42,
        )
        st.caption("Click a bin to see what it was made of.")
        difference = float(np.abs(pooled.largest - pooled.mean).max())
        st.metric(
            "Region, in cells of the map",
            f"{pooled.region[2] - pooled.region[0]:.2f} × {pooled.region[3] - pooled.region[1]:.2f}",
            help=f"RoI pooling and RoI align differ by at most {difference:.3g} in a bin here.",
        )
    _mathematics(pooled, values, way or "max")
    code = st.expander("The same as code", icon=":material/code:", key="regions_roi_code", on_change="rerun")
    if code.open:
        with code:
            code_tabs(pooling_snippets(), key="regions_pooling_code")
    download_array(answer, name="pooled_region", key="regions_pooled", label="Pooled values (.npy)")


def _region(image: ChosenImage, shared: SharedFeatures, proposal: int) -> tuple[float, float, float, float]:
    """The region that was drawn on this picture, or else a proposal of the network, counted from 1."""
    own = st.session_state.get(OWN)
    if own is not None and own[0] == image.sha256:
        return own[1]
    x1, y1, x2, y2 = (float(value) for value in shared.regions_xyxy[min(proposal, len(shared.regions_xyxy)) - 1])
    return x1, y1, x2, y2


def _own(image: ChosenImage, corners: Corners) -> None:
    st.session_state[OWN] = (image.sha256, tuple(float(value) for value in corners))


def _strongest_first(shared: SharedFeatures) -> np.ndarray:
    return np.argsort(-shared.features.std(axis=(0, 1)), kind="stable")


def _bin() -> Pixel:
    return Pixel(*st.session_state.get("_regions_bin", (3, 3)))


def _pick_bin(pixel: Pixel) -> None:
    st.session_state["_regions_bin"] = (pixel.row, pixel.column)


def _mathematics(pooled: PooledRegion, values: np.ndarray, way: str) -> None:
    chosen = _bin()
    row, column = chosen.row, chosen.column
    left, top, right, bottom = pooled.region
    if way == "max":
        (y1, y2), (x1, x2) = pooled.rows[row], pooled.columns[column]
        high, wide = pooled.rounded[3] - pooled.rounded[1] + 1, pooled.rounded[2] - pooled.rounded[0] + 1
        cells = [number(float(value)) for value in values[y1:y2, x1:x2].ravel()]
        inside = ", ".join(cells[:6]) + (r", \dots" if len(cells) > 6 else "")
        formula(
            r"b_{ij} = \max_{(y, x) \in bin_{ij}} m_{yx}, \qquad bin_{ij}: \left\lfloor i\,h/7 \right\rfloor \le y - "
            r"y_1 < \left\lceil (i+1)\,h/7 \right\rceil",
            rf"h \times w = {high} \times {wide}\text{{ cells}}, \qquad y = {y1} \dots {y2 - 1}, \quad x = {x1} \dots "
            rf"{x2 - 1}",
            rf"b_{{{row + 1},{column + 1}}} = \max({inside}) = {number(float(pooled.largest[row, column]))}"
            if cells
            else rf"b_{{{row + 1},{column + 1}}} = 0\text{{ (empty bin)}}",
            explanation=f"The region ({left:.2f}, {top:.2f}, {right:.2f}, {bottom:.2f}) in cells is rounded to whole "
            "cells first, so a region moved by a pixel or two may give the very same numbers: fine for classes, "
            "coarse for boxes.",
        )
        return
    ys, xs = pooled.points_y[2 * row : 2 * row + 2], pooled.points_x[2 * column : 2 * column + 2]
    points = ", ".join(rf"m({y:.2f}, {x:.2f})" for y in ys for x in xs)
    formula(
        r"b_{ij} = \tfrac{1}{4} \sum_{k=1}^{4} m(y_k, x_k), \qquad m(y, x) = \sum_{y', x'} \max(0, 1 - |y - y'|)\,"
        r"\max(0, 1 - |x - x'|)\,m_{y'x'}",
        rf"b_{{{row + 1},{column + 1}}} = \tfrac{{1}}{{4}}\left({points}\right) = "
        rf"{number(float(pooled.mean[row, column]))}",
        explanation="Nothing is rounded: each bin is read at 2 × 2 points, each point by bilinear interpolation "
        "between the four cells around it. Rows and columns are counted from 0, a cell's value stands in its middle.",
    )
