"""Practical advice: transfer, augmentation, data or features, ensembles and multi-crop, each measured over seeds."""

import streamlit as st

from pages.parts.advice import augmentation, ensemble, hog, multi_crop, transfer
from pages.parts.header import header, paper_link

VIEWS = {
    "transfer": ("Transfer learning", transfer.view),
    "augmentation": ("Augmentation", augmentation.view),
    "hog": ("Data or hand-engineering", hog.view),
    "ensemble": ("Ensemble", ensemble.view),
    "crops": ("Multi-crop", multi_crop.view),
}

entry = header("practical_advice")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="transfer",
    required=True,
    key="advice_view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "transfer"][1]()
paper_link(entry)
