"""Which encoder and which detector answer, and how to get those that are fetched on request."""

from urllib.parse import urlsplit

import streamlit as st

from core.faces.detector import DETECTORS, MTCNN
from core.faces.encoders import DLIB, OURS, encoders, is_here
from core.runtime import weights
from pages.parts.job_view import job_view, start_job

MEGABYTE = 1e6
# Network files that are fetched by name: their row in the list of models.
FETCHED = {"sface": "sface", "yunet": "yunet"}


def available_encoders() -> list[str]:
    """The encoders whose weights are on this machine, the default first."""
    return [name for name in encoders() if is_here(name)]


def encoder_choice(key: str) -> str:
    """Draw the choice of an encoder and return its name; one that is not here is answered by one that is."""
    known = encoders()
    chosen = st.selectbox(
        "Encoder",
        list(known),
        format_func=lambda name: known[name].title,
        key=key,
        bind="query-params",
        help="\n\n".join(f"**{one.title}**: {one.summary}" for one in known.values()),
    )
    if is_here(chosen):
        return chosen
    return next((name for name in (DLIB, OURS) if is_here(name)), chosen)


def detector_choice(key: str) -> str:
    """Draw the choice of a face detector and return its name; MTCNN where the other one is not here."""
    chosen = st.selectbox(
        "Face detector",
        list(DETECTORS),
        format_func=DETECTORS.__getitem__,
        key=key,
        bind="query-params",
        help="MTCNN, a cascade of three small networks, comes with a Python package. YuNet is fetched once on request.",
    )
    return chosen if chosen == MTCNN or weights.where(chosen) is not None else MTCNN


def offer_to_fetch(name: str, instead: str) -> None:
    """Say that a network is not here, and draw how to get it; nothing where it is here."""
    if name not in FETCHED or weights.where(FETCHED[name]) is not None:
        return
    row = weights.describe(FETCHED[name])
    with st.container(border=True):
        st.markdown(
            f"**{row.title}** is not on this machine yet: {row.size_bytes / MEGABYTE:.1f} MB from "
            f"{urlsplit(row.address).hostname}, licence {row.licence}. Until it is here, {instead} answers."
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                f"Fetch {row.title}",
                icon=":material/download:",
                key=f"face_fetch_{name}",
                on_click=_fetch,
                args=(row.name, row.title),
            )
            given = st.popover("I have the file", icon=":material/upload_file:")
        with given:
            _own_file(row)
        job_view(_job_key(row.name), draw_live=lambda job: None)


def _job_key(name: str) -> str:
    return f"fetch_{name}"


def _fetch(name: str, title: str) -> None:
    start_job(_job_key(name), weights.fetch, name, title=f"Fetching {title}")


def _own_file(row: weights.ModelFile) -> None:
    st.caption(f"{row.file}, {row.size_bytes:,} bytes, from {row.address}. It must be the very same file.")
    file = st.file_uploader("File of the network (.onnx)", type=["onnx"], key=f"face_file_{row.name}")
    if file is None:
        return
    try:
        weights.accept(row.name, file.getvalue())
    except weights.WeightsError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.rerun()
