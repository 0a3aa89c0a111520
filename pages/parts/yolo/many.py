"""Many pictures or a video: detection as a job, then counts, tables and annotated copies to take away."""

import pandas as pd
import streamlit as st

from core.detection import view_tasks
from core.detection.batch import BatchError, BatchResult, above, collect_pictures, count_by_class, zip_of
from core.detection.report_rows import COLUMNS, coco_rows, table_rows
from core.detection.video import VideoResult, video_kind
from core.runtime.jobs import JobView
from pages.parts.downloads import download_bytes, download_json, download_table
from pages.parts.figures import bar_chart, line_chart, show
from pages.parts.job_view import ACTIVE, current_job, duration, job_view, start_job

PICTURES_JOB, VIDEO_JOB = "yolo_many", "yolo_video"
PICTURE_TYPES = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "zip"]
VIDEO_TYPES = ["mp4", "m4v", "mov", "avi", "webm", "mkv"]


def view() -> None:
    """Draw the view: what to look through and how on the left, the job and its result on the right."""
    controls, result = st.columns([1.05, 2.6], gap="medium")
    with controls:
        kind = st.segmented_control(
            "Look through",
            ["pictures", "video"],
            format_func=str.capitalize,
            default="pictures",
            required=True,
            key="yolo_many_kind",
            bind="query-params",
        )
        if kind == "video":
            _video_controls()
        else:
            _picture_controls()
    key = VIDEO_JOB if kind == "video" else PICTURES_JOB
    with result:
        if current_job(key) is None:
            st.info(
                "Choose a video; a frame is looked at several times a second."
                if kind == "video"
                else "Choose pictures, or a zip of them. One that cannot be read is left out and named.",
                icon=":material/upload:",
            )
        job_view(key, draw_live=_draw_live, draw_result=_draw_video if kind == "video" else _draw_pictures)


def _thresholds() -> tuple[float, float]:
    confidence = st.slider(
        "Confidence from",
        0.05,
        0.95,
        0.25,
        0.05,
        key="yolo_many_confidence",
        bind="query-params",
        help="Boxes with a lower score are not kept. The result can be narrowed further without a new run.",
    )
    iou = st.slider(
        "IoU for non-max suppression",
        0.1,
        0.9,
        0.45,
        0.05,
        key="yolo_many_iou",
        bind="query-params",
        help="Of two boxes of a class that overlap more than this only the better one stays.",
    )
    return float(confidence), float(iou)


def _start_button(key: str, *, ready: bool) -> bool:
    job = current_job(key)
    running = job is not None and job.state in ACTIVE
    return st.button(
        "Start again" if job else "Detect",
        type="primary",
        icon=":material/play_arrow:",
        key=f"{key}_start",
        width="stretch",
        disabled=not ready or running,
    )


def _picture_controls() -> None:
    given = st.file_uploader(
        "Pictures, or a zip of them", type=PICTURE_TYPES, accept_multiple_files=True, key="yolo_many_files"
    )
    confidence, iou = _thresholds()
    if not _start_button(PICTURES_JOB, ready=bool(given)):
        return
    try:
        files, skipped = collect_pictures([(file.name, file.getvalue()) for file in given])
    except BatchError as error:
        st.error(str(error), icon=":material/broken_image:")
        return
    if skipped:
        st.caption(f":material/info: {len(skipped)} files are no pictures by their names and are left out.")
    start_job(
        PICTURES_JOB,
        view_tasks.detect_many,
        files,
        title=f"Detecting in {len(files)} pictures",
        confidence=confidence,
        iou_threshold=iou,
    )


def _video_controls() -> None:
    given = st.file_uploader("Video (MP4, MOV, AVI, WebM, MKV)", type=VIDEO_TYPES, key="yolo_many_video")
    looks = st.select_slider(
        "Looks a second",
        [1, 2, 5, 10, 30],
        5,
        key="yolo_many_looks",
        bind="query-params",
        help="How many frames of each second the network sees. The annotated video has as many.",
    )
    confidence, iou = _thresholds()
    if not _start_button(VIDEO_JOB, ready=given is not None) or given is None:
        return
    data = given.getvalue()
    if video_kind(data) is None:
        st.error(
            f"{given.name} is no video: expected the content of an MP4, MOV, AVI, WebM or MKV file.",
            icon=":material/videocam_off:",
        )
        return
    start_job(
        VIDEO_JOB,
        view_tasks.detect_video,
        data,
        title=f"Detecting in {given.name}",
        looks_per_s=float(looks),
        confidence=confidence,
        iou_threshold=iou,
    )


