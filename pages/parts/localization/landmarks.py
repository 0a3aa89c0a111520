"""Landmarks of a face in a photograph: as points on it, and as the target vector of the course notes."""

import numpy as np
import pandas as pd
import streamlit as st

from core.detection.drawing import screen_canvas
from core.detection.landmarks import (
    LANDMARKS,
    SMALLEST_FACE_PX,
    FaceAnswer,
    draw_faces,
    eye_line_degrees,
    landmark_vector,
    sensible_smallest_face_px,
)
from core.detection.landmarks_tasks import find_landmarks
from core.runtime.images import display_jpeg, encode_jpeg
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_bytes, download_json, download_table
from pages.parts.formula import formula
from pages.parts.image_input import ChosenImage, image_input
from pages.parts.kept_calls import kept_call
from pages.parts.pace import picture_first
from pages.parts.pixels import picture

PICTURE_HEIGHT_PX = 400
# Loading TensorFlow and MTCNN takes its time on a busy machine.
TIMEOUT_S = 120.0


@st.fragment
def view() -> None:
    """Draw the view."""
    shown, controls = st.columns([1.9, 1.6], gap="medium")
    with controls:
        chosen = image_input(default="astronaut")
        height, width = chosen.pixels.shape[:2]
        smallest = st.slider(
            "Smallest face, pixels",
            SMALLEST_FACE_PX,
            240,
            sensible_smallest_face_px(width, height),
            4,
            key="loc_smallest",
            bind="query-params",
            help="Faces narrower than this are not looked for. Larger is faster: the first stage looks at a smaller "
            "copy of the picture, in which such a face fills a window of 12 px.",
        )
    with shown:
        answer: FaceAnswer | None = kept_call(find_landmarks, chosen.pixels, float(smallest), timeout_s=TIMEOUT_S)
    if answer is None:
        return
    if not answer.faces:
        with shown:
            st.image(display_jpeg(chosen.pixels), width="content", alt=f"{chosen.name}, in which no face was found")
        controls.info(
            f"No face of at least {smallest} px was found. Lower the smallest face, or take another picture.",
            icon=":material/search_off:",
        )
        return
    with controls:
        index = _face_control(answer)
    with shown:
        _draw(chosen, answer, index)
    picture_first(f"{chosen.sha256} {smallest} {index}", key="loc_landmarks")
    with controls:
        _table(answer, index)
    _mathematics(answer, index)
    as_code = st.expander("The same as code", icon=":material/code:", key="loc_faces_code_open", on_change="rerun")
    if as_code.open:
        with as_code:
            code_tabs(_snippets(int(smallest)), key="loc_faces_code")
    _downloads(chosen, answer, index)


def _face_control(answer: FaceAnswer) -> int:
    if len(answer.faces) == 1:
        return 0
    wanted = st.number_input(
        f"Face, 1 to {len(answer.faces)}, largest first", 1, None, 1, key="loc_face", bind="query-params"
    )
    return min(int(wanted), len(answer.faces)) - 1


def _draw(chosen: ChosenImage, answer: FaceAnswer, index: int) -> None:
    canvas, scale = screen_canvas(chosen.pixels)
    drawn = draw_faces(canvas, answer.faces, scale, chosen=index)
    rows, columns = drawn.shape[:2]
    picture(
        display_jpeg(drawn),
        rows=rows,
        columns=columns,
        key="loc_faces_picture",
        alt=f"{chosen.name} with five landmarks on a face",
        max_height_px=PICTURE_HEIGHT_PX,
    )
    count = len(answer.faces)
    st.caption(
        f"{'1 face' if count == 1 else f'{count} faces'} found by MTCNN (package mtcnn) in {answer.time_ms:,.0f} ms; "
        f"score of the chosen one {answer.faces[index].score:.3f}. "
        + "  ".join(f"**{number}** {name}" for number, name in enumerate(LANDMARKS, start=1))
        + ", left and right as seen."
    )


