"""Faces and their encodings: networks run once for a picture, every slider works on the kept answer."""

import numpy as np
import streamlit as st

from core.faces import tasks
from core.faces.types import EncodedFace, Face
from core.runtime.engine import EngineError
from pages.parts.compute import engine

# The first call of a worker loads TensorFlow and the networks, on a busy machine for half a minute.
TIMEOUT_S = 180.0


@st.cache_resource(max_entries=32, show_spinner="Looking for faces in a worker…")
def _answer(sha256: str, encoder: str, detector: str, _pixels: np.ndarray) -> tasks.FacesOfPicture:
    return engine().call(tasks.faces_of_picture, _pixels, encoder, detector, timeout_s=TIMEOUT_S)


@st.cache_resource(max_entries=64, show_spinner="Encoding in a worker…")
def _encoded(
    sha256: str, encoder: str, detector: str, index: int, _pixels: np.ndarray, _face: Face
) -> tuple[EncodedFace, ...]:
    return engine().call(tasks.encode_faces, _pixels, encoder, detector, (_face,), timeout_s=TIMEOUT_S)


def faces_of(pixels: np.ndarray, sha256: str, encoder: str, detector: str) -> tasks.FacesOfPicture | None:
    """The faces of a picture with their encodings; on failure say why on the page and answer None.

    Answers are shared by all visitors: they must not be changed.
    """
    try:
        return _answer(sha256, encoder, detector, pixels)
    except EngineError as error:
        st.error(str(error), icon=":material/error:")
        return None


def encoding_of(
    pixels: np.ndarray, sha256: str, encoder: str, detector: str, face: Face, index: int
) -> EncodedFace | None:
    """What another encoder makes of a face that was found before; on failure say why and answer None."""
    try:
        return _encoded(sha256, encoder, detector, index, pixels, face)[0]
    except EngineError as error:
        st.error(str(error), icon=":material/error:")
        return None
