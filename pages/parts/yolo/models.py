"""Which detector answers: the embedded one, or one that is fetched on request or given as a file."""

from urllib.parse import urlsplit

import streamlit as st

from core.detection.tasks import EMBEDDED, PRETRAINED
from core.runtime import weights
from pages.parts.job_view import job_view, start_job

MODELS = {EMBEDDED: "Embedded, 11 classes", "yolox_nano": "YOLOX-Nano, 80 classes", "yolox_s": "YOLOX-S, 80 classes"}
MEGABYTE = 1e6


def model_choice(key: str = "yolo_model") -> str:
    """Draw the choice of a detector and return its name for `core.detection.tasks.run_network`."""
    return st.selectbox(
        "Detector",
        list(MODELS),
        format_func=MODELS.__getitem__,
        key=key,
        bind="query-params",
        help="The embedded network was trained by this project and is always here. The others were trained by their "
        "authors on COCO and are fetched once, when you ask for it.",
    )


def answering_model(chosen: str) -> str:
    """The chosen detector if its file is here; else draw how to get it, and answer with the embedded one."""
    if chosen not in PRETRAINED or weights.where(chosen) is not None:
        return chosen
    row = weights.describe(chosen)
    with st.container(border=True):
        st.markdown(
            f"**{row.title}** is not on this machine yet: {row.size_bytes / MEGABYTE:.1f} MB from "
            f"{urlsplit(row.address).hostname}, licence {row.licence}. Until it is here, the embedded network answers."
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                f"Fetch {row.title}",
                icon=":material/download:",
                key=f"yolo_fetch_{chosen}",
                on_click=_fetch,
                args=(chosen, row.title),
            )
            given = st.popover("I have the file", icon=":material/upload_file:")
        with given:
            _own_file(chosen, row)
        job_view(_job_key(chosen), draw_live=lambda job: None)
    return EMBEDDED


def _job_key(model: str) -> str:
    return f"fetch_{model}"


def _fetch(model: str, title: str) -> None:
    start_job(_job_key(model), weights.fetch, model, title=f"Fetching {title}")


def _own_file(model: str, row: weights.ModelFile) -> None:
    st.caption(f"{row.file}, {row.size_bytes:,} bytes, from {row.address}. It must be the very same file.")
    file = st.file_uploader("File of the network (.onnx)", type=["onnx"], key=f"yolo_file_{model}")
    if file is None:
        return
    try:
        weights.accept(model, file.getvalue())
    except weights.WeightsError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.rerun()
