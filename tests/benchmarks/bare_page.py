"""The peer of the speed measurements: a slider and a picture of the given size, nothing else."""

import os

import cv2
import numpy as np
import streamlit as st


@st.cache_resource
def photograph() -> np.ndarray:
    """The picture in the environment's file, RGB uint8."""
    return cv2.imread(os.environ["BARE_PAGE_PICTURE"], cv2.IMREAD_COLOR)


def page() -> None:
    """Draw the slider and the picture moved by it."""
    st.set_page_config(layout="wide")
    shift = st.slider("Shift", 0, 100, 0)
    moved = np.roll(photograph(), shift, axis=1)
    st.image(cv2.imencode(".jpg", moved, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())


if __name__ == "__main__":
    page()
