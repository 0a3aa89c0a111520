"""The target tensor of an annotated picture: which cell and which anchor answer for which object, and with what."""

import numpy as np
import pandas as pd
import streamlit as st

from core.detection.anchors import size_iou
from core.detection.annotated_drawing import draw_annotations
from core.detection.boxes import BoxError
from core.detection.drawn_sets import DRAWN_SETS, DrawnPicture
from core.detection.targets import TargetTensor, encode_targets
from core.runtime.images import ImageError, decode_image, display_jpeg
from pages.parts.box_canvas import Corners, NamedBox, box_canvas, keep_inside
from pages.parts.downloads import download_array
from pages.parts.formula import formula, number
from pages.parts.pace import picture_first
from pages.parts.pixels import Box, Pixel, picture
from pages.parts.yolo.annotated_input import ChosenSet, annotated_input

GRIDS = [3, 7, 13, 19]
# By hand, in fractions of the picture's sides: one square; the notes' tall and wide one; and two sizes of both.
HAND_ANCHORS = {
    1: [(0.3, 0.3)],
    2: [(0.15, 0.45), (0.4, 0.25)],
    5: [(0.07, 0.2), (0.15, 0.45), (0.15, 0.12), (0.3, 0.3), (0.45, 0.3)],
}
DRAWN = 24
SIDES = ("left", "top", "right", "bottom")


def view() -> None:
    """Draw the view; a click on a cell runs this part of the page alone."""
    st.fragment(_view)()


def _view() -> None:
    controls, shown = st.columns([1.05, 2.2], gap="medium")
    with controls:
        given = _annotated_picture()
        if given is None:
            return
        drawn, class_names, label = given
        grid = int(
            st.segmented_control(
                "Grid",
                GRIDS,
                format_func=lambda side: f"{side} × {side}",
                default=3,
                required=True,
                key="yolo_target_grid",
                bind="query-params",
                help="The notes draw 3 × 3 and use 19 × 19 in practice: the finer, the rarer two objects in one cell.",
            )
            or 3
        )
        anchor_count = int(
            st.segmented_control(
                "Anchor boxes",
                list(HAND_ANCHORS),
                default=2,
                required=True,
                key="yolo_target_anchors",
                bind="query-params",
                help="Shapes prepared for each cell. An object goes to the one that it overlaps most.",
            )
            or 2
        )
    height, width = drawn.pixels.shape[:2]
    anchors = np.array(HAND_ANCHORS[anchor_count]) * np.array([width, height])
    try:
        target = encode_targets(
            drawn.boxes_xyxy, drawn.class_ids, len(class_names), (width, height), (grid, grid), anchors
        )
    except BoxError as error:
        controls.error(str(error), icon=":material/error:")
        return
    with controls:
        cell = _cell_fields(grid, target)
    with shown:
        _draw_picture(drawn, class_names, grid, cell, target)
    picture_first(f"{label} {grid} {anchor_count} {cell} {drawn.boxes_xyxy.tolist()}", key="yolo_target")
    vector, assignments = st.columns([1, 1.3], gap="medium")
    with vector:
        _vector(target, cell, class_names)
    with assignments:
        _assignments(drawn, target, anchors, class_names)
    _mathematics(grid, anchor_count, len(class_names))
    download_array(
        target.values.astype(np.float32), name=f"target_{label}", key="yolo_target_npy", label="Tensor (.npy)"
    )


