"""Fine-tuning: the detector learns the classes of the visitor's own annotated pictures, then looks for them."""

import functools
import math

import numpy as np
import pandas as pd
import streamlit as st

from core.detection import view_tasks
from core.detection.annotated_drawing import draw_annotations
from core.detection.drawing import draw_detections
from core.detection.predictions import NetworkAnswer, select
from core.detection.view_tasks import LEAST_PICTURES, TunedDetector
from core.runtime.engine import EngineError
from core.runtime.images import content_hash, decode_image, display_jpeg
from core.runtime.jobs import JobView
from pages.parts.compute import engine
from pages.parts.downloads import download_bytes, download_table
from pages.parts.figures import line_chart, show
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.job_view import ACTIVE, current_job, duration, job_view, metric_series, start_job
from pages.parts.yolo.annotated_input import ChosenSet, annotated_input

JOB = "yolo_tuning"
DRAWN = 40
STEPS = [50, 100, 200, 400, 800, 1600]


def view() -> None:
    """Draw the view: pictures and settings on the left, the learning and what came of it on the right."""
    controls, result = st.columns([1.05, 2.6], gap="medium")
    with controls:
        chosen = annotated_input(key="yolo_tune_set", default="kites", names=["kites", "streets"], count=DRAWN)
        steps = st.select_slider(
            "Steps of learning",
            STEPS,
            200,
            key="yolo_tune_steps",
            bind="query-params",
            help="A step looks at eight pictures, changed each time. Two hundred take one to five minutes on two "
            "processor cores; it stops after 13 minutes whatever was asked for, and what it has learned is kept if you "
            "stop it. Before the first step the graph is "
            "built, which takes a while of its own.",
        )
        frozen = st.toggle(
            "Backbone frozen",
            value=True,
            key="yolo_tune_frozen",
            bind="query-params",
            help="Only neck and head learn: steps are faster, and few pictures suffice. Let everything learn where "
            "there are hundreds of pictures, or where they look quite unlike photographs.",
        )
        seed = st.number_input("Seed", 0, 10_000, 0, key="yolo_tune_seed", bind="query-params")
        job = current_job(JOB)
        running = job is not None and job.state in ACTIVE
        count = 0 if chosen is None else len(chosen.annotated.annotations.pictures)
        if chosen is not None and count < LEAST_PICTURES:
            st.error(f"At least {LEAST_PICTURES} annotated pictures are needed; here are {count}.")
        started = st.button(
            "Start again" if job else "Start learning",
            type="primary",
            icon=":material/play_arrow:",
            key="yolo_tune_start",
            width="stretch",
            disabled=count < LEAST_PICTURES or running,
        )
    if started and chosen is not None:
        start_job(
            JOB,
            view_tasks.fine_tune,
            chosen.annotated,
            title=f"Learning {', '.join(chosen.annotated.annotations.class_names[:4])}",
            steps=int(steps),
            freeze_backbone=bool(frozen),
            seed=int(seed),
        )
    with result:
        if current_job(JOB) is None and chosen is not None:
            _before(chosen)
        job_view(
            JOB, draw_live=functools.partial(_draw_live, chosen), draw_result=functools.partial(_draw_result, chosen)
        )


