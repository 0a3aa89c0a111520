"""Inception: 1 x 1 convolutions, what a bottleneck saves, the module's branches, and side outputs."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.inception import cost, module, one_by_one, side_outputs

VIEWS = {
    "cost": ("Bottleneck", cost.view),
    "one": ("1 × 1 convolution", one_by_one.view),
    "module": ("Inception module", module.view),
    "side": ("Side outputs", side_outputs.view),
}

entry = header("inception")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="cost",
    required=True,
    key="inception_view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "cost"][1]()
paper_link(entry)