def _annotated_picture() -> tuple[DrawnPicture, tuple[str, ...], str] | None:
    """The picture with its boxes, the names of its classes, and a name for files."""
    own_boxes = st.toggle(
        "Drag the boxes",
        key="yolo_target_drag",
        bind="query-params",
        help="Put three boxes on the picture yourself, in place of those that were annotated.",
    )
    chosen = annotated_input(key="yolo_target_set", default="streets", names=list(DRAWN_SETS), count=DRAWN)
    if chosen is None:
        return None
    pictures = chosen.annotated.annotations.pictures
    index = int(
        st.number_input(
            f"Picture, 0 to {len(pictures) - 1}",
            0,
            None,
            2,
            key="yolo_target_picture",
            bind="query-params",
        )
    )
    index = min(index, len(pictures) - 1)
    drawn = _decoded(chosen, index)
    class_names = chosen.annotated.annotations.class_names
    if drawn is not None and own_boxes:
        drawn, class_names = _dragged(drawn.pixels), ("pedestrian", "car", "motorcycle")
    return None if drawn is None else (drawn, class_names, pictures[index].file_name.rsplit("/", 1)[-1].split(".")[0])


def _decoded(chosen: ChosenSet, index: int) -> DrawnPicture | None:
    annotated = chosen.annotated.annotations.pictures[index]
    try:
        pixels = decode_image(chosen.annotated.pictures[annotated.file_name]).pixels
    except ImageError as error:
        st.error(str(error), icon=":material/broken_image:")
        return None
    return DrawnPicture(pixels, annotated.boxes_xyxy, annotated.class_ids)


STARTS = {"pedestrian": (0.1, 0.2, 0.25, 0.85), "car": (0.35, 0.45, 0.75, 0.75), "motorcycle": (0.6, 0.15, 0.85, 0.4)}


def _dragged(pixels: np.ndarray) -> DrawnPicture:
    """Three boxes of the visitor's own; their corners stand in the address as one line of numbers each."""
    height, width = pixels.shape[:2]
    boxes: list[Corners] = []
    with st.popover("Boxes as numbers", icon=":material/edit_note:", width="stretch"):
        for name, start in STARTS.items():
            corners = keep_inside(np.array(start) * [width, height, width, height], width, height)
            text = st.text_input(
                f"{name.capitalize()}: left top right bottom",
                " ".join(str(value) for value in corners),
                key=f"yolo_target_{name}",
                bind="query-params",
            )
            boxes.append(_parsed(text, corners, width, height))
    box_canvas(
        [NamedBox(name, box) for name, box in zip(STARTS, boxes, strict=True)],
        width=width,
        height=height,
        key="yolo_target_canvas",
        alt="Three boxes to put on the picture",
        on_move=_set_box,
        encoded=display_jpeg(pixels),
        max_height_px=230,
    )
    return DrawnPicture(pixels, np.array(boxes, np.float32), np.arange(len(boxes)))


def _parsed(text: str, otherwise: Corners, width: int, height: int) -> Corners:
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
        if len(values) != 4:
            raise ValueError
    except ValueError:
        st.error(f"“{text[:40]}” is not four numbers; the box stays where it was.", icon=":material/error:")
        return otherwise
    return keep_inside(values, width, height)


def _set_box(index: int, box: Corners) -> None:
    st.session_state[f"yolo_target_{list(STARTS)[index]}"] = " ".join(str(value) for value in box)


def _cell_fields(grid: int, target: TargetTensor) -> Pixel:
    start = (int(target.rows[0]), int(target.columns[0])) if len(target.rows) else (0, 0)
    row_field, column_field = st.columns(2)
    # No max_value: a link made for a finer grid must open; the cell is kept inside below.
    row = row_field.number_input("Cell row", 0, None, start[0], key="yolo_target_row", bind="query-params")
    column = column_field.number_input("Cell column", 0, None, start[1], key="yolo_target_col", bind="query-params")
    return Pixel(min(int(row), grid - 1), min(int(column), grid - 1))


