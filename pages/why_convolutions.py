"""Why convolutions: large inputs, parameter sharing, sparsity of connections, and what a shift does."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.why import cost, input_size, matrix, translation

VIEWS = {
    "input": ("Size of the input", input_size.view),
    "cost": ("Against fully connected", cost.view),
    "matrix": ("As a matrix", matrix.view),
    "translation": ("Under a shift", translation.view),
}

entry = header("why_convolutions")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="input",
    required=True,
    key="part",
    bind="query-params",
    label_visibility="collapsed",
)
VIEWS[chosen or "input"][1]()
paper_link(entry)
