"""Pooling: what is kept of each window, where each maximum came from, and how much a shift changes."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.pooling import shift, windows

VIEWS = {"pool": ("Pool", windows.view), "shift": ("Shift", shift.view)}

entry = header("pooling")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="pool",
    required=True,
    key="pool_view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "pool"][1]()
paper_link(entry)
