"""Selective search: the blobs of a picture, joined step by step, and the proposals that come of it."""

import functools

import numpy as np
import pandas as pd
import streamlit as st

from core.detection.boxes import pairwise_iou
from core.detection.proposals import MOST_PROPOSALS, SearchResult
from core.detection.proposals_drawing import draw_blobs, draw_proposals
from core.detection.proposals_grouping import MEASURES, regions_after
from core.detection.proposals_snippets import search_snippets
from core.runtime.images import display_jpeg
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_picture, download_table
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.pace import picture_first
from pages.parts.regions.answers import DEFAULT_SCALE, searched
from pages.parts.regions.truth import truth_boxes, truth_editor
from pages.parts.regions.waiting import waiting_picture

SCALES = (25, 35, 50, 75, 100, 150, 200, 300)
COUNTS = (1, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, MOST_PROPOSALS)


@st.fragment
def view() -> None:
    """Draw the view; a slider runs this part of the page alone."""
    controls, shown = st.columns([1.05, 3.5], gap="medium")
    with controls:
        image = image_input(default="motorcycle")
        scale = st.select_slider(
            "Scale of the first regions",
            SCALES,
            value=DEFAULT_SCALE,
            key="regions_scale",
            bind="query-params",
            help="Felzenszwalb's k. Small: many small regions. Large: only a strong edge keeps two regions apart.",
        )
        joined = _merge_control()
        count = st.select_slider(
            "Proposals drawn",
            COUNTS,
            value=50,
            key="regions_count",
            bind="query-params",
            help="The first ones in the search's order. A detector would look at all of them.",
        )
    with shown:
        found = searched(image, int(scale), functools.partial(waiting_picture, image))
    if found is None:
        with controls:
            truth_editor(image)
        return
    # Nearly all regions are joined early and unseen; the square shows more of the end.
    merges = round(len(found.grouping.merged) * (1 - (1 - joined) ** 2))
    truth = truth_boxes(image)
    names, boxes = list(truth), np.array(list(truth.values()), np.float64).reshape(-1, 4)
    proposals = found.proposals_xyxy[: int(count)]
    iou = _best_iou(boxes, proposals)
    blobs = draw_blobs(image.pixels, regions_after(found.labels, found.grouping, merges))
    drawn = draw_proposals(image.pixels, proposals, boxes, iou)
    with shown:
        left, right = st.columns(2, gap="small")
        regions = found.grouping.first_regions - merges
        left.image(
            display_jpeg(blobs, max_width_px=900),
            caption=f"{regions:,} {'region' if regions == 1 else 'regions'}"
            + (f" after {merges:,} merges" if merges else ", as the segmentation found them"),
            width="stretch",
        )
        right.image(
            display_jpeg(drawn, max_width_px=900),
            caption=f"The first {len(proposals):,} of {len(found.proposals_xyxy):,} proposals",
            width="stretch",
        )
        _numbers(found, boxes, iou)
    picture_first(f"{image.sha256} {scale} {merges} {count} {boxes.tolist()}", key="regions_search")
    with controls:
        truth_editor(image)
    chart, table = st.columns([1.6, 1], gap="medium")
    with chart:
        _recall_curve(found, boxes)
    with table:
        _object_table(names, boxes, found, iou)
    _mathematics(found, merges)
    with st.expander("The same as code", icon=":material/code:", key="regions_search_code", on_change="rerun") as code:
        if code.open:
            code_tabs(search_snippets(float(scale)), key="regions_code")
    _downloads(image, found, drawn, blobs)


def _merge_control() -> float:
    """Which part of all merges is done, 0..1; in percent on the page, so that an address fits every picture."""
    part = st.slider(
        "Regions joined (%)",
        0,
        100,
        0,
        key="regions_merged",
        bind="query-params",
        help="0: the blobs of the segmentation. 100: all of them joined to one. Every region on the way is a proposal.",
    )
    return int(part) / 100


def _best_iou(boxes: np.ndarray, proposals: np.ndarray) -> np.ndarray:
    if not len(boxes) or not len(proposals):
        return np.zeros(len(boxes))
    return pairwise_iou(boxes, proposals).max(axis=1)


