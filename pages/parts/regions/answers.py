"""What workers answered about a picture, asked once: sliders work on kept answers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from core.detection import region_tasks
from core.detection.proposals import SearchResult, strategies_at
from core.detection.rcnn.results import FormAnswer
from core.detection.region_tasks import SharedFeatures
from core.runtime.engine import EngineError
from pages.parts.compute import engine
from pages.parts.image_input import ChosenImage

# The first call of a worker loads TensorFlow and the networks, on a busy machine for a minute.
TIMEOUT_S = 240.0
DEFAULT_SCALE = 50


def _or_error(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except EngineError as error:
        st.error(str(error), icon=":material/error:")
        return None


@st.cache_resource(max_entries=24, show_spinner="Searching in a worker…")
def _search(sha256: str, scale: int, _pixels: np.ndarray) -> SearchResult:
    return engine().call(region_tasks.search, _pixels, strategies_at(float(scale)), timeout_s=TIMEOUT_S)


def searched(image: ChosenImage, scale: int = DEFAULT_SCALE) -> SearchResult | None:
    """Selective search on a picture; on failure say why on the page and answer None. Not to be changed."""
    return _or_error(lambda: _search(image.sha256, scale, image.pixels))


@st.cache_resource(max_entries=24, show_spinner="Running Fast R-CNN, Faster R-CNN and YOLO in a worker…")
def _quick(sha256: str, most: int, pooling: str, _pixels: np.ndarray, _found: SearchResult) -> tuple[FormAnswer, ...]:
    return engine().call(region_tasks.quick_forms, _pixels, most, pooling, _found, timeout_s=TIMEOUT_S)


def quick_forms(image: ChosenImage, most: int, pooling: str, found: SearchResult) -> tuple[FormAnswer, ...] | None:
    """Fast R-CNN, Faster R-CNN and YOLO on a picture; on failure say why and answer None. Not to be changed."""
    return _or_error(lambda: _quick(image.sha256, most, pooling, image.pixels, found))


@st.cache_resource(max_entries=12, show_spinner="Computing the shared map in a worker…")
def _features(sha256: str, _pixels: np.ndarray) -> SharedFeatures:
    return engine().call(region_tasks.shared_features, _pixels, timeout_s=TIMEOUT_S)


def shared_features(image: ChosenImage) -> SharedFeatures | None:
    """The shared map of a picture; on failure say why and answer None. Not to be changed."""
    return _or_error(lambda: _features(image.sha256, image.pixels))
