"""Boxes of objects in a picture: those that the project knows in its samples, and those that a visitor draws."""

import streamlit as st

from core.detection.proposals_samples import KNOWN_OBJECTS
from core.runtime.images import display_jpeg
from pages.parts.box_canvas import Corners, NamedBox, box_canvas
from pages.parts.image_input import ChosenImage

MOST_BOXES = 12
Boxes = dict[str, tuple[int, int, int, int]]


def _slot(image: ChosenImage) -> str:
    return f"_regions_truth_{image.sha256}"


def truth_boxes(image: ChosenImage) -> Boxes:
    """The boxes of a picture by name, in its pixels."""
    known = KNOWN_OBJECTS.get(image.name, {}) if image.is_sample else {}
    return dict(st.session_state.get(_slot(image), known))


def truth_editor(image: ChosenImage) -> None:
    """Draw a popover in which boxes are added, dragged and removed."""
    with st.popover("Annotated boxes", icon=":material/select:", width="stretch"):
        boxes = truth_boxes(image)
        height, width = image.pixels.shape[:2]
        st.caption("Drag a box or its corners; with the keyboard, choose a box and use the arrow keys.")
        box_canvas(
            [NamedBox(name, corners) for name, corners in boxes.items()],
            width=width,
            height=height,
            key="regions_truth_canvas",
            alt=f"{image.name} with {len(boxes)} annotated boxes",
            on_move=lambda index, corners: _move(image, index, corners),
            encoded=display_jpeg(image.pixels, max_width_px=700),
            max_height_px=360,
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.button(
                "Add a box",
                icon=":material/add:",
                key="regions_truth_add",
                on_click=_add,
                args=(image,),
                disabled=len(boxes) >= MOST_BOXES,
            )
            st.button(
                "Remove the last",
                icon=":material/remove:",
                key="regions_truth_remove",
                on_click=_remove,
                args=(image,),
                disabled=not boxes,
            )


def _move(image: ChosenImage, index: int, corners: Corners) -> None:
    boxes = truth_boxes(image)
    boxes[list(boxes)[index]] = corners
    st.session_state[_slot(image)] = boxes


def _add(image: ChosenImage) -> None:
    boxes = truth_boxes(image)
    height, width = image.pixels.shape[:2]
    number = next(n for n in range(1, MOST_BOXES + 2) if f"box {n}" not in boxes)
    boxes[f"box {number}"] = (width // 3, height // 3, 2 * width // 3, 2 * height // 3)
    st.session_state[_slot(image)] = boxes


def _remove(image: ChosenImage) -> None:
    boxes = truth_boxes(image)
    if boxes:
        boxes.pop(list(boxes)[-1])
    st.session_state[_slot(image)] = boxes
