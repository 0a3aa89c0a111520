"""The first view: draw a box, read its target vector, move a prediction, and see its loss fall and rise."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from core.detection.localization import (
    BOX_NAMES,
    LocalizationError,
    LocalizationLoss,
    LossKind,
    localization_loss,
    parse_class_names,
    target_vector,
    vector_box,
)
from core.detection.overlap import compare_boxes
from core.runtime.images import display_jpeg
from pages.parts.address import set_controls
from pages.parts.box_canvas import Corners, NamedBox, box_canvas, keep_inside
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.localization.target_numbers import code, downloads, loss_formula, vector_table
from pages.parts.pace import picture_first

NOTES_CLASSES = "pedestrian, car, motorcycle"
FIELD_PX = 84
CANVAS_HEIGHT_PX = 330
# Midpoint x and y, height, width in fractions of the picture: a box around the motorcycle, and one beside it.
TRUE_START, PREDICTED_START = (0.52, 0.55, 0.78, 0.86), (0.6, 0.62, 0.6, 0.7)
P_START, CLASS_STARTS = 0.8, (0.1, 0.3, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Vectors:
    """The classes, y and ŷ (5 + n,), and which loss compares them."""

    names: tuple[str, ...]
    y: np.ndarray
    y_hat: np.ndarray
    kind: LossKind


@st.fragment
def view() -> None:
    """Draw the view; dragging a box runs this part of the page alone."""
    # The picture comes first: on a narrow screen the columns stand below each other.
    shown, controls = st.columns([1.75, 1.5], gap="medium")
    with controls:
        chosen, names, given = _controls()
    size = (chosen.pixels.shape[1], chosen.pixels.shape[0])
    loss = localization_loss(given.y, given.y_hat, given.kind)
    with shown:
        _canvas(chosen, given, size)
        _verdict(given, loss, size)
    picture_first(f"{chosen.sha256} {given.y.tolist()} {given.y_hat.tolist()} {given.kind}", key="loc_target")
    numbers, mathematics = st.columns([1.15, 1.6], gap="medium")
    with numbers:
        vector_table(given.y, loss, names)
    with mathematics:
        loss_formula(given.y, loss, names)
    as_code = st.expander("The same as code", icon=":material/code:", key="loc_code_open", on_change="rerun")
    if as_code.open:
        with as_code:
            code(given.y, given.y_hat, given.kind)
    downloads(given.y, given.y_hat, loss, names)


def _controls() -> tuple[ChosenImage, tuple[str, ...], Vectors]:
    image_column, class_column = st.columns(2)
    with image_column:
        chosen = image_input(default="motorcycle")
    with class_column:
        text = st.text_input(
            "Classes",
            NOTES_CLASSES,
            key="loc_classes",
            bind="query-params",
            max_chars=200,
            help="The names of your classes with commas between them, at most eight. Each gets an element c_i of y.",
        )
    try:
        names = parse_class_names(text)
    except LocalizationError as error:
        st.error(str(error), icon=":material/error:")
        names = parse_class_names(NOTES_CLASSES)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        there = st.toggle(
            "An object is there",
            value=True,
            key="loc_there",
            bind="query-params",
            help="Off: p_c = 0, and all other elements of y are “don't care”.",
        )
        class_id = st.selectbox(
            "Class of the object",
            list(range(len(names))),
            index=min(2, len(names) - 1),
            format_func=lambda index: f"c_{index + 1}: {names[index]}" if index < len(names) else str(index),
            key="loc_class",
            bind="query-params",
            disabled=not there,
            label_visibility="collapsed",
            width=190,
        )
    true_box = _box_fields("y", "True box, fractions of the picture", TRUE_START, disabled=not there)
    kind = st.segmented_control(
        "Loss",
        ["squared", "logistic"],
        format_func={"squared": "Squared", "logistic": "Logistic and softmax"}.__getitem__,
        default="squared",
        required=True,
        key="loc_loss",
        bind="query-params",
        help="Squared: the notes' sum over the elements. Logistic: logarithms for p_c and the classes, whose outputs "
        "are then probabilities; the box stays squared.",
    )
    predicted_box = _box_fields("h", "Prediction ŷ: box", PREDICTED_START)
    with st.container(horizontal=True, gap="small"):
        p_c = _field("p̂_c", P_START, "loc_p")
        outputs = [
            _field(f"ĉ_{index + 1}", CLASS_STARTS[index], f"loc_c{index}", help_text=name)
            for index, name in enumerate(names)
        ]
    y = np.zeros(5 + len(names))
    if there:
        y = _checked_target(true_box, int(class_id or 0), len(names), chosen)
    y_hat = np.array([p_c, *predicted_box, *outputs])
    return chosen, names, Vectors(names, y, y_hat, "logistic" if kind == "logistic" else "squared")


def _checked_target(box: list[float], class_id: int, count: int, chosen: ChosenImage) -> np.ndarray:
    """The target of the fields' box; one that reaches out of the picture is cut off, and the page says so."""
    height, width = chosen.pixels.shape[:2]
    inside = vector_box(np.array([1.0, *box]), (1.0, 1.0))
    if inside[2] - inside[0] < 1e-6 or inside[3] - inside[1] < 1e-6:
        st.caption("The box has no area: a small one stands in its place.")
        inside = _small_inside(box)
    y = target_vector(inside, class_id, count, (1.0, 1.0))
    if np.abs(y[1:5] - box).max() > 1e-6:
        kept = ", ".join(f"{value:.3f}" for value in y[1:5])
        st.caption(f"Kept inside the {width} × {height} picture: {kept}.")
    return y


