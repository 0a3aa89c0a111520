"""The main view: a photograph, the boxes on it, and what made them."""

from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.detection.cells import input_side_px
from core.detection.predictions import NetworkAnswer, Selection, select
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.pace import picture_first, remember, unless_more_moved
from pages.parts.pixels import picture
from pages.parts.yolo.answers import network_answer
from pages.parts.yolo.detect_explain import code, downloads, mathematics
from pages.parts.yolo.detect_picture import LAYERS, boxes_picture, shown_size, step_picture
from pages.parts.yolo.detect_steps import chosen_step, step_table
from pages.parts.yolo.models import answering_model, model_choice

PICTURE_HEIGHT_PX = 470
VIEWS = {"boxes": "Boxes", "steps": "NMS step by step"}
SLIDERS = ("yolo_confidence", "yolo_iou")


@dataclass(frozen=True)
class Thresholds:
    """Where the sliders stand: confidence and IoU in 0..1, and whether boxes of all classes compete."""

    confidence: float
    iou: float
    agnostic: bool


@dataclass(frozen=True)
class Recipe:
    """All that the picture with its boxes is made of."""

    image: ChosenImage
    model: str
    answer: NetworkAnswer
    thresholds: Thresholds
    class_ids: tuple[int, ...] | None
    layers: tuple[str, ...]
    step: int

    def selection(self) -> Selection:
        """The boxes that the thresholds leave."""
        limits = self.thresholds
        return select(self.answer, limits.confidence, limits.iou, limits.agnostic, self.class_ids)

    @property
    def fingerprint(self) -> str:
        """Equal for equal pictures."""
        return f"{self.image.sha256} {self.model} {self.thresholds} {self.class_ids} {self.layers} {self.step}"


@dataclass(frozen=True)
class Drawn:
    """The boxes that a recipe leaves, and the picture with them as JPEG."""

    recipe: Recipe
    selection: Selection
    jpeg: bytes


@dataclass(frozen=True)
class Places:
    """Where the view draws besides the picture with its boxes; they outlive a run of the view's fragment."""

    controls: DeltaGenerator
    top: DeltaGenerator
    right: DeltaGenerator
    below: DeltaGenerator


def view() -> None:
    """Draw the view.

    The columns are drawn here, outside the fragment, so that a slider's run begins with the picture: the browser goes
    through the whole page for everything that it is sent before.
    """
    controls, results = st.columns([1.05, 3.5], gap="medium")
    below = st.container()
    with results:
        top = st.container()
        middle, right = st.columns([2.1, 1.3], gap="medium")
    with middle:
        _view(Places(controls, top, right, below))


@st.fragment
def _view(places: Places) -> None:
    drawn = _at_once()
    if drawn is not None:
        _show(drawn)
        picture_first(drawn.recipe.fingerprint, key="yolo_picture")
    # A later run of the fragment may write only where a run of the whole page has written: each place is, always.
    with places.top:
        notices, head = st.container(), st.container()
    beside, below = places.right.container(), places.below.container()
    with places.controls:
        image = image_input(default="motorcycle")
        chosen = model_choice()
        thresholds = _threshold_controls()
    with notices:
        model = answering_model(chosen)
        answer = network_answer(image, model)
    if answer is None:
        return
    with places.controls:
        class_ids = _class_control(answer)
    recipe = Recipe(image, model, answer, thresholds, class_ids, (), 0)
    selection = recipe.selection() if drawn is None else drawn.selection
    with head:
        layers, step = _picture_controls(len(selection.suppression.picked))
    recipe = replace(recipe, layers=layers, step=step)
    if drawn is None:
        _show(_drawn(recipe, selection))
    picture_first(recipe.fingerprint, key="yolo_picture")
    _captions(answer, selection, thresholds, class_ids, () if step else layers)
    with beside:
        if step:
            step_table(answer, selection, step, agnostic=thresholds.agnostic)
        else:
            _table(answer, selection)
    with below:
        _draw_below(recipe, selection)
    remember(recipe, SLIDERS, key="yolo_picture")


def _draw_below(recipe: Recipe, selection: Selection) -> None:
    """What is opened or taken along."""
    image, answer, limits = recipe.image, recipe.answer, recipe.thresholds
    # Filled when opened: typesetting what nobody sees would slow every slider of the page.
    as_formula = st.expander("The same as a formula", icon=":material/function:", key="yolo_formula", on_change="rerun")
    if as_formula.open:
        with as_formula:
            mathematics(answer, selection, limits.iou)
    as_code = st.expander("The same as code", icon=":material/code:", key="yolo_code", on_change="rerun")
    if as_code.open:
        with as_code:
            code(image, selection, limits.iou, agnostic=limits.agnostic)
    downloads(image, answer, selection)


def _at_once() -> Drawn | None:
    """The new picture where only a slider has moved: it can be shown before the controls."""
    before: Recipe | None = unless_more_moved(SLIDERS, key="yolo_picture")
    if before is None or before.step:
        return None
    confidence, iou = (float(st.session_state[key]) for key in SLIDERS)
    return _drawn(replace(before, thresholds=replace(before.thresholds, confidence=confidence, iou=iou)))


