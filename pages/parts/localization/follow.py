"""One landmark over several photographs: its number stands for the same part of a face in all of them."""

import functools

import numpy as np
import pandas as pd
import streamlit as st

from core.detection import landmarks_tasks as tasks
from core.detection.batch import PictureFile
from core.detection.landmarks import LANDMARKS, crop_around, draw_faces, eye_line_degrees, in_face, turned_photographs
from core.detection.landmarks_tasks import Followed, FollowedPhoto
from core.runtime.images import content_hash, display_jpeg, encode_jpeg, fit_within
from core.runtime.jobs import JobView
from pages.parts.downloads import download_table
from pages.parts.figures import LINE_COLOURS, show
from pages.parts.formula import formula
from pages.parts.image_input import UPLOAD_TYPES
from pages.parts.job_view import ACTIVE, current_job, duration, job_view, start_job

JOB = "landmarks"
MOST_PHOTOS = 24
STARTED_BY_ITSELF = "_loc_follow_started"
TILE_PX, THUMBNAIL_PX = 100, 260


def view() -> None:
    """Draw the view: the photographs and the landmark on the left, the landmark in each of them on the right."""
    controls, result = st.columns([1.05, 2.9], gap="medium")
    with controls:
        files = _photographs()
        landmark = int(
            st.selectbox(
                "Landmark",
                list(range(len(LANDMARKS))),
                index=2,
                format_func=lambda index: f"{index + 1}: {LANDMARKS[index]}",
                key="loc_landmark",
                bind="query-params",
                help="The landmark that is marked in all photographs.",
            )
            or 0
        )
        job = current_job(JOB)
        running = job is not None and job.state in ACTIVE
        start = st.button(
            "Look again" if job else "Find the landmarks",
            type="primary",
            icon=":material/play_arrow:",
            key="loc_follow_start",
            width="stretch",
            disabled=not files or running,
        )
        st.caption("Found is the largest face of each photograph, by MTCNN.")
    # The photographs that come with the page are looked at without being asked, once.
    by_itself = job is None and not st.session_state.get(STARTED_BY_ITSELF) and bool(files)
    if start or by_itself:
        st.session_state[STARTED_BY_ITSELF] = True
        start_job(JOB, tasks.follow_landmarks, files, title=f"Landmarks in {len(files)} photographs")
    with result:
        if current_job(JOB) is None:
            st.info("Choose photographs of faces, one by one or all at once.", icon=":material/upload:")
        job = job_view(
            JOB,
            draw_live=_draw_live,
            draw_result=functools.partial(_draw_result, landmark),
        )
        if job is not None and job.state in ACTIVE and files == _turned():
            with st.container(horizontal=True, gap="small"):
                for file in files:
                    st.image(file.data, width=TILE_PX, alt=f"The photograph {file.name}, to be looked at")
            st.caption("The photographs that are being looked at. The first of them waits until MTCNN is loaded.")


@st.cache_resource(max_entries=1, show_spinner=False)
def _turned() -> tuple[PictureFile, ...]:
    return tuple(PictureFile(name, encode_jpeg(pixels, 95)) for name, pixels in turned_photographs())


def _photographs() -> tuple[PictureFile, ...]:
    kind = st.segmented_control(
        "Photographs",
        ["sample", "own"],
        format_func={"sample": "One, turned", "own": "Your own"}.__getitem__,
        default="sample",
        required=True,
        key="loc_follow_from",
        bind="query-params",
        help="Six views of the sample photograph, turned, nearer and farther; or photographs of your own.",
    )
    if kind == "sample":
        return _turned()
    given = st.file_uploader(
        f"Photographs, at most {MOST_PHOTOS}",
        type=UPLOAD_TYPES,
        accept_multiple_files=True,
        key="loc_follow_files",
    )
    if len(given) > MOST_PHOTOS:
        st.error(f"There are {len(given)} photographs; the first {MOST_PHOTOS} are taken.", icon=":material/error:")
    return tuple(PictureFile(file.name, file.getvalue()) for file in given[:MOST_PHOTOS])


def _draw_live(job: JobView) -> None:
    if isinstance(job.preview, bytes):
        st.image(job.preview, width=420, alt="The photograph that was looked at last")


def _draw_result(landmark: int, followed: Followed, job: JobView) -> None:
    found = [photo for photo in followed.photos if photo.face is not None]
    for sentence in followed.skipped:
        st.text(f"Left out: {sentence}")
    missed = [photo.name for photo in followed.photos if photo.face is None]
    if missed:
        st.text(f"No face found in: {', '.join(name[-40:] for name in missed)}")
    if not found:
        st.info("No face was found in any of the photographs.", icon=":material/search_off:")
        return
    _pictures(found, landmark, job.id)
    st.dataframe(_table(found, landmark), hide_index=True, width="stretch", key="loc_follow_table")
    download_table(_all_landmarks(found), name="landmarks", key="loc_follow_csv", label="All landmarks (CSV)")
    _chart(found, landmark)
    _spread(found, landmark, followed)


