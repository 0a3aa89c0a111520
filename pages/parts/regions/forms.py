"""The three forms of R-CNN and YOLO on one picture: the boxes of each, and the time of every stage."""

import functools

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.detection import region_tasks
from core.detection.drawing import draw_detections, screen_canvas
from core.detection.evaluation import ImageDetections
from core.detection.predictions import select
from core.detection.proposals import MOST_PROPOSALS, SearchResult
from core.detection.rcnn.results import FORM_TITLES, STAGES, FormAnswer
from core.detection.report_rows import coco_rows
from core.runtime.images import display_jpeg
from core.runtime.jobs import JobView
from pages.parts.downloads import download_json, download_table
from pages.parts.figures import LINE_COLOURS, show
from pages.parts.formula import formula, number
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.job_view import ACTIVE, current_job, job_view, start_job
from pages.parts.regions.answers import quick_forms, searched
from pages.parts.regions.waiting import waiting_picture

JOB = "regions_rcnn"
POOLINGS = {"align": "RoI align", "max": "RoI pooling"}
PATTERNS = ("", "/", ".", "x", "-", "+", "|")
WHAT_IT_DOES = {
    "rcnn": "selective search, every proposal warped to 64 × 64 px, the backbone on each crop",
    "fast_rcnn": "selective search, the backbone once, regions pooled from its map",
    "faster_rcnn": "the backbone once, proposals by a network on its map, regions pooled from it",
    "embedded": "the backbone once, every cell of its map answers at once",
}


def view() -> None:
    """Draw the view: controls on the left, four pictures on the right, times below."""
    controls, shown = st.columns([1.05, 3.5], gap="medium")
    with controls:
        image = image_input(default="motorcycle")
        confidence = float(
            st.slider("Confidence", 0.05, 0.95, 0.3, 0.05, key="regions_confidence", bind="query-params")
        )
        most = int(
            st.slider(
                "Proposals looked at",
                50,
                MOST_PROPOSALS,
                500,
                50,
                key="regions_most",
                bind="query-params",
                help="Of selective search, by R-CNN and Fast R-CNN. Faster R-CNN looks at 150 of its own.",
            )
        )
        pooling = st.radio(
            "Fast R-CNN reads regions by",
            list(POOLINGS),
            format_func=POOLINGS.__getitem__,
            horizontal=True,
            key="regions_pooling",
            bind="query-params",
            help="The head learned on RoI align; the paper's RoI pooling rounds regions to whole cells.",
        )
    with shown:
        found = searched(image, draw_waiting=functools.partial(waiting_picture, image))
    with controls:
        count = most if found is None else min(most, len(found.proposals_xyxy))
        job = current_job(JOB)
        st.button(
            f"Run R-CNN on {count:,} crops",
            type="primary",
            icon=":material/play_arrow:",
            key="regions_start",
            width="stretch",
            disabled=found is None or (job is not None and job.state in ACTIVE),
            on_click=_start,
            args=(image, most, found),
        )
    if found is None:
        return
    with shown:
        quick = quick_forms(
            image, most, pooling or "align", found, draw_waiting=functools.partial(waiting_picture, image)
        )
        if quick is None:
            return
        slow = _finished(image, most)
        answers = [*([slow] if slow else []), *quick]
        by_form = {answer.form: answer for answer in answers}
        for row in (("rcnn", "fast_rcnn"), ("faster_rcnn", "embedded")):
            for column, form in zip(st.columns(2, gap="small"), row, strict=True):
                with column:
                    if form in by_form:
                        _panel(image, by_form[form], confidence)
                    else:
                        _missing_panel(image, count)
    _times(answers)
    _mathematics(found, count, by_form)
    _downloads(image, answers, confidence)


def _start(image: ChosenImage, most: int, found: SearchResult) -> None:
    start_job(
        JOB,
        region_tasks.crop_form,
        image.pixels,
        image.sha256,
        title=f"R-CNN on {image.name}",
        most=most,
        found=found,
    )


def _finished(image: ChosenImage, most: int) -> FormAnswer | None:
    """R-CNN's answer for this picture and number of proposals, if its job is done."""
    kept: list[FormAnswer] = []

    def keep(result: tuple[str, int, FormAnswer], job: JobView) -> None:
        sha256, looked_at, answer = result
        if sha256 == image.sha256 and looked_at == most:
            kept.append(answer)

    job = current_job(JOB)
    if job is not None and job.state not in ACTIVE:
        job_view(JOB, draw_live=lambda job: None, draw_result=keep)
    return kept[0] if kept else None


def _missing_panel(image: ChosenImage, count: int) -> None:
    job = current_job(JOB)
    with st.container(border=True):
        st.markdown(f"**R-CNN** · {WHAT_IT_DOES['rcnn']}")
        if job is not None and job.state in ACTIVE:
            job_view(JOB, draw_live=functools.partial(_draw_crops, image.name))
        else:
            st.info(
                f"The backbone would run {count:,} times, which takes seconds. Start it with the button beside the "
                "pictures.",
                icon=":material/hourglass_empty:",
            )


