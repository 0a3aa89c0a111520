"""The photograph with its faces and names: a full line for who is recognized, a dashed one for who is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from core.detection.drawing import draw_box, draw_dots, draw_labels, line_px, screen_canvas

if TYPE_CHECKING:
    from pages.parts.gallery.recognize import Recognition

KNOWN, UNKNOWN, CHOSEN = (16, 150, 110), (148, 163, 184), (99, 102, 241)
LABEL_LETTERS = 22


@st.cache_resource(max_entries=8, show_spinner=False)
def _canvas(sha256: str, _pixels: np.ndarray) -> tuple[np.ndarray, float]:
    return screen_canvas(_pixels)


def recognized_picture(result: Recognition, chosen: int) -> np.ndarray:
    """The picture (H, W, 3) in a size for a screen; the chosen face shows its five points too."""
    original, scale = _canvas(result.image.sha256, result.image.pixels)
    canvas = original.copy()
    line = line_px(canvas)
    boxes = [scale * face.face.box_xyxy for face in result.found.faces]
    colours = []
    texts = []
    for index, box in enumerate(boxes):
        match = result.recognized(index)
        colours.append(KNOWN if match else UNKNOWN)
        texts.append(f"{index + 1}: {_short(match.name)} {match.distance:.2f}" if match else f"{index + 1}: ?")
        draw_box(canvas, box, colours[-1], line, dashed=match is None)
    if boxes:
        # A pixel's centre lies half a pixel to the right of its edge.
        points = scale * (result.found.faces[chosen].face.points + 0.5)
        draw_dots(canvas, points, [CHOSEN] * len(points))
        draw_labels(canvas, np.stack(boxes), texts, colours)
    return canvas


def _short(name: str) -> str:
    return name if len(name) <= LABEL_LETTERS else f"{name[: LABEL_LETTERS - 1]}…"
