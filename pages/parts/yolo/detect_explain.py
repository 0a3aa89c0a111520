"""Below the picture: the mathematics with its numbers, the code, the downloads."""

import numpy as np
import pandas as pd
import streamlit as st

from core.detection.cells import object_cells
from core.detection.drawing import draw_detections, label_text
from core.detection.evaluation import ImageDetections
from core.detection.predictions import NetworkAnswer, Selection
from core.detection.report_rows import COLUMNS, coco_rows, table_rows
from core.detection.snippets import compare_suppression, suppression_snippets
from core.runtime.images import encode_jpeg, encode_png
from pages.parts.code_tabs import code_tabs
from pages.parts.compute import compute
from pages.parts.downloads import download_bytes, download_json, download_table
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage

MOST_PAIRS = 50
MOST_IN_CODE = 40


def mathematics(answer: NetworkAnswer, selection: Selection, iou_threshold: float) -> None:
    """Draw the IoU of a pair of boxes, and the box of an object as its cell writes it, with the numbers put in."""
    left, right = st.columns(2, gap="large")
    with left:
        _overlap(answer, selection, iou_threshold)
    with right:
        _cell(answer, selection.detections)


def _name(answer: NetworkAnswer, found: ImageDetections, index: int) -> str:
    return f"{index + 1}: {label_text(answer.class_names[int(found.class_ids[index])], float(found.scores[index]))}"


def _overlap(answer: NetworkAnswer, selection: Selection, iou_threshold: float) -> None:
    candidates, result = selection.candidates, selection.suppression
    dropped = np.flatnonzero(~result.keep)
    pairs = [int(index) for index in dropped[np.argsort(-result.iou[dropped], kind="stable")][:MOST_PAIRS]]
    if not pairs:
        formula(
            r"\mathrm{IoU}(A, B) = \frac{|A \cap B|}{|A \cup B|}",
            explanation="Here suppression dropped no box: there is no pair to put in. Lower the confidence or the IoU.",
        )
        return
    pair = st.selectbox(
        "Pair of boxes",
        pairs,
        format_func=lambda index: (
            f"{_name(answer, candidates, index)}, dropped by "
            f"{_name(answer, candidates, int(result.suppressed_by[index]))}"
        ),
        key="yolo_pair",
        help="Boxes are numbered by score, the best is 1.",
    )
    better = int(result.suppressed_by[pair])
    a, b = (candidates.boxes_xyxy[index].astype(float) for index in (better, pair))
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    shared = width * height
    union = areas[0] + areas[1] - shared
    formula(
        r"\mathrm{IoU}(A, B) = \frac{|A \cap B|}{|A| + |B| - |A \cap B|}",
        rf"|A \cap B| = ({_one(min(a[2], b[2]))} - {_one(max(a[0], b[0]))}) \cdot "
        rf"({_one(min(a[3], b[3]))} - {_one(max(a[1], b[1]))}) = {number(round(shared))}",
        rf"\mathrm{{IoU}} = \frac{{{number(round(shared))}}}{{{number(round(areas[0]))} + {number(round(areas[1]))} "
        rf"- {number(round(shared))}}} = {result.iou[pair]:.3f}",
        rf"\mathrm{{IoU}} > {number(iou_threshold)} \;\Rightarrow\; \text{{B is dropped}}",
        explanation=f"A is box {better + 1}, the better one, B is box {pair + 1}; areas in square pixels, together "
        f"{union:,.0f}.",
    )


def _one(value: float) -> str:
    return f"{value:.1f}"