def _threshold_controls() -> Thresholds:
    confidence = st.slider(
        "Confidence",
        0.01,
        0.99,
        0.25,
        0.01,
        key="yolo_confidence",
        bind="query-params",
        help="Boxes with a lower score are left out. Lower finds more, right and wrong.",
    )
    iou = st.slider(
        "IoU for non-max suppression",
        0.0,
        1.0,
        0.45,
        0.01,
        key="yolo_iou",
        bind="query-params",
        help="A box that overlaps a better one by more than this is dropped. At 1 nothing is dropped.",
    )
    agnostic = st.toggle(
        "Classes compete",
        key="yolo_agnostic",
        bind="query-params",
        help="Off: boxes are dropped only by better ones of their own class. On: by better ones of any class.",
    )
    return Thresholds(float(confidence), float(iou), bool(agnostic))


def _class_control(answer: NetworkAnswer) -> tuple[int, ...] | None:
    """Which classes are wanted, None for all."""
    wanted = st.multiselect(
        "Classes",
        list(answer.class_names),
        key="yolo_classes",
        bind="query-params",
        placeholder="All classes",
        help=f"The {len(answer.class_names)} classes that this network knows. None chosen means all.",
    )
    return tuple(sorted(answer.class_names.index(name) for name in wanted)) or None


def _picture_controls(steps: int) -> tuple[tuple[str, ...], int]:
    """What the picture shows: layers over the result, or a step of suppression (0 where it shows the result)."""
    with st.container(horizontal=True, vertical_alignment="center"):
        which = st.segmented_control(
            "Picture",
            list(VIEWS),
            format_func=VIEWS.__getitem__,
            default="boxes",
            required=True,
            key="yolo_shows",
            bind="query-params",
            label_visibility="collapsed",
        )
        if which == "steps":
            return (), chosen_step(steps)
        layers = st.pills(
            "Layers",
            list(LAYERS),
            selection_mode="multi",
            format_func=lambda name: LAYERS[name].label,
            key="yolo_layers",
            bind="query-params",
            persist_state="session",
            label_visibility="collapsed",
        )
    return tuple(name for name in LAYERS if name in layers), 0


def _drawn(recipe: Recipe, selection: Selection | None = None) -> Drawn:
    image, answer, step = recipe.image, recipe.answer, recipe.step
    chosen = recipe.selection() if selection is None else selection
    if step:
        encoded = step_picture(image, answer, chosen, step, agnostic=recipe.thresholds.agnostic)
    else:
        encoded = boxes_picture(image, answer, chosen, recipe.layers)
    return Drawn(recipe, chosen, encoded)


def _show(drawn: Drawn) -> None:
    image, step = drawn.recipe.image, drawn.recipe.step
    if step:
        alt = f"Step {step} of non-max suppression on {image.name}"
    else:
        alt = f"{image.name} with {_objects(len(drawn.selection.detections.scores))} found by the network"
    rows, columns = shown_size(image)
    picture(drawn.jpeg, rows=rows, columns=columns, key="yolo_picture", alt=alt, max_height_px=PICTURE_HEIGHT_PX)


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"


def _captions(
    answer: NetworkAnswer,
    selection: Selection,
    thresholds: Thresholds,
    class_ids: tuple[int, ...] | None,
    layers: tuple[str, ...],
) -> None:
    kept, before = len(selection.detections.scores), len(selection.candidates.scores)
    if kept:
        reach = "1 box reaches" if before == 1 else f"{before} boxes reach"
        st.markdown(
            f"**{_objects(kept)}** · {reach} a confidence of {thresholds.confidence:.2f}, suppression drops "
            f"{before - kept}."
        )
    else:
        st.info(_nothing_found(answer, thresholds, class_ids), icon=":material/search_off:")
    side = input_side_px(answer)
    took = f" in {answer.network_ms:.1f} ms" if answer.network_ms else ""
    by = f" on {answer.engine}" if answer.engine else ""
    st.caption(
        f"Answered by **{answer.model}**{by}{took}: {side} × {side} px input, {len(answer.scores):,} boxes, "
        f"{len(answer.class_names)} classes. The sliders choose among these boxes; the network does not run again."
    )
    for name in layers:
        st.caption(f"**{LAYERS[name].label}**: {LAYERS[name].explanation}")


def _nothing_found(answer: NetworkAnswer, thresholds: Thresholds, class_ids: tuple[int, ...] | None) -> str:
    scores = answer.scores if class_ids is None else answer.scores[:, list(class_ids)]
    best = int(scores.max(axis=0).argmax())
    name = answer.class_names[best if class_ids is None else class_ids[best]]
    among = "Nothing" if class_ids is None else "Nothing of the chosen classes"
    return (
        f"{among} reaches a confidence of {thresholds.confidence:.2f}. The best guess is {name} with "
        f"{scores.max():.2f}: lower the confidence to see it."
    )


def _table(answer: NetworkAnswer, selection: Selection) -> None:
    found = selection.detections
    if not len(found.scores):
        return
    best_first = (-found.scores).argsort(kind="stable")
    rows = [
        {
            "Class": answer.class_names[int(found.class_ids[index])],
            "Score": float(found.scores[index]),
            "x, y, w × h": _box_text(found.boxes_xyxy[index].tolist()),
        }
        for index in best_first
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        height=min(36 + 35 * len(rows), PICTURE_HEIGHT_PX),
        column_config={
            "Score": st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="%.2f", width="small")
        },
        key="yolo_table",
    )


def _box_text(box: list[float]) -> str:
    left, top, right, bottom = box
    return f"{left:.0f}, {top:.0f}, {right - left:.0f} × {bottom - top:.0f}"
