"""MTCNN's first stage: a window of 12 px that slides over a photograph as one convolution."""

import numpy as np
import streamlit as st

from core.detection.drawing import draw_box, line_px, screen_canvas
from core.detection.landmarks import SMALLEST_FACE_PX, WINDOW_PX, sensible_smallest_face_px
from core.detection.sliding_windows_drawing import overlay_heat
from core.detection.sliding_windows_tasks import FACE_STRIDE_PX, FaceMap, FaceWindows, face_windows
from core.detection.suppression import non_max_suppression
from core.runtime.images import display_jpeg
from pages.parts.code_tabs import code_tabs
from pages.parts.downloads import download_array, download_picture
from pages.parts.formula import formula
from pages.parts.image_input import image_input
from pages.parts.kept_calls import kept_call
from pages.parts.pace import picture_first
from pages.parts.pixels import picture

PICTURE_HEIGHT_PX = 390
TIMEOUT_S = 120.0
# Asked for is all that the slider can show, so that moving it asks nothing anew.
LOWEST_SCORE = 0.3
LAYERS = {"heat": "Score map", "windows": "Windows over the threshold", "moved": "Moved and suppressed"}


@st.fragment
def view() -> None:
    """Draw the view."""
    controls, shown = st.columns([1.1, 2.6], gap="medium")
    with controls:
        chosen = image_input(default="astronaut")
        height, width = chosen.pixels.shape[:2]
        smallest = st.slider(
            "Smallest face, pixels",
            SMALLEST_FACE_PX,
            240,
            sensible_smallest_face_px(width, height),
            4,
            key="win_smallest",
            bind="query-params",
            help="In the largest copy of the picture such a face fills a window of 12 px.",
        )
        threshold = st.slider(
            "Score from",
            LOWEST_SCORE,
            0.99,
            0.6,
            0.01,
            key="win_face_score",
            bind="query-params",
            help="MTCNN passes windows over 0.6 on to its second stage.",
        )
        iou = st.slider("IoU for non-max suppression", 0.0, 1.0, 0.5, 0.05, key="win_face_iou", bind="query-params")
    with shown:
        found: FaceWindows | None = kept_call(
            face_windows, chosen.pixels, float(smallest), LOWEST_SCORE, timeout_s=TIMEOUT_S
        )
        if found is None:
            return
        if not found.maps:
            st.info("The picture is smaller than the smallest face: there is no window.", icon=":material/info:")
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            wanted = st.slider(
                "Size of the map, 1 is the largest", 1, 12, 1, key="win_face_level", bind="query-params", width=230
            )
            layers = st.pills(
                "Layers",
                list(LAYERS),
                selection_mode="multi",
                format_func=LAYERS.__getitem__,
                default=["heat", "moved"],
                key="win_face_layers",
                bind="query-params",
                label_visibility="collapsed",
            )
        index = min(int(wanted), len(found.maps)) - 1
        over = found.scores >= float(threshold)
        windows_xyxy, boxes_xyxy = found.windows_xyxy[over], found.boxes_xyxy[over]
        kept = non_max_suppression(boxes_xyxy, found.scores[over], None, float(iou)).keep
        canvas = _drawn(chosen.pixels, found.maps[index], windows_xyxy, boxes_xyxy[kept], tuple(layers))
        rows, columns = canvas.shape[:2]
        picture(
            display_jpeg(canvas),
            rows=rows,
            columns=columns,
            key="win_face_picture",
            alt=f"{chosen.name} with the first stage's score map and {int(kept.sum())} proposals",
            max_height_px=PICTURE_HEIGHT_PX,
        )
    picture_first(f"{chosen.sha256} {smallest} {threshold} {iou} {index} {layers}", key="win_faces")
    windows = sum(entry.scores.size for entry in found.maps)
    with shown:
        st.markdown(
            f"**{windows:,} windows** in {len(found.maps)} sizes in **{found.time_ms:.0f} ms** · "
            f"{int(over.sum()):,} reach {threshold:.2f}, suppression leaves **{int(kept.sum())}** proposals. The "
            "second and third stage look at these, cut out."
        )
        st.caption(
            f"{found.compared} windows of the largest size, cut out and looked at one by one, differ from the map by "
            f"at most {found.largest_difference:.1e}: the map is those windows. Weights of the package mtcnn."
        )
    level = found.maps[index].level
    formula(
        r"h = \left\lceil \frac{H - f}{s} \right\rceil + 1",
        rf"h = \left\lceil \frac{{{level.height_px} - {WINDOW_PX}}}{{{FACE_STRIDE_PX}}} \right\rceil + 1 = "
        rf"{found.maps[index].scores.shape[0]}, \qquad \text{{{WINDOW_PX} px here are }} "
        rf"\frac{{{WINDOW_PX}}}{{{level.scale:.3f}}} = {WINDOW_PX / level.scale:.0f} \text{{ px in the picture}}",
        explanation="MTCNN's first network has no fully connected layer at all: convolutions of 3 × 3, one pooling "
        f"(hence the stride {FACE_STRIDE_PX}), then 1 × 1 convolutions for the probability and for four numbers that "
        f"move the window onto the face. All sizes together: {windows:,} windows. Rounded up, because at an odd "
        "size its pooling adds a row that reaches over the border.",
    )
    as_code = st.expander("The same as code", icon=":material/code:", key="win_face_code_open", on_change="rerun")
    if as_code.open:
        with as_code:
            code_tabs(_snippets(level.width_px, level.height_px, float(threshold)), key="win_face_code")
    with st.container(horizontal=True):
        download_array(found.maps[index].scores, name="pnet_map", key="win_face_npy", label="Score map (.npy)")
        download_picture(canvas, name=f"{chosen.name}_pnet", key="win_face_png", jpeg=True)


def _drawn(
    pixels: np.ndarray, entry: FaceMap, windows: np.ndarray, moved: np.ndarray, layers: tuple[str, ...]
) -> np.ndarray:
    """The picture with a score map, the windows and the moved boxes over it, both xyxy (n, 4), the best first."""
    canvas, scale = screen_canvas(pixels)
    if "heat" in layers:
        canvas = overlay_heat(canvas, entry.scores, entry.level, scale, WINDOW_PX, FACE_STRIDE_PX)
    canvas = canvas.copy()
    width = max(1, line_px(canvas) // 2)
    if "windows" in layers:
        for box in windows[::-1]:
            draw_box(canvas, box * scale, (59, 130, 246), width)
    if "moved" in layers:
        for box in moved[::-1]:
            draw_box(canvas, box * scale, (249, 115, 22), 2 * width)
    return canvas


def _snippets(width: int, height: int, threshold: float) -> dict[str, str]:
    return {
        "TensorFlow": f"""import numpy as np
from mtcnn.network.pnet import PNet
from mtcnn.utils.tensorflow import load_weights
from PIL import Image

network = PNet()
network.build()
network.set_weights(load_weights("pnet.lz4"))  # comes with the package mtcnn

image = Image.open("photo.jpg").convert("RGB").resize(({width}, {height}), Image.Resampling.BOX)
x = (np.asarray(image, np.float32) - 127.5) / 128
moves, scores = network(x[None])  # (1, h, w, 4) and (1, h, w, 2)
rows, columns = np.nonzero(scores[0, ..., 1] >= {threshold:g})
windows = np.stack([columns, rows, columns + 6, rows + 6], axis=1) * 2  # 12 px, two apart
boxes = windows + 12 * moves.numpy()[0, rows, columns]
""",
    }