def _cell(answer: NetworkAnswer, found: ImageDetections) -> None:
    if not len(found.scores):
        st.caption("No object was found whose cell could be shown.")
        return
    order = [int(index) for index in np.argsort(-found.scores, kind="stable")]
    index = st.selectbox(
        "Object",
        order,
        format_func=lambda index: label_text(
            answer.class_names[int(found.class_ids[index])], float(found.scores[index])
        ),
        key="yolo_object",
        help="The object whose box is written in fractions of its cell.",
    )
    cells = object_cells(answer, found)
    side = float(cells.cells_xyxy[index, 2] - cells.cells_xyxy[index, 0])
    x1, y1, x2, y2 = found.boxes_xyxy[index].astype(float)
    bx, by, bw, bh = cells.fractions[index]
    row, column, count = int(cells.rows[index]), int(cells.columns[index]), int(cells.cells[index])
    middle_x, middle_y = _one((x1 + x2) / 2), _one((y1 + y2) / 2)
    formula(
        r"b_x = \frac{x_m - j\,s}{s},\quad b_y = \frac{y_m - i\,s}{s},\quad b_w = \frac{w}{s},\quad b_h = \frac{h}{s}",
        rf"b_x = \frac{{{middle_x} - {column}\cdot{_one(side)}}}{{{_one(side)}}} = {bx:.2f}",
        rf"b_y = \frac{{{middle_y} - {row}\cdot{_one(side)}}}{{{_one(side)}}} = {by:.2f}",
        rf"b_w = \frac{{{_one(x2 - x1)}}}{{{_one(side)}}} = {bw:.2f},\quad "
        rf"b_h = \frac{{{_one(y2 - y1)}}}{{{_one(side)}}} = {bh:.2f}",
        explanation=f"The midpoint (x_m, y_m) falls into row i = {row}, column j = {column} of the {count} × {count} "
        f"grid, whose cells are s = {side:.1f} px wide on this picture. b_x and b_y lie in 0..1, b_w and b_h may "
        "exceed 1. Rows and columns count from 0.",
    )


def code(image: ChosenImage, selection: Selection, iou_threshold: float, *, agnostic: bool) -> None:
    """Draw suppression as programs, and compare what they keep of this picture's boxes."""
    candidates = selection.candidates
    if not len(candidates.scores):
        st.caption("No box reaches the confidence: there is nothing to suppress.")
        return
    class_ids = None if agnostic else candidates.class_ids
    count = len(candidates.scores)
    part = slice(0, MOST_IN_CODE)
    lines = [
        f"boxes = np.array({np.round(candidates.boxes_xyxy[part].astype(float), 2).tolist()})",
        f"scores = np.array({np.round(candidates.scores[part].astype(float), 4).tolist()})",
    ]
    if class_ids is not None:
        lines.append(f"class_ids = np.array({class_ids[part].tolist()})")
    if count > MOST_IN_CODE:
        lines.insert(0, f"# The best {MOST_IN_CODE} of {count} boxes; the comparison below runs on all of them.")
    code_tabs(
        suppression_snippets(iou_threshold, class_ids is not None),
        key="yolo_code",
        inputs="\n".join(lines),
        fingerprint=f"{image.sha256} {count} {float(candidates.scores[-1])} {iou_threshold} {agnostic}",
        compare=lambda: compute(
            compare_suppression, candidates.boxes_xyxy, candidates.scores, class_ids, iou_threshold
        ),
    )


def downloads(image: ChosenImage, answer: NetworkAnswer, selection: Selection) -> None:
    """Draw the buttons: the boxes as COCO JSON and CSV, and the annotated picture in full size."""
    found = selection.detections
    name = f"{image.name}_detections"
    with st.container(horizontal=True):
        download_json(
            coco_rows(image.name, found, answer.class_names), name=name, key="yolo_json", label="Boxes (COCO JSON)"
        )
        download_table(
            pd.DataFrame(table_rows(image.name, found, answer.class_names), columns=list(COLUMNS)),
            name=name,
            key="yolo_csv",
            label="Boxes (CSV)",
        )
        download_bytes(
            lambda: encode_png(draw_detections(image.pixels, found, answer.class_names)),
            file_name=f"{name}.png",
            key="yolo_png",
            label="Annotated picture (PNG)",
            mime="image/png",
        )
        download_bytes(
            lambda: encode_jpeg(draw_detections(image.pixels, found, answer.class_names), 95),
            file_name=f"{name}.jpg",
            key="yolo_jpg",
            label="Annotated picture (JPEG)",
            mime="image/jpeg",
        )
