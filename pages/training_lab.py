"""Training lab: choose pictures, a network and an optimiser, and watch it learn."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.lab import augmentation, kept_runs, training
from pages.parts.lab.controls import lab_controls

VIEWS = {
    "train": ("Train", training.view),
    "augmentation": ("Augmentation", augmentation.view),
    "runs": ("Runs", kept_runs.view),
}

entry = header("training_lab")
left, right = st.columns([1.05, 2.8], gap="medium")
with left:
    chosen = lab_controls()
with right:
    name = st.segmented_control(
        "View",
        list(VIEWS),
        format_func=lambda view: VIEWS[view][0],
        default="train",
        required=True,
        key="lab_view",
        bind="query-params",
        persist_state="session",
        label_visibility="collapsed",
    )
    VIEWS[name or "train"][1](chosen)
paper_link(entry)
