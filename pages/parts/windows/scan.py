"""The first view: what the classifier says about every window of a picture, in several sizes, and the boxes of it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from core.detection.drawing import draw_detections, draw_outlines, screen_canvas
from core.detection.evaluation import ImageDetections
from core.detection.sliding_windows import (
    STRIDE_PX,
    WINDOW_PX,
    ScoreMap,
    WindowError,
    WindowSelection,
    pyramid_levels,
    select_windows,
    window_box,
)
from core.detection.sliding_windows_drawing import best_cell, cell_at, overlay_heat, window_pixels
from core.detection.sliding_windows_tasks import NAME, WindowScores, score_windows
from core.runtime import weights
from core.runtime.images import display_jpeg, encode_png
from pages.parts.address import set_controls
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_array, download_bytes, download_table
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.kept_calls import kept_call
from pages.parts.pace import picture_first
from pages.parts.pixels import Box, Pixel, picture
from pages.parts.windows.code import scan_snippets

PICTURE_HEIGHT_PX = 400
TIMEOUT_S = 120.0
ANY = "any object"
LAYERS = {"heat": "Score map", "before": "Boxes before suppression", "boxes": "Boxes"}
FIRST_CELL = -1


@dataclass(frozen=True)
class Controls:
    """The pyramid and the thresholds: longer side of its largest size, number of sizes, factor; score and IoU."""

    largest_px: int
    count: int
    factor: float
    threshold: float
    iou: float


@st.fragment
def view() -> None:
    """Draw the view."""
    left, middle, right = st.columns([1.15, 2.3, 1.15], gap="medium")
    with left:
        chosen = image_input(default="motorcycle")
        controls = _controls()
    try:
        pyramid_levels(
            chosen.pixels.shape[1],
            chosen.pixels.shape[0],
            largest_px=controls.largest_px,
            count=controls.count,
            factor=controls.factor,
        )
    except WindowError as error:
        middle.error(str(error), icon=":material/error:")
        return
    with middle:
        scores: WindowScores | None = kept_call(
            score_windows,
            chosen.pixels,
            controls.largest_px,
            controls.count,
            controls.factor,
            timeout_s=TIMEOUT_S,
        )
    if scores is None:
        return
    with left:
        class_id = _class_control(scores)
    wanted = None if class_id is None else [class_id]
    selection = select_windows(scores.maps, controls.threshold, controls.iou, wanted)
    with middle:
        index, layers = _picture_controls(scores)
    shown = scores.maps[index]
    values = _values(shown, class_id)
    with right:
        cell = _cell(values)
    with middle:
        _draw(chosen, scores, selection, index, values, cell, layers)
    picture_first(f"{chosen.sha256} {controls} {class_id} {index} {cell} {layers}", key="win_scan")
    with middle:
        _captions(scores, selection, controls)
    with right:
        _window(chosen, scores, shown, cell)
    _mathematics(chosen, scores, index, cell)
    as_code = st.expander("The same as code", icon=":material/code:", key="win_code_open", on_change="rerun")
    if as_code.open:
        with as_code:
            code_tabs(scan_snippets(shown.level, controls.threshold, controls.iou), key="win_code")
    _downloads(chosen, scores, selection, index)


def _controls() -> Controls:
    largest = st.select_slider(
        "Largest size, pixels",
        [128, 192, 256, 320, 416, 512],
        256,
        key="win_largest",
        bind="query-params",
        help="The longer side of the largest copy of the picture. A window is always 64 px: the larger the copy, the "
        "smaller the objects that fill it.",
    )
    count = st.slider(
        "Sizes",
        1,
        6,
        5,
        key="win_sizes",
        bind="query-params",
        help="Copies of the picture, each smaller than the last.",
    )
    with st.popover("Factor and thresholds", icon=":material/tune:", width="stretch"):
        factor = st.slider(
            "Factor between sizes",
            0.5,
            0.85,
            0.8,
            0.05,
            key="win_factor",
            bind="query-params",
            help="Finer steps fit an object's size better and cost more windows.",
        )
        iou = st.slider(
            "IoU for non-max suppression",
            0.0,
            1.0,
            0.3,
            0.05,
            key="win_iou",
            bind="query-params",
            help="A window that overlaps a better one of its class by more than this is dropped.",
        )
    threshold = st.slider(
        "Score from",
        0.2,
        0.99,
        0.9,
        0.01,
        key="win_score",
        bind="query-params",
        help="Windows whose best class reaches this probability become boxes. On validation photographs two of three "
        "boxes from 0.9 are right and a third of the objects is found; from 0.6 one of four is right.",
    )
    return Controls(int(largest), int(count), float(factor), float(threshold), float(iou))


def _class_control(scores: WindowScores) -> int | None:
    name = st.selectbox(
        "Class",
        [ANY, *scores.class_names],
        format_func=str.capitalize,
        key="win_class",
        bind="query-params",
        help="Whose probability the map shows, and which boxes are drawn.",
    )
    return None if name == ANY else scores.class_names.index(name)


def _picture_controls(scores: WindowScores) -> tuple[int, tuple[str, ...]]:
    """Which size's map is shown, and the layers over the picture."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.slider(
            "Size of the map, 1 is the largest",
            1,
            6,
            2,
            key="win_level",
            bind="query-params",
            width=230,
            help="The score map of one size at a time; boxes come from all of them.",
        )
        layers = st.pills(
            "Layers",
            list(LAYERS),
            selection_mode="multi",
            format_func=LAYERS.__getitem__,
            default=["heat", "boxes"],
            key="win_layers",
            bind="query-params",
            label_visibility="collapsed",
        )
    return min(int(wanted), len(scores.maps)) - 1, tuple(name for name in LAYERS if name in layers)