def _before(chosen: ChosenSet) -> None:
    annotations = chosen.annotated.annotations
    held_out = max(2, len(annotations.pictures) // 5)
    st.markdown(
        f"From **{len(annotations.pictures) - held_out} annotated pictures** the embedded detector is to learn "
        f"**{', '.join(annotations.class_names[:8])}**; {held_out} others, held out, measure how well. Its last "
        "layer is replaced by one for the new classes, everything else goes on from what it knows."
    )
    columns = st.columns(3)
    for column, picture in zip(columns, annotations.pictures[:3], strict=False):
        pixels = decode_image(chosen.annotated.pictures[picture.file_name]).pixels
        drawn = draw_annotations(pixels, picture.boxes_xyxy, picture.class_ids, annotations.class_names)
        column.image(display_jpeg(drawn, 640), caption=picture.file_name.rsplit("/", 1)[-1])


def _draw_live(chosen: ChosenSet | None, job: JobView) -> None:
    if job.state not in ACTIVE and isinstance(job.preview, bytes):
        kept = TunedDetector.from_bytes(job.preview)
        st.success(
            f"Kept: the best detector so far, after step {kept.history[-1][0]:,}. Learned from {kept.trained_on} "
            "pictures.",
            icon=":material/check_circle:",
        )
        _draw_detector(chosen, kept, job)
        return
    if job.state not in ACTIVE:
        st.caption("It ended before its first validation: there is no detector to keep.")
    series = metric_series(job)
    _curves(
        series.get("loss", ([], [])),
        series.get("map_50", ([], [])),
        key="yolo_tune_live",
    )


def _curves(loss: tuple[list[float], list[float]], precision: tuple[list[float], list[float]], *, key: str) -> None:
    left, right = st.columns(2)
    if loss[0]:
        with left:
            figure = line_chart(
                {"loss": loss}, x_title="step", y_title="loss", log_y=True, markers=False, height_px=260
            )
            show(figure, key=f"{key}_loss")
    if precision[0]:
        with right:
            percent = (precision[0], [100 * value for value in precision[1]])
            figure = line_chart(
                {"mAP@.5": percent}, x_title="step", y_title="mAP@.5 on pictures held out, %", height_px=260
            )
            show(figure.update_layout(yaxis_range=[0, 103]), key=f"{key}_map")


def _draw_result(chosen: ChosenSet | None, tuned: TunedDetector, job: JobView) -> None:
    st.success(
        f"Learned from {tuned.trained_on} pictures in {duration(tuned.seconds)}.", icon=":material/check_circle:"
    )
    _draw_detector(chosen, tuned, job)


def _draw_detector(chosen: ChosenSet | None, tuned: TunedDetector, job: JobView) -> None:
    first, second, third = st.columns(3)
    first.metric(f"mAP@.5 on {tuned.held_out} held out", _percent(tuned.map_50))
    second.metric("mAP@.5:.95", _percent(tuned.map_50_95))
    third.metric("Steps", f"{tuned.history[-1][0]:,}")
    steps = [float(point[0]) for point in tuned.history]
    loss, precision = [point[2] for point in tuned.history], [point[3] for point in tuned.history]
    _curves((steps, loss), (steps, precision), key="yolo_tune_done")
    table = pd.DataFrame({"Class": tuned.class_names, "AP@.5 (%)": [round(100 * value, 1) for value in tuned.ap_50]})
    if len(table) > 1:
        st.dataframe(table, hide_index=True, key="yolo_tune_table")
    history = pd.DataFrame(tuned.history, columns=["step", "seconds", "loss", "map_50"])
    with st.container(horizontal=True):
        download_bytes(
            lambda: tuned.keras_file,
            file_name="detector.keras",
            key="yolo_tune_file",
            label="Detector (.keras)",
            mime="application/octet-stream",
        )
        download_table(history, name="fine_tuning", key="yolo_tune_history", label="History (CSV)")
    _detection(chosen, tuned, job.id)


def _percent(value: float) -> str:
    return "not measured" if math.isnan(value) else f"{100 * value:.1f} %"


@st.cache_resource(max_entries=16, show_spinner=False)
def _answer(job_id: str, sha256: str, _tuned: TunedDetector, _pixels: np.ndarray) -> NetworkAnswer:
    tuned = _tuned
    return engine().call(
        view_tasks.detect_tuned, _pixels, tuned.keras_file, tuned.class_names, tuned.size_px, timeout_s=60.0
    )


@st.fragment
def _detection(chosen: ChosenSet | None, tuned: TunedDetector, job_id: str) -> None:
    """What the new detector sees: in a picture it never saw, or in one of the visitor's."""
    st.subheader("Detection with it", anchor=False)
    controls, shown = st.columns([1, 1.8], gap="medium")
    with controls:
        picture = _picture_to_look_at(chosen)
        confidence = st.slider(
            "Confidence from", 0.05, 0.95, 0.25, 0.05, key="yolo_tune_confidence", bind="query-params"
        )
        iou = st.slider("IoU for non-max suppression", 0.1, 0.9, 0.45, 0.05, key="yolo_tune_iou", bind="query-params")
    try:
        answer = _answer(job_id, picture.sha256, tuned, picture.pixels)
    except EngineError as error:
        shown.error(str(error), icon=":material/error:")
        return
    found = select(answer, float(confidence), float(iou)).detections
    with shown:
        st.image(
            display_jpeg(draw_detections(picture.pixels, found, answer.class_names)),
            caption=f"{picture.name}: {len(found.scores)} boxes",
        )


def _picture_to_look_at(chosen: ChosenSet | None) -> ChosenImage:
    kinds = ["annotated", "other"]
    kind = st.segmented_control(
        "Look at",
        kinds,
        format_func={"annotated": "From the set", "other": "Another"}.__getitem__,
        default="annotated" if chosen is not None else "other",
        required=True,
        key="yolo_tune_look",
    )
    if kind == "other" or chosen is None:
        return image_input(default="astronaut")
    pictures = chosen.annotated.annotations.pictures
    wanted = st.number_input(f"Picture, 0 to {len(pictures) - 1}", 0, None, 0, key="yolo_tune_picture")
    name = pictures[min(int(wanted), len(pictures) - 1)].file_name
    pixels = decode_image(chosen.annotated.pictures[name]).pixels
    return ChosenImage(pixels, name.rsplit("/", 1)[-1], content_hash(pixels), is_sample=False)