def _pictures(found: list[FollowedPhoto], landmark: int, job_id: str) -> None:
    """The photographs, as many in a row as there is room for, and under each what lies around the landmark."""
    with st.container(horizontal=True, gap="small"):
        for photo in found:
            with st.container(width=TILE_PX, gap="small"):
                whole, crop = _drawn(job_id, content_hash(photo.pixels), landmark, photo)
                st.image(whole, width="stretch", alt=f"{photo.name} with landmark {landmark + 1} marked")
                st.image(crop, width="stretch", alt=f"What lies around landmark {landmark + 1} in {photo.name}")
                st.text(photo.name[-24:])


@st.cache_data(max_entries=256, show_spinner=False)
def _drawn(job_id: str, sha256: str, landmark: int, _photo: FollowedPhoto) -> tuple[bytes, bytes]:
    """The photograph with its landmark and the part around it, as JPEG."""
    face = _photo.face
    if face is None:
        return display_jpeg(fit_within(_photo.pixels, THUMBNAIL_PX)), b""
    # Drawn as small as it is shown, so that the mark keeps its size on the screen.
    canvas = fit_within(_photo.pixels, THUMBNAIL_PX)
    whole = draw_faces(canvas, [face], canvas.shape[1] / _photo.pixels.shape[1], landmark=landmark)
    side = 0.6 * (face.box_xyxy[2] - face.box_xyxy[0])
    return display_jpeg(whole, 480), display_jpeg(crop_around(_photo.pixels, face.points[landmark], side))


def _table(found: list[FollowedPhoto], landmark: int) -> pd.DataFrame:
    rows = []
    for photo in found:
        if photo.face is None:
            continue
        height, width = photo.pixels.shape[:2]
        x, y = photo.face.points[landmark]
        u, v = in_face(photo.face)[landmark]
        rows.append(
            {
                "Photograph": photo.name[-40:],
                f"l_{landmark + 1}x": round(float(x) / width, 3),
                f"l_{landmark + 1}y": round(float(y) / height, 3),
                "x in the face": round(float(u), 3),
                "y in the face": round(float(v), 3),
                "Eyes turned (°)": round(eye_line_degrees(photo.face), 1),
            }
        )
    return pd.DataFrame(rows)


def _all_landmarks(found: list[FollowedPhoto]) -> pd.DataFrame:
    rows = []
    for photo in found:
        if photo.face is None:
            continue
        height, width = photo.pixels.shape[:2]
        row: dict[str, str | float] = {"photograph": photo.name}
        for index, (x, y) in enumerate(photo.face.points, start=1):
            row[f"l_{index}x"], row[f"l_{index}y"] = round(float(x) / width, 4), round(float(y) / height, 4)
        rows.append(row)
    return pd.DataFrame(rows)


def _chart(found: list[FollowedPhoto], landmark: int) -> None:
    """Where the five landmarks lie in the face's box, over all photographs."""
    import plotly.graph_objects as go

    figure = go.Figure()
    places = np.array([in_face(photo.face) for photo in found if photo.face is not None])  # (n, 5, 2)
    for index, name in enumerate(LANDMARKS):
        figure.add_trace(
            go.Scatter(
                x=places[:, index, 0],
                y=places[:, index, 1],
                mode="markers",
                name=f"{index + 1} {name}",
                text=[photo.name for photo in found],
                marker={
                    "color": LINE_COLOURS[index],
                    "size": 13 if index == landmark else 7,
                    "symbol": ("circle", "square", "diamond", "triangle-up", "cross")[index],
                    "line": {"width": 1.5 if index == landmark else 0, "color": "#111827"},
                },
                hovertemplate="%{text}<br>x %{x:.2f}, y %{y:.2f} of the face<extra></extra>",
            )
        )
    figure.update_xaxes(range=[0, 1], title="x in the face’s box", constrain="domain")
    figure.update_yaxes(range=[1, 0], title="y", scaleanchor="x", scaleratio=1.2, constrain="domain")
    figure.update_layout(
        height=340, margin={"l": 8, "r": 8, "t": 10, "b": 8}, legend={"orientation": "v", "font": {"size": 12}}
    )
    show(figure, key="loc_follow_chart")


def _spread(found: list[FollowedPhoto], landmark: int, followed: Followed) -> None:
    faces = [(photo.face, photo.pixels.shape) for photo in found if photo.face is not None]
    in_image = np.array([face.points[landmark] / [shape[1], shape[0]] for face, shape in faces])
    inside = np.array([in_face(face)[landmark] for face, _ in faces])
    k = landmark + 1
    if len(faces) > 1:
        formula(
            rf"\sigma(l_{{{k}x}}) = {in_image[:, 0].std():.3f}, \quad \sigma(l_{{{k}y}}) = {in_image[:, 1].std():.3f}",
            rf"\text{{in the face’s box: }} {inside[:, 0].std():.3f}, \; {inside[:, 1].std():.3f}",
            explanation=f"Landmark {k} is the {LANDMARKS[landmark]} in all {len(faces)} photographs, which is what "
            "makes it learnable. In the picture it wanders with the face (standard deviation in fractions of the "
            f"picture), in the face's own box it hardly does. Found in {duration(followed.seconds)}.",
        )
