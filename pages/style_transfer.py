"""Style transfer: one picture's content in another's style, by gradient descent on the pixels or in one pass."""

import streamlit as st

from pages.parts.header import header, paper_link
from pages.parts.style import fast, grams, optimise, strip

VIEWS = {
    "once": ("At once", fast.view),
    "optimise": ("Step by step", optimise.view),
    "strip": ("Strip over β", strip.view),
    "grams": ("Gram matrices", grams.view),
}

entry = header("style_transfer")
chosen = st.segmented_control(
    "View",
    list(VIEWS),
    format_func=lambda name: VIEWS[name][0],
    default="once",
    required=True,
    key="style_view",
    bind="query-params",
    persist_state="session",
    label_visibility="collapsed",
)
VIEWS[chosen or "once"][1]()
paper_link(entry)
