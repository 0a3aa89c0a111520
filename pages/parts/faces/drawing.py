"""Faces marked on a picture: the box with its number, the five points, and the chosen one in another colour."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.detection.drawing import draw_box, draw_dots, draw_labels, line_px, screen_canvas
from core.faces.types import Face
from core.runtime.images import encode_jpeg

CHOSEN, OTHER, DOT = (99, 102, 241), (148, 163, 184), (245, 158, 11)
JPEG_QUALITY = 88


@st.cache_resource(max_entries=8, show_spinner=False)
def _canvas(sha256: str, _pixels: np.ndarray) -> tuple[np.ndarray, float]:
    return screen_canvas(_pixels)


def marked_faces(
    pixels: np.ndarray, faces: Sequence[Face], chosen: int = 0, *, sha256: str, names: Sequence[str] | None = None
) -> np.ndarray:
    """The picture (H, W, 3), in a size for a screen, with its faces marked.

    Each is numbered, or called by its name where `names` are given.
    """
    original, scale = _canvas(sha256, pixels)
    canvas = original.copy()
    line = line_px(canvas)
    colours = [CHOSEN if index == chosen else OTHER for index in range(len(faces))]
    for index in reversed(range(len(faces))):
        draw_box(canvas, scale * faces[index].box_xyxy, colours[index], line if index == chosen else max(1, line // 2))
    for face in faces:
        # A pixel's centre lies half a pixel to the right of its edge.
        draw_dots(canvas, scale * (face.points + 0.5), [DOT] * len(face.points))
    if faces and (names is not None or len(faces) > 1):
        texts = list(names) if names is not None else [str(index + 1) for index in range(len(faces))]
        draw_labels(canvas, np.stack([scale * face.box_xyxy for face in faces]), texts, colours)
    return canvas


def marked_jpeg(pixels: np.ndarray, faces: Sequence[Face], chosen: int = 0, *, sha256: str) -> bytes:
    """The same as JPEG bytes."""
    return encode_jpeg(marked_faces(pixels, faces, chosen, sha256=sha256), JPEG_QUALITY)