def _small_inside(box: list[float]) -> tuple[float, float, float, float]:
    left, top = min(max(box[0] - 0.01, 0.0), 0.98), min(max(box[1] - 0.01, 0.0), 0.98)
    return left, top, left + 0.02, top + 0.02


def _field(label: str, start: float, key: str, *, disabled: bool = False, help_text: str | None = None) -> float:
    value = st.number_input(
        label,
        0.0,
        1.0,
        start,
        0.01,
        key=key,
        bind="query-params",
        format="%.3f",
        disabled=disabled,
        help=help_text,
        width=FIELD_PX,
    )
    return float(value)


def _box_fields(prefix: str, title: str, starts: tuple[float, ...], *, disabled: bool = False) -> list[float]:
    st.markdown(f"**{title}**")
    hat = "" if prefix == "y" else "̂"
    with st.container(horizontal=True, gap="small"):
        return [
            _field(f"b{hat}_{name[-1]}", start, f"loc_{prefix}{name[-1]}", disabled=disabled)
            for name, start in zip(BOX_NAMES, starts, strict=True)
        ]


def _set_box(prefix: str, corners: Corners, size: tuple[int, int]) -> None:
    """Put a dragged box into its fields."""
    width, height = size
    left, top, right, bottom = corners
    set_controls(
        {
            f"loc_{prefix}x": round((left + right) / 2 / width, 4),
            f"loc_{prefix}y": round((top + bottom) / 2 / height, 4),
            f"loc_{prefix}h": round((bottom - top) / height, 4),
            f"loc_{prefix}w": round((right - left) / width, 4),
        }
    )


def _canvas(chosen: ChosenImage, given: Vectors, size: tuple[int, int]) -> None:
    prefixes = ["y", "h"] if given.y[0] else ["h"]
    boxes = [
        NamedBox(
            "y, the truth" if prefix == "y" else "ŷ, the prediction",
            keep_inside(vector_box(given.y if prefix == "y" else given.y_hat, size), *size),
        )
        for prefix in prefixes
    ]
    box_canvas(
        boxes,
        width=size[0],
        height=size[1],
        key="loc_canvas",
        alt=f"{chosen.name} with the true box and the predicted one" if given.y[0] else f"{chosen.name}, no object",
        on_move=lambda index, corners: _set_box(prefixes[index], corners, size),
        encoded=display_jpeg(chosen.pixels),
        draw_new=bool(given.y[0]),
        max_height_px=CANVAS_HEIGHT_PX,
    )


def _verdict(given: Vectors, loss: LocalizationLoss, size: tuple[int, int]) -> None:
    total, overlap, words = st.columns([1, 0.9, 2.4], vertical_alignment="center")
    total.metric("Loss E(ŷ, y)", f"{loss.total:.4f}")
    if given.y[0]:
        iou = compare_boxes(vector_box(given.y, size), vector_box(given.y_hat, size)).iou
        overlap.metric("IoU", f"{iou:.3f}")
        words.markdown(
            "**p_c = 1**: all elements count.  \nDrag beside the boxes to draw the true one anew, drag a box or a "
            "corner to change it; arrow keys move the chosen box, with Ctrl they change its size."
        )
    else:
        overlap.metric("IoU", "–")
        words.markdown(
            "**p_c = 0**: only p̂_c counts. Wherever you drag the predicted box, the loss stays the same: the other "
            "elements are “don't care”."
        )