def _numbers(found: SearchResult, boxes: np.ndarray, iou: np.ndarray) -> None:
    first, second, third, fourth = st.columns(4)
    first.metric("First regions", f"{found.regions:,}", help="Of both segmentations of the search, RGB and Lab.")
    second.metric(
        "Proposals",
        f"{len(found.proposals_xyxy):,}",
        help=f"Different boxes: {found.before_limits:,} before the limit.",
    )
    third.metric(
        "Recall at IoU 0.5",
        f"{int((iou >= 0.5).sum())} of {len(boxes)}" if len(boxes) else "no boxes",
        help="Annotated boxes that one of the drawn proposals overlaps by at least 0.5.",
    )
    fourth.metric(
        "Search",
        f"{found.total_ms / 1000:.2f} s",
        help=f"Segmentation {found.segmentation_ms:.0f} ms, grouping {found.grouping_ms:.0f} ms.",
    )


def _recall_curve(found: SearchResult, boxes: np.ndarray) -> None:
    if not len(boxes):
        st.info("Add boxes of objects to see how many proposals it takes to reach them.", icon=":material/select:")
        return
    overlap = np.maximum.accumulate(pairwise_iou(boxes, found.proposals_xyxy), axis=1)  # (objects, n)
    counts = [count for count in COUNTS if count <= len(found.proposals_xyxy)] or [len(found.proposals_xyxy)]
    series = {
        f"IoU {threshold}": (counts, [100 * float((overlap[:, count - 1] >= threshold).mean()) for count in counts])
        for threshold in (0.5, 0.7)
    }
    figure = line_chart(series, x_title="proposals (log)", y_title="recall, %", log_x=True, height_px=260)
    show(figure.update_layout(yaxis_range=[0, 104]), key="regions_recall")


def _object_table(names: list[str], boxes: np.ndarray, found: SearchResult, iou: np.ndarray) -> None:
    if not len(boxes):
        return
    overlap = pairwise_iou(boxes, found.proposals_xyxy)
    reached = overlap >= 0.5
    table = pd.DataFrame(
        {
            "Object": names,
            "IoU, drawn": iou,
            "IoU, all": overlap.max(axis=1),
            "Proposal": [int(row.argmax()) + 1 if row.any() else None for row in reached],
        }
    )
    number_format = st.column_config.NumberColumn(format="%.2f")
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        column_config={
            "IoU, drawn": number_format,
            "IoU, all": number_format,
            "Proposal": st.column_config.NumberColumn(help="The first proposal that overlaps the object by 0.5."),
        },
        key="regions_objects",
    )


def _mathematics(found: SearchResult, merges: int) -> None:
    grouping = found.grouping
    if not len(grouping.merged):
        return
    step = min(merges, len(grouping.merged) - 1)
    parts = {name: float(value) for name, value in zip(MEASURES, grouping.parts[step], strict=True)}
    first, second = grouping.merged[step]
    one, other = (int(grouping.sizes_px[region]) for region in (first, second))
    picture_px = found.labels.size
    hull = grouping.boxes_xyxy[grouping.first_regions + step]
    area = int((hull[2] - hull[0]) * (hull[3] - hull[1]))
    formula(
        r"s(r_i, r_j) = s_{colour} + s_{texture} + s_{size} + s_{fill}",
        rf"s = {' + '.join(number(value) for value in parts.values())} = {number(sum(parts.values()), 4)}",
        rf"s_{{size}} = 1 - \frac{{|r_i| + |r_j|}}{{|I|}} = 1 - \frac{{{number(one)} + {number(other)}}}"
        rf"{{{number(picture_px)}}} = {number(parts['size'])}",
        rf"s_{{fill}} = 1 - \frac{{|box(r_i \cup r_j)| - |r_i| - |r_j|}}{{|I|}} = 1 - \frac{{{number(area)} - "
        rf"{number(one)} - {number(other)}}}{{{number(picture_px)}}} = {number(parts['fill'])}",
        explanation=f"Merge {step + 1} of {len(grouping.merged)}, the next at this position of the slider: of all "
        "neighbours these two are the most alike. Colour and texture are intersections of histograms: the sum of the "
        "smaller of both values in every bin.",
    )


def _downloads(image: ChosenImage, found: SearchResult, drawn: np.ndarray, blobs: np.ndarray) -> None:
    table = pd.DataFrame(found.proposals_xyxy.round(1), columns=["x1", "y1", "x2", "y2"])
    with st.container(horizontal=True):
        download_table(table, name=f"{image.name}_proposals", key="regions_csv", label="Proposals (CSV)")
        download_picture(
            drawn, name=f"{image.name}_proposals", key="regions_png", label="Proposals (picture)", jpeg=True
        )
        download_picture(blobs, name=f"{image.name}_blobs", key="regions_blobs", label="Blobs (picture)", jpeg=True)