def _values(entry: ScoreMap, class_id: int | None) -> np.ndarray:
    """The probability that the map shows, (h, w)."""
    objects = entry.probabilities[..., 1:]
    return objects.max(axis=-1) if class_id is None else objects[..., class_id]


def _cell(values: np.ndarray) -> Pixel:
    """The chosen window of the map; the best one until one is clicked."""
    with st.popover("Window as numbers", icon=":material/my_location:"):
        st.caption("−1 is the best window of the map.")
        row = st.number_input("Row of the map", FIRST_CELL, None, FIRST_CELL, key="win_row", bind="query-params")
        column = st.number_input("Column", FIRST_CELL, None, FIRST_CELL, key="win_col", bind="query-params")
    if row < 0 or column < 0:
        return Pixel(*best_cell(values))
    return Pixel(min(int(row), values.shape[0] - 1), min(int(column), values.shape[1] - 1))


def _draw(
    chosen: ChosenImage,
    scores: WindowScores,
    selection: WindowSelection,
    index: int,
    values: np.ndarray,
    cell: Pixel,
    layers: tuple[str, ...],
) -> None:
    level = scores.maps[index].level
    canvas, scale = screen_canvas(chosen.pixels)
    if "heat" in layers:
        canvas = overlay_heat(canvas, values, level, scale)
    canvas = canvas.copy()
    if "before" in layers:
        found = selection.candidates
        draw_outlines(canvas, found.boxes_xyxy * scale, found.class_ids)
    if "boxes" in layers:
        kept = selection.detections
        scaled = ImageDetections(kept.boxes_xyxy * np.float32(scale), kept.class_ids, kept.scores)
        canvas = draw_detections(canvas, scaled, scores.class_names)
    rows, columns = chosen.pixels.shape[:2]
    left, top, right, bottom = window_box(cell.row, cell.column, level.scale)

    def pick(pixel: Pixel) -> None:
        row, column = cell_at(pixel.column, pixel.row, level)
        set_controls({"win_row": row, "win_col": column})

    picture(
        display_jpeg(canvas),
        rows=rows,
        columns=columns,
        key="win_picture",
        alt=f"{chosen.name} with the score map of size {index + 1} and {len(selection.detections.scores)} boxes",
        boxes=[Box(top, left, bottom - top, right - left, "selected")],
        selected=Pixel(min(round((top + bottom) / 2), rows - 1), min(round((left + right) / 2), columns - 1)),
        on_pick=pick,
        max_height_px=PICTURE_HEIGHT_PX,
    )


def _captions(scores: WindowScores, selection: WindowSelection, controls: Controls) -> None:
    windows = sum(entry.level.windows for entry in scores.maps)
    before, kept = len(selection.candidates.scores), len(selection.detections.scores)
    st.markdown(
        f"**{windows:,} windows** in {len(scores.maps)} sizes, looked at convolutionally in "
        f"**{scores.time_ms:.0f} ms** · {before:,} reach {controls.threshold:.2f}, suppression leaves **{kept}**."
    )
    st.caption(
        "Every square of the map is a window, drawn in its middle: dark is 0, yellow is 1. Click one to see what the "
        "classifier sees. Its answer is a square and no more: a box fits as well as the window does."
    )


