"""Region proposals: blobs, selective search, and the three forms of R-CNN beside YOLO on one photograph."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.regions import forms, measured, roi, search

VIEWS = {
    "search": ("Selective search", search.view),
    "forms": ("R-CNN, Fast, Faster", forms.view),
    "roi": ("RoI pooling", roi.view),
    "measured": ("Quality and speed", measured.view),
}

entry = header("region_proposals")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="search",
    required=True,
    key="view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "search"][1]()
paper_link(entry)
