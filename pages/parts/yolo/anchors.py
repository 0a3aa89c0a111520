"""Anchor boxes by K-means with 1 - IoU on the boxes of a data set, against anchors picked by hand."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.detection.anchors import AnchorClusters, cluster_anchors, size_iou
from core.detection.boxes import BoxError
from pages.parts.downloads import download_table
from pages.parts.figures import LINE_COLOURS, MARKERS, line_chart, show
from pages.parts.formula import formula, number
from pages.parts.pace import picture_first
from pages.parts.yolo.annotated_input import ChosenSet, annotated_input

DRAWN = 120
MOST = 9
# Percent of the picture's sides; the notes' example is a tall and a wide one.
BY_HAND = "15 x 45; 40 x 25"


@st.cache_resource(max_entries=64, show_spinner=False)
def _clusters(fingerprint: str, _sizes: np.ndarray, count: int, seed: int) -> AnchorClusters:
    return cluster_anchors(_sizes, count, seed)


@st.cache_resource(max_entries=12, show_spinner=False)
def _sizes(fingerprint: str, _chosen: ChosenSet) -> np.ndarray:
    """Widths and heights (n, 2) of all boxes, in percent of their picture's sides."""
    parts = [
        100 * (picture.boxes_xyxy[:, 2:] - picture.boxes_xyxy[:, :2]) / np.array(picture.size_px)
        for picture in _chosen.annotated.annotations.pictures
    ]
    return np.concatenate(parts)


@st.fragment
def view() -> None:
    """Draw the view; a slider runs this part of the page alone."""
    controls, shown = st.columns([1.05, 2.4], gap="medium")
    with controls:
        chosen = annotated_input(
            key="yolo_anchor_set", default="streets", names=["streets", "kites", "collages"], count=DRAWN
        )
        if chosen is None:
            return
        sizes = _sizes(chosen.fingerprint, chosen)
        most = min(MOST, len(np.unique(sizes, axis=0)))
        count = int(
            st.slider(
                "k, the number of anchors",
                1,
                MOST,
                3,
                key="yolo_anchor_k",
                bind="query-params",
                help="YOLO9000 chose 5: more fit better, and cost more outputs in every cell.",
            )
        )
        if count > most:
            st.caption(f"There are only {most} different sizes: k is {most}.")
            count = most
        seed = int(
            st.number_input(
                "Seed",
                0,
                10_000,
                0,
                key="yolo_anchor_seed",
                bind="query-params",
                help="Where the clusters start; of five starts the best is kept.",
            )
        )
        by_hand = _anchors_by_hand()
    try:
        found = _clusters(chosen.fingerprint, sizes, count, seed)
    except BoxError as error:
        controls.error(str(error), icon=":material/error:")
        return
    hand_iou = float(size_iou(sizes, by_hand).max(axis=1).mean())
    with shown:
        show(_scatter(sizes, found, by_hand), key="yolo_anchor_scatter")
        clustered, picked, objects = st.columns(3)
        clustered.metric(f"Mean IoU, k = {count}", f"{found.mean_iou:.3f}")
        picked.metric(f"Mean IoU, {len(by_hand)} by hand", f"{hand_iou:.3f}")
        objects.metric("Boxes", f"{len(sizes):,}")
    picture_first(f"{chosen.fingerprint} {count} {seed} {by_hand.tolist()}", key="yolo_anchors")
    left, right = st.columns([1.4, 1], gap="medium")
    with left:
        _against_k(chosen, sizes, most, seed, by_hand, hand_iou)
    with right:
        _table(found)
    mean = number(found.mean_iou, 4)
    formula(
        r"d(\text{box}, \text{anchor}) = 1 - \mathrm{IoU}(\text{box}, \text{anchor})",
        rf"\tfrac{{1}}{{n}} \sum_i \max_k \mathrm{{IoU}}(\text{{box}}_i, \text{{anchor}}_k) = {mean}"
        rf"\quad (n = {len(sizes)})",
        explanation="Boxes and anchors are laid corner on corner, so only their shapes count. With a plain distance "
        "large boxes would outweigh small ones.",
    )


