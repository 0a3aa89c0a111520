"""Two boxes to drag: what they share, what they cover together, and the IoU that follows."""

import streamlit as st

from core.detection.overlap import Overlap, compare_boxes, overlap_snippets
from core.runtime.images import display_jpeg
from pages.parts.box_canvas import Corners, NamedBox, box_canvas, keep_inside
from pages.parts.code_tabs import code_tabs
from pages.parts.formula import formula, number
from pages.parts.image_input import image_input
from pages.parts.pace import picture_first

PLANE_PX = (640, 400)
FIELD_PX = 66
SIDES = ("left", "top", "right", "bottom")
NAMES = ("Truth", "Prediction")
STARTS: tuple[Corners, Corners] = ((120, 90, 360, 290), (220, 140, 480, 340))


@st.fragment
def view() -> None:
    """Draw the view; dragging a box runs this part of the page alone."""
    # The picture comes first: on a narrow screen the columns stand below each other.
    shown, controls = st.columns([2.2, 1.25], gap="medium")
    with controls:
        ground = st.segmented_control(
            "Boxes over",
            ["plane", "picture"],
            format_func=str.capitalize,
            default="plane",
            required=True,
            key="yolo_iou_over",
            bind="query-params",
        )
        width, height, encoded, fingerprint = *PLANE_PX, b"", "plane"
        if ground == "picture":
            chosen = image_input(default="astronaut")
            height, width = chosen.pixels.shape[:2]
            encoded, fingerprint = display_jpeg(chosen.pixels), chosen.sha256
        first, second = (_corner_fields(index, width, height) for index in (0, 1))
        hull = st.toggle(
            "Smallest box around both",
            key="yolo_iou_hull",
            bind="query-params",
            help="Needed by the generalised IoU only.",
        )
    overlap = compare_boxes(first, second)
    with shown:
        box_canvas(
            [NamedBox(name, box) for name, box in zip(NAMES, (first, second), strict=True)],
            width=width,
            height=height,
            key="yolo_iou_canvas",
            alt=f"Two boxes that share {overlap.shared_area:.0f} of {overlap.union_area:.0f} square pixels",
            on_move=_set_box,
            encoded=encoded,
            shared=True,
            hull=bool(hull),
        )
        _verdict(overlap)
    picture_first(f"{fingerprint} {first} {second} {hull}", key="yolo_iou")
    _mathematics(overlap)
    as_code = st.expander("The same as code", icon=":material/code:", key="yolo_iou_code_open", on_change="rerun")
    if as_code.open:
        with as_code:
            code_tabs(overlap_snippets(first, second), key="yolo_iou_code")


def _corner_fields(index: int, width: int, height: int) -> Corners:
    st.markdown(f"**{NAMES[index]}**, pixels")
    values = []
    # No max_value: a link made for a larger picture must open; the box is kept inside below.
    with st.container(horizontal=True, gap="small"):
        for side, start in zip(SIDES, STARTS[index], strict=True):
            values.append(
                st.number_input(
                    side.capitalize(),
                    0,
                    None,
                    start,
                    key=f"yolo_iou_{index}_{side}",
                    bind="query-params",
                    step=10,
                    width=FIELD_PX,
                )
            )
    box = keep_inside(values, width, height)
    if box != tuple(values):
        st.caption(f"Kept inside {width} × {height} pixels: {', '.join(str(value) for value in box)}.")
    return box


def _set_box(index: int, box: Corners) -> None:
    for side, value in zip(SIDES, box, strict=True):
        st.session_state[f"yolo_iou_{index}_{side}"] = value


def _verdict(overlap: Overlap) -> None:
    iou, giou, answer = st.columns([1, 1, 2.2], vertical_alignment="center")
    iou.metric("IoU", f"{overlap.iou:.3f}")
    giou.metric("Generalised IoU", f"{overlap.giou:.3f}".replace("-", "−"))
    correct = overlap.iou >= 0.5
    answer.markdown(
        (":material/check_circle: **Counts as found**" if correct else ":material/cancel: **Counts as missed**")
        + f" by the convention IoU ≥ 0.5.  \nDrag a box, or a corner; arrow keys move the chosen box, with Ctrl they "
        f"change its size. Shared: {overlap.shared_area:,.0f} px²."
    )


def _mathematics(overlap: Overlap) -> None:
    a, b, shared, union = (
        number(value, 6) for value in (overlap.first_area, overlap.second_area, overlap.shared_area, overlap.union_area)
    )
    formula(
        r"\mathrm{IoU} = \frac{\text{size of intersection}}{\text{size of union}} "
        r"= \frac{|A \cap B|}{|A| + |B| - |A \cap B|}",
        rf"\mathrm{{IoU}} = \frac{{{shared}}}{{{a} + {b} - {shared}}} = \frac{{{shared}}}{{{union}}} "
        rf"= {number(overlap.iou, 4)}",
        explanation="A the true box, B the predicted one, |·| the area in square pixels. "
        "0.5 is a convention of people; a stricter one asks for more.",
    )
    hull = number(overlap.hull_area, 7)
    formula(
        r"\mathrm{GIoU} = \mathrm{IoU} - \frac{|H| - |A \cup B|}{|H|}",
        rf"\mathrm{{GIoU}} = {number(overlap.iou, 4)} - \frac{{{hull} - {union}}}{{{hull}}} "
        rf"= {number(overlap.giou, 4)}",
        explanation="H is the smallest box around both. Boxes that do not touch all have IoU 0; their GIoU falls with "
        "their distance, so a network trained with it knows where to go.",
    )
