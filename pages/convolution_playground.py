"""Convolution playground: filters on images, pixel by pixel; edges; padding and stride; volumes; learning."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.playground import convolve, edges, learn, padding, volumes

VIEWS = {
    "convolve": ("Convolve", convolve.view),
    "edges": ("Edges", edges.view),
    "padding": ("Padding and stride", padding.view),
    "volumes": ("Volumes", volumes.view),
    "learn": ("Learn the filter", learn.view),
}

entry = header("convolution_playground")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="convolve",
    required=True,
    key="view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "convolve"][1]()
paper_link(entry)