def _window(chosen: ChosenImage, scores: WindowScores, entry: ScoreMap, cell: Pixel) -> None:
    """The chosen window as the classifier sees it, and its probabilities."""
    st.markdown(f"**Window in row {cell.row}, column {cell.column}**")
    pixels = window_pixels(chosen.pixels, entry.level, cell.row, cell.column)
    st.image(encode_png(pixels.repeat(3, axis=0).repeat(3, axis=1)), width=150, alt="The 64 by 64 pixels of the window")
    answers = entry.probabilities[cell.row, cell.column]
    table = pd.DataFrame({"Class": ["background", *scores.class_names], "Probability": answers.astype(float)})
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        column_config={
            "Probability": st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="%.2f", width="small")
        },
        key="win_answers",
    )
    with st.expander("What this classifier is", icon=":material/info:", key="win_about"):
        st.caption(
            f"A small network that this project trained to show the idea: {_quality()}. It takes much for an object "
            f"that is none. Its model card is assets/weights/{NAME}.md; the YOLO page has a detector to rely on."
        )


def _quality() -> str:
    try:
        return str(weights.describe(NAME).facts.get("quality", "not measured"))
    except weights.WeightsError as error:
        return str(error)


def _mathematics(chosen: ChosenImage, scores: WindowScores, index: int, cell: Pixel) -> None:
    level = scores.maps[index].level
    total = " + ".join(rf"{entry.level.rows} \cdot {entry.level.columns}" for entry in scores.maps)
    windows = sum(entry.level.windows for entry in scores.maps)
    left, top, right, _ = window_box(cell.row, cell.column, level.scale)
    one, other = st.columns(2, gap="large")
    with one:
        formula(
            r"h = \left\lfloor \frac{H - f}{s} \right\rfloor + 1",
            rf"h = \left\lfloor \frac{{{level.height_px} - {WINDOW_PX}}}{{{STRIDE_PX}}} \right\rfloor + 1 "
            rf"= {level.rows}",
            rf"w = \left\lfloor \frac{{{level.width_px} - {WINDOW_PX}}}{{{STRIDE_PX}}} \right\rfloor + 1 "
            rf"= {level.columns}",
            rf"n = {total} = {number(windows)}",
            explanation=f"f = {WINDOW_PX} px the window, s = {STRIDE_PX} px the stride, which is the product of the "
            f"network's strides; n counts the windows of all sizes. The map shown is size {index + 1}, "
            f"{level.width_px} × {level.height_px} px.",
        )
    with other:
        scale = f"{level.scale:.3f}"
        formula(
            r"x_1 = \frac{s\,j}{\text{scale}}, \quad y_1 = \frac{s\,i}{\text{scale}}",
            rf"x_1 = \frac{{{STRIDE_PX} \cdot {cell.column}}}{{{scale}}} = {left:.1f}, \quad "
            rf"y_1 = \frac{{{STRIDE_PX} \cdot {cell.row}}}{{{scale}}} = {top:.1f}",
            rf"\text{{side}} = \frac{{f}}{{\text{{scale}}}} = \frac{{{WINDOW_PX}}}{{{scale}}} = {right - left:.1f}",
            explanation="The chosen window (row i, column j) as a box in the picture's own pixels, "
            f"{chosen.pixels.shape[1]} × {chosen.pixels.shape[0]}.",
        )


def _downloads(chosen: ChosenImage, scores: WindowScores, selection: WindowSelection, index: int) -> None:
    found = selection.detections
    name = f"{chosen.name}_windows"
    with st.container(horizontal=True):
        download_array(scores.maps[index].probabilities, name=f"{name}_map", key="win_npy", label="Score map (.npy)")
        table = pd.DataFrame(
            {
                "class": [scores.class_names[int(class_id)] for class_id in found.class_ids],
                "score": found.scores.astype(float).round(4),
                **{
                    side: found.boxes_xyxy[:, axis].astype(float).round(1)
                    for axis, side in enumerate(("left", "top", "right", "bottom"))
                },
            }
        )
        download_table(table, name=name, key="win_csv", label="Boxes (CSV)")
        download_bytes(
            lambda: encode_png(draw_detections(chosen.pixels, found, scores.class_names)),
            file_name=f"{name}.png",
            key="win_png",
            label="Annotated picture (PNG)",
            mime="image/png",
        )
