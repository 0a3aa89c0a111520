"""Residual networks: gradients plain and residual, both trained side by side, the blocks, a zeroed block."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.residual import blocks, gradients, identity, training

VIEWS = {
    "gradients": ("Gradient flow", gradients.view),
    "training": ("Train side by side", training.view),
    "blocks": ("Blocks", blocks.view),
    "identity": ("A zeroed block", identity.view),
}

entry = header("residual_networks")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="gradients",
    required=True,
    key="residual_view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "gradients"][1]()
paper_link(entry)