def _rows(answer: FaceAnswer, index: int) -> pd.DataFrame:
    face = answer.faces[index]
    vector = landmark_vector(face, answer.image_size)[1:].reshape(-1, 2)
    return pd.DataFrame(
        {
            "i": np.arange(1, len(LANDMARKS) + 1),
            "Landmark": LANDMARKS,
            "x (px)": face.points[:, 0].round(1),
            "y (px)": face.points[:, 1].round(1),
            "l_ix": vector[:, 0].round(4),
            "l_iy": vector[:, 1].round(4),
        }
    )


def _table(answer: FaceAnswer, index: int) -> None:
    st.markdown("**The target vector’s landmarks**")
    st.dataframe(_rows(answer, index), hide_index=True, width="stretch", key="loc_faces_table")
    face = answer.faces[index]
    left, top, right, bottom = face.box_xyxy
    st.caption(
        f"Face of {right - left:.0f} × {bottom - top:.0f} px; the line of the eyes is turned by "
        f"{eye_line_degrees(face):.1f}°. The same index is the same part of the face in every picture."
    )


def _mathematics(answer: FaceAnswer, index: int) -> None:
    width, height = answer.image_size
    face = answer.faces[index]
    vector = landmark_vector(face, answer.image_size)
    entries = ", & ".join(f"{value:.3f}" for value in vector)
    x, y = face.points[0]
    formula(
        r"y = [\,\text{face},\; l_{1x},\, l_{1y},\; l_{2x},\, l_{2y},\; \dots,\; l_{5x},\, l_{5y}\,]^T, \qquad "
        r"l_{ix} = \frac{x_i}{W}, \quad l_{iy} = \frac{y_i}{H}",
        rf"l_{{1x}} = \frac{{{x:.1f}}}{{{width}}} = {vector[1]:.3f}, \qquad "
        rf"l_{{1y}} = \frac{{{y:.1f}}}{{{height}}} = {vector[2]:.3f}",
        rf"y = [\,{entries.replace(', &', ',')}\,]^T",
        explanation=f"1 + 2 · 5 = 11 numbers: is there a face, and where are its {len(LANDMARKS)} landmarks, in "
        f"fractions of the {width:,} × {height:,} picture, with (0, 0) in its upper left corner.",
    )


def _snippets(smallest: int) -> dict[str, str]:
    return {
        "MTCNN": f"""import numpy as np
from mtcnn import MTCNN
from PIL import Image

image = np.asarray(Image.open("photo.jpg").convert("RGB"))
# The package's pyramid suits a smallest face of 20 px: a larger one is had by shrinking the picture first.
shrink = min(1.0, 20 / {smallest})
size = round(image.shape[1] * shrink), round(image.shape[0] * shrink)
small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
faces = MTCNN().detect_faces(small, box_format="xyxy")
for face in faces:
    points = np.array([face["keypoints"][name] for name in
                       ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")])
    y = np.concatenate([[1.0], (points / size).reshape(-1)])  # [face, l_1x, l_1y, ..., l_5y]
    print(y.round(3))
""",
        "NumPy": """import numpy as np

points = np.array([[x_1, y_1], [x_2, y_2], [x_3, y_3], [x_4, y_4], [x_5, y_5]])  # pixels
y = np.concatenate([[1.0], (points / [width, height]).reshape(-1)])
back = y[1:].reshape(-1, 2) * [width, height]  # pixels again
""",
    }


def _downloads(chosen: ChosenImage, answer: FaceAnswer, index: int) -> None:
    with st.container(horizontal=True):
        download_bytes(
            lambda: encode_jpeg(draw_faces(chosen.pixels, answer.faces, 1.0, chosen=index), 95),
            file_name=f"{chosen.name}_landmarks.jpg",
            key="loc_faces_jpg",
            label="Annotated picture (JPEG)",
            mime="image/jpeg",
        )
        download_table(_rows(answer, index), name=f"{chosen.name}_landmarks", key="loc_faces_csv")
        download_json(
            [
                {
                    "box_xyxy": list(face.box_xyxy),
                    "score": face.score,
                    "points": {name: face.points[i].tolist() for i, name in enumerate(LANDMARKS)},
                    "target": landmark_vector(face, answer.image_size).tolist(),
                }
                for face in answer.faces
            ],
            name=f"{chosen.name}_landmarks",
            key="loc_faces_json",
            label="All faces (JSON)",
        )
