"""Localization: a box and a class as a vector, its loss, a network that learns it, and landmarks of a face."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.localization import follow, landmarks, learn, target

VIEWS = {
    "target": ("Box and loss", target.view),
    "learn": ("Learn to localize", learn.view),
    "landmarks": ("Landmarks", landmarks.view),
    "follow": ("One landmark, several photos", follow.view),
}

entry = header("localization")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="target",
    required=True,
    key="view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "target"][1]()
paper_link(entry)
