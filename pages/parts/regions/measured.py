"""Quality and speed of the forms: as measured with the weights, and live on a visitor's annotated pictures."""

import functools

import numpy as np
import pandas as pd
import streamlit as st

from core.detection import region_tasks
from core.detection.curves import as_truth, shared_classes
from core.detection.embedded import WeightsError
from core.detection.evaluation import evaluate
from core.detection.rcnn.results import FORM_TITLES
from core.detection.region_tasks import FormsEvaluation
from core.runtime import weights
from core.runtime.jobs import JobView
from pages.parts.downloads import download_table
from pages.parts.figures import bar_chart, show
from pages.parts.formula import formula, number
from pages.parts.job_view import ACTIVE, current_job, duration, job_view, start_job
from pages.parts.yolo.annotated_input import ChosenSet, annotated_input

JOB = "regions_evaluation"
DRAWN = 12
ORDER = ("rcnn", "fast_rcnn", "faster_rcnn", "embedded")


def view() -> None:
    """Draw the view."""
    try:
        row = weights.describe(region_tasks.NAME)
    except WeightsError as error:
        st.error(str(error), icon=":material/error:")
        return
    _kept(row)
    _live(tuple(row.facts["classes"]))


def _kept(row: weights.ModelFile) -> None:
    measured = row.facts.get("measured", {})
    st.markdown("**Measured when the weights were made**")
    table = pd.DataFrame(
        [
            {
                "Form": FORM_TITLES[form],
                "mAP@.5": measured[form]["map_50"],
                "mAP@.5:.95": measured[form]["map_50_95"],
                "Time a picture (ms)": measured[form]["ms"],
            }
            for form in ORDER
            if form in measured
        ]
    )
    left, right = st.columns([1, 1.2], gap="medium")
    with left:
        st.dataframe(
            table,
            hide_index=True,
            width="stretch",
            column_config={
                "mAP@.5": st.column_config.NumberColumn(format="%.1f"),
                "mAP@.5:.95": st.column_config.NumberColumn(format="%.1f"),
                "Time a picture (ms)": st.column_config.NumberColumn(format="%.0f"),
            },
            key="regions_measured",
        )
        st.caption(str(row.facts.get("measured_on", "")))
        download_table(table, name="forms", key="regions_measured_csv")
    with right:
        show(
            bar_chart(
                {"ms": (list(table["Form"]), table["Time a picture (ms)"].to_numpy())},
                y_title="milliseconds (log)",
                log_y=True,
                height_px=260,
            ),
            key="regions_measured_times",
        )


def _live(known: tuple[str, ...]) -> None:
    st.divider()
    st.markdown("**On annotated pictures of your own, now**")
    controls, shown = st.columns([1.05, 2.6], gap="medium")
    with controls:
        chosen = annotated_input(key="regions_set", default="collages", names=["collages", "streets"], count=DRAWN)
        if chosen is None:
            return
        names = chosen.annotated.annotations.class_names
        shared = shared_classes(names, known)
        if not shared:
            st.error(f"The networks know none of these classes; they know {', '.join(known)}.", icon=":material/error:")
            return
        job = current_job(JOB)
        if st.button(
            "Run all four",
            type="primary",
            icon=":material/play_arrow:",
            key="regions_eval_start",
            width="stretch",
            disabled=job is not None and job.state in ACTIVE,
        ):
            start_job(
                JOB,
                region_tasks.evaluate_forms,
                chosen.annotated,
                title=f"Four detectors on {chosen.label}",
                fingerprint=chosen.fingerprint,
            )
    with shown:
        if current_job(JOB) is None:
            count = len(chosen.annotated.annotations.pictures)
            st.info(
                f"{count} pictures, each looked at by all four: R-CNN takes some seconds for each, the others a "
                "fraction of one. It can be stopped at any time.",
                icon=":material/timer:",
            )
        job_view(JOB, draw_live=_draw_live, draw_result=functools.partial(_draw_result, chosen, shared))


def _draw_live(job: JobView) -> None:
    if isinstance(job.preview, bytes):
        st.image(job.preview, caption="The latest picture", width=330)


def _draw_result(chosen: ChosenSet, shared: dict[int, int], result: FormsEvaluation, job: JobView) -> None:
    if result.fingerprint != chosen.fingerprint:
        st.info("The last run was on other pictures. Start it for these.", icon=":material/info:")
        return
    pictures = chosen.annotated.annotations.pictures
    truth = [as_truth(p.boxes_xyxy, p.class_ids, shared, len(result.class_names)) for p in pictures]
    rows = []
    for run in result.runs:
        measured = evaluate(truth, run.found, len(result.class_names))
        rows.append(
            {
                "Form": FORM_TITLES[run.form],
                "mAP@.5": 100 * measured.map_50,
                "mAP@.5:.95": 100 * measured.map_50_95,
                "Time a picture (ms)": run.total_ms,
                "Stages (ms)": ", ".join(f"{stage.name} {stage.ms:.0f}" for stage in run.stages),
            }
        )
    table = pd.DataFrame(rows)
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        column_config={
            name: st.column_config.NumberColumn(format="%.1f")
            for name in ("mAP@.5", "mAP@.5:.95", "Time a picture (ms)")
        },
        key="regions_live",
    )
    reached, wanted = result.search_recall
    st.caption(
        f"{len(pictures)} pictures in {duration(result.seconds)}. Selective search made {result.proposals:.0f} "
        f"proposals a picture and reached {reached} of {wanted} annotated boxes at an IoU of 0.5."
    )
    show(
        bar_chart(
            {"ms": (list(table["Form"]), np.array(table["Time a picture (ms)"]))},
            y_title="milliseconds (log)",
            log_y=True,
            height_px=240,
        ),
        key="regions_live_times",
    )
    download_table(table, name="forms_live", key="regions_live_csv")
    if wanted:
        formula(
            r"\text{recall} = \frac{\text{boxes reached}}{\text{all boxes}}",
            rf"\text{{recall}} = \frac{{{reached}}}{{{wanted}}} = {number(reached / wanted)}",
        )
