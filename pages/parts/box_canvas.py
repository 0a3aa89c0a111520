"""Boxes to drag with the mouse, resize at their corners and move with the arrow keys: a small component of our own."""

import json
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from pages.parts.pixels import COMPONENTS

Corners = tuple[int, int, int, int]
SMALLEST_PX = 4

_canvas = st.components.v2.component(
    "cnn_workbench_boxes",
    html='<div class="frame"><div class="boxes"><img alt="" hidden><svg></svg></div></div>',
    css=(COMPONENTS / "boxes.css").read_text(encoding="utf-8"),
    js=(COMPONENTS / "boxes.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class NamedBox:
    """A box to drag: its name and its corners in pixels of the plane."""

    name: str
    xyxy: Corners


def keep_inside(xyxy: Sequence[float], width: int, height: int) -> Corners:
    """The nearest box with whole corners inside a plane, at least a few pixels wide and high.

    >>> keep_inside((-5, 10, 700, 9), 640, 400)
    (0, 10, 640, 14)
    """
    values = [float(value) if math.isfinite(value) else 0.0 for value in xyxy]
    left = round(min(max(values[0], 0), width - SMALLEST_PX))
    top = round(min(max(values[1], 0), height - SMALLEST_PX))
    right = round(min(max(values[2], left + SMALLEST_PX), width))
    bottom = round(min(max(values[3], top + SMALLEST_PX), height))
    return left, top, right, bottom


def box_canvas(
    boxes: Sequence[NamedBox],
    *,
    width: int,
    height: int,
    key: str,
    alt: str,
    on_move: Callable[[int, Corners], None],
    encoded: bytes = b"",
    shared: bool = False,
    hull: bool = False,
    draw_new: bool = False,
    max_height_px: int = 400,
) -> None:
    """Draw boxes that can be moved over a plane, or over an encoded picture.

    Args:
        boxes: The boxes, in pixels of the plane.
        width: Width of the plane.
        height: Height of the plane.
        key: Unique on the page.
        alt: What is shown, for people who cannot see it.
        on_move: Called with a box's position in `boxes` and its new corners before the page runs again.
        encoded: JPEG or PNG bytes under the boxes; a plane with lines if empty.
        shared: Whether the part that all boxes share is filled.
        hull: Whether the smallest box around all is drawn.
        draw_new: Whether a drag that starts beside all boxes draws the first one anew.
        max_height_px: It is never taller than this on the screen.
    """
    header = {
        "width": width,
        "height": height,
        "boxes": [{"name": box.name, "xyxy": list(box.xyxy)} for box in boxes],
        "shared": shared,
        "hull": hull,
        "draw_new": draw_new,
        "picture": bool(encoded),
        "alt": alt,
        "max_height_px": max_height_px,
        "mime": "image/png" if encoded.startswith(b"\x89PNG") else "image/jpeg",
    }
    packed = json.dumps(header).encode()

    def handle() -> None:
        answer = getattr(st.session_state[key], "move", None)
        if isinstance(answer, dict) and 0 <= int(answer["index"]) < len(boxes):
            on_move(int(answer["index"]), keep_inside(answer["xyxy"], width, height))

    _canvas(key=key, data=struct.pack("<I", len(packed)) + packed + encoded, on_move_change=handle)
