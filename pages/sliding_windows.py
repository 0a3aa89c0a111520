"""Sliding windows: a classifier at every place of a picture, one by one and as one convolution, and MTCNN's first."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.windows import faces, scan, ways

VIEWS = {
    "scan": ("Score map and boxes", scan.view),
    "ways": ("One by one or convolutional", ways.view),
    "faces": ("MTCNN's first stage", faces.view),
}

entry = header("sliding_windows")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="scan",
    required=True,
    key="view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "scan"][1]()
paper_link(entry)