def _draw_crops(name: str, job: JobView) -> None:
    if isinstance(job.preview, bytes):
        st.image(job.preview, caption=f"Warped crops of {name} that the network looks at now", width=330)


def _panel(image: ChosenImage, form: FormAnswer, confidence: float) -> None:
    selected = select(form.answer, confidence, 0.45).detections
    canvas, scale = screen_canvas(image.pixels)
    found = ImageDetections(scale * selected.boxes_xyxy, selected.class_ids, selected.scores)
    drawn = draw_detections(canvas, found, form.answer.class_names)
    objects = "1 object" if len(found.scores) == 1 else f"{len(found.scores)} objects"
    title = FORM_TITLES[form.form]
    st.image(display_jpeg(drawn, max_width_px=720), width="stretch", alt=f"{image.name} with {objects} of {title}")
    st.caption(f"**{title} · {form.total_ms:,.0f} ms** · {objects}: {WHAT_IT_DOES[form.form]}")


def _times(answers: list[FormAnswer]) -> None:
    st.markdown("**Where the time goes**")
    chart, table = st.columns([1.5, 1], gap="medium")
    present = {stage.name for answer in answers for stage in answer.stages}
    figure = go.Figure()
    for index, name in enumerate(STAGES):  # each stage keeps its colour, whichever forms are there
        if name not in present:
            continue
        times = [sum(stage.ms for stage in answer.stages if stage.name == name) for answer in answers]
        figure.add_trace(
            go.Bar(
                y=[FORM_TITLES[answer.form] for answer in answers],
                x=times,
                name=name,
                orientation="h",
                marker={
                    "color": LINE_COLOURS[index % len(LINE_COLOURS)],
                    "pattern": {"shape": PATTERNS[index % len(PATTERNS)]},
                },
                hovertemplate="%{y}, " + name + ": %{x:.1f} ms<extra></extra>",
            )
        )
    for answer in answers:
        figure.add_annotation(
            y=FORM_TITLES[answer.form],
            x=answer.total_ms,
            text=f" {answer.total_ms:,.0f} ms",
            showarrow=False,
            xanchor="left",
        )
    figure.update_layout(
        barmode="stack",
        height=300,
        margin={"l": 8, "r": 70, "t": 10, "b": 8},
        xaxis_title="milliseconds",
        yaxis={"autorange": "reversed"},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
    )
    with chart:
        show(figure, key="regions_times")
    rows = [
        {"Form": FORM_TITLES[answer.form], "Stage": stage.name, "ms": stage.ms}
        for answer in answers
        for stage in answer.stages
    ]
    with table:
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            width="stretch",
            column_config={"ms": st.column_config.NumberColumn(format="%.1f")},
            key="regions_stages",
        )
        download_table(pd.DataFrame(rows), name="stage_times", key="regions_stages_csv", label="Times (CSV)")
    fastest_first = " < ".join(FORM_TITLES[a.form] for a in sorted(answers, key=lambda answer: answer.total_ms))
    st.caption(
        f"Measured here, on this picture, all on one engine (TensorFlow): {fastest_first}. On a busy machine single "
        "runs vary; the mean over many pictures is in the view “Quality and speed”."
    )


def _mathematics(found: SearchResult, count: int, by_form: dict[str, FormAnswer]) -> None:
    fast = by_form.get("fast_rcnn")
    if fast is None:
        return
    search, backbone, head = (stage.ms for stage in fast.stages)
    slow = by_form.get("rcnn")
    lines = [
        r"t_{Fast} = t_{search} + t_{backbone} + n\,t_{region}",
        rf"t_{{Fast}} = {_ms(search)} + {_ms(backbone)} + {count}\cdot{number(head / max(count, 1))} = "
        rf"{_ms(fast.total_ms)}\text{{ ms}}",
    ]
    if slow is not None:
        crops = sum(stage.ms for stage in slow.stages[1:])
        lines += [
            r"t_{R-CNN} = t_{search} + n\,t_{crop}",
            rf"t_{{R-CNN}} = {_ms(slow.stages[0].ms)} + {count}\cdot{number(crops / max(count, 1))} = "
            rf"{_ms(slow.total_ms)}\text{{ ms}}",
        ]
    formula(
        lines[0],
        *lines[1:],
        explanation="R-CNN pays the backbone for every proposal, Fast R-CNN once; what is left is the search, which "
        "Faster R-CNN replaces by a network on the map that is there already. YOLO leaves out the second look.",
    )


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else number(value)


def _downloads(image: ChosenImage, answers: list[FormAnswer], confidence: float) -> None:
    rows: dict[str, list[dict[str, object]]] = {
        answer.form: coco_rows(
            image.name, select(answer.answer, confidence, 0.45).detections, answer.answer.class_names
        )
        for answer in answers
    }
    counts = np.array([len(boxes) for boxes in rows.values()])
    with st.container(horizontal=True):
        download_json(
            rows, name=f"{image.name}_forms", key="regions_json", label=f"Boxes of all forms ({counts.sum()})"
        )
