"""Pictures and matrices whose pixels can be picked: two small components of our own.

Streamlit tells no click on a picture, and a Plotly heat map reports no selection, so these two draw in the browser
and answer with a row and a column. `picture` shows JPEG bytes of any size with boxes drawn over them; `number_grid`
shows a small matrix as coloured numbers that can be picked or edited. Zero is in the middle of the colours.
"""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st

from core.convolution.display import signed_to_rgb

COMPONENTS = Path(__file__).parent / "components"


def _source(name: str) -> str:
    return (COMPONENTS / name).read_text(encoding="utf-8")


_picture = st.components.v2.component(
    "cnn_workbench_picture",
    html='<div class="frame"><div class="picture"><img alt=""><svg preserveAspectRatio="none"></svg></div></div>',
    css=_source("picture.css"),
    js=_source("picture.js"),
)
_grid = st.components.v2.component(
    "cnn_workbench_grid",
    html='<div class="scroll"><table></table></div>',
    css=_source("grid.css"),
    js=_source("grid.js"),
)


@dataclass(frozen=True)
class Box:
    """A marked rectangle in pixels of the picture's grid; `kind` chooses its colour."""

    top: float
    left: float
    height: float
    width: float
    kind: Literal["window", "selected", "source"] = "window"


@dataclass(frozen=True)
class Pixel:
    """A picked pixel."""

    row: int
    column: int


def _picked(answer: Any) -> Pixel | None:
    if not isinstance(answer, dict):
        return None
    return Pixel(int(answer["row"]), int(answer["column"]))


def picture(
    encoded: bytes,
    *,
    rows: int,
    columns: int,
    key: str,
    alt: str,
    boxes: Sequence[Box] = (),
    selected: Pixel | None = None,
    on_pick: Callable[[Pixel], None] | None = None,
    max_height_px: int = 360,
) -> None:
    """Show an encoded picture; with `on_pick`, a click or the arrow keys pick a pixel.

    Args:
        encoded: JPEG or PNG bytes; they may be smaller than the grid that picks are told in.
        rows: Height of the pixel grid.
        columns: Width of the pixel grid.
        key: Unique on the page.
        alt: What the picture shows, for people who cannot see it.
        boxes: Rectangles drawn over the picture, in pixels of the grid.
        selected: Where the arrow keys start.
        on_pick: Called with the picked pixel before the page runs again.
        max_height_px: The picture is never taller than this on the screen.
    """
    header = {
        "rows": rows,
        "columns": columns,
        "boxes": [asdict(box) for box in boxes],
        "clickable": on_pick is not None,
        "selected": None if selected is None else [selected.row, selected.column],
        "alt": alt,
        "max_height_px": max_height_px,
        "mime": "image/png" if encoded.startswith(b"\x89PNG") else "image/jpeg",
    }
    packed = json.dumps(header).encode()

    def handle() -> None:
        pixel = _picked(getattr(st.session_state[key], "pick", None))
        if pixel is not None and on_pick is not None:
            on_pick(Pixel(min(pixel.row, rows - 1), min(pixel.column, columns - 1)))

    _picture(key=key, data=struct.pack("<I", len(packed)) + packed + encoded, on_pick_change=handle)


def format_number(value: float, digits: int = 3, negligible: float = 0.0) -> str:
    """A number as short as it can be shown without lying: integers whole, others with a few digits.

    >>> format_number(30.0), format_number(0.06731), format_number(0.06731, 1), format_number(1e-9, 1, 0.01)
    ('30', '0.0673', '0.07', '≈0')
    """
    if 0 < abs(value) < negligible:
        return "≈0"
    if not np.isfinite(value):
        return str(value)
    if abs(value - round(value)) < 1e-6 * max(1.0, abs(value)) and abs(value) < 1e6:
        return str(int(round(value)))
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def _colours(values: np.ndarray, limit: float | None, mode: str) -> tuple[list[list[str]], list[list[str]]]:
    if mode == "intensity":
        grey = np.clip(np.nan_to_num(values), 0, 255).astype(np.uint8)
        rgb = np.repeat(grey[:, :, None], 3, axis=2)
    else:
        rgb = signed_to_rgb(values.astype(np.float32), limit)
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    colours = [[f"rgb({r},{g},{b})" for r, g, b in line] for line in rgb.tolist()]
    inks = [["#111827" if value > 140 else "#ffffff" for value in line] for line in luma.tolist()]
    return colours, inks


def number_grid(
    values: np.ndarray,
    *,
    key: str,
    label: str,
    limit: float | None = None,
    colours: Literal["signed", "intensity"] = "signed",
    selected: Pixel | None = None,
    marked: Sequence[Pixel] = (),
    sources: Sequence[Pixel] = (),
    faded: np.ndarray | None = None,
    on_pick: Callable[[Pixel], None] | None = None,
    on_edit: Callable[[Pixel, str], None] | None = None,
    cell_px: int = 40,
) -> None:
    """Show a small matrix as coloured numbers that can be picked (`on_pick`) or edited (`on_edit`).

    Args:
        values: (rows, columns) numbers; at most 32 x 32 reads well.
        key: Unique on the page.
        label: What the matrix is, read aloud by screen readers.
        limit: The absolute value of the strongest colour; the largest of `values` if None.
        colours: "signed" is the diverging scale with zero in the middle, "intensity" is grey from 0 to 255.
        selected: The cell with a thick frame.
        marked: Cells with a thin frame.
        sources: Cells with a dot in their corner, where something came from.
        faded: (rows, columns) bool, cells that are not part of the data (such as padding).
        on_pick: Called with the picked cell before the page runs again.
        on_edit: Called with the edited cell and what was typed before the page runs again.
        cell_px: Side of a cell on the screen, in pixels.
    """
    if values.ndim != 2:
        raise ValueError(f"A grid shows a matrix of shape (rows, columns); received shape {values.shape}")
    cell_colours, inks = _colours(values, limit, colours)
    digits = 3 if cell_px >= 34 else 2 if cell_px >= 24 else 1
    negligible = 1e-3 * float(np.max(np.abs(values), initial=0.0)) if digits < 3 else 0.0
    data = {
        "texts": [[format_number(float(value), digits, negligible) for value in line] for line in values],
        "colours": cell_colours,
        "inks": inks,
        "selected": None if selected is None else [selected.row, selected.column],
        "marked": [[cell.row, cell.column] for cell in marked],
        "sources": [[cell.row, cell.column] for cell in sources],
        "faded": [] if faded is None else np.argwhere(faded).tolist(),
        "mode": "edit" if on_edit else "pick" if on_pick else "view",
        "label": label,
        "cell_px": cell_px,
    }

    def handle_pick() -> None:
        pixel = _picked(getattr(st.session_state[key], "pick", None))
        if pixel is not None and on_pick is not None:
            on_pick(pixel)

    def handle_edit() -> None:
        answer = getattr(st.session_state[key], "edit", None)
        pixel = _picked(answer)
        if pixel is not None and on_edit is not None:
            on_edit(pixel, str(answer["text"]))

    _grid(key=key, data=data, on_pick_change=handle_pick, on_edit_change=handle_edit)