def _draw_live(job: JobView) -> None:
    if isinstance(job.preview, bytes):
        st.image(job.preview, caption="The latest that was looked at", width="content")


@st.fragment
def _draw_pictures(result: BatchResult, job: JobView) -> None:
    confidence = st.slider(
        "Show boxes from a confidence of", 0.05, 0.95, 0.05, 0.05, key="yolo_many_shown", help="No new run is needed."
    )
    found = {picture.name: above(picture.found, confidence) for picture in result.pictures}
    total = sum(len(boxes.scores) for boxes in found.values())
    st.success(
        f"{total:,} objects in {len(result.pictures):,} pictures in {_spent(result.seconds)}, by {result.model}.",
        icon=":material/check_circle:",
    )
    if result.skipped:
        with st.expander(f"Could not be read: {len(result.skipped)}", icon=":material/broken_image:"):
            st.markdown("\n".join(f"- {sentence}" for sentence in result.skipped[:200]))
    names = list(result.copies)
    index = 0
    if len(names) > 1:
        index = min(
            int(st.number_input(f"Picture, 0 to {len(names) - 1}", 0, None, 0, key="yolo_many_look")), len(names) - 1
        )
    st.image(result.copies[names[index]], caption=names[index], width="content")
    _counts(count_by_class(list(found.values()), result.class_names), key="yolo_many_counts")
    coco = [row for name, boxes in found.items() for row in coco_rows(name, boxes, result.class_names)]
    rows = [row for name, boxes in found.items() for row in table_rows(name, boxes, result.class_names)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    st.dataframe(table, hide_index=True, key="yolo_many_table", height=260)
    with st.container(horizontal=True):
        download_json(coco, name="detections", key="yolo_many_json", label="COCO JSON")
        download_table(table, name="detections", key="yolo_many_csv")
        download_bytes(
            lambda: zip_of(result.copies),
            file_name="annotated_pictures.zip",
            key="yolo_many_zip",
            label="Annotated pictures (zip)",
            mime="application/zip",
        )
    st.caption("The annotated pictures show the boxes of the run's own confidence.")


def _spent(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def _counts(counts: dict[str, int], *, key: str) -> None:
    if not counts:
        st.info("Nothing was found at this confidence.", icon=":material/search_off:")
        return
    show(bar_chart({"boxes": (list(counts), list(counts.values()))}, y_title="boxes", height_px=220), key=key)


@st.fragment
def _draw_video(result: VideoResult, job: JobView) -> None:
    found = [frame.found for frame in result.frames]
    total = sum(len(boxes.scores) for boxes in found)
    width, height = result.info.size_px
    st.success(
        f"{total:,} boxes in {len(result.frames):,} frames ({width} × {height}) in {_spent(result.seconds)}, by "
        f"{result.model}.",
        icon=":material/check_circle:",
    )
    if result.is_cut:
        last = result.frames[-1].time_s
        st.warning(
            f"Only the first {duration(last)} were looked at; fewer looks a second reach further.",
            icon=":material/content_cut:",
        )
    index = 0
    if len(result.stills) > 1:
        index = st.slider("Still", 0, len(result.stills) - 1, 0, key="yolo_video_still")
    second, still = result.stills[index]
    st.image(still, caption=f"After {second:.1f} s", width="content")
    counts = count_by_class(found, result.class_names)
    _counts(counts, key="yolo_video_counts")
    times = [frame.time_s for frame in result.frames]
    lines = {
        name: (times, [int((boxes.class_ids == result.class_names.index(name)).sum()) for boxes in found])
        for name in list(counts)[:6]
    }
    if lines and len(times) > 1:
        show(
            line_chart(lines, x_title="seconds", y_title="boxes", markers=False, height_px=220), key="yolo_video_lines"
        )
    named = [(f"frame_{frame.frame:06d}", frame) for frame in result.frames]
    coco = [row for name, frame in named for row in coco_rows(name, frame.found, result.class_names)]
    rows = [
        {"time_s": round(frame.time_s, 3), **row}
        for name, frame in named
        for row in table_rows(name, frame.found, result.class_names)
    ]
    table = pd.DataFrame(rows, columns=["time_s", *COLUMNS])
    with st.container(horizontal=True):
        download_bytes(
            lambda: result.video,
            file_name=f"annotated{result.suffix}",
            key="yolo_video_file",
            label="Annotated video",
            mime=result.mime,
        )
        download_json(coco, name="detections", key="yolo_video_json", label="COCO JSON")
        download_table(table, name="detections", key="yolo_video_csv")
