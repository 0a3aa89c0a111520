"""Evaluation: precision and recall of the embedded detector on annotated pictures, and the average precision."""

import functools

import numpy as np
import pandas as pd
import streamlit as st

from core.detection import view_tasks
from core.detection.curves import as_truth, average_precision, precision_recall, shared_classes
from core.detection.embedded import WeightsError, embedded_detector
from core.detection.evaluation import Evaluation, ImageTruth, PrecisionRecall, evaluate
from core.detection.view_tasks import EvaluationRun
from core.runtime.jobs import JobView
from pages.parts.downloads import download_table
from pages.parts.figures import line_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import ACTIVE, current_job, duration, job_view, start_job
from pages.parts.yolo.annotated_input import ChosenSet, annotated_input

JOB = "yolo_evaluation"
DRAWN = 40


def view() -> None:
    """Draw the view: the annotated pictures on the left, curves and average precision on the right."""
    controls, shown = st.columns([1.05, 2.6], gap="medium")
    with controls:
        chosen = annotated_input(key="yolo_eval_set", default="collages", names=["collages", "streets"], count=DRAWN)
        if chosen is None:
            return
        try:
            known = embedded_detector().class_names
        except WeightsError as error:
            st.error(str(error), icon=":material/error:")
            return
        names = chosen.annotated.annotations.class_names
        shared = shared_classes(names, known)
        unknown = [name for index, name in enumerate(names) if index not in shared]
        if unknown:
            st.caption(f":material/info: The detector does not know {', '.join(unknown[:8])}; not counted.")
        if not shared:
            st.error(f"The detector knows none of these classes; it knows {', '.join(known)}.", icon=":material/error:")
            return
        job = current_job(JOB)
        running = job is not None and job.state in ACTIVE
        if st.button(
            "Evaluate",
            type="primary",
            icon=":material/play_arrow:",
            key="yolo_eval_start",
            width="stretch",
            disabled=running,
        ):
            start_job(
                JOB,
                view_tasks.detect_annotated,
                chosen.annotated,
                title=f"Evaluating on {chosen.label}",
                fingerprint=chosen.fingerprint,
            )
    with shown:
        job = current_job(JOB)
        if job is None:
            pictures = chosen.annotated.annotations.pictures
            st.info(
                f"{len(pictures)} pictures, {sum(len(p.class_ids) for p in pictures)} objects. The detector looks at "
                "all of them once; the IoU threshold can be moved afterwards without a new run.",
                icon=":material/fact_check:",
            )
        job_view(JOB, draw_live=_draw_live, draw_result=functools.partial(_draw_result, chosen, shared))


def _draw_live(job: JobView) -> None:
    if isinstance(job.preview, bytes):
        st.image(job.preview, caption="The latest that was looked at", width="content")


@st.cache_resource(max_entries=8, show_spinner=False)
def _evaluated(job_id: str, fingerprint: str, _truth: list[ImageTruth], _run: EvaluationRun) -> Evaluation:
    return evaluate(_truth, _run.found, len(_run.class_names))


@st.cache_resource(max_entries=256, show_spinner=False)
def _curve(
    job_id: str, fingerprint: str, class_id: int, threshold: float, _truth: list[ImageTruth], _run: EvaluationRun
) -> PrecisionRecall:
    return precision_recall(_truth, _run.found, class_id, threshold)


@st.fragment
def _draw_result(chosen: ChosenSet, shared: dict[int, int], run: EvaluationRun, job: JobView) -> None:
    pictures = chosen.annotated.annotations.pictures
    if run.fingerprint != chosen.fingerprint:
        st.info("The last evaluation was of other pictures. Start it for these.", icon=":material/info:")
        return
    truth = [as_truth(p.boxes_xyxy, p.class_ids, shared, len(run.class_names)) for p in pictures]
    measured = _evaluated(job.id, chosen.fingerprint, truth, run)
    first, second, third = st.columns(3)
    first.metric("mAP@.5", _percent(measured.map_50))
    second.metric("mAP@.5:.95", _percent(measured.map_50_95), help="The mean over the IoU thresholds .5, .55, …, .95.")
    third.metric("Pictures", f"{len(pictures):,}", help=f"Looked at in {duration(run.seconds)}, by {run.model}.")
    threshold = st.slider(
        "IoU from which a box counts as found",
        0.1,
        0.95,
        0.5,
        0.05,
        key="yolo_eval_iou",
        bind="query-params",
        help="The network does not run again: its boxes are matched anew.",
    )
    classes = [index for index in sorted(set(shared.values())) if measured.true_boxes[index]]
    if not classes:
        st.info("There is no object of a class that the detector knows.", icon=":material/search_off:")
        return
    curves = {index: _curve(job.id, chosen.fingerprint, index, float(threshold), truth, run) for index in classes}
    show(
        line_chart(
            {run.class_names[index]: (curve.recall, curve.precision) for index, curve in curves.items()},
            x_title="recall",
            y_title="precision",
            markers=False,
            height_px=340,
        ).update_layout(xaxis_range=[0, 1.02], yaxis_range=[0, 1.04]),
        key="yolo_eval_curves",
    )
    table = pd.DataFrame(
        {
            "Class": [run.class_names[index] for index in classes],
            "Objects": [int(measured.true_boxes[index]) for index in classes],
            f"AP@{threshold:.2f}".replace("0.", "."): [100 * average_precision(curves[index]) for index in classes],
            "AP@.50": [100 * float(measured.average_precision[index, 0]) for index in classes],
            "AP@.50:.95": [100 * float(np.mean(measured.average_precision[index])) for index in classes],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        key="yolo_eval_table",
        column_config={
            name: st.column_config.NumberColumn(format="%.1f") for name in table.columns if name.startswith("AP")
        },
    )
    download_table(table, name="average_precision", key="yolo_eval_csv")
    _mathematics(run, curves, classes)


def _percent(value: float) -> str:
    return "not measured" if np.isnan(value) else f"{100 * value:.1f} %"


def _mathematics(run: EvaluationRun, curves: dict[int, PrecisionRecall], classes: list[int]) -> None:
    index = max(classes, key=lambda class_id: len(curves[class_id].recall))
    curve = curves[index]
    sure = int((curve.scores >= 0.25).sum())
    if not sure:
        return
    hits = round(float(curve.precision[sure - 1]) * sure)
    objects = round(hits / float(curve.recall[sure - 1])) if curve.recall[sure - 1] > 0 else 0
    recall = rf"\frac{{{hits}}}{{{objects}}} = {number(hits / objects)}" if objects else "0"
    formula(
        r"\text{precision} = \frac{\text{found rightly}}{\text{all boxes}} \qquad "
        r"\text{recall} = \frac{\text{found rightly}}{\text{all objects}}",
        rf"\text{{precision}} = \frac{{{hits}}}{{{sure}}} = {number(hits / sure)} \qquad \text{{recall}} = {recall}",
        explanation=f"For {run.class_names[index]} at a confidence of 0.25. Lowering the confidence walks along the "
        "curve to the right. AP is the area under it: the mean of the best precision at 101 recalls.",
    )
