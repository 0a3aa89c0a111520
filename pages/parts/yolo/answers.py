"""Detectors and what they answered: a network runs once for a picture, every slider works on its kept answer."""

import numpy as np
import streamlit as st

from core.detection import tasks
from core.detection.predictions import NetworkAnswer
from core.runtime.engine import EngineError
from pages.parts.compute import engine
from pages.parts.image_input import ChosenImage

# The first call of a worker loads TensorFlow and the network, on a busy machine for half a minute.
TIMEOUT_S = 180.0


@st.cache_resource(max_entries=24, show_spinner="Running the network in a worker…")
def _answer(sha256: str, model: str, _pixels: np.ndarray) -> NetworkAnswer:
    return engine().call(tasks.run_network, _pixels, model, timeout_s=TIMEOUT_S)


def network_answer(image: ChosenImage, model: str = tasks.EMBEDDED) -> NetworkAnswer | None:
    """All that a detector says about a picture, asked once; on failure say why on the page and answer None.

    Answers are shared by all visitors: they must not be changed.
    """
    try:
        return _answer(image.sha256, model, image.pixels)
    except EngineError as error:
        st.error(str(error), icon=":material/error:")
        return None
