"""What is to be seen of a picture while it is being worked on: the picture itself."""

import streamlit as st

from core.detection.drawing import screen_canvas
from core.runtime.images import display_jpeg
from pages.parts.image_input import ChosenImage


def waiting_picture(image: ChosenImage) -> None:
    """Draw the picture as it was given, not larger than its results will be."""
    canvas, _ = screen_canvas(image.pixels)
    st.image(display_jpeg(canvas, max_width_px=480), width=480, alt=f"{image.name}, as it was given")
