"""The pictures of the main view: boxes with their layers, and one step of suppression."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.detection.cells import ObjectCells, cell_side_px, object_cells
from core.detection.drawing import (
    Colour,
    class_colour,
    draw_box,
    draw_cells,
    draw_detections,
    draw_dots,
    draw_grid,
    draw_labels,
    draw_outlines,
    label_text,
    line_px,
    screen_canvas,
)
from core.detection.evaluation import ImageDetections
from core.detection.predictions import NetworkAnswer, Selection
from core.detection.steps import suppression_step
from core.runtime.images import encode_jpeg
from pages.parts.image_input import ChosenImage

JPEG_QUALITY = 88
GREY: Colour = (190, 195, 205)
RED: Colour = (239, 68, 68)


@dataclass(frozen=True)
class Layer:
    """Something to draw over the picture: its name, and what a person sees there."""

    label: str
    explanation: str


LAYERS = {
    "grid8": Layer("Grid 8", "the finest of the three grids, cells of 8 × 8 pixels of the network's input."),
    "grid16": Layer("Grid 16", "the middle grid, cells of 16 × 16 pixels of the network's input."),
    "grid32": Layer("Grid 32", "the coarsest grid, cells of 32 × 32 pixels of the network's input."),
    "cells": Layer(
        "Cells",
        "filled, the cell that holds an object's midpoint (the dot), in the grid that found it; dashed, the cell "
        "whose answer this box is, where it is another one.",
    ),
    "before": Layer("Before NMS", "thin lines, all boxes that reach the confidence."),
    "anchors": Layer(
        "Anchors",
        "this network has no anchor boxes. Each cell says how far away the four sides are; dashed, the box that it "
        "starts from, where these four outputs are zero.",
    ),
}
GRIDS_PX = {"grid8": 8, "grid16": 16, "grid32": 32}


@st.cache_resource(max_entries=8, show_spinner=False)
def _canvas(sha256: str, _pixels: np.ndarray) -> tuple[np.ndarray, float]:
    return screen_canvas(_pixels)


def shown_size(image: ChosenImage) -> tuple[int, int]:
    """Rows and columns of the picture as it is drawn."""
    rows, columns = _canvas(image.sha256, image.pixels)[0].shape[:2]
    return rows, columns


def boxes_picture(image: ChosenImage, answer: NetworkAnswer, selection: Selection, layers: tuple[str, ...]) -> bytes:
    """The JPEG of the picture with its boxes, and the chosen layers under them."""
    original, scale = _canvas(image.sha256, image.pixels)
    canvas = original.copy()
    found = selection.detections
    colours = [class_colour(int(class_id)) for class_id in found.class_ids]
    for layer, stride in GRIDS_PX.items():
        if layer in layers:
            draw_grid(canvas, scale * cell_side_px(answer, stride))
    if "before" in layers:
        draw_outlines(canvas, scale * selection.candidates.boxes_xyxy, selection.candidates.class_ids)
    cells = object_cells(answer, found) if {"cells", "anchors"} & set(layers) else None
    if cells is not None and "cells" in layers:
        _draw_cells(canvas, cells, scale, colours)
    shown = draw_detections(
        canvas, ImageDetections(scale * found.boxes_xyxy, found.class_ids, found.scores), answer.class_names
    )
    if cells is not None and "anchors" in layers:
        for box, colour in zip(scale * cells.start_xyxy, colours, strict=True):
            draw_box(shown, box, colour, max(1, line_px(shown) // 2), dashed=True)
    if "cells" in layers:
        middles = scale * (found.boxes_xyxy[:, :2] + found.boxes_xyxy[:, 2:]) / 2
        draw_dots(shown, middles, colours)
    return encode_jpeg(shown, JPEG_QUALITY)


def _draw_cells(canvas: np.ndarray, cells: ObjectCells, scale: float, colours: list[Colour]) -> None:
    draw_cells(canvas, scale * cells.cells_xyxy, colours)
    elsewhere = np.abs(cells.cells_xyxy - cells.answered_xyxy).max(axis=1, initial=0) > 0.5
    for index in np.flatnonzero(elsewhere):
        draw_box(canvas, scale * cells.answered_xyxy[index], colours[index], line_px(canvas), dashed=True)


def step_picture(
    image: ChosenImage, answer: NetworkAnswer, selection: Selection, number: int, *, agnostic: bool
) -> bytes:
    """The JPEG of one step: the picked box thick, those it drops dashed with their IoU, the others thin."""
    original, scale = _canvas(image.sha256, image.pixels)
    canvas = original.copy()
    boxes, class_ids = selection.candidates.boxes_xyxy, selection.candidates.class_ids
    step = suppression_step(boxes, None if agnostic else class_ids, selection.suppression, number)
    on_canvas = scale * boxes
    thin, line = max(1, line_px(canvas) // 3), line_px(canvas)
    for index in step.waiting[::-1]:
        draw_box(canvas, on_canvas[index], GREY, thin)
    for index in step.kept_before:
        draw_box(canvas, on_canvas[index], class_colour(int(class_ids[index])), max(1, line // 2))
    for index in step.dropped[::-1]:
        draw_box(canvas, on_canvas[index], RED, max(1, 2 * line // 3), dashed=True)
    class_id, score = int(class_ids[step.picked]), float(selection.candidates.scores[step.picked])
    colour = class_colour(class_id)
    draw_box(canvas, on_canvas[step.picked], colour, round(1.5 * line))
    picked = label_text(answer.class_names[class_id], score)
    draw_labels(
        canvas,
        on_canvas[[step.picked, *step.dropped]],
        [f"{step.picked + 1}: {picked}"]
        + [f"{index + 1}: IoU {iou:.2f}" for index, iou in zip(step.dropped, step.dropped_iou, strict=True)],
        [colour, *[RED] * len(step.dropped)],
    )
    return encode_jpeg(canvas, JPEG_QUALITY)