def _pick(pixel: Pixel, cell_height: float, cell_width: float) -> None:
    st.session_state["yolo_target_row"] = int(pixel.row // cell_height)
    st.session_state["yolo_target_col"] = int(pixel.column // cell_width)


def _draw_picture(
    drawn: DrawnPicture, class_names: tuple[str, ...], grid: int, cell: Pixel, target: TargetTensor
) -> None:
    rows, columns = drawn.pixels.shape[:2]
    tall, wide = rows / grid, columns / grid
    pixels = draw_annotations(drawn.pixels, drawn.boxes_xyxy, drawn.class_ids, class_names, grid)
    used = {(int(row), int(column)) for row, column in zip(target.rows, target.columns, strict=True)}
    boxes = [Box(row * tall, column * wide, tall, wide, "source") for row, column in sorted(used)]
    picture(
        display_jpeg(pixels),
        rows=rows,
        columns=columns,
        key="yolo_target_picture_shown",
        alt=f"The annotated picture with a grid of {grid} by {grid} cells",
        boxes=[*boxes, Box(cell.row * tall, cell.column * wide, tall, wide, "selected")],
        selected=Pixel(int((cell.row + 0.5) * tall), int((cell.column + 0.5) * wide)),
        on_pick=lambda pixel: _pick(pixel, tall, wide),
        max_height_px=430,
    )
    st.caption(
        "Green: cells that hold the midpoint (dot) of an object. Filled: the chosen cell. "
        "Click another one to see its y."
    )


def _vector(target: TargetTensor, cell: Pixel, class_names: tuple[str, ...]) -> None:
    """The chosen cell's y, one column an anchor; where there is no object all but p_c is "don't care"."""
    values = target.values[cell.row, cell.column]  # (anchors, 5 + C)
    names = ["p_c", "b_x", "b_y", "b_h", "b_w", *(f"c_{i} ({name})" for i, name in enumerate(class_names, start=1))]
    # The tensor holds the width before the height, the notes write b_h first.
    order = [0, 1, 2, 4, 3, *range(5, values.shape[1])]
    columns = {
        f"Anchor {index + 1}": [
            f"{value:.3g}" if position == 0 or part[0] else "?" for position, value in enumerate(part[order])
        ]
        for index, part in enumerate(values)
    }
    st.markdown(f"**y of the cell in row {cell.row}, column {cell.column}**")
    st.dataframe(pd.DataFrame({"": names, **columns}), hide_index=True, width="stretch", key="yolo_target_vector")
    st.caption(
        "? stands for “don't care”: where p_c is 0 the loss looks at nothing else. b_x and b_y are fractions of the "
        "cell, b_h and b_w are in units of it and may exceed 1."
    )


def _assignments(drawn: DrawnPicture, target: TargetTensor, anchors: np.ndarray, class_names: tuple[str, ...]) -> None:
    if not len(drawn.boxes_xyxy):
        st.info("There is no object in this picture: every p_c is 0.", icon=":material/info:")
        return
    iou = size_iou(drawn.boxes_xyxy[:, 2:] - drawn.boxes_xyxy[:, :2], anchors)  # (n, k)
    table = pd.DataFrame(
        {
            "Object": [class_names[int(index)] for index in drawn.class_ids],
            "Cell": [f"({row}, {column})" for row, column in zip(target.rows, target.columns, strict=True)],
            "Anchor": target.anchors + 1,
            **{f"IoU with anchor {index + 1}": iou[:, index].round(3) for index in range(len(anchors))},
            "Written": ["yes" if placed else "no: the place is taken" for placed in target.placed],
        }
    )
    st.markdown("**Which anchor was chosen, and at what IoU**")
    st.dataframe(table, hide_index=True, width="stretch", key="yolo_target_table")
    if not target.placed.all():
        st.warning(
            "Two objects share a cell and an anchor: only the first is written. A finer grid or more anchors part "
            "them.",
            icon=":material/warning:",
        )


def _mathematics(grid: int, anchors: int, classes: int) -> None:
    depth = anchors * (5 + classes)
    formula(
        r"S \times S \times (\text{anchors} \cdot (5 + \text{classes}))",
        rf"{grid} \times {grid} \times ({anchors} \cdot (5 + {classes})) = {grid} \times {grid} \times {depth} "
        rf"\quad ({number(grid * grid * depth)} \text{{ numbers}})",
        explanation="5 = p_c and the four numbers of the box. An object goes to the cell that holds its midpoint and, "
        "in it, to the anchor box with the highest IoU of the shapes.",
    )