def _anchors_by_hand() -> np.ndarray:
    text = st.text_input(
        "Picked by hand: width x height; …",
        BY_HAND,
        key="yolo_anchor_hand",
        bind="query-params",
        help="In percent of the picture's width and height, up to 9 of them.",
    )
    try:
        rows = [[float(part) for part in row.lower().split("x")] for row in text.replace(",", ".").split(";")]
        anchors = np.array(rows, np.float64)
        if anchors.ndim != 2 or anchors.shape[1] != 2 or not 1 <= len(anchors) <= MOST:
            raise ValueError
        if not np.isfinite(anchors).all() or anchors.min() <= 0 or anchors.max() > 100:
            raise ValueError
    except ValueError:
        st.error(
            f"“{text[:40]}” is not one to {MOST} sizes such as “{BY_HAND}”, each over 0 and at most 100; "
            "those are used instead.",
            icon=":material/error:",
        )
        return np.array([[15.0, 45.0], [40.0, 25.0]])
    return anchors


def _scatter(sizes: np.ndarray, found: AnchorClusters, by_hand: np.ndarray) -> go.Figure:
    figure = go.Figure()
    for index, anchor in enumerate(found.anchor_boxes):
        members = sizes[found.assignment == index]
        colour, symbol = LINE_COLOURS[index % len(LINE_COLOURS)], MARKERS[index % len(MARKERS)]
        name = f"Anchor {index + 1}"
        figure.add_trace(
            go.Scatter(
                x=members[:, 0],
                y=members[:, 1],
                mode="markers",
                name=name,
                legendgroup=name,
                marker={"color": colour, "symbol": symbol, "size": 6, "opacity": 0.5},
                hovertemplate="%{x:.1f} × %{y:.1f} %<extra>" + name + "</extra>",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=[anchor[0]],
                y=[anchor[1]],
                mode="markers+text",
                text=[str(index + 1)],
                textposition="top right",
                name=name,
                legendgroup=name,
                showlegend=False,
                marker={"color": colour, "symbol": symbol, "size": 16, "line": {"color": "#111827", "width": 2}},
                hovertemplate=f"{name}: " + "%{x:.1f} × %{y:.1f} %<extra></extra>",
            )
        )
    figure.add_trace(
        go.Scatter(
            x=by_hand[:, 0],
            y=by_hand[:, 1],
            mode="markers",
            name="By hand",
            marker={"color": "#6b7280", "symbol": "star-open", "size": 15, "line": {"width": 2}},
            hovertemplate="by hand: %{x:.1f} × %{y:.1f} %<extra></extra>",
        )
    )
    figure.update_layout(
        height=400,
        margin={"l": 8, "r": 8, "t": 10, "b": 8},
        xaxis_title="width, % of the picture",
        yaxis_title="height, % of the picture",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(rangemode="tozero")
    return figure


def _against_k(
    chosen: ChosenSet, sizes: np.ndarray, most: int, seed: int, by_hand: np.ndarray, hand_iou: float
) -> None:
    counts = list(range(1, most + 1))
    means = [_clusters(chosen.fingerprint, sizes, count, seed).mean_iou for count in counts]
    st.markdown("**Mean IoU of a box with its best anchor**")
    show(
        line_chart(
            {"K-means": (counts, means), "By hand": ([len(by_hand)], [hand_iou])},
            x_title="k, the number of anchors",
            y_title="mean IoU",
            height_px=280,
        ),
        key="yolo_anchor_curve",
    )


def _table(found: AnchorClusters) -> None:
    table = pd.DataFrame(
        {
            "Anchor": np.arange(1, len(found.anchor_boxes) + 1),
            "Width (%)": found.anchor_boxes[:, 0].round(1),
            "Height (%)": found.anchor_boxes[:, 1].round(1),
            "Boxes": np.bincount(found.assignment, minlength=len(found.anchor_boxes)),
        }
    )
    st.markdown(f"**Anchors**, after {found.iterations} iterations")
    st.dataframe(table, hide_index=True, width="stretch", key="yolo_anchor_table")
    download_table(table, name="anchors", key="yolo_anchor_csv", label="Anchors (CSV)")
